"""Lossless compression by prediction.

>>> import lmic
>>> text = b"to be, or not to be, that is the question. " * 20
>>> archive = lmic.compress(text)
>>> len(archive) < len(text) / 5
True
>>> lmic.decompress(archive) == text
True

docs/python.md of the repository has all options with their defaults in one table.
"""

from lmic._errors import (
    CorruptError,
    InputOutputError,
    InvalidArgumentError,
    LmicError,
    MemoryLimitError,
    NeedsNewerError,
    OutOfMemoryError,
    TruncatedError,
    WrongKeyError,
    WrongModelError,
)
from lmic._file import LmicFile, open
from lmic._lmic import (
    BEST_LEVEL,
    DEFAULT_LEVEL,
    MAX_LEVEL,
    Archive,
    Block,
    LmicCompressor,
    LmicDecompressor,
    Model,
    Primed,
    Stream,
    __version__,
    byte_costs,
    compress,
    decompress,
    generate,
    load_model,
    models,
    prime,
    quantize_model,
    score,
    score_batch,
    token_costs,
)

__all__ = [
    "BEST_LEVEL",
    "DEFAULT_LEVEL",
    "MAX_LEVEL",
    "Archive",
    "Block",
    "CorruptError",
    "InputOutputError",
    "InvalidArgumentError",
    "LmicCompressor",
    "LmicDecompressor",
    "LmicError",
    "LmicFile",
    "MemoryLimitError",
    "Model",
    "NeedsNewerError",
    "OutOfMemoryError",
    "Primed",
    "Stream",
    "TruncatedError",
    "WrongKeyError",
    "WrongModelError",
    "__version__",
    "byte_costs",
    "compress",
    "decompress",
    "generate",
    "load_model",
    "models",
    "open",
    "prime",
    "quantize_model",
    "score",
    "score_batch",
    "token_costs",
]
