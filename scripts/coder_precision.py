#!/usr/bin/env python3
"""What truncation costs a range coder of 64 bits, by the point at which it renormalises.

Follows the length of the interval alone (no code is made) and prints the excess over the ideal
code length. docs/measurements/coder.md cites the output: scripts/coder_precision.py
"""
import math
import random

CDF_BITS = 24
SYMBOLS = 1 << 20


def frequencies(weights):
    total = sum(weights)
    budget = (1 << CDF_BITS) - len(weights)
    sizes = [1 + int(w / total * budget) for w in weights]
    sizes[0] += (1 << CDF_BITS) - sum(sizes)
    return sizes


def excess(sizes, symbols, word):
    """Relative excess when `word` bits leave as soon as the length is below 2^(64 - word)."""
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    length, coded, ideal = 2**64 - 1, 0.0, 0.0
    for s in symbols:
        unit = length >> CDF_BITS
        last = starts[s] + sizes[s] == 1 << CDF_BITS
        part = length - unit * starts[s] if last else unit * sizes[s]
        coded += math.log2(length / part)
        ideal += CDF_BITS - math.log2(sizes[s])
        length = part
        while length < 1 << (64 - word):
            length <<= word
    return coded / ideal - 1


random.seed(1)
for name, weights in (
    ("p ~ 1/n", [1 / n for n in range(1, 257)]),
    ("p = 98 %", [0.98] + [0.02 / 255] * 255),
):
    sizes = frequencies(weights)
    symbols = random.choices(range(256), sizes, k=SYMBOLS)
    for word in (32, 16, 8):
        print(f"{name:10} {word:2}-bit words: {100 * excess(sizes, symbols, word):+.5f} %")
