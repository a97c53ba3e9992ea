#!/usr/bin/env python3
"""Train a recurrent byte model with PyTorch and write what lmic reads (config.json, model.safetensors).

    recipes/train_recurrent.py recipes/recurrent-default.toml --data DATA --out runs/default

The model (docs/design.md says how it was chosen): embedding, layers of a minimal gated unit (L. Feng et al., "Were
RNNs all we needed?", 2024) and a gated MLP, a head. Rows of a batch are streams: the state is carried from one
segment to the next, and now and then a row starts anew, so that the model learns both the first bytes of an input
and long memory. 256 is the start symbol.

Several processes (environment: RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT, as torchrun sets them) train one table of
rows for contexts together, whatever their networks; processes with the same recipe train one network.

With --cm, a network is trained for what context mixing does not know: the loss is that of both opinions mixed. The
example `cm_bits` of lmic writes what context mixing says of the training texts.

On a GPU the whole step is one CUDA graph. Matrices of the layers are trained by Muon (K. Jordan et al., 2024), the
rest by Adam.
"""

import argparse
import csv
import datetime
import glob
import json
import lzma
import math
import os
import subprocess
import time
import tomllib

import numpy as np
import torch
import torch.nn.functional as F
from torch import distributed, nn

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


# --- recurrence ------------------------------------------------------------------------------------------------------


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
    def gru_forward(y_at, bias_at, first_at, h_at, out_at, last_at, T: tl.constexpr, S: tl.constexpr, BT: tl.constexpr, BD: tl.constexpr):
        row, c, t = tl.program_id(0), tl.program_id(1) * BD + tl.arange(0, BD), tl.arange(0, BT)
        h = tl.load(first_at + row * S + c)
        bias = tl.load(bias_at + c)[None, :]
        last = (t == BT - 1)[:, None]
        for start in range(0, T, BT):
            at = (row * T + start + t)[:, None]
            place = at * (3 * S) + c[None, :]
            keep = tl.sigmoid(tl.load(y_at + place + S).to(tl.float32) + bias)
            a, b = tl.associative_scan((keep, (1 - keep) * tl.load(y_at + place).to(tl.float32)), 0, join)
            s = b + a * h[None, :]
            gate = tl.load(y_at + place + 2 * S).to(tl.float32)
            tl.store(h_at + at * S + c[None, :], s)
            tl.store(out_at + at * S + c[None, :], (s * gate * tl.sigmoid(gate)).to(out_at.dtype.element_ty))
            h = tl.sum(tl.where(last, s, 0.0), 0)
        tl.store(last_at + row * S + c, h)

    @triton.jit
    def gru_backward(y_at, bias_at, first_at, h_at, grad_at, dy_at, dbias_at, T: tl.constexpr, S: tl.constexpr, BT: tl.constexpr, BD: tl.constexpr):
        row, c, t = tl.program_id(0), tl.program_id(1) * BD + tl.arange(0, BD), tl.arange(0, BT)
        bias = tl.load(bias_at + c)[None, :]
        first = tl.load(first_at + row * S + c)[None, :]
        g = tl.zeros((BD,), tl.float32)
        dbias = tl.zeros((BD,), tl.float32)
        last = (t == BT - 1)[:, None]
        for start in range(0, T, BT):
            pos = (T - 1 - start - t)[:, None]  # backwards
            at = row * T + pos
            place = at * (3 * S) + c[None, :]
            inside = (pos < T - 1) & (c[None, :] >= 0)
            after = tl.load(y_at + place + 4 * S, mask=inside, other=0.0).to(tl.float32)  # the gate that keeps, a step later
            after = tl.where(inside, tl.sigmoid(after + bias), 0.0)
            gate = tl.load(y_at + place + 2 * S).to(tl.float32)
            sig = tl.sigmoid(gate)
            grad = tl.load(grad_at + at * S + c[None, :]).to(tl.float32)
            s = tl.load(h_at + at * S + c[None, :])
            a, b = tl.associative_scan((after, grad * gate * sig), 0, join)
            total = b + a * g[None, :]
            keep = tl.sigmoid(tl.load(y_at + place + S).to(tl.float32) + bias)
            cand = tl.load(y_at + place).to(tl.float32)
            begun = (pos > 0) & (c[None, :] >= 0)
            before = tl.load(h_at + (at - 1) * S + c[None, :], mask=begun, other=0.0)
            before = tl.where(begun, before, first)
            dz = total * (before - cand) * keep * (1 - keep)
            kind = dy_at.dtype.element_ty
            tl.store(dy_at + place, (total * (1 - keep)).to(kind))
            tl.store(dy_at + place + S, dz.to(kind))
            tl.store(dy_at + place + 2 * S, (grad * s * sig * (1 + gate * (1 - sig))).to(kind))
            dbias += tl.sum(dz, 0)
            g = tl.sum(tl.where(last, total, 0.0), 0)
        tl.store(dbias_at + row * S + c, dbias)


class FusedGru(torch.autograd.Function):
    """Of y, (B, T, 3, S): candidates, gates that keep, output gates; from the state `first`: gated states, and the last state."""

    @staticmethod
    def forward(ctx, y, bias, first):
        y, first = y.contiguous(), first.contiguous()
        B, T, S = y.shape[0], y.shape[1], y.shape[2] // 3
        h = torch.empty(B, T, S, device=y.device)
        out = torch.empty(B, T, S, device=y.device, dtype=y.dtype)
        last = torch.empty(B, S, device=y.device)
        D = 32 if S % 32 == 0 else 16
        gru_forward[(B, S // D)](y, bias, first, h, out, last, T=T, S=S, BT=32, BD=D)
        ctx.save_for_backward(y, bias, first, h)
        ctx.mark_non_differentiable(last)
        return out, last

    @staticmethod
    def backward(ctx, grad, _):
        y, bias, first, h = ctx.saved_tensors
        B, T, S = h.shape
        dy = torch.empty_like(y)
        dbias = torch.empty(B, S, device=y.device)
        D = 32 if S % 32 == 0 else 16
        gru_backward[(B, S // D)](y, bias, first, h, grad.contiguous(), dy, dbias, T=T, S=S, BT=32, BD=D)
        return dy, dbias.sum(0), None


fused_gru = torch.compiler.disable(FusedGru.apply)

if torch.cuda.is_available():

    @triton.jit
    def bits_forward(logits_at, bytes_at, bits_at, R: tl.constexpr):
        row, v = tl.program_id(0) * R + tl.arange(0, R), tl.arange(0, 256)[None, :]
        x = tl.load(logits_at + row[:, None] * 256 + v).to(tl.float32)
        e = tl.exp(x - tl.max(x, 1)[:, None])
        y = tl.load(bytes_at + row)[:, None]
        for k in tl.static_range(8):
            same = (v >> (8 - k)) == (y >> (8 - k))
            with_bit = (v >> (7 - k)) == (y >> (7 - k))
            came = tl.sum(tl.where(with_bit, e, 0.0), 1) + 1e-30
            other = tl.sum(tl.where(same & (with_bit == 0), e, 0.0), 1) + 1e-30
            tl.store(bits_at + row * 8 + k, tl.log(came) - tl.log(other))

    @triton.jit
    def bits_backward(logits_at, bytes_at, grad_at, out_at, R: tl.constexpr):
        row, v = tl.program_id(0) * R + tl.arange(0, R), tl.arange(0, 256)[None, :]
        x = tl.load(logits_at + row[:, None] * 256 + v).to(tl.float32)
        e = tl.exp(x - tl.max(x, 1)[:, None])
        y = tl.load(bytes_at + row)[:, None]
        share = tl.zeros((R, 256), tl.float32)
        for k in tl.static_range(8):
            same = (v >> (8 - k)) == (y >> (8 - k))
            with_bit = (v >> (7 - k)) == (y >> (7 - k))
            came = tl.sum(tl.where(with_bit, e, 0.0), 1) + 1e-30
            other = tl.sum(tl.where(same & (with_bit == 0), e, 0.0), 1) + 1e-30
            g = tl.load(grad_at + row * 8 + k)
            share += tl.where(with_bit, (g / came)[:, None], tl.where(same, (-g / other)[:, None], 0.0))
        tl.store(out_at + row[:, None] * 256 + v, (e * share).to(out_at.dtype.element_ty))


class FusedBits(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, bytes):
        logits, bytes = logits.contiguous(), bytes.contiguous()
        bits = torch.empty(len(logits), 8, device=logits.device)
        bits_forward[(len(logits) // 8,)](logits, bytes, bits, R=8)
        ctx.save_for_backward(logits, bytes)
        return bits

    @staticmethod
    def backward(ctx, grad):
        logits, bytes = ctx.saved_tensors
        out = torch.empty_like(logits)
        bits_backward[(len(logits) // 8,)](logits, bytes, grad.contiguous(), out, R=8)
        return out, None


def opinions_on_bits(logits, bytes):
    """ln(p / (1 - p)) of the bits that came, (N, 8), the highest first, of logits (N, 256) and the bytes that came."""
    if logits.is_cuda:
        return FusedBits.apply(logits, bytes)
    log_p, bits = logits.float().log_softmax(-1), []
    for bit in range(8):
        log_p = log_p.view(len(bytes), 2, -1)
        both = log_p.logsumexp(-1)
        which = (bytes >> (7 - bit)) & 1
        came, other = both.gather(1, which[:, None])[:, 0], both.gather(1, 1 - which[:, None])[:, 0]
        bits.append(came - other)
        log_p = log_p.gather(1, which[:, None, None].expand(-1, 1, log_p.shape[-1]))[:, 0]
    return torch.stack(bits, -1)


class Mixing(nn.Module):
    """Mixes the opinions of the network and of context mixing by weights for each bit of a byte and each certainty of the latter."""

    EDGES = (0.5, 1.5, 3.0, 5.0)

    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.full((8, len(self.EDGES) + 1, 2), 0.6))

    def forward(self, bits, cm):
        certainty = sum((cm.abs() > edge).long() for edge in self.EDGES)
        # A product, since the gradient of an index sorts all of them.
        chosen = (certainty[..., None] == torch.arange(len(self.EDGES) + 1, device=cm.device)).float()
        w = torch.einsum("nkc,kcw->nkw", chosen, self.weights)
        return w[..., 0] * bits + w[..., 1] * cm


def plain_gru(y, bias, first):
    candidate, keep, gate = y.float().chunk(3, -1)
    keep = torch.sigmoid(keep + bias)
    b = (1 - keep) * candidate
    s = doubling(keep, torch.cat((keep[:, :1] * first[:, None] + b[:, :1], b[:, 1:]), 1))
    return s * F.silu(gate), s[:, -1].detach()


def timescales(n, longest):
    """Logits of decays whose memories last from 2 to `longest` bytes."""
    tau = torch.logspace(math.log10(2), math.log10(longest), n)
    p = torch.exp(-1 / tau)
    return torch.log(p / (1 - p))


class Gru(nn.Module):
    def __init__(self, c, std):
        super().__init__()
        d = c["hidden_size"]
        s = self.size = c.get("state_size", d)
        self.in_proj = Linear(d, 3 * s, std)
        self.out_proj = Linear(s, d, 0.5 * s**-0.5)
        self.bias = nn.Parameter(timescales(s, 500.0))

    def forward(self, x, state):
        y = self.in_proj(x)
        out, state = (fused_gru if y.is_cuda else plain_gru)(y, self.bias, state)
        return self.out_proj(out), state


# --- n-grams -----------------------------------------------------------------------------------------------------

WORD = 0  # as an order: the letters since the last byte that is none
WAYS = 4  # rows of a bucket


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
    """table[at]; the gradient is added to the table's by atomics, as sorting the places takes longer."""

    @staticmethod
    def forward(ctx, table, at, wanted):
        ctx.table = table
        ctx.save_for_backward(at, wanted)
        return table.detach()[at]

    @staticmethod
    def backward(ctx, grad):
        at, wanted = ctx.saved_tensors
        grad = torch.where(wanted[..., None], grad, 0.0)
        ctx.table.grad.index_add_(0, at.flatten(), grad.flatten(0, -2).float())
        return None, None, None


class Ngrams(nn.Module):
    """Rows learned for the contexts of each order that are worth most, nothing for the others; products lead to the residual stream."""

    def __init__(self, c):
        super().__init__()
        self.orders, self.bits, self.size = c["ngrams"], c["ngram_bits"], c["ngram_size"]
        self.dropout = None  # of each kind, the share of contexts that training takes for such without a row
        self.levels = c.get("ngram_levels", 7)  # numbers of a row are integers up to this, divided by it
        self.by = c.get("ngram_rows", "gain")
        self.layers = c.get("ngram_layers", [0])
        rows = [1 << b for b in self.bits]
        self.first_row = [sum(rows[:i]) for i in range(len(rows))]
        self.rows = sum(rows)
        self.register_buffer("letters", letters(), persistent=False)
        self.register_buffer("checks", torch.zeros(self.rows, dtype=torch.int32))
        same = torch.Generator().manual_seed(11)  # in all processes
        self.table = nn.Parameter(torch.randn(self.rows, self.size, generator=same) * c.get("ngram_std", 0.1))
        self.proj = nn.ModuleList(Linear(len(rows) * self.size, c["hidden_size"], 0.5 * self.size**-0.5) for _ in self.layers)

    def keys(self, long, first, T, words):
        return [words if n == WORD else order_key(long, first, T, n) for n in self.orders]

    @torch.no_grad()
    def fill(self, tokens):
        """Chooses contexts from rows of tokens, (B, T + 1)."""
        tokens, following = tokens[:, :-1], tokens[:, 1:]
        most = max(*self.orders, 1)
        first, T = most - 1, tokens.shape[1] - most + 1
        words = word_hashes(self.letters[tokens], torch.zeros_like(tokens[:, 0]))[:, first:]
        skip = min(64, T // 4)  # where a word may have begun before the row
        after = following[:, first + skip :].flatten()
        key_of = lambda n: (words if n == WORD else order_key(tokens, first, T, n))[:, skip:].flatten()
        gain_of = {}
        if self.by == "gain":
            # What a context saves beside the next shorter one, with absolute discounting.
            p = {0: torch.full(after.shape, 1 / 256, device=after.device)}
            for n in range(1, max(*self.orders, 4) + 1):
                p[n], inverse, keys, counts = predicted(key_of(n), after, p[n - 1])
                if n in self.orders:
                    gain_of[n] = keys, counts, torch.zeros(len(keys), device=after.device).index_add_(0, inverse, torch.log2(p[n] / p[n - 1]))
                if n != 4:  # the word is compared with the last three
                    p.pop(n - 1)
            if WORD in self.orders:
                q, inverse, keys, counts = predicted(key_of(WORD), after, p[3])
                gain_of[WORD] = keys, counts, torch.zeros(len(keys), device=after.device).index_add_(0, inverse, torch.log2(q / p[3]))
            p.clear()
        for n, bits, row in zip(self.orders, self.bits, self.first_row):
            if self.by == "gain":
                keys, counts, gain = gain_of.pop(n)
            else:
                keys, counts = key_of(n).unique(return_counts=True)
                gain = counts.float()
            seen = counts.sum()
            gain, best = gain.topk(min(3 << bits, len(gain)))
            bucket, check = places(keys[best], n, bits)
            bucket, kept = bucket.sort(stable=True)  # the best first in each bucket
            start = torch.searchsorted(bucket, bucket)
            rank = torch.arange(len(bucket), device=bucket.device) - start
            use = rank < WAYS
            self.checks[row + bucket[use] * WAYS + rank[use]] = check[kept][use].int()
            share, total = counts[best][kept][use].sum() / seen, gain[kept][use].sum() / seen
            edge = gain[min(len(gain), 1 << bits) - 1]
            print(f"order {n}: {int(use.sum())} of {1 << bits} rows, {float(share):.3f} of positions, gain {float(total):.4f} a byte, last {float(edge):.1f}", flush=True)

    def look_up(self, long, first, T, words):
        """Numbers of the rows of all kinds, (B, T, kinds * size)."""
        parts = []
        for n, bits, row, key in zip(self.orders, self.bits, self.first_row, self.keys(long, first, T, words)):
            bucket, check = places(key, n, bits)
            at = row + bucket[..., None] * WAYS + torch.arange(WAYS, device=long.device)
            hit = self.checks[at] == check[..., None]
            parts.append(torch.where(hit, at, self.rows).amin(-1))
        at = torch.stack(parts, -1)
        wanted = at < self.rows
        dropped = self.training and self.dropout is not None
        if dropped:
            # Rows for long contexts learn the training texts by heart, which the network must not rely on.
            wanted = wanted & (torch.rand(wanted.shape, device=wanted.device) >= self.dropout)
        at = torch.where(wanted, at, 0)
        e = Rows.apply(self.table, at, wanted) if self.table.requires_grad else self.table[at]
        e = NumbersOf.apply(e, wanted, self.levels if Linear.quantized else 0)
        if dropped:
            e = e / (1 - self.dropout)[:, None]
        return e.flatten(-2)

    def project(self, i, e):
        w = self.proj[i].weight
        return F.linear(e, fake_int8(w, Linear.most) if Linear.quantized else w)


class NumbersOf(torch.autograd.Function):
    """Numbers of rows within -1..1, rounded if there are levels; 0 for contexts without a row."""

    @staticmethod
    def forward(ctx, e, wanted, levels):
        ctx.save_for_backward(e.abs() <= 1, wanted)
        e = e.clamp(-1, 1)
        if levels:
            e = torch.round(e * levels) / levels
        return torch.where(wanted[..., None], e, 0.0)

    @staticmethod
    def backward(ctx, grad):
        inside, wanted = ctx.saved_tensors
        return torch.where(inside & wanted[..., None], grad, 0.0), None, None


def predicted(keys, after, lower, discount=0.75):
    """Of each position the probability of the byte after it by its context, backing off to `lower`; and which context it has."""
    contexts, inverse, counts = keys.unique(return_inverse=True, return_counts=True)
    pairs, pair_inverse, pair_counts = (inverse * 256 + after).unique(return_inverse=True, return_counts=True)
    distinct = torch.zeros_like(counts).index_add_(0, pairs >> 8, torch.ones_like(pairs))
    total = counts[inverse].float()
    return (pair_counts[pair_inverse] - discount) / total + discount * distinct[inverse] / total * lower, inverse, contexts, counts


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, f = c["hidden_size"], c["intermediate_size"]
        std = d**-0.5
        self.mixer_norm = RmsNorm(d)
        self.mixer = Gru(c, std)
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
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["layers"]))
        self.norm = RmsNorm(d)
        self.head = Linear(d, 256, 0.02)
        self.ngrams = Ngrams(c) if c.get("ngrams") else None
        self.past = max(self.taps, *c.get("ngrams", [0])) - 1

    def multiply_adds(self):
        """Of a byte."""
        return sum(m.weight.numel() for m in self.modules() if isinstance(m, Linear))

    def state(self, B, device):
        sizes = [layer.mixer.size for layer in self.layers]
        s = {str(i): torch.zeros(B, n, device=device) for i, n in enumerate(sizes)}
        s["before"] = torch.full((B, self.past), START, device=device)
        return s | {"word": torch.zeros(B, dtype=torch.long, device=device)}

    def forward(self, tokens, state):
        T = tokens.shape[1]
        long = torch.cat((state["before"], tokens), 1)
        new = {"before": long[:, T:], "word": state["word"]}
        first = self.past
        h = sum(F.embedding(long[:, first - i : first - i + T], e) for i, e in enumerate(self.embed))
        at = {}
        if self.ngrams:
            words = word_hashes(self.ngrams.letters[tokens], state["word"])
            new["word"] = words[:, -1]
            e = self.ngrams.look_up(long, first, T, words)
            at = {layer: i for i, layer in enumerate(self.ngrams.layers)}
        for i, layer in enumerate(self.layers):
            if i in at:
                h = h + self.ngrams.project(at[i], e)
            h, new[str(i)] = layer(h, state[str(i)])
        if len(self.layers) in at:
            h = h + self.ngrams.project(at[len(self.layers)], e)
        return self.head(self.norm(h)), new

    def keep(self, folder):
        """Writes what `start_from` reads: matrices as f16, and the table apart from them in 127ths, since it is large."""
        from safetensors.torch import save_file

        os.makedirs(folder, exist_ok=True)
        tensors = {n: p.detach().half().cpu().contiguous() for n, p in self.named_parameters()}
        if self.ngrams:
            table = tensors.pop("ngrams.table").float().clamp(-1, 1)
            rows = {"table": (table * 127).round().to(torch.int8), "checks": self.ngrams.checks.cpu().to(torch.uint16)}
            save_file(rows, os.path.join(folder, "rows.safetensors"))
        save_file(tensors, os.path.join(folder, "network.safetensors"))

    def start_from(self, folder):
        """Takes over what `keep` wrote: all but the moments of the optimizer and what rounding took.

        The network may have more layers and wider MLPs than that one, which change nothing at first; where there is no
        network in the folder, its rows alone are taken.
        """
        from safetensors.torch import load_file

        if self.ngrams:
            rows = load_file(os.path.join(folder, "rows.safetensors"))
            self.ngrams.table.data.copy_(rows["table"].float() / 127)
            self.ngrams.checks.copy_(rows["checks"].to(torch.int32))
        path = os.path.join(folder, "network.safetensors")
        if not os.path.exists(path):
            return
        tensors = load_file(path)
        for n, p in self.named_parameters():
            if n == "ngrams.table":
                continue
            old = tensors.get(n)
            if (old is None or old.shape != p.shape) and n.endswith(("out_proj.weight", "down_proj.weight")):
                p.data.zero_()
            if old is not None:
                wider = "gate_proj" in n or "up_proj" in n or "down_proj" in n
                if old.shape != p.shape and not (wider and all(a <= b for a, b in zip(old.shape, p.shape))):
                    raise SystemExit(f"{n} of {folder} is {tuple(old.shape)}, not {tuple(p.shape)}")
                p.data[tuple(slice(n) for n in old.shape)] = old.to(p)

    def tensors(self):
        tensors = {n: p.detach().float().cpu().contiguous() for n, p in self.named_parameters()}
        if self.ngrams:
            # As integers of 4 bits already, two in a byte: what training rounded to.
            table = (tensors.pop("ngrams.table").clamp(-1, 1) * self.ngrams.levels).round().to(torch.int8)
            low, high = table.chunk(2, -1)
            pairs = ((high << 4) | (low & 15)).numpy().view(np.uint8)
            checks = self.ngrams.checks.cpu().numpy().astype("<u2")
            for kind, (bits, first) in enumerate(zip(self.ngrams.bits, self.ngrams.first_row)):
                # Buckets: the checks of a bucket's places, then their rows.
                own, rows = (part[first : first + (1 << bits)].reshape(-1, WAYS * part[0].size) for part in (checks, pairs))
                tensors[f"ngrams.rows.{kind}"] = torch.from_numpy(np.concatenate((own.view(np.uint8), rows), 1))
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


def cm_opinions(folder, program, pattern, text):
    """What context mixing says of each bit of a text, (len, 8), in units of 1/12: from the folder, or else by the program."""
    path = os.path.join(folder, "".join(c if c.isalnum() else "_" for c in pattern))
    if not os.path.exists(path):
        os.makedirs(folder, exist_ok=True)
        text.numpy().tofile(path + ".text")
        subprocess.run([program, path + ".text", path + ".new"], check=True)
        os.remove(path + ".text")
        os.rename(path + ".new", path)
    return torch.from_numpy(np.fromfile(path, dtype=np.int8).reshape(len(text), 8))


class Streams:
    """Rows that read on through the training texts and jump now and then.

    What a step reads depends on the seed and the steps before only.
    """

    def __init__(self, recipe, root, rows, length, device, seed, cm=None):
        texts = [(t, read(root, t["path"])) for t in recipe["data"]["train"]]
        texts = [(t, d) for t, d in texts if len(d) > 4 * length]
        self.data = torch.cat([d for _, d in texts]).to(device)
        self.cm = cm and torch.cat([cm_opinions(*cm, t["path"], d) for t, d in texts]).to(device)
        sizes = np.array([len(d) for _, d in texts], dtype=np.int64)
        self.weights = np.array([t.get("weight", s / 1e6) for (t, _), s in zip(texts, sizes)], dtype=np.float64)
        self.weights /= self.weights.sum()
        self.first = np.cumsum(sizes) - sizes
        self.sizes, self.length, self.rows = sizes, length, rows
        self.rng = np.random.default_rng(seed)
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


@torch.no_grad()
def bit_probabilities(model, data, piece, length, device, autocast):
    """For pieces of `piece` bytes, each alone: (nats, probability of a 1 at each of a byte's eight bits over 2^16)."""
    model.eval()
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

    def __init__(self, named, optim, device):
        named = list(named)
        is_matrix = lambda n, p: p.dim() == 2 and "layers" in n
        self.matrices, others = {}, {}
        for n, p in named:
            if is_matrix(n, p):
                self.matrices.setdefault(tuple(p.shape), []).append(p)
            else:
                others.setdefault("ngrams.table" == n, []).append(p)
        self.others, self.table = others[False], others.get(True, [])
        self.momentum = {s: torch.zeros(len(ps), *s, device=device) for s, ps in self.matrices.items()}
        adam = self.others + self.table
        self.m = [torch.zeros_like(p) for p in adam]
        self.v = [torch.zeros_like(p) for p in adam]
        self.count = [torch.zeros((), device=device) for _ in adam]
        self.rate = torch.zeros((), device=device)  # share of the full learning rates
        self.optim = optim
        self.parameters = [p for _, p in named]

    @torch.no_grad()
    def step(self):
        o = self.optim
        # Not the table's: processes that share it have other networks, and its gradients are never large.
        grads = [p.grad for p in self.parameters if not any(p is table for table in self.table)]
        norm = torch.stack(torch._foreach_norm(grads)).norm()
        torch._foreach_mul_(grads, (o["clip_norm"] / norm).clamp(max=1.0))
        for shape, ps in self.matrices.items():
            g = torch.stack([p.grad for p in ps])
            m = self.momentum[shape]
            m.lerp_(g, 1 - 0.95)
            update = orthogonal(g.lerp(m, 0.95)) * max(1, shape[0] / shape[1]) ** 0.5
            lr = self.rate * o["muon_lr"]
            for p, u in zip(ps, update):
                p.mul_(1 - lr * o["weight_decay"]).sub_(lr * u)
        b1, b2 = o["betas"]
        torch._foreach_add_(self.count, 1)
        at = 0
        for ps, lr in (self.others, o["lr"]), (self.table, o.get("table_lr", o["lr"])):
            if not ps:
                continue
            part = slice(at, at + len(ps))
            at += len(ps)
            if self.rate.is_cuda:
                torch._fused_adamw_(
                    ps, [p.grad for p in ps], self.m[part], self.v[part], [], self.count[part],
                    lr=self.rate * lr, beta1=b1, beta2=b2, weight_decay=0.0, eps=1e-8, amsgrad=False, maximize=False,
                )
                continue
            for p, m, v, count in zip(ps, self.m[part], self.v[part], self.count[part]):
                m.lerp_(p.grad, 1 - b1)
                v.mul_(b2).addcmul_(p.grad, p.grad, value=1 - b2)
                p.sub_(self.rate * lr * (m / (1 - b1**count)) / ((v / (1 - b2**count)).sqrt() + 1e-8))
        torch._foreach_zero_([p.grad for p in self.parameters])
        return norm

    def state(self):
        return [*self.momentum.values(), *self.m, *self.v, *self.count]


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
    def __init__(self, recipe, c, root, device, compiled, cm=None, start=None):
        self.optim, self.device = recipe["optim"], device
        self.rows, self.length = recipe["optim"]["rows"], c["segment"]
        self.world = distributed.get_world_size() if distributed.is_initialized() else 1
        rank = distributed.get_rank() if self.world > 1 else 0
        seed = recipe.get("seed", 1)
        torch.manual_seed(seed)
        self.model = Recurrent(c).to(device)
        Linear.most = c.get("weight_levels", 63)
        if self.model.ngrams and "row_dropout" in self.optim:
            self.model.ngrams.dropout = torch.tensor(self.optim["row_dropout"], device=device)
        if cm and self.world > 1 and rank > 0:
            distributed.barrier()  # the first process writes the opinions
        self.streams = Streams(recipe, root, self.rows, self.length, device, [seed, rank], cm)
        if cm and self.world > 1 and rank == 0:
            distributed.barrier()
        self.mixing = Mixing().to(device) if cm else None
        self.alone = recipe["optim"].get("alone", 0.25)  # weight of the network's own loss
        self.twins = None
        if self.world > 1:
            recipes = [None] * self.world
            distributed.all_gather_object(recipes, json.dumps(c, sort_keys=True))
            for mine in sorted(set(recipes)):
                ranks = [r for r, other in enumerate(recipes) if other == mine]
                group = distributed.new_group(ranks)
                if rank in ranks and len(ranks) > 1:
                    self.twins = group
        if start:
            self.model.start_from(start)
        elif self.model.ngrams:
            if rank == 0:
                self.model.ngrams.fill(self.streams.sample(recipe["data"].get("ngram_sample", 60_000_000)).long())
            if self.world > 1:
                distributed.broadcast(self.model.ngrams.checks, 0)
        if self.model.ngrams and self.optim.get("table_lr") == 0:
            self.model.ngrams.table.requires_grad_(False)  # rows of other networks, taken as they are
        named = [*self.model.named_parameters(), *(self.mixing.named_parameters("mixing") if cm else [])]
        named = [(n, p) for n, p in named if p.requires_grad]
        self.optimizer = Optimizer(named, self.optim, device)
        self.state = self.model.state(self.rows, device)
        self.at = torch.zeros(self.rows, dtype=torch.long, device=device)
        self.anew = torch.ones(self.rows, dtype=torch.bool, device=device)
        self.offsets = torch.arange(-1, self.length, device=device)
        self.loss, self.norm, self.graphs = None, None, None
        for p in self.optimizer.parameters:
            p.grad = torch.zeros_like(p)
        if compiled:
            for layer in self.model.layers:
                layer.compile(dynamic=False)

    def autocast(self):
        return torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda")

    def average(self):
        """Means of gradients: the table's over all processes, the network's over those that train the same."""
        if self.world == 1:
            return
        table = self.model.ngrams.table if self.model.ngrams else None
        if table is not None and table.requires_grad:
            distributed.all_reduce(table.grad, distributed.ReduceOp.AVG)
        if self.twins is not None:
            rest = [p.grad for p in self.optimizer.parameters if p is not table]
            flat = torch.cat([g.flatten() for g in rest])
            distributed.all_reduce(flat, distributed.ReduceOp.AVG, self.twins)
            for g, new in zip(rest, flat.split([g.numel() for g in rest])):
                g.copy_(new.view_as(g))

    def share(self):
        """Makes the table the same in all processes, to the last bit."""
        if self.world > 1 and self.model.ngrams:
            distributed.broadcast(self.model.ngrams.table.data, 0)

    def gradients(self):
        window = self.streams.data[(self.at[:, None] + self.offsets).clamp_min(0)].long()
        tokens = torch.cat((torch.where(self.anew[:, None], START, window[:, :1]), window[:, 1:-1]), 1)
        fresh = self.model.state(self.rows, self.device)
        state = {n: torch.where(self.anew.view(-1, *[1] * (t.dim() - 1)), fresh[n], t) for n, t in self.state.items()}
        with self.autocast():
            logits, after = self.model(tokens, state)
        bits = opinions_on_bits(logits.flatten(0, 1), window[:, 1:].flatten())
        alone = mixed = F.softplus(-bits).sum(-1).mean()
        if self.mixing:
            cm = self.streams.cm[self.at[:, None] + self.offsets[1:]].float().flatten(0, 1) / 12
            mixed = F.softplus(-self.mixing(bits, cm)).sum(-1).mean()
        loss = self.alone * alone + (1 - self.alone) * mixed
        loss.backward()
        for n, old in self.state.items():
            old.copy_(after[n].detach())
        return torch.stack((alone, mixed)).detach()

    def capture(self):
        """Makes graphs of a step: its gradients, and what follows from their means. Weights and moments are put back as they were before warming up."""
        if self.device != "cuda":
            return
        kept = [*self.optimizer.parameters, *self.optimizer.state(), *self.state.values()]
        saved = [t.detach().clone() for t in kept]
        self.at.fill_(self.length)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.gradients()
                self.optimizer.step()
        torch.cuda.current_stream().wait_stream(stream)
        self.graphs = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graphs[0], capture_error_mode="thread_local"):
            self.loss = self.gradients()
        with torch.cuda.graph(self.graphs[1], capture_error_mode="thread_local"):
            self.norm = self.optimizer.step()
        with torch.no_grad():
            for t, s in zip(kept, saved):
                t.copy_(s)
            for p in self.optimizer.parameters:
                p.grad.zero_()

    def recapture(self, compiled):
        """After the model's arithmetic has changed."""
        if self.device != "cuda":
            return
        self.graphs = None
        if compiled:
            torch._dynamo.reset()
        self.capture()

    def step(self, share):
        at, anew = self.streams.step()
        self.at.copy_(torch.from_numpy(at))
        self.anew.copy_(torch.from_numpy(anew))
        self.optimizer.rate.fill_(share)
        if self.graphs:
            self.graphs[0].replay()
        else:
            self.loss = self.gradients()
        self.average()
        if self.graphs:
            self.graphs[1].replay()
        else:
            self.norm = self.optimizer.step()

    def profile(self):
        from torch.profiler import ProfilerActivity, profile

        with profile(activities=[ProfilerActivity.CUDA]) as found:
            for _ in range(10):
                self.step(0.0)
            torch.cuda.synchronize()
        rows = sorted(found.key_averages(), key=lambda row: -row.device_time_total)
        print(f"a step: {sum(r.device_time_total for r in rows) / 10:.0f} us")
        for r in rows[:30]:
            print(f"{r.device_time_total / 10:8.0f} us {r.count / 10:6.0f} times {r.key[:100]}", flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("recipe")
    arguments.add_argument("--data", required=True, help="folder that the recipe's paths are relative to")
    arguments.add_argument("--out", required=True, help="folder for config.json, model.safetensors, checkpoint.pt, metrics.csv, kept/")
    arguments.add_argument("--set", nargs="*", default=[], help="model settings, as hidden_size=96")
    arguments.add_argument("--optim", nargs="*", default=[], help="optimizer settings, as lr=0.002")
    arguments.add_argument("--steps", type=int, help="steps; else --seconds decides")
    arguments.add_argument("--seconds", type=float, default=60.0, help="once all is ready, train for so long: the schedule follows the clock [60]")
    arguments.add_argument("--int8-part", type=float, default=0.2, help="last part that imitates int8 [0.2]")
    arguments.add_argument("--from-part", type=float, default=0.0, help="with --resume: where in the schedule to go on")
    arguments.add_argument("--to-part", type=float, default=1.0, help="where in the schedule to stop [1]")
    arguments.add_argument("--resume", help="folder with a checkpoint.pt")
    arguments.add_argument("--start", help="folder that --keep wrote, to go on from: moments begin anew")
    arguments.add_argument("--keep", type=float, default=2.0, help="part of the schedule at which to write a copy to go on from later: OUT/kept [none]")
    arguments.add_argument("--cm", help="folder of what context mixing says of the texts; what is not there is written")
    arguments.add_argument("--cm-bits", default="target/release/examples/cm_bits", help="the program that says it [%(default)s]")
    arguments.add_argument("--dev", nargs="*", default=[], help="FILE:PIECE to evaluate in pieces")
    arguments.add_argument("--probabilities", action="store_true", help="write bit probabilities of the dev pieces")
    arguments.add_argument("--compile", action="store_true", help="compile the layers (NVIDIA GPUs only)")
    arguments.add_argument("--profile", action="store_true", help="show where the time of a step goes")
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
    started = time.time()
    if "RANK" in os.environ:
        if device == "cuda":
            torch.cuda.set_device(int(os.environ["RANK"]) % torch.cuda.device_count())
        # The others wait while the first one has the opinions of context mixing written.
        patience = datetime.timedelta(hours=6)
        distributed.init_process_group("nccl" if device == "cuda" else "gloo", timeout=patience)
    t = Trainer(recipe, c, a.data, device, a.compile and device == "cuda", a.cm and (a.cm, a.cm_bits), a.start)
    if a.resume:
        # Names only of tensors: nothing is unpickled but tensors.
        saved = torch.load(os.path.join(a.resume, "checkpoint.pt"), map_location=device, weights_only=True)
        t.model.load_state_dict(saved["model"])
        with torch.no_grad():
            for old, new in zip(t.optimizer.state(), saved["optimizer"]):
                old.copy_(new)
    if a.resume or a.start:
        t.streams.rng = np.random.default_rng([recipe.get("seed", 1), round(a.from_part * 1e6), t.streams.rng.integers(1 << 30)])
    t.capture()
    begun = time.time()
    print(f"{a.out}: {t.model.multiply_adds()} multiply-adds a byte, {len(t.streams.data)} bytes, ready in {begun - started:.0f} s", flush=True)
    if a.profile:
        t.profile()

    def write():
        from safetensors.torch import save_file

        save_file(t.model.tensors(), os.path.join(a.out, "model.safetensors"), metadata={"format": "pt"})
        with open(os.path.join(a.out, "config.json"), "w") as f:
            json.dump({"model_type": "lmic_recurrent", **c}, f, indent=2)
        torch.save({"model": t.model.state_dict(), "optimizer": t.optimizer.state()}, os.path.join(a.out, "checkpoint.pt"))

    metrics_file = open(os.path.join(a.out, "metrics.csv"), "w", newline="")
    metrics = csv.writer(metrics_file)
    metrics.writerow(["step", "bytes", "seconds", "part", "train_bpb", "mixed_bpb", "grad_norm"])
    done, x, smooth = 0, a.from_part, None
    span = a.to_part - a.from_part
    each = t.rows * t.length
    # All processes must stop after the same step, so the clock of the first decides.
    clock = torch.zeros((), device=device)
    while x < a.to_part:
        if x >= 1 - a.int8_part and not Linear.quantized:
            write()
            Linear.quantized = True
            t.recapture(a.compile)
        if x >= a.keep:
            a.keep = 2.0
            t.share()
            t.model.keep(os.path.join(a.out, "kept"))
        # Without moments, the first steps are small.
        t.step(rate(x, recipe["optim"]) * (min(1.0, (done + 1) / 200) if a.start else 1.0))
        done += 1
        if a.steps:
            x = a.from_part + span * done / a.steps
        elif t.world == 1 or done % 20 == 0:
            x = a.from_part + span * min(1.0, (time.time() - begun) / a.seconds)
            if t.world > 1:
                clock.fill_(x)
                distributed.broadcast(clock, 0)
                x = clock.item()
        if done % 20 == 0:
            bits = t.loss.cpu() / math.log(2)  # waits for the device, so that the clock is true
            smooth = bits if smooth is None else 0.9 * smooth + 0.1 * bits
            if done % 100 == 0:
                metrics.writerow([done, done * each, f"{time.time() - begun:.1f}", f"{x:.4f}", *(f"{b:.4f}" for b in smooth.tolist()), f"{t.norm.item():.3f}"])
                metrics_file.flush()
            if done % 1000 == 0:
                t.share()
            if done % 5000 == 0:
                write()
            if done % 1000 == 0:
                print(f"{a.out} step {done} part {x:.3f} train {smooth[0]:.4f} mixed {smooth[1]:.4f} {done * each / 1e6 / (time.time() - begun):.2f} MB/s", flush=True)
            if not bits.isfinite().all():
                raise SystemExit("the loss is not finite")
    t.share()
    write()
    print(f"{a.out} {done} steps, {done * each / 1e6:.0f} MB, {time.time() - begun:.0f} s, train {smooth.tolist() if done >= 20 else None}", flush=True)
    for quantized in [False, True] if a.to_part == 1 and a.int8_part > 0 else [False]:
        Linear.quantized = quantized
        torch._dynamo.reset()
        found = []
        for spec in a.dev:
            path, piece = spec.rsplit(":", 1)
            data = read("", path)
            nats, bits = bit_probabilities(t.model, data, int(piece), t.length, device, t.autocast)
            found.append(nats / math.log(2))
            if a.probabilities:
                bits.tofile(os.path.join(a.out, os.path.basename(path) + f".{piece}{'.int8' if quantized else ''}.p16"))
        names = " ".join(f"{os.path.basename(s).split(':')[0]} {b:.4f}" for s, b in zip(a.dev, found))
        print(f"{a.out} {'int8' if quantized else 'float'} mean {sum(found) / max(1, len(found)):.4f} bits a byte (estimated): {names}", flush=True)


if __name__ == "__main__":
    main()
