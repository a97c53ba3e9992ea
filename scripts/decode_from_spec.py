#!/usr/bin/env python3
"""A second decoder, written from docs/format.md and docs/format/ alone: the proof that the pages say everything.

    scripts/decode_from_spec.py archive.lmic [folder of models] > content

Slow (a few KB a second) and sequential; scripts/spec/ has a module for each page. Models in files of their own are
looked for in the folder: networks (not Hugging Face folders) and primed states. Model tokens is not here, and refused
with "not implemented". Recurrent networks need the package `numpy`. Hashes are compared if the package `blake3` is
installed.
"""
import sys

from spec.basics import Failure, blake3
from spec.container import Models, decode


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    if not blake3:
        print("package blake3 not found: hashes are not compared", file=sys.stderr)
    with open(sys.argv[1], "rb") as file:
        archive = file.read()
    try:
        sys.stdout.buffer.write(decode(archive, Models(*sys.argv[2:])))
    except Failure as failure:
        sys.exit(str(failure))


if __name__ == "__main__":
    main()
