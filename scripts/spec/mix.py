"""docs/format/mix.md: a network, a primed state, or both, and context mixing together."""
import re
import struct
from math import ceil
from pathlib import Path

from . import nn
from .basics import Failure, blake3, clamp, require
from .cm import LIMIT, PROFILES, AdaptiveMap, Block, Cm, FirstLayer, Past, SecondLayer, Store
from .cm import decode_teams, equal_rows, rows_of_sets, squash

ROOT = Path(__file__).resolve().parents[2]
CRATES = ROOT / "crates"
PAGE = (ROOT / "docs/format/mix.md").read_text()


def decode_numbered(number, payload, n, most_teams=16, *other_guides):
    """A block with network 6, 7 or 8."""
    file, start = numbered(number)
    return decode(payload, n, {6: 1, 7: 2, 8: 8}[number], most_teams, Start(start), recurrent(file), *other_guides)


def numbered(number):
    """The file of a network and that of its start, if they are those of the page."""
    folder = CRATES / "lmic-networks/data"
    file = nn.ModelFile((folder / f"{number}.safetensors").read_bytes())
    start = (folder / f"{number}.start").read_bytes()
    width = 8 + 2 * file.config["ngram_size"]
    for i, size in enumerate(file.config["ngram_bits"]):
        rows = next(CRATES.glob(f"lmic-rows-?/data/rows-{i}.bin")).read_bytes()
        file.tensors[f"ngrams.rows.{i}"] = "U8", [2**size // 4, width], rows
    if blake3:
        identity = re.search(rf"^\| {number} \| .* \| (\w+) \|$", PAGE, re.MULTILINE)[1]
        starts = re.search(r"BLAKE3\s+begins\s+with\s+(\w+),\s+(\w+)\s+and\s+(\w+)", PAGE).groups()
        require(file.identity().hex() == identity, "WrongModel", f"{number}.safetensors")
        require(blake3(start).hexdigest().startswith(starts[number - 6]), "WrongModel", f"{number}.start")
    return file, start


def decode_named(file, header, payload, n):
    """A block of a stream of model byte C3."""
    require(not file.is_recurrent or header.C == 0, "Corrupt", "windows of a recurrent network")
    network = recurrent(file) if file.is_recurrent else transformer(file, header)
    return decode(payload, n, header.L, 16, None, network)


def decode(payload, n, L, most_teams, start, *guides):
    """The content of a block; `guides` make the guides of a team."""
    lane_length, lanes_of_team, count = lanes_of_a_block(n, L, most_teams)
    block, store = Block(n, lane_length), Store(PROFILES[5], n)
    part_length, teams = lanes_of_team * lane_length, []
    for a, own in zip(range(0, n, part_length), store.for_teams(count)):
        teams.append(Mix(own, block, range(a, min(a + part_length, n)), [guide() for guide in guides], start))
    decode_teams(teams, lanes_of_team, payload)
    return bytes(block.content)


# ---- Lanes of a mix -----------------------------------------------------------------------------


class Lane:
    """A lane of a block, and what is its own; `number` is that in its team."""

    def __init__(self, number, start, end):
        self.number, self.start, self.end = number, start, end
        self.length = end - start


def lanes_of_a_block(n, L, most_teams):
    """The length of all lanes but the last, how many lanes a team has, and how many teams there are."""
    T = min(max(n // 1_000_000, 1), most_teams)
    p = ceil(n / T)
    lanes_of_team = min(max(ceil(p / 65536), 1), L)
    return ceil(p / lanes_of_team), lanes_of_team, T


class PastOfLane(Past):
    def __init__(self, shared):
        super().__init__()
        self.after1, self.after2 = shared.after1, shared.after2


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
    def __init__(self, streams):
        self.new_streams = streams

    def begin(self, lanes):
        self.streams = self.new_streams(len(lanes))

    def all_weights(self, symbols):
        return self.streams.feed(symbols).tolist()


def recurrent(file):
    """What makes the guide of a team; the teams share a network."""
    try:
        from .recurrent import Network, Streams  # not above, as only it needs numpy
    except ImportError:
        raise Failure("not implemented: recurrent networks without the package numpy") from None
    network = Network(file)
    return lambda: Recurrent(lambda count: Streams(network, count))


def transformer(file, header):
    """Likewise."""
    model = nn.transformer(file, header)
    return lambda: Transformer(model, header)


class Transformer(Network):
    def __init__(self, model, header):
        self.model, self.header = model, header

    def begin(self, lanes):
        self.lanes = [nn.Lane(self.model, lane.length, self.header) for lane in lanes]

    def all_weights(self, symbols):
        return [nn.weights(lane.logits_after(symbol)) for lane, symbol in zip(self.lanes, symbols)]


# ---- Mixing with an opinion ---------------------------------------------------------------------


class Mix(Cm):
    """The first guide's opinion stands where the network's does, a second one's where the state's does."""

    def __init__(self, store, block, part, guides, start):
        self.guides, self.start, self.coded = guides, start, 0
        super().__init__(5, store, block, part)
        self.adaptive.append(AdaptiveMap())
        if start:
            start.begin(self)
        starts = enumerate(part[:: block.lane_length])
        self.lanes = [Lane(i, a, min(a + block.lane_length, part.stop)) for i, a in starts]
        for lane in self.lanes:
            lane.past, lane.matches = PastOfLane(self.past), self.new_matches(lane.start)

    def begin_layers(self, width):
        row = [100] * 2 * (self.N + 2) + [500] * 3 * len(self.matches) + [16384] + [0] * 5
        first, second = [row] * 9, [[65536 // 9] * 9] * 2
        if self.start:
            first, second = self.start.first, self.start.second
        if len(self.guides) == 2:
            first = [[*row[:42], (5 * row[42]) >> 3, *row[43:45], 8192, 0, 0] for row in first]
        self.first = FirstLayerOfMix(rows_that_start_with(first, [*rows_of_sets(self.N), 192]))
        self.second = SecondLayer(rows_that_start_with(second, [256, 256]))

    def begin(self):
        for guide in self.guides:
            guide.begin(self.lanes)

    def step(self, decoder, step):
        lanes, content = [lane for lane in self.lanes if step < lane.length], self.block.content
        symbols = [content[lane.start + step - 1] if step else 256 for lane in lanes]
        for guide in self.guides:
            guide.step(symbols)
        for lane, symbol in zip(lanes, symbols):
            self.turn_to(lane)
            if step:
                self.take_in(symbol)
            b = content[lane.start + step] = self.decode_byte(decoder)
            for guide in self.guides:
                guide.end_byte(b)
            self.first.end_byte(self.coded)
            self.coded += 1

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
        for counters, (by_length, by_byte) in zip(mix.counters, self.matches):
            counters.by_bucket.entries = [p << 16 | 30 for p in by_length]
            counters.by_byte.entries = [p << 16 | 30 for p in by_byte]
        mix.adaptive[3].curves[:192] = [list(curve) for curve in self.curves]
