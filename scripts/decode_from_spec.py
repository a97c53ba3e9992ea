#!/usr/bin/env python3
"""A second decoder, written from docs/format.md alone: the proof that the page says everything.

    scripts/decode_from_spec.py archive.lmic [folder of models] > content

Slow (a few KB a second) and sequential. Sections carry the headings of the page, names its words.
Decodes stored blocks and blocks of bytes (kinds 0 and 1), also with transformers, whose files (not Hugging
Face folders) are in a folder. What the page has besides is refused with "not implemented": samples, mixes,
primed states, models of tokens. Hashes are compared if the package `blake3` is installed.
"""
import json
import math
import struct
import sys
from pathlib import Path

try:
    from blake3 import blake3
except ImportError:
    blake3 = None

U32, U64 = 2**32 - 1, 2**64 - 1


class Failure(Exception):
    """The archive cannot be decoded; the message starts with the kind of error."""


def require(condition, kind, message):
    if not condition:
        raise Failure(f"{kind}: {message}")


# ---- An archive ---------------------------------------------------------------------------------

MAGIC, END_MAGIC = bytes.fromhex("b14c4d43"), bytes.fromhex("b258")


# Model bytes of the page that this decoder does not know.
NOT_HERE = {6: "model mix", 7: "model mix", 0xC3: "model mix", 0xA5: "primed state", 0x99: "model tokens"}


class Reader:
    """Takes fields from the front of the archive."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        require(self.at + count <= len(self.data), "Truncated", "the file ends inside a stream")
        self.at += count
        return self.data[self.at - count : self.at]

    def byte(self):
        return self.take(1)[0]

    def zeros_end(self):
        """Where the zeros that come next end."""
        return len(self.data) - len(self.data[self.at :].lstrip(b"\0"))

    def varint(self):
        value = 0
        for i in range(10):
            byte = self.byte()
            value |= (byte & 127) << 7 * i
            if byte < 128:
                require((i == 0 or byte > 0) and value <= U64, "Corrupt", "varint not in its shortest form")
                return value
        raise Failure("Corrupt: varint of more than ten bytes")


def decode(archive, models=()):
    """`models`: what `load_models` returns."""
    reader = Reader(archive)
    content = stream(reader, models)
    while reader.zeros_end() < len(archive):
        reader.at = reader.zeros_end()
        content += stream(reader, models)
    return content


def stream(reader, models):
    header, profile = stream_header(reader, models)
    index, content = b"", b""
    while True:
        first = not index
        block_header, tag, part = block(reader, profile, header if first else b"")
        last = tag >= 128
        require(part or (first and last), "Corrupt", "an empty block that is not alone")
        index += block_header
        content += part
        if last:
            break
    if not first:
        trailer(reader, index, content)
    return content


def stream_header(reader, models):
    start = reader.at
    beginning = reader.data[reader.at : reader.at + 4]
    require(MAGIC.startswith(beginning), "Corrupt", "no magic number")
    reader.take(4)
    version = reader.byte()
    require(version != 0, "Corrupt", "version 0")
    require(version == 1, "UnsupportedVersion", str(version))
    profile = reader.byte()
    require(profile not in NOT_HERE, "not implemented", NOT_HERE.get(profile))
    if profile == 0xF0:
        length = reader.varint()
        require(1 <= length <= 64, "Corrupt", "length of a model's name")
        name = reader.take(length).decode()
        windows = Windows(models, name, reader.take(32), reader.varint(), reader.varint(), reader.byte())
        require(reader.byte() == reader.at - start, "Corrupt", "header length")
        return reader.data[start : reader.at], windows
    return MAGIC + bytes([version, profile]), profile


def block(reader, profile, before):
    """Returns the header (without crc), the tag and the content."""
    start = reader.at
    tag = reader.byte()
    kind = tag & 63
    # Kinds 6 to 8 are in streams of models that are not here.
    require(tag & 64 == 0 and kind <= 5, "Corrupt", "tag")
    parameter = reader.varint() if kind >= 2 else None
    n = reader.varint()
    m = reader.varint() if kind >= 1 else n
    header = reader.data[start : reader.at]
    require(reader.byte() == crc8(before + header), "Corrupt", "crc")
    require(parameter is None or parameter_is_valid(kind, parameter), "Corrupt", "parameter")
    require(n <= 2**28 and (kind == 0 or m < n), "Corrupt", "lengths")
    require(isinstance(profile, Windows) or 1 <= profile <= 5, "WrongModel", str(profile))
    payload = reader.take(m)
    if kind == 0:
        content, checked = payload, header + payload
    else:
        require(kind == 1, "not implemented", "model samples")
        model = profile if isinstance(profile, Windows) else Cm(profile, n)
        content = model.decode(payload, n)
        checked = header + payload + content
    compare_hash(reader.take(4), checked, "check of a block")
    return header, tag, content


def parameter_is_valid(kind, parameter):
    low, high = {2: (1, 2**24), 3: (3, 2**24), 4: (1, 8), 5: (1, 8)}[kind]
    return low <= parameter <= high


def crc8(data):
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x2F) & 255 if crc & 128 else crc << 1
    return crc ^ 0xFF


def trailer(reader, index, content):
    start = reader.at
    require(reader.take(len(index)) == index, "Corrupt", "the index differs from the blocks")
    compare_hash(reader.take(16), content, "content hash")
    require(int.from_bytes(reader.take(6), "little") == len(index), "Corrupt", "index length")
    checked = reader.data[start : reader.at]
    compare_hash(reader.take(4), checked, "index check")
    require(reader.take(2) == END_MAGIC, "Corrupt", "end magic")


def compare_hash(found, data, name):
    if blake3:
        require(blake3(data).digest()[: len(found)] == found, "Corrupt", name)


# ---- Range code ---------------------------------------------------------------------------------


class RangeDecoder:
    def __init__(self, payload):
        self.payload, self.at = payload, 0
        self.range, self.offset = U64, 0
        for _ in range(4):
            self.offset = self.offset << 16 | self.word()

    def word(self):
        self.at += 2
        return int.from_bytes(self.payload[self.at - 2 : self.at].ljust(2, b"\0"), "big")

    def bit(self, p):
        split = (self.range >> 16) * p
        if self.offset < split:
            bit, self.range = 1, split
        else:
            bit = 0
            self.offset -= split
            self.range -= split
        self.renormalize()
        return bit

    def renormalize(self):
        while self.range < 2**48:
            self.offset = (self.offset << 16 | self.word()) & U64
            self.range = self.range << 16 & U64

    def one_of_256(self, freq):
        unit = self.range >> 24
        target = min(self.offset // unit, 2**24 - 1)
        start = b = 0
        while target >= start + freq[b]:
            start += freq[b]
            b += 1
        self.offset -= unit * start
        self.range = unit * freq[b] if b < 255 else self.range - unit * start
        self.renormalize()
        return b


# ---- Logistic domain ----------------------------------------------------------------------------

LIMIT = 2839


def clamp(x, low, high):
    return low if x < low else high if x > high else x


SQUASH = [clamp(math.floor(65536 / (1 + math.exp(-x / 256)) + 0.5), 1, 65535) for x in range(-LIMIT, LIMIT + 1)]


def squash(x):
    return SQUASH[clamp(x, -LIMIT, LIMIT) + LIMIT]


def stretch_table():
    table, x = [], -LIMIT
    for p in range(0, 65536, 16):
        while x < LIMIT and squash(x) < p + 8:
            x += 1
        table.append(x)
    return table


STRETCH = stretch_table()


def stretch(p):
    return STRETCH[p >> 4]


# ---- Profiles -----------------------------------------------------------------------------------


class Profile:
    def __init__(self, contexts, sets, match_lengths, maxbits, maps):
        self.contexts, self.sets, self.match_lengths = contexts.split(), sets, match_lengths
        self.maxbits, self.maps = maxbits, maps


PROFILES = {
    1: Profile("o2 o4", 2, [6], 18, 1),
    2: Profile("o2 o3 o5", 2, [6], 19, 1),
    3: Profile("o2 o3 o5 word", 3, [6], 20, 1),
    4: Profile("o2 o3 o4 o6 word shape kinds s(ffff00) above bigram", 6, [6, 16], 21, 3),
    5: Profile(
        "o2 o3 o4 o5 kinds o7 word bigram skip s(ffff00) s(ffff0000) above ind1 ind2 shape before", 8, [6, 16], 22, 3
    ),
}


def lg(n):
    return (n - 1).bit_length()


# ---- What is kept of the past -------------------------------------------------------------------


def C(a, b):
    h = (a << 32 | (b + 1)) * 0x9E3779B97F4A7C15 & U64
    return (h >> 32) ^ (h & U32)


def kind_of(b):
    if b >= 128:
        return 6
    c = chr(b)
    if c in '"<>{}[]()':
        return 8 + (b & 7)
    return 1 if "a" <= c <= "z" else 2 if "A" <= c <= "Z" else 3 if "0" <= c <= "9" else {" ": 4, "\n": 5}.get(c, 7)


def rough_kind_of(b):
    return {3: 1, 1: 2, 2: 3, 6: 4}.get(kind_of(b), b)


class Past:
    def __init__(self):
        self.x = bytearray()  # the block so far
        self.after1, self.after2 = [0] * 256, [0] * 65536
        self.B = self.word = self.word1 = self.word2 = self.gap = 0
        self.shape = self.kinds = self.linestart = self.linebefore = 0

    def last(self, k):
        """The byte k bytes back: last(1) is the newest."""
        return self.B >> 8 * (k - 1) & 255

    def append(self, b):
        i, j = self.B & 255, self.B & 65535
        self.after1[i] = (self.after1[i] << 8 | b) & 65535
        self.after2[j] = (self.after2[j] << 8 | b) & 65535
        self.B = (self.B << 8 | b) & U64
        kind = kind_of(b)
        if kind in (1, 2, 6):
            self.word, self.gap = C(self.word, b | 32 if kind == 2 else b), 0
        else:
            if self.word != 0:
                self.word2, self.word1, self.word = self.word1, self.word, 0
            self.gap = C(self.gap, b)
        if self.shape & 15 != kind or kind >= 7:
            self.shape = (self.shape << 4 | kind) & U32
        self.kinds = (self.kinds * 0xF0B4C470 ^ rough_kind_of(b)) & U32
        self.x.append(b)
        if b == 10:
            self.linebefore, self.linestart = self.linestart, len(self.x)

    def column(self):
        return len(self.x) - self.linestart

    def above(self):
        position = self.linebefore + self.column()
        return self.x[position] if position < self.linestart else 0


# ---- Contexts -----------------------------------------------------------------------------------


def context_value(name, past):
    last = past.B & 255
    if name[0] == "o":
        return past.B % 2 ** (8 * int(name[1:]))
    if name.startswith("s("):
        return past.B & int(name[2:-1], 16)
    if name == "above":
        return past.above() | last << 8 | min(past.column(), 255) << 16
    return {
        "word": C(C(past.word, 0), past.gap),
        "bigram": C(C(past.word, past.word1), past.gap),
        "skip": C(C(past.word, past.word2), past.gap),
        "shape": past.shape | last << 32,
        "before": past.shape >> 4,
        "kinds": past.kinds | last << 32,
        "ind1": past.after1[last] | last << 16,
        "ind2": past.after2[past.B & 65535] | (past.B & 65535) << 16,
    }[name]


def context_hash(i, v):
    h = (v ^ (i + 1) << 57) * 0xD6E8FEB86659FD93 & U64
    h = (h ^ h >> 32) * 0xD6E8FEB86659FD93 & U64
    return h >> 32


def second_half_hash(hash, node):
    h = (hash ^ node * 0x9E3779B1 & U32) * 0x85EBCA6B & U32
    return h ^ h >> 15


# ---- History table ------------------------------------------------------------------------------


class HistoryTable:
    def __init__(self, linebits):
        self.bytes, self.linebits = bytearray(64 << linebits), linebits

    def slot(self, h):
        """Where the 15 histories of the context with hash h stand."""
        line, check = h % 2**self.linebits * 64, h >> 24
        checks, firsts = self.bytes[line : line + 4], [line + 4 + 15 * w for w in range(4)]
        if check in checks:
            return firsts[checks.index(check)]
        w = min(range(4), key=lambda w: 4 * self.bytes[firsts[w]] + w)
        self.bytes[line + w] = check
        self.bytes[firsts[w] : firsts[w] + 15] = bytes(15)
        return firsts[w]


# ---- Histories ----------------------------------------------------------------------------------

CAP = [30, 24, 13, 9, 7, 6]


def allowed(n0, n1):
    return min(n0, n1) < 6 and max(n0, n1) <= CAP[min(n0, n1)]


def all_histories():
    pairs = [(a, b) for a in range(31) for b in range(31) if allowed(a, b)]
    pairs.sort(key=lambda pair: (sum(pair), pair[1]))
    return [(a, b, last) for a, b in pairs for last in ((0, 1) if a and b else (None,))]


def discount(other):
    if other < 3:
        return other
    return 2 if other == 3 else 3 if other <= 7 else 4 if other <= 15 else 5 if other <= 24 else 6


def history_after(n0, n1, y):
    same, other = (n1, n0) if y else (n0, n1)
    other = discount(other)
    if allowed(same + 1, other):
        same += 1
    while not allowed(same, other):
        if same > other:
            same -= 1
        else:
            other -= 1
    n0, n1 = (other, same) if y else (same, other)
    return NUMBER[n0, n1, y if n0 and n1 else None]


HISTORIES = all_histories()
NUMBER = {history: i for i, history in enumerate(HISTORIES)}
NEXT = [[history_after(n0, n1, y) for y in (0, 1)] for n0, n1, _ in HISTORIES]
FIRST_MAP = [(2**32 - 1) * (10 * n1 + 4) // (10 * (n0 + n1) + 8) for n0, n1, _ in HISTORIES]


def learn_map(map, history, y):
    m = map[history] if y == 0 else U32 - map[history]
    m -= m >> 8
    map[history] = m if y == 0 else U32 - m


# ---- Match models -------------------------------------------------------------------------------

R = [8192 // (2 * c + 3) for c in range(251)]


class Counters:
    def __init__(self, count):
        self.entries = [2**21 << 10] * count

    def probability(self, i):
        return self.entries[i] >> 16

    def learn(self, i, y):
        p, c = self.entries[i] >> 10, self.entries[i] & 1023
        t = 2**22 - 1 if y else 0
        p += (((t - p) >> 3) * R[c]) >> 9
        self.entries[i] = p << 10 | (c + 1 if c < 250 else c)


class Match:
    def __init__(self, least, headbits):
        self.L, self.headbits, self.heads = least, headbits, [0] * 2**headbits
        self.pointer = self.length = self.misses = 0
        self.by_bucket, self.by_byte = Counters(16 * 16 * 2), Counters(2 * 256 * 8)
        self.start_byte(b"")

    def start_byte(self, x):
        self.e = x[self.pointer] if self.pointer > 0 else None
        self.silent = self.e is None

    def append(self, x):
        if self.pointer > 0:
            self.follow(x)
        if len(x) >= self.L:
            self.look_up(x)
        self.start_byte(x)

    def follow(self, x):
        hit = x[-1] == x[self.pointer]
        self.misses = (self.misses << 1 | (not hit)) & 255
        self.length = min(self.length + 1, 65535) if hit else 0
        self.pointer = 0 if self.misses == 255 else self.pointer + 1

    def look_up(self, x):
        H = self.hash(x)
        candidate, self.heads[H] = self.heads[H], len(x)
        if (self.length == 0 or (self.length < 16 and self.misses != 0)) and candidate > 0:
            length = 0
            while length < min(32, candidate) and x[candidate - 1 - length] == x[-1 - length]:
                length += 1
            if length >= self.L and length > self.length:
                self.pointer, self.length, self.misses = candidate, length, 0

    def hash(self, x):
        if self.L == 6:
            h = int.from_bytes(x[-6:], "big") * 0xD6E8FEB86659FD93 & U64
        else:
            g = 0
            for q in (x[-8:], x[-16:-8]):
                g = (g ^ int.from_bytes(q, "little")) * 0x9E3779B97F4A7C15 & U64
                g ^= g >> 29
            h = g * 0xD6E8FEB86659FD93 & U64
        return h >> (64 - self.headbits)

    def current_bucket(self):
        n = self.length
        if n < 64:
            return 1 + n // 4 if n < 16 else 5 + (n - 16) // 8 if n < 32 else 7 + (n - 32) // 16
        log2 = n.bit_length() - 1
        return 9 + 2 * (log2 - 6) + (n >> (log2 - 1) & 1) if n < 512 else 15

    def predict(self, node, d):
        """Sets what the mixing uses (bucket, side, known byte) and returns the three inputs."""
        if not self.silent and (self.e | 256) >> (8 - d) != node:
            self.silent = True
        if self.silent:
            self.bucket = self.side = self.known = 0
            return [0, 0, 0]
        y = self.e >> (7 - d) & 1
        self.bucket, self.side, self.known = self.current_bucket(), 1 + y, self.e
        self.i = (self.bucket * 16 + (self.misses & 15)) * 2 + y
        self.j = ((256 if self.bucket > 8 else 0) + self.e) * 8 + d
        p, q = self.by_bucket.probability(self.i), self.by_byte.probability(self.j)
        return [stretch(p), (p - 32768) >> 4, stretch(q)]

    def learn(self, y):
        if not self.silent:
            self.by_bucket.learn(self.i, y)
            self.by_byte.learn(self.j, y)


# ---- Mixing, Learning ---------------------------------------------------------------------------


def wrap32(x):
    return ((x + 2**31) & U32) - 2**31


class FirstLayer:
    ROWS = [256, 256, 2048, 256, None, 2048, 256, 256]  # set `seen` has 3 (N + 1)

    def __init__(self, sets, contexts, width):
        first = 16384 * 5 // (4 * (contexts + 2))
        rows = [count or 3 * (contexts + 1) for count in self.ROWS[:sets]]
        self.weights = [[[first] * width for _ in range(count)] for count in rows]
        self.rate, self.out = 36, []

    def mix(self, inputs, rows):
        # Inputs of 0 neither add to a sum nor change a weight.
        self.inputs = [(i, x) for i, x in enumerate(inputs) if x]
        self.chosen = [weights[row] for weights, row in zip(self.weights, rows)]
        self.out = []
        for row in self.chosen:
            total = wrap32(sum(row[i] * x for i, x in self.inputs))
            self.out.append(clamp(total >> 14, -LIMIT, LIMIT))
        return self.out

    def learn(self, y):
        for row, out in zip(self.chosen, self.out):
            step = ((y * 65536 - squash(out)) * self.rate) >> 7
            for i, x in self.inputs:
                row[i] = clamp(row[i] + ((x * step + 16384) >> 15), -32768, 32767)

    def end_byte(self, position):
        if position % 4096 == 4095:
            self.rate = max(self.rate - 1, 14)


class SecondLayer:
    def __init__(self, sets):
        self.weights = [[[65536 // sets] * sets for _ in range(256)] for _ in range(2)]

    def mix(self, inputs, rows):
        self.inputs = list(inputs)
        self.chosen = [weights[row] for weights, row in zip(self.weights, rows)]
        self.o = []
        for row in self.chosen:
            total = wrap32(sum((weight * x) >> 4 for weight, x in zip(row, self.inputs)))
            self.o.append(clamp(total >> 12, -LIMIT, LIMIT))
        return sum(self.o) >> 1

    def learn(self, y):
        for row, o in zip(self.chosen, self.o):
            step = ((y * 65536 - squash(o)) * 7) >> 7
            for i, x in enumerate(self.inputs):
                row[i] = clamp(row[i] + ((x * step + 4096) >> 13), -524288, 524288)


class AdaptiveMap:
    def __init__(self):
        self.curves = [[squash(184 * j - 2852) for j in range(32)] for _ in range(4096)]

    def refine(self, st, k):
        self.curve = self.curves[(k * 0x9E3779B1 & U32) >> 20]
        i, w = divmod(st + 2852, 184)
        self.nearer = i + 1 if w >= 92 else i
        return (self.curve[i] * (184 - w) + self.curve[i + 1] * w) // 184

    def learn(self, y):
        point = self.curve[self.nearer]
        self.curve[self.nearer] = point + (((65535 if y else 0) - point) >> 6)


# ---- Model cm -----------------------------------------------------------------------------------


class Cm:
    def __init__(self, number, length):
        profile = self.profile = PROFILES[number]
        self.N = len(profile.contexts)
        lines = -(-max(length, 64) * self.N // 16)
        headbits = min(lg(max(length, 64)), profile.maxbits)
        self.table = HistoryTable(min(lg(lines), profile.maxbits))
        self.past = Past()
        self.matches = [Match(least, headbits) for least in profile.match_lengths]
        self.order0, self.order1 = bytearray(256), bytearray(65536)
        unused = [2**31] * (256 - len(FIRST_MAP))
        self.maps = [FIRST_MAP + unused for _ in range(self.N + 2)]
        self.first = FirstLayer(profile.sets, self.N, 2 * (self.N + 2) + 3 * len(self.matches) + 1)
        self.second = SecondLayer(profile.sets)
        self.adaptive = [AdaptiveMap() for _ in range(profile.maps)]

    def decode(self, payload, length):
        decoder = RangeDecoder(payload)
        for position in range(length):
            node = 1
            for d in range(8):
                if d in (0, 4):
                    self.start_half(node, d)
                bit = decoder.bit(self.predict(node, d))
                self.learn(bit)
                node = node << 1 | bit
            self.past.append(node & 255)
            for match in self.matches:
                match.append(self.past.x)
            self.first.end_byte(position)
        return bytes(self.past.x)

    def start_half(self, node, d):
        if d == 0:
            values = [context_value(name, self.past) for name in self.profile.contexts]
            self.hashes = [context_hash(i, v) for i, v in enumerate(values)]
            used = self.hashes
        else:
            used = [second_half_hash(h, node) for h in self.hashes]
        self.slots, self.seen = [], 0
        for h in used:
            self.slots.append(self.table.slot(h))
            self.seen += self.table.bytes[self.slots[-1]] != 0

    def predict(self, node, d):
        inner = node if d < 4 else 1 << (d - 4) | node & ((1 << (d - 4)) - 1)
        inputs = self.history_inputs(node, inner)
        for match in self.matches:
            inputs += match.predict(node, d)
        inputs.append(256)
        out = self.first.mix(inputs, self.rows(node, inner, d))
        st = self.second.mix(out, [node, self.past.shape & 255])
        return self.refine(st, node)

    def history_inputs(self, node, inner):
        self.places = [(self.table.bytes, slot + inner - 1) for slot in self.slots]
        self.places += [(self.order0, node), (self.order1, self.past.last(1) * 256 + node)]
        inputs = []
        for (histories, at), map in zip(self.places, self.maps):
            p = map[histories[at]] >> 16
            inputs += [stretch(p), (p - 32768) >> 5] if histories[at] else [0, 0]
        return inputs

    def rows(self, node, inner, d):
        past, match = self.past, self.matches[0]
        return [
            match.bucket * 16 + inner,
            node,
            (past.shape & 255) * 8 + d,
            past.last(1),
            match.side * (self.N + 1) + self.seen,
            past.last(2) * 8 + d,
            past.last(3),
            min(past.column(), 255),
        ][: self.profile.sets]

    def refine(self, st, node):
        k1 = self.past.last(1) << 8 | node
        keys = [k1, self.past.last(2) << 16 | k1, (self.matches[0].known | 256) << 8 | node]
        a = [map.refine(st, k) for map, k in zip(self.adaptive, keys)]
        if len(a) == 1:
            p = (squash(st) + a[0]) // 2
        else:
            p = (squash(st) + 3 * a[0] + 2 * a[1] + 2 * a[2]) // 8
        return clamp(p, 1, 65535)

    def learn(self, y):
        for (histories, at), map in zip(self.places, self.maps):
            learn_map(map, histories[at], y)
            histories[at] = NEXT[histories[at]][y]
        for learner in [*self.matches, self.first, self.second, *self.adaptive]:
            learner.learn(y)


# ---- Model nn: lanes and windows ----------------------------------------------------------------


class Windows:
    """The fields of a named stream header, and how a block is walked."""

    def __init__(self, models, name, identity, C, O, L):
        require(2 <= C <= 65536 and O <= C // 2 and 1 <= L <= 64, "Corrupt", "windows")
        self.name, self.identity, self.C, self.O, self.L = name, identity, C, O, L
        self.models = models

    def model(self):
        for model in self.models:
            if model.identity() == self.identity if blake3 else model.name == self.name:
                require(self.C <= model.config["max_position_embeddings"], "Corrupt", "context")
                return model
        raise Failure(f"WrongModel: {self.name} {self.identity.hex()}")

    def decode(self, payload, n):
        model, decoder = self.model(), RangeDecoder(payload)
        unit = self.C if self.O == 0 else 4 * self.C
        lane = -(-(-(-n // self.L)) // unit) * unit
        lanes = [Lane(model, min(lane, n - start), self) for start in range(0, n, lane)]
        for step in range(lane):
            for part in lanes:
                if step < part.length:
                    part.bytes.append(decoder.one_of_256(frequencies(part.logits(step))))
        return b"".join(part.bytes for part in lanes)


class Lane:
    def __init__(self, model, length, windows):
        self.model, self.length, self.windows = model, length, windows
        self.bytes, self.begin, self.kept = bytearray(), None, None

    def logits(self, step):
        C, O = self.windows.C, self.windows.O
        begin = 0 if step < C else ((step - C) // (C - O) + 1) * (C - O)
        if begin != self.begin:
            self.begin, self.kept = begin, Kept(self.model)
            x = self.kept.feed(256)
            for b in self.bytes[begin:step]:
                x = self.kept.feed(b)
        else:
            x = self.kept.feed(self.bytes[-1])
        return self.model.logits(x)


def frequencies(logits):
    m = max(logits)
    w = [exp(f32(l - m)) for l in logits]
    w = [x if 0 <= x < math.inf else 0.0 for x in w]
    total = 0.0
    for x in w:
        total += x
    if total == 0:
        return [65536] * 256
    scale = 16776960 / total
    freq = [1 + int(x * scale) for x in w]
    freq[freq.index(max(freq))] += 2**24 - sum(freq)
    return freq


# ---- Model nn: building blocks ------------------------------------------------------------------

FLOAT = struct.Struct("<f")


def f32(x):
    """x rounded to single precision. (Of one + - * / or sqrt of singles in double precision, this is the single
    precision result: the double has more than twice the bits.)"""
    try:
        return FLOAT.unpack(FLOAT.pack(x))[0]
    except OverflowError:
        return math.copysign(math.inf, x)


def fma(a, b, c):
    """a * b + c rounded once: the product is exact in double precision, the sum is rounded to odd."""
    product = a * b
    total = product + c
    part = total - product
    error = (product - (total - part)) + (c - part)
    if error != 0:
        bits = struct.unpack("<q", struct.pack("<d", total))[0]
        if bits & 1 == 0:
            bits += 1 if (error > 0) == (total > 0) else -1
            total = struct.unpack("<d", struct.pack("<q", bits))[0]
    return f32(total)


def chain(x, w):
    total = 0.0
    for a, b in zip(x, w):
        total = fma(a, b, total)
    return total


def fold(numbers, first=0):
    lanes = [0.0] * 16
    for i, x in enumerate(numbers, first):
        lanes[i % 16] = f32(lanes[i % 16] + x)
    for half in (8, 4, 2, 1):
        for i in range(half):
            lanes[i] = f32(lanes[i] + lanes[i + half])
    return lanes[0]


LOG2E_F32, LN2_REST = FLOAT.unpack(bytes.fromhex("3baab83f"))[0], FLOAT.unpack(bytes.fromhex("83805eb9"))[0]
TAYLOR = [f32(1 / 5040), f32(1 / 720), f32(1 / 120), f32(1 / 24), f32(1 / 6), 0.5]


def exp(x):
    inside = min(x, 88.0)
    n = f32(f32(f32(inside * LOG2E_F32) + 12582912.0) - 12582912.0)
    r = f32(f32(inside - f32(n * 0.693359375)) - f32(n * LN2_REST))
    if x < -87.0:
        return 0.0
    p = TAYLOR[0]
    for constant in TAYLOR[1:]:
        p = f32(f32(p * r) + constant)
    return f32(f32(1.0 + f32(r + f32(f32(r * r) * p))) * 2.0 ** int(n))


def norm(x, g, eps):
    mean = f32(fold([f32(a * a) for a in x]) / len(x))
    s = f32(1.0 / f32(math.sqrt(f32(mean + eps))))
    return [f32(f32(a * s) * w) for a, w in zip(x, g)]


def quantize(x, limit):
    m = max(abs(a) for a in x)
    if m == math.inf or m < 2.0**-100:
        return [0] * len(x), 0.0
    factor = f32(limit / m)
    return [round(f32(a * factor)) for a in x], f32(m / limit)


class F32Matrix:
    def __init__(self, rows):
        self.rows = rows

    def row(self, r):
        return self.rows[r]

    def product(self, x, rows=None):
        return [chain(x, w) for w in self.rows[:rows]]


class Int8Matrix:
    def __init__(self, rows, scales):
        self.rows, self.scales = rows, scales

    def row(self, r):
        return [f32(w * self.scales[r]) for w in self.rows[r]]

    def product(self, x, rows=None):
        a, s = quantize(x, min(2**31 // (127 * len(x)), 32767) - 1)
        sums = [sum(map(int.__mul__, a, w)) for w in self.rows[:rows]]
        return [f32(f32(total) * f32(s * scale)) for total, scale in zip(sums, self.scales)]


# ---- Model nn: rotary table ---------------------------------------------------------------------

LOG2E, LN2, SQRT2 = 1.4426950408889634, 0.6931471805599453, 1.4142135623730951
HIGH = struct.unpack("<d", struct.pack("<Q", struct.unpack("<Q", struct.pack("<d", LN2))[0] >> 20 << 20))[0]


def nearest(x):
    return (x + 6755399441055744.0) - 6755399441055744.0


def expd(x):
    n = nearest(x * LOG2E)
    r = (x - n * HIGH) - n * (LN2 - HIGH)
    s = 1.0
    for i in range(14, 0, -1):
        s = 1.0 + (s * r) / i
    return s * 2.0 ** int(n)


def lnd(x):
    m, e = math.frexp(x)
    m, e = 2 * m, e - 1
    if m > SQRT2:
        m, e = m / 2, e + 1
    q = (m - 1.0) / (m + 1.0)
    s = 0.0
    for i in range(23, 0, -2):
        s = s * (q * q) + 1.0 / i
    return (2.0 * q) * s + e * LN2


def cos_sin(x):
    n = nearest(x * 0.6366197723675814)
    r = ((x - n * 1.5707963267341256) - n * 6.077100506303966e-11) - n * 2.0222662487959506e-21
    z, c, s = r * r, 1.0, 1.0
    for i in range(18, 0, -2):
        c = 1.0 - (c * z) / (i * (i - 1))
        s = 1.0 - (s * z) / (i * (i + 1))
    s *= r
    c, s = [(c, s), (-s, c), (-c, -s), (s, -c)][int(n) % 4]
    return f32(c), f32(s)


# ---- Model nn: model files, inference -----------------------------------------------------------


class Model:
    def __init__(self, file):
        length = int.from_bytes(file[:8], "little")
        header = json.loads(file[8 : 8 + length])
        metadata = header.pop("__metadata__")
        self.config, self.name = json.loads(metadata["lmic_config"]), metadata["lmic_name"]
        self.tensors = {}
        for name, info in header.items():
            begin, end = (8 + length + offset for offset in info["data_offsets"])
            self.tensors[name] = info["dtype"], info["shape"], file[begin:end]
        require(all(t[0] in ("F32", "I8") for t in self.tensors.values()), "not implemented", "16-bit floats")
        self.int8 = self.tensors["model.embed_tokens.weight"][0] == "I8"
        c, H = self.config, self.config["head_dim"]
        self.H, self.heads, self.kv_heads = H, c["num_attention_heads"], c["num_key_value_heads"]
        self.eps, self.root = f32(c["rms_norm_eps"]), f32(1.0 / f32(math.sqrt(H)))
        self.f = [expd(lnd(c["rope_theta"]) * (-2.0 * i / H)) for i in range(H // 2)]
        self.embed = self.matrix("model.embed_tokens.weight")
        tied = c.get("tie_word_embeddings", False)
        self.head = self.embed if tied else self.matrix("lm_head.weight")
        self.norm = self.numbers("model.norm.weight")
        self.layers = []
        for i in range(c["num_hidden_layers"]):
            layer = {}
            for name in ("q", "k", "v", "o"):
                layer[name] = self.matrix(f"model.layers.{i}.self_attn.{name}_proj.weight")
            for name in ("gate", "up", "down"):
                layer[name] = self.matrix(f"model.layers.{i}.mlp.{name}_proj.weight")
            for name in ("input_layernorm", "post_attention_layernorm"):
                layer[name] = self.numbers(f"model.layers.{i}.{name}.weight")
            self.layers.append(layer)

    def numbers(self, name):
        kind, _, data = self.tensors[name]
        count = len(data) // (1 if kind == "I8" else 4)
        return list(struct.unpack(f"<{count}{'b' if kind == 'I8' else 'f'}", data))

    def matrix(self, name):
        numbers, k = self.numbers(name), self.tensors[name][1][1]
        rows = [numbers[at : at + k] for at in range(0, len(numbers), k)]
        return Int8Matrix(rows, self.numbers(name + "_scale")) if self.int8 else F32Matrix(rows)

    def logits(self, x):
        return self.head.product(norm(x, self.norm, self.eps), 256)

    def identity(self):
        c, u64 = self.config, lambda *numbers: struct.pack(f"<{len(numbers)}Q", *numbers)
        names = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"]
        names += ["num_key_value_heads", "head_dim", "max_position_embeddings", "sliding_window", "tie_word_embeddings"]
        out = b"lmic model 1" + u64(*(int(c.get(name) or 0) for name in names))
        out += struct.pack("<2d", c["rope_theta"], c["rms_norm_eps"])
        for name, (kind, shape, data) in sorted(self.tensors.items()):
            out += u64(len(name)) + name.encode() + u64(int(kind == "I8"), len(shape), *shape) + data
        return blake3(out).digest()


class Kept:
    """Keys and values of a window's positions so far."""

    def __init__(self, model):
        self.model, self.p = model, -1
        self.layers = [[([], []) for _ in range(model.kv_heads)] for _ in model.layers]

    def feed(self, symbol):
        """The last hidden state of the symbol at the next position."""
        m = self.model
        self.p += 1
        self.turn = [cos_sin(self.p * f) for f in m.f]
        x = m.embed.row(symbol)
        for layer, kept in zip(m.layers, self.layers):
            u = norm(x, layer["input_layernorm"], m.eps)
            q, k, v = (self.split(layer[name].product(u)) for name in "qkv")
            for (keys, values), key, value in zip(kept, map(self.turned, k), v):
                keys.append(quantize(key, 127) if m.int8 else key)
                values.append(quantize(value, 127) if m.int8 else value)
            group = m.heads // m.kv_heads
            attend = self.attend_int8 if m.int8 else self.attend_f32
            o = [a for j, head in enumerate(q) for a in attend(self.turned(head), *kept[j // group])]
            x = [f32(a + b) for a, b in zip(x, layer["o"].product(o))]
            u = norm(x, layer["post_attention_layernorm"], m.eps)
            g, h = layer["gate"].product(u), layer["up"].product(u)
            inner = [f32(f32(a / f32(1.0 + exp(-a))) * b) for a, b in zip(g, h)]
            x = [f32(a + b) for a, b in zip(x, layer["down"].product(inner))]
        return x

    def split(self, x):
        return [x[at : at + self.model.H] for at in range(0, len(x), self.model.H)]

    def turned(self, x):
        half = len(x) // 2
        low = [f32(f32(a * c) - f32(b * s)) for a, b, (c, s) in zip(x, x[half:], self.turn)]
        high = [f32(f32(b * c) + f32(a * s)) for a, b, (c, s) in zip(x, x[half:], self.turn)]
        return low + high

    def first(self):
        window = self.model.config.get("sliding_window")
        return max(0, self.p + 1 - window) if window else 0

    def attend_f32(self, q, keys, values):
        first = self.first()
        s = [f32(chain(q, k) * self.model.root) for k in keys[first:]]
        e = [exp(f32(a - max(s))) for a in s]
        inverse = f32(1.0 / fold(e, first))
        return [f32(chain(e, column) * inverse) for column in zip(*values[first:])]

    def attend_int8(self, q, keys, values):
        first = self.first()
        q, scale = quantize(q, 127)
        scale = f32(scale * self.model.root)
        s = [f32(f32(sum(map(int.__mul__, q, k))) * f32(scale * k_scale)) for k, k_scale in keys[first:]]
        e = [exp(f32(a - max(s))) for a in s]
        Z = fold(e, first)
        w = [f32(a * v_scale) for a, (_, v_scale) in zip(e, values[first:])]
        T = max(w)
        if T < 2.0**-100:
            return [0.0] * len(q)
        u = [round(f32(a * f32(65535.0 / T))) for a in w]
        factor = f32(f32(T / 65535.0) / Z)
        columns = zip(*(v for v, _ in values[first:]))
        return [f32(f32(sum(map(int.__mul__, u, column))) * factor) for column in columns]


def load_models(folder):
    return [Model(path.read_bytes()) for path in sorted(Path(folder).glob("*.safetensors"))]


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    if not blake3:
        print("package blake3 not found: hashes are not compared", file=sys.stderr)
    with open(sys.argv[1], "rb") as file:
        archive = file.read()
    try:
        models = load_models(sys.argv[2]) if len(sys.argv) > 2 else []
        sys.stdout.buffer.write(decode(archive, models))
    except Failure as failure:
        sys.exit(str(failure))


if __name__ == "__main__":
    main()
