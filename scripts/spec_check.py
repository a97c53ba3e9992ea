#!/usr/bin/env python3
"""Decodes archives of the release build, and the golden ones, with the decoder written from docs/format.md.

    scripts/spec_check.py [--up-to BYTES] [FILE...]

`make spec-check` runs it. Inputs are generated, or FILEs. With --up-to, longer contents are left out. What is left
out is named with the reason. The status is 0 only if all the others are restored without a difference.
"""
import argparse
import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import decode_from_spec as spec

ROOT = Path(__file__).resolve().parent.parent
LMIC = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release/lmic"
GOLDEN = ROOT / "crates/lmic/tests/golden"
MODELS = spec.load_models(GOLDEN)
os.environ["LMIC_MODELS"] = str(GOLDEN)

# Golden archives that the other decoder cannot decode yet, by the section of docs/format.md that it lacks. One that
# it can decode must not stand here.
LEFT_OUT = {
    "model samples": "gray_3 gray_5 neural_streams pcm16_3 pcm16_5 pcm8_5 pixmap rgb_3 rgb_5",
    "model mix": "blocks_7 gray_6 lanes_6 lanes_7 patch_6 pcm16_6 pcm8_6 rgb_6 text_6 text_7",
    "primed state": "guided_5 guided_6 guided_blocks_7 guided_lanes_7 lines lines_blocks primed primed_blocks",
}
REASONS = {f"v1_{case}.lmic": reason for reason, cases in LEFT_OUT.items() for case in cases.split()}


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
    yield "text", text(420)
    yield "short text", text(16)
    yield "json", json.dumps(rows, indent=1).encode()
    yield "structure", structure(200)
    yield "repeats", (text(30) + structure(4)) * 11
    yield "zeros", bytes(2500)
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
    yield f"{name} as two streams", compress(data[:1000], "-1") + compress(data[1000:], "-2"), data


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


def judge(case):
    """The case's name, why it is left out (or nothing), and whether that or the decoding is as it should be."""
    name, archive, content = case
    started = time.monotonic()
    result = outcome(archive, content)
    reason = REASONS.get(name)
    if reason:
        good = result == f"not implemented: {reason}"
        note = f"left out: {reason}" if good else f"{result}, though spec_check.py has it as left out for {reason}"
    else:
        good, note = result == "ok", f"{result}, {time.monotonic() - started:.1f} s"
    print(f"{note}: {name} ({len(content)} -> {len(archive)} bytes)", flush=True)
    return name, reason, good


def cases(files):
    files = [(path, Path(path).read_bytes()) for path in files]
    for name, data in files or generated():
        yield from archives(name, data)
    yield from golden()


def check_that_it_can_fail():
    """One flipped bit in a code must not be restored as if nothing were."""
    content = text(60)
    archive = bytearray(compress(content, "-2"))
    archive[len(archive) // 2] ^= 1
    if outcome(bytes(archive), content) == "ok":
        sys.exit("an archive with a broken byte counts as restored: this check checks nothing")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--up-to", type=int, metavar="BYTES", default=2**28)
    parser.add_argument("files", nargs="*", metavar="FILE")
    args = parser.parse_args()
    if not spec.blake3:
        print("package blake3 not found: hashes are not compared, contents are")
    check_that_it_can_fail()
    found = list(cases(args.files))
    tried = [case for case in found if len(case[2]) <= args.up_to]
    tried.sort(key=lambda case: -len(case[2]))  # the longest first, so that no process ends long after the others
    with multiprocessing.Pool() as pool:
        judged = list(pool.imap(judge, tried, chunksize=1))
    report(judged, found, args.up_to)
    sys.exit(not all(good for _, _, good in judged))


def report(judged, found, up_to):
    too_long = [f"{name} ({len(content)})" for name, _, content in found if len(content) > up_to]
    if too_long:
        print(f"left out {len(too_long)}, longer than {up_to} bytes:", ", ".join(too_long))
    for reason in LEFT_OUT:
        names = [name for name, left_out, good in judged if left_out == reason and good]
        if names:
            print(f"left out {len(names)}, {reason} is not in decode_from_spec.py:", ", ".join(sorted(names)))
    restored = sum(1 for _, left_out, good in judged if good and not left_out)
    wrong = [name for name, _, good in judged if not good]
    print(f"restored without a difference: {restored}; wrong: {len(wrong)}", ", ".join(wrong))


if __name__ == "__main__":
    main()
