#!/usr/bin/env python3
"""Seeds of fuzz targets: fuzz/corpus/llama, llama_folder and llama_tokens from the fixtures of checkpoints, decode_any_bytes
and header from archives with copies and of programs.

    scripts/fuzz_seeds.py
"""
import pathlib
import struct

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "crates/lmic-llama/tests/fixtures"
GOLDEN = ROOT / "crates/lmic/tests/golden"
FILES = ["config.json", "tokenizer.json", "model.safetensors", "model.safetensors.index.json"]


def write(target, name, content):
    folder = ROOT / "fuzz/corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def gguf_header_len(file):
    """Where the tensors' names end: keys and tensors are passed over."""
    at = 8
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

    def number(form):
        nonlocal at
        value, = struct.unpack_from("<" + form, file, at)
        at += struct.calcsize(form)
        return value

    def skip(kind):
        nonlocal at
        if kind == 8:
            length = number("Q")
            at += length
        elif kind == 9:
            kind, count = number("I"), number("Q")
            for _ in range(count):
                skip(kind)
        else:
            at += sizes[kind]

    tensors, keys = number("Q"), number("Q")
    for _ in range(keys):
        skip(8)
        skip(number("I"))
    for _ in range(tensors):
        skip(8)
        dimensions = number("I")
        at += 8 * dimensions + 12
    return at


def write_copies():
    for path in [*GOLDEN.glob("v1_copies_*.lmic"), *GOLDEN.glob("v1_x*_?.lmic"), *GOLDEN.glob("v1_arm64_?.lmic"), *GOLDEN.glob("v1_deflate_?.lmic")]:
        write("decode_any_bytes", path.stem, path.read_bytes())
    # "xyz" and then "ab" 600 times, as `header` takes it: the header without its CRC, then payload and check.
    header, rest = bytes.fromhex("c1b309050a"), bytes.fromhex("0104f2d352f39f4e7f84a17d1cfe")
    write("header", "copies", bytes([len(header)]) + header + bytes([len(rest)]) + rest)


def main():
    write_copies()
    for path in FIXTURES.glob("*.gguf"):
        file = path.read_bytes()
        write("llama", path.stem, file[:gguf_header_len(file)])
    for folder in (path for path in FIXTURES.iterdir() if path.is_dir()):
        for which, name in enumerate(FILES):
            path = folder / name
            if not path.exists():
                continue
            content = path.read_bytes()
            if name == "model.safetensors":
                length, = struct.unpack_from("<Q", content)
                content = content[8:8 + length]
            write("llama_folder", f"{folder.name}-{which}", bytes([which]) + content)
    texts = ["It was the best of times, 日本語 é 🦀 ", "</s><s><unk><0x0A>", "▁ ▁x\r\n\t\0", "\ufeff  e\u0301"]
    for i, text in enumerate(texts):
        write("llama_tokens", str(i), text.encode())
    write("llama_tokens", "bytes", bytes(range(256)))


main()
