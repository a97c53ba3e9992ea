#!/usr/bin/env python3
"""Compares our transformer with Hugging Face's on the same weights and text, into records/parity.json.

    scripts/hf_parity.py MODEL_DIR... TEXT [--windows 4]
    scripts/hf_parity.py --make-fixture crates/lmic/tests/fixtures/hugging_face

Logits of the 256 bytes at each position of windows of TEXT, [256, byte, byte, ...] as long as the model's
context: LlamaForCausalLM in float32 with eager attention, and the example `logits`. A difference of 1e-3 or more
is a failure. Both sum up the same thing in another order, so no difference at all is not to be expected. If
MODEL_DIR-int8.safetensors is there, it is compared for information. Bits per byte are `-log2 p` of the text, an
estimate: nothing is coded. Needs torch and transformers.

The fixture is a tiny model with random weights, made and saved by transformers, with logits.json for a test.
"""
import argparse
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

import measurement

START_SYMBOL = 256
LIMIT = 1e-3
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


def compare(example, path, text, count):
    """What goes into the record about one model."""
    model = opened(path)
    int8 = path.with_name(f"{path.name}-int8.safetensors")
    context = model.config.max_position_embeddings
    stride = len(text) // count
    sums = {"hugging_face": 0.0, "f32": 0.0, "int8": 0.0}
    worst = {"f32": 0.0, "int8": 0.0}
    largest = 0.0
    for begin in range(0, count * stride, stride):
        window = text[begin:begin + context]
        reference = theirs(model, window[:-1])
        sums["hugging_face"] += bits(reference, window)
        largest = max(largest, reference.abs().max().item())
        for kind, file in (("f32", path), ("int8", int8)):
            if file.exists():
                logits = ours(example, file, window[:-1])
                sums[kind] += bits(logits, window)
                worst[kind] = max(worst[kind], (logits - reference).abs().max().item())
    kinds = [kind for kind in sums if kind != "int8" or int8.exists()]
    return {"parameters": model.num_parameters(), "windows": count, "positions": context,
            "largest_logit": round(largest, 3),
            "max_difference": {kind: float(f"{worst[kind]:.3g}") for kind in kinds if kind in worst},
            "bits_per_byte": {kind: round(sums[kind] / (count * context), 6) for kind in kinds}}


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
                   cwd=measurement.ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    return measurement.ROOT / target / "release/examples/logits"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=pathlib.Path, metavar="MODEL_DIR... TEXT")
    parser.add_argument("--windows", type=int, default=4, help="windows of TEXT, evenly spaced [default: 4]")
    parser.add_argument("--output", type=pathlib.Path, default=measurement.RECORDS / "parity.json",
                        help="the record [default: records/parity.json]")
    parser.add_argument("--make-fixture", type=pathlib.Path, metavar="DIR", help="write the fixture, do nothing else")
    args = parser.parse_args()
    if args.make_fixture:
        return make_fixture(args.make_fixture)
    if len(args.paths) < 2:
        parser.error("MODEL_DIR and TEXT are needed")
    *models, text = args.paths

    example = build()
    record = {"machine": measurement.machine(), "date": datetime.date.today().isoformat(),
              "versions": {"lmic": f"commit {measurement.commit_of_sources()}",
                           "torch": torch.__version__, "transformers": transformers.__version__},
              "input": measurement.describe_input(text, text.name), "models": {}}
    for path in models:
        found = compare(example, path, text.read_bytes(), args.windows)
        record["models"][path.name] = found
        print(f"{path.name}: difference {found['max_difference']}, bits per byte {found['bits_per_byte']}", flush=True)
        if found["max_difference"]["f32"] >= LIMIT:
            sys.exit(f"{path.name}: logits differ by {LIMIT} or more")
    measurement.write_record(args.output, record)


main()
