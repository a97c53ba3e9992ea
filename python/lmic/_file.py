"""Archives as files."""

from __future__ import annotations

import builtins
import codecs
import errno
import io
import operator
import os
import threading
import warnings
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar, cast, overload

from lmic._errors import InputOutputError
from lmic._lmic import LmicCompressor, Reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import BinaryIO

    from typing_extensions import Buffer, Self, Unpack

    from lmic._lmic import OpenOptions, StrPath, WriteOptions

    class FileOptions(WriteOptions, OpenOptions, total=False):
        """Those of both directions."""

__all__ = ["LmicFile", "open"]

# What is read at once when less is asked for.
_BUFFER_SIZE = 128 << 10

# What files of the age format begin with.
_ENCRYPTED = b"age-encryption.org/"

# The furthest place that `io` knows.
_MAX_PLACE = (1 << 63) - 1

_T = TypeVar("_T")

_WRONG_ARGUMENT = (TypeError, ValueError, OverflowError, BufferError)


def _is_encrypted(path: str | bytes) -> bool:
    try:
        with builtins.open(path, "rb") as file:
            return file.read(len(_ENCRYPTED)) == _ENCRYPTED
    except OSError:  # it may be for writing only
        return False


class _Raw(io.RawIOBase):
    """The content, without a buffer."""

    def __init__(self, file: BinaryIO, options: OpenOptions) -> None:
        self._reader = Reader(file, **options)
        self.is_lost = False  # whether what was read last may not have reached the caller

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._reader.seekable

    def check(self) -> None:
        if self.is_lost:
            raise InputOutputError(
                "a read or seek has failed: only a seek from the start or end goes on"
            )

    def readinto(self, buffer: Any) -> int:
        self.check()
        try:
            with memoryview(buffer) as view, view.cast("B") as memory:
                content = self._reader.read(len(memory))
                memory[: len(content)] = content
                return len(content)
        except BaseException:
            self.is_lost = True
            raise

    def tell(self) -> int:
        return self._reader.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            self._reader.seek(offset)  # LmicFile has turned other places into those from the start
            self.is_lost = False
            return offset
        except BaseException:
            self.is_lost = True
            raise

    def length(self) -> int:
        try:
            return self._reader.raw_len()
        except BaseException:
            self.is_lost = True
            raise


class LmicFile(io.BufferedIOBase):
    """A file object whose content is compressed, as `lzma.LZMAFile`: bytes go in and come out.

    `file` is a path, or an open file object that stays open. `mode` is "r", "w" (writes over what is there), "x" (fails if
    there is a file) or "a" (appends a stream; archives may be concatenated), with or without a "b".

    Reading checks each block before any byte of it comes out, and goes through all streams. With a seekable file beneath,
    `seek` uses the index: it takes the time to decode the block that it leads to. What is read after a seek is not compared
    with the hash of the whole stream, as that needs all of it. After a read that failed or was interrupted (Ctrl-C), what it had
    read is lost: reading goes on only after a seek to a place from the start or the end.

    Writing: the archive gets its end when it is closed. If the body of a `with` statement raises, or a write fails or is
    interrupted, or nobody closes the file, it is left without its end, and does not look complete (`lzma.LZMAFile` ends it);
    `close` raises if an earlier write failed. A file that was appended to is as long as before then, if it was opened by its
    path and seeks. A file beneath that does not block has to take all bytes, else the write fails with `BlockingIOError`.
    Threads may share a file; a process that forks may use it only in the parent.

    >>> import io, lmic
    >>> file = io.BytesIO()
    >>> with lmic.LmicFile(file, "w", level=1) as archive:
    ...     archive.write(b"to be or not to be")
    18
    >>> _ = file.seek(0)
    >>> with lmic.LmicFile(file) as archive:
    ...     _ = archive.seek(-5, io.SEEK_END)
    ...     archive.read()
    b'to be'
    """

    def __init__(
        self,
        file: StrPath | BinaryIO,
        mode: str = "r",
        *,
        level: int | None = None,
        **options: Any,
    ) -> None:
        self._file: BinaryIO | None = None
        self._owns_file = False
        self._lock = threading.RLock()
        self._raw: _Raw | None = None
        self._buffer: io.BufferedReader | None = None
        self._compressor: LmicCompressor | None = None
        self._written = 0
        self._start: int | None = None  # the length of the file before it was appended to
        self._is_broken = False
        self._is_abandoned = False
        kind = mode.replace("b", "", 1)
        if kind not in {"r", "w", "x", "a"}:
            raise ValueError(f"mode {mode!r}; r, w, x and a are allowed, with or without b")
        if kind == "r" and level is not None:
            raise ValueError("a level is for writing")
        if kind == "a" and not {"recipients", "passphrase"}.isdisjoint(options):
            raise ValueError("nothing can be appended to an encrypted file")
        compressor = None if kind == "r" else LmicCompressor(level, **options)
        if isinstance(file, str | bytes | os.PathLike):
            # What is written comes in blocks, and a buffer would keep what failed and write it later.
            buffering = -1 if kind == "r" else 0
            self._file = cast("BinaryIO", builtins.open(file, kind + "b", buffering))
            self._owns_file = True
            self.name = os.fspath(file)
        elif hasattr(file, "read" if kind == "r" else "write"):
            self._file = file
        else:
            raise TypeError("a path, or a file object that can be read or written, is needed")
        try:
            if kind == "r":
                self._raw = _Raw(self._file, cast("OpenOptions", options))
                self._buffer = io.BufferedReader(self._raw, _BUFFER_SIZE)
            elif kind == "a" and self._owns_file and self._file.seekable():
                if _is_encrypted(self.name):
                    raise ValueError("nothing can be appended to an encrypted file")
                self._start = self._file.seek(0, io.SEEK_END)
        except BaseException:
            self._close_file()
            raise
        self._compressor = compressor
        self.mode = "rb" if kind == "r" else "wb"

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is not None and self._owns_file:
            file.close()

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._file is None

    def close(self) -> None:
        """Ends the archive, if it was written, and closes the file if it was opened by its path."""
        with self._lock:
            if self._file is None:
                return
            try:
                if self._compressor is not None and not self._is_broken:
                    self._is_broken = True
                    self._put(self._compressor.flush())
                    self._is_broken = False
                if self._buffer is not None:
                    self._buffer.close()
            finally:
                is_told = self._is_broken and not self._is_abandoned
                self._compressor = self._buffer = self._raw = None
                try:
                    if self._is_broken and self._start is not None and self._file is not None:
                        self._file.truncate(self._start)
                finally:
                    self._close_file()
            if is_told:
                raise InputOutputError("the archive is not complete, as an earlier write failed")

    def _abandon(self) -> None:
        """Closes without the end of the archive."""
        with self._lock:
            if self._compressor is not None:
                self._is_broken = self._is_abandoned = True
            self.close()

    def __del__(self) -> None:
        if self.__dict__.get("_file") is None:
            return
        try:
            if self._compressor is not None:
                message = f"{self!r} was not closed: the archive is not complete"
                warnings.warn(message, ResourceWarning, stacklevel=2, source=self)
        finally:
            self._abandon()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._abandon()

    def _open(self) -> BinaryIO:
        if self._file is None:
            raise ValueError("I/O operation on closed file")
        return self._file

    def _reading(self) -> io.BufferedReader:
        self._open()
        if self._buffer is None:
            raise io.UnsupportedOperation("the file was not opened for reading")
        return self._buffer

    def readable(self) -> bool:
        """Whether the file was opened for reading."""
        self._open()
        return self._buffer is not None

    def writable(self) -> bool:
        """Whether the file was opened for writing."""
        self._open()
        return self._compressor is not None

    def seekable(self) -> bool:
        """Whether the file can be read from any place."""
        return self.readable() and self._reading().seekable()

    def fileno(self) -> int:
        """The descriptor of the file beneath, whose bytes are compressed."""
        return self._open().fileno()

    def _take(self, read: Callable[[io.BufferedReader], _T], *, is_seek: bool = False) -> _T:
        """What `read` takes of the content, while other threads wait. After a failure there must be a seek before it."""
        with self._lock:
            try:
                buffer = self._reading()
                if self._raw is not None and not is_seek:
                    self._raw.check()
                return read(buffer)
            except BaseException as error:
                # What the buffer had of the piece is lost, unless it was an argument that was wrong.
                if self._raw is not None and not isinstance(error, _WRONG_ARGUMENT):
                    self._raw.is_lost = True
                raise

    def peek(self, size: int = -1) -> bytes:
        """Bytes that come next, without passing them: at least one, unless the content ends."""
        return self._take(lambda content: content.peek(size))

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes of content; all that is left if it is negative or None."""
        return self._take(lambda content: content.read(size))

    def read1(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, with at most one read of the content."""
        return self._take(lambda content: content.read1(_BUFFER_SIZE if size < 0 else size))

    def readinto(self, buffer: Buffer, /) -> int:
        """Fills `buffer`; returns the number of bytes."""
        return self._take(lambda content: content.readinto(buffer))

    def readinto1(self, buffer: Buffer, /) -> int:
        """As `readinto`, with at most one read of the content."""
        return self._take(lambda content: content.readinto1(buffer))

    def readline(self, size: int | None = -1, /) -> bytes:
        """The next line, with its line feed."""
        return self._take(lambda content: content.readline(size))

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Goes to a place of the content; returns it. Only for reading. A place that there cannot be changes nothing."""
        with self._lock:
            self._reading()
            raw = self._raw
            if raw is None or not raw.seekable():
                raise io.UnsupportedOperation("the file beneath does not seek")
            place = operator.index(offset)
            if whence == io.SEEK_CUR:
                place += self.tell()
            elif whence == io.SEEK_END:
                place += raw.length()
            elif whence != io.SEEK_SET:
                raise ValueError(f"whence {whence!r}; 0, 1 and 2 are allowed")
            if not 0 <= place <= _MAX_PLACE:
                raise ValueError(f"place {place} of the content")
            if raw.is_lost:
                # The buffer may hold something else than it knows of.
                buffer, self._buffer = self._buffer, io.BufferedReader(raw, _BUFFER_SIZE)
                if buffer is not None:
                    buffer.detach()
            return self._take(lambda content: content.seek(place), is_seek=True)

    def tell(self) -> int:
        """The place in the content."""
        self._open()
        with self._lock:
            return self._written if self._buffer is None else self._take(lambda content: content.tell())

    def write(self, data: Buffer, /) -> int:
        """Compresses `data`; returns the number of its bytes. They may reach the file only when it is closed."""
        with self._lock:
            self._open()
            if self._compressor is None:
                raise io.UnsupportedOperation("the file was not opened for writing")
            if self._is_broken:
                raise ValueError("an earlier write failed, and the archive cannot go on")
            if getattr(getattr(data, "dtype", None), "kind", None) in {"m", "M"}:
                data = cast("Any", data).view("i8")  # numpy exports no memory of times
            length = memoryview(data).nbytes  # what has no bytes is refused before anything is done
            self._is_broken = True
            self._put(self._compressor.compress(data))
            self._is_broken = False
            self._written += length
            return length

    def _put(self, coded: bytes) -> None:
        file = self._open()
        while coded:
            written: int | None = file.write(coded)
            if self._file is not file:
                raise ValueError("the file was closed while it was written to")
            if written is None and isinstance(file, io.RawIOBase):
                raise BlockingIOError(errno.EAGAIN, "the file beneath would block")
            # A raw file may take a part, and other objects may not say what they took.
            written = len(coded) if written is None else written
            if not 0 < written <= len(coded):
                raise InputOutputError(f"the file beneath says it took {written} of {len(coded)} bytes")
            coded = coded[written:]

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("an LmicFile cannot be pickled: it is an open file")


_Binary = Literal["r", "rb", "w", "wb", "x", "xb", "a", "ab"]
_Text = Literal["rt", "wt", "xt", "at"]


@overload
def open(
    file: StrPath | BinaryIO,
    mode: _Binary = "rb",
    *,
    level: int | None = None,
    encoding: None = None,
    errors: None = None,
    newline: None = None,
    **options: Unpack[FileOptions],
) -> LmicFile: ...
@overload
def open(
    file: StrPath | BinaryIO,
    mode: _Text,
    *,
    level: int | None = None,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    **options: Unpack[FileOptions],
) -> io.TextIOWrapper: ...
@overload
def open(
    file: StrPath | BinaryIO,
    mode: str,
    *,
    level: int | None = None,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    **options: Unpack[FileOptions],
) -> LmicFile | io.TextIOWrapper: ...
def open(
    file: StrPath | BinaryIO,
    mode: str = "rb",
    *,
    level: int | None = None,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    **options: Any,
) -> LmicFile | io.TextIOWrapper:
    """Opens an archive as a file: an `LmicFile`, or with a "t" in `mode` a text file, as the built-in `open`.

    `level` and options of an encoder are for writing, those of a decoder for reading: see `compress` and `decompress`.
    """
    if "t" not in mode:
        if (encoding, errors, newline) != (None, None, None):
            raise ValueError("encoding, errors and newline are for text modes")
        return LmicFile(file, mode, level=level, **options)
    if "b" in mode:
        raise ValueError(f"mode {mode!r} is text and binary at once")
    encoding = io.text_encoding(encoding)
    # What is wrong with these arguments shows before a file is written over.
    with io.TextIOWrapper(io.BytesIO(), encoding, errors, newline) as trial:
        order_mark = "".encode(trial.encoding)
        name = codecs.lookup(trial.encoding).name
    if order_mark and "a" in mode:
        raise ValueError(f"{name} begins with a byte order mark, so nothing is appended in it; utf-16-le, for one, has none")
    binary = LmicFile(file, mode.replace("t", "", 1), level=level, **options)
    if name in {"utf-16", "utf-32"} and binary.writable():
        binary.write(order_mark)  # TextIOWrapper leaves it out where it cannot seek
    return _TextFile(binary, encoding, errors, newline)


class _TextFile(io.TextIOWrapper):
    """A text file over an archive, which is left without its end when an `LmicFile` would be."""

    def _abandon(self) -> None:
        cast("LmicFile", self.buffer)._abandon()

    def close(self) -> None:
        if self.closed:
            return
        try:
            self.flush()
        except BaseException:
            self._abandon()
            raise
        super().close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._abandon()

    def __del__(self) -> None:
        # Without this, it would close the archive as if all had been written.
        if isinstance(binary := getattr(self, "buffer", None), LmicFile):
            binary.__del__()
