#!/usr/bin/env python3
"""Train a recurrent byte model with PyTorch and write what lmic reads (config.json, model.safetensors).

    recipes/train_recurrent.py recipes/recurrent-3m.toml --data DATA --out runs/recurrent-3m

The model (docs/design.md says how it was chosen): embedding, layers of a token mixer and a gated MLP, a head.
Token mixers: `delta` (gated delta rule: S. Yang et al., "Gated Delta Networks", ICLR 2025), `linear` (gated linear
attention with one decay a head: T. Dao, A. Gu, "Transformers are SSMs", ICML 2024), `gru` (minGRU: L. Feng et al.,
"Were RNNs all we needed?", 2024), `local` (attention over a short window). Rows of a batch are streams: the state
is carried from one segment to the next, and now and then a row starts anew, so that the model learns both the
first bytes of an input and long memory. 256 is the start symbol.

On a GPU the whole step is one CUDA graph. Matrices of the layers are trained by Muon (K. Jordan et al., 2024), the
rest by Adam.
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

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

START = 256


def fake_int8(x, most=127):
    """Rounds each row to -most..most steps of its largest magnitude, as the int8 engine does; gradients pass through."""
    scale = x.detach().abs().amax(-1, keepdim=True).float().clamp_min(1e-12) / most
    return x + (torch.round(x / scale) * scale - x).to(x.dtype).detach()


class Linear(nn.Linear):
    """A matrix without bias that can imitate int8 weights and activations."""

    quantized = False
    most = 63  # largest weight

    def __init__(self, inputs, outputs, std):
        super().__init__(inputs, outputs, bias=False)
        nn.init.normal_(self.weight, std=std)

    def forward(self, x):
        if Linear.quantized:
            return F.linear(fake_int8(x), fake_int8(self.weight, Linear.most))
        return F.linear(x, self.weight)


class RmsNorm(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x):
        x = x.float()
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * self.weight


# --- scans -----------------------------------------------------------------------------------------------------


def doubling(a, b):
    """h_t = a_t h_(t-1) + b_t along dimension 1, from h_0 = 0, in log2(T) whole-tensor steps."""
    shift = 1
    while shift < a.shape[1]:
        b = torch.cat((b[:, :shift], a[:, shift:] * b[:, :-shift] + b[:, shift:]), 1)
        a = torch.cat((a[:, :shift], a[:, shift:] * a[:, :-shift]), 1)
        shift *= 2
    return b


if torch.cuda.is_available():
    import triton
    import triton.language as tl

    @triton.jit
    def join(a1, b1, a2, b2):
        return a1 * a2, a2 * b1 + b2

    @triton.jit
    def scan_kernel(a_at, b_at, first_at, h_at, T: tl.constexpr, D: tl.constexpr, BT: tl.constexpr, BD: tl.constexpr, BACK: tl.constexpr):
        row, c, t = tl.program_id(0), tl.program_id(1) * BD + tl.arange(0, BD), tl.arange(0, BT)
        h = tl.load(first_at + row * D + c)
        last = (t == BT - 1)[:, None]
        for start in range(0, T, BT):
            at = start + t
            if BACK:
                at = T - 1 - at
            place = (row * T + at)[:, None] * D + c[None, :]
            a, b = tl.associative_scan((tl.load(a_at + place), tl.load(b_at + place)), 0, join)
            y = b + a * h[None, :]
            tl.store(h_at + place, y)
            h = tl.sum(tl.where(last, y, 0.0), 0)


def vector_scan(a, b, first, back):
    """h_t = a_t h_(t-1) + b_t along dimension 1 (backwards if `back`), from h before the first step."""
    if a.is_cuda:
        a, b, first = a.contiguous(), b.contiguous(), first.contiguous()
        h = torch.empty_like(b)
        B, T, D = a.shape
        block = 32 if D % 32 == 0 else 16
        assert T % 32 == 0 and D % block == 0
        scan_kernel[(B, D // block)](a, b, first, h, T, D, BT=32, BD=block, BACK=back)
        return h
    if back:
        return vector_scan(a.flip(1), b.flip(1), first, False).flip(1)
    return doubling(a, torch.cat((a[:, :1] * first[:, None] + b[:, :1], b[:, 1:]), 1))


class VectorScan(torch.autograd.Function):
    """The recurrence of `gru`; its gradient is the same recurrence backwards."""

    @staticmethod
    def forward(ctx, a, b, first):
        h = vector_scan(a, b, first, False)
        ctx.save_for_backward(a, h, first)
        return h

    @staticmethod
    def backward(ctx, grad):
        a, h, first = ctx.saved_tensors
        after = torch.cat((a[:, 1:], torch.zeros_like(a[:, :1])), 1)
        g = vector_scan(after, grad, torch.zeros_like(first), True)
        before = torch.cat((first[:, None], h[:, :-1]), 1)
        return g * before, g, None


scan = torch.compiler.disable(VectorScan.apply)


def inverse(lower):
    """(I + lower)^-1 for strictly lower triangular blocks, by halves: products of at most 16 factors are exact enough."""
    n = lower.shape[-1]
    if n <= 16:
        eye = torch.eye(n, device=lower.device)
        power = -lower
        result = eye + power
        span = 2
        while span < n:
            power = power @ power
            result = result + result @ power
            span *= 2
        return result
    half = n // 2
    a, b = inverse(lower[..., :half, :half]), inverse(lower[..., half:, half:])
    c = -b @ lower[..., half:, :half] @ a
    return torch.cat((torch.cat((a, torch.zeros_like(a)), -1), torch.cat((c, b), -1)), -2)


def matrix_scan(q, k, v, log_decay, beta, first, chunk):
    """S_t = a_t S_(t-1) + k_t u_t^T; o_t = S_t^T q_t. u_t = v_t, or with beta u_t = beta_t (v_t - (a_t S_(t-1))^T k_t).

    q, k (B, H, T, dk); v (B, H, T, dv); log_decay, beta (B, H, T); first (B, H, dk, dv). All in matrix products over
    chunks; chunks are joined by doubling.
    """
    B, H, T, dk = q.shape
    split = lambda x: x.reshape(B, H, T // chunk, chunk, *x.shape[3:])
    q, k, v = split(q), split(k), split(v)
    g = split(log_decay).cumsum(-1)  # log of the decay since the chunk began
    causal = torch.ones(chunk, chunk, dtype=torch.bool, device=q.device).tril()
    between = (g[..., :, None] - g[..., None, :]).masked_fill(~causal, -1e9).exp()  # decay from j to i
    since, until = g.exp()[..., None], (g[..., -1:] - g).exp()[..., None]
    eye = torch.eye(dk, device=q.device)
    if beta is None:
        u, w = v, None
        step = g[..., -1, None, None].exp() * eye
    else:
        beta = split(beta)[..., None]
        solve = inverse((k @ k.transpose(-1, -2) * between * beta).tril(-1)) @ torch.diag_embed(beta[..., 0])
        u, w = solve @ v, solve @ (k * since)  # u_t of the chunk is u - w S
        step = g[..., -1, None, None].exp() * eye - (k * until).transpose(-1, -2) @ w
    added = (k * until).transpose(-1, -2) @ u
    added = torch.cat((first[:, :, None], added), 2)
    step = torch.cat((eye.expand(B, H, 1, dk, dk), step), 2)
    shift = 1
    while shift < added.shape[2]:
        added = torch.cat((added[:, :, :shift], step[:, :, shift:] @ added[:, :, :-shift] + added[:, :, shift:]), 2)
        step = torch.cat((step[:, :, :shift], step[:, :, shift:] @ step[:, :, :-shift]), 2)
        shift *= 2
    state = added[:, :, :-1]  # before each chunk
    if w is not None:
        u = u - w @ state
    o = (q * since) @ state + (q @ k.transpose(-1, -2) * between) @ u
    return o.reshape(B, H, T, -1), added[:, :, -1]


# --- token mixers ------------------------------------------------------------------------------------------------


def timescales(n, longest):
    """Logits of decays whose memories last from 2 to `longest` bytes."""
    tau = torch.logspace(math.log10(2), math.log10(longest), n)
    p = torch.exp(-1 / tau)
    return torch.log(p / (1 - p))


class Conv(nn.Module):
    """Each channel's own weights for its last four values."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, 4) * 0.1)
        with torch.no_grad():
            self.weight[:, 3] += 1

    def forward(self, x, before):
        long = torch.cat((before, x), 1)
        T = x.shape[1]
        w = self.weight
        y = sum(long[:, i : i + T] * w[:, i] for i in range(4))
        return y, long[:, T:]


class Gru(nn.Module):
    def __init__(self, c, std):
        super().__init__()
        d = c["hidden_size"]
        s = self.size = c.get("state_size", d)
        self.in_proj = Linear(d, 3 * s, std)
        self.out_proj = Linear(s, d, 0.5 * s**-0.5)
        self.bias = nn.Parameter(timescales(s, 500.0))
        self.conv = Conv(2 * s) if c.get("conv") else None

    def state(self, B, device):
        s = {"s": torch.zeros(B, self.size, device=device)}
        if self.conv:
            s["conv"] = torch.zeros(B, 3, 2 * self.size, device=device)
        return s

    def forward(self, x, state):
        n = self.size
        y = self.in_proj(x).float()
        new = {}
        cz = y[..., : 2 * n]
        if self.conv:
            cz, new["conv"] = self.conv(cz, state["conv"])
        keep = torch.sigmoid(cz[..., n:] + self.bias)
        s = scan(keep, (1 - keep) * cz[..., :n], state["s"])
        new["s"] = s[:, -1]
        return self.out_proj(s * F.silu(y[..., 2 * n :])), new


class Matrix(nn.Module):
    """`delta` and `linear`: each head's state is a matrix."""

    def __init__(self, c, std, delta):
        super().__init__()
        d = c["hidden_size"]
        self.delta = delta
        self.heads, self.dk, self.dv = c["heads"], c["key_dim"], c["value_dim"]
        self.chunk = c.get("chunk", 32)
        self.keys, self.values = self.heads * self.dk, self.heads * self.dv
        self.in_proj = Linear(d, 2 * self.keys + 2 * self.values + 2 * self.heads, std)
        self.out_proj = Linear(self.values, d, std * 0.5)
        self.bias = nn.Parameter(timescales(self.heads, 2000.0))
        self.conv = Conv(2 * self.keys + self.values) if c.get("conv") else None
        self.norm = RmsNorm(self.dv)

    def state(self, B, device):
        s = {"s": torch.zeros(B, self.heads, self.dk, self.dv, device=device)}
        if self.conv:
            s["conv"] = torch.zeros(B, 3, 2 * self.keys + self.values, device=device)
        return s

    def forward(self, x, state):
        B, T, _ = x.shape
        K, V, H = self.keys, self.values, self.heads
        y = self.in_proj(x).float()
        qkv, gate, rest = y[..., : 2 * K + V], y[..., 2 * K + V : 2 * K + 2 * V], y[..., 2 * K + 2 * V :]
        new = {}
        if self.conv:
            qkv, new["conv"] = self.conv(qkv, state["conv"])
        qkv = F.silu(qkv)
        heads = lambda z, n: z.reshape(B, T, H, n).transpose(1, 2)
        q, k, v = heads(qkv[..., :K], self.dk), heads(qkv[..., K : 2 * K], self.dk), heads(qkv[..., 2 * K :], self.dv)
        unit = lambda z: z * torch.rsqrt(z.square().sum(-1, keepdim=True) + 1e-6)
        q, k = unit(q), unit(k)
        log_decay = F.logsigmoid(rest[..., :H] + self.bias).transpose(1, 2)
        beta = torch.sigmoid(rest[..., H:]).transpose(1, 2) if self.delta else None
        o, new["s"] = matrix_scan(q, k, v, log_decay, beta, state["s"], self.chunk)
        o = self.norm(o.transpose(1, 2)).reshape(B, T, V)
        return self.out_proj(o * F.silu(gate)), new


class Local(nn.Module):
    """Attention over the last bytes, one key and value for all heads; sees its own segment only (for comparison)."""

    def __init__(self, c, std):
        super().__init__()
        d = c["hidden_size"]
        self.heads, self.dim, self.window = c["heads"], 32, c.get("window", 256)
        self.q = Linear(d, self.heads * self.dim, std)
        self.kv = Linear(d, 2 * self.dim, std)
        self.out_proj = Linear(self.heads * self.dim, d, std * 0.5)
        self.slope = nn.Parameter(torch.logspace(-3, 0, self.heads))

    def state(self, B, device):
        return {}

    def forward(self, x, state):
        B, T, _ = x.shape
        q = self.q(x).view(B, T, self.heads, self.dim).transpose(1, 2)
        k, v = self.kv(x)[:, None].chunk(2, -1)
        i = torch.arange(T, device=x.device)
        age = i[:, None] - i[None, :]
        bias = (-self.slope.abs()[:, None, None] * age).masked_fill((age < 0) | (age >= self.window), -1e9)
        y = F.scaled_dot_product_attention(q, k.expand_as(q), v.expand_as(q), attn_mask=bias.to(q.dtype)[None])
        return self.out_proj(y.transpose(1, 2).reshape(B, T, -1)), {}


MIXERS = {
    "gru": Gru,
    "delta": lambda c, std: Matrix(c, std, True),
    "linear": lambda c, std: Matrix(c, std, False),
    "local": Local,
}


# --- n-grams -----------------------------------------------------------------------------------------------------

WORD = 0  # as an order: the letters since the last byte that is none
WAYS = 4  # rows of a bucket
LEVELS = 7  # numbers of a row are integers up to this, divided by it


def letters():
    """Of each symbol: 0, or the letter's number, whatever its case."""
    numbers = torch.zeros(257, dtype=torch.long)
    numbers[97:123] = numbers[65:91] = torch.arange(1, 27)
    numbers[128:256] = torch.arange(27, 155)
    return numbers


def signed(x):
    """The int64 with the bits of a u64."""
    return x - (1 << 64) if x >> 63 else x


def word_hashes(letter, before):
    """W_t = 0 where symbol t is no letter, else W_(t-1) * 0x2545f4914f6cdd1d + letter, mod 2^64."""
    b = letter
    a = torch.where(b > 0, signed(0x2545F4914F6CDD1D), 0)
    b = torch.cat((a[:, :1] * before[:, None] + b[:, :1], b[:, 1:]), 1)
    return doubling(a, b)


def places(key, order, bits):
    """(bucket, check) of 2^bits rows for u64 keys in int64."""
    h = (key * 257 + order) * signed(0x9E3779B97F4A7C15)
    h = (h ^ ((h >> 32) & 0xFFFFFFFF)) * signed(0xD6E8FEB86659FD93)
    bucket = (h >> (66 - bits)) & ((1 << (bits - 2)) - 1)
    check = (h >> (50 - bits)) & 0xFFFF
    return bucket, check.clamp_min(1)


def order_key(long, first, T, order):
    """Sum of 257^i times the symbol i before, for T positions from `first` of long, (B, first + T)."""
    return sum(long[:, first - i : first - i + T] * 257**i for i in range(order))


class Rows(torch.autograd.Function):
    """table[at]; the gradient is added by atomics, as sorting the places takes longer."""

    @staticmethod
    def forward(ctx, table, at):
        ctx.save_for_backward(at)
        ctx.shape = table.shape
        return table[at]

    @staticmethod
    def backward(ctx, grad):
        (at,) = ctx.saved_tensors
        total = torch.zeros(ctx.shape, device=grad.device)
        return total.index_add_(0, at.flatten(), grad.flatten(0, -2).float()), None


class Ngrams(nn.Module):
    """Rows learned for the most frequent contexts of each order, nothing for the others; one product leads to the residual stream."""

    def __init__(self, c):
        super().__init__()
        self.orders, self.bits, self.size = c["ngrams"], c["ngram_bits"], c["ngram_size"]
        rows = [1 << b for b in self.bits]
        self.first_row = [sum(rows[:i]) for i in range(len(rows))]
        self.rows = sum(rows)
        self.register_buffer("letters", letters(), persistent=False)
        self.register_buffer("checks", torch.zeros(self.rows, dtype=torch.int32))
        # The last row stands for contexts that have none.
        self.table = nn.Parameter(torch.randn(self.rows + 1, self.size) * 0.1)
        self.proj = Linear(len(rows) * self.size, c["hidden_size"], 0.5 * self.size**-0.5)

    def keys(self, long, first, T, words):
        return [words if n == WORD else order_key(long, first, T, n) for n in self.orders]

    @torch.no_grad()
    def fill(self, tokens):
        """Chooses contexts from rows of tokens, (B, T)."""
        most = max(*self.orders, 1)
        first, T = most - 1, tokens.shape[1] - most + 1
        words = word_hashes(self.letters[tokens], torch.zeros_like(tokens[:, 0]))[:, first:]
        for n, bits, row, keys in zip(self.orders, self.bits, self.first_row, self.keys(tokens, first, T, words)):
            keys, counts = keys[:, min(64, T // 4) :].flatten().unique(return_counts=True)
            seen = counts.sum()
            counts, best = counts.topk(min(3 << bits, len(counts)))
            bucket, check = places(keys[best], n, bits)
            bucket, kept = bucket.sort(stable=True)  # the most frequent first in each bucket
            start = torch.searchsorted(bucket, bucket)
            rank = torch.arange(len(bucket), device=bucket.device) - start
            use = rank < WAYS
            self.checks[row + bucket[use] * WAYS + rank[use]] = check[kept][use].int()
            share = counts[kept][use].sum() / seen
            print(f"order {n}: {int(use.sum())} of {1 << bits} rows, {float(share):.3f} of positions", flush=True)

    def forward(self, long, first, T, words):
        parts = []
        for n, bits, row, key in zip(self.orders, self.bits, self.first_row, self.keys(long, first, T, words)):
            bucket, check = places(key, n, bits)
            at = row + bucket[..., None] * WAYS + torch.arange(WAYS, device=long.device)
            hit = self.checks[at] == check[..., None]
            parts.append(torch.where(hit, at, self.rows).amin(-1))
        table = self.table.clamp(-1, 1)
        if Linear.quantized:
            table = table + (torch.round(table * LEVELS) / LEVELS - table).detach()
        table = torch.cat((table[:-1], torch.zeros_like(table[:1])))
        e = Rows.apply(table, torch.stack(parts, -1)).flatten(-2)
        w = fake_int8(self.proj.weight, Linear.most) if Linear.quantized else self.proj.weight
        return F.linear(e, w)


class Layer(nn.Module):
    def __init__(self, c, mixer):
        super().__init__()
        d, f = c["hidden_size"], c["intermediate_size"]
        std = d**-0.5
        self.mixer_norm = RmsNorm(d)
        self.mixer = MIXERS[mixer](c, std)
        self.mlp_norm = RmsNorm(d)
        self.gate_proj = Linear(d, f, std)
        self.up_proj = Linear(d, f, std)
        self.down_proj = Linear(f, d, 0.5 * f**-0.5)

    def forward(self, h, state):
        y, state = self.mixer(self.mixer_norm(h), state)
        h = h + y
        x = self.mlp_norm(h)
        return h + self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x)), state


class Recurrent(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.config = c
        d = c["hidden_size"]
        self.taps = c.get("taps", 1)
        self.embed = nn.ParameterList(nn.Parameter(torch.randn(257, d) * (0.5 if i == 0 else 0.1)) for i in range(self.taps))
        mixers = c["mixers"] if "mixers" in c else [c["mixer"]] * c["layers"]
        self.layers = nn.ModuleList(Layer(c, m) for m in mixers)
        self.norm = RmsNorm(d)
        self.head = Linear(d, 256, 0.02)
        self.ngrams = Ngrams(c) if c.get("ngrams") else None
        self.past = max(self.taps, *c.get("ngrams", [0])) - 1

    def state(self, B, device):
        s = {str(i): l.mixer.state(B, device) for i, l in enumerate(self.layers)}
        taps = {"before": torch.full((B, self.past), START, device=device)}
        return s | {"taps": taps | {"word": torch.zeros(B, dtype=torch.long, device=device)}}

    def forward(self, tokens, state):
        T = tokens.shape[1]
        long = torch.cat((state["taps"]["before"], tokens), 1)
        new = {"taps": {"before": long[:, T:], "word": state["taps"]["word"]}}
        first = self.past
        h = sum(F.embedding(long[:, first - i : first - i + T], e) for i, e in enumerate(self.embed))
        if self.ngrams:
            words = word_hashes(self.ngrams.letters[tokens], state["taps"]["word"])
            new["taps"]["word"] = words[:, -1]
            h = h + self.ngrams(long, first, T, words)
        for i, layer in enumerate(self.layers):
            h, new[str(i)] = layer(h, state[str(i)])
        return self.head(self.norm(h)).float(), new

    def start_from(self, path):
        """Takes over what `tensors` wrote: all but the moments of the optimizer and what rounding the table took."""
        from safetensors.torch import load_file

        tensors = load_file(path)
        if self.ngrams:
            packed = tensors.pop("ngrams.table")
            low, high = (packed << 4) >> 4, packed >> 4  # arithmetic shifts of int8
            with torch.no_grad():
                self.ngrams.table[:-1] = (torch.cat((low, high), -1).float() / LEVELS).to(self.ngrams.table)
            tensors["ngrams.table"] = self.ngrams.table.detach()
            tensors["ngrams.checks"] = tensors["ngrams.checks"].to(torch.int32)
        self.load_state_dict({n: t.float() if t.is_floating_point() else t for n, t in tensors.items()})

    def tensors(self):
        tensors = {n: p.detach().float().cpu().contiguous() for n, p in self.named_parameters()}
        if self.ngrams:
            # As integers of 4 bits already, two in a byte: what training rounded to.
            table = (tensors["ngrams.table"][:-1].clamp(-1, 1) * LEVELS).round().to(torch.int8)
            low, high = table.chunk(2, -1)
            tensors["ngrams.table"] = ((high << 4) | (low & 15)).contiguous()
            tensors["ngrams.checks"] = self.ngrams.checks.cpu().to(torch.uint16)
        return tensors


# --- data --------------------------------------------------------------------------------------------------------


def read(root, pattern):
    """Bytes of all files that match, in name order; .xz are unpacked."""
    paths = sorted(glob.glob(os.path.join(root, pattern)))
    if not paths:
        raise SystemExit(f"no file matches {pattern} under {root}")
    def content(path):
        with lzma.open(path) if path.endswith(".xz") else open(path, "rb") as f:
            data = f.read()
        if ".jsonl" in path:  # records: their texts alone, a line each
            data = b"".join(json.loads(line)["t"].encode() + b"\n" for line in data.splitlines())
        return data

    return torch.frombuffer(bytearray(b"".join(map(content, paths))), dtype=torch.uint8)


class Streams:
    """Rows that read on through the training texts and jump now and then.

    What a step reads depends on the seed and the steps before only.
    """

    def __init__(self, recipe, root, rows, length, device):
        texts = [(t, read(root, t["path"])) for t in recipe["data"]["train"]]
        texts = [(t, d) for t, d in texts if len(d) > 4 * length]
        self.data = torch.cat([d for _, d in texts]).to(device)
        sizes = np.array([len(d) for _, d in texts], dtype=np.int64)
        self.weights = np.array([t.get("weight", s / 1e6) for (t, _), s in zip(texts, sizes)], dtype=np.float64)
        self.weights /= self.weights.sum()
        self.first = np.cumsum(sizes) - sizes
        self.sizes, self.length, self.rows = sizes, length, rows
        self.rng = np.random.default_rng(recipe.get("seed", 1))
        self.jump = recipe["data"].get("jump", 0.15)
        self.at = np.zeros(rows, dtype=np.int64)
        self.end = np.zeros(rows, dtype=np.int64)

    def sample(self, size, length=65536):
        """About `size` bytes in pieces of `length`, each text by its weight, on a generator of its own."""
        rng = np.random.default_rng(7)
        texts = rng.choice(len(self.sizes), p=self.weights, size=max(1, size // length))
        length = min(length, int(self.sizes.min()) // 2)
        at = [self.first[t] + rng.integers(self.sizes[t] - length) for t in texts]
        return torch.stack([self.data[a : a + length] for a in at])

    def step(self):
        """(positions, which rows start anew)"""
        anew = (self.rng.random(self.rows) < self.jump) | (self.at + 2 * self.length > self.end)
        for row in np.flatnonzero(anew):
            text = self.rng.choice(len(self.sizes), p=self.weights)
            self.at[row] = self.first[text] + self.rng.integers(self.sizes[text] - 3 * self.length)
            self.end[row] = self.first[text] + self.sizes[text]
        at = self.at.copy()
        self.at += self.length
        return at, anew


def leaves(state):
    return [t for part in sorted(state) for _, t in sorted(state[part].items())]


@torch.no_grad()
def bit_probabilities(model, data, piece, length, device, autocast):
    """For pieces of `piece` bytes, each alone: (nats, probability of a 1 at each of a byte's eight bits over 2^16)."""
    rows = data[: len(data) // piece * piece].view(-1, piece).to(device).long()
    state, total, out = model.state(len(rows), device), 0.0, []
    before = torch.full_like(rows[:, :1], START)
    for at in range(0, piece, length):
        part = rows[:, at : at + length]
        tokens = torch.cat((before, part[:, :-1]), 1)
        before = part[:, -1:]
        with autocast():
            logits, state = model(tokens, state)
        logp = logits.float().log_softmax(-1)
        total -= logp.gather(-1, part[..., None]).double().sum().item()
        p = logp.exp()
        bits = []
        for bit in range(8):
            p = p.view(*part.shape, 2, -1)
            both = p.sum(-1)
            bits.append(both[..., 1] / both.sum(-1))
            which = (part >> (7 - bit)) & 1
            p = p.gather(-2, which[..., None, None].expand(*part.shape, 1, p.shape[-1]))[..., 0, :]
        out.append((torch.stack(bits, -1) * 65536).round().clamp(1, 65535).to(torch.int32).cpu())
    return total / len(data), torch.cat(out, 1).reshape(-1, 8).numpy().astype("<u2")


# --- optimizer ---------------------------------------------------------------------------------------------------


class Optimizer:
    """Muon for the layers' matrices, Adam for the rest. All state lives on the device, so that a graph can hold it."""

    def __init__(self, model, optim, device):
        named = list(model.named_parameters())
        is_matrix = lambda n, p: p.dim() == 2 and "layers" in n and "conv" not in n and optim.get("muon", True)
        self.matrices, self.others = {}, []
        for n, p in named:
            if is_matrix(n, p):
                self.matrices.setdefault(tuple(p.shape), []).append(p)
            else:
                self.others.append(p)
        self.momentum = {s: torch.zeros(len(ps), *s, device=device) for s, ps in self.matrices.items()}
        self.m = [torch.zeros_like(p) for p in self.others]
        self.v = [torch.zeros_like(p) for p in self.others]
        self.decay = [optim["weight_decay"] if p.dim() == 2 and "layers" in n else 0.0 for n, p in named if not is_matrix(n, p)]
        self.rate = torch.zeros((), device=device)  # share of the full learning rates
        self.count = torch.zeros((), device=device)
        self.optim = optim
        self.parameters = list(model.parameters())

    @torch.no_grad()
    def step(self):
        o = self.optim
        grads = [p.grad for p in self.parameters]
        norm = torch.stack(torch._foreach_norm(grads)).norm()
        torch._foreach_mul_(grads, (o["clip_norm"] / norm).clamp(max=1.0))
        self.count += 1
        for shape, ps in self.matrices.items():
            g = torch.stack([p.grad for p in ps])
            m = self.momentum[shape]
            m.lerp_(g, 1 - 0.95)
            update = orthogonal(g.lerp(m, 0.95)) * max(1, shape[0] / shape[1]) ** 0.5
            lr = self.rate * o["muon_lr"]
            for p, u in zip(ps, update):
                p.mul_(1 - lr * o["weight_decay"]).sub_(lr * u)
        b1, b2 = o["betas"]
        torch._foreach_lerp_(self.m, [p.grad for p in self.others], 1 - b1)
        torch._foreach_mul_(self.v, b2)
        torch._foreach_addcmul_(self.v, [p.grad for p in self.others], [p.grad for p in self.others], 1 - b2)
        lr = self.rate * o["lr"]
        for p, m, v, decay in zip(self.others, self.m, self.v, self.decay):
            mean, square = m / (1 - b1**self.count), v / (1 - b2**self.count)
            p.mul_(1 - lr * decay).sub_(lr * mean / (square.sqrt() + 1e-8))
        for p in self.parameters:
            p.grad.zero_()
        return norm

    def state(self):
        return [*self.momentum.values(), *self.m, *self.v, self.count]


def orthogonal(g):
    """The orthogonal matrix nearest to each of a batch, nearly: five Newton-Schulz steps."""
    x = g.bfloat16() if g.is_cuda else g
    wide = x.shape[-2] > x.shape[-1]
    if wide:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.mT if wide else x).float()


def rate(x, optim):
    """Share of the learning rate when `x` of the run is done: up, flat, down to nothing."""
    down = optim.get("decay_part", 0.5)
    return min(1.0, (x + 1e-4) / optim.get("warmup_part", 0.02), (1 - x) / down + 0.005)


# --- training ----------------------------------------------------------------------------------------------------


class Trainer:
    def __init__(self, recipe, c, root, device, compiled):
        self.optim, self.device = recipe["optim"], device
        self.rows, self.length = recipe["optim"]["rows"], c["segment"]
        torch.manual_seed(recipe.get("seed", 1))
        self.model = Recurrent(c).to(device)
        Linear.most = c.get("weight_levels", 63)
        self.streams = Streams(recipe, root, self.rows, self.length, device)
        if self.model.ngrams:
            self.model.ngrams.fill(self.streams.sample(recipe["data"].get("ngram_sample", 100_000_000)).long())
        self.optimizer = Optimizer(self.model, self.optim, device)
        self.state = self.model.state(self.rows, device)
        self.at = torch.zeros(self.rows, dtype=torch.long, device=device)
        self.anew = torch.ones(self.rows, dtype=torch.bool, device=device)
        self.offsets = torch.arange(-1, self.length, device=device)
        self.loss, self.norm, self.graph = None, None, None
        for p in self.model.parameters():
            p.grad = torch.zeros_like(p)
        if compiled:
            for layer in self.model.layers:
                layer.compile(dynamic=False)

    def autocast(self):
        return torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda")

    def body(self):
        window = self.streams.data[(self.at[:, None] + self.offsets).clamp_min(0)].long()
        tokens = torch.cat((torch.where(self.anew[:, None], START, window[:, :1]), window[:, 1:-1]), 1)
        fresh = self.model.state(self.rows, self.device)
        state = {
            part: {n: torch.where(self.anew.view(-1, *[1] * (t.dim() - 1)), fresh[part][n], t) for n, t in entries.items()}
            for part, entries in self.state.items()
        }
        with self.autocast():
            logits, after = self.model(tokens, state)
        loss = F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
        loss.backward()
        norm = self.optimizer.step()
        for old, new in zip(leaves(self.state), leaves(after)):
            old.copy_(new.detach())
        return loss.detach(), norm

    def capture(self):
        """Makes one graph of a step. Weights and moments are put back as they were before warming up."""
        if self.device != "cuda":
            return
        kept = [*self.model.parameters(), *self.optimizer.state(), *leaves(self.state)]
        saved = [t.detach().clone() for t in kept]
        self.at.fill_(self.length)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.body()
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.loss, self.norm = self.body()
        with torch.no_grad():
            for t, s in zip(kept, saved):
                t.copy_(s)

    def recapture(self, compiled):
        """After the model's arithmetic has changed."""
        if self.device != "cuda":
            return
        self.graph = None
        try:
            if compiled:
                torch._dynamo.reset()
            self.capture()
        except RuntimeError as error:  # a long run must not end for want of speed
            print(f"not compiled again: {error}", flush=True)
            for layer in self.model.layers:
                layer._compiled_call_impl = None
            self.capture()

    def step(self, share):
        at, anew = self.streams.step()
        self.at.copy_(torch.from_numpy(at))
        self.anew.copy_(torch.from_numpy(anew))
        self.optimizer.rate.fill_(share)
        if self.graph:
            self.graph.replay()
        else:
            self.loss, self.norm = self.body()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("recipe")
    arguments.add_argument("--data", required=True, help="folder that the recipe's paths are relative to")
    arguments.add_argument("--out", required=True)
    arguments.add_argument("--set", nargs="*", default=[], help="model settings, as mixer=gru conv=false")
    arguments.add_argument("--optim", nargs="*", default=[], help="optimizer settings, as lr=0.002")
    arguments.add_argument("--steps", type=int, help="steps; else --seconds decides")
    arguments.add_argument("--seconds", type=float, default=60.0, help="end by then: the schedule follows the clock")
    arguments.add_argument("--int8-part", type=float, default=0.2, help="last part that imitates int8 [0.2]")
    arguments.add_argument("--from-part", type=float, default=0.0, help="with --resume: where in the schedule to go on")
    arguments.add_argument("--to-part", type=float, default=1.0, help="where in the schedule to stop")
    arguments.add_argument("--resume", help="folder with a checkpoint.pt")
    arguments.add_argument("--start", help="model.safetensors to go on from where no checkpoint is left: moments begin anew")
    arguments.add_argument("--dev", nargs="*", default=[], help="FILE:PIECE to evaluate in pieces")
    arguments.add_argument("--probabilities", action="store_true", help="write bit probabilities of the dev pieces")
    arguments.add_argument("--compile", action="store_true")
    a = arguments.parse_args()
    with open(a.recipe, "rb") as f:
        recipe = tomllib.load(f)
    parse = lambda s: tomllib.loads(s.replace("=", " = ", 1))
    c = recipe["model"]
    for s in a.set:
        c |= parse(s)
    for s in a.optim:
        recipe["optim"] |= parse(s)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("high")
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    os.makedirs(a.out, exist_ok=True)
    begun = time.time()
    t = Trainer(recipe, c, a.data, device, a.compile and device == "cuda")
    if a.resume:
        # Names only of tensors: nothing is unpickled but tensors.
        saved = torch.load(os.path.join(a.resume, "checkpoint.pt"), map_location=device, weights_only=True)
        t.model.load_state_dict(saved["model"])
        with torch.no_grad():
            for old, new in zip(t.optimizer.state(), saved["optimizer"]):
                old.copy_(new)
        t.streams.rng = np.random.default_rng([recipe.get("seed", 1), round(a.from_part * 1e6)])
    if a.start:
        t.model.start_from(a.start)
        t.streams.rng = np.random.default_rng([recipe.get("seed", 1), round(a.from_part * 1e6)])
    t.capture()
    ready = time.time()
    print(f"{sum(p.numel() for p in t.model.parameters())} parameters, {len(t.streams.data)} bytes, ready in {ready - begun:.0f} s", flush=True)

    def write():
        from safetensors.torch import save_file

        save_file(t.model.tensors(), os.path.join(a.out, "model.safetensors"), metadata={"format": "pt"})
        with open(os.path.join(a.out, "config.json"), "w") as f:
            json.dump({"model_type": "lmic_recurrent", **c}, f, indent=2)
        torch.save({"model": t.model.state_dict(), "optimizer": t.optimizer.state()}, os.path.join(a.out, "checkpoint.pt"))

    metrics_file = open(os.path.join(a.out, "metrics.csv"), "w", newline="")
    metrics = csv.writer(metrics_file)
    metrics.writerow(["step", "bytes", "seconds", "part", "train_bpb", "grad_norm"])
    done, x, smooth = 0, a.from_part, None
    span = a.to_part - a.from_part
    each = t.rows * t.length
    while x < a.to_part:
        if x >= 1 - a.int8_part and not Linear.quantized:
            write()
            Linear.quantized = True
            t.recapture(a.compile)
        # Without moments, the first steps are small.
        t.step(rate(x, recipe["optim"]) * (min(1.0, (done + 1) / 200) if a.start else 1.0))
        done += 1
        used = time.time() - begun
        x = a.from_part + span * (done / a.steps if a.steps else min(1.0, used / a.seconds))
        if done % 20 == 0:
            bits = t.loss.item() / math.log(2)  # waits for the device, so that the clock is true
            smooth = bits if smooth is None else 0.9 * smooth + 0.1 * bits
            if done % 100 == 0:
                metrics.writerow([done, done * each, f"{used:.1f}", f"{x:.4f}", f"{smooth:.4f}", f"{t.norm.item():.3f}"])
                metrics_file.flush()
            if done % 2000 == 0:
                write()
            if done % 1000 == 0:
                print(f"{a.out} step {done} part {x:.3f} train {smooth:.4f} {done * each / 1e6 / (time.time() - ready):.2f} MB/s", flush=True)
            if not math.isfinite(bits):
                raise SystemExit("the loss is not finite")
    write()
    print(f"{a.out} {done} steps, {done * each / 1e6:.0f} MB, {time.time() - begun:.0f} s, train {smooth}", flush=True)
    for quantized in [False, True] if a.to_part == 1 and a.int8_part > 0 else [False]:
        Linear.quantized = quantized
        torch._dynamo.reset()
        for spec in a.dev:
            path, piece = spec.rsplit(":", 1)
            data = read("", path)
            nats, bits = bit_probabilities(t.model, data, int(piece), t.length, device, t.autocast)
            print(f"{a.out} {os.path.basename(path)} {'int8' if quantized else 'float'} {nats / math.log(2):.4f} bits per byte (estimated)", flush=True)
            if a.probabilities:
                bits.tofile(os.path.join(a.out, os.path.basename(path) + f".{piece}{'.int8' if quantized else ''}.p16"))


if __name__ == "__main__":
    main()
