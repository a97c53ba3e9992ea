#!/usr/bin/env python3
"""Prints Markdown tables from the records of the measure_*.py scripts.

    scripts/tables.py {text|speed|samples|presets|pipe|inputs|commands} RECORD.json [...]

Only decoded and compared bytes are in records. Several runs count as their median, the smallest
ratio of a column is bold, MB = 10^6 bytes. scripts/regenerate.py puts the tables into documents.
"""
import argparse
import json
import statistics
import sys

LABELS = {"t3": "enwik8, 100 KB", "t2": "enwik8, 1 MB", "enwik8_first_2000000.xml": "enwik8, 2 MB"}
WALL, CPU, PEAK = range(3)


class Runs:
    """What one codec took for one input."""

    def __init__(self, measurement, raw_bytes):
        self.coded, self.raw = measurement["coded_bytes"], raw_bytes
        self.ways = {way: measurement[way] for way in ("encode", "decode")}

    def median(self, way, field):
        return statistics.median(run[field] for run in self.ways[way]) if self.ways[way] else None

    def rate(self, way, field):
        """Bytes per second."""
        return self.raw / self.median(way, field) if self.ways[way] else None


def read(path):
    with open(path, encoding="utf-8") as record:
        return json.load(record)


def by_row(record, inputs):
    """{row: {input: Runs}} in the order of the codecs; of variants (` o=8`, ` o=16`) the smaller."""
    rows = {name.split(" o=")[0]: {} for name in record["codecs"]}
    for m in record["measurements"]:
        if m["input"] in inputs:
            runs = Runs(m, record["inputs"][m["input"]]["bytes"])
            row = rows[m["codec"].split(" o=")[0]]
            row[m["input"]] = min(row.get(m["input"], runs), runs, key=lambda r: r.coded)
    return {name: row for name, row in rows.items() if row}


def complete(rows, inputs):
    """Refuses a table with holes."""
    holes = [f"{name} on {i}" for name, row in rows.items() for i in inputs if i not in row]
    if holes or not rows:
        sys.exit("not in the record: " + (", ".join(holes) or "any of " + ", ".join(inputs)))
    return rows


def chosen(record, args):
    inputs = args.input or list(record["inputs"])
    rows = complete(by_row(record, inputs), inputs)
    unknown = set(args.codec or []) - rows.keys()
    if unknown:
        sys.exit("not in the record: " + ", ".join(sorted(unknown)))
    return inputs, {name: row for name, row in rows.items() if name in (args.codec or rows)}


def show(head, rows, numbers=True):
    print("| " + " | ".join(head) + " |")
    print("|-|" + ("-:|" if numbers else "-|") * (len(head) - 1))
    for cells in rows:
        print("| " + " | ".join(cells) + " |")


def ratios(rows, inputs):
    """Cells of coded / raw, {row: [cell, ...]}, the smallest of each input bold."""
    cells = {name: [] for name in rows}
    for i in inputs:
        best = min(row[i].coded for row in rows.values())
        for name, row in rows.items():
            text = f"{row[i].coded / row[i].raw:.4f}"
            cells[name].append(f"**{text}**" if row[i].coded == best else text)
    return cells


def margins(rows, inputs, ours):
    """By how much `ours` is below (-) or above (+) the smallest of the others."""
    others = [row for name, row in rows.items() if not name.startswith("lmic")]
    best = [min(row[i].coded for row in others) for i in inputs]
    return [f"{100 * (rows[ours][i].coded / b - 1):+.1f} %" for i, b in zip(inputs, best)]


def figure(value, unit=1e6):
    """Three digits, or - where it was not measured."""
    if value is None:
        return "-"
    value /= unit
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def footer(record, codecs):
    """Which machine, when, which lmic; the versions of the others are in `commands`."""
    used = [m for m in record["measurements"] if m["codec"].split(" o=")[0] in codecs]
    dates = sorted({m["date"] for m in used})
    ours = sorted({record["codecs"][m["codec"]]["version"] for m in used if m["codec"].startswith("lmic")})
    if len(ours) != 1:
        sys.exit(f"the record holds measurements of {' and '.join(ours) or 'no lmic'}: measure again")
    print("\n" + on_machine(record, " to ".join(dict.fromkeys([dates[0], dates[-1]]))) + f": {ours[0]}.")


def on_machine(record, date):
    machine = record["machine"]
    return f"{date}, {machine['nproc']} cores of {machine['cpu']}"


def text(record, args):
    """Coded / raw of every input, and MB per CPU second of --speed."""
    inputs, rows = chosen(record, args)
    cells = ratios(rows, inputs)
    head = ["coded / raw", *(LABELS.get(i, i.rsplit(".", 1)[0]) for i in inputs)]
    if args.speed:
        head += ["encode MB/s", "decode MB/s"]
        runs = complete(by_row(record, [args.speed]), [args.speed])
        for name in rows:
            cells[name] += [figure(runs[name][args.speed].rate(way, CPU)) for way in ("encode", "decode")]
    lines = [[name, *cells[name]] for name in rows]
    if args.margin:
        lines.append([f"{args.margin} beside the best other", *margins(rows, inputs, args.margin)])
        lines[-1] += [""] * (len(head) - len(lines[-1]))
    show(head, lines)
    footer(record, rows)


def speed(record, args):
    """Speed and memory on each input of --input."""
    inputs, rows = chosen(record, args)
    for i in inputs:
        runs = min(len(row[i].ways["encode"]) for row in rows.values())
        print(f"{LABELS.get(i, i)}, runs of each in turn: {runs}\n")
        show(["", "encode MB / CPU s", "decode MB / CPU s", "encode MB/s", "decode MB/s",
              "encode, MB of memory", "decode, MB of memory"],
             [[name,
               *(figure(row[i].rate(way, field)) for field in (CPU, WALL) for way in ("encode", "decode")),
               *(figure(row[i].median(way, PEAK)) for way in ("encode", "decode"))] for name, row in rows.items()])
    footer(record, rows)


def samples(record, args):
    """Totals over all inputs of each form of --form."""
    names = set()
    for form in args.form:
        inputs = [i for i, facts in record["inputs"].items() if facts["form"] == form]
        rows = complete(by_row(record, inputs), inputs)
        names |= rows.keys()
        total = {name: sum(row[i].coded for i in inputs) for name, row in rows.items()}
        best = {i: min(row[i].coded for row in rows.values()) for i in inputs}
        raw_bytes = sum(record["inputs"][i]["bytes"] for i in inputs)
        if form != args.form[0]:
            print()
        show([f"{form}: {len(inputs)} files, {raw_bytes} bytes", "coded bytes", "coded / raw", "smallest on",
              "encode MB / CPU s", "decode MB / CPU s"],
             [sample_row(name, row, inputs, best, min(total.values())) for name, row in rows.items()])
    footer(record, names)


def sample_row(name, row, inputs, best, smallest):
    raw, coded = (sum(getattr(row[i], size) for i in inputs) for size in ("raw", "coded"))
    ratio = f"{coded / raw:.4f}"
    wins = sum(row[i].coded == best[i] for i in inputs)
    cells = [name, str(coded), f"**{ratio}**" if coded == smallest else ratio, str(wins)]
    for way in ("encode", "decode"):
        times = [row[i].median(way, CPU) for i in inputs]
        cells.append(figure(raw / sum(times)) if None not in times else "-")
    return cells


def presets(record, args):
    """Memory, speed and start-up of the levels."""
    (name, facts), = record["inputs"].items()
    rows = complete(by_row(record, [name]), [name])
    strongest = list(rows.values())[-1][name].rate("encode", CPU)
    lines = []
    for level, row in rows.items():
        runs, stated, starts = row[name], record["stated"][level], record["start_seconds"][level]
        lines.append([
            f"`{level.split()[1]}`", f"{stated['block_bytes'] / 2**20:.0f} MiB", figure(stated["memory_bytes"]),
            *(figure(runs.median(way, PEAK)) for way in ("encode", "decode")), f"{runs.coded / runs.raw:.4f}",
            *(figure(runs.rate(way, field)) for field in (CPU, WALL) for way in ("encode", "decode")),
            f"{runs.rate('encode', CPU) / strongest:.2f}",
            *(f"{1000 * statistics.median(starts[way]):.1f}" for way in ("encode", "decode"))])
    show(["level", "block", "MB stated", "MB encoding", "MB decoding", "coded / raw", "encode MB / CPU s",
          "decode MB / CPU s", "encode MB/s", "decode MB/s", "speed beside -5", "start ms, encoding",
          "start ms, decoding"], lines)
    true = 1000 * statistics.median(record["start_seconds"]["true"])
    print(f"\n`{name}`, {facts['bytes']} bytes; the program `true` starts in {true:.1f} ms.")
    footer(record, rows)


def pipe(record, args):
    """The round trip through a pipe."""
    (name, codec), = record["codecs"].items()
    (encode,), (decode,) = record["encode"], record["decode"]
    show(["", "bytes in", "bytes out", "wall s", "CPU s", "peak MB"], [
        [f"`{codec['encode']}`", str(record["raw_bytes"]), str(record["coded_bytes"]), *took(encode)],
        [f"`{codec['decode']}`", str(record["coded_bytes"]), str(record["raw_bytes"]), *took(decode)],
    ])
    print(f"\n{on_machine(record, record['date'])}: {codec['version']}; ceiling {figure(record['ceiling_bytes'])} MB.")


def took(run):
    return [f"{run[WALL]:.0f}", f"{run[CPU]:.0f}", figure(run[PEAK])]


def inputs(record, args):
    """What was measured: origin, length, checksum."""
    show(["input", "bytes", "SHA-256", "from"],
         [[name, str(facts["bytes"]), f"`{facts['sha256'][:16]}`", facts["source"]]
          for name, facts in record["inputs"].items()], numbers=False)


def commands(record, args):
    """How each codec was called, and its version."""
    def line(name):
        codec = record["codecs"][name]
        return [name, f"`{codec['encode'].format(raw='FILE', coded='CODED')}`", codec["version"]]

    show(["codec", "command", "version"], [line(name) for name in record["codecs"]], numbers=False)


TABLES = {table.__name__: table for table in (text, speed, samples, presets, pipe, inputs, commands)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("record", metavar="RECORD.json")
    parser.add_argument("--input", action="append", help="only this input; may be repeated")
    parser.add_argument("--codec", action="append", help="only this codec; may be repeated")
    parser.add_argument("--form", action="append", default=[], help="samples: colour, gray, 16 bits or 8 bits")
    parser.add_argument("--speed", metavar="INPUT", help="text: add the speeds on this input")
    parser.add_argument("--margin", metavar="CODEC", help="text: add a row with this one beside the best other")
    args = parser.parse_args()
    TABLES[args.table](read(args.record), args)


main()
