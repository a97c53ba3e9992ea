"""The extension module."""

import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO, TypedDict, final

import numpy
import numpy.typing
from typing_extensions import Buffer, Self, Unpack

DEFAULT_LEVEL: int
MAX_LEVEL: int
BEST_LEVEL: int
__version__: str

StrPath = str | os.PathLike[str]

class DecodeOptions(TypedDict, total=False):
    threads: int
    memory: int | str | None
    model: Model | StrPath | None
    primed: Primed | tuple[str, Primed] | StrPath | None

class OpenOptions(DecodeOptions, total=False):
    identities: StrPath | bytes | Sequence[StrPath | bytes] | None
    passphrase: str | None

class EncodeOptions(DecodeOptions, total=False):
    block_size: int | str | None
    content: str | None
    alone: bool
    context: int
    overlap: int
    lanes: int
    records: bool

class WriteOptions(EncodeOptions, total=False):
    recipients: str | Sequence[str] | None
    passphrase: str | None
    pad: bool | None

def compress(data: Buffer, level: int | None = None, **options: Unpack[WriteOptions]) -> bytes: ...
def decompress(data: Buffer, *, max_length: int = -1, **options: Unpack[OpenOptions]) -> bytes: ...

@final
class LmicCompressor:
    def __new__(cls, level: int | None = None, **options: Unpack[WriteOptions]) -> Self: ...
    def compress(self, data: Buffer) -> bytes: ...
    def flush(self) -> bytes: ...

@final
class LmicDecompressor:
    def __new__(cls, **options: Unpack[DecodeOptions]) -> Self: ...
    def decompress(self, data: Buffer, max_length: int = -1) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...

@final
class Archive:
    def __new__(cls, source: StrPath | Buffer | BinaryIO, **options: Unpack[OpenOptions]) -> Self: ...
    @property
    def raw_len(self) -> int: ...
    @property
    def coded_len(self) -> int: ...
    @property
    def streams(self) -> list[Stream]: ...
    @property
    def blocks(self) -> list[Block]: ...
    def read(self, start: int = 0, stop: int | None = None) -> bytes: ...
    def __len__(self) -> int: ...
    def __getitem__(self, range: slice, /) -> bytes: ...
    @property
    def records(self) -> int: ...
    def record(self, number: int) -> bytes: ...
    def read_records(self, start: int = 0, stop: int | None = None) -> bytes: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: object, error: object, trace: object) -> None: ...

@final
class Stream:
    @property
    def version(self) -> int:
        """Version of the format."""
    @property
    def model(self) -> str:
        """What it is coded with, as `lmic list` has it."""
    @property
    def file_offset(self) -> int:
        """Where its first byte is in the file."""
    @property
    def file_len(self) -> int:
        """Bytes that it takes in the file."""
    @property
    def raw_len(self) -> int:
        """Bytes of content."""
    @property
    def content_hash(self) -> bytes | None:
        """The first 16 bytes of the BLAKE3 of its content; None if it has a single block, whose check covers all."""
    @property
    def blocks(self) -> list[Block]:
        """Its blocks, in order."""

@final
class Block:
    @property
    def raw_offset(self) -> int:
        """Where its content begins in that of the archive."""
    @property
    def raw_len(self) -> int:
        """Bytes of content."""
    @property
    def file_offset(self) -> int:
        """Where its header is in the file."""
    @property
    def coded_len(self) -> int:
        """Bytes of code, without header."""
    @property
    def literals(self) -> int:
        """Bytes of content that are coded or stored; the others are copies of earlier ones."""
    @property
    def model(self) -> str:
        """What it is coded with, as `lmic list -v` has it."""
    @property
    def stored(self) -> bool:
        """Whether it has the content as it is, because that could not be made smaller."""

@final
class Reader:
    """The content of an archive in a file object, behind `LmicFile`."""

    def __new__(cls, file: BinaryIO, **options: Unpack[OpenOptions]) -> Self: ...
    @property
    def seekable(self) -> bool: ...
    def read(self, len: int) -> bytes: ...
    def tell(self) -> int: ...
    def seek(self, position: int) -> None: ...
    def raw_len(self) -> int: ...

@final
class Planner:
    """Makes tasks from the input of one stream. Options are those of `compress`."""

    def __new__(cls, level: int | None = None, **options: Unpack[EncodeOptions]) -> Self: ...
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

@final
class Task:
    """A block to be coded, which can be pickled. Its code depends on nothing but this and the models that it names."""

    def __new__(cls, data: bytes) -> Self: ...
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

@final
class CodedBlock:
    """A block ready to be written, which can be pickled."""

    def __new__(cls, data: bytes) -> Self: ...
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

@final
class StreamWriter:
    """Puts the coded blocks of the planner's stream together."""

    def __new__(cls, planner: Planner) -> Self: ...
    def write(self, block: CodedBlock) -> bytes:
        """The bytes of the block that comes next. `InvalidArgumentError` if it is another one."""
    def finish(self, content_hash: bytes) -> bytes:
        """What ends the stream. `InvalidArgumentError` if its last block was not written."""

@final
class ContentHash:
    """The hash of content that comes in pieces, as streams of several blocks have it."""

    def __new__(cls) -> Self: ...
    def update(self, data: Buffer) -> None:
        """Takes the next piece."""
    def digest(self) -> bytes:
        """The hash of all so far, 16 bytes: the first of BLAKE3."""

@final
class Primed:
    @property
    def name(self) -> str: ...
    @property
    def identity(self) -> str: ...
    @property
    def memory(self) -> int: ...
    @classmethod
    def load(cls, path: StrPath) -> Self: ...
    @classmethod
    def from_bytes(cls, data: Buffer, name: str = "primed") -> Self: ...
    def to_bytes(self) -> bytes: ...
    def save(self, path: StrPath) -> None: ...
    def compress(self, record: Buffer | str, *, check: int = 0) -> bytes: ...
    def decompress(self, code: Buffer, *, max_length: int = 1048576, check: int = 0) -> bytes: ...
    def compress_batch(
        self, records: Iterable[Buffer | str], *, check: int = 0
    ) -> list[bytes]: ...
    def decompress_batch(
        self, codes: Iterable[Buffer], *, max_length: int = 1048576, check: int = 0
    ) -> list[bytes]: ...

def prime(
    samples: Iterable[Buffer | str], *, name: str = "primed", table_bits: int | None = None, private: int | None = None
) -> Primed: ...
@final
class Model:
    @property
    def path(self) -> pathlib.Path: ...
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def identity(self) -> str: ...
    @property
    def parameters(self) -> int: ...
    @property
    def precision(self) -> str: ...
    @property
    def tensor_bytes(self) -> int: ...
    @property
    def config(self) -> dict[str, Any]: ...
    @property
    def tensors(self) -> list[dict[str, Any]]: ...

def load_model(model: StrPath) -> Model: ...
def models() -> list[dict[str, Any]]: ...
def quantize_model(model: StrPath, out: StrPath) -> Model: ...

class TokenScoreOptions(TypedDict, total=False):
    threads: int
    context: int
    overlap: int
    chunk: int
    as_coded: bool

class ScoreOptions(EncodeOptions, TokenScoreOptions, total=False):
    pass

def score(
    data: Buffer | str, level: int | None = None, **options: Unpack[ScoreOptions]
) -> float: ...
def score_batch(
    texts: Iterable[Buffer | str], level: int | None = None, **options: Unpack[ScoreOptions]
) -> list[float]: ...
def byte_costs(
    data: Buffer | str, level: int | None = None, **options: Unpack[ScoreOptions]
) -> numpy.typing.NDArray[numpy.float64]: ...
def token_costs(
    data: Buffer | str, model: Model | StrPath, **options: Unpack[TokenScoreOptions]
) -> list[tuple[bytes, float]]: ...
def generate(
    prompt: Buffer | str = b"",
    length: int = 200,
    *,
    seed: int = 1,
    temperature: float = 1.0,
    greedy: bool = False,
    level: int | None = None,
    **options: Unpack[EncodeOptions],
) -> bytes: ...

# For lmic.predict.
def predictor_encode(predictor: Any, symbols: Sequence[int], vocabulary: int | None) -> bytes: ...
def predictor_decode(
    predictor: Any, code: Buffer, length: int, vocabulary: int | None
) -> list[int]: ...
def predictor_code_length(
    predictor: Any, symbols: Sequence[int], vocabulary: int | None
) -> float: ...
def predictor_sample(
    predictor: Any, length: int, seed: int, vocabulary: int | None
) -> list[int]: ...

class OrderK:
    def __new__(cls, order: int) -> Self: ...
    def predict(self) -> Any: ...  # bytes, the memory of 256 float32
    def update(self, byte: int, /) -> None: ...

class ByteNetwork:
    def __new__(cls, model: Model | StrPath | None = None, level: int | None = None) -> Self: ...
    def predict(self) -> Any: ...  # bytes, the memory of 256 float32
    def update(self, byte: int, /) -> None: ...
