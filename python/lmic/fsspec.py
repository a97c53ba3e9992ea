"""The compression `"lmic"` of fsspec: pandas, dask, pyarrow and others read and write `.lmic` files by URL.

>>> import fsspec, lmic.fsspec
>>> with fsspec.open("memory://notes.txt.lmic", "wt", compression="lmic-1") as file:
...     _ = file.write("to be, or not to be")
>>> with fsspec.open("memory://notes.txt.lmic", "rt", compression="infer") as file:
...     file.read()
'to be, or not to be'

Importing this module registers the compression: fsspec looks for none by itself. Files that end in `.lmic` are then recognised
where a caller asks fsspec to infer the compression, also in chains as `tar://member::s3://bucket/archive.tar.lmic`. Names with a
level, `"lmic-1"` to `"lmic-9"`, write with that level; `"lmic"` writes with the default.

`LmicFileSystem` is for callers that know nothing of compressions, and for those that read parts of files.
"""

from __future__ import annotations

import io
import os
import shutil
from typing import Any

import fsspec
from fsspec.compression import register_compression
from fsspec.implementations.chained import ChainedFileSystem

import lmic

__all__ = ["LmicFileSystem"]


class _Name(str):
    """The compression's name as fsspec infers it. Where it is unpickled, in a worker of dask for example, it registers itself."""

    def __reduce__(self) -> Any:
        return _name, ()


def _name() -> _Name:
    return _Name("lmic")


def _opener(level: int) -> Any:
    def open(file: Any, mode: str = "rb", **options: Any) -> lmic.LmicFile:
        if "r" not in mode:
            options.setdefault("level", level)
        return lmic.LmicFile(file, mode.replace("b", "") + "b", **options)

    return open


register_compression(_name(), _opener(lmic.DEFAULT_LEVEL), "lmic", force=True)
for _level in range(1, lmic.MAX_LEVEL + 1):
    register_compression(f"lmic-{_level}", _opener(_level), [], force=True)


# Parameters of every file system of fsspec, and of its `open`.
_OF_ANY_FILE_SYSTEM = {"asynchronous", "batch_size", "listings_expiry_time", "loop", "max_paths", "use_listings_cache"}
_OF_ANY_OPEN = {"autocommit", "block_size", "cache_options", "cache_type", "size"}
_FOR_READING = {"memory", "model", "primed", "threads"}


class LmicFileSystem(ChainedFileSystem):
    """Another file system, whose files that end in `.lmic` are decoded as they are read, and coded as they are written.

    It is found as the protocol `lmic` without importing lmic first, and stands before another: `lmic::file:///data`,
    `lmic::s3://bucket`. Paths are those of the other file system; a caller that infers a compression from them must be told
    that there is none. Sizes are those of the content; where a folder is listed, they are left out (None), as each would take
    opening its file. Reading a part decodes only the blocks that hold it, so a large file that is read in parts is best written
    with a small `block_size`.

    Parameters
    ----------
    fs
        The other file system; else `target_protocol` and `target_options` name it, as a chain of URLs does.
    options
        Those of `lmic.open`: `level`, `block_size` and so on for writing; `threads`, `memory`, `model` and `primed` for reading, too.
        A model and a primed state are opened once. What a single `open` of the file system is given comes before them.
        Before the file system called memory, fsspec takes `memory` for options of that: pass `lmic={"memory": ...}` there.
    """

    protocol = "lmic"

    def __init__(
        self,
        fs: Any = None,
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        fo: str | None = None,  # the path that a chain of URLs names; every call has it, too
        **options: Any,
    ) -> None:
        super().__init__(**{name: options.pop(name) for name in _OF_ANY_FILE_SYSTEM & options.keys()})
        self.fs = fsspec.filesystem(target_protocol, **(target_options or {})) if fs is None else fs
        for name, load in [("model", lmic.load_model), ("primed", lmic.Primed.load)]:
            if isinstance(options.get(name), (str, os.PathLike)):
                options[name] = load(options[name])
        lmic.LmicCompressor(**options)  # refuses what it does not know
        self._options = options

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        given = {name: option for name, option in options.items() if name not in _OF_ANY_OPEN}
        own = {name: option for name, option in self._options.items() if "r" not in mode or name in _FOR_READING}
        file = self.fs.open(path, mode)
        if not path.endswith(".lmic"):
            return file
        try:
            return _OwnedFile(file, mode, **(own | given))
        except BaseException:
            file.close()
            raise

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        found = self.fs.ls(path, detail=detail, **options)
        if detail:
            return [{**entry, "size": None} if _is_coded(entry) else entry for entry in found]
        return found

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        entry = self.fs.info(path, **options)
        if _is_coded(entry):
            with self.fs.open(path, "rb") as file, lmic.Archive(file) as archive:
                return {**entry, "size": archive.raw_len}
        return entry

    # What needs no size does not open the files.

    def exists(self, path: str, **options: Any) -> bool:
        return self.fs.exists(path, **options)

    def isfile(self, path: str) -> bool:
        return self.fs.isfile(path)

    def isdir(self, path: str) -> bool:
        return self.fs.isdir(path)

    def created(self, path: str) -> Any:
        return self.fs.created(path)

    def modified(self, path: str) -> Any:
        return self.fs.modified(path)

    def mkdir(self, path: str, create_parents: bool = True, **options: Any) -> None:
        self.fs.mkdir(path, create_parents, **options)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        self.fs.makedirs(path, exist_ok)

    def rmdir(self, path: str) -> None:
        self.fs.rmdir(path)

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        self.fs.rm(path, recursive=recursive, maxdepth=maxdepth)

    def rm_file(self, path: str) -> None:
        self.fs.rm_file(path)

    def cp_file(self, path1: str, path2: str, **options: Any) -> None:
        if path1.endswith(".lmic") != path2.endswith(".lmic"):
            with self.open(path1, "rb") as source, self.open(path2, "wb") as target:
                shutil.copyfileobj(source, target)
        else:
            self.fs.cp_file(path1, path2, **options)


class _OwnedFile(lmic.LmicFile):
    """A file that closes the one beneath as well, and has a size."""

    def __init__(self, file: Any, mode: str, **options: Any) -> None:
        self._beneath = file
        super().__init__(file, mode, **options)

    @property
    def size(self) -> int:
        """Bytes of content, which callers of fsspec look for."""
        position = self.tell()
        size = self.seek(0, io.SEEK_END)
        self.seek(position)
        return size

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._beneath.close()


def _is_coded(entry: dict[str, Any]) -> bool:
    return entry["type"] == "file" and entry["name"].endswith(".lmic")
