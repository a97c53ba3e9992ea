#!/usr/bin/env python3
"""Sends pseudo-text through `lmic | lmic -d` under a ceiling of memory, into records/pipe.json.

    scripts/measure_pipe.py [--level 1] [--bytes 2147483648] [--ceiling 600000000]

lmic reads a pipe and writes a pipe, and is told of the ceiling by -M. The kernel enforces it too:
`prlimit --data` bounds all private memory that can be written (heap and the stacks of threads; not
addresses that are only reserved, as --as would). Only the coded bytes are stored; what comes back
is compared by length and SHA-256.
"""
import argparse
import datetime
import hashlib
import pathlib
import random
import subprocess
import sys
import tempfile

import measurement
from measurement import Running

SEED = 1
PIECE = 1 << 20  # bytes written or read at a time


def pseudo_text(length):
    """`length` bytes, the same ones each time: phrases of a made-up language of 65,536 phrases."""
    draw = random.Random(SEED)
    syllables = ["".join(draw.choices("bcdfghklmnprstvz") + draw.choices("aeiou")) for _ in range(60)]
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(5000)]
    frequency = [1 / rank for rank in range(1, len(words) + 1)]
    phrases = [" ".join(draw.choices(words, frequency, k=3)) + draw.choice([" ", ", ", ".\n"]) for _ in range(1 << 16)]
    while length > 0:
        piece = "".join(draw.choices(phrases, k=PIECE // 16)).encode()[:length]
        length -= len(piece)
        yield piece


class Checksum:
    def __init__(self):
        self.length, self.sha256 = 0, hashlib.sha256()

    def add(self, piece):
        self.length += len(piece)
        self.sha256.update(piece)

    def value(self):
        return self.length, self.sha256.hexdigest()


def encode(words, length, coded, folder):
    """Generated text into lmic, its output into the file `coded`; what it took, what went in."""
    sent = Checksum()
    with open(coded, "wb") as out:
        running = Running(words, folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        copy = subprocess.Popen(["cat"], stdin=running.child.stdout, stdout=out)
        running.child.stdout.close()
        try:
            with running.child.stdin as pipe:
                for piece in pseudo_text(length):
                    pipe.write(piece)
                    sent.add(piece)
        except BrokenPipeError:
            pass  # finish() says why lmic ended
        cost = running.finish()
        copy.wait()
    return cost, sent.value()


def decode(words, coded, folder):
    """The file `coded` into lmic through a pipe; what it took, what came out."""
    received = Checksum()
    copy = subprocess.Popen(["cat", coded], stdout=subprocess.PIPE)
    running = Running(words, folder, stdin=copy.stdout, stdout=subprocess.PIPE)
    copy.stdout.close()
    with running.child.stdout as pipe:
        while piece := pipe.read(PIECE):
            received.add(piece)
    cost = running.finish()
    copy.wait()
    return cost, received.value()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lmic", metavar="BINARY", help="measure this one [default: build it]")
    parser.add_argument("--output", type=pathlib.Path, default=measurement.RECORDS / "pipe.json")
    parser.add_argument("--level", type=int, default=1)
    parser.add_argument("--bytes", type=int, default=2 << 30, help="how much [default: 2 GiB]")
    parser.add_argument("--ceiling", type=int, default=600_000_000, help="bytes of memory [default: 600 MB]")
    args = parser.parse_args()

    measurement.prepare(args.lmic)
    lines = {"encode": f"lmic -{args.level} -M {args.ceiling}", "decode": f"lmic -d -M {args.ceiling}"}
    limited = {way: ["prlimit", f"--data={args.ceiling}", measurement.program("lmic"), *line.split()[1:]]
               for way, line in lines.items()}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        coded = folder / "coded"
        encoding, sent = encode(limited["encode"], args.bytes, coded, folder)
        decoding, received = decode(limited["decode"], coded, folder)
        coded_bytes = coded.stat().st_size
    if sent != received:
        sys.exit(f"sent {sent}, received {received}")
    highest = max(encoding[2], decoding[2])
    if highest > args.ceiling:
        sys.exit(f"{highest} bytes resident, the ceiling is {args.ceiling}")
    codec = {f"lmic -{args.level}": {**lines, "version": measurement.version("lmic")}}
    measurement.write_record(args.output, {
        "machine": measurement.machine(), "codecs": codec, "date": datetime.date.today().isoformat(),
        "ceiling_bytes": args.ceiling, "raw_bytes": sent[0], "raw_sha256": sent[1], "coded_bytes": coded_bytes,
        "encode": [encoding], "decode": [decoding],
    })
    print(f"{sent[0]} bytes through a pipe and back, at most {highest} resident", file=sys.stderr)


main()
