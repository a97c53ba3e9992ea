#!/usr/bin/env python3
"""What the network, context mixing and both together reach, by length of input; into records/mix.json and docs/mix.svg.

    scripts/measure_mix.py DATA [--longest BYTES] [--plot-only]

Pieces of each length from each text of DATA/text/dev, evenly spaced, each coded alone: `lmic bench --chunk`, which decodes
and compares, with every header counted. The network alone is an estimate, the sum of its -log2 p
(`cargo run --release --example recurrent`): no archive has it alone. The plot needs matplotlib.
"""
import collections
import json
import lzma
import pathlib
import re
import subprocess
import sys
import tempfile

import measurement

# Bytes of a piece, and how many of each text.
SIZES = {256: 32, 2048: 16, 16 << 10: 6, 128 << 10: 2, 1 << 20: 1, 10_000_000: 1}
CODECS = ("lmic-5", "lmic-6", "lmic-7", "xz-9e", "brotli-11")
NETWORK = "network of -7 alone (estimate)"
# The longest pieces: what only one text is long enough for, and only these are worth their time on.
LARGE = 10_000_000
COLOURS = {"lmic-7": "#c1121f", "lmic-6": "#f4978e", "lmic-5": "#1d3557", NETWORK: "#e09f3e",
           "xz-9e": "#8d99ae", "brotli-11": "#adb5bd"}


def estimate(network, raw, count):
    command = ["cargo", "run", "-q", "--release", "--package", "lmic", "--example", "recurrent", "--", network, raw,
               "--lanes", str(count)]
    said = subprocess.run(command, cwd=measurement.ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return float(re.search(r"([0-9.]+) bits a byte", said)[1])


def measure(args, folder):
    entries = []
    for packed in sorted((args.data / "text/dev").glob("*.xz")):
        text = lzma.decompress(packed.read_bytes())
        for size, count in SIZES.items():
            pieces = measurement.spread(text, size, count)
            count, pieces = len(pieces), b"".join(pieces)
            if not count or size > args.longest or size == LARGE and packed.stem != "wiki_2018.txt":
                continue
            raw = folder / packed.stem
            raw.write_bytes(pieces)
            codecs = (word for codec in CODECS for word in ("--codec", codec))
            coded = measurement.bench("--chunk", str(size), "-T2", *codecs, raw)
            bits = estimate(args.network.resolve(), raw, count)
            entries.append({"input": packed.stem, "size": size, "pieces": count, "bytes": len(pieces),
                            "coded_bytes": coded, "network_bits": bits})
            print(f"{packed.stem}, {count} x {size}: " + ", ".join(
                f"{c} {b / len(pieces):.4f}" for c, b in coded.items()), f"network {bits / 8:.4f}", file=sys.stderr)
            measurement.write_record(args.output, {
                "machine": measurement.machine(), "version": measurement.version("lmic"),
                "network": args.network.stem, "measurements": entries})


def means(entries):
    """{codec: {size: mean over the texts of coded / raw}}, sizes that every text has."""
    rates = collections.defaultdict(lambda: collections.defaultdict(list))
    texts = {entry["input"] for entry in entries}
    for entry in entries:
        for codec, coded in entry["coded_bytes"].items():
            rates[codec][entry["size"]].append(coded / entry["bytes"])
        rates[NETWORK][entry["size"]].append(entry["network_bits"] / 8)
    return {codec: {size: sum(r) / len(r) for size, r in sizes.items() if len(r) == len(texts)}
            for codec, sizes in rates.items()}


def plot(record, path):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "lmic"  # the same picture from the same record
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.2))
    for codec, sizes in means(record["measurements"]).items():
        axes.plot(list(sizes), list(sizes.values()), marker="o", color=COLOURS.get(codec), label=codec)
    axes.set_xscale("log", base=2)
    sizes = [size for size in SIZES if size != LARGE]
    sizes = [size for size in sizes if any(size in s for s in means(record["measurements"]).values())]
    axes.set_xticks(sizes, [f"{s} B" if s < 1024 else f"{s >> 10} KiB" if s < 1 << 20 else f"{s >> 20} MiB" for s in sizes])
    axes.set_xlabel("length of the input")
    axes.set_ylabel("coded / raw, mean of seven texts")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = measurement.arguments(__doc__, "mix.json")
    parser.add_argument("data", type=pathlib.Path, metavar="DATA", help="folder with text/dev/*.xz")
    parser.add_argument("--network", type=pathlib.Path,
                        default=measurement.ROOT / "crates/lmic/models/recurrent-default.safetensors")
    parser.add_argument("--longest", type=int, default=LARGE, metavar="BYTES", help="no longer pieces [default: %(default)s]")
    parser.add_argument("--plot-only", action="store_true", help="draw the record that is there")
    args = parser.parse_args()
    if not args.plot_only:
        measurement.prepare(args.lmic)
        with tempfile.TemporaryDirectory() as folder:
            measure(args, pathlib.Path(folder))
    plot(json.loads(args.output.read_text(encoding="utf-8")), measurement.ROOT / "docs/mix.svg")


main()
