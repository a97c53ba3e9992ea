#!/usr/bin/env python3
"""Measures Zarr arrays of images with lmic beside the default of Zarr: sizes and times of each codec, decoded and compared.

    scripts/zarr_levels.py IMAGE...        # needs the packages lmic, zarr and pillow

Prints a table for docs/python-data.md: bytes stored as a part of the raw bytes, and MB in a second of one thread.
"""

import sys
import time
from statistics import median

import numpy
import zarr
from PIL import Image

from lmic.zarr import LmicCodec

RUNS = 5
CHUNK = 256
CODECS = {
    "zstd (default of Zarr)": "auto",
    "zstd, level 19": zarr.codecs.ZstdCodec(level=19),
    "blosc, zstd 9, bit shuffle": zarr.codecs.BloscCodec(cname="zstd", clevel=9, shuffle="bitshuffle"),
    **{f"lmic, level {level}": LmicCodec(level=level) for level in (1, 3, 5)},
    "lmic, level 7": LmicCodec(level=7),
    'lmic, level 1, content="samples"': LmicCodec(level=1, content="samples"),
    'lmic, level 5, content="samples"': LmicCodec(level=5, content="samples"),
    'lmic, level 7, content="samples"': LmicCodec(level=7, content="samples"),
}


def run(images, codec):
    """Bytes stored, and seconds to write and to read."""
    stored, write, read = 0, 0.0, 0.0
    for image in images:
        start = time.perf_counter()
        array = zarr.create_array(
            zarr.storage.MemoryStore(), data=image, chunks=(CHUNK, CHUNK, *image.shape[2:]), compressors=codec
        )
        middle = time.perf_counter()
        same = (array[:] == image).all()
        write, read = write + middle - start, read + time.perf_counter() - middle
        assert same, "an array came back changed"
        stored += array.nbytes_stored()
    return stored, write, read


def main():
    colour = [numpy.asarray(Image.open(path).convert("RGB")) for path in sys.argv[1:]]
    kinds = {"colour": colour, "gray": [numpy.asarray(Image.fromarray(image).convert("L")) for image in colour]}
    zarr.config.set({"threading.max_workers": 1})
    for kind, images in kinds.items():
        raw = sum(image.nbytes for image in images)
        print(f"\n| {kind}, {raw / 1e6:.1f} MB | stored / raw | write MB/s | read MB/s |\n|-|-:|-:|-:|")
        runs = {name: [] for name in CODECS}
        for _ in range(RUNS):  # codecs take turns, so that a change of the machine's speed meets all of them
            for name, codec in CODECS.items():
                runs[name].append(run(images, codec))
        for name, found in runs.items():
            write, read = (raw / 1e6 / median(times) for times in list(zip(*found))[1:])
            print(f"| {name} | {found[0][0] / raw:.3f} | {write:.3g} | {read:.3g} |", flush=True)


if __name__ == "__main__":
    main()
