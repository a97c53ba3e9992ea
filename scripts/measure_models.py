#!/usr/bin/env python3
"""Measures transformers: bits, speed, kernels beside the CPU's peak; into records/models.json.

    scripts/measure_models.py DATA --models MODEL_DIR... [--trained-on 'one NVIDIA H100'] [--part bits] [--quick]

MODEL_DIR is a Hugging Face directory in f32; MODEL_DIR-int8.safetensors beside it is its int8 form.

bits     `lmic bench`, which decodes and compares: on evenly spaced samples of each text of DATA/text/dev, each chunk
         of 2048 bytes alone (f32 and int8), and each piece of 64 KiB alone with windows that overlap (int8). Peers
         code the same chunks and pieces; they have a header for each chunk, transformers one for all chunks.
speed    `lmic -m` and `lmic -d` as a user calls them, start and loading included, on 1 and 2 threads, everything
         decoded and compared. Windows do not overlap, and each thread has one block.
kernels  products of matrices beside the peak of the same instructions (the ignored test gemm_speed).

A part measured again takes the place of the old one. --quick tries all on very little, into
target/models_quick.json: its numbers mean nothing.
"""
import concurrent.futures
import csv
import datetime
import functools
import json
import lzma
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import measurement
from measurement import Codec

PARTS = ("bits", "speed", "kernels")
CHUNK, PIECE = 2048, 64 << 10
PEERS = {"chunks": ("lmic-5", "xz-9e", "brotli-11", "zstd-22"), "pieces": ("lmic-5", "xz-9e")}

# Speed: bytes of a block of int8 models by their most parameters, so that a run takes seconds; f32 gets half.
BLOCKS = ((400_000, 64 << 10), (1_500_000, 32 << 10), (float("inf"), 16 << 10))
SPEED_TEXT = "text/dev/enwik8_first_2000000.xml.xz"
# The largest model is also run with the windows of the prototypes in the design.
PROTOTYPE_CONTEXT = 512
THREADS = (1, 2)


class Model:
    """One form of a model, as the model folder has it."""

    def __init__(self, path, folder):
        said = subprocess.run([measurement.program("lmic"), "model", "show", "--json", path], check=True,
                              stdout=subprocess.PIPE, text=True)
        shown = json.loads(said.stdout)
        self.name, self.parameters = shown["name"], shown["parameters"]
        self.facts = {key: shown[key] for key in ("parameters", "precision", "tensor_bytes", "identity")}
        # Commands name the model, not where it lies on this machine.
        folder.joinpath(path.name).symlink_to(path.resolve())

    @property
    def is_int8(self):
        return self.facts["precision"] == "int8"


def training(path, device):
    """What the trainer wrote down: the last line of metrics.csv."""
    metrics = path / "metrics.csv"
    if not metrics.exists():
        return {}
    with open(metrics, encoding="utf-8", newline="") as lines:
        last = list(csv.DictReader(lines))[-1]
    return {"steps": int(last["step"]), "trained_bytes": int(last["bytes"]), "seconds": float(last["seconds"]),
            "device": device, "validation_bits": float(last["val_bpb"])}


def find_models(paths, device, folder, record):
    """Both forms of each model, in the record under their names."""
    models = []
    for path in paths:
        forms = [path, path.with_name(f"{path.name}-int8.safetensors")]
        for form in filter(pathlib.Path.exists, forms):
            model = Model(form, folder)
            models.append(model)
            record.define_model(model.name, {**model.facts, "base": path.name, **training(path, device)})
    return models


class ModelRecord(measurement.Record):
    """With the models, and a part cleared before it is measured again."""

    def __init__(self, path):
        super().__init__(path, [])
        self.content.setdefault("models", {})
        self.content.setdefault("kernels", {})

    def define_model(self, name, facts):
        """A model that has changed takes the measurements of its codecs with it."""
        if self.content["models"].get(name) not in (None, facts):
            self.drop(lambda m: self.content["codecs"][m["codec"]]["model"] == name)
        self.content["models"][name] = facts

    def clear(self, part):
        """Drops what was measured for `part`, with its codecs and inputs."""
        self.drop(lambda m: self.content["codecs"][m["codec"]]["part"] == part)
        for kind in ("codecs", "inputs"):
            used = {m[kind[:-1]] for m in self.content["measurements"]}
            self.content[kind] = {name: value for name, value in self.content[kind].items() if name in used}


# --- bits ---

def spread(text, size, count):
    """`count` whole pieces of `size` bytes, evenly spaced."""
    there = len(text) // size
    starts = [(2 * i + 1) * there // (2 * count) * size for i in range(min(count, there))]
    return b"".join(text[start:start + size] for start in starts)


def bench(arguments, raw):
    """What `lmic bench` says: it has decoded and compared, or fails."""
    command = [measurement.program("lmic"), "bench", *arguments, "--json", "--no-progress", raw.name]
    run = subprocess.run(command, cwd=raw.parent, stdout=subprocess.PIPE, text=True)
    said = json.loads(run.stdout) if run.returncode == 0 else []
    if not said or not all(entry["verified"] for entry in said):
        sys.exit(f"lmic bench {' '.join(arguments)} {raw.name}: status {run.returncode}")
    return said


def benches(models, mode, size):
    """(model or None for the peers, arguments of bench): each a run of bench."""
    for model in models:
        if mode == "chunks":
            yield model.name, ["-m", model.name, "--overlap", "0"]
        elif model.is_int8:
            yield model.name, ["-m", model.name, "--chunk", str(size)]
    chosen = [word for peer in PEERS[mode] for word in ("--codec", peer)]
    yield None, [*chosen, "--chunk", str(size)]


def samples(record, args, folder):
    """Writes the inputs; (file, mode, bytes coded alone) of each."""
    for packed in sorted((args.data / "text/dev").glob("*.xz"))[:2 if args.quick else None]:
        text = lzma.decompress(packed.read_bytes())
        for mode, size, count in (("chunks", CHUNK, args.chunks), ("pieces", args.piece, args.pieces)):
            raw = folder / f"{packed.stem}, {mode}"
            raw.write_bytes(spread(text, size, count))
            source = f"{count} times {size} bytes of text/dev/{packed.name}, evenly spaced"
            record.define("inputs", raw.name, measurement.describe_input(raw, source, mode=mode))
            yield raw, mode, size


def measure_bits(record, models, args):
    def one(task):
        raw, mode, model, words = task
        return task, bench(words, raw)

    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        tasks = [(raw, mode, model, words) for raw, mode, size in samples(record, args, pathlib.Path(folder))
                 for model, words in benches(models, mode, size)]
        for (raw, mode, model, words), said in pool.map(one, tasks):
            for entry in said:
                add_bits(record, raw.name, mode, model, words, entry)


def add_bits(record, name, mode, model, words, entry):
    codec = f"{entry['codec']}, {mode}"
    record.define("codecs", codec, {
        "encode": " ".join(["lmic bench", *words, "{raw}"]), "decode": None,
        "version": measurement.version("lmic"), "part": "bits", "model": model, "mode": mode})
    times = {way: [[entry[f"{way}_seconds"], entry[f"{way}_cpu_seconds"], None]] for way in ("encode", "decode")}
    record.add([{"codec": codec, "input": name, "date": datetime.date.today().isoformat(), **times,
                 "coded_bytes": entry["coded_bytes"]}])
    print(f"{name}: {entry['raw_bytes']} -> {entry['coded_bytes']} by {entry['codec']}", file=sys.stderr)


# --- speed ---

def speed_codec(model, context, threads, block):
    lengths = f"--context {context} --overlap 0 --block-size {block}"
    return Codec(f"{model.name}, {context} positions -T{threads}", "lmic",
                 f"lmic -m {model.name} {lengths} -T{threads} -c {{raw}} > {{coded}}",
                 f"lmic -d -m {model.name} -T{threads} -c {{coded}} > {{back}}")


def measure_speed(record, models, args):
    text = lzma.decompress((args.data / SPEED_TEXT).read_bytes())
    largest = max(model.parameters for model in models)
    plan = {}  # bytes of the input -> codecs with their facts
    for model in models:
        block = next(size for most, size in BLOCKS if model.parameters <= most) // (1 if model.is_int8 else 2)
        block = 4 << 10 if args.quick else block
        for context in (2048, PROTOTYPE_CONTEXT) if model.parameters == largest else (2048,):
            for threads in THREADS:
                codec = speed_codec(model, context, threads, block)
                facts = {"part": "speed", "model": model.name, "context": context, "threads": threads}
                record.define("codecs", codec.name, {**codec.described(), **facts})
                plan.setdefault(threads * block, []).append(codec)
    inputs = [(f"speed-{size}", functools.partial(write, text[:size]), f"the first {size} bytes of {SPEED_TEXT}",
               {"mode": "speed"}) for size in plan]
    measurement.measure_all(record, lambda name: plan[int(name.split("-")[1])], inputs, runs=args.runs)


def write(data, path):
    path.write_bytes(data)


# --- kernels ---

TEST = ["cargo", "test", "--release", "--package", "lmic", "--lib", "--", "gemm_speed", "--ignored", "--nocapture",
        "--test-threads", "1"]
SHAPE = re.compile(r"(\d+ x \d+) +(\d+)((?: +[\d.]+(?: +\d+ %)?)+)$")
LEVEL = re.compile(r"(\w+) +R((?: +\w+)+)$")
RATE = re.compile(r"([\d.]+)(?: +\d+ %)?")


def measure_kernels(record):
    """Keeps rates in 10^9 multiply-adds a second; shares are taken of the peak seen over the whole run."""
    said = subprocess.run(TEST, cwd=measurement.ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    print(said, file=sys.stderr)
    levels = read_kernels(said)
    if not levels or not all(level["peak"] and level["rates"] for level in levels.values()):
        sys.exit("gemm_speed does not print what it used to")
    record.content["kernels"] = {"command": " ".join(TEST), "date": datetime.date.today().isoformat(),
                                 "version": f"commit {measurement.commit_of_sources()}", **levels}
    record.save()


def read_kernels(said):
    levels = {}
    for line in map(str.rstrip, said.splitlines()):
        if match := LEVEL.search(line):
            level = levels[match[1]] = {"kinds": match[2].split(), "peak": [], "rates": {}}
        elif match := SHAPE.search(line):
            level["rates"].setdefault(match[1], {})[match[2]] = rates(match[3])
        elif line.startswith("peak "):
            level["peak"] = rates(line.removeprefix("peak"))
    return levels


def rates(cells):
    return [float(rate) for rate in RATE.findall(cells)]


def main():
    parser = measurement.arguments(__doc__, "models.json")
    parser.set_defaults(runs=5)
    parser.add_argument("data", type=pathlib.Path, metavar="DATA", help="folder with text/dev/*.xz")
    parser.add_argument("--models", type=pathlib.Path, nargs="+", required=True, metavar="MODEL_DIR")
    parser.add_argument("--trained-on", metavar="DEVICE", help="what the models were trained on, for the record")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this; may be repeated [default: all]")
    parser.add_argument("--chunks", type=int, default=24, help="bits: chunks of 2048 bytes a text [default: 24]")
    parser.add_argument("--pieces", type=int, default=1, help="bits: pieces of 64 KiB a text [default: 1]")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="bits: inputs at a time [default: cores]")
    parser.add_argument("--quick", action="store_true", help="only try whether it works")
    args = parser.parse_args()
    parts = args.part or PARTS
    args.piece = PIECE
    if args.quick:
        args.runs, args.chunks, args.pieces, args.piece = 1, 2, 1, 4 << 10
        args.output = measurement.ROOT / "target/models_quick.json"
        args.output.unlink(missing_ok=True)

    measurement.prepare(args.lmic)
    record = ModelRecord(args.output)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LMIC_MODELS"] = folder
        models = find_models(args.models, args.trained_on, pathlib.Path(folder), record)
        for part in parts:
            record.clear(part)
        if "speed" in parts:
            measure_speed(record, models, args)
        if "bits" in parts:
            measure_bits(record, models, args)
    if "kernels" in parts:
        measure_kernels(record)


main()
