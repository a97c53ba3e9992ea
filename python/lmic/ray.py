"""Many machines with Ray: one huge file, or a folder, coded over a cluster to the very bytes that one machine gives.

The blocks of a stream are independent, so the driver cuts the input and finds what blocks copy of earlier ones, the workers
code blocks, and the driver writes them in order. Paths are those of fsspec, and must mean the same on all machines.

Work is done by tasks, never by actors that would hold CPUs and starve the tasks that read. A task whose worker or node dies
runs again elsewhere. No more than `in_flight` blocks are held at a time, and an output has a temporary name until it is complete.
"""

from __future__ import annotations

import contextlib
import functools
import math
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import fsspec
import pyarrow
import ray
import ray.data
from fsspec import AbstractFileSystem
from ray.data.block import Block, BlockAccessor, BlockMetadata
from ray.data.datasource import Datasink, Datasource, ReadTask, WriteResult

import lmic
from lmic.parts import CodedBlock, ContentHash, Planner, StreamWriter, Task

#: How often a task may lose its worker or node before the whole fails.
RETRIES = 10

#: Bytes that are read from a file at once.
_PIECE = 4 << 20

#: Bytes of content that a worker decodes at once: at least, and at most if that is not one block.
_LEAST_SPAN = 1 << 20
_MOST_SPAN = 64 << 20

#: Bytes of content that are worth a thread when a block is decoded: at levels 6 and up half of that are, but an archive may have
#: blocks of any.
_THREAD_WORTH = 2 << 20

Progress = Callable[[int, int], None]

Rows = Literal["text", "records", "bytes"]

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
    cluster = _Cluster.now(blocks, planner.block_threads, cpus)
    remote = cluster.remote(_encode, planner.block_memory)
    given = _for_workers(options, cluster.cpus)
    sizes = Sizes()

    def tasks() -> Iterator[tuple[ray.ObjectRef[CodedBlock], _Coding]]:
        for file in files:
            coding = _Coding(Planner(level, **options), file.output(dst, ".lmic", overwrite))
            outputs.callback(coding.output.abort)
            with file.fs.open(file.path, "rb") as source:
                for task in coding.tasks(source):
                    yield remote.remote(task, given), coding

    block: CodedBlock  # Ray's types, which say so, are not there everywhere
    with contextlib.ExitStack() as outputs:
        for block, coding in _in_order(tasks(), in_flight or cluster.in_flight()):
            sizes.coded_len += coding.write(block)
            sizes.raw_len += block.raw_len
            if progress:
                progress(sizes.raw_len, total)
    return sizes


def decompress(
    src: str,
    dst: str,
    *,
    cpus: int | None = None,
    in_flight: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Sizes:
    """Writes the content of the archive `src` to the file `dst`, or of each archive of a folder to the folder `dst`, over the cluster.

    Workers decode blocks and compare their checks, the driver compares the hashes of whole streams. A block that copies from earlier
    ones costs the time of these, too. Arguments are those of `compress`; options are those of `lmic.decompress`.
    """
    archives = _archives([src], options)
    total = sum(archive.raw_len for archive in archives)
    blocks = [block for archive in archives for block in archive.blocks]
    largest = max((block.stop - block.start for block in blocks), default=0)
    cluster = _Cluster.now(len(blocks), min(largest // _THREAD_WORTH, 16), cpus)
    # All CPUs shall have work to the end.
    size = _span_size(total, 4 * cluster.slots())
    remote = cluster.remote(_decode)
    given = _for_workers(options, cluster.cpus)
    sizes = Sizes(coded_len=sum(archive.file.size for archive in archives))

    def spans() -> Iterator[tuple[ray.ObjectRef[bytes], tuple[_Output, _Hashes, bool]]]:
        for archive in archives:
            file = archive.file
            output, hashes = file.output(dst, "", overwrite), _Hashes(archive)
            outputs.callback(output.abort)
            spans = list(_spans(archive.blocks, size)) or [_Span(0, (0,))]
            for span in spans:
                ref = remote.remote(file.fs, file.path, span, given)
                yield ref, (output, hashes, span is spans[-1])

    content: bytes
    with contextlib.ExitStack() as outputs:
        for content, (output, hashes, last) in _in_order(
            spans(), in_flight or cluster.in_flight()
        ):
            hashes.compare(content)
            output.write(content)
            sizes.raw_len += len(content)
            if last:
                output.commit()
            if progress:
                progress(sizes.raw_len, total)
    return sizes


class _Coding:
    """A stream that is being made of a file."""

    def __init__(self, planner: Planner, output: _Output) -> None:
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
    def now(cls, count: int, threads: int, cpus: int | None = None) -> _Cluster:
        """For `count` pieces of work, each of which keeps so many threads busy: with the CPUs for each that have all of
        them done first, and of several such numbers the lowest, as threads of one block wait for each other."""
        if not ray.is_initialized():
            ray.init()
        nodes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
        if cpus is None:
            most = int(min(threads, max(nodes, default=1)))

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

    def remote(self, function: Callable[..., Any], memory: int | None = None) -> Any:
        return ray.remote(function).options(
            num_cpus=self.cpus,
            memory=memory,
            max_retries=RETRIES,
            scheduling_strategy="SPREAD",
            name=f"lmic.{function.__name__.strip('_')}",
        )


Owner = TypeVar("Owner")


def _in_order(
    work: Iterable[tuple[ray.ObjectRef[Result], Owner]], most: int
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
        # What is done already is left alone: Ray ends the driver if it learns of a task's end right after its cancellation.
        if refs := [ref for ref, _ in waiting]:
            _, running = ray.wait(refs, num_returns=len(refs), timeout=0, fetch_local=False)
            for ref in running:
                ray.cancel(ref)


def _result(waiting: deque[tuple[ray.ObjectRef[Result], Owner]]) -> tuple[Result, Owner]:
    ref, owner = waiting[0]
    try:
        result = ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        waiting.popleft()
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

    def output(self, dst: str, suffix: str, overwrite: bool) -> _Output:
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
        _File(fs, name, info["size"], name.removeprefix(root))
        for name, info in sorted(found.items())
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


@dataclass(frozen=True)
class _Span:
    """Blocks of an archive that follow each other: where their content starts, and where that of each ends."""

    start: int
    stops: tuple[int, ...]

    @property
    def stop(self) -> int:
        return self.stops[-1]


@dataclass(frozen=True)
class _Archive:
    """What is known of an archive without decoding: blocks that have content, and how many records if they are of records."""

    file: _File
    blocks: list[_Span]
    streams: list[tuple[int, bytes | None]]  # of each, bytes of content and their hash
    records: int | None

    @property
    def raw_len(self) -> int:
        return self.blocks[-1].stop if self.blocks else 0

    def bytes_of(self, span: _Span | range) -> int:
        """Bytes of content; of records about so many."""
        if isinstance(span, range):
            return self.raw_len * len(span) // (self.records or 1)
        return span.stop - span.start


class _Hashes:
    """Compares the content of an archive, in pieces from its front, with the hashes of its streams."""

    def __init__(self, archive: _Archive) -> None:
        self.path = archive.file.path
        self.streams = iter(archive.streams)
        self._next()

    def _next(self) -> None:
        self.left, self.expected = next(self.streams, (0, None))
        self.hash = ContentHash()

    def compare(self, content: bytes) -> None:
        """Raises `CorruptError` if a stream ends with `content` that is not what was compressed."""
        rest = memoryview(content)
        while rest:
            piece, rest = rest[: self.left], rest[self.left :]
            if self.expected is not None:  # a single block has its check alone
                self.hash.update(piece)
            self.left -= len(piece)
            if self.left == 0:
                if self.expected not in (None, self.hash.digest()):
                    raise lmic.CorruptError(f"{self.path}: the content does not match the hash of its stream")
                self._next()


def _archives(paths: list[str], options: dict[str, Any]) -> list[_Archive]:
    """Archives, and all `.lmic` files of folders."""

    def look(file: _File) -> _Archive:
        with _open(file.fs, file.path, options) as archive:
            try:
                records = archive.records
            except lmic.InvalidArgumentError:
                records = None
            streams = [(stream.raw_len, stream.content_hash) for stream in archive.streams]
            return _Archive(file, _blocks(archive), streams, records)

    files = [file for path in paths for file in _files(path)]
    # To read an index is to wait for it.
    with ThreadPoolExecutor(32) as pool:
        named = (file for file in files if file.name is None or file.name.endswith(".lmic"))
        return list(pool.map(look, named))


@contextlib.contextmanager
def _open(fs: AbstractFileSystem, path: str, options: dict[str, Any]) -> Iterator[lmic.Archive]:
    with fs.open(path, "rb") as file, lmic.Archive(file, **options) as archive:
        yield archive


def _blocks(archive: lmic.Archive) -> list[_Span]:
    """The blocks of an archive that have content."""
    return [
        _Span(block.raw_offset, (block.raw_offset + block.raw_len,))
        for block in archive.blocks
        if block.raw_len
    ]


def _span_size(total: int, count: int) -> int:
    """Bytes of content of each of about `count` spans."""
    return min(max(total // max(1, count), _LEAST_SPAN), _MOST_SPAN)


def _spans(blocks: Iterable[_Span], size: int) -> Iterator[_Span]:
    """Blocks that are read together: up to `size` bytes, or one."""
    span: _Span | None = None
    for block in blocks:
        if span and block.stop - span.start <= size:
            span = _Span(span.start, span.stops + block.stops)
            continue
        if span:
            yield span
        span = block
    if span:
        yield span


def _decode(fs: AbstractFileSystem, path: str, span: _Span, options: dict[str, Any]) -> bytes:
    with _open(fs, path, options) as archive:
        return archive.read(span.start, span.stop)


def read_lmic(
    paths: str | list[str],
    *,
    rows: Rows = "text",
    encoding: str = "utf-8",
    chunk_size: int = 1 << 20,
    include_paths: bool = False,
    concurrency: int | None = None,
    override_num_blocks: int | None = None,
    **options: Any,
) -> ray.data.Dataset:
    """Archives, and all `.lmic` files of folders, as a dataset whose read tasks are blocks: one archive is read by all workers.

    A row is, by `rows`, a line without its line feed as `text`; a line of an archive that was written with `records=True`, as the
    bytes `record`; or the next `bytes` of a block, at most `chunk_size` of them, with the `offset` of the first. The `encoding` must be
    one in which a line feed is the byte 10. `include_paths` adds the column `path`. Options are those of `lmic.decompress`.

    A line may go on in the next block, so each read task for lines decodes one block more, and takes several blocks if there are more
    than CPUs. Archives that were written with `records=True` end their blocks with lines, and are read without that.
    """
    source = LmicDatasource(paths, rows, encoding, chunk_size, include_paths, options)
    return ray.data.read_datasource(
        source, concurrency=concurrency, override_num_blocks=override_num_blocks
    )


class LmicDatasource(Datasource):
    """What `read_lmic` reads, for `ray.data.read_datasource`."""

    def __init__(
        self,
        paths: str | list[str],
        rows: Rows = "text",
        encoding: str = "utf-8",
        chunk_size: int = 1 << 20,
        include_paths: bool = False,
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if rows not in ("text", "records", "bytes"):
            raise ValueError(f"rows={rows!r}; text, records and bytes are known")
        self._options = {"threads": 1} | (options or {})
        self._table = _Tables(rows, encoding, chunk_size, include_paths)
        self._archives = _archives([paths] if isinstance(paths, str) else paths, self._options)
        for archive in self._archives:
            if rows == "records" and archive.records is None:
                raise ValueError(f"{archive.file.path} was not written in records")

    def estimate_inmemory_data_size(self) -> int:
        """Bytes of content."""
        return sum(archive.raw_len for archive in self._archives)

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        """One for each group of blocks."""
        size = _span_size(self.estimate_inmemory_data_size(), parallelism)
        cut = [archive for archive in self._archives if archive.records is None]
        count = sum(len(archive.blocks) for archive in cut)
        if self._table.rows != "bytes" and count:
            blocks = _blocks_for_lines(count, int(ray.cluster_resources().get("CPU", 1)))
            size_of_cut = _span_size(sum(archive.raw_len for archive in cut), count // blocks)
        else:
            size_of_cut = size
        tasks = []
        for archive in self._archives:
            spans: Iterable[_Span | range]
            if self._table.rows != "bytes" and archive.records is not None:
                spans = _record_spans(archive, size)
            else:
                spans = _spans(archive.blocks, size_of_cut)
            for span in spans:
                read = _reader(self._table, archive.file, span, self._options)
                metadata = BlockMetadata(
                    num_rows=None,
                    size_bytes=archive.bytes_of(span),
                    input_files=(archive.file.path,),
                    exec_stats=None,
                )
                tasks.append(ReadTask(read, metadata, per_task_row_limit=per_task_row_limit))
        return tasks


def _reader(
    table: _Tables, file: _File, span: _Span | range, options: dict[str, Any]
) -> Callable[[], Iterator[pyarrow.Table]]:
    return lambda: table.read(file.fs, file.path, span, options)


def _record_spans(archive: _Archive, size: int) -> Iterator[range]:
    """Numbers of records that are read together: about `size` bytes."""
    records = archive.records or 0
    count = min(max(1, archive.raw_len // size), records)
    for i in range(count):
        yield range(records * i // count, records * (i + 1) // count)


def _blocks_for_lines(count: int, cpus: int) -> int:
    """How many of `count` blocks a read task shall take if each decodes one more for the end of its last line: so that all are
    done first."""

    def time(blocks: int) -> int:
        return math.ceil(math.ceil(count / blocks) / max(1, cpus)) * (blocks + 1)

    return min(range(1, 9), key=time)


@dataclass(frozen=True)
class _Tables:
    """How blocks become rows."""

    rows: Rows
    encoding: str
    chunk_size: int
    include_paths: bool

    def read(
        self, fs: AbstractFileSystem, path: str, span: _Span | range, options: dict[str, Any]
    ) -> Iterator[pyarrow.Table]:
        with _open(fs, path, options) as archive:
            if isinstance(span, range):
                columns = self.lines(archive.read_records(span.start, span.stop))
            elif self.rows == "bytes":
                columns = self._chunks(archive, span)
            else:
                columns = self.lines(_lines_of(archive, span))
        count = len(next(iter(columns.values())))
        if self.include_paths:
            columns["path"] = pyarrow.array([path] * count, pyarrow.string())
        if count:
            yield pyarrow.table(columns)

    def _chunks(self, archive: lmic.Archive, span: _Span) -> dict[str, pyarrow.Array]:
        content = memoryview(archive.read(span.start, span.stop))
        chunks, offsets = [], []
        for start, stop in zip((span.start, *span.stops), span.stops, strict=False):
            for offset in range(start, stop, self.chunk_size):
                at = offset - span.start
                chunks.append(content[at : min(at + self.chunk_size, stop - span.start)])
                offsets.append(offset)
        return {
            "bytes": pyarrow.array(chunks, pyarrow.large_binary()),
            "offset": pyarrow.array(offsets, pyarrow.int64()),
        }

    def lines(self, content: bytes) -> dict[str, pyarrow.Array]:
        lines = content.split(b"\n")
        # Behind the last line feed there is no line.
        if not lines[-1]:
            lines.pop()
        if self.rows == "records":
            return {"record": pyarrow.array(lines, pyarrow.large_binary())}
        text = [line.decode(self.encoding) for line in lines]
        return {"text": pyarrow.array(text, pyarrow.large_string())}


def _lines_of(archive: lmic.Archive, span: _Span) -> bytes:
    """The lines that begin in a span, but for its first byte, and right behind it: as only decoding tells whether a line begins
    with a block, it is left to the task that reads the end of the line before."""
    content = archive.read(span.start, span.stop)
    if span.start > 0:
        _, line_feed, content = content.partition(b"\n")
        if not line_feed:
            return b""
    pieces = [content]
    for block in _blocks(archive):
        if block.start >= span.stop:
            line, line_feed, _ = archive.read(block.start, block.stop).partition(b"\n")
            pieces.append(line + line_feed)
            if line_feed:
                break
    return b"".join(pieces)


def write_lmic(
    dataset: ray.data.Dataset,
    path: str,
    column: str = "text",
    level: int | None = None,
    *,
    separator: bytes = b"\n",
    concurrency: int | None = None,
    **options: Any,
) -> None:
    """Writes a column of strings or bytes to archives in the folder `path`, one for each write task, each value with the
    `separator` behind it. What has the separator in it is an error, unless that is empty.

    The archives stand in a hidden folder until all are complete, and the folder must be empty before. Options are those of
    `lmic.open`.
    """
    sink = LmicDatasink(path, column, level, separator, options)
    dataset.write_datasink(sink, concurrency=concurrency)


class LmicDatasink(Datasink[tuple[str, str] | None]):
    """What `write_lmic` writes, for `Dataset.write_datasink`."""

    def __init__(
        self,
        path: str,
        column: str = "text",
        level: int | None = None,
        separator: bytes = b"\n",
        options: dict[str, Any] | None = None,
    ) -> None:
        self._fs, path = fsspec.url_to_fs(path)
        self._path = path.rstrip("/")
        self._temporary = f"{self._path}/.{uuid.uuid4().hex[:8]}.part"
        self._column, self._separator = column, separator
        self._options = {"threads": 1} | (options or {})
        if level is not None:
            self._options["level"] = level
        if self._fs.exists(self._path) and self._fs.ls(self._path):
            raise FileExistsError(f"{path} is not empty")

    def on_write_start(self, schema: pyarrow.Schema | None = None) -> None:
        """Makes the folders."""
        self._fs.makedirs(self._temporary, exist_ok=True)

    def write(self, blocks: Iterable[Block], ctx: Any) -> tuple[str, str] | None:
        """Writes one archive; returns its temporary and its last name."""
        values = (value for block in blocks for value in self._values(block))
        first = next(values, None)
        if first is None:
            return None
        # A task that is run again, because its node seemed to be dead, does not meet itself.
        temporary = f"{self._temporary}/{uuid.uuid4().hex}"
        with (
            self._fs.open(temporary, "wb") as file,
            lmic.open(file, "wb", **self._options) as archive,
        ):
            archive.write(first)
            for value in values:
                archive.write(value)
        return temporary, f"{self._path}/part-{ctx.task_idx:06}.lmic"

    def _values(self, block: Block) -> Iterator[bytes]:
        column = BlockAccessor.for_block(block).to_arrow().column(self._column)
        for value in column.to_pylist():
            data = value.encode() if isinstance(value, str) else bytes(value)
            if self._separator and self._separator in data:
                raise ValueError(
                    f"a value of {self._column} has the separator {self._separator!r} in it"
                )
            yield data + self._separator

    def on_write_complete(self, write_result: WriteResult[tuple[str, str] | None]) -> None:
        """Gives all archives their names."""
        for written in write_result.write_returns:
            if written:
                self._fs.mv(*written)
        self.on_write_failed(None)

    def on_write_failed(self, error: Exception | None) -> None:
        """Removes what is not complete."""
        if self._fs.exists(self._temporary):
            self._fs.rm(self._temporary, recursive=True)


def score(
    dataset: ray.data.Dataset,
    column: str = "text",
    level: int | None = None,
    *,
    below: float | None = None,
    above: float | None = None,
    name: str = "bits_per_byte",
    batch_size: int = 256,
    concurrency: int | None = None,
    **options: Any,
) -> ray.data.Dataset:
    """The dataset with the bits per byte of a column as another, as `lmic.score` has them; of rows `below` and `above` a limit only.

    Tasks do it, with one CPU each. A worker loads the model once.
    """
    return dataset.map_batches(
        functools.partial(
            _score,
            column=column,
            level=level,
            below=below,
            above=above,
            name=name,
            options={"threads": 1} | options,
        ),
        batch_size=batch_size,
        batch_format="pyarrow",
        concurrency=concurrency,
    )


def _score(
    batch: pyarrow.Table,
    *,
    column: str,
    level: int | None,
    below: float | None,
    above: float | None,
    name: str,
    options: dict[str, Any],
) -> pyarrow.Table:
    if "model" in options:
        options = options | {"model": _model(options["model"])}
    scores = lmic.score_batch(batch.column(column).to_pylist(), level, **options)
    kept = [
        (below is None or score < below) and (above is None or score > above) for score in scores
    ]
    return batch.append_column(name, pyarrow.array(scores, pyarrow.float64())).filter(
        pyarrow.array(kept, pyarrow.bool_())
    )


@functools.lru_cache(maxsize=1)
def _model(path: str) -> lmic.Model:
    return lmic.load_model(path)
