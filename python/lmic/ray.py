"""Many machines with Ray: one huge file, or a folder, coded over a cluster to the very bytes that one machine gives.

The blocks of a stream are independent, so the driver cuts the input and finds what blocks copy of earlier ones, the workers
code blocks, and the driver writes them in order. Paths are those of fsspec, and must mean the same on all machines.

Work is done by tasks, never by actors that would hold CPUs and starve the tasks that read. A task whose worker or node dies
runs again elsewhere. No more than `in_flight` blocks are held at a time, and an output has a temporary name until it is complete.
"""

import contextlib
import math
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import fsspec
import ray
from fsspec import AbstractFileSystem

from lmic.parts import CodedBlock, Planner, StreamWriter, Task

#: How often a task may lose its worker or node before the whole fails.
RETRIES = 10

#: Bytes that are read from a file at once.
_PIECE = 4 << 20

#: Bytes of content that are worth a thread in a block, and the most threads that one can have.
_THREAD_WORTH = 2 << 20
_MOST_THREADS = 16

Progress = Callable[[int, int], None]

Result = TypeVar("Result")


@dataclass
class Sizes:
    """What was coded: bytes of content and of archives."""

    raw_len: int = 0
    coded_len: int = 0


def compress(
    src: str,
    dst: str,
    level: int | None = None,
    *,
    cpus: int | None = None,
    in_flight: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Sizes:
    """Compresses the file `src` to the archive `dst`, or each file of a folder to one in the folder `dst`, over the cluster.

    The archives are those of `lmic.compress` with the same level and options (`block_size`, `model`, `primed`, `records`, ...),
    for any cluster. Models are loaded by the workers: by a path that they have too, or by name from their model folder.

    `cpus` is how many CPUs code one block, and `in_flight` how many blocks are held at a time, in the memory of Ray's object
    store: by default what keeps all CPUs busy, and two for each that is coded. `progress(done, total)` is called with bytes of
    content. Existing archives are an error unless `overwrite` is set.
    """
    files = _files(src)
    total = sum(file.size for file in files)
    planner = Planner(level, **options)
    # A few large blocks are spread over the CPUs by several threads for each.
    blocks = sum(max(1, math.ceil(file.size / planner.block_size)) for file in files)
    cluster = _Cluster.now(blocks, planner.block_size // _THREAD_WORTH, cpus)
    remote = cluster.remote(_encode, planner.block_memory)
    given = _for_workers(options, cluster.cpus)
    sizes = Sizes()

    def tasks() -> Iterator["tuple[ray.ObjectRef[CodedBlock], _Coding]"]:
        for file in files:
            coding = _Coding(Planner(level, **options), file.output(dst, ".lmic", overwrite))
            outputs.callback(coding.output.abort)
            with file.fs.open(file.path, "rb") as source:
                for task in coding.tasks(source):
                    yield remote.remote(task, given), coding

    with contextlib.ExitStack() as outputs:
        for block, coding in _in_order(tasks(), in_flight or cluster.in_flight()):
            sizes.coded_len += coding.write(block)
            sizes.raw_len += block.raw_len
            if progress:
                progress(sizes.raw_len, total)
    return sizes


class _Coding:
    """A stream that is being made of a file."""

    def __init__(self, planner: Planner, output: "_Output") -> None:
        self.planner = planner
        self.output = output
        self.writer = StreamWriter(planner)
        self.last: int | None = None

    def tasks(self, source: Any) -> Iterator[Task]:
        while piece := source.read(_PIECE):
            yield from self.planner.push(piece)
        for task in self.planner.finish():
            if task.last:
                self.last = task.number
            yield task

    def write(self, block: CodedBlock) -> int:
        """Writes the block that comes next, and what ends the stream behind the last one."""
        data = self.writer.write(block)
        if block.number == self.last:
            data += self.writer.finish(self.planner.content_hash)
        self.output.write(data)
        if block.number == self.last:
            self.output.commit()
        return len(data)


def _encode(task: Task, options: dict[str, Any]) -> CodedBlock:
    return task.encode(**options)


def _for_workers(options: dict[str, Any], threads: int) -> dict[str, Any]:
    """Of the options of a whole, those of one block."""
    names = ("memory", "model", "primed")
    return {"threads": threads} | {name: options[name] for name in names if name in options}


@dataclass
class _Cluster:
    """How work is spread over the nodes that are there now."""

    nodes: list[float]
    cpus: int

    @classmethod
    def now(cls, count: int, threads: int, cpus: int | None = None) -> "_Cluster":
        """For `count` pieces of work, each of which keeps so many threads busy: with the CPUs for each that have all of
        them done first, and of several such numbers the lowest, as threads of one block wait for each other."""
        if not ray.is_initialized():
            ray.init()
        nodes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
        if cpus is None:
            most = int(min(threads, _MOST_THREADS, max(nodes, default=1)))

            def time(cpus: int) -> float:
                slots = cls(nodes, cpus).slots()
                return math.ceil(count / slots) / cpus if slots else math.inf

            cpus = min(range(1, max(1, most) + 1), key=time)
        return cls(nodes, cpus)

    def slots(self) -> int:
        """Pieces of work that run at the same time."""
        return sum(int(node // self.cpus) for node in self.nodes)

    def in_flight(self) -> int:
        """Pieces of work in flight: one waits behind each that runs."""
        return max(2, 2 * self.slots())

    def remote(self, function: Callable[..., Any], memory: int) -> Any:
        return ray.remote(function).options(
            num_cpus=self.cpus,
            memory=memory,
            max_retries=RETRIES,
            scheduling_strategy="SPREAD",
            name=f"lmic.{function.__name__.strip('_')}",
        )


Owner = TypeVar("Owner")


def _in_order(
    work: "Iterable[tuple[ray.ObjectRef[Result], Owner]]", most: int
) -> Iterator[tuple[Result, Owner]]:
    """The results of work in the order in which it was begun. No more than `most` are in flight."""
    waiting: deque[tuple[ray.ObjectRef[Result], Owner]] = deque()
    try:
        for item in work:
            waiting.append(item)
            if len(waiting) >= most:
                yield _result(waiting)
        while waiting:
            yield _result(waiting)
    finally:
        for ref, _ in waiting:
            ray.cancel(ref, force=True)


def _result(waiting: "deque[tuple[ray.ObjectRef[Result], Owner]]") -> tuple[Result, Owner]:
    ref, owner = waiting[0]
    try:
        result = ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        raise error.as_instanceof_cause() from None
    waiting.popleft()
    return result, owner


@dataclass
class _File:
    """An input: where it is, and how it is called in its folder (nothing if it was named itself)."""

    fs: AbstractFileSystem
    path: str
    size: int
    name: str | None

    def output(self, dst: str, suffix: str, overwrite: bool) -> "_Output":
        fs, path = fsspec.url_to_fs(dst)
        if self.name is not None:
            name = self.name + suffix if suffix else self.name.removesuffix(".lmic")
            path = f"{path.rstrip('/')}/{name}"
        return _Output(fs, path, overwrite)


def _files(src: str) -> list[_File]:
    """The file `src`, or all files of the folder."""
    fs, path = fsspec.url_to_fs(src)
    if fs.isfile(path):
        return [_File(fs, path, fs.size(path), None)]
    found = fs.find(path, detail=True)
    if not found:
        raise FileNotFoundError(src)
    root = path.rstrip("/") + "/"
    return [
        _File(fs, name, info["size"], name.removeprefix(root)) for name, info in sorted(found.items())
    ]


class _Output:
    """A file that has a temporary name until it is complete."""

    def __init__(self, fs: AbstractFileSystem, path: str, overwrite: bool) -> None:
        if not overwrite and fs.exists(path):
            raise FileExistsError(path)
        self.fs, self.path = fs, path
        folder, _, name = path.rpartition("/")
        fs.makedirs(folder, exist_ok=True)
        self.temporary = f"{folder}/.{name}.{uuid.uuid4().hex[:8]}.part"
        self.file = fs.open(self.temporary, "wb")
        self.complete = False

    def write(self, data: bytes) -> None:
        self.file.write(data)

    def commit(self) -> None:
        self.file.close()
        self.fs.mv(self.temporary, self.path)
        self.complete = True

    def abort(self) -> None:
        """Removes it, if it is not complete."""
        if not self.complete:
            self.file.close()
            self.fs.rm(self.temporary)
