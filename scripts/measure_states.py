#!/usr/bin/env python3
"""What a primed state is worth for files of its kind, by their length; into records/states.json.

    scripts/measure_states.py DATA [--jobs N]

`lmic prime` learns from the lines of each file of DATA/records/train. The first bytes of the file in records/dev, as many as each length
says, are coded by `lmic bench -p`, which decodes and compares: without the state and with it, and by zstd with all samples at hand
(--patch-from), restored and compared here.
"""
import concurrent.futures
import datetime
import lzma
import pathlib
import subprocess
import sys
import tempfile

import measurement

LENGTHS = (2 << 10, 16 << 10, 128 << 10)
CODECS = ("xz-9e", "lmic-5", "lmic-7")
NAME = "state"
ZSTD = "zstd --ultra -22 --long=27 --patch-from"
ORDER = ("xz-9e", ZSTD, "lmic-5", "lmic-7", f"{NAME}-1", f"{NAME}-5", f"{NAME}-7")


def run(*command):
    # What zstd advises with --patch-from goes to stderr.
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True).stdout


def zstd(train, raw):
    """Bytes of `raw` when zstd knows `train`."""
    coded, back = raw.with_suffix(".zst"), raw.with_suffix(".back")
    run(*ZSTD.split()[:-1], "-q", "-f", f"--patch-from={train}", raw, "-o", coded)
    run("zstd", "-q", "-f", "-d", "--long=27", f"--patch-from={train}", coded, "-o", back)
    if back.read_bytes() != raw.read_bytes():
        sys.exit(f"{raw}: not restored by zstd")
    return coded.stat().st_size


def measure(lmic, source, dev, folder):
    """Entries of one kind."""
    folder.mkdir()
    train, state = folder / "train", folder / f"{NAME}.lmicp"
    train.write_bytes(lzma.decompress(source.read_bytes()))
    run(lmic, "prime", "-q", "-s", train, "-o", state)
    content = lzma.decompress(dev.read_bytes())
    for length in (*(length for length in LENGTHS if length < len(content)), len(content)):
        raw = folder / f"dev-{length}"
        raw.write_bytes(content[:length])
        codecs = (word for codec in CODECS for word in ("--codec", codec))
        coded = measurement.bench("-p", state, *codecs, raw) | {ZSTD: zstd(train, raw)}
        yield {"input": source.name.removesuffix(".jsonl.xz"), "bytes": length, "state_bytes": state.stat().st_size,
               "coded_bytes": {name: coded[name] for name in ORDER}}


def main():
    parser = measurement.arguments(__doc__, "states.json")
    parser.add_argument("data", type=pathlib.Path, metavar="DATA", help="folder with records/train and records/dev")
    parser.add_argument("--jobs", type=int, default=1, help="so many at a time [default: 1]")
    args = parser.parse_args()
    measurement.prepare(args.lmic)
    lmic = measurement.program("lmic")
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        sources = sorted((args.data / "records/train").iterdir())
        entries = pool.map(lambda source: list(measure(lmic, source, args.data / "records/dev" / source.name,
                                                       pathlib.Path(folder) / source.name)), sources)
        measurement.write_record(args.output, {
            "machine": measurement.machine(), "version": measurement.version("lmic"), "zstd": measurement.version("zstd").split("[")[0],
            "date": datetime.date.today().isoformat(), "measurements": [entry for kind in entries for entry in kind]})


main()
