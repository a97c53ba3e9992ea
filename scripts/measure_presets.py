#!/usr/bin/env python3
"""Measures memory, speed and start-up of lmic's levels on one file, into records/presets.json.

    scripts/measure_presets.py FILE [--runs 3]

The memory stated is what `lmic --help` says of a full block on one thread; a file shorter than a block of the level
(in the record) takes less, and nothing is said of level 8, whose network is a file. Start-up is the wall time for 100 bytes
of FILE, and of the program `true` beside it: what starting any program costs here. Speeds are of one thread, of levels that
share a block among threads also of two.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import measurement

LEVELS = range(1, 9)
SHARED = range(6, 9)  # those of which threads work on one block
STARTS = 20
START_BYTES = 100
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
HELP = re.compile(r"^ +-(\d) +[\w ]+: ([\d.]+) (\w+) blocks, ([\d.]+) (\w+) of memory", re.MULTILINE)


def stated():
    """What the help says of each level: bytes of a block, bytes of memory a thread."""
    said = subprocess.run([measurement.program("lmic"), "--help"], check=True, stdout=subprocess.PIPE, text=True)
    found = {int(level): (round(float(block) * UNITS[block_unit]), round(float(memory) * UNITS[memory_unit]))
             for level, block, block_unit, memory, memory_unit in HELP.findall(said.stdout)}
    if sorted(found) != [level for level in LEVELS if level != 8]:
        sys.exit("lmic --help does not state block and memory of each level as it used to")
    return {f"lmic -{n}": {"block_bytes": block, "memory_bytes": memory} for n, (block, memory) in found.items()}


def starts(lines, folder):
    """Wall seconds of each command line, STARTS times, in turn."""
    rounds = [[measurement.run(line, folder, peak=False)[0] for line in lines] for _ in range(STARTS)]
    return [list(times) for times in zip(*rounds)]


def measure_starts(codecs, data, folder):
    """Start-up of each level in both directions, and of `true`."""
    small = folder / "small"
    small.write_bytes(data[:START_BYTES])
    lines = ["true"]
    for number, codec in enumerate(codecs):
        names = {"raw": "small", "coded": f"coded-{number}", "back": f"back-{number}"}
        lines += [codec.encode.format(**names), codec.decode.format(**names)]
    true, *times = starts(lines, folder)
    if any(back.read_bytes() != data[:START_BYTES] for back in folder.glob("back-*")):
        sys.exit("the small input was not restored")
    by_level = {c.name: {"encode": times[2 * i], "decode": times[2 * i + 1]} for i, c in enumerate(codecs)}
    return {"true": true, **by_level}


def main():
    parser = measurement.arguments(__doc__, "presets.json")
    parser.add_argument("file", type=pathlib.Path, metavar="FILE")
    args = parser.parse_args()

    measurement.prepare(args.lmic)
    codecs = [measurement.lmic_codec(level) for level in LEVELS]
    shared = [measurement.lmic_codec(level, 2) for level in SHARED]
    args.output.unlink(missing_ok=True)
    record = measurement.Record(args.output, codecs + shared)
    record.content["stated"] = stated()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        data = args.file.read_bytes()
        record.content["start_seconds"] = measure_starts(codecs, data, folder)
        raw = pathlib.Path(shutil.copyfile(args.file, folder / args.file.name))
        record.define("inputs", raw.name, measurement.describe_input(raw, raw.name))
        record.add(measurement.measure_runs(codecs + shared, raw, args.runs))


main()
