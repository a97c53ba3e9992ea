#!/usr/bin/env python3
"""Prints a Markdown table of recorded runs of `lmic bench --json FILE...`.

    scripts/bench_table.py [--codec NAME]... RECORD.json...

One row a codec in the order of the record (or of --codec), one column an input with
coded / raw bytes, the smallest in bold; speeds are over all inputs. Refuses a record in which a
codec has not been decoded and compared, or lacks an input.
"""
import argparse
import json
import os
import sys


def read_runs(paths):
    runs = []
    for path in paths:
        with open(path, encoding="utf-8") as record:
            runs += json.load(record)
    for run in runs:
        if run["verified"] is not True:
            sys.exit(f"{run['codec']} on {run['input']} was not verified")
    return {(run["codec"], os.path.basename(run["input"])): run for run in runs}


def speed(runs, seconds):
    time = sum(run[seconds] for run in runs)
    rate = sum(run["raw_bytes"] for run in runs) / time / 1e6 if time else 0
    return f"{rate:.3g}" if rate < 1000 else f"{rate:.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--codec", action="append", help="only this codec; may be repeated")
    parser.add_argument("records", nargs="+", metavar="RECORD.json")
    args = parser.parse_args()

    runs = read_runs(args.records)
    codecs = args.codec or list(dict.fromkeys(codec for codec, _ in runs))
    inputs = list(dict.fromkeys(name for codec, name in runs if codec in codecs))
    missing = [f"{c} on {i}" for c in codecs for i in inputs if (c, i) not in runs]
    if missing or not inputs:
        sys.exit("not in the records: " + (", ".join(missing) or ", ".join(codecs)))

    ratio = {key: run["coded_bytes"] / run["raw_bytes"] for key, run in runs.items()}
    best = {i: min(ratio[c, i] for c in codecs) for i in inputs}
    print("| codec | " + " | ".join(inputs) + " | encode MB/s | decode MB/s |")
    print("|-|" + "-:|" * (len(inputs) + 2))
    for codec in codecs:
        cells = [f"{ratio[codec, i]:.4f}" for i in inputs]
        cells = [f"**{c}**" if ratio[codec, i] == best[i] else c for c, i in zip(cells, inputs)]
        own = [runs[codec, i] for i in inputs]
        cells += [speed(own, "encode_seconds"), speed(own, "decode_seconds")]
        print(f"| {codec} | " + " | ".join(cells) + " |")


main()
