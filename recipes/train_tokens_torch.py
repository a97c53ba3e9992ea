#!/usr/bin/env python3
"""Train Llamas of tokens, for Table 2: vocabularies of several sizes, each by models of several widths.

    recipes/train_tokens_torch.py --data DATA --out models/tokens --vocab 0 --vocab 5000 --hidden 64 --hidden 256

Writes Hugging Face folders `OUT/HIDDEN-VOCAB` (config.json, model.safetensors in float16, tokenizer.json), which
`lmic -m` and the experiment `table2` read. A vocabulary of 0 is the 256 bytes. Every model sees as many bytes of text a step, so
that models of larger vocabularies have fewer tokens to learn from, but the same text.
"""

import argparse
import csv
import json
import math
import os
import time

import tokenizers
import torch
from safetensors.torch import save_file
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from train_torch import Llama, groups, rate, read

START = "<s>"


def vocabulary(sample, size):
    """Byte pair encoding as GPT-2 does it; the start symbol comes last."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=max(size, 256), initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(sample, trainer)
    tokenizer.add_special_tokens([START])
    start = tokenizer.token_to_id(START)
    assert start == tokenizer.get_vocab_size() - 1
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{START} $A", special_tokens=[(START, start)])
    return tokenizer


def pieces(data, size=1 << 16):
    """Text in pieces: the tokenizer works on them side by side, and what is cut at their ends does not matter."""
    text = bytes(data).decode("utf-8", "replace")
    return [text[i : i + size] for i in range(0, len(text), size)]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--out", required=True)
    arguments.add_argument("--text", action="append", default=[], help="file below DATA to learn from [text/train/wiki_markup.xml.xz]")
    arguments.add_argument("--vocab", action="append", type=int, default=[], required=True)
    arguments.add_argument("--hidden", action="append", type=int, default=[], required=True)
    arguments.add_argument("--context", type=int, default=1024, help="tokens of a window [1024]")
    arguments.add_argument("--step-bytes", type=int, default=1 << 16, help="of text a step [65536]")
    arguments.add_argument("--steps", type=int, default=3000)
    arguments.add_argument("--sample", type=int, default=16 << 20, help="bytes of text that a vocabulary is learned from")
    a = arguments.parse_args()
    texts = [pieces(read(a.data, t).numpy()) for t in a.text or ["text/train/wiki_markup.xml.xz"]]
    size = sum(len(p.encode()) for t in texts for p in t)
    share = max(1, size // a.sample)
    sample = [p for t in texts for p in t[::share]]
    for vocab in a.vocab:
        tokenizer = vocabulary(sample, vocab)
        tokens = []
        for text in texts:
            for i in range(0, len(text), 256):
                for e in tokenizer.encode_batch(text[i : i + 256], add_special_tokens=False):
                    tokens.append(torch.tensor(e.ids, dtype=torch.int32))
        tokens = torch.cat(tokens)
        print(f"vocabulary {vocab}: {len(tokens)} tokens, {size / len(tokens):.3f} bytes each", flush=True)
        for hidden in a.hidden:
            train(a, tokenizer, tokens, size / len(tokens), hidden, f"{hidden}-{vocab}")


def train(a, tokenizer, tokens, token_bytes, hidden, name):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(1)
    torch.set_float32_matmul_precision("high")
    heads = max(1, hidden // 32) if hidden > 64 else 4
    config = dict(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=hidden, layers=4, heads=heads, kv_heads=heads,
        head_dim=hidden // heads, intermediate_size=hidden * 11 // 4, context=a.context, rms_norm_eps=1e-5,
        rope_theta=10000.0, tie_word_embeddings=True,
    )
    model = Llama(config).to(device)
    lr = {64: 4e-3, 128: 2.8e-3}.get(hidden, 2e-3)
    optim = dict(lr=lr, warmup_steps=min(300, a.steps // 4), min_lr_ratio=0.02)
    optimizer = torch.optim.AdamW(groups(model, 0.05), lr=0.0, betas=(0.9, 0.98), fused=device == "cuda")
    batch = max(1, round(a.step_bytes / (a.context * token_bytes)))
    tokens, offsets = tokens.to(device), torch.arange(a.context, device=device)

    def loss_of(windows):
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            return model.loss(windows)

    step_of = torch.compile(loss_of, dynamic=False) if device == "cuda" else loss_of
    folder = os.path.join(a.out, name)
    os.makedirs(folder, exist_ok=True)
    rng = torch.Generator().manual_seed(1)
    begun, smooth, rows = time.time(), None, []
    for step in range(a.steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, a.steps, optim)
        begin = torch.randint(len(tokens) - a.context, (batch,), generator=rng).to(device)
        loss = step_of(tokens[begin[:, None] + offsets].long())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % 100 == 0 or step + 1 == a.steps:
            bits = loss.item() / math.log(2) / token_bytes
            smooth = bits if smooth is None else 0.8 * smooth + 0.2 * bits
            rows.append([step + 1, (step + 1) * a.step_bytes, f"{time.time() - begun:.1f}", f"{bits:.4f}"])
            if (step + 1) % 500 == 0:
                print(f"{name} step {step + 1} {smooth:.4f} bits a byte {time.time() - begun:.0f} s", flush=True)
    tensors = {n: t.half() for n, t in model.hugging_face()[1].items() if n != "lm_head.weight"}
    save_file(tensors, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    tokenizer.save(os.path.join(folder, "tokenizer.json"))
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump({**model.hugging_face()[0], "torch_dtype": "float16"}, f, indent=2)
    with open(os.path.join(folder, "metrics.csv"), "w", newline="") as f:
        csv.writer(f).writerows([["step", "bytes", "seconds", "train_bits_per_byte"], *rows])


if __name__ == "__main__":
    main()
