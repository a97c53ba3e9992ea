#!/usr/bin/env python3
"""Prints Markdown tables from the records of the measure_*.py scripts.

    scripts/tables.py {text|adjusted|speed|samples|chunks|presets|pipe|records|models|bits|engine|kernels|parity|llama|lengths|primed|states|networks|inputs|commands} RECORD.json [...]

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
    versions = {record["codecs"][m["codec"]]["version"] for m in used}
    ours = sorted(version for version in versions if version.startswith("lmic"))
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


def adjusted(record, args):
    """All of --input together: raw and adjusted rate, and from how many bytes on the model pays."""
    inputs, rows = chosen(record, args)
    raw = sum(record["inputs"][i]["bytes"] for i in inputs)
    rate = {name: sum(row[i].coded for i in inputs) / raw for name, row in rows.items()}
    model = {name: record["codecs"].get(name, {}).get("model_bytes", 0) for name in rows}
    best = min((name for name in rows if not model[name]), key=rate.get)
    lines = []
    for name in rows:
        saved = rate[best] - rate[name]
        pays = f"{model[name] / saved / 1e6:.0f} MB" if model[name] and saved > 0 else "-"
        lines.append([name, f"{rate[name]:.4f}", figure(model[name], 1), f"{rate[name] + model[name] / raw:.4f}", pays])
    show([f"{raw} bytes of {len(inputs)} texts", "coded / raw", "model, bytes", "(coded + model) / raw", f"smaller than {best}, model counted, from"], lines)
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


def chunks(record, args):
    """Coded / raw of pieces of 2048 bytes, each alone, then with the models of the program counted once."""
    coded = {(m["codec"], m["input"]): m["coded_bytes"] for m in record["measurements"]}
    inputs, lines = record["inputs"], []
    for name in record["codecs"]:
        cells = [name]
        for title, facts in inputs.items():
            own = coded.get((name, title))
            best = min(value for (_, other), value in coded.items() if other == title)
            text = "-" if own is None else f"{own / facts['bytes']:.4f}"
            cells.append(f"**{text}**" if own == best else text)
        lines.append(cells)
    titles = [f"{title} ({facts['pieces']})" for title, facts in inputs.items()]
    show(["coded / raw", *titles], lines)

    def adjusted(counted, raw):
        """The rate of lmic -7 as it is here, beside `counted(kind)` bytes of models for `raw(facts)` bytes of data."""
        return [f"{coded['lmic -7', title] / facts['bytes'] + counted(facts['kind']) / raw(facts):.4f}"
                for title, facts in inputs.items()]

    models = record["models"]
    gigabyte = lambda facts: 1e9
    print("\nAdjusted rates of lmic -7, (coded + models) / raw, models in bytes as shipped (the paper: 2 a parameter, about twice that):\n")
    show(["", *titles], [
        ["model of the kind, bytes", *(str(models[facts["kind"]]) for facts in inputs.values())],
        ["with it, over these pieces", *adjusted(models.get, lambda facts: facts["bytes"])],
        ["with it, over 1 GB at this rate, as large as the paper's data (estimate)", *adjusted(models.get, gigabyte)],
        [f"with all models of level 7, {sum(models.values())} bytes, over 1 GB (estimate)",
         *adjusted(lambda kind: sum(models.values()), gigabyte)]])
    print(f"\n{on_machine(record, record['date'])}: {record['codecs']['lmic -7']['version']}.")


def records(record, args):
    """Coded / raw and records per CPU second of each kind of records, and what was learned."""
    rows = by_row(record, list(record["inputs"]))
    head = ["each record alone", "bytes a record"]
    for name in rows:
        head += [name, "encode records/s", "decode records/s"]
    head += ["samples MB", "state KB", "learning CPU s"]
    lines = []
    for name, facts in record["inputs"].items():
        best = min(row[name].coded for row in rows.values())
        cells = [name, f"{facts['content_bytes'] / facts['records']:.0f}"]
        for row in rows.values():
            ratio = f"{row[name].coded / facts['content_bytes']:.4f}"
            cells.append(f"**{ratio}**" if row[name].coded == best else ratio)
            cells += [f"{facts['records'] / row[name].median(way, CPU):.0f}" for way in ("encode", "decode")]
        cells += [figure(facts["train"]["bytes"]), figure(facts["state_bytes"], 1e3), figure(facts["prime"][CPU], 1)]
        lines.append(cells)
    show(head, lines)
    footer(record, rows)


def presets(record, args):
    """Memory, speed and start-up of the levels."""
    (name, facts), = record["inputs"].items()
    rows = complete(by_row(record, [name]), [name])
    beside = rows["lmic -5"][name].rate("encode", CPU)
    lines = []
    for level, row in rows.items():
        runs, stated, starts = row[name], record["stated"].get(level), record["start_seconds"].get(level)
        lines.append([
            f"`{level.removeprefix('lmic ')}`",
            *((f"{stated['block_bytes'] / 2**20:.0f} MiB", figure(stated["memory_bytes"])) if stated else ("", "")),
            *(figure(runs.median(way, PEAK)) for way in ("encode", "decode")), f"{runs.coded / runs.raw:.4f}",
            *(figure(runs.rate(way, field)) for field in (CPU, WALL) for way in ("encode", "decode")),
            f"{runs.rate('encode', CPU) / beside:.2f}",
            *(f"{1000 * statistics.median(starts[way]):.1f}" if starts else "" for way in ("encode", "decode"))])
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


def models(record, args):
    """The transformers that were measured, and how they were trained."""
    lines = []
    for base in dict.fromkeys(facts["base"] for facts in record["models"].values()):
        forms = {f["precision"]: f for f in record["models"].values() if f["base"] == base}
        f32 = forms["f32"]
        sizes = [str(forms[form]["tensor_bytes"]) if form in forms else "-" for form in ("f32", "int8")]
        trained = ["-"] * 4
        if "seconds" in f32:
            trained = [str(f32["trained_bytes"]), f"{f32['seconds']:.0f}", f32["device"] or "-",
                       f"{f32['validation_bits']:.3f}"]
        lines.append([base, str(f32["parameters"]), *sizes, *trained])
    show(["", "parameters", "bytes, f32", "bytes, int8", "bytes trained on", "seconds", "device",
          "validation, bits per byte (estimated)"], lines)


def bits(record, args):
    """Bits per byte of the samples: chunks alone, then longer pieces."""
    names = set()
    for mode, title in (("chunks", "chunks of 2048 bytes, each alone"), ("pieces", "pieces of 64 KiB, each alone")):
        inputs = [i for i, facts in record["inputs"].items() if facts["mode"] == mode]
        rows = complete(by_row(record, inputs), inputs)
        names |= rows.keys()
        sizes = {record["inputs"][i]["bytes"] for i in inputs}
        if mode != "chunks":
            print()
        show([f"{title}; of each text {' or '.join(map(str, sorted(sizes)))} bytes",
              *(i.split(".")[0] for i in inputs), "all"],
             [line for name, row in rows.items() for line in bit_lines(record, rows, name, inputs)])
    footer(record, names)


def bit_lines(record, rows, name, inputs):
    """The line of a codec; after an int8 model what it lost beside f32."""
    codec = record["codecs"][name]
    groups = [[i] for i in inputs] + [inputs]

    def coded(row, group):
        return sum(rows[row][i].coded for i in group)

    cells = []
    for group in groups:
        value = f"{8 * coded(name, group) / sum(rows[name][i].raw for i in group):.3f}"
        cells.append(f"**{value}**" if coded(name, group) == min(coded(row, group) for row in rows) else value)
    facts = record["models"].get(codec["model"], {})
    yield [f"{facts['base']} {facts['precision']}" if facts else name.split(",")[0], *cells]
    f32 = f"{facts.get('base')}, {codec['mode']}"
    if facts.get("precision") == "int8" and f32 in rows:
        yield ["int8 beside f32", *(f"{100 * (coded(name, g) / coded(f32, g) - 1):+.2f} %" for g in groups)]


# KB/s on 1 and 2 threads of the prototypes that the design is based on: 3.2M parameters, windows of 512, attention
# with as many key heads as query heads, coder excluded.
PROTOTYPES = {("f32", 512): "2.2 / 4.4", ("int8", 512): "7.5 / 16.6"}


def engine(record, args):
    """Speed of the transformers, 1000 bytes per second."""
    codecs = {name: codec for name, codec in record["codecs"].items() if codec["part"] == "speed"}
    measured = {m["codec"]: Runs(m, record["inputs"][m["input"]]["bytes"])
                for m in record["measurements"] if m["codec"] in codecs}
    complete({name: {"speed": measured[name]} if name in measured else {} for name in codecs}, ["speed"])
    lines = {}
    for name, codec in codecs.items():
        row = lines.setdefault((codec["model"], codec["context"]), {})
        row[codec["threads"]] = measured[name]
    cells = []
    for (model, context), row in lines.items():
        facts = record["models"][model]
        cells.append([
            facts["base"], facts["precision"], str(context),
            *(figure(row[n].rate(way, WALL), 1e3) for n in sorted(row) for way in ("encode", "decode")),
            *(figure(row[1].rate(way, CPU), 1e3) for way in ("encode", "decode")),
            figure(row[1].median("decode", PEAK)), PROTOTYPES.get((facts["precision"], context), "")])
    threads = sorted(next(iter(lines.values())))
    columns = [f"{way}, {n} thread{'s' * (n > 1)}" for n in threads for way in ("encode", "decode")]
    runs = min(len(m.ways["encode"]) for m in measured.values())
    print(f"KB/s = 1000 bytes per second; runs of each in turn: {runs}; CPU seconds and memory on one thread.\n")
    show(["", "weights", "window", *(f"{c}, KB/s" for c in columns), "encode, KB / CPU s", "decode, KB / CPU s",
          "decode, MB of memory", "prototype, KB/s on 1 / 2 threads"], cells)
    footer(record, codecs)


def kernels(record, args):
    """Products of matrices beside the peak of the same instructions, on one thread."""
    levels = {name: level for name, level in record["kernels"].items()
              if isinstance(level, dict) and any(level["peak"])}
    for i, (name, level) in enumerate(levels.items()):
        lines = []
        for shape, by_rows in level["rates"].items():
            for rows, rates in by_rows.items():
                lines.append([shape, rows, *(f"{rate:.0f} ({100 * rate / peak:.0f} %)"
                                             for rate, peak in zip(rates, level["peak"]))])
        lines.append(["peak", "", *(f"{peak:.0f}" for peak in level["peak"])])
        if i:
            print()
        show([f"{name}: outputs x inputs", "rows", *level["kinds"]], lines)
    kernels = record["kernels"]
    print(f"\n10^9 multiply-adds per second. {on_machine(record, kernels['date'])}: {kernels['version']}.")


def parity(record, args):
    """Logits beside those of Hugging Face's LlamaForCausalLM."""
    lines = []
    for name, facts in record["models"].items():
        bits, differences = facts["bits_per_byte"], facts["max_difference"]
        lines.append([name, *(f"{bits[kind]:.6f}" for kind in ("transformers", "f32")),
                      f"{bits['int8']:.6f}" if "int8" in bits else "-", f"{facts['largest_logit']:.1f}",
                      *(f"{differences[kind]:.1e}" for kind in ("f32", "f32, float64 angles"))])
    facts, versions = next(iter(record["models"].values())), record["versions"]
    show(["bits per byte, estimated", "transformers", "lmic, f32", "lmic, int8", "largest logit",
          "largest difference", "the same with angles in float64"], lines)
    print(f"\n{facts['windows']} windows of {facts['positions']} positions of `{record['input']['source']}`, "
          f"transformers {versions['transformers']}, torch {versions['torch']}. "
          f"{on_machine(record, record['date'])}: {versions['lmic']}.")


def llama(record, args):
    """A checkpoint beside the memory's speed: tokens a second both ways, and the weights that are read for them."""
    lines = []
    for name, facts in record["models"].items():
        for run in facts["runs"]:
            single, memory = run["single_tokens_per_second"] * facts["model_bytes"], run["memory_bytes_per_second"]
            lines.append([name, str(run["threads"]), f"{run['bytes']:,}", str(min(run["lanes"], -(-run["bytes"] // 2048))),
                          f"{run['tokens']:,}", f"{run['coded_bytes']:,}",
                          *(f"{run['tokens'] / run[way + '_seconds']:.1f}" for way in ("encode", "decode")),
                          f"{run['single_tokens_per_second']:.1f}", f"{single / 1e9:.1f} of {memory / 1e9:.1f}", f"{single / memory:.0%}"])
    show(["", "threads", "bytes", "lanes", "tokens", "coded", "encoded tokens/s", "decoded tokens/s", "one stream, tokens/s",
          "its weights beside memory, GB/s", "share"], lines)
    facts = next(iter(record["models"].values()))
    print(f"\n{facts['parameters'] / 1e9:.2f} G parameters; {facts['shape']}. All was decoded and compared. Memory: what a plain loop over 512 MB "
          f"reads in the same run. {on_machine(record, record['date'])}: commit {record['commit']}.")


def lengths(record, args):
    """Network, context mixing and both, for pieces of each length: a line each text."""
    for size in sorted({entry["size"] for entry in record["measurements"]}):
        entries = [entry for entry in record["measurements"] if entry["size"] == size]
        codecs = list(entries[0]["coded_bytes"])
        print(f"Pieces of {size} bytes, each alone, coded / raw:\n")
        show(["", *codecs, "network of -7 alone, estimate", "pieces"],
             [[e["input"], *(f"{e['coded_bytes'][c] / e['bytes']:.4f}" for c in codecs), f"{e['network_bits'] / 8:.4f}",
               str(e["pieces"])] for e in entries])
        print()
    print(f"{record['machine']['nproc']} cores of {record['machine']['cpu']}: {record['version']}.")


def primed(record, args):
    """What states of each size buy: a line each, means over the texts."""
    entries, sizes = record["measurements"], sorted({entry["size"] for entry in record["measurements"]})

    def means(coded):
        """Of each size, the mean rate over the texts of what `coded(entry)` says."""
        of = {size: [coded(e) / e["bytes"] for e in entries if e["size"] == size] for size in sizes}
        return [statistics.mean(rates) for rates in of.values()]

    def cells(rates):
        return [f"{rate:.4f}" for rate in rates]

    codecs = list(entries[0]["coded_bytes"])
    lines = [[name, "", "", *cells(means(lambda e, name=name: e["coded_bytes"][name])), *[""] * len(sizes)] for name in codecs]
    for i, state in enumerate(record["states"]):
        alone, beside = (cells(means(lambda e, i=i, name=name: e["primed_bytes"][i][name] - e["pieces"] * record["naming_bytes"]))
                         for name in ("p-1", "p-7"))
        lines.append(["primed", f"{state['state_bytes'] / 1000:.0f}", f"{state['sample_bytes'] / 1e6:.0f}", *alone, *beside])
    show(["", "KB of state", "MB learned from", *(length(size) for size in sizes),
          *(f"beside -7: {length(size)}" for size in sizes)], lines)
    print(f"\n{record['machine']['nproc']} cores of {record['machine']['cpu']}: {record['version']}.")


def states(record, args):
    """What a state is worth for files of its kind: a line each."""
    names = list(record["measurements"][0]["coded_bytes"])
    lines = []
    for entry in record["measurements"]:
        best = min(entry["coded_bytes"].values())
        cells = [f"**{coded}**" if coded == best else str(coded) for coded in (entry["coded_bytes"][name] for name in names)]
        lines.append([entry["input"], str(entry["bytes"]), *cells])
    heads = {name: f"lmic -p {name.removeprefix('state')}" if name.startswith("state") else name.replace("lmic-", "lmic -")
             for name in names}
    show(["kind", "raw bytes", *(heads[name] for name in names)], lines)
    print(f"\n{record['date']}, {record['machine']['nproc']} cores of {record['machine']['cpu']}: {record['version']}; {record['zstd']}.")


def length(size):
    return f"{size} B" if size < 1024 else f"{size >> 10} KiB" if size < 1 << 20 else f"{size >> 20} MiB"


def networks(record, args):
    """What the bytes of networks buy: levels 5 to 8 on some inputs."""
    rows = complete(by_row(record, args.input), args.input)
    models = {name: record["codecs"].get(name, {}).get("model_bytes", 0) for name in rows}
    lines, before = [], None
    for name in sorted((n for n in rows if "lmic -5" <= n <= "lmic -8"), key=lambda n: models[n]):
        rates = [rows[name][i].coded / rows[name][i].raw for i in args.input]
        gains = ["", ""]
        if before:
            gain = 100 * statistics.mean(rate / old - 1 for rate, old in zip(rates, before[1]))
            gains = [f"{gain:.1f} %", f"{gain / (models[name] - before[0]) * 1e6:.1f} %"]
        lines.append([f"`{name[5:]}`", f"{models[name] / 1e6:.2f}", *(f"{rate:.4f}" for rate in rates), *gains])
        before = models[name], rates
    show(["level", "MB of network", *(LABELS.get(i, i) for i in args.input), "beside the line above, mean", "for each MB more"],
         lines)
    footer(record, rows)


def training(record, args):
    """A step of lmic-train beside the same in PyTorch on the CPU."""
    lines = []
    for name, facts in record["models"].items():
        cells = [name]
        for trainer in ("lmic-train", "PyTorch"):
            for field in (0, 1):
                seconds = statistics.median(step[field] for step in facts[trainer])
                cells.append(f"{facts['step_bytes'] / seconds:,.0f}")
        lines.append(cells)
    show(["bytes per second", "lmic-train", "per CPU second", "PyTorch", "per CPU second"], lines)
    steps = len(next(iter(record["models"].values()))["PyTorch"])
    print(f"\nMedians of {steps} steps in turn, f32, {record['batch']} sequences a step, {record['threads']} threads, PyTorch "
          f"{record['versions']['PyTorch']}. {on_machine(record, record['date'])}: {record['versions']['lmic-train']}.")


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


TABLES = {table.__name__: table for table in (
    text, adjusted, speed, samples, chunks, presets, pipe, records, models, bits, engine, kernels, parity, llama, lengths, primed, states, networks, training,
    inputs, commands)}


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
