#!/usr/bin/env python3
"""Decodes archives of the release build, and the golden ones, with the decoder written from docs/format.md.

`make spec-check` runs it. Inputs are generated; files named as arguments are tried too.
"""
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import decode_from_spec as spec

ROOT = Path(__file__).resolve().parent.parent
LMIC = ROOT / "target/release/lmic"
GOLDEN = ROOT / "crates/lmic/tests/golden"
MODELS = spec.load_models(GOLDEN)
os.environ["LMIC_MODELS"] = str(GOLDEN)


def text(words):
    rng = random.Random(1)
    vocabulary = ["the", "of", "Range", "coder", "x2", "history;", "(mixing)", "naïve", "длина", "é.", "A", "1789"]
    return "".join(rng.choice(vocabulary) + rng.choice("    \n,") for _ in range(words)).encode()


def structure(records):
    rng = random.Random(2)
    return b"".join(i.to_bytes(4, "little") + b"\0\xff" + rng.randbytes(6) for i in range(records))


def generated():
    rng = random.Random(3)
    rows = [{"id": i, "name": f"n{i % 7}", "on": i % 3 == 0, "value": rng.random()} for i in range(30)]
    yield "text", text(600)
    yield "short text", text(16)
    yield "json", json.dumps(rows, indent=1).encode()
    yield "structure", structure(200)
    yield "repeats", (text(30) + structure(4)) * 12
    yield "zeros", bytes(3000)
    yield "noise", rng.randbytes(300)
    yield "empty", b""


def compress(data, *options):
    command = [LMIC, "compress", "--stdout", "--as", "bytes", *options]
    done = subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True)
    return done.stdout


def archives(name, data):
    for level in range(1, 6):
        yield f"{name} -{level}", compress(data, f"-{level}"), data
    yield f"{name} in blocks", compress(data, "-3", "--block-size", "1KiB"), data
    yield f"{name} twice", compress(data, "-1") + compress(data, "-2"), data * 2


def golden():
    for path in sorted(GOLDEN.glob("*.lmic")):
        command = [LMIC, "decompress", "--stdout"]
        done = subprocess.run(command, input=path.read_bytes(), stdout=subprocess.PIPE, check=True)
        yield path.name, path.read_bytes(), done.stdout


def outcome(archive, content):
    try:
        return "ok" if spec.decode(archive, MODELS) == content else "DIFFERS"
    except spec.Failure as failure:
        return str(failure)


def cases():
    files = [(path, Path(path).read_bytes()) for path in sys.argv[1:]]
    for name, data in files or generated():
        yield from archives(name, data)
    yield from golden()


def main():
    if not spec.blake3:
        print("package blake3 not found: hashes are not compared")
    good = True
    for name, archive, content in cases():
        result = outcome(archive, content)
        good &= result == "ok" or result.startswith("not implemented")
        print(f"{result:8} {name} ({len(content)} -> {len(archive)} bytes)", flush=True)
    sys.exit(not good)


if __name__ == "__main__":
    main()
