#!/usr/bin/env python3
"""Learn the start of a network's mix (docs/format/mix.md, "Start of a mix") from the texts that it was trained on.

    recipes/learn_start.py recipes/recurrent-default.toml MODEL.safetensors --data DATA --out mix-7.start

Pieces of 4 KiB, of each text by its weight in the recipe, each coded alone. Deterministic; builds lmic's examples.
"""

import argparse
import glob
import json
import lzma
import os
import random
import subprocess
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor

PIECE = 4096
ROWS = 45  # pieces that are fed side by side


def read(root, pattern):
    data = []
    for path in sorted(glob.glob(os.path.join(root, pattern))):
        with lzma.open(path) if path.endswith(".xz") else open(path, "rb") as f:
            content = f.read()
        if ".jsonl" in path:  # records: their texts alone, a line each
            content = b"".join(json.loads(line)["t"].encode() + b"\n" for line in content.splitlines())
        data.append(content)
    return b"".join(data)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("recipe")
    arguments.add_argument("model")
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--out", required=True)
    arguments.add_argument("--groups", type=int, default=16, help=f"groups of {ROWS} pieces [16]")
    arguments.add_argument("--target", default=os.environ.get("CARGO_TARGET_DIR", "target"), help="cargo's folder")
    arguments.add_argument("--jobs", type=int, default=1, help="groups at a time [1]")
    arguments.add_argument("--examples", help="folder of lmic's examples, if they are built elsewhere")
    a = arguments.parse_args()
    with open(a.recipe, "rb") as f:
        texts = tomllib.load(f)["data"]["train"]
    rng = random.Random(1)
    pieces, total = [], sum(t["weight"] for t in texts)
    for t in texts:
        data = read(a.data, t["path"])
        for _ in range(round(a.groups * ROWS * t["weight"] / total)):
            at = rng.randrange(len(data) - PIECE)
            pieces.append(data[at : at + PIECE])
    rng.shuffle(pieces)
    examples = a.examples
    if not examples:
        subprocess.run(["cargo", "build", "-q", "--release", "--example", "recurrent", "--example", "mix_bits"], check=True)
        examples = os.path.join(a.target, "release", "examples")
    with tempfile.TemporaryDirectory() as folder:

        def opinions(first):
            """Bytes of a group of pieces, and what the network says of their bits."""
            group = pieces[first : first + ROWS]
            part, bits = (os.path.join(folder, f"{n}{first}") for n in ("text", "bits"))
            with open(part, "wb") as f:
                f.write(b"".join(group))
            # A step as long as a piece: so the pieces come in the order of the text.
            walk = [a.model, part, "--lanes", str(len(group)), "--steps", str(PIECE), "--bits", bits]
            subprocess.run([os.path.join(examples, "recurrent"), *walk], check=True, stdout=subprocess.DEVNULL)
            with open(bits, "rb") as f:
                return b"".join(group), f.read()

        text, bits = (os.path.join(folder, n) for n in ("text", "bits"))
        with open(text, "wb") as all_text, open(bits, "wb") as all_bits, ThreadPoolExecutor(a.jobs) as threads:
            for group, said in threads.map(opinions, range(0, len(pieces), ROWS)):
                all_text.write(group)
                all_bits.write(said)
        subprocess.run([os.path.join(examples, "mix_bits"), "--learn", text, bits, str(PIECE), a.out], check=True)


if __name__ == "__main__":
    main()
