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

class Planner:
    """Makes tasks from the input of one stream. Options are those of `compress`."""

    def __init__(self, level: int | None = None, **options: Unpack[EncodeOptions]) -> None: ...
    @property
    def block_size(self) -> int:
        """Bytes of content in a full block."""
    @property
    def block_memory(self) -> int:
        """Bytes of memory that coding a full block takes."""
    @property
    def block_threads(self) -> int:
        """Threads that coding a full block keeps busy."""
    @property
    def content_hash(self) -> bytes:
        """Hash of the content of all tasks so far, 16 bytes."""
    def push(self, data: Buffer) -> list[Task]:
        """Takes input; returns the blocks that are full."""
    def finish(self) -> list[Task]:
        """Returns the blocks of what is left. The last of them is the last of the stream."""

class Task:
    """A block to be coded, which can be pickled. Its code depends on nothing but this and the models that it names."""

    def __init__(self, data: bytes) -> None: ...
    def __bytes__(self) -> bytes: ...
    @property
    def number(self) -> int:
        """Number of the block in its stream, from 0."""
    @property
    def last(self) -> bool:
        """Whether the stream ends with this block."""
    @property
    def raw_len(self) -> int:
        """Bytes of content."""
    def encode(self, **options: Unpack[DecodeOptions]) -> CodedBlock:
        """Codes the block. It needs what a decoder of it needs: `model` and `primed` where the stream has one."""

class CodedBlock:
    """A block ready to be written, which can be pickled."""

    def __init__(self, data: bytes) -> None: ...
    def __bytes__(self) -> bytes: ...
    @property
    def number(self) -> int:
        """Number of the block in its stream, from 0."""
    @property
    def raw_len(self) -> int:
        """Bytes of content."""
    @property
    def coded_len(self) -> int:
        """Bytes of payload."""

class StreamWriter:
    """Puts the coded blocks of the planner's stream together."""

    def __init__(self, planner: Planner) -> None: ...
    def write(self, block: CodedBlock) -> bytes:
        """The bytes of the block that comes next. `InvalidArgumentError` if it is another one."""
    def finish(self, content_hash: bytes) -> bytes:
        """What ends the stream. `InvalidArgumentError` if its last block was not written."""
