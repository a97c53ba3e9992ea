"""The extension module."""

import os
from typing import TypedDict

from typing_extensions import Buffer, Unpack

DEFAULT_LEVEL: int
MAX_LEVEL: int
__version__: str

StrPath = str | os.PathLike[str]

class DecodeOptions(TypedDict, total=False):
    threads: int
    memory: int | str | None
    model: StrPath | None
    primed: StrPath | None

class EncodeOptions(DecodeOptions, total=False):
    block_size: int | str | None
    content: str | None
    alone: bool
    records: bool

def compress(data: Buffer, level: int | None = None, **options: Unpack[EncodeOptions]) -> bytes: ...
def decompress(
    data: Buffer, *, max_length: int = -1, **options: Unpack[DecodeOptions]
) -> bytes: ...
