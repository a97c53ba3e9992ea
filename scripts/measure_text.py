#!/usr/bin/env python3
"""Measures lmic and its peers on the texts of DATA/text/dev, into records/text.json.

    scripts/measure_text.py DATA [--input t2 --runs 5] [--codec 'lmic*']

Inputs are the unpacked files, and t2 and t3: the first 1,000,000 and 100,000 bytes of enwik8.
Everything is decoded and compared. A codec that is not installed is skipped.
"""
import fnmatch
import functools
import lzma
import pathlib

import measurement
from measurement import Codec, lmic_codec

ENWIK8 = "text/dev/enwik8_first_2000000.xml.xz"
PREFIXES = {"t3": 100_000, "t2": 1_000_000}

CODECS = [
    *(lmic_codec(level) for level in range(8, 0, -1)),
    Codec("zpaq -m5", "zpaq", "zpaq add {coded} {raw} -m5 -t1",
          "zpaq extract {coded} {raw} -to {back} -t1"),
    *(Codec(f"7z PPMd o={order}", "7z",
            f"7z a -bd -mmt=1 -m0=PPMd:o={order}:mem=1g {{coded}} {{raw}}",
            "7z e -bd -so {coded} > {back}") for order in (8, 16)),
    Codec("bzip3 -b 64", "bz3", "bzip3 -e -b 64 -c {raw} > {coded}",
          "bzip3 -d -b 64 -c {coded} > {back}"),
    Codec("brotli -q 11", "br", "brotli -q 11 --large_window=30 -c {raw} > {coded}",
          "brotli -d --large_window=30 -c {coded} > {back}"),
    Codec("zstd --ultra -22", "zst", "zstd -q --ultra -22 --long=27 --single-thread -c {raw} > {coded}",
          "zstd -q -d --long=27 -c {coded} > {back}"),
    Codec("xz -9e", "xz", "xz -9e -T1 -c {raw} > {coded}", "xz -d -T1 -c {coded} > {back}"),
]


def inputs(data):
    """Names of the inputs, with how to write each and where it comes from."""
    def unpack(packed, length, path):
        with lzma.open(packed) as text:
            path.write_bytes(text.read(length))

    for name, length in PREFIXES.items():
        yield name, functools.partial(unpack, data / ENWIK8, length), f"the first {length} bytes of {ENWIK8}", {}
    for packed in sorted((data / "text/dev").glob("*.xz")):
        yield packed.stem, functools.partial(unpack, packed, -1), f"text/dev/{packed.name}", {}


def main():
    parser = measurement.arguments(__doc__, "text.json")
    measurement.choice_arguments(parser)
    parser.add_argument("data", type=pathlib.Path, metavar="DATA", help="folder with text/dev/*.xz")
    args = parser.parse_args()

    measurement.prepare(args.lmic)
    codecs = measurement.installed(CODECS, args.codec)
    wanted = [i for i in inputs(args.data) if any(fnmatch.fnmatch(i[0], p) for p in args.input or ["*"])]
    record = measurement.Record(args.output, codecs)
    measurement.measure_all(record, lambda _: codecs, wanted, runs=args.runs)


main()
