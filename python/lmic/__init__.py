"""Lossless compression by prediction.

>>> import lmic
>>> text = b"to be, or not to be, that is the question. " * 20
>>> archive = lmic.compress(text)
>>> len(archive) < len(text) / 5
True
>>> lmic.decompress(archive) == text
True
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
    WrongModelError,
)
from lmic._lmic import DEFAULT_LEVEL, MAX_LEVEL, __version__, compress, decompress

__all__ = [
    "DEFAULT_LEVEL",
    "MAX_LEVEL",
    "CorruptError",
    "InputOutputError",
    "InvalidArgumentError",
    "LmicError",
    "MemoryLimitError",
    "NeedsNewerError",
    "OutOfMemoryError",
    "TruncatedError",
    "WrongModelError",
    "__version__",
    "compress",
    "decompress",
]
