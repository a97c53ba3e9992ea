"""docs/format/cm.md: the range code, and context mixing of bytes. The other pages build on it."""
import math
from math import ceil
from operator import mul

from .basics import U32, U64, Reader, all_clamped, clamp, towards_zero

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


# ---- Logistic domain ----------------------------------------------------------------------------

LIMIT = 2839


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


class PastOfTable(Past):
    def __init__(self, parameter):
        super().__init__()
        self.width, self.record = 1 << (parameter & 3), parameter >> 3
        self.look()

    def append(self, b):
        super().append(b)
        self.linestart = len(self.x) - len(self.x) % self.record
        self.look()

    def look(self):
        record, at = self.record, len(self.x)
        self.place = at % record % self.width
        self.start = at - self.place
        self.known = int.from_bytes(self.x[self.start :], "big")
        n, nn, nnn = [self.number(rows * record) for rows in (1, 2, 3)]
        w, nw = (nn, nnn) if at % record < self.width else (self.number(self.width), self.number(self.width + record))
        above = [self.x[at - rows * record] if rows * record <= at else 0 for rows in (1, 2, 3)]
        seen, column, last, last2 = self.seen, at % record, self.last(1), self.last(2)
        moved = abs(n - nn).bit_length() << 16
        self.fields = [
            column | above[0] << 32,
            column | above[0] << 32 | above[1] << 40,
            column | above[0] << 32 | last << 40,
            column | last << 32 | last2 << 40,
            above[0] | above[1] << 8 | above[2] << 16 | last << 24,
            self.place | self.known << 3,
            seen(n) | moved | column << 32,
            seen(2 * n - nn) | moved | column << 32,
            seen(w + n - nw) | moved,
            seen(w) | abs(w - n).bit_length() << 16,
            seen(n) | seen(2 * n - nn) << 16,
            seen(3 * n - 3 * nn + nnn),
        ]

    def number(self, back):
        at = self.start - back
        return int.from_bytes(self.x[at : at + self.width], "big") if at >= 0 else 0

    def seen(self, prediction):
        prediction %= 1 << 8 * self.width
        rest = 8 * (self.width - self.place)
        side = max(-2, min(2, self.known - (prediction >> rest))) + 2
        following = (prediction << (64 - rest) & U64) >> 54
        return self.place | side << 3 | following << 6


PIXEL_BITS = [1, 2, 4, 8, 24, 32]
NONE = None
SMALL = [
    (2, [(0, 0)]),
    (3, [(2, 2)]),
    (4, [(3, 3), (1, 1)]),
    (1, [(1, 1), (1, 1)]),
    (2, [(2, 2), (2, 2), (0, 0)]),
    (6, [(4, 4), (2, 2), (1, 1)]),
    (0, [(0, 0), (0, 0), (0, 0)]),
    (8, [(0, 0)]),
    (8, [(8, 8)]),
    (3, [(0, 4), (0, 0)]),
    (12, [(4, 4), (4, 4), (4, 4)]),
    (4, [NONE, (2, 2)]),
    (8, [(8, 8), (8, 8)]),
]
AROUND = {"W": (1, 0), "N": (0, 1), "NW": (1, 1), "NE": (-1, 1), "WW": (2, 0), "NN": (0, 2)}
AROUND |= {"NEE": (-2, 1), "WWW": (3, 0), "NNN": (0, 3)}
LARGE = """W N,W N NW,W N NE,W N NW NE,W N WW NN,N NN,W N NW NE WW NN,N NE,N NW NE,W N NW NE NEE,W N NW WW,W N WW WWW,N NN NNN"""


class PastOfColours(Past):
    def __init__(self, parameter):
        super().__init__()
        self.bits, self.row = PIXEL_BITS[parameter & 7], parameter >> 3
        self.look()
        self.shape = 0

    def append(self, b):
        super().append(b)
        self.look()

    def column(self):
        return self.above_byte

    def plain(self):
        """The contexts of a whole pixel that equal ones surround, or none."""
        z, at = (self.bits + 7) // 8, len(self.x)
        column, within = divmod(at % self.row, z)
        if within or (column + 1) * z > self.row or at < z:
            return None
        pixel = lambda left, up: self.bytes_at(at - left * z - up * self.row, z)
        W = pixel(1, 0)
        if any(pixel(*AROUND[name]) != W for name in "N NW NE WW NN".split()):
            return None
        along = 0
        while along < 7 and pixel(-2 - along, 1) == W:
            along += 1
        far = 0
        for place in (3, 0), (0, 3), (-1, 2), (-2, 2):
            far = 2 * far + (pixel(*place) == W)
        return [(joined(W, 0) >> 56) * 2 + (along == 7), 512 + along * 16 + far, 640 + column % 1024]

    def bytes_at(self, at, count):
        return int.from_bytes(bytes(self.x[i] if 0 <= i < len(self.x) else 0 for i in range(at, at + count)), "big")

    def look(self):
        at = len(self.x)
        self.above_byte = self.bytes_at(at - self.row, 1)
        if self.bits < 8:
            self.look_at_bits(at)
        else:
            self.look_at_pixels(at)

    def look_at_bits(self, at):
        unit = min(self.bits, 2)
        self.shape = self.bytes_at(at - 2 * self.row, 1)
        self.fields = []
        for before, rows in SMALL:
            h = joined(self.B % 2 ** (unit * before), 0)
            for i, seen in enumerate(rows):
                if seen:
                    left, right = unit * seen[0], unit * seen[1]
                    around = self.bytes_at(at - (i + 1) * self.row - 4, 8)
                    h = joined(h, (around >> (24 - right)) % 2 ** (left + 8 + right))
            self.fields.append(h)

    def look_at_pixels(self, at):
        z = self.bits // 8
        channel = at % self.row % z
        px = {
            name: self.bytes_at(at - channel - left * z - up * self.row, z) for name, (left, up) in AROUND.items()
        }
        self.fields = []
        for names in LARGE.split(","):
            h = joined(self.B % 2 ** (8 * channel) | channel << 24, 0)
            for name in names.split():
                h = joined(h, px[name])
            self.fields.append(h)
        self.shape = 0
        for pair in "W N,W NW,N NW,N NE,W WW,N NN,WW NW,NW NE".split(","):
            a, b = pair.split()
            self.shape = 2 * self.shape + (px[a] == px[b])


def joined(h, v):
    h = (h ^ v) * 0x9E3779B97F4A7C15 & U64
    return h ^ h >> 32


# ---- Contexts -----------------------------------------------------------------------------------


def context_value(name, past):
    last = past.B & 255
    if name[0] == "o":
        return past.B % 2 ** (8 * int(name[1:]))
    if name.startswith("s("):
        return past.B & int(name[2:-1], 16)
    if name.startswith("code"):
        return past.context(int(name[4:]))
    if name[0] == "f":
        return past.fields[int(name[1:])]
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

    def line(self, number):
        """The bytes that hold a line, and where it starts in them."""
        return self.bytes, 64 * number

    def slot(self, h):
        """The bytes that hold the 15 histories of the context with hash h, and where they start in them."""
        held, line = self.line(h % 2**self.linebits)
        check, checks, firsts = h >> 24, held[line : line + 4], [line + 4 + 15 * w for w in range(4)]
        if check in checks:
            return held, firsts[checks.index(check)]
        w = min(range(4), key=lambda w: 4 * held[firsts[w]] + w)
        held[line + w] = check
        held[firsts[w] : firsts[w] + 15] = bytes(15)
        return held, firsts[w]


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

R = [8192 // (2 * c + 3) for c in range(256)]


def learn_counter(entry, y, most):
    """The entry after bit y; its count stays at `most`."""
    p, c = entry >> 10, entry & 1023
    t = 2**22 - 1 if y else 0
    p += (((t - p) >> 3) * R[c]) >> 9
    return p << 10 | (c + 1 if c < most else c)


class Counters:
    def __init__(self, count):
        self.entries = [2**21 << 10] * count

    def probability(self, i):
        return self.entries[i] >> 16

    def learn(self, i, y):
        self.entries[i] = learn_counter(self.entries[i], y, 250)


class MatchCounters:
    def __init__(self):
        self.by_bucket, self.by_byte = Counters(16 * 16 * 2), Counters(2 * 256 * 8)


class Heads:
    def __init__(self, bits):
        self.bits, self.positions = bits, [0] * 2**bits

    def exchange(self, H, position):
        """Sets a head; what it was."""
        before, self.positions[H] = self.positions[H], position
        return before


class Block:
    """Its content so far, in lanes of one length (but for the last). In Model cm a lane is the part of a team."""

    def __init__(self, n, lane_length):
        self.content, self.lane_length = bytearray(n), lane_length
        self.known = 0  # bytes of each lane that were coded in earlier epochs


class Match:
    """A match model of the lane that starts at `start`; `team` are the positions of its team."""

    def __init__(self, least, heads, block, start, team):
        self.L, self.heads, self.counters = least, heads, MatchCounters()
        self.block, self.start, self.team = block, start, team
        self.pointer = self.length = self.misses = 0
        self.start_byte()

    def start_byte(self):
        self.e = self.block.content[self.pointer] if self.pointer > 0 else None
        self.silent = self.e is None

    def append(self, x):
        """Takes in the last of the bytes of the lane."""
        if self.pointer > 0:
            self.follow(x[-1])
        if len(x) >= self.L:
            self.look_up(x)
        self.start_byte()

    def pass_by(self, x):
        """Takes in the last of the bytes without a look for another place."""
        if self.pointer > 0:
            self.follow(x[-1])
        self.start_byte()

    def follow(self, b):
        hit = b == self.block.content[self.pointer]
        self.misses = (self.misses << 1 | (not hit)) & 255
        self.length = min(self.length + 1, 65535) if hit else 0
        self.pointer = 0 if self.misses == 255 else self.pointer + 1
        if self.pointer > 0 and not self.can_follow(self.pointer):
            self.pointer = self.length = 0

    def can_follow(self, position):
        in_lane = position % self.block.lane_length
        if in_lane == 0 or position == len(self.block.content):
            return False
        return position in self.team or in_lane < self.block.known

    def look_up(self, x):
        candidate = self.heads.exchange(self.hash(x), self.start + len(x))
        if (self.length == 0 or (self.length < 16 and self.misses != 0)) and self.can_follow(candidate):
            length, most = 0, min(32, len(x), candidate % self.block.lane_length)
            while length < most and self.block.content[candidate - 1 - length] == x[-1 - length]:
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
        return h >> (64 - self.heads.bits)

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
        p, q = self.counters.by_bucket.probability(self.i), self.counters.by_byte.probability(self.j)
        return [stretch(p), (p - 32768) >> 4, stretch(q)]

    def learn(self, y):
        if not self.silent:
            self.counters.by_bucket.learn(self.i, y)
            self.counters.by_byte.learn(self.j, y)


# ---- Mixing, Learning ---------------------------------------------------------------------------


def wrap32(x):
    return ((x + 2**31) & U32) - 2**31


class FirstLayer:
    def __init__(self, weights):
        """`weights`: for each set its rows."""
        self.weights, self.rate, self.out = weights, 36, []

    def mix(self, inputs, rows):
        # Inputs of 0 neither add to a sum nor change a weight.
        self.inputs = [(i, x) for i, x in enumerate(inputs) if x]
        self.chosen = [weights[row] for weights, row in zip(self.weights, rows)]
        sums = [wrap32(sum([row[i] * x for i, x in self.inputs])) for row in self.chosen]
        self.out = [clamp(total >> 14, -LIMIT, LIMIT) for total in sums]
        return self.out

    def learn(self, y):
        for row, out in zip(self.chosen, self.out):
            step = self.step(y * 65536 - squash(out))
            for i, x in self.inputs:
                w = row[i] + ((x * step + 16384) >> 15)
                row[i] = w if -32768 <= w <= 32767 else clamp(w, -32768, 32767)

    def step(self, error):
        return (error * self.rate) >> 7

    def end_byte(self, position):
        if position % 4096 == 4095:
            self.rate = max(self.rate - 1, 14)


class SecondLayer:
    def __init__(self, weights):
        self.weights = weights

    def mix(self, inputs, rows):
        self.inputs = inputs
        self.chosen = [weights[row] for weights, row in zip(self.weights, rows)]
        sums = [wrap32(sum([p >> 4 for p in map(mul, row, inputs)])) for row in self.chosen]
        self.o = [clamp(total >> 12, -LIMIT, LIMIT) for total in sums]
        return sum(self.o) >> 1

    def learn(self, y):
        for row, o in zip(self.chosen, self.o):
            step = ((y * 65536 - squash(o)) * 7) >> 7
            changed = [w + ((x * step + 4096) >> 13) for w, x in zip(row, self.inputs)]
            row[:] = all_clamped(changed, -524288, 524288)


def curve_number(k):
    return (k * 0x9E3779B1 & U32) >> 20


class AdaptiveMap:
    def __init__(self):
        self.curves = [[squash(184 * j - 2852) for j in range(32)] for _ in range(4096)]

    def refine(self, st, number):
        self.curve = self.curves[number]
        i, w = divmod(st + 2852, 184)
        self.nearer = i + 1 if w >= 92 else i
        return (self.curve[i] * (184 - w) + self.curve[i + 1] * w) // 184

    def learn(self, y):
        point = self.curve[self.nearer]
        self.curve[self.nearer] = point + (((65535 if y else 0) - point) >> 6)


def rows_of_sets(contexts):
    """The rows of each set of the first layer."""
    return [256, 256, 2048, 256, 3 * (contexts + 1), 2048, 256, 256]


def equal_rows(counts, row):
    """For each set as many rows as it has, all with the same weights."""
    return [[list(row) for _ in range(count)] for count in counts]


# ---- Model cm -----------------------------------------------------------------------------------


def decode(number, payload, n, contexts=None, past=lambda start: Past()):
    """The content of a block of profile `number`, or what it would be with other contexts and another past."""
    count = min(max(n // 2_000_000, 1), 16)
    block, store = Block(n, ceil(n / count)), Store(PROFILES[number], n)
    parts = cut(range(n), block.lane_length)
    teams = [Team(own, [Cm(number, own, block, part, part)]) for own, part in zip(store.for_teams(count), parts)]
    for model in (lane for team in teams for lane in team.lanes):
        model.past = past(model.part.start)
        model.contexts = contexts.split() if contexts else model.contexts
    decode_teams(teams, payload)
    return bytes(block.content)


TABLE = "f6 f7 f0 f1 f2 f5 f8 f9 o2 o4 f3 f4 f10 f11 o3 o6"
PROFILES["table 4"] = Profile(" ".join(TABLE.split()[:10]), 6, [6, 16], 21, 3)
PROFILES["table 5"] = Profile(TABLE, 8, [6, 16], 22, 3)


COLOURS = "f0 f1 f2 f3 f4 f5 f6 f8 f9 o2 f7 f10 f11 f12 o4 o6"
PROFILES["colours 4"] = Profile(" ".join(COLOURS.split()[:10]), 6, [6, 16], 21, 3)
PROFILES["colours 5"] = Profile(COLOURS, 8, [6, 16], 22, 3)


def decode_colours(profile, parameter, payload, n):
    """The content of a block of kind 15."""
    number = f"colours {4 if profile <= 4 else 5}"
    block, store = Block(n, n), Store(PROFILES[number], n)
    model = CmOfColours(number, store, block, range(n), range(n), PastOfColours(parameter))
    decode_teams([Team(store, [model])], payload)
    return bytes(block.content)


def decode_table(profile, parameter, payload, n):
    """The content of a block of kind 14."""
    number = f"table {4 if profile <= 4 else 5}"
    block, store = Block(n, n), Store(PROFILES[number], n)
    decode_teams([Team(store, [Cm(number, store, block, range(n), range(n), PastOfTable(parameter))])], payload)
    content, width = bytes(block.content), 1 << (parameter & 3)
    if parameter & 4 or width == 1:
        return content
    whole = n - n % width
    return b"".join(content[i : i + width][::-1] for i in range(0, whole, width)) + content[whole:]


def cut(positions, length):
    return [positions[at : at + length] for at in range(0, len(positions), length)]


class Store:
    """What the teams of a block share."""

    def __init__(self, profile, n):
        lines = ceil(max(n, 64) * len(profile.contexts) / 16)
        headbits = min(lg(max(n, 64)), profile.maxbits)
        self.table = HistoryTable(min(lg(lines), profile.maxbits))
        self.heads = [Heads(headbits) for _ in profile.match_lengths]

    def for_teams(self, count):
        """The store as each team sees it."""
        return [StoreOfTeam(self) for _ in range(count)] if count > 1 else [self]


class Cm:
    """The model of a lane; `part` are its positions in the block, and `team` those of its team."""

    def __init__(self, number, store, block, part, team, past=None):
        profile = self.profile = PROFILES[number]
        self.N, self.contexts = len(profile.contexts), profile.contexts
        self.table, self.block, self.part = store.table, block, part
        self.past = past or Past()
        models = zip(profile.match_lengths, store.heads)
        self.matches = [Match(least, heads, block, part.start, team) for least, heads in models]
        self.order0, self.order1 = bytearray(256), bytearray(65536)
        unused = [2**31] * (256 - len(FIRST_MAP))
        self.maps = [FIRST_MAP + unused for _ in range(self.N + 2)]
        self.begin_layers(2 * (self.N + 2) + 3 * len(self.matches) + 1)
        self.adaptive = [AdaptiveMap() for _ in range(profile.maps)]

    def begin_layers(self, width):
        sets = self.profile.sets
        first = 16384 * 5 // (4 * (self.N + 2))
        self.first = FirstLayer(equal_rows(rows_of_sets(self.N)[:sets], [first] * width))
        self.second = SecondLayer(equal_rows([256, 256], [65536 // sets] * sets))

    def step(self, decoder, step):
        """Decodes the byte of that number."""
        if step < len(self.part):
            content, position = self.block.content, self.part[step]
            if step:
                self.take_in(content[position - 1])
            content[position] = self.decode_byte(decoder)
            self.first.end_byte(step)

    def decode_byte(self, decoder):
        node = 1
        for d in range(8):
            if d in (0, 4):
                self.start_half(node, d)
            bit = decoder.bit(self.predict(node, d))
            self.learn(bit)
            node = node << 1 | bit
        return node & 255

    def take_in(self, b):
        self.past.append(b)
        for match in self.matches:
            match.append(self.past.x)

    def start_half(self, node, d):
        if d == 0:
            values = [context_value(name, self.past) for name in self.contexts]
            self.hashes = [context_hash(i, v) for i, v in enumerate(values)]
            used = self.hashes
        else:
            used = [second_half_hash(h, node) for h in self.hashes]
        self.slots, self.seen = [], 0
        for h in used:
            held, first = self.table.slot(h)
            self.slots.append((held, first))
            self.seen += held[first] != 0

    def predict(self, node, d):
        inner = node if d < 4 else 1 << (d - 4) | node & ((1 << (d - 4)) - 1)
        inputs = self.history_inputs(node, inner)
        for match in self.matches:
            inputs += match.predict(node, d)
        inputs += self.last_inputs(node)
        out = self.first.mix(inputs, self.rows(node, inner, d))
        st = self.second.mix(out, [node, self.past.shape & 255])
        return self.refine(st, node, d)

    def last_inputs(self, node):
        return [256]

    def history_inputs(self, node, inner):
        self.places = [(held, first + inner - 1) for held, first in self.slots]
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

    def refine(self, st, node, d):
        a = self.refined(st, node)
        if len(a) == 1:
            p = (squash(st) + a[0]) // 2
        else:
            p = (squash(st) + 3 * a[0] + 2 * a[1] + 2 * a[2]) // 8
        return clamp(p, 1, 65535)

    def refined(self, st, node):
        """What each adaptive map says."""
        k1 = self.past.last(1) << 8 | node
        keys = [k1, self.past.last(2) << 16 | k1, (self.matches[0].known | 256) << 8 | node]
        return [map.refine(st, curve_number(k)) for map, k in zip(self.adaptive, keys)]

    def learn(self, y):
        for (histories, at), map in zip(self.places, self.maps):
            learn_map(map, histories[at], y)
            histories[at] = NEXT[histories[at]][y]
        for learner in [*self.matches, self.first, self.second, *self.adaptive]:
            learner.learn(y)


class CmOfColours(Cm):
    """The match models take in a byte when the next one is decoded, as nothing is looked up before a plain pixel."""

    def __init__(self, *args):
        super().__init__(*args)
        self.equal = Counters(512 + 128 + 1024)
        self.equal.entries = [65000 << 16 | 3] * len(self.equal.entries)

    def step(self, decoder, step):
        x = self.past.x
        if step < len(x):
            return  # its pixel is plain
        if not self.plain_pixel(decoder):
            for match in self.matches:
                if x:
                    match.append(x)
            self.set(self.decode_byte(decoder))
            self.first.end_byte(step)

    def plain_pixel(self, decoder):
        contexts, z, x = self.past.plain(), (self.past.bits + 7) // 8, self.past.x
        if not contexts or len(x) + z > len(self.block.content):
            return False
        y = decoder.bit(clamp(sum(map(self.equal.probability, contexts)) // 3, 1, 65535))
        for i in contexts:
            self.equal.learn(i, y)
        for b in x[-z:] if y else b"":
            for match in self.matches:
                match.pass_by(x)
            self.set(b)
        return y

    def set(self, b):
        self.block.content[len(self.past.x)] = b
        self.past.append(b)


# ---- Teams --------------------------------------------------------------------------------------


class Team:
    """Lanes that are decoded side by side, by one decoder. In Model cm there is one."""

    def __init__(self, store, lanes):
        self.store, self.lanes = store, lanes

    def step(self, decoder, step):
        """Decodes the byte of that number of each lane."""
        for lane in self.lanes:
            lane.step(decoder, step)


def decode_teams(teams, payload):
    """Decodes a block."""
    decoders = [RangeDecoder(code) for code in codes(payload, len(teams))]
    lanes = teams[0].lanes
    block = lanes[0].block
    if len(teams) == 1:
        for step in range(block.lane_length):
            teams[0].step(decoders[0], step)
        return
    average, epoch = Average([lane for team in teams for lane in team.lanes]), 0
    while block.known < block.lane_length:
        bytes_of_team = min(16 * 2 ** (epoch // 64), 10240 // lanes[0].N)
        end = min(block.known + max(bytes_of_team // len(lanes), 1), block.lane_length)
        for team, decoder in zip(teams, decoders):
            for step in range(block.known, end):
                team.step(decoder, step)
        for team in teams:
            team.store.hand_over()
        block.known = end
        if epoch % 64 == 63:
            average.take()
        epoch += 1


def codes(payload, count):
    """The code of each team."""
    reader = Reader(payload, ("Corrupt", "the payload ends inside the codes of teams"))
    lengths = [reader.varint() for _ in range(count - 1)]
    return [reader.take(length) for length in lengths] + [payload[reader.at :]]


class StoreOfTeam:
    def __init__(self, store):
        self.table, self.heads = TableOfTeam(store.table), [HeadsOfTeam(heads) for heads in store.heads]

    def hand_over(self):
        """After an epoch: what the team has changed becomes the block's."""
        for own in [self.table, *self.heads]:
            own.hand_over()


class TableOfTeam(HistoryTable):
    def __init__(self, table):
        self.table, self.linebits, self.own = table, table.linebits, {}

    def line(self, number):
        if number not in self.own:
            held, first = self.table.line(number)
            self.own[number] = held[first : first + 64]
        return self.own[number], 0

    def hand_over(self):
        for number, line in self.own.items():
            held, first = self.table.line(number)
            held[first : first + 64] = line
        self.own = {}


class HeadsOfTeam:
    def __init__(self, heads):
        self.heads, self.bits, self.own = heads, heads.bits, {}

    def exchange(self, H, position):
        before = self.own.get(H, self.heads.positions[H])
        self.own[H] = position
        return before

    def hand_over(self):
        for H, position in self.own.items():
            self.heads.positions[H] = position
        self.own = {}


def averaged(lane):
    """The rows of all numbers of a lane that are averaged."""
    tables = [*lane.first.weights, *lane.second.weights, *(map.curves for map in lane.adaptive)]
    return [row for table in tables for row in table]


class Average:
    def __init__(self, lanes):
        self.rows = list(zip(*map(averaged, lanes)))
        self.before = [list(rows[0]) for rows in self.rows]

    def take(self):
        for before, rows in zip(self.before, self.rows):
            if all(row == before for row in rows):
                continue
            for i, v in enumerate(before):
                changes = [row[i] - v for row in rows if row[i] != v]
                if changes:
                    before[i] = v + towards_zero(sum(changes), len(changes))
            for row in rows:
                row[:] = before
