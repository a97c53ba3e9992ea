#!/usr/bin/env python3
"""What each part of a state primed with text buys, by length of input; into records/primed.json.

    scripts/measure_primed.py DATA [--jobs N]

`lmic prime` learns states of several sizes from text/train of DATA: pieces of 64 KiB, evenly spaced, from each text in proportion to
its length, cut into samples of 2 KiB. Pieces of text/dev, the same as those of measure_mix.py, are coded each alone by
`lmic bench --chunk`, which decodes and compares: with the state alone (-1), beside context mixing (-5), and beside level 7. An archive names its state in NAMING bytes more than one of level 5, which a state
that came with the program would not need: tables.py takes them off.
"""
import concurrent.futures
import lzma
import pathlib
import subprocess
import tempfile
import time

import measurement

SIZES = {256: 32, 2048: 16, 16 << 10: 6, 128 << 10: 2}
CODECS = ("lmic-5", "lmic-6", "lmic-7")
# What a state is learned from is cut into.
PIECE, SAMPLE = 64 << 10, 2 << 10
# (log2 of the table's lines of 64 bytes, bytes learned from: of texts that hold less, all)
STATES = [(10, 16_000_000), (12, 16_000_000), (14, 16_000_000), (16, 16_000_000), (18, 16_000_000),
          (14, 2_000_000), (16, 2_000_000), (14, 400_000_000), (16, 400_000_000), (18, 400_000_000)]
NAME = "p"
NAMING = 1 + len(NAME) + 32 + 1  # docs/format.md, model byte A5


def training(data):
    """All training texts."""
    return [lzma.decompress(path.read_bytes()) for path in sorted((data / "text/train").glob("*.xz"))]


def pieces(texts, most):
    """Some `most` bytes of all texts."""
    total = sum(map(len, texts))
    for text in texts:
        yield from measurement.spread(text, PIECE, min(most, total) * len(text) // total // PIECE)


def learn(texts, bits, most, folder):
    """A state; what it is and took."""
    folder.mkdir()
    samples = folder / "samples"
    with samples.open("wb") as file:
        file.writelines(pieces(texts, most))
    state = folder / f"{NAME}.lmicp"
    start = time.perf_counter()
    subprocess.run([measurement.program("lmic"), "prime", "-q", "--chunk", str(SAMPLE), "--table-bits", str(bits),
                    "--samples", samples, "-o", state], check=True)
    seconds = round(time.perf_counter() - start, 1)
    facts = {"table_bits": bits, "sample_bytes": samples.stat().st_size, "state_bytes": state.stat().st_size,
             "prime_seconds": seconds}
    samples.unlink()
    return state, facts


def main():
    parser = measurement.arguments(__doc__, "primed.json")
    parser.add_argument("data", type=pathlib.Path, metavar="DATA", help="folder with text/train/*.xz and text/dev/*.xz")
    parser.add_argument("--jobs", type=int, default=1, help="so many at a time [default: 1]")
    args = parser.parse_args()
    measurement.prepare(args.lmic)
    texts = training(args.data)
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        folder = pathlib.Path(folder)
        learned = list(pool.map(lambda i: learn(texts, *STATES[i], folder / f"state-{i}"), range(len(STATES))))
        inputs, tasks = [], []
        for packed in sorted((args.data / "text/dev").glob("*.xz")):
            text = lzma.decompress(packed.read_bytes())
            for size, count in SIZES.items():
                chosen = measurement.spread(text, size, count)
                raw = folder / f"{packed.stem}-{size}"
                raw.write_bytes(b"".join(chosen))
                inputs.append({"input": packed.stem, "size": size, "pieces": len(chosen), "bytes": raw.stat().st_size})
                chunks = ("--chunk", str(size))
                tasks.append((*chunks, *(w for codec in CODECS for w in ("--codec", codec)), raw))
                tasks += [(*chunks, "-p", state, raw) for state, _ in learned]
        coded = list(pool.map(lambda task: measurement.bench(*task), tasks))
    each = 1 + len(learned)
    entries = [{**entry, "coded_bytes": coded[i * each], "primed_bytes": coded[i * each + 1:(i + 1) * each]}
               for i, entry in enumerate(inputs)]
    measurement.write_record(args.output, {
        "machine": measurement.machine(), "version": measurement.version("lmic"), "naming_bytes": NAMING,
        "states": [facts for _, facts in learned], "measurements": entries})


main()
