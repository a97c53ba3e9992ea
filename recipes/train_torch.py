#!/usr/bin/env python3
"""Train a byte-level Llama with PyTorch and write what lmic reads (config.json, model.safetensors).

The same recipe files (TOML) and the same model as `lmic-train`, for GPUs: flash attention and bf16 make it many
times faster there (docs/training.md has the figures). Runs on a CPU too.

    recipes/train_torch.py recipes/byte-800k.toml --data DATA --out runs/byte-800k [--steps N] [--batch N] [--resume]

A window of C bytes is the tokens [256, b0 .. b(C-2)] that predict [b0 .. b(C-1)]; 256 is the start symbol.
"""

import argparse
import csv
import glob
import json
import lzma
import math
import os
import time
import tomllib

import torch
import torch.nn.functional as F
from torch import nn

VOCAB = 257


def fake_int8(x):
    """Rounds each row to 255 steps of its largest magnitude, as the int8 engine does; gradients pass through."""
    scale = x.detach().abs().amax(-1, keepdim=True).clamp_min(1e-12) / 127
    return x + (torch.round(x / scale) * scale - x).detach()


class Linear(nn.Linear):
    """A matrix without bias that can imitate int8 weights and activations."""

    quantized = False

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x):
        if Linear.quantized:
            return F.linear(fake_int8(x), fake_int8(self.weight))
        return F.linear(x, self.weight)


class RmsNorm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x):
        x = x.float()
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = c["heads"], c["kv_heads"], c["head_dim"]
        self.q_proj = Linear(c["hidden_size"], self.heads * self.head_dim)
        self.k_proj = Linear(c["hidden_size"], self.kv_heads * self.head_dim)
        self.v_proj = Linear(c["hidden_size"], self.kv_heads * self.head_dim)
        self.o_proj = Linear(self.heads * self.head_dim, c["hidden_size"])

    def forward(self, x, cos, sin):
        batch, length, _ = x.shape
        split = lambda y, heads: y.view(batch, length, heads, self.head_dim).transpose(1, 2)
        q = rotate(split(self.q_proj(x), self.heads), cos, sin)
        k = rotate(split(self.k_proj(x), self.kv_heads), cos, sin)
        v = split(self.v_proj(x), self.kv_heads)
        y = F.scaled_dot_product_attention(
            q, k, v.to(q.dtype), is_causal=True, enable_gqa=self.kv_heads != self.heads
        )
        return self.o_proj(y.transpose(1, 2).reshape(batch, length, -1))


def rotate(x, cos, sin):
    """Rotary positions, the half-split form of Hugging Face's Llama."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


class Mlp(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate_proj = Linear(c["hidden_size"], c["intermediate_size"])
        self.up_proj = Linear(c["hidden_size"], c["intermediate_size"])
        self.down_proj = Linear(c["intermediate_size"], c["hidden_size"])

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.input_layernorm = RmsNorm(c["hidden_size"], c["rms_norm_eps"])
        self.self_attn = Attention(c)
        self.post_attention_layernorm = RmsNorm(c["hidden_size"], c["rms_norm_eps"])
        self.mlp = Mlp(c)

    def forward(self, h, cos, sin):
        h = h + self.self_attn(self.input_layernorm(h), cos, sin)
        return h + self.mlp(self.post_attention_layernorm(h))


class Llama(nn.Module):
    """Parameters carry Hugging Face's names below `model.` and `lm_head`."""

    def __init__(self, c):
        super().__init__()
        self.config = c
        self.vocab = c.get("vocab_size", VOCAB)
        self.embed_tokens = nn.Embedding(self.vocab, c["hidden_size"])
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["layers"]))
        self.norm = RmsNorm(c["hidden_size"], c["rms_norm_eps"])
        self.lm_head = Linear(c["hidden_size"], self.vocab)
        half = c["head_dim"] // 2
        freqs = c["rope_theta"] ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = torch.arange(c["context"], dtype=torch.float64)[:, None] * freqs
        self.register_buffer("cos", angles.cos().float(), persistent=False)
        self.register_buffer("sin", angles.sin().float(), persistent=False)
        if c.get("tie_word_embeddings"):
            self.lm_head.weight = self.embed_tokens.weight
        for name, p in self.named_parameters():
            if p.dim() == 2:
                out = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(p, std=0.02 / (math.sqrt(2 * c["layers"]) if out else 1))

    def forward(self, tokens):
        n = tokens.shape[1]
        h = self.embed_tokens(tokens)
        for layer in self.layers:
            h = layer(h, self.cos[:n], self.sin[:n])
        return self.lm_head(self.norm(h)).float()

    def loss(self, windows):
        """Mean nats a token of windows (batch, context) of tokens; the last token of the vocabulary starts a window."""
        start = torch.full_like(windows[:, :1], self.vocab - 1)
        logits = self(torch.cat((start, windows[:, :-1]), 1))
        return F.cross_entropy(logits.flatten(0, 1), windows.flatten())

    def hugging_face(self):
        tensors = {
            name if name.startswith("lm_head") else f"model.{name}": p.detach().float().cpu().contiguous()
            for name, p in self.named_parameters()
        }
        c = self.config
        config = {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": self.vocab,
            "hidden_size": c["hidden_size"],
            "intermediate_size": c["intermediate_size"],
            "num_hidden_layers": c["layers"],
            "num_attention_heads": c["heads"],
            "num_key_value_heads": c["kv_heads"],
            "head_dim": c["head_dim"],
            "hidden_act": "silu",
            "max_position_embeddings": c["context"],
            "rms_norm_eps": c["rms_norm_eps"],
            "rope_theta": c["rope_theta"],
            "attention_bias": False,
            "mlp_bias": False,
            "tie_word_embeddings": c.get("tie_word_embeddings", False),
            "bos_token_id": self.vocab - 1,
            "torch_dtype": "float32",
        }
        return config, tensors


def read(root, pattern):
    """Bytes of all files that match, in name order; .xz are unpacked."""
    paths = sorted(glob.glob(os.path.join(root, pattern)))
    if not paths:
        raise SystemExit(f"no file matches {pattern} under {root}")
    opened = lambda p: lzma.open(p) if p.endswith(".xz") else open(p, "rb")
    data = b"".join(opened(p).read() for p in paths)
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


class Mixture:
    """Windows at random places of the training texts, each text as often as its weight says.

    The windows of a step depend on the seed and the step only, so that a resumed run sees the same ones.
    """

    def __init__(self, recipe, root, context, device):
        texts = [(t, read(root, t["path"])) for t in recipe["data"]["train"]]
        self.data = torch.cat([d for _, d in texts]).to(device)
        sizes = torch.tensor([len(d) for _, d in texts], dtype=torch.float64)
        self.weights = torch.tensor([t.get("weight", 0) for t, _ in texts], dtype=torch.float64)
        self.weights = torch.where(self.weights > 0, self.weights, sizes / 1e6)
        self.first = torch.cumsum(sizes, 0).long() - sizes.long()
        self.room = (sizes - context).long()
        self.offsets = torch.arange(context, device=device)
        self.seed = recipe.get("seed", 1)

    def windows(self, step, batch):
        rng = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        text = torch.multinomial(self.weights, batch, replacement=True, generator=rng)
        place = (torch.rand(batch, dtype=torch.float64, generator=rng) * self.room[text]).long()
        begin = (self.first[text] + place).to(self.data.device, non_blocking=True)
        return self.data[begin[:, None] + self.offsets].long()


@torch.no_grad()
def evaluate(loss, data, context, device, batch=32):
    """Bits per byte of consecutive whole windows, each alone."""
    windows = data[: len(data) // context * context].view(-1, context)
    windows = windows[: len(windows) // batch * batch]
    total = sum(loss(windows[i : i + batch].to(device).long()).item() for i in range(0, len(windows), batch))
    return total / (len(windows) // batch) / math.log(2)


def groups(model, decay):
    """AdamW groups: only matrices decay, and not the embedding."""
    named = list(model.named_parameters())
    matrix = lambda name, p: p.dim() == 2 and "embed" not in name
    return [
        {"params": [p for n, p in named if matrix(n, p)], "weight_decay": decay},
        {"params": [p for n, p in named if not matrix(n, p)], "weight_decay": 0.0},
    ]


def rate(step, steps, optim):
    """Linear warm-up, then a cosine down to min_lr_ratio."""
    warm = optim["warmup_steps"]
    if step < warm:
        return optim["lr"] * (step + 1) / warm
    x = (step - warm) / max(1, steps - warm)
    low = optim["min_lr_ratio"]
    return optim["lr"] * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * x)))


def save(path, state):
    torch.save(state, path + ".tmp")
    os.replace(path + ".tmp", path)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("recipe")
    arguments.add_argument("--data", required=True, help="folder that the recipe's paths are relative to")
    arguments.add_argument("--out", required=True)
    arguments.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="in place of the recipe's value")
    arguments.add_argument("--steps", type=int)
    arguments.add_argument("--batch", type=int)
    arguments.add_argument("--lr", type=float)
    arguments.add_argument("--int8-steps", type=int, default=0, help="last steps that imitate int8 [0]")
    arguments.add_argument("--fit-seconds", type=float, help="choose the number of steps by the speed of the first 400")
    arguments.add_argument("--int8-part", type=float, default=0.15, help="of the steps so chosen [0.15]")
    arguments.add_argument("--stop-after", type=float, default=1e9, help="seconds, then checkpoint and end")
    arguments.add_argument("--resume", action="store_true")
    arguments.add_argument("--dev", nargs="*", default=[], help="files to evaluate at the end")
    arguments.add_argument("--no-compile", action="store_true")
    a = arguments.parse_args()
    with open(a.recipe, "rb") as f:
        recipe = tomllib.load(f)
    for setting in a.set:
        key, _, value = setting.partition("=")
        section, _, name = key.partition(".")
        recipe[section][name] = tomllib.loads(f"x = {value}")["x"]
    optim, log = recipe["optim"], recipe.get("log", {})
    steps, batch = a.steps or optim["steps"], a.batch or optim["batch"]
    optim["lr"] = a.lr or optim["lr"]
    c = {"rms_norm_eps": 1e-5, "rope_theta": 10000.0, **recipe["model"]}
    c.setdefault("kv_heads", c["heads"])
    c.setdefault("head_dim", c["hidden_size"] // c["heads"])
    os.makedirs(a.out, exist_ok=True)

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(recipe.get("seed", 1))
    torch.set_float32_matmul_precision("high")
    model = Llama(c).to(device)
    optimizer = torch.optim.AdamW(groups(model, optim["weight_decay"]), lr=0.0, betas=tuple(optim["betas"]), fused=True)
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {device}, {steps} steps of {batch} windows", flush=True)
    mixture = Mixture(recipe, a.data, c["context"], device)
    validation = torch.cat([read(a.data, v["path"])[: v.get("bytes", 1 << 20)] for v in recipe["data"]["validation"]])
    print(f"{len(mixture.data)} bytes to train on, {len(validation)} to validate", flush=True)

    step, seconds, checkpoint = 0, 0.0, os.path.join(a.out, "checkpoint.pt")
    if a.resume and os.path.exists(checkpoint):
        state = torch.load(checkpoint, map_location=device)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, seconds = state["step"], state["seconds"]

    def loss_of(windows):
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            return model.loss(windows)

    def compiled():
        return loss_of if a.no_compile or device == "cpu" else torch.compile(loss_of, dynamic=False)

    def write():
        from safetensors.torch import save_file

        config, tensors = model.hugging_face()
        save_file(tensors, os.path.join(a.out, "model.safetensors"), metadata={"format": "pt"})
        with open(os.path.join(a.out, "config.json"), "w") as f:
            json.dump(config, f, indent=2)
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "seconds": seconds}
        save(checkpoint, state)

    plain = compiled()
    imitating = None
    metrics_path = os.path.join(a.out, "metrics.csv")
    fresh = step == 0 or not os.path.exists(metrics_path)
    metrics_file = open(metrics_path, "w" if fresh else "a", newline="")
    metrics = csv.writer(metrics_file)
    if fresh:
        metrics.writerow(["step", "bytes", "seconds", "lr", "train_bpb", "val_bpb", "grad_norm"])
    begun, last, smooth, first = time.time(), time.time(), None, step
    validate_every, log_every = log.get("validate_every", 500), log.get("every", 100)
    while step < steps:
        if a.int8_steps and step >= steps - a.int8_steps and not Linear.quantized:
            Linear.quantized = True
            imitating = compiled()
        lr = rate(step, steps, optim)
        for group in optimizer.param_groups:
            group["lr"] = lr
        loss = (imitating or plain)(mixture.windows(step, batch))
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), optim["clip_norm"])
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        if a.fit_seconds and step in (first + 200, first + 400):
            if device == "cuda":
                torch.cuda.synchronize()
            if step == first + 200:
                fit_from = time.time()
            else:
                each = (time.time() - fit_from) / 200
                steps = step + int(0.95 * (a.fit_seconds - (time.time() - begun)) / each)
                a.int8_steps = int(a.int8_part * steps)
                print(f"{each * 1e3:.2f} ms a step; {steps} steps, the last {a.int8_steps} imitate int8", flush=True)
        validated = step % validate_every == 0 or step == steps
        if step % log_every == 0 or validated:
            bits = loss.item() / math.log(2)
            smooth = bits if smooth is None else 0.9 * smooth + 0.1 * bits
            now = time.time()
            seconds += now - last
            last = now
            val = evaluate(loss_of, validation, c["context"], device, batch) if validated else ""
            metrics.writerow([step, step * batch * c["context"], f"{seconds:.2f}", f"{lr:.3e}", f"{bits:.4f}", val, f"{norm.item():.3f}"])
            metrics_file.flush()
            speed = (step - first) * batch * c["context"] / (now - begun)
            left = (steps - step) * batch * c["context"] / speed
            if validated or step == first + log_every:
                print(f"step {step} train {smooth:.4f} val {val} {speed / 1e6:.3f} MB/s {left:.0f} s left", flush=True)
            last += time.time() - now
        if step % log.get("checkpoint_every", 2000) == 0:
            write()
        if time.time() - begun > a.stop_after:
            break
    write()
    for quantized in (False, True):
        Linear.quantized = quantized
        for path in a.dev:
            data = torch.frombuffer(bytearray(open(path, "rb").read()), dtype=torch.uint8)
            print(f"{os.path.basename(path)} {'int8' if quantized else 'float'} {evaluate(loss_of, data, c['context'], device):.4f} bits per byte (estimated)", flush=True)


if __name__ == "__main__":
    main()
