"""Files of recurrent networks of random numbers, for spec_check.py: small, and each with other parts."""
import json
import random
import struct

from spec.recurrent import bucket_and_check, word_after

FORMATS = {"F32": "f", "I8": "b", "U8": "B"}


def safetensors(config, name, tensors):
    """`tensors`: by name the format, the shape and the numbers."""
    header, data = {"__metadata__": {"lmic_config": json.dumps(config), "lmic_name": name}}, b""
    for tensor, (kind, shape, numbers) in sorted(tensors.items(), key=lambda item: item[1][0] != "F32"):
        begin = len(data)
        data += struct.pack(f"<{len(numbers)}{FORMATS[kind]}", *numbers)
        header[tensor] = {"dtype": kind, "shape": shape, "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


class RandomNetwork:
    """`scale` is that of the weights: large ones lead to infinities and to what is no number."""

    def __init__(self, name, int8, scale=1.0, **shape):
        self.name, self.int8, self.scale = name, int8, scale
        self.config = {"model_type": "lmic_recurrent", "ngram_levels": 7, **shape}
        self.rng, self.tensors = random.Random(name), {}

    def file(self, content):
        """Half of the n-grams of `content` have a row."""
        c = self.config
        d, f, S = c["hidden_size"], c["intermediate_size"], c.get("state_size", c["hidden_size"])
        for i in range(c.get("taps", 1)):
            self.matrix(f"embed.{i}", 257, d)
        for l in range(c["layers"]):
            self.layer(f"layers.{l}.", d, f, S)
        self.vector("norm.weight", d, 0.5, 3)
        self.matrix("head.weight", 256, d)
        if c.get("ngrams"):
            self.ngrams(content)
        return safetensors(c, self.name, self.tensors)

    def vector(self, name, length, low, high):
        self.tensors[name] = "F32", [length], [self.rng.uniform(low, high) for _ in range(length)]

    def matrix(self, name, rows, columns):
        count = rows * columns
        if self.int8:
            self.tensors[name] = "I8", [rows, columns], [self.rng.randint(-63, 63) for _ in range(count)]
            self.vector(name + "_scale", rows, 0.005 * self.scale, 0.03 * self.scale)
        else:
            numbers = [self.rng.gauss(0, 0.6 * self.scale) for _ in range(count)]
            self.tensors[name] = "F32", [rows, columns], numbers

    def layer(self, prefix, d, f, S):
        self.vector(prefix + "mixer_norm.weight", d, 0.5, 2)
        self.vector(prefix + "mlp_norm.weight", d, -2, 2)
        self.vector(prefix + "mixer.bias", S, -90, 90)
        self.matrix(prefix + "mixer.in_proj.weight", 3 * S, d)
        self.matrix(prefix + "mixer.out_proj.weight", d, S)
        self.matrix(prefix + "gate_proj.weight", f, d)
        self.matrix(prefix + "up_proj.weight", f, d)
        self.matrix(prefix + "down_proj.weight", d, f)

    def ngrams(self, content):
        orders, sizes, G = (self.config[key] for key in ("ngrams", "ngram_bits", "ngram_size"))
        for j, _ in enumerate(self.config.get("ngram_layers", [0])):
            self.matrix(f"ngrams.proj.{j}.weight", self.config["hidden_size"], len(orders) * G)
        for i, (order, size) in enumerate(zip(orders, sizes)):
            buckets = [[[0] * 4, self.rng.randbytes(2 * G)] for _ in range(2**size // 4)]
            symbols, word = [256] * 8, 0
            for symbol in content:
                symbols, word = [symbol, *symbols[:7]], word_after(word, symbol)
                bucket, check = bucket_and_check(symbols, word, order, size)
                if self.rng.random() < 0.5:
                    buckets[bucket][0][self.rng.randrange(4)] = check
            numbers = b"".join(struct.pack("<4H", *checks) + rows for checks, rows in buckets)
            self.tensors[f"ngrams.rows.{i}"] = "U8", [len(buckets), 8 + 2 * G], numbers


NETWORKS = [
    RandomNetwork("small int8", True, hidden_size=16, intermediate_size=16, layers=1),
    RandomNetwork(
        "int8 with all parts", True, hidden_size=16, intermediate_size=48, state_size=32, layers=2, taps=3,
        ngrams=[0, 2, 5], ngram_bits=[6, 7, 4], ngram_size=16, ngram_layers=[0, 2],
    ),
    RandomNetwork(
        "f32 with n-grams", False, hidden_size=32, intermediate_size=16, layers=2, ngrams=[1, 0, 8, 3],
        ngram_bits=[6, 8, 5, 5], ngram_size=4, ngram_layers=[1],
    ),
    RandomNetwork("f32 of eight taps", False, hidden_size=16, intermediate_size=16, layers=2, taps=8),
    RandomNetwork("int8 beyond numbers", True, scale=1e12, hidden_size=16, intermediate_size=16, layers=2),
    RandomNetwork("f32 beyond numbers", False, scale=1e12, hidden_size=16, intermediate_size=16, layers=2),
]
