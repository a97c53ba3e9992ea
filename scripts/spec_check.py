#!/usr/bin/env python3
"""Decodes archives of the release build, or of the command LMIC, and the golden ones, with the decoder written from docs/format.md.

    scripts/spec_check.py [--quick] [FILE...]

`make spec-check` runs it. Inputs are generated, or FILEs, which are taken as bytes. With --quick, which `make check`
uses, archives of long content are left out, and golden ones among them named. The status is 0 only if all the others
are restored without a difference. Needs the package numpy, for recurrent networks.
"""
import argparse
import json
import math
import multiprocessing
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from spec import age, records
from spec.basics import Failure, blake3
from spec.container import MAGIC, Models, crc8, decode

try:
    from random_network import NETWORKS
except ImportError:
    sys.exit("package numpy not found: there are recurrent networks to decode")

ROOT = Path(__file__).resolve().parent.parent
LMIC = ROOT / (os.environ.get("LMIC") or Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release/lmic")
GOLDEN = ROOT / "crates/lmic/tests/golden"
MODELS = Models(GOLDEN)
os.environ["LMIC_MODELS"] = str(GOLDEN)

# What is decoded with --quick: golden archives of each kind, chosen by the time that they take. Guided ones and mixes are
# not here, as enough of them are generated.
QUICK = """x64_1 arm64_copies empty one_byte stored copies_1 neural_blocks neural_f32_chunks gray_3 rgb_3 pcm8_5 pcm16_3 lines_blocks lines.records
           primed_blocks deflate_1""".split()


# ---- Inputs -------------------------------------------------------------------------------------


def text(words):
    rng = random.Random(1)
    vocabulary = ["the", "of", "Range", "coder", "x2", "history;", "(mixing)", "naïve", "длина", "é.", "A", "1789"]
    return "".join(rng.choice(vocabulary) + rng.choice("    \n,") for _ in range(words)).encode()


def structure(records):
    rng = random.Random(2)
    return b"".join(i.to_bytes(4, "little") + b"\0\xff" + rng.randbytes(6) for i in range(records))


def generated():
    rng = random.Random(3)
    rows = [{"id": i, "name": f"n{i % 7}", "on": i % 3 == 0, "value": rng.random()} for i in range(30)]
    yield "text", text(420)
    yield "short text", text(16)
    yield "json", json.dumps(rows, indent=1).encode()
    yield "structure", structure(200)
    yield "repeats", b"".join(text(30) + structure(4) + bytes([i]) for i in range(11))  # copies at levels 1 and 2
    yield "copies", text(60) * 3 + structure(40) * 2 + text(90) + b"ab" * 400
    yield "zeros", bytes(2500)
    yield "noise", rng.randbytes(300)
    yield "empty", b""


def picture(width, length, step):
    """Bytes of a picture with edges, of `step` bytes a pixel; the last row may be incomplete."""
    rng, out = random.Random(4), []
    for at in range(length):
        (y, column) = divmod(at, width * step)
        x, channel = divmod(column, step)
        shade = 128 + 90 * math.sin(x / 5 + channel / 3) * math.cos(y / 4) + (60 if x > 2 * y else 0)
        out.append(max(0, min(255, round(shade + rng.gauss(0, 2)))))
    return bytes(out)


def bmp(width, height):
    """A file whose rows of pixels are filled up to a multiple of 4 bytes."""
    row = -(-3 * width // 4) * 4
    pixels, drawn = b"", picture(width, 3 * width * height, 3)
    for start in range(0, len(drawn), 3 * width):
        pixels += drawn[start : start + 3 * width].ljust(row, b"\0")
    sizes = b"".join(n.to_bytes(4, "little") for n in (54 + len(pixels), 0, 54, 40, width, height))
    return b"BM" + sizes + b"\1\0\x18\0" + bytes(24) + pixels


def wave(count, channels, width, loudness):
    """Samples of some tones and noise."""
    rng, out = random.Random(5), bytearray()
    most = 2 ** (8 * width - 1) - 1
    for i in range(count):
        for channel in range(channels):
            tone = math.sin(i / (5 + channel)) + 0.6 * math.sin(i * i / 900) + rng.gauss(0, 0.02)
            sample = max(-most - 1, min(most, round(loudness * tone)))
            out += bytes([sample + 128]) if width == 1 else (sample & 256**width - 1).to_bytes(width, "little")
    return bytes(out)


def instructions(count):
    """Of x86, with distances, prefixes and numbers."""
    rng, out = random.Random(7), bytearray()
    forms = ["e8 @", "48 8b 05 @", "48 89 d8", "0f 84 @", "c7 05 @ 10000000", "8b 44 24 18", "66 c7 45 f0 2201", "f6 c1 04"]
    forms += ["c5 f9 6f 05 @", "62 f1 7c 48 28 05 @", "c4 e2 79 18 05 @", "48 b8 0102030405060708", "66 0f 3a 0f c1 08"]
    forms += ["f7 84 8d 00010000 0f000000", "75 08 c3", "a1 0011223344556677", "c8 100000", "e9 @", "67 66 90"]
    for _ in range(count):
        start, _, end = rng.choice(forms).partition("@")
        has_distance = len(end) > 0 or start.endswith(" ")
        out += bytes.fromhex(start)
        if has_distance:
            behind = len(bytes.fromhex(end))
            out += (1000 * rng.randrange(5) - len(out) - 4 - behind).to_bytes(4, "little", signed=True)
            out += bytes.fromhex(end)
    return bytes(out)


def words(count):
    """Of AArch64: BL, ADRP and others."""
    rng, out = random.Random(8), b""
    for i in range(count):
        pages = (rng.randrange(5) - i // 1024) % 2**21
        forms = [0x94000000 | (100 * rng.randrange(5) - i) % 2**26, 0x90000003 | (pages & 3) << 29 | pages >> 2 << 5]
        out += rng.choice([*forms, 0x910003E0 + rng.randrange(4), 0xF9400000]).to_bytes(4, "little")
    return out


def samples():
    """Name, what the input is said to be, and content."""
    yield "gray", "gray:23", picture(23, 500, 1)
    yield "gray in one column", "gray:1", picture(1, 200, 1)
    yield "gray wider than it is", "gray:900", picture(900, 200, 1)
    yield "rgb", "rgb:11", picture(11, 500, 3)
    deep = [v * 130 for v in picture(23, 300, 1)]
    yield "gray of 16 bits", "gray-u16be:23", struct.pack(">300H", *deep)
    yield "signed gray of 16 bits, and a byte", "gray-i16:30", struct.pack("<300h", *(v - 7000 for v in deep[::-1])) + b"!"
    yield "rgb of 16 bits", "rgb-u16:8", struct.pack("<300H", *(64 * v for v in picture(8, 300, 3)))
    yield "table of doubles", "f64:3", struct.pack("<120d", *(math.sin(i / 9) + i for i in range(120)))
    yield "table of shorts, cut", "i16be:5", b"".join((i * 37 % 900).to_bytes(2, "big") for i in range(200)) + b"\3"
    yield "records", "u8:12", structure(60)
    yield "bits", "colours1:100", bytes(v & 0xF8 for v in picture(13, 400, 1))
    yield "colours of 4 bits", "colours4:30", bytes(v // 70 * 17 for v in picture(15, 400, 1))
    yield "colours", "colours8:20", bytes(v // 40 for v in picture(20, 500, 1))
    yield "colours of 3 bytes", "colours24:7", bytes(v // 60 for v in picture(7, 300, 3))
    yield "colours of 4 bytes", "colours32:5", bytes(v // 60 for v in picture(5, 300, 4))
    yield "pcm8", "pcm8:1", wave(350, 1, 1, 50)
    yield "pcm8 in two channels", "pcm8:2", wave(180, 2, 1, 70)
    yield "pcm16", "pcm16:1", wave(200, 1, 2, 900)
    yield "x64", "x64", instructions(150)
    yield "x86", "x86", instructions(120)
    yield "arm64", "arm64", words(250) + b"end"
    yield "no program", "x64", random.Random(6).randbytes(300) + bytes(200)
    yield "loud pcm16 with half a sample", "pcm16:3", wave(80, 3, 2, 30000) + b"\5"
    yield "24 bits", "wave-i24:2", wave(100, 2, 3, 300000)
    yield "loud 32 bits and a few bytes", "wave-i32:1", wave(150, 1, 4, 2e9) + b"abc"
    yield "unsigned, big-endian, with zeros below", "wave-u16be:1", bytes(b & 240 if i % 2 else b for i, b in enumerate(wave(150, 1, 2, 9000)))
    tones = [math.sin(i / 5) / 3 for i in range(150)]
    yield "floats", "wave-f32:2", struct.pack("<150f", *tones)
    odd = [-0.0, math.nan, 300.0, 1e-9, 0.0, 99.9, -255.5]
    yield "floats of integers, and odd ones", "wave-f32be:1", struct.pack(">127f", *(round(v * 900) / 32768 for v in tones[:120]), *odd)


def log_lines(first, end):
    """The lines that the state among the golden files has learned from, without line feeds."""
    for i in range(first, end):
        clock = f"{i // 60 % 24:02}:{i % 60:02}"
        yield f"{clock} GET /users/{i * 7919 % 100}/posts 200 in {i * 31 % 977} ms".encode()


# ---- Archives -----------------------------------------------------------------------------------


def run(data, *arguments):
    done = subprocess.run([LMIC, *arguments], input=data, stdout=subprocess.PIPE, check=True)
    return done.stdout


def compress(data, *options):
    return run(data, "compress", "--stdout", *options)


def as_bytes(data, *options):
    return compress(data, "--as", "bytes", *options)


def archives(name, data):
    for level in range(1, 6):
        yield f"{name} -{level}", as_bytes(data, f"-{level}"), data
    yield f"{name} in blocks", as_bytes(data, "-3", "--block-size", "1KiB"), data
    yield f"{name} as two streams", as_bytes(data[:1000], "-1") + as_bytes(data[1000:], "-2"), data


def archives_of_samples():
    for name, said, data in samples():
        for level in (1, 3, 5, 6):
            yield f"{name} -{level}", compress(data, f"-{level}", "--as", said), data
    yield "bmp", compress(bmp(9, 12), "-5"), bmp(9, 12)


def archives_of_a_state():
    """Under a state of its own, whose records hold the byte that ends them."""
    learned = text(600) + bytes(range(256))
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state.lmicp"
        run(learned, "prime", "--quiet", "--samples", "-", "--chunk", "64", "--table-bits", "8", "-o", state)
        MODELS.add(folder)
        data = bytes(6) + text(40) + b"\0\n\0\n\n" + text(20) + b"\0end"
        ways = {"primed": ["-4"], "records": ["-5", "--records"]}
        ways |= {f"guided, network {n}": [f"-{n}", "--as", "bytes"] for n in (5, 6, 7, 8)}
        for name, options in ways.items():
            archive = compress(data, "-p", state, *options)
            yield f"{name} by a generated state", archive, data


def archives_of_mixes():
    """With the program's networks, with generated ones, and with the transformers among the golden files."""
    data = text(50) + structure(5) + text(60)
    for level in (6, 7, 8):
        yield f"mix {level}", as_bytes(data, f"-{level}"), data
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{network.name}.safetensors" for network in NETWORKS]
        for path, network in zip(files, NETWORKS):
            path.write_bytes(network.file(data))
        MODELS.add(folder)
        for path in files:
            yield f"mix with {path.stem}", as_bytes(data, "-6", "-m", path), data
        lanes = (text(10_000) + structure(1200))[:65_601]
        yield "lanes of a mix", as_bytes(lanes, "-6", "-m", files[0], "--lanes", "3"), lanes
    windows = ["--context", "40", "--overlap", "9"]
    for name in ("tiny_f32", "tiny_int8"):
        path = GOLDEN / f"{name}.safetensors"
        yield f"mix with {name}", as_bytes(data[:300], "-6", "-m", path, *windows), data[:300]


def archives_of_teams():
    """A block that is long enough for two teams. (Among the golden archives there is one of Model cm.)"""
    data = text(375_000)[:2_000_003]
    yield "teams of a mix", as_bytes(data, "-6"), data


def golden():
    for path in sorted(GOLDEN.glob("*.lmic")):
        archive = path.read_bytes()
        needed = ["-m", str(ROOT / "models/lmic-9")] if path.stem.endswith("_9") else []
        yield path.stem.removeprefix("v1_"), archive, run(archive, "decompress", "--stdout", *needed)
    content = [*log_lines(900, 920), b"", bytes(9), b"\n\xff other"]
    yield "lines.records", (GOLDEN / "v1_lines.records").read_bytes(), content


def made(files):
    for path in files:
        yield from archives(path, Path(path).read_bytes())
    if not files:
        for name, data in generated():
            yield from archives(name, data)
        yield "structure without the network", compress(structure(60), "-6"), structure(60)
        yield from archives_of_samples()
        yield from archives_of_a_state()
        yield from archives_of_mixes()


# ---- Judging ------------------------------------------------------------------------------------


def restored(name, archive):
    if name != "lines.records":
        return decode(archive, MODELS)
    return list(single_records(archive))


def single_records(codes):
    """The records of a file in which a byte before each code says how long that is."""
    while codes:
        code, codes = codes[1 : 1 + codes[0]], codes[1 + codes[0] :]
        yield records.decode_record(MODELS.states[0], code, 2**20)


def outcome(name, archive, content):
    try:
        return "ok" if restored(name, archive) == content else "DIFFERS"
    except Failure as failure:
        return str(failure)


def judge(case):
    """The case's name, and whether it is restored."""
    name, archive, content = case
    started = time.process_time()
    result = outcome(*case)
    seconds = time.process_time() - started
    print(f"{result}, {seconds:.1f} s: {name} ({size(content)} -> {len(archive)} bytes)", flush=True)
    return name, result == "ok"


def size(content):
    return len(content) if isinstance(content, bytes) else sum(map(len, content))


def check_that_it_can_fail():
    """One flipped bit in a code must not be restored as if nothing were."""
    lines = b"\n".join(log_lines(0, 4))
    state = ["-p", GOLDEN / "v1_lines.lmicp"]
    broken = {
        "bytes": (text(60), ["--as", "bytes", "-2"]),
        "gray": (picture(8, 100, 1), ["--as", "gray:8", "-5"]),
        "gray with a network": (picture(8, 100, 1), ["--as", "gray:8", "-6"]),
        "rgb": (picture(5, 150, 3), ["--as", "rgb:5", "-1"]),
        "pcm8": (wave(150, 1, 1, 50), ["--as", "pcm8:1", "-3"]),
        "pcm16": (wave(80, 1, 2, 900), ["--as", "pcm16:1", "-5"]),
        "x64": (instructions(60), ["--as", "x64", "-1"]),
        "copies": (text(60) * 3, ["--as", "bytes", "-1"]),
        "primed": (lines, [*state, "-4"]),
        "guided": (lines, [*state, "-5"]),
        "records": (lines, [*state, "--records"]),
        "mix": (text(60), ["--as", "bytes", "-6"]),
        "guided mix": (lines, [*state, "--as", "bytes", "-6"]),
    }
    for name, (content, options) in broken.items():
        archive = bytearray(compress(content, *options))
        archive[-10] ^= 1 << 6  # the check is the last 4 bytes
        if outcome(name, bytes(archive), content) == "ok":
            sys.exit(f"{name}: an archive with a broken byte counts as restored: this check checks nothing")


def check_what_is_newer():
    """What both decoders must leave to a newer one: a version, kinds, parameters and model numbers that do not exist yet."""
    unknown = [(1, 1, kind) for kind in ([9, 0], [63, 255, 1], [2, 0], [5, 9], [7, 1], [8, 10], [73, 0], [10, 0], [10, 4])]
    unknown += [(1, model, kind) for model in (0, 10, 40) for kind in ([1], [2, 5], [6])] + [(2, 1, [1])]
    for version, model, (tag, *parameter) in unknown:
        stream, header = MAGIC + bytes([version, model]), bytes([tag | 128, *parameter, 20, *[4] * (1 + (tag >> 6))])
        archive = stream + header + bytes([crc8(stream + header)]) + bytes(8)
        found = outcome("", archive, b"")
        said = subprocess.run([LMIC, "test", "-"], input=archive, capture_output=True).stderr.decode()
        if not found.startswith("NeedsNewer") or "needs a newer lmic" not in said:
            sys.exit(f"version {version}, model {model}, block {tag} {parameter}: {found}; lmic says {said}")


def check_what_is_encrypted():
    """With a key and with a passphrase: the archive inside is a plain one behind which zeros hide the length."""
    secret = age.PREFIX + "1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33"  # of age's own tests
    public = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa"
    two_chunks, short = random.Random(4).randbytes(65_600), text(100)
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"correct horse\n")
        file.flush()
        for content, options, keys in [
            (two_chunks, ["-R", public], {"identities": [secret]}),
            (short, ["--passphrase-file", file.name], {"passphrase": "correct horse"}),
        ]:
            archive = compress(content, "-1", "--encrypt", *options)
            inside = age.decrypt(archive, **keys)
            plain = compress(content, "-1")
            if inside != plain + bytes(age.padme(len(plain)) - len(plain)) or decode(inside, MODELS) != content:
                sys.exit(f"{options[0]}: an encrypted archive holds something else")
        broken = archive[:-30] + bytes([archive[-30] ^ 1]) + archive[-29:]
        try:
            age.decrypt(broken, **keys)
            sys.exit("a chunk with a broken byte was decrypted")
        except Failure:
            pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="leave archives of long content out")
    parser.add_argument("files", nargs="*", metavar="FILE")
    args = parser.parse_args()
    if not blake3:
        print("package blake3 not found: hashes are not compared, contents are")
    check_that_it_can_fail()
    check_what_is_newer()
    check_what_is_encrypted()
    tried, skipped = list(made(args.files)), []
    if not args.quick and not args.files:
        tried += archives_of_teams()
    for case in golden():
        (skipped if args.quick and case[0] not in QUICK else tried).append(case)
    tried.sort(key=lambda case: -size(case[2]))  # the longest first, so that no process ends long after the others
    with multiprocessing.Pool() as pool:
        judged = list(pool.imap(judge, tried, chunksize=1))
    report(judged, skipped)
    sys.exit(not all(good for _, good in judged))


def report(judged, skipped):
    if skipped:
        names = [f"{name} ({size(content)})" for name, _, content in skipped]
        print(f"left out {len(names)} by --quick:", ", ".join(names))
    wrong = [name for name, good in judged if not good]
    print(f"restored without a difference: {len(judged) - len(wrong)}; wrong: {len(wrong)}", ", ".join(wrong))


if __name__ == "__main__":
    main()
