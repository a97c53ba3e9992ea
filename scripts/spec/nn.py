"""docs/format/nn.md: transformers, and the files of models."""
import json
import math
import struct
from pathlib import Path

from .basics import Failure, blake3, require
from .cm import RangeDecoder


# ---- Lanes and windows --------------------------------------------------------------------------


def find(files, header):
    """The file of the model that a stream header names."""
    for file in files:
        if file.identity() == header.identity if blake3 else file.name == header.name:
            return file
    raise Failure(f"WrongModel: {header.name} {header.identity.hex()}")


def transformer(file, header):
    """The model of a file, for the windows of a stream header."""
    require(not file.is_recurrent, "Corrupt", "a recurrent network without a mix")
    require(header.C > 0, "Corrupt", "a transformer without windows")
    require(header.C <= file.config["max_position_embeddings"], "Corrupt", "context")
    return Model(file)


def decode(model, header, payload, n):
    """The content of a block; `header` has the fields C, O and L."""
    decoder = RangeDecoder(payload)
    unit = header.C if header.O == 0 else 4 * header.C
    lane = -(-(-(-n // header.L)) // unit) * unit
    lanes = [Lane(model, min(lane, n - start), header) for start in range(0, n, lane)]
    for step in range(lane):
        for part in lanes:
            if step < part.length:
                part.bytes.append(one_of_256(decoder, frequencies(part.logits(step))))
    return b"".join(part.bytes for part in lanes)


class Lane:
    def __init__(self, model, length, header):
        self.model, self.length, self.header = model, length, header
        self.bytes, self.begin, self.kept = bytearray(), None, None

    def logits(self, step):
        C, O = self.header.C, self.header.O
        begin = 0 if step < C else ((step - C) // (C - O) + 1) * (C - O)
        if begin != self.begin:
            self.begin, self.kept = begin, Kept(self.model)
            x = self.kept.feed(256)
            for b in self.bytes[begin:step]:
                x = self.kept.feed(b)
        else:
            x = self.kept.feed(self.bytes[-1])
        return self.model.logits(x)

    def logits_after(self, symbol):
        """Those after all bytes up to this one; 256 comes before all."""
        if symbol < 256:
            self.bytes.append(symbol)
        return self.logits(len(self.bytes))


# ---- Byte code ----------------------------------------------------------------------------------


def weights(logits):
    m = largest(logits)
    return [exp(f32(l - m)) for l in logits]


def frequencies(logits):
    w = [x if 0 <= x < math.inf else 0.0 for x in weights(logits)]
    total = 0.0
    for x in w:
        total += x
    if total == 0:
        return [65536] * 256
    scale = 16776960 / total
    freq = [1 + int(x * scale) for x in w]
    freq[freq.index(max(freq))] += 2**24 - sum(freq)
    return freq


def one_of_256(decoder, freq):
    unit = decoder.range >> 24
    target = min(decoder.offset // unit, 2**24 - 1)
    start = b = 0
    while target >= start + freq[b]:
        start += freq[b]
        b += 1
    decoder.offset -= unit * start
    decoder.range = unit * freq[b] if b < 255 else decoder.range - unit * start
    decoder.renormalize()
    return b


# ---- Building blocks ----------------------------------------------------------------------------

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
    if abs(error) > 0:
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


def largest(x):
    return max((a for a in x if a == a), default=-math.inf)


def exp(x):
    if x != x:
        return x
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


# ---- Rotary table -------------------------------------------------------------------------------

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


# ---- Model files, Inference ---------------------------------------------------------------------


class ModelFile:
    """A safetensors file, or shards of one: of a transformer, or of a recurrent network."""

    def __init__(self, *files):
        self.tensors, metadata = {}, {}
        for file in files:
            length = int.from_bytes(file[:8], "little")
            header = json.loads(file[8 : 8 + length])
            metadata = header.pop("__metadata__", {}) | metadata
            for name, info in header.items():
                begin, end = (8 + length + offset for offset in info["data_offsets"])
                self.tensors[name] = info["dtype"], info["shape"], file[begin:end]
        self.config, self.name = json.loads(metadata["lmic_config"]), metadata["lmic_name"]
        require(all(t[0] in NUMBER_FORMATS for t in self.tensors.values()), "not implemented", "16-bit floats")
        self.is_recurrent = self.config["model_type"] == "lmic_recurrent"
        if self.is_recurrent and "ngrams.rows.0" not in self.tensors:
            self.add_shared_rows()

    def add_shared_rows(self):
        """Rows that a file leaves out are those that all networks of the program share."""
        for i, size in enumerate(self.config.get("ngram_bits", [])):
            rows = next(CRATES.glob(f"lmic-rows-?/data/rows-{i}.bin")).read_bytes()
            self.tensors[f"ngrams.rows.{i}"] = "U8", [2**size // 4, 8 + 2 * self.config["ngram_size"]], rows

    def identity(self):
        out = recurrent_shape(self.config) if self.is_recurrent else transformer_shape(self.config)
        for name, (kind, shape, data) in sorted(self.tensors.items()):
            out += u64(len(name)) + name.encode() + u64(NUMBER_FORMATS.index(kind), len(shape), *shape) + data
        return blake3(out).digest()


CRATES = Path(__file__).resolve().parents[2] / "crates"
NUMBER_FORMATS = ["F32", "I8", "U8"]


def u64(*numbers):
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def transformer_shape(c):
    names = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"]
    names += ["num_key_value_heads", "head_dim", "max_position_embeddings", "sliding_window", "tie_word_embeddings"]
    out = b"lmic model 1" + u64(*(int(c.get(name) or 0) for name in names))
    return out + struct.pack("<2d", c["rope_theta"], c["rms_norm_eps"])


def recurrent_shape(c):
    d, orders = c["hidden_size"], c.get("ngrams", [])
    out = b"lmic recurrent 2" if orders else b"lmic recurrent 1"
    out += u64(d, c.get("state_size", d), c["intermediate_size"], c["layers"], c.get("taps", 1), 0)
    if orders:
        out += u64(len(orders), c["ngram_size"])
        for kind in zip(orders, c["ngram_bits"]):
            out += u64(*kind)
        places = c.get("ngram_layers", [0])
        out += u64(len(places), *places)
    return out


class Model:
    """A transformer."""

    def __init__(self, file):
        self.config, self.tensors = file.config, file.tensors
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
        e = [exp(f32(a - largest(s))) for a in s]
        inverse = f32(1.0 / fold(e, first))
        return [f32(chain(e, column) * inverse) for column in zip(*values[first:])]

    def attend_int8(self, q, keys, values):
        first = self.first()
        q, scale = quantize(q, 127)
        scale = f32(scale * self.model.root)
        s = [f32(f32(sum(map(int.__mul__, q, k))) * f32(scale * k_scale)) for k, k_scale in keys[first:]]
        e = [exp(f32(a - largest(s))) for a in s]
        Z = fold(e, first)
        w = [f32(a * v_scale) for a, (_, v_scale) in zip(e, values[first:])]
        T = max(w)
        if T < 2.0**-100:
            return [0.0] * len(q)
        u = [round(f32(a * f32(65535.0 / T))) for a in w]
        factor = f32(f32(T / 65535.0) / Z)
        columns = zip(*(v for v, _ in values[first:]))
        return [f32(f32(sum(map(int.__mul__, u, column))) * factor) for column in columns]
