#!/usr/bin/env python3
"""Write the rows for contexts of levels 6 to 8 as `train_recurrent.py --start` reads them, for a network that takes them as they are.

    recipes/start_rows.py RECIPE OUT crates/lmic-rows-a/data/rows-[0-3].bin crates/lmic-rows-b/data/rows-[4-6].bin
"""

import argparse
import os
import tomllib

import numpy as np
from safetensors.numpy import save_file

WAYS = 4  # rows of a bucket


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("recipe")
    arguments.add_argument("out", help="folder: rows.safetensors")
    arguments.add_argument("rows", nargs="+", help="rows-0.bin, rows-1.bin, .. of strip_rows.py")
    a = arguments.parse_args()
    with open(a.recipe, "rb") as f:
        c = tomllib.load(f)["model"]
    size, levels = c["ngram_size"], c["ngram_levels"]
    checks, table = [], []
    for path in a.rows:
        buckets = np.fromfile(path, np.uint8).reshape(-1, WAYS * (2 + size // 2))
        checks.append(np.ascontiguousarray(buckets[:, : 2 * WAYS]).view("<u2").reshape(-1))
        pairs = buckets[:, 2 * WAYS :].reshape(-1, size // 2).view(np.int8)
        numbers = np.concatenate(((pairs << 4).view(np.int8) >> 4, pairs >> 4), 1)
        table.append(np.rint(numbers.astype(np.float32) * (127 / levels)).astype(np.int8))
    checks, table = np.concatenate(checks), np.concatenate(table)
    if len(table) != sum(1 << bits for bits in c["ngram_bits"]):
        raise SystemExit(f"{len(table)} rows are not those of {a.recipe}")
    os.makedirs(a.out, exist_ok=True)
    save_file({"table": table, "checks": checks}, os.path.join(a.out, "rows.safetensors"))


if __name__ == "__main__":
    main()
