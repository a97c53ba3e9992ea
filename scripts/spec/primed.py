"""docs/format/primed.md: what samples have taught context mixing, and how blocks are coded with it."""
import copy

from . import mix
from .basics import U32, U64, Failure, Reader, clamp, compare_hash, require
from .cm import HISTORIES, NEXT, NUMBER, C, FirstLayer, Past, RangeDecoder, SecondLayer
from .cm import context_hash, kind_of, learn_counter, second_half_hash, squash, stretch

CONTEXTS, ROWS = 15, [256, 256, 144, 2048, 256, 2048]
STEP = 248  # between the points of a curve


def find(states, header):
    """The state that a stream header names."""
    for state in states:
        if state.identity == header.identity:
            return state
    raise Failure(f"WrongModel: {header.name} {header.identity.hex()}")


# ---- File of a primed state ---------------------------------------------------------------------


class State:
    def __init__(self, file):
        reader = Reader(file, ("Truncated", "the file of a primed state ends early"))
        require(reader.take(4) == bytes.fromhex("b14c4d50"), "Corrupt", "no primed state")
        version = reader.byte()
        require(version != 0, "Corrupt", "version 0 of a primed state")
        require(version == 1, "NeedsNewer", f"version {version} of a primed state")
        self.t, self.end, self.odds = reader.byte(), reader.byte(), reader.little(2)
        lengths = [reader.little(4) for _ in range(9)]
        parts = [reader.take(length) for length in lengths]
        self.identity = reader.take(32)
        require(reader.at == len(file), "Corrupt", "length of a primed state")
        compare_hash(self.identity, file[:-32], "identity of a primed state")
        require(8 <= self.t <= 20, "Corrupt", "lines of a primed state")
        self.read_parameters(Packed(parts[0]))
        self.table = bytearray()  # lines of four slots of 16 bytes: a check and 15 histories
        for i in range(1, 9, 2):
            self.table += quarter_of_the_table(2**self.t // 4, Packed(parts[i]), RawBits(parts[i + 1]))

    def read_parameters(self, packed):
        self.maps = read_maps(packed)
        self.first = [read_first_layer(packed, rows) for rows in ROWS]
        self.second = [read_second_layer(packed) for _ in range(2)]
        self.curves = read_curves(packed)

    def slot(self, i):
        return self.table[16 * i : 16 * i + 16]


class Packed:
    """A range code of adaptive bits, whose counts end at `most`."""

    def __init__(self, code, most=60):
        self.decoder, self.most = RangeDecoder(code), most

    def adaptive(self, entries, i):
        """A bit, coded with adaptive bit number i of a set."""
        bit = self.decoder.bit(max(entries[i] >> 16, 1))
        entries[i] = learn_counter(entries[i], bit, self.most)
        return bit

    def tree(self, entries, n):
        number = 1
        for _ in range(n):
            number = number << 1 | self.adaptive(entries, number)
        return number - (1 << n)

    def even(self):
        return self.decoder.bit(32768)

    def signed(self, model):
        l = self.tree(model.lengths, 5)
        if l == 0:
            return 0
        number = 1
        for i in range(l - 1):
            number = number << 1 | (self.adaptive(model.first, l) if i == 0 else self.even())
        return -number if self.adaptive(model.sign, 0) else number


def adaptive_bits(count):
    return [2**21 << 10] * count


class Signed:
    """The adaptive bits of one "signed" model."""

    def __init__(self):
        self.lengths, self.first, self.sign = adaptive_bits(32), adaptive_bits(32), adaptive_bits(1)


class RawBits:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, count):
        number = 0
        for _ in range(count):
            byte = self.data[self.at >> 3] if self.at >> 3 < len(self.data) else 0
            number = number << 1 | (byte >> (7 - (self.at & 7)) & 1)
            self.at += 1
        return number


def read_maps(packed):
    """For each context the probabilities over 2^16 by history."""
    model, near, maps = Signed(), [128] * len(HISTORIES), []
    for _ in range(CONTEXTS):
        near = [128] + [clamp(m + packed.signed(model), 0, 255) for m in near[1:]]
        maps.append([256 * m + 128 for m in near])
    return maps


def read_first_layer(packed, rows):
    models, changed = [Signed() for _ in range(32)], adaptive_bits(1)
    v, weights = [21] * 32, []
    for _ in range(rows):
        if packed.adaptive(changed, 0):
            v = [clamp(a + packed.signed(model), -512, 511) for a, model in zip(v, models)]
            weights.append([64 * a for a in v])
        else:
            weights.append([1365] * 32)
    return weights


def read_second_layer(packed):
    model, v, weights = Signed(), [0] * 6, []
    for _ in range(256):
        v = [clamp(a + packed.signed(model), -8192, 8192) for a in v]
        weights.append([64 * a for a in v])
    return weights


def read_curves(packed):
    model, bits, before, curves = Signed(), adaptive_bits(2), 0, []
    for _ in range(2 * 2048):
        points = []
        for j in range(24):
            before = packed.adaptive(bits, before)
            point = squash(STEP * j - 2852)
            points.append(clamp(point + 64 * packed.signed(model), 0, 65535) if before else point)
        curves.append(points)
    return curves


class Trees:
    """The adaptive bits of the histories of a quarter of the table."""

    def __init__(self):
        self.full, self.slots = adaptive_bits(1), adaptive_bits(4)
        self.root, self.simple = adaptive_bits(256), adaptive_bits(3 * 64)
        self.others = [adaptive_bits(256) for _ in range(64)]


def quarter_of_the_table(lines, packed, raw):
    trees, table = Trees(), bytearray()
    for _ in range(lines):
        slots = 4 if packed.adaptive(trees.full, 0) else packed.tree(trees.slots, 2)
        line = b"".join(bytes([raw.number(8)]) + histories_of_a_slot(packed, raw, trees) for _ in range(slots))
        table += line.ljust(64, b"\0")
    return table


def histories_of_a_slot(packed, raw, trees):
    histories = [0] * 16
    histories[1] = packed.tree(trees.root, 8)
    for node in range(1, 8):
        require(histories[node] < len(HISTORIES), "Corrupt", "a history that does not exist")
        n0, n1, _ = HISTORIES[histories[node]]
        d, lopsided = node.bit_length() - 1, n0 == 0 or n1 == 0
        for child, n in ((2 * node, n0), (2 * node + 1, n1)):
            if n > 0:
                histories[child] = history_of_a_child(packed, raw, trees, d, n, lopsided)
    return bytes(histories[1:])


def history_of_a_child(packed, raw, trees, d, n, lopsided):
    a = 2 * (n & 31) + lopsided
    if packed.adaptive(trees.simple, 64 * d + a):
        n = min(n, 30)
        return NUMBER[(0, n, None) if raw.number(1) else (n, 0, None)]
    return packed.tree(trees.others[a], 8)


# ---- The primed network -------------------------------------------------------------------------


class Facts:
    """What is kept of a record."""

    def __init__(self):
        self.past = Past()
        self.B16 = self.prefix = self.len = self.token = self.string = self.key = self.field = 0

    def append(self, b):
        self.B16 = (self.B16 << 8 | b) % 2**128
        self.prefix, self.len = C(self.prefix, b), (self.len + 1) & U32
        c = chr(b)
        if kind_of(b) in (1, 2, 3, 6):
            self.token, self.string = C(self.token, b), C(self.string, b)
        else:
            self.token = 0
            if c in ":=":
                self.key, self.string = self.string, 0
            elif c in ",{[":
                self.string = 0
            elif c != '"':
                self.string = C(self.string, b)
            if c in " ,\t;|":
                self.field += 1
        self.past.append(b)

    def values(self):
        past, last = self.past, self.past.last(1)
        x = self.B16 % 2**96
        return [
            0,
            *(past.B % 2 ** (8 * k) for k in (1, 2, 3, 4, 6)),
            (x & U64) * 0x9E3779B97F4A7C15 & U64 ^ x >> 64,
            self.prefix << 32 | self.len,
            C(C(past.word, 0), past.gap),
            C(C(past.word, past.word1), past.gap),
            C(self.token, last) << 32 | self.field,
            past.kinds << 32 | last,
            past.shape << 32 | last,
            (self.string << 32 | self.key) ^ last << 24,
            past.B & 0xFFFF00,
        ]


class Slots:
    """The table: slots that were written, over those of the state."""

    def __init__(self, state, lines):
        self.state, self.lines, self.written = state, lines, {}

    def get(self, i):
        if i in self.written:
            return self.written[i]
        return self.state.slot(i % (4 << self.state.t))

    def look_up(self, h):
        """The number of a context's slot, and a copy of it."""
        line, check = 4 * (h % self.lines), h >> 24
        slots = [self.get(line + w) for w in range(4)]
        for w in range(4):
            if slots[w][0] == check:
                return line + w, bytearray(slots[w])
        w = min(range(4), key=lambda w: 4 * slots[w][1] + w)
        return line + w, bytearray([check]) + bytes(15)


class Map:
    """The map of a context from histories to counters."""

    def __init__(self, probabilities):
        self.entries = [p << 16 | 100 for p in probabilities]

    def probability(self, history):
        return self.entries[history] >> 16

    def learn(self, history, y):
        if history != 0:
            self.entries[history] = learn_counter(self.entries[history], y, 255)


class FirstLayerOfState(FirstLayer):
    def step(self, error):
        return (error * 96) >> 11


class Curves:
    def __init__(self, curves):
        self.curves = curves

    def refine(self, x, *keys):
        """The sum of what the two curves say."""
        u = x + 2852
        j = min(u // STEP, 22)
        r = u % STEP
        numbers = [2048 * i + ((key * 0x9E3779B1 & U32) >> 21) for i, key in enumerate(keys)]
        self.chosen, self.nearer = [self.curves[number] for number in numbers], j + 1 if r >= 124 else j
        return sum((points[j] * (STEP - r) + points[j + 1] * r) // STEP for points in self.chosen)

    def learn(self, y):
        for points in self.chosen:
            points[self.nearer] += ((65535 if y else 0) - points[self.nearer]) >> 6


class PrimedNetwork:
    """Predicts the bits of a record, or of a block; `learns` besides histories: maps, weights and curves."""

    def __init__(self, state, lines=None, learns=False):
        self.state, self.learns = state, learns
        self.slots = Slots(state, lines or 2**state.t)
        self.facts, self.open = Facts(), []
        parameters = state.first, state.second, state.curves
        if learns:
            parameters = copy.deepcopy(parameters)  # what learns must not change the state
        first, second, curves = parameters
        self.first, self.second, self.curves = FirstLayerOfState(first), SecondLayer(second), Curves(curves)
        self.maps = [Map(map) for map in state.maps]

    def start_half(self, node):
        if node == 1:
            self.hashes = [context_hash(i, v) for i, v in enumerate(self.facts.values())]
            used = self.hashes
        else:
            used = [second_half_hash(h, node) for h in self.hashes]
        self.open = [self.slots.look_up(h) for h in used]
        there = [slot[1] != 0 for _, slot in self.open]
        self.order, self.seen = sum(there[:8]), sum(there[8:])

    def predict(self, node):
        position = node.bit_length() - 1
        if position in (0, 4):
            self.start_half(node)
        self.inner = inner = node if position < 4 else node & ((1 << (position - 4)) - 1) | 1 << (position - 4)
        inputs = []
        for (_, slot), map in zip(self.open, self.maps):
            p = map.probability(slot[inner])
            inputs += [stretch(p), (p - 32768) >> 5] if slot[inner] else [0, 0]
        past = self.facts.past
        rows = [
            node,
            past.last(1),
            16 * self.order + inner,
            8 * (past.shape & 255) + position,
            8 * min(self.facts.field, 31) + position,
            8 * past.last(2) + position,
        ]
        out = self.first.mix(inputs + [256, 0], rows)
        x = self.second.mix(out, [node, 16 * self.order + self.seen])
        a = past.last(1) << 8 | node
        both = self.curves.refine(x, a, past.last(2) << 16 | a)
        return clamp((2 * squash(x) + both) // 4, 1, 65535)

    def learn(self, y, node):
        """Takes in the bit after `node`."""
        for (_, slot), map in zip(self.open, self.maps):
            if self.learns:
                map.learn(slot[self.inner], y)
            slot[self.inner] = NEXT[slot[self.inner]][y]
        if self.learns:
            for learner in (self.first, self.second, self.curves):
                learner.learn(y)
        if node.bit_length() in (4, 8):
            self.slots.written.update(self.open)

    def end_byte(self, b):
        self.facts.append(b)

    def end_record(self):
        self.facts = Facts()

    def decode_byte(self, decoder):
        node = 1
        while node < 256:
            y = decoder.bit(self.predict(node))
            self.learn(y, node)
            node = node << 1 | y
        self.end_byte(node & 255)
        return node & 255


# ---- Blocks of kind 1 ---------------------------------------------------------------------------


def decode_block(state, payload, n):
    decoder, content = RangeDecoder(payload), bytearray()
    enough = 1 << (max(15 * n // 16, 1) - 1).bit_length()
    network = PrimedNetwork(state, max(2**state.t, min(2**22, enough)), learns=True)
    while len(content) < n:
        content.append(network.decode_byte(decoder))
        if content[-1] == state.end:
            network.end_record()
    return bytes(content)


# ---- Block guided by a state --------------------------------------------------------------------


class StateAsGuide(mix.Guide):
    """Gives the state's opinion on each bit of a team."""

    def __init__(self, state, lanes):
        self.network, self.end = PrimedNetwork(state), state.end
        self.facts = [Facts() for _ in range(lanes)]

    def turn_to(self, lane):
        self.lane, self.network.facts = lane, self.facts[lane]

    def opinion(self, node):
        self.node = node
        return stretch(self.network.predict(node))

    def learn(self, y):
        self.network.learn(y, self.node)

    def end_byte(self, b):
        self.network.end_byte(b)
        if b == self.end:
            self.network.end_record()
            self.facts[self.lane] = self.network.facts


def decode_guided(state, network, payload, n):
    def guide(parts):
        return StateAsGuide(state, len(parts))

    if network == 5:
        return mix.decode(payload, n, 1, 1, None, guide)
    return mix.decode_numbered(network, payload, n, 4, guide)
