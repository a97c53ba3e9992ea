#!/usr/bin/env python3
"""Compares `lmic model score` with transformers: bits of the same chunks of a text under the same checkpoint.

    scripts/llama_parity.py MODEL_DIR TEXT [--chunk 400] [--count 8]
    scripts/llama_parity.py --export models/byte-800k.safetensors DIR    # one of ours as a Llama folder, in f32

A chunk must fit into the context. Fails if the bits differ by 0.1 % or more. Needs torch, transformers, tokenizers, safetensors.
"""
import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

import safetensors
import safetensors.torch
import tokenizers
import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parent.parent


def export(model, folder):
    """Writes a transformer of lmic, int8 or not, as transformers wants it."""
    with safetensors.safe_open(model, "pt") as file:
        config = json.loads(file.metadata()["lmic_config"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    plain = {}
    for name, tensor in tensors.items():
        if not name.endswith("_scale"):
            scale = tensors.get(name + "_scale")
            plain[name] = tensor.float() if scale is None else tensor.float() * scale[:, None]
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(plain, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "tokenizer.json").write_text(json.dumps(byte_tokenizer()) + "\n")


def byte_tokenizer():
    """Bytes are tokens: a byte-pair encoding without merges in GPT-2's letters, and the start symbol."""
    plain = [*range(33, 127), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = {byte: chr(byte) for byte in plain} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    start = {"id": 256, "content": "<|start|>", "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [start], "normalizer": None,
            "pre_tokenizer": level, "post_processor": None, "decoder": level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": {letters[byte]: byte for byte in range(256)}, "merges": []}}


def theirs(folder, chunks):
    """Bits of all chunks by transformers, and their tokens."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    path = folder / "tokenizer.json"
    tokenizer = tokenizers.Tokenizer.from_file(str(path)) if path.exists() else None
    config = model.config
    start = config.bos_token_id if config.bos_token_id is not None else config.eos_token_id
    bits = count = 0
    for chunk in chunks:
        ids = tokenizer.encode(chunk.decode(), add_special_tokens=False).ids if tokenizer else list(chunk)
        with torch.no_grad():
            logits = model(torch.tensor([[start, *ids]])).logits[0, :-1].double()
        bits -= torch.log_softmax(logits, 1)[range(len(ids)), ids].sum().item() / math.log(2)
        count += len(ids)
    return bits, count


def ours(folder, chunks, size):
    binary = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/lmic"
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"".join(chunks))
        file.flush()
        context = json.loads((folder / "config.json").read_text())["max_position_embeddings"]
        command = [binary, "model", "score", "--json", "-m", folder, "--chunk", str(size), "--context", str(context), file.name]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--chunk", type=int, default=400, help="bytes that are scored alone [default: 400]")
    parser.add_argument("--count", type=int, default=8, help="chunks [default: 8]")
    parser.add_argument("--export", action="store_true")
    args = parser.parse_args()
    if args.export:
        return export(args.model, args.text)
    # ASCII, so that no chunk cuts a character.
    data = bytes(byte for byte in args.text.read_bytes() if byte < 128)[:args.chunk * args.count]
    chunks = [data[i:i + args.chunk] for i in range(0, len(data), args.chunk)]
    bits, count = theirs(args.model, chunks)
    found = ours(args.model, chunks, args.chunk)
    our_bits = found["bits_per_byte"] * len(data)
    off = our_bits / bits - 1
    print(f"{args.model.name}: {len(data)} bytes, tokens {count} / {found['tokens']}, bits a byte: transformers "
          f"{bits / len(data):.5f}, lmic {our_bits / len(data):.5f}, off by {off:.2e}")
    if abs(off) >= 1e-3 or count != found["tokens"]:
        sys.exit("they differ")


main()
