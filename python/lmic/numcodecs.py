"""The codec `"lmic"` of numcodecs, for arrays of Zarr format 2 and whatever else stores chunks by numcodecs.

>>> import numcodecs
>>> codec = numcodecs.get_codec({"id": "lmic", "level": 1})   # found without importing lmic
>>> bytes(codec.decode(codec.encode(b"to be, or not to be")))
b'to be, or not to be'

A chunk is one archive. `lmic.zarr` has the codec of Zarr format 3, and says which level chunks are worth.
"""

from __future__ import annotations

from typing import Any

from numcodecs.abc import Codec
from numcodecs.compat import ensure_contiguous_ndarray, ensure_ndarray, ndarray_copy

from lmic._chunks import Chunks

__all__ = ["Lmic"]


class Lmic(Codec):
    """Codes each chunk as an lmic archive. The parameters are those of `lmic.zarr.LmicCodec`, but for `content="samples"`,
    which is refused: a codec of numcodecs does not see the shape of a chunk."""

    codec_id = "lmic"

    def __init__(
        self, level: int = 5, content: str | None = None, model: str | None = None, identity: str | None = None
    ) -> None:
        self._chunks = Chunks(level, content, model, identity)

    def encode(self, buf: Any) -> bytes:
        return self._chunks.encode(ensure_contiguous_ndarray(buf))

    def decode(self, buf: Any, out: Any = None) -> Any:
        most = -1 if out is None else ensure_ndarray(out).nbytes
        return ndarray_copy(self._chunks.decode(ensure_contiguous_ndarray(buf), most), out)

    def get_config(self) -> dict[str, Any]:
        return {"id": self.codec_id, **self._chunks.config()}
