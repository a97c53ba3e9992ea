"""Tar archives in lmic files: `tarfile` with modes `"r:lmic"`, `"w:lmic"` and `"x:lmic"`, and `.tar.lmic` in `shutil`.

>>> import io, lmic.tarfile
>>> file = io.BytesIO()
>>> with lmic.tarfile.open(fileobj=file, mode="w:lmic", level=1) as tar:
...     tar.addfile(lmic.tarfile.TarInfo("empty.txt"))
>>> _ = file.seek(0)
>>> with lmic.tarfile.open(fileobj=file) as tar:
...     tar.getnames()
['empty.txt']

Importing this module makes `shutil.make_archive(base, "lmictar", folder)` write `base.tar.lmic`, and `shutil.unpack_archive`
read it. A tar archive is read member by member: with a small `block_size`, only the blocks that hold a member are decoded.

`lmic.tarfile.open(path, "w")` writes a plain tar archive, whatever the name, as the standard library's: only `":lmic"` compresses.
`shutil.make_archive` writes at the default level.

For pipes, put the two layers together: `tarfile.open(fileobj=lmic.open(pipe, "wb"), mode="w|")`.
"""

from __future__ import annotations

import inspect
import os
import shutil
import tarfile
from tarfile import TarInfo
from typing import Any

import lmic

__all__ = ["TarFile", "TarInfo", "is_tarfile", "open"]

# The keywords of `tarfile.TarFile`; all others are lmic's.
_OF_TAR = set(inspect.signature(tarfile.TarFile).parameters)


class TarFile(tarfile.TarFile):
    """A `tarfile.TarFile` that also opens lmic files: by mode, and by their first bytes when `mode` is `"r"`."""

    OPEN_METH = {**tarfile.TarFile.OPEN_METH, "lmic": "lmicopen"}

    @classmethod
    def lmicopen(
        cls,
        name: Any,
        mode: Any = "r",
        fileobj: Any = None,
        **options: Any,
    ) -> TarFile:
        """Opens a tar archive in the lmic file `name` or `fileobj`; `mode` is `"r"`, `"w"` or `"x"`.

        Options are those of `lmic.open` (`level`, `threads`, `block_size`, `model`, `primed` ...) and of `tarfile.TarFile`.
        """
        if mode not in ("r", "w", "x"):
            raise ValueError("mode must be 'r', 'w' or 'x'")
        of_tar = {key: options.pop(key) for key in _OF_TAR & options.keys()}
        file = lmic.LmicFile(fileobj or name, mode, **options)
        try:
            tar: Any = cls.taropen(name, mode, file, **of_tar)
        except BaseException as error:
            file._abandon()
            if mode == "r" and isinstance(error, (lmic.LmicError, EOFError)):
                raise tarfile.ReadError("not an lmic file") from error
            raise
        tar._extfileobj = False  # closing the archive closes `file`, as the standard library's gzopen does it
        return tar  # type: ignore[no-any-return]

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        # If the body of a `with` statement raises, the archive is left without its end, as `lmic.LmicFile` leaves it.
        if kind is not None and isinstance(self.fileobj, lmic.LmicFile):
            self.fileobj.__exit__(kind, error, trace)
        super().__exit__(kind, error, trace)


def open(name: Any = None, mode: str = "r", fileobj: Any = None, **options: Any) -> TarFile:
    """Opens a tar archive as `tarfile.open` does; `mode` may also be `"r:lmic"`, `"w:lmic"` or `"x:lmic"`.

    With these, `options` are those of `TarFile.lmicopen`, else those of the standard library.
    """
    return TarFile.open(name, mode, fileobj, **options)  # type: ignore[call-overload,no-any-return]


def is_tarfile(name: Any) -> bool:
    """Whether `open` can read `name`, a path or an open file, as `tarfile.is_tarfile`."""
    try:
        if hasattr(name, "read"):
            position = name.tell()
            open(fileobj=name).close()
            name.seek(position)
        else:
            open(name).close()
    except tarfile.TarError:
        return False
    return True


def _make_archive(
    base_name: str,
    base_dir: str,
    root_dir: str | None = None,
    dry_run: bool = False,
    logger: Any = None,
    owner: str | None = None,
    group: str | None = None,
) -> str:
    """Writes the folder `base_dir` to `base_name + ".tar.lmic"` for `shutil.make_archive`, and returns that name."""
    path = base_name + ".tar.lmic"
    if logger is not None:
        logger.info("creating %s", path)
    if not dry_run:
        os.makedirs(os.path.dirname(path) or os.curdir, exist_ok=True)
        with open(path, "w:lmic") as tar:
            tar.add(os.path.join(root_dir or "", base_dir), base_dir, filter=_owned_by(owner, group))
    return os.path.abspath(path) if root_dir is not None else path


# From Python 3.10.6 on, shutil then passes the root instead of changing the process's folder.
_make_archive.supports_root_dir = True  # type: ignore[attr-defined]


def _owned_by(owner: str | None, group: str | None) -> Any:
    """A filter for `TarFile.add` that gives members another owner."""

    def change(member: TarInfo) -> TarInfo:
        if owner is not None:
            import pwd  # not on Windows

            member.uname, member.uid = owner, pwd.getpwnam(owner).pw_uid
        if group is not None:
            import grp

            member.gname, member.gid = group, grp.getgrnam(group).gr_gid
        return member

    return change


def _unpack_archive(filename: str, extract_dir: str, filter: Any = None) -> None:
    """Unpacks `filename` into `extract_dir` for `shutil.unpack_archive`.

    Members outside of `extract_dir` are refused where Python can do so (filter "data"), unless `filter` says otherwise.
    """
    try:
        tar = open(filename, "r:lmic")
    except tarfile.TarError as error:
        raise shutil.ReadError(f"{filename} is not a tar archive in an lmic file") from error
    with tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(extract_dir, filter=filter or "data")
        else:  # Python 3.10.0 to 3.10.11 and 3.11.0 to 3.11.3
            tar.extractall(extract_dir)


shutil.register_archive_format("lmictar", _make_archive, description="tar archive in an lmic file")
shutil.register_unpack_format("lmictar", [".tar.lmic"], _unpack_archive, description="tar archive in an lmic file")
