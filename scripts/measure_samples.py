#!/usr/bin/env python3
"""Measures lmic and its peers on the images and the speech of DATA, into records/samples.json.

    scripts/measure_samples.py DATA [--limit 3] [--jobs 2] [--input '*.wav']

Each image of DATA/images/dev becomes a PPM (colour) and a PGM (the mean of red, green and blue),
each recording of DATA/audio/dev a WAV of 16 bits and one of 8 (the upper byte of each sample).
lmic must restore the file to the byte, its peers every pixel or sample of it. A codec that is not
installed is skipped. Needs Pillow, and flac for the recordings. Times are worth something with
--jobs 1 on a quiet machine only.
"""
import fnmatch
import functools
import itertools
import pathlib
import subprocess
import sys
import wave

try:
    from PIL import Image
except ImportError:
    sys.exit("Pillow is needed to decode images: python3 -m pip install Pillow")

import measurement
from measurement import Codec, lmic_codec


def same_pixels(raw, back):
    with Image.open(raw) as one, Image.open(back) as other:
        return one.size == other.size and one.tobytes() == other.convert(one.mode).tobytes()


def same_samples(raw, back):
    with wave.open(str(raw)) as one, wave.open(str(back)) as other:
        frames = one.getnframes()
        return one.getparams() == other.getparams() and one.readframes(frames) == other.readframes(frames)


LMIC = [lmic_codec(level) for level in (5, 3, 1)]
OF_IMAGES = [
    *LMIC,
    Codec("JPEG XL -e 9", "jxl", "cjxl -d 0 -e 9 --num_threads=0 {raw} {coded}",
          "djxl --num_threads=0 {coded} {back}", same_pixels),
    Codec("WebP -z 9", "webp", "cwebp -quiet -lossless -z 9 {raw} -o {coded}", None, same_pixels),
    Codec("optipng -o7", "png", "optipng -quiet -o7 -out {coded} {raw}", None, same_pixels),
]
# No padding: room for tags, which would count as 8192 bytes of each file.
OF_AUDIO = [
    *LMIC,
    Codec("flac -8ep", "flac", "flac -s -8 -e -p --no-padding -o {coded} {raw}",
          "flac -s -d -o {back} {coded}", same_samples),
    Codec("flac -8", "flac", "flac -s -8 --no-padding -o {coded} {raw}",
          "flac -s -d -o {back} {coded}", same_samples),
]


def write_colour(source, path):
    with Image.open(source) as image:
        image.convert("RGB").save(path, format="PPM")


def write_gray(source, path):
    with Image.open(source) as image:
        rgb = image.convert("RGB").tobytes()
        means = bytes((r + g + b) // 3 for r, g, b in zip(rgb[0::3], rgb[1::3], rgb[2::3]))
        Image.frombytes("L", image.size, means).save(path, format="PPM")


def write_16_bits(source, path):
    subprocess.run(["flac", "-s", "-d", "-o", path, source], check=True)


def write_8_bits(source, path):
    """The upper byte of each sample; WAV has 8 bits unsigned and 16 signed."""
    wide = path.with_name("16-bits.wav")
    write_16_bits(source, wide)
    with wave.open(str(wide)) as reader, wave.open(str(path), "wb") as writer:
        assert reader.getsampwidth() == 2, source
        writer.setparams(reader.getparams()._replace(sampwidth=1))
        upper = reader.readframes(reader.getnframes())[1::2]
        writer.writeframes(bytes(byte ^ 0x80 for byte in upper))


FORMS = {
    "colour": ("images/dev", ".ppm", write_colour, OF_IMAGES),
    "gray": ("images/dev", ".pgm", write_gray, OF_IMAGES),
    "16 bits": ("audio/dev", ".16.wav", write_16_bits, OF_AUDIO),
    "8 bits": ("audio/dev", ".8.wav", write_8_bits, OF_AUDIO),
}


def inputs(data, limit):
    """Names of the inputs, with how to write each, where it comes from and its form."""
    for form, (folder, suffix, write, _) in FORMS.items():
        for source in itertools.islice(sorted((data / folder).iterdir()), limit):
            yield (source.stem + suffix, functools.partial(write, source),
                   f"{folder}/{source.name}", {"form": form})


def main():
    parser = measurement.arguments(__doc__, "samples.json")
    measurement.choice_arguments(parser)
    parser.add_argument("--limit", type=int, help="only the first N images and recordings")
    parser.add_argument("--jobs", type=int, default=1, help="inputs at a time [default: 1]")
    parser.add_argument("data", type=pathlib.Path, metavar="DATA", help="folder with images/dev and audio/dev")
    args = parser.parse_args()

    measurement.prepare(args.lmic)
    every = list(dict.fromkeys(OF_IMAGES + OF_AUDIO))
    codecs = measurement.installed(every, args.codec)
    wanted = [i for i in inputs(args.data, args.limit) if any(fnmatch.fnmatch(i[0], p) for p in args.input or ["*"])]
    if measurement.program("flac") is None:
        print("skipped, flac is not installed: all recordings", file=sys.stderr)
        wanted = [i for i in wanted if not i[0].endswith(".wav")]

    def codecs_of(name):
        own = next(own for _, suffix, _, own in FORMS.values() if name.endswith(suffix))
        return [codec for codec in codecs if codec in own]

    record = measurement.Record(args.output, codecs)
    measurement.measure_all(record, codecs_of, wanted, runs=args.runs, jobs=args.jobs)


main()
