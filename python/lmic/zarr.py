"""The codec `"lmic"` of Zarr format 3.

>>> import numpy, zarr
>>> from lmic.zarr import LmicCodec
>>> store = zarr.storage.MemoryStore()
>>> array = zarr.create_array(store, shape=(100, 100), chunks=(50, 50), dtype="i4", compressors=LmicCodec(level=1))
>>> array[:] = numpy.arange(10_000).reshape(100, 100)
>>> int(zarr.open_array(store)[7, 3])   # a reader needs lmic to be installed, but not to be imported
703

A chunk is one archive, and is decoded whole. Chunks are coded side by side by Zarr, each on one thread.

Levels 1 to 5 know nothing beforehand and suit numbers; 5 is the default here. Levels 6 to 8 add a network that has learned text
and code: they take many times as long, and are for chunks of text, or with `content` for images and audio.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zarr.abc.codec import BytesBytesCodec
from zarr.core.buffer.cpu import as_numpy_array_wrapper
from zarr.core.common import parse_named_configuration

from lmic._chunks import Chunks, content_of_samples, most_bytes

if TYPE_CHECKING:
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer

__all__ = ["LmicCodec"]


@dataclass(frozen=True)
class LmicCodec(BytesBytesCodec):
    """Codes each chunk as an lmic archive; one of the `compressors` of `zarr.create_array`.

    Parameters
    ----------
    level
        1 to `lmic.MAX_LEVEL`, as in `lmic.compress`.
    content
        What a chunk holds, as in `lmic.compress`: None to let the encoder find out, `"gray:512"`, `"pcm16:2"` and so on.
        `"samples"` derives it from each chunk's shape: 8-bit chunks are images (colour if the last axis has a length of 3, else
        gray with rows along the last axis), 16-bit integers are recordings (the last axis, if there are two or more and it has
        a length of up to 8, is channels). It only fits where the codec stands directly behind little-endian bytes.
    model, identity
        A network of the model folder, by its name (no path), that chunks are coded with, as by `lmic.compress(model=...)`. Arrays
        without it need nothing but lmic. `identity` is stored in the array's metadata and need not be given: without a network of that
        identity, reading is an error that says so.
    """

    is_fixed_size = False

    level: int = 5
    content: str | None = None
    model: str | None = None
    identity: str | None = None
    _chunks: Chunks = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        content = None if self.content == "samples" else self.content
        chunks = Chunks(self.level, content, self.model, self.identity)
        object.__setattr__(self, "identity", chunks.identity)
        object.__setattr__(self, "_chunks", chunks)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LmicCodec:
        configuration: dict[str, Any] = parse_named_configuration(data, "lmic", require_configuration=False)[1] or {}
        return cls(**configuration)

    def to_dict(self) -> dict[str, Any]:
        configuration = self._chunks.config()
        if self.content is not None:
            configuration["content"] = self.content
        return {"name": "lmic", "configuration": configuration}

    def _decode_sync(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        most = most_bytes(chunk_spec.shape, chunk_spec.dtype.to_native_dtype())
        return as_numpy_array_wrapper(
            lambda chunk: self._chunks.decode(chunk, most), chunk_bytes, chunk_spec.prototype
        )

    def _encode_sync(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        content = None
        if self.content == "samples":
            content = content_of_samples(chunk_spec.shape, chunk_spec.dtype.to_native_dtype())
        return as_numpy_array_wrapper(
            lambda chunk: self._chunks.encode(chunk, content), chunk_bytes, chunk_spec.prototype
        )

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        return await asyncio.to_thread(self._decode_sync, chunk_bytes, chunk_spec)

    async def _encode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        return await asyncio.to_thread(self._encode_sync, chunk_bytes, chunk_spec)

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        raise NotImplementedError("the size of a code is known only when it is made")
