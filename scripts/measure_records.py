#!/usr/bin/env python3
"""Measures short records, each coded alone, into records/records.json: lmic primed beside zstd with a dictionary.

    scripts/measure_records.py DATA [--runs 3] [--input sms_spam]

For each kind of DATA/records, `lmic bench --records` learns from the train file (lmic a primed state, zstd a
dictionary of at most 110 KiB), then codes each record of the dev file alone at level 19, decodes and compares it. zstd's frames are
without magic number, sizes and checksum, and its decoder is told the length of each record; lmic's codes hold it. Times are of the
calls in one process on one thread; what learning takes and the size of the primed state are measured by `lmic prime`.
"""
import datetime
import fnmatch
import json
import lzma
import pathlib
import subprocess
import tempfile

import measurement

CODECS = {
    "lmic -p": "lmic bench --field t --records TRAIN DEV: RecordCodec::compress, decompress",
    "zstd-19 + dictionary": "lmic bench --field t --records TRAIN DEV: dictionary trained on TRAIN, magicless frames",
}


def unpacked(source, folder):
    path = folder / f"{source.parent.name}-{source.name.removesuffix('.xz')}"
    path.write_bytes(lzma.decompress(source.read_bytes()))
    return path


def measure(train, dev, runs):
    """What `lmic bench` says of all runs, and what `lmic prime` takes."""
    lmic = measurement.program("lmic")
    said = subprocess.run([lmic, "bench", "--no-progress", "--json", "--runs", str(runs), "--field", "t", "--records", train,
                           dev],
                          check=True, stdout=subprocess.PIPE).stdout
    state = train.with_suffix(".lmicp")
    took = measurement.run(f"lmic prime -q --field t -s {train} -o {state}", train.parent)
    return json.loads(said), {"state_bytes": state.stat().st_size, "prime": took}


def main():
    parser = measurement.arguments(__doc__, "records.json")
    parser.add_argument("--input", action="append", metavar="PATTERN", help="only these kinds; may be repeated")
    parser.add_argument("data", type=pathlib.Path, metavar="DATA", help="folder with records/train and records/dev")
    args = parser.parse_args()

    measurement.prepare(args.lmic)
    record = measurement.Record(args.output, [])
    for name, how in CODECS.items():
        record.define("codecs", name, {"command": how, "version": measurement.version("lmic")})
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for source in sorted((args.data / "records/dev").iterdir()):
            name = source.name.removesuffix(".jsonl.xz")
            if not any(fnmatch.fnmatch(name, p) for p in args.input or ["*"]):
                continue
            train = unpacked(args.data / "records/train" / source.name, folder)
            dev = unpacked(source, folder)
            rows, primed = measure(train, dev, args.runs)
            if not all(row["verified"] for row in rows):
                raise SystemExit(f"{name}: not restored")
            record.define("inputs", name, measurement.describe_input(
                dev, f"records/dev/{source.name}", records=rows[0]["chunks"], content_bytes=rows[0]["raw_bytes"],
                train=measurement.describe_input(train, f"records/train/{source.name}"), **primed))
            date = datetime.date.today().isoformat()
            record.add([{"codec": row["codec"], "input": name, "date": date, "coded_bytes": row["coded_bytes"],
                         "encode": [[row["encode_seconds"], row["encode_cpu_seconds"], None]],
                         "decode": [[row["decode_seconds"], row["decode_cpu_seconds"], None]]} for row in rows])


main()
