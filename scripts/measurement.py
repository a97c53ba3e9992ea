"""Runs codecs as a user would, decodes and compares, and keeps every raw number in a record.

Shared by the measure_*.py scripts. A record is a JSON file in records/:

    machine       processor, number of cores
    codecs        name -> command lines, version
    inputs        name -> where it comes from (relative to the data), bytes, sha256
    measurements  codec, input, date, coded_bytes, and one entry a run of encode and decode:
                  [wall seconds, CPU seconds of user and system, peak resident bytes]

Nothing enters a record that was not decoded and compared. A new measurement takes the place of the
old one of the same codec and input; those of a codec or input that is no longer the same are dropped.
"""
import argparse
import collections.abc
import concurrent.futures
import dataclasses
import datetime
import filecmp
import fnmatch
import hashlib
import json
import os
import pathlib
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECORDS = ROOT / "records"
SOURCES = ("crates", "Cargo.toml", "Cargo.lock")  # what the binary is made of


@dataclasses.dataclass(frozen=True)
class Codec:
    """Command lines of a codec: `PROGRAM ARGUMENT... [> FILE]`; {raw}, {coded}, {back} are files.

    Without `decode` the comparison itself opens the coded file. `same(raw, back)` says whether
    nothing was lost.
    """

    name: str
    suffix: str
    encode: str
    decode: str | None
    same: collections.abc.Callable = lambda raw, back: filecmp.cmp(raw, back, shallow=False)
    models: tuple = ()  # files that were trained before, relative to the root: they count in an adjusted rate

    @property
    def program(self):
        return self.encode.split()[0]

    def described(self):
        models = {"model_bytes": sum((ROOT / path).stat().st_size for path in self.models)} if self.models else {}
        return {"encode": self.encode, "decode": self.decode, "version": version(self.program), **models}


# What a level is made of, beside code.
LMIC_MODELS = {
    6: ("crates/lmic/models/recurrent-small.safetensors", "crates/lmic/models/mix-6.start"),
    7: ("crates/lmic/models/recurrent-default.safetensors", "crates/lmic/models/mix-7.start"),
    8: ("models/recurrent-large.safetensors",),
}


def lmic_codec(level, threads=1):
    """lmic at a level, on one thread, as its peers are; the bytes are the same for any number."""
    name = f"lmic -{level}" if threads == 1 else f"lmic -{level} -T{threads}"
    return Codec(name, "lmic", f"lmic -{level} -T{threads} -c {{raw}} > {{coded}}",
                 f"lmic -d -T{threads} -c {{coded}} > {{back}}", models=LMIC_MODELS.get(level, ()))


# Where programs are: lmic is set by `prepare`, the others are on the path.
PROGRAMS = {}
# What makes a program say its version, where it is not --version.
VERSION_ARGUMENTS = {"zpaq": [], "7z": [], "cwebp": ["-version"]}


def program(name):
    return PROGRAMS.get(name) or shutil.which(name)


def version(name):
    """The first line of what the program says about itself; for lmic also the commit it is built from."""
    if name == "lmic":
        return PROGRAMS["lmic version"]
    arguments = VERSION_ARGUMENTS.get(name, ["--version"])
    said = subprocess.run([program(name), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, text=True).stdout
    first = next((line.strip(" *") for line in said.splitlines() if line.strip(" *")), name)
    first = re.split(r", | : | \[AVX", first)[0]  # no authors, dates of compilation, instruction sets
    return f"{name} {first}" if first[:1].isdigit() else first


def prepare(binary):
    """Builds lmic, or takes the binary given; then it is not known which commit it is of."""
    if binary is None:
        subprocess.run(["cargo", "build", "--release", "--package", "lmic-cli"], cwd=ROOT, check=True)
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"))
        binary = ROOT / target / "release" / "lmic"
        source = f"commit {commit_of_sources()}"
    else:
        source = "commit unknown"
    os.environ["LMIC_MODELS"] = str(ROOT / "models")  # for level 8
    PROGRAMS["lmic"] = str(pathlib.Path(binary).resolve())
    said = subprocess.run([PROGRAMS["lmic"], "--version"], stdout=subprocess.PIPE, check=True, text=True)
    PROGRAMS["lmic version"] = f"{said.stdout.strip()}, {source}"
    if program("time") is None:
        sys.exit("GNU time is needed for peak memory: apt-get install time")


def commit_of_sources():
    def git(*arguments):
        return subprocess.run(["git", *arguments, "--", *SOURCES], cwd=ROOT, check=True,
                              stdout=subprocess.PIPE, text=True).stdout.strip()

    return git("log", "-1", "--format=%h") + (" with changes" if git("status", "--porcelain") else "")


class Running:
    """A program at work in `folder`, with what it takes.

    GNU time stands between for the peak alone: a child of this process would start with the memory
    of Python in its own peak. It adds about a millisecond, so start-up is measured without.
    """

    def __init__(self, words, folder, *, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, peak=True):
        self.words, self.folder, self.peak = words, folder, peak
        argv = [program("time"), "--quiet", "-f", "%M", "-o", "peak"] if peak else []
        argv += [program(words[0]), *words[1:]]
        with open(folder / "complaint", "wb") as complaint:
            self.start = time.perf_counter()
            self.child = subprocess.Popen(argv, cwd=folder, stdin=stdin, stdout=stdout, stderr=complaint)

    def finish(self):
        """Waits; (wall seconds, CPU seconds, peak resident bytes or None)."""
        _, status, usage = os.wait4(self.child.pid, 0)
        wall = time.perf_counter() - self.start
        self.child.returncode = os.waitstatus_to_exitcode(status)
        if self.child.returncode != 0:
            complaint = (self.folder / "complaint").read_text(errors="replace")
            sys.exit(f"{shlex.join(self.words)}: status {self.child.returncode}\n{complaint}")
        peak = int((self.folder / "peak").read_text()) * 1024 if self.peak else None
        return round(wall, 4), round(usage.ru_utime + usage.ru_stime, 4), peak


def run(line, folder, *, peak=True):
    """Runs a command line in `folder`; what it took, as `Running.finish`."""
    words, _, target = line.partition(" > ")
    with open(folder / (target or "said"), "wb") as stdout:
        return Running(shlex.split(words), folder, stdout=stdout, peak=peak).finish()


def measure(codec, raw):
    """Encodes, decodes and compares once; (coded bytes, encode, decode)."""
    names = {"raw": raw.name, "coded": f"{raw.name}.{codec.suffix}", "back": f"back-{raw.name}"}
    coded, back = raw.with_name(names["coded"]), raw.with_name(names["back"])
    encode = run(codec.encode.format(**names), raw.parent)
    coded_bytes = coded.stat().st_size
    decode = run(codec.decode.format(**names), raw.parent) if codec.decode else None
    if not codec.same(raw, back if codec.decode else coded):
        sys.exit(f"{codec.name} does not restore {raw.name}")
    coded.unlink()
    back.unlink(missing_ok=True)
    return coded_bytes, encode, decode


def measure_runs(codecs, raw, runs):
    """Every codec `runs` times, in turn, so that a change of the machine's speed meets all of them."""
    kept = {codec.name: {"encode": [], "decode": []} for codec in codecs}
    for _ in range(runs):
        for codec in codecs:
            coded_bytes, encode, decode = measure(codec, raw)
            kept[codec.name]["coded_bytes"] = coded_bytes
            kept[codec.name]["encode"].append(encode)
            if decode:
                kept[codec.name]["decode"].append(decode)
    date = datetime.date.today().isoformat()
    return [{"codec": name, "input": raw.name, "date": date, **values} for name, values in kept.items()]


def installed(codecs, patterns):
    """The codecs asked for that are there; says which are not."""
    asked = [c for c in codecs if any(fnmatch.fnmatch(c.name, p) for p in patterns or ["*"])]
    for codec in asked:
        if program(codec.program) is None:
            print(f"skipped, {codec.program} is not installed: {codec.name}", file=sys.stderr)
    return [codec for codec in asked if program(codec.program)]


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {"cpu": names[0] if names else "unknown", "architecture": platform.machine(), "nproc": os.cpu_count()}


def describe_input(raw, source, **more):
    data = raw.read_bytes()
    return {"source": source, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), **more}


class Record:
    """A record on disk, added to as measurements come in."""

    def __init__(self, path, codecs):
        self.path = path
        self.content = {"machine": machine(), "codecs": {}, "inputs": {}, "measurements": []}
        if path.exists():
            self.content = json.loads(path.read_text(encoding="utf-8"))
            if self.content["machine"] != machine():
                sys.exit(f"{path} is of another machine: remove it, or write to another --output")
        for codec in codecs:
            self.define("codecs", codec.name, codec.described())

    def define(self, kind, name, value):
        """A codec or input that has changed takes its old measurements with it."""
        if self.content[kind].get(name) not in (None, value):
            self.drop(lambda m: m[kind[:-1]] == name)
        self.content[kind][name] = value

    def drop(self, unwanted):
        self.content["measurements"] = [m for m in self.content["measurements"] if not unwanted(m)]

    def add(self, measurements):
        new = {(m["codec"], m["input"]) for m in measurements}
        self.drop(lambda m: (m["codec"], m["input"]) in new)
        self.content["measurements"] += measurements
        self.save()

    def save(self):
        write_record(self.path, self.content)


def write_record(path, content):
    """One line an entry, so that the file can be read and differences be seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(to_lines(content), encoding="utf-8")
    unfinished.replace(path)


def to_lines(content):
    parts = []
    for key, value in content.items():
        if isinstance(value, dict):
            entries = [f"    {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items()]
            parts.append(f"  {json.dumps(key)}: {{\n" + ",\n".join(entries) + "\n  }")
        elif isinstance(value, list):
            entries = [f"    {json.dumps(v)}" for v in value]
            parts.append(f"  {json.dumps(key)}: [\n" + ",\n".join(entries) + "\n  ]")
        else:
            parts.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def bench(*how):
    """{codec: coded bytes} by `lmic bench`, which decodes and compares."""
    command = [program("lmic"), "bench", "--json", "--no-progress", *how]
    said = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    if not all(entry["verified"] for entry in said):
        sys.exit(f"{how[-1]}: not restored")
    return {entry["codec"]: entry["coded_bytes"] for entry in said}


def spread(text, size, count):
    """`count` whole pieces of `size` bytes, or as many as there are, evenly spaced."""
    there = len(text) // size
    count = min(count, there)
    starts = [(2 * i + 1) * there // (2 * count) * size for i in range(count)]
    return [text[start:start + size] for start in starts]


def arguments(document, default_output):
    """The options that all scripts share."""
    parser = argparse.ArgumentParser(description=document, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lmic", metavar="BINARY", help="measure this one [default: build it]")
    parser.add_argument("--runs", type=int, default=1, help="runs of each, in turn [default: 1]")
    parser.add_argument("--output", type=pathlib.Path, default=RECORDS / default_output,
                        help=f"the record [default: records/{default_output}]")
    return parser


def choice_arguments(parser):
    parser.add_argument("--codec", action="append", metavar="PATTERN", help="only these, as 'lmic*'; may be repeated")
    parser.add_argument("--input", action="append", metavar="PATTERN", help="only these, as t2 or '*.wav'; may be repeated")


def measure_all(record, codecs_of, inputs, *, runs, jobs=1):
    """Measures each of `inputs`: (name, write(path), source, further facts); `jobs` inputs at a time."""
    def one(entry):
        name, write, source, facts = entry
        with tempfile.TemporaryDirectory() as folder:
            raw = pathlib.Path(folder) / name
            write(raw)
            described = describe_input(raw, source, **facts)
            return name, described, measure_runs(codecs_of(name), raw, runs)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for name, described, measurements in pool.map(one, inputs):
            record.define("inputs", name, described)
            record.add(measurements)
            best = min(measurements, key=lambda m: m["coded_bytes"])
            print(f"{name}: {described['bytes']} -> {best['coded_bytes']} by {best['codec']}", file=sys.stderr)
