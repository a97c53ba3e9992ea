"""docs/format/mix.md: a network, a primed state, or both, and context mixing together."""
import struct
from math import ceil
from pathlib import Path

from . import nn
from .basics import Failure, blake3, clamp, require
from .cm import LIMIT, AdaptiveMap, Cm, FirstLayer, Match, Past, RangeDecoder, SecondLayer
from .cm import equal_rows, rows_of_sets, squash

FOLDER = Path(__file__).resolve().parents[2] / "crates/lmic/models"
NUMBERED = {  # a file, its identity, and how the hash of the start begins
    6: ("recurrent-small", "173f00862eb019b94e876825299daf8313c387d5c9521ecfb64dc7928129da75", "31e5b3a2431d6d31"),
    7: ("recurrent-default", "09b557e0715c5412659cb49cff84c83639c2284c1b6f772d266f3ea91ba9e4e2", "156579a9583a4585"),
}


def decode_numbered(number, payload, n, other_guides=()):
    """A block with network 6 or 7."""
    name, identity, hash_of_start = NUMBERED[number]
    file = nn.ModelFile((FOLDER / f"{name}.safetensors").read_bytes())
    start = (FOLDER / f"mix-{number}.start").read_bytes()
    if blake3:
        require(file.identity().hex() == identity, "WrongModel", name)
        require(blake3(start).hexdigest().startswith(hash_of_start), "WrongModel", f"mix-{number}.start")
    return Mix(n, 32, [Recurrent(file), *other_guides], Start(start)).decode(payload)


def decode_named(file, header, payload, n):
    """A block of a stream of model byte C3."""
    require(not file.is_recurrent or header.C == 0, "Corrupt", "windows of a recurrent network")
    network = Recurrent(file) if file.is_recurrent else Transformer(file, header)
    return Mix(n, header.L, [network]).decode(payload)


# ---- Lanes of a mix -----------------------------------------------------------------------------


class Lane:
    """A lane of a block, and what is its own."""

    def __init__(self, number, start, end):
        self.number, self.start, self.end = number, start, end
        self.length = end - start


def lanes_of_a_block(n, most):
    length = ceil(n / min(max(ceil(n / 16384), 1), most))
    return [Lane(j, start, min(start + length, n)) for j, start in enumerate(range(0, n, length))]


class PastOfLane(Past):
    def __init__(self, shared):
        super().__init__()
        self.after1, self.after2 = shared.after1, shared.after2


class MatchOfLane(Match):
    """Positions are those of the block."""

    def __init__(self, shared, lane, lane_length, content):
        self.L, self.headbits, self.heads = shared.L, shared.headbits, shared.heads
        self.by_bucket, self.by_byte = shared.by_bucket, shared.by_byte
        self.start, self.lane_length, self.content = lane.start, lane_length, content
        self.begin()

    def position(self, x):
        return self.start + len(x)

    def byte_at(self, position, x):
        return self.content[position]

    def before(self, position):
        return position % self.lane_length

    def follow(self, x):
        super().follow(x)
        if self.pointer % self.lane_length == 0 or self.pointer == len(self.content):
            self.pointer = self.length = 0


# ---- Opinion on a bit ---------------------------------------------------------------------------


def log_table():
    table = []
    for m in range(1024):
        t = (m + 0.5) / 1024
        y = t / (2 + t)
        table.append(int(512 * sum(y**i / i for i in range(39, 0, -2)) + 0.5))
    return table


T = log_table()


def log(x):
    exponent = x.bit_length() - 1
    return (exponent * 181704 >> 10) + T[(x << 10 >> exponent) & 1023]


class Guide:
    """Has an opinion on each bit."""

    def begin(self, lanes):
        """Before all steps."""

    def step(self, symbols):
        """Before a step, with the last symbols of the lanes that have a byte in it."""

    def turn_to(self, lane):
        """Before a byte of this lane."""

    def opinion(self, node):
        """The opinion on the bit after `node`."""

    def learn(self, y):
        """After each bit."""

    def end_byte(self, b):
        """After each byte."""


class Network(Guide):
    def step(self, symbols):
        self.weights = self.all_weights(symbols)

    def turn_to(self, lane):
        v = [1 + int((min(w, 1.0) if w == w else 1.0) * 8388608) for w in self.weights[lane.number]]
        self.sums = [0] * 256 + v
        for node in range(255, 0, -1):
            self.sums[node] = self.sums[2 * node] + self.sums[2 * node + 1]

    def opinion(self, node):
        return clamp(log(self.sums[2 * node + 1]) - log(self.sums[2 * node]), -LIMIT, LIMIT)


class Recurrent(Network):
    def __init__(self, file):
        try:
            from . import recurrent  # not above, as only it needs numpy
        except ImportError:
            raise Failure("not implemented: recurrent networks without the package numpy") from None
        self.new_streams, self.network = recurrent.Streams, recurrent.Network(file)

    def begin(self, lanes):
        self.streams = self.new_streams(self.network, len(lanes))

    def all_weights(self, symbols):
        return self.streams.feed(symbols).tolist()


class Transformer(Network):
    def __init__(self, file, header):
        self.model, self.header = nn.transformer(file, header), header

    def begin(self, lanes):
        self.lanes = [nn.Lane(self.model, lane.length, self.header) for lane in lanes]

    def all_weights(self, symbols):
        return [nn.weights(lane.logits_after(symbol)) for lane, symbol in zip(self.lanes, symbols)]


# ---- Mixing with an opinion ---------------------------------------------------------------------


class Mix(Cm):
    """The first guide's opinion stands where the network's does, a second one's where the state's does."""

    def __init__(self, n, most_lanes, guides, start=None):
        self.guides, self.start = guides, start
        super().__init__(5, n)
        self.adaptive.append(AdaptiveMap())
        if start:
            start.begin(self)
        self.content, self.lanes = bytearray(n), lanes_of_a_block(n, most_lanes)
        for lane in self.lanes:
            lane.past = PastOfLane(self.past)
            lane.matches = [MatchOfLane(match, lane, self.lanes[0].length, self.content) for match in self.matches]

    def begin_layers(self, width):
        row = [100] * 2 * (self.N + 2) + [500] * 3 * len(self.matches) + [16384] + [0] * 5
        first, second = [row] * 9, [[65536 // 9] * 9] * 2
        if self.start:
            first, second = self.start.first, self.start.second
        if len(self.guides) == 2:
            first = [[*row[:42], (5 * row[42]) >> 3, *row[43:45], 8192, 0, 0] for row in first]
        self.first = FirstLayerOfMix(rows_that_start_with(first, [*rows_of_sets(self.N), 192]))
        self.second = SecondLayer(rows_that_start_with(second, [256, 256]))

    def decode(self, payload):
        decoder, coded = RangeDecoder(payload), 0
        for guide in self.guides:
            guide.begin(self.lanes)
        for step in range(self.lanes[0].length):
            lanes = [lane for lane in self.lanes if step < lane.length]
            symbols = [self.content[lane.start + step - 1] if step else 256 for lane in lanes]
            for guide in self.guides:
                guide.step(symbols)
            for lane, symbol in zip(lanes, symbols):
                self.turn_to(lane)
                if step:
                    self.take_in(symbol)
                b = self.content[lane.start + step] = self.decode_byte(decoder)
                for guide in self.guides:
                    guide.end_byte(b)
                self.first.end_byte(coded)
                coded += 1
        return bytes(self.content)

    def turn_to(self, lane):
        self.past, self.matches = lane.past, lane.matches
        for guide in self.guides:
            guide.turn_to(lane)

    def last_inputs(self, node):
        self.opinion, *others = [guide.opinion(node) for guide in self.guides]
        self.level = clamp((self.opinion + 2400) // 200, 0, 23)
        inputs = [self.opinion, (squash(self.opinion) - 32768) >> 4, 256]
        for o in others:
            inputs += [o, (squash(o) - 32768) >> 4]
        return inputs

    def rows(self, node, inner, d):
        return super().rows(node, inner, d) + [8 * self.level + d]

    def refine(self, st, node, d):
        a1, a2, a3 = self.refined(st, node)
        a4 = self.adaptive[3].refine(st, 8 * self.level + d)
        return clamp((squash(st) + 3 * a1 + 2 * a2 + 2 * a3 + 2 * a4) // 10, 1, 65535)

    def learn(self, y):
        super().learn(y)
        for guide in self.guides:
            guide.learn(y)


def rows_that_start_with(first_rows, counts):
    """For each set as many rows as it has, all with the same weights."""
    return [rows for row, count in zip(first_rows, counts) for rows in equal_rows([count], row)]


class FirstLayerOfMix(FirstLayer):
    def __init__(self, weights):
        super().__init__(weights)
        self.r, self.rate = 576, 576 // 16

    def end_byte(self, position):
        if position % 256 == 255:
            self.r = max(self.r - 1, 224)
            self.rate = self.r // 16


# ---- Start of a mix -----------------------------------------------------------------------------


class Start:
    def __init__(self, file):
        numbers = list(struct.unpack("<432h18i4608H9216H6144H", file))

        def take(count, length):
            taken = [numbers[at : at + length] for at in range(0, count * length, length)]
            del numbers[: count * length]
            return taken

        self.first, self.second, self.maps = take(9, 48), take(2, 9), take(18, 256)
        self.matches = [(*take(1, 512), *take(1, 4096)) for _ in range(2)]
        self.curves = take(192, 32)

    def begin(self, mix):
        mix.maps = [[p * 65536 + 32768 for p in map] for map in self.maps]
        for match, (by_length, by_byte) in zip(mix.matches, self.matches):
            match.by_bucket.entries = [p << 16 | 30 for p in by_length]
            match.by_byte.entries = [p << 16 | 30 for p in by_byte]
        mix.adaptive[3].curves[:192] = self.curves
