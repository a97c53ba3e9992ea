#!/usr/bin/env python3
"""Codes a text with a checkpoint of the Llama family, decodes and compares, beside what the memory gives: records/llama.json.

    scripts/measure_llama.py MODEL TEXT [--threads 1 2] [--part 1500] [--lanes 16]

MODEL is a Hugging Face folder or a GGUF file; weights may be random, speed does not depend on them. For each number of threads the first
PART bytes in one lane: decoding reads all weights for each token. With the most threads also the whole text in lanes. Needs no other
program; builds crates/lmic-llama/examples/speed.rs.
"""
import argparse
import datetime
import hashlib
import json
import os
import pathlib
import subprocess

import measurement


def build():
    subprocess.run(["cargo", "build", "--release", "-q", "-p", "lmic-llama", "--example", "speed"], cwd=measurement.ROOT, check=True)
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", measurement.ROOT / "target")) / "release/examples/speed"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--part", type=int, default=1500, help="bytes that are coded in one lane [default: 1500]")
    parser.add_argument("--lanes", type=int, default=16, help="most lanes for the whole text [default: 16]")
    parser.add_argument("--output", type=pathlib.Path, default=measurement.RECORDS / "llama.json")
    args = parser.parse_args()
    program, text = build(), args.text.read_bytes()

    def run(threads, lanes, size):
        command = [program, args.model, args.text, str(threads), str(lanes), str(size)]
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        print(found.decode(), flush=True)
        return json.loads(found)

    runs = [run(threads, 1, args.part) for threads in args.threads]
    runs.append(run(max(args.threads), args.lanes, len(text)))
    record = {"machine": measurement.machine(), "date": datetime.date.today().isoformat(), "commit": measurement.commit_of_sources(),
              "text": {"source": args.text.name, "bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}, "models": {}}
    if args.output.exists():
        old = json.loads(args.output.read_text())
        if old["machine"] == record["machine"] and old["text"] == record["text"]:
            record["models"] = old["models"]
    about = ("identity", "shape", "parameters", "model_bytes")
    record["models"][args.model.name] = {**{key: runs[0][key] for key in about},
                                         "runs": [{k: v for k, v in run.items() if k not in (*about, "model")} for run in runs]}
    measurement.write_record(args.output, record)


main()
