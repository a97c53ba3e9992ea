"""What the codecs of numcodecs and Zarr have in common: how one chunk of an array is coded."""

from __future__ import annotations

import math
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import lmic


class Chunks:
    """Codes chunks with a level, or with a named network whose identity stands in the metadata of the array.

    It can be pickled, and may be used by several threads at once.
    """

    def __init__(self, level: int, content: str | None, model: str | None, identity: str | None) -> None:
        if not isinstance(level, int):
            raise TypeError(f"level {level!r} is no integer")
        lmic.LmicCompressor(level, content=content)  # refuses what is none
        if model is not None and os.path.basename(model) != model:
            raise lmic.InvalidArgumentError(f"{model} is a path, which means nothing elsewhere; give a name in the model folder")
        self.level = level
        self.content = content
        self.model = model
        self.identity = identity
        if model is not None and identity is None:
            self.identity = self._network.identity

    def config(self) -> dict[str, Any]:
        """What the metadata of an array store; what is not set is left out."""
        parts = {"level": self.level, "content": self.content, "model": self.model, "identity": self.identity}
        return {key: value for key, value in parts.items() if value is not None}

    def encode(self, chunk: Any, content: str | None = None) -> bytes:
        return lmic.compress(chunk, self.level, content=content or self.content, model=self._network, threads=1)

    def decode(self, code: Any, max_length: int = -1) -> bytes:
        return lmic.decompress(code, model=self._network, threads=1, max_length=max_length)

    @cached_property
    def _network(self) -> Any:
        """The network, loaded when the first chunk needs it: metadata can be read without it."""
        if self.model is None:
            return None
        wanted = f"the chunks need the network {self.model} of identity {self.identity}"
        try:
            network = lmic.load_model(self.model)
        except (lmic.LmicError, OSError) as error:
            if self.identity is None:
                raise
            raise lmic.WrongModelError(f"{wanted}, which is not in the model folder ({error})") from error
        if network.path == Path(self.model):
            raise lmic.InvalidArgumentError(f"{self.model} is a path in this folder; give a name in the model folder")
        if self.identity not in (None, network.identity):
            raise lmic.WrongModelError(f"{wanted}; the one of that name in the model folder is {network.identity}")
        return network

    def __reduce__(self) -> Any:
        return Chunks, (self.level, self.content, self.model, self.identity)


def most_bytes(shape: tuple[int, ...], dtype: Any) -> int:
    """Bytes beyond which a chunk is none of such an array; -1 if its items have no fixed length.

    Codecs between the array and this one may add something to its bytes, so there is some room.
    """
    return -1 if dtype.kind in "OT" else 2 * math.prod(shape) * dtype.itemsize + (1 << 20)


def content_of_samples(shape: tuple[int, ...], dtype: Any) -> str | None:
    """What to tell an encoder of a chunk of samples (see `lmic.zarr.LmicCodec`); None if it is nothing special."""
    last = shape[-1] if shape else 0
    if dtype.kind not in "iu" or last == 0:
        return None
    if dtype.itemsize == 1 and len(shape) >= 2:
        return f"rgb:{shape[-2]}" if last == 3 and len(shape) >= 3 else f"gray:{last}"
    if dtype.itemsize == 2:
        return f"pcm16:{last if len(shape) >= 2 and last <= 8 else 1}"
    return None
