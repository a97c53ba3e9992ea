"""docs/format/mix.md: a network, a primed state, or both, and context mixing together."""
import os
import re
import struct
from math import ceil
from pathlib import Path

from . import nn
from .basics import Failure, blake3, clamp, require
from .cm import LIMIT, PROFILES, AdaptiveMap, Block, Cm, FirstLayer, SecondLayer, Store, Team
from .cm import cut, decode_teams, equal_rows, rows_of_sets, squash

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/format/mix.md").read_text()


def decode_numbered(number, payload, n, most_teams=16, *other_guides, lanes=None):
    """A block with network 6, 7, 8 or 9."""
    file, start = numbered(number)
    lanes = lanes or {6: 1, 7: 2, 8: 8, 9: 8}[number]
    return decode(payload, n, lanes, most_teams, Start(start), recurrent(file), *other_guides)


def numbered(number):
    """The file of a network and that of its start, if they are those of the page."""
    folder = ROOT / "crates/lmic-networks/data"
    files = shards_of_9() if number == 9 else [folder / f"{number}.safetensors"]
    file = nn.ModelFile(*(path.read_bytes() for path in files))
    start = (folder / f"{number}.start").read_bytes()
    if blake3:
        rows = rf"^\| {number} \| .* \| (\w+) \|$"
        identity = re.search(r"Number 9 is the network of identity\s+(\w+)" if number == 9 else rows, PAGE, re.MULTILINE)[1]
        starts = re.search(r"BLAKE3\s+begins\s+with\s+(\w+),\s+(\w+),\s+(\w+)\s+and\s+(\w+)", PAGE).groups()
        require(file.identity().hex() == identity, "WrongModel", f"the network {number}")
        require(blake3(start).hexdigest().startswith(starts[number - 6]), "WrongModel", f"{number}.start")
    return file, start


def shards_of_9():
    """In the model folder, or else in the repository."""
    whole = Path(os.environ.get("LMIC_MODELS", "")) / "lmic-9.safetensors"
    shards = [whole] if whole.exists() else sorted((ROOT / "models/lmic-9").glob("model-*.safetensors"))
    require(shards, "WrongModel", "the network 9 is not here")
    return shards


def decode_named(file, header, payload, n):
    """A block of a stream of model byte C3."""
    require(not file.is_recurrent or header.C == 0, "Corrupt", "windows of a recurrent network")
    network = recurrent(file) if file.is_recurrent else transformer(file, header)
    return decode(payload, n, header.L, 16, None, network)


def decode(payload, n, L, most_teams, start, *guides):
    """The content of a block; `guides` make the guides of a team from the positions of its lanes."""
    lane_length, lanes_of_team, count = lanes_of_a_block(n, L, most_teams)
    block, store, teams = Block(n, lane_length), Store(PROFILES[5], n), []
    for own, team in zip(store.for_teams(count), cut(range(n), lanes_of_team * lane_length)):
        parts = cut(team, lane_length)
        own_guides = [guide(parts) for guide in guides]
        lanes = [Mix(own, block, part, team, number, own_guides, start) for number, part in enumerate(parts)]
        teams.append(TeamOfMix(own, lanes, own_guides))
    decode_teams(teams, payload)
    return bytes(block.content)


# ---- Lanes of a mix -----------------------------------------------------------------------------


def lanes_of_a_block(n, L, most_teams):
    """The length of all lanes but the last, how many lanes a team has, and how many teams there are."""
    T = min(max(n // 1_000_000, 1), most_teams)
    p = ceil(n / T)
    lanes_of_team = min(max(ceil(p / 65536), 1), L)
    return ceil(p / lanes_of_team), lanes_of_team, T


class TeamOfMix(Team):
    def __init__(self, store, lanes, guides):
        super().__init__(store, lanes)
        self.guides = guides

    def step(self, decoder, step):
        parts = [lane.part for lane in self.lanes if step < len(lane.part)]
        content = self.lanes[0].block.content
        symbols = [content[part[step - 1]] if step else 256 for part in parts]
        for guide in self.guides:
            guide.step(symbols)
        super().step(decoder, step)


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
    """Has an opinion on each bit of a team."""

    def step(self, symbols):
        """Before a step, with the last symbols of the lanes that have a byte in it."""

    def turn_to(self, lane):
        """Before a byte of the lane of this number."""

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
        v = [1 + int((min(w, 1.0) if w == w else 1.0) * 8388608) for w in self.weights[lane]]
        self.sums = [0] * 256 + v
        for node in range(255, 0, -1):
            self.sums[node] = self.sums[2 * node] + self.sums[2 * node + 1]

    def opinion(self, node):
        return clamp(log(self.sums[2 * node + 1]) - log(self.sums[2 * node]), -LIMIT, LIMIT)


class Recurrent(Network):
    def __init__(self, streams):
        self.streams = streams

    def all_weights(self, symbols):
        return self.streams.feed(symbols).tolist()


def recurrent(file):
    """What makes the guide of a team; the teams share a network."""
    try:
        from .recurrent import Network, Streams  # not above, as only it needs numpy
    except ImportError:
        raise Failure("not implemented: recurrent networks without the package numpy") from None
    network = Network(file)
    return lambda parts: Recurrent(Streams(network, len(parts)))


def transformer(file, header):
    """Likewise."""
    model = nn.transformer(file, header)
    return lambda parts: Transformer([nn.Lane(model, len(part), header) for part in parts])


class Transformer(Network):
    def __init__(self, lanes):
        self.lanes = lanes

    def all_weights(self, symbols):
        return [nn.weights(lane.logits_after(symbol)) for lane, symbol in zip(self.lanes, symbols)]


# ---- Mixing with an opinion ---------------------------------------------------------------------


class Mix(Cm):
    """The model of a lane, which has this number in its team.

    The first guide's opinion stands where the network's does, a second one's where the state's does.
    """

    def __init__(self, store, block, part, team, number, guides, start):
        self.number, self.guides, self.start = number, guides, start
        super().__init__(5, store, block, part, team)
        self.adaptive.append(AdaptiveMap())
        if start:
            start.begin(self)

    def begin_layers(self, width):
        row = [100] * 2 * (self.N + 2) + [500] * 3 * len(self.matches) + [16384] + [0] * 5
        first, second = [row] * 9, [[65536 // 9] * 9] * 2
        if self.start:
            first, second = self.start.first, self.start.second
        if len(self.guides) == 2:
            first = [[*row[:42], (5 * row[42]) >> 3, *row[43:45], 8192, 0, 0] for row in first]
        self.first = FirstLayerOfMix(rows_that_start_with(first, [*rows_of_sets(self.N), 192]))
        self.second = SecondLayer(rows_that_start_with(second, [256, 256]))

    def decode_byte(self, decoder):
        for guide in self.guides:
            guide.turn_to(self.number)
        b = super().decode_byte(decoder)
        for guide in self.guides:
            guide.end_byte(b)
        return b

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
            match.counters.by_bucket.entries = [p << 16 | 30 for p in by_length]
            match.counters.by_byte.entries = [p << 16 | 30 for p in by_byte]
        mix.adaptive[3].curves[:192] = [list(curve) for curve in self.curves]
