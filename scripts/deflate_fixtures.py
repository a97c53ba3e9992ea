#!/usr/bin/env python3
"""Writes crates/lmic/tests/golden/v1_deflate.streams: deflate streams of zlib at all of its settings, as zlib, gzip, zip and PNG have them.

    scripts/deflate_fixtures.py

Golden archives hold them, so it is written once and never again.
"""
import gzip
import io
import math
import random
import struct
import sys
import zipfile
import zlib
from pathlib import Path

FILE = Path(__file__).resolve().parent.parent / "crates/lmic/tests/golden/v1_deflate.streams"


def text(words, seed):
    rng = random.Random(seed)
    vocabulary = ["the", "of", "window", "literal", "a match", "length;", "(distance)", "naïve", "longer than", "7,", "A", "1951"]
    return "".join(rng.choice(vocabulary) + rng.choice("    \n,") for _ in range(words)).encode()


def deflated(data, level=6, window=15, memory=8, strategy=zlib.Z_DEFAULT_STRATEGY):
    coder = zlib.compressobj(level, zlib.DEFLATED, window, memory, strategy)
    return coder.compress(data) + coder.flush()


def flushed(pieces):
    coder = zlib.compressobj(6)
    return b"".join(coder.compress(piece) + coder.flush(zlib.Z_SYNC_FLUSH) for piece in pieces) + coder.flush()


def zipped():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for seed in (31, 32):
            file.writestr(zipfile.ZipInfo(f"part{seed}.txt", (2020, 1, 1, 0, 0, 0)), text(300, seed), zipfile.ZIP_DEFLATED, 9)
    return out.getvalue()


def gzipped():
    out = io.BytesIO()
    with gzip.GzipFile("notes.txt", "wb", 9, out, 0) as file:
        file.write(text(300, 41))
    return out.getvalue()


def predicted(kind, left, above, corner):
    if kind == 4:
        p = left + above - corner
        return min((left, above, corner), key=lambda x: abs(p - x))
    return [0, left, above, (left + above) // 2][kind]


def png(width, height, step, chunk):
    """Rows of each filter in turn; the stream stands in chunks of this length."""
    rng, rows, above, filtered = random.Random(51), [], bytes(width * step), bytearray()
    for y in range(height):
        shade = lambda x, c: 128 + 90 * math.sin(x / 9 + c / 3) * math.cos(y / 7) + rng.choice([0, 0, 0, 1])
        row = bytes(round(shade(i // step, i % step)) for i in range(width * step))
        kind = y % 5
        filtered.append(kind)
        for i, byte in enumerate(row):
            left, corner = (row[i - step], above[i - step]) if i >= step else (0, 0)
            filtered.append(byte - predicted(kind, left, above[i], corner) & 255)
        above = row
    stream = deflated(bytes(filtered), 6, 15, 8, zlib.Z_FILTERED)
    chunks = [stream[i : i + chunk] for i in range(0, len(stream), chunk)]
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[step], 0, 0, 0)
    out = b"\x89PNG\r\n\x1a\n"
    for name, data in [(b"IHDR", header), *((b"IDAT", data) for data in chunks), (b"IEND", b"")]:
        out += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return out


def parts():
    yield zipped()
    yield gzipped()
    for level in range(1, 10):
        yield deflated(text(400, level), level)
    yield deflated(text(400, 21), memory=9)
    yield deflated(text(400, 22), window=9)
    yield deflated(bytes(2000) + text(100, 23), window=12, memory=2)
    for strategy in (zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED):
        yield deflated(text(200, 24) + b"=" * 300, strategy=strategy)
    noise = random.Random(25).randbytes(300)
    yield flushed([text(200, 26), noise, text(100, 27)])
    yield png(40, 30, 1, 1 << 20)
    yield png(112, 100, 3, 3000)


if __name__ == "__main__":
    if FILE.exists():
        sys.exit(f"{FILE} is there, and is not written again")
    FILE.write_bytes(b"".join(part + b"between the streams\n" for part in parts()))
