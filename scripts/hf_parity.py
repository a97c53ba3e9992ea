#!/usr/bin/env python3
"""Compares our transformer with Hugging Face's on the same weights and text, into records/tables/parity.csv.

    scripts/hf_parity.py MODEL_DIR... TEXT [--windows 4]
    scripts/hf_parity.py --make-fixture crates/lmic/tests/fixtures/hugging_face

Logits of the 256 bytes at each position of windows of TEXT, [256, byte, byte, ...] as long as the model's
context: LlamaForCausalLM in float32 with eager attention, and the example `logits`. A difference of 1e-3 or more
is a failure. Most of it comes from transformers computing the angles of rotary positions in float32, which at
position 2000 is off by up to 1e-4 radians; with angles in float64 and all else as it is, 2e-4 is a failure. What
remains is the order of sums. If MODEL_DIR-int8.safetensors is there, it is compared for information. Bits per byte
are `-log2 p` of the text, an estimate: nothing is coded. Needs torch and transformers.

The fixture is a tiny model with random weights, made and saved by transformers, with logits.json for a test.
"""
import argparse
import collections
import datetime
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers

import record

START_SYMBOL = 256
LIMITS = {"f32": 1e-3, "f32, float64 angles": 2e-4}
FIXTURE_ROWS = (0, 23, 47)  # positions whose logits are kept


def theirs(model, seen):
    """(1 + bytes, 256): logits by transformers."""
    with torch.no_grad():
        return model(torch.tensor([[START_SYMBOL, *seen]])).logits[0, :, :START_SYMBOL].double()


def ours(example, path, seen):
    """The same by the example."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(seen)
        file.flush()
        run = subprocess.run([example, path, file.name, "--json"], check=True, stdout=subprocess.PIPE)
    return torch.tensor(json.loads(run.stdout), dtype=torch.float64)


def bits(logits, window):
    """-log2 p of the bytes of a window, the start symbol left out as in coding."""
    return -torch.log_softmax(logits, 1)[range(len(window)), list(window)].sum().item() / math.log(2)


def opened(path):
    model = transformers.LlamaForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager")
    return model.eval()


class Float64Angles(torch.nn.Module):
    """Takes the place of a model's rotary_emb."""

    def __init__(self, config):
        super().__init__()
        pairs = torch.arange(0, config.head_dim, 2, dtype=torch.float64)
        self.frequencies = config.rope_parameters["rope_theta"] ** (-pairs / config.head_dim)

    def forward(self, x, position_ids):
        angles = (position_ids[..., None].double() * self.frequencies).repeat(1, 1, 2)
        return angles.cos().to(x.dtype), angles.sin().to(x.dtype)


def compare(example, path, text, count):
    """What goes into the record about one model."""
    model, precise = opened(path), opened(path)
    precise.model.rotary_emb = Float64Angles(model.config)
    int8 = path.with_name(f"{path.name}-int8.safetensors")
    context = model.config.max_position_embeddings
    bit_sums, worst, largest = collections.Counter(), collections.Counter(), 0.0
    for i in range(count):
        window = text[i * (len(text) // count):][:context]
        reference = theirs(model, window[:-1])
        f32 = ours(example, path, window[:-1])
        pairs = {"f32": (f32, reference), "f32, float64 angles": (f32, theirs(precise, window[:-1]))}
        bit_sums.update({"transformers": bits(reference, window), "f32": bits(f32, window)})
        if int8.exists():
            pairs["int8"] = ours(example, int8, window[:-1]), reference
            bit_sums["int8"] += bits(pairs["int8"][0], window)
        for kind, (a, b) in pairs.items():
            worst[kind] = max(worst[kind], (a - b).abs().max().item())
        largest = max(largest, reference.abs().max().item())
    return {"positions": context,
            "largest_logit": round(largest, 3),
            "max_difference": {kind: float(f"{value:.3g}") for kind, value in worst.items()},
            "bits_per_byte": {kind: round(value / (count * context), 6) for kind, value in bit_sums.items()}}


def make_fixture(folder):
    """Weights large enough, norms uneven enough, that a mistake anywhere shows in the logits."""
    torch.manual_seed(3)
    config = transformers.LlamaConfig(
        vocab_size=257, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=4, max_position_embeddings=64, rms_norm_eps=1e-5,
        tie_word_embeddings=False, bos_token_id=START_SYMBOL, eos_token_id=None, initializer_range=0.5)
    model = transformers.LlamaForCausalLM(config).float().eval()
    model.set_attn_implementation("eager")
    for name, weights in model.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(weights, 0.5, 1.5)
    model.save_pretrained(folder)
    seen = b"It was the best of times, it was the worst of t"
    logits = theirs(model, seen)
    rows = {row: [round(x, 6) for x in logits[row].tolist()] for row in FIXTURE_ROWS}
    content = {"transformers": transformers.__version__, "symbols": [START_SYMBOL, *seen], "logits": rows}
    (folder / "logits.json").write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")


def build():
    subprocess.run(["cargo", "build", "--release", "--package", "lmic", "--example", "logits"],
                   cwd=record.ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    return record.ROOT / target / "release/examples/logits"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=pathlib.Path, metavar="MODEL_DIR... TEXT")
    parser.add_argument("--windows", type=int, default=4, help="windows of TEXT, evenly spaced [default: 4]")
    parser.add_argument("--output", type=pathlib.Path, default=record.TABLES / "parity.csv",
                        help="the table [default: records/tables/parity.csv]")
    parser.add_argument("--make-fixture", type=pathlib.Path, metavar="DIR", help="write the fixture, do nothing else")
    args = parser.parse_args()
    if args.make_fixture:
        return make_fixture(args.make_fixture)
    if len(args.paths) < 2:
        parser.error("MODEL_DIR and TEXT are needed")
    *models, text = args.paths

    example = build()
    rows = []
    for path in models:
        found = compare(example, path, text.read_bytes(), args.windows)
        print(f"{path.name}: difference {found['max_difference']}, bits per byte {found['bits_per_byte']}", flush=True)
        for kind, limit in LIMITS.items():
            if found["max_difference"][kind] >= limit:
                sys.exit(f"{path.name}: logits differ by {limit} or more ({kind})")
        bits_of, differences = found["bits_per_byte"], found["max_difference"]
        rows.append([path.name, *(f"{bits_of[kind]:.6f}" if kind in bits_of else "-" for kind in ("transformers", "f32", "int8")),
                     f"{found['largest_logit']:.1f}", *(f"{differences[kind]:.1e}" for kind in LIMITS)])
    head = ["bits per byte, estimated", "transformers", "lmic, f32", "lmic, int8", "largest logit", "largest difference",
            "the same with angles in float64"]
    record.write(args.output, head, rows,
                 f"{args.windows} windows of {found['positions']} positions of `{text.name}`, transformers {transformers.__version__}, "
                 f"torch {torch.__version__}. {datetime.date.today()}, {record.machine()}: {record.commit()}.")


main()
