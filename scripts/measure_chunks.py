#!/usr/bin/env python3
"""Measures lmic and its peers on small pieces of images and speech, each alone, into records/chunks.json.

    scripts/measure_chunks.py DATA [--pieces 256] [--lmic BINARY]

The setting of "Language Modeling Is Compression": 2048 bytes at a time. Gray patches of 32 rows x 64 samples (the mean
of red, green and blue of the JPEG photographs of DATA/images/dev, from the grid of patches that begins in the top left corner; the
same from anywhere; of the Kodak images, which never were JPEG), chunks of the speech of DATA/audio/dev (16-bit samples, and
their upper bytes as unsigned 8-bit samples). Every piece is coded by the command as a file of its own, with all headers, decoded and
compared; lmic -7 has to find out what a piece is, the others are told. A codec that is not installed is skipped. The record also
has the bytes of all models that the program holds. Needs Pillow, and flac to read the recordings.
"""
import concurrent.futures
import datetime
import hashlib
import io
import itertools
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import wave

try:
    from PIL import Image
except ImportError:
    sys.exit("Pillow is needed to decode images: python3 -m pip install Pillow")

import measurement

ROWS, COLUMNS, PIECE = 32, 64, 2048


def gray(path):
    with Image.open(path) as image:
        rgb, size = image.convert("RGB").tobytes(), image.size
    return size, bytes((r + g + b) // 3 for r, g, b in zip(rgb[0::3], rgb[1::3], rgb[2::3]))


def patches(folder, suffixes, count, draw, aligned=True):
    """As many of each image."""
    paths = [path for path in sorted(folder.iterdir()) if path.suffix in suffixes]
    for i, path in enumerate(paths):
        (width, height), samples = gray(path)
        down, across = height - ROWS, width - COLUMNS
        if aligned:
            places = list(itertools.product(range(0, down + 1, ROWS), range(0, across + 1, COLUMNS)))
        else:
            places = [(draw.randint(0, down), draw.randint(0, across)) for _ in range(count)]
        share = count * (i + 1) // len(paths) - count * i // len(paths)
        for y, x in draw.sample(places, share):
            yield b"".join(samples[(y + row) * width + x:][:COLUMNS] for row in range(ROWS))


def speech(folder, count, draw, width):
    recordings = []
    for path in sorted(folder.iterdir()):
        decoded = subprocess.run(["flac", "-s", "-d", "-c", path], check=True, stdout=subprocess.PIPE).stdout
        with wave.open(io.BytesIO(decoded)) as reader:
            recordings.append(reader.readframes(reader.getnframes()))
    samples = PIECE // width
    for _ in range(count):
        recording = draw.choices(recordings, [len(r) for r in recordings])[0]
        start = 2 * draw.randint(0, len(recording) // 2 - samples)
        chunk = recording[start:start + 2 * samples]
        yield chunk if width == 2 else bytes(byte ^ 0x80 for byte in chunk[1::2])


def sets(data, count):
    images, audio = data / "images/dev", data / "audio/dev"
    photos = (".jpg", ".jpeg", ".JPEG")
    draw = random.Random(1)
    yield "gray patches", "gray", patches(images, photos, count, draw)
    yield "gray patches from anywhere", "gray", patches(images, photos, count, draw, aligned=False)
    yield "gray patches of Kodak images", "gray", patches(images, (".png",), count, draw)
    yield "speech, 8 bits", "pcm8", speech(audio, count, draw, 1)
    yield "speech, 16 bits", "pcm16", speech(audio, count, draw, 2)


def same_pixels(raw, back):
    with Image.open(back) as image:
        return image.size == (COLUMNS, ROWS) and image.convert("L").tobytes() == raw


def same_bytes(raw, back):
    return raw == back.read_bytes()


# name -> kind -> (suffix of the input, encode, decode, comparison); {kind} is what --as takes.
def lmic(options):
    line = (f"lmic {options} -T1 -c {{raw}}", "lmic -d -T1 -c {coded}", same_bytes)
    return {kind: (".raw", *line) for kind in ("gray", "pcm8", "pcm16")}


def flac(bits, sign):
    raw = f"--force-raw-format --endian=little --sign={sign} --channels=1 --bps={bits} --sample-rate=16000"
    back = f"--force-raw-format --endian=little --sign={sign}"
    return (".raw", f"flac -s -8 -e -p --no-padding {raw} -o {{coded}} {{raw}}", f"flac -s -d {back} -o {{back}} {{coded}}", same_bytes)


CODECS = {
    "lmic -5 --as": lmic("-5 --as {kind}"),
    "lmic -7": lmic("-7"),
    "JPEG XL -e 9": {"gray": (".pgm", "cjxl --quiet -d 0 -e 9 --num_threads=0 {raw} {coded}",
                              "djxl --quiet --num_threads=0 {coded} {back}", same_pixels)},
    "WebP -z 9": {"gray": (".pgm", "cwebp -quiet -lossless -z 9 {raw} -o {coded}", None, same_pixels)},
    "optipng -o7": {"gray": (".pgm", "optipng -quiet -o7 -out {coded} {raw}", None, same_pixels)},
    "flac -8ep": {"pcm8": flac(8, "unsigned"), "pcm16": flac(16, "signed")},
    "xz -9e": {kind: (".raw", "xz -9e -c {raw}", "xz -d -c {coded}", same_bytes) for kind in ("gray", "pcm8", "pcm16")},
    "gzip -9": {kind: (".raw", "gzip -9 -c {raw}", "gzip -d -c {coded}", same_bytes) for kind in ("gray", "pcm8", "pcm16")},
}
AS = {"gray": f"gray:{COLUMNS}", "pcm8": "pcm8:1", "pcm16": "pcm16:1"}
SUFFIX_OF_CODE = {"JPEG XL -e 9": ".jxl", "WebP -z 9": ".webp", "optipng -o7": ".png"}


# What level 7 is made of, beside code.
MODELS = {"text": ["models/recurrent-default.safetensors", "models/mix-7.start"],
          **{kind: [f"src/predict/samples/pretrained/{kind}.network"] for kind in AS}}


def model_bytes():
    """Kind of content -> bytes of its models in the program."""
    crate = measurement.ROOT / "crates/lmic"
    return {kind: sum((crate / path).stat().st_size for path in paths) for kind, paths in MODELS.items()}


def code(name, kind, piece):
    """Coded bytes of a piece, decoded and compared."""
    suffix, encode, decode, same = CODECS[name][kind]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        names = {"raw": folder / f"raw{suffix}", "coded": folder / f"coded{SUFFIX_OF_CODE.get(name, '')}",
                 "back": folder / ("back.pgm" if suffix == ".pgm" else "back"), "kind": AS[kind]}
        header = b"P5\n%d %d\n255\n" % (COLUMNS, ROWS) if suffix == ".pgm" else b""
        names["raw"].write_bytes(header + piece)
        run(encode, names, "coded")
        if decode:
            run(decode, names, "back")
        if not same(piece, names["back"] if decode else names["coded"]):
            sys.exit(f"{name} does not restore a piece")
        return names["coded"].stat().st_size


def run(line, names, output):
    """What goes to stdout is the output, unless the command line names it."""
    words = [word.format(**names) for word in line.split()]
    words[0] = measurement.program(words[0])
    with open(os.devnull if f"{{{output}}}" in line else names[output], "wb") as where:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=where, stderr=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(f"{line}: status {done.returncode}\n{done.stderr.decode(errors='replace')}")


def main():
    parser = measurement.arguments(__doc__, "chunks.json")
    parser.add_argument("--pieces", type=int, default=256, help="of each set [default: 256]")
    parser.add_argument("data", type=pathlib.Path, metavar="DATA", help="folder with images/dev and audio/dev")
    args = parser.parse_args()
    measurement.prepare(args.lmic)

    codecs, record = {}, []
    for name, kinds in CODECS.items():
        encode = next(iter(kinds.values()))[1]
        program = encode.split()[0]
        if measurement.program(program) is None:
            print(f"skipped, {program} is not installed: {name}", file=sys.stderr)
            continue
        codecs[name] = {"encode": encode, "version": measurement.version(program)}
    inputs = {}
    for title, kind, pieces in sets(args.data, args.pieces):
        pieces = list(pieces)
        every = b"".join(pieces)
        inputs[title] = {"kind": kind, "pieces": len(pieces), "bytes": len(every), "sha256": hashlib.sha256(every).hexdigest()}
        for name in codecs:
            if kind not in CODECS[name]:
                continue
            start = time.time()
            with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
                total = sum(pool.map(lambda piece: code(name, kind, piece), pieces))
            print(f"{title}: {name} {total / len(every):.4f}, {time.time() - start:.0f} s", file=sys.stderr)
            record.append({"codec": name, "input": title, "coded_bytes": total})
    content = {"machine": measurement.machine(), "models": model_bytes(), "date": datetime.date.today().isoformat(), "codecs": codecs,
               "inputs": inputs, "measurements": record}
    measurement.write_record(args.output, content)


main()
