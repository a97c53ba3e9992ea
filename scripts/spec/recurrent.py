"""docs/format/recurrent.md: recurrent networks. The only page that needs numpy: a row of its arrays is a lane.

Arithmetic on arrays of float32 rounds once for each operation, element by element. What adds up many floats is a loop
here, as numpy's own sums have another order; sums of integer products are exact in any order.
"""
import os
import struct

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # products are too small for threads

import numpy as np

from .basics import U64

# ---- Functions ----------------------------------------------------------------------------------


def f32(x):
    return np.float32(x)


def fma(a, b, c):
    """a * b + c rounded once: the product is exact in double precision, the sum is rounded to odd."""
    product = a.astype(np.float64) * b
    total = product + c
    part = total - product
    error = (product - (total - part)) + (c - part)
    bits = total.view(np.int64)
    change = (np.abs(error) > 0) & (bits & 1 == 0)
    odd = bits + np.where(change, np.where((error > 0) == (total > 0), 1, -1), 0)
    return odd.view(np.float64).astype(np.float32)


def larger(a, b):
    return np.where(b > a, b, a)


def smaller(a, b):
    return np.where(b < a, b, a)


def bits(x):
    return x.view(np.uint32)


def constants(*representations):
    return np.array(representations, np.uint32).view(np.float32)


MINUS_LOG2E, C1, C2, C3, C4 = constants(0xBFB8AA3B, 0x3F317096, 0x3E7601BC, 0x3D64FE25, 0x3C1D0168)
SHIFT = f32(12582912)


def E(x):
    """e^-x"""
    v = x * MINUS_LOG2E
    t = v + SHIFT
    f = v - (t - SHIFT)
    p = C4
    for constant in (C3, C2, C1, f32(1)):
        p = p * f + constant
    return (bits(p) + (bits(t) << np.uint32(23))).view(np.float32)


def gated(a, x):
    return a / (f32(1) + E(larger(f32(-80), smaller(f32(80), x))))


def sum16(x):
    """For each row the sum of squares; it is a column."""
    lanes = np.zeros((len(x), 16), np.float32)
    for start in range(0, x.shape[1], 16):
        part = x[:, start : start + 16]
        lanes = lanes + part * part
    return fold(lanes)


def fold(lanes):
    for half in (8, 4, 2, 1):
        lanes = lanes[:, :half] + lanes[:, half : 2 * half]
    return lanes


def inverse_root(x):
    return f32(1) / np.sqrt(sum16(x) / f32(x.shape[1]) + f32(1e-5))


# ---- Products -----------------------------------------------------------------------------------


def integers(x, k=f32(1)):
    m = np.fmax.reduce(np.abs(x), axis=1, keepdims=True, initial=f32(0))
    none = (m < f32(2.0**-100)) | np.isinf(m)
    m = np.where(none, f32(1), m)
    a = smaller(f32(12583039), x * (f32(127) / m) + SHIFT) - SHIFT
    return np.where(none, f32(0), a), np.where(none, f32(0), (m / f32(127)) * k)


class Int8:
    """Forms of inputs, and products with them, in an int8 model."""

    @staticmethod
    def plain(x):
        return integers(x)

    @staticmethod
    def norm(x, g):
        return integers(x * g, inverse_root(x))

    @staticmethod
    def numbers(e):
        return e.astype(np.float32), f32(1 / 7)

    def __init__(self, weights, scales):
        # Sums of integers are exact in floats that are large enough, whatever their order.
        exact = np.float32 if 127 * 127 * weights.shape[1] < 2**24 else np.float64
        self.weights, self.scales = weights.T.astype(exact), scales

    def product(self, form):
        a, s = form
        sums = a.astype(self.weights.dtype) @ self.weights
        return sums.astype(np.float32) * (s * self.scales)

    def row(self, r):
        return self.weights[:, r].astype(np.float32).T * self.scales[r][:, None]


class F32:
    """The same in an F32 model."""

    @staticmethod
    def plain(x):
        return x

    @staticmethod
    def norm(x, g):
        return (x * inverse_root(x)) * g

    @staticmethod
    def numbers(e):
        return e.astype(np.float32) * f32(1 / 7)

    def __init__(self, weights):
        self.weights = weights.T

    def product(self, x):
        y = np.zeros((len(x), self.weights.shape[1]), np.float32)
        for i, row in enumerate(self.weights):
            y = fma(x[:, i : i + 1], row, y)
        return y

    def row(self, r):
        return self.weights[:, r].T


# ---- Files --------------------------------------------------------------------------------------

TYPES = {"F32": "<f4", "I8": "i1", "U8": "u1"}


class Network:
    """The numbers of a file (of type nn.ModelFile), ready for use."""

    def __init__(self, file):
        self.tensors, c = file.tensors, file.config
        self.int8 = "head.weight_scale" in self.tensors
        self.kind = Int8 if self.int8 else F32
        self.S = c.get("state_size", c["hidden_size"])
        self.embed = [self.matrix(f"embed.{i}") for i in range(c.get("taps", 1))]
        self.head, self.norm = self.matrix("head.weight"), self.array("norm.weight")
        self.layers = [self.layer(f"layers.{l}.") for l in range(c["layers"])]
        self.orders, self.sizes = c.get("ngrams", []), c.get("ngram_bits", [])
        self.proj, self.rows = {}, []  # the products by the layer that they stand before
        if self.orders:
            for j, layer in enumerate(c.get("ngram_layers", [0])):
                self.proj[layer] = self.matrix(f"ngrams.proj.{j}.weight")
            self.rows = [self.array(f"ngrams.rows.{i}") for i in range(len(self.orders))]
            self.G = c["ngram_size"]

    def array(self, name):
        kind, shape, data = self.tensors[name]
        return np.frombuffer(data, TYPES[kind]).reshape(shape)

    def matrix(self, name):
        if self.int8:
            return Int8(self.array(name), self.array(name + "_scale"))
        return F32(self.array(name))

    def layer(self, prefix):
        names = ["mixer.in_proj", "mixer.out_proj", "gate_proj", "up_proj", "down_proj"]
        layer = {name: self.matrix(f"{prefix}{name}.weight") for name in names}
        for name in ["mixer_norm.weight", "mlp_norm.weight", "mixer.bias"]:
            layer[name] = self.array(prefix + name)
        return layer


# ---- Inference ----------------------------------------------------------------------------------


class Streams:
    """States of streams side by side, each a row."""

    def __init__(self, network, count):
        self.network = n = network
        self.symbols = [[256] * 8 for _ in range(count)]  # of each stream the last ones, the newest first
        self.words = [0] * count
        self.s = [np.zeros((count, n.S), np.float32) for _ in n.layers]

    def feed(self, symbols):
        """Takes in a symbol of each stream; the weights w. Fewer symbols than before end the last streams."""
        count = len(symbols)
        if count < len(self.symbols):
            self.symbols = self.symbols[:count]
            self.s = [s[:count] for s in self.s]
        for i, symbol in enumerate(symbols):
            self.symbols[i] = [symbol, *self.symbols[i][:7]]
            self.words[i] = word_after(self.words[i], symbol)
        with np.errstate(all="ignore"):  # infinities, and what is no number, are as good as other numbers
            return weights(self.logits())

    def logits(self):
        n = self.network
        h, e = self.embedded(), self.all_numbers()
        for l, layer in enumerate(n.layers):
            h = self.with_rows(h, l, e)
            form = n.kind.norm(h, layer["mixer_norm.weight"])
            h = h + layer["mixer.out_proj"].product(n.kind.plain(self.mixed(l, layer, form)))
            form = n.kind.norm(h, layer["mlp_norm.weight"])
            g, u = layer["gate_proj"].product(form), layer["up_proj"].product(form)
            h = h + layer["down_proj"].product(n.kind.plain(gated(g, g) * u))
        h = self.with_rows(h, len(n.layers), e)
        return n.head.product(n.kind.norm(h, n.norm))

    def embedded(self):
        n = self.network
        h = n.embed[0].row([symbols[0] for symbols in self.symbols])
        for i, embed in enumerate(n.embed[1:], 1):
            h = h + embed.row([symbols[i] for symbols in self.symbols])
        return h

    def with_rows(self, h, layer, e):
        """h before this layer, with what the rows of n-grams add to it there."""
        n = self.network
        return h + n.proj[layer].product(n.kind.numbers(e)) if layer in n.proj else h

    def all_numbers(self):
        """For each stream the numbers of all kinds of n-grams."""
        return np.array([self.numbers(*stream) for stream in zip(self.symbols, self.words)])

    def mixed(self, l, layer, form):
        """The input of out_proj: one step of the state."""
        S = self.network.S
        y = layer["mixer.in_proj"].product(form)
        c, z, o = y[:, :S], y[:, S : 2 * S], y[:, 2 * S :]
        self.s[l] = gated(self.s[l] - c, z + layer["mixer.bias"]) + c
        return self.s[l] * gated(o, o)

    def numbers(self, symbols, word):
        """The numbers of all kinds of n-grams."""
        n, found = self.network, []
        for order, size, buckets in zip(n.orders, n.sizes, n.rows):
            number, check = bucket_and_check(symbols, word, order, size)
            bucket = bytes(buckets[number])
            checks = struct.unpack("<4H", bucket[:8])
            if check in checks:
                start = 8 + checks.index(check) * n.G // 2
                found += numbers_of_row(bucket[start : start + n.G // 2])
            else:
                found += [0] * n.G
        return found


def numbers_of_row(row):
    halves = [b & 15 for b in row] + [b >> 4 for b in row]
    return [half - 16 if half >= 8 else half for half in halves]


def weights(logits):
    m = np.fmax.reduce(logits, axis=1, keepdims=True, initial=f32(-np.inf))  # ignores what is no number
    return E(smaller(f32(80), m - logits))


def letter_number(symbol):
    if 128 <= symbol < 256:
        return symbol - 128 + 27
    letter = symbol - 32 if 97 <= symbol <= 122 else symbol
    return letter - 64 if 65 <= letter <= 90 else None


def word_after(word, symbol):
    number = letter_number(symbol)
    return 0 if number is None else (word * 0x2545F4914F6CDD1D + number) & U64


def bucket_and_check(symbols, word, order, size):
    key = sum(257**j * symbol for j, symbol in enumerate(symbols[:order])) if order else word
    h = (257 * key + order) * 0x9E3779B97F4A7C15 & U64
    h = (h ^ h >> 32) * 0xD6E8FEB86659FD93 & U64
    return h >> (66 - size), max(1, h >> (50 - size) & 65535)


