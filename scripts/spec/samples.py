"""docs/format/samples.md: images and audio."""
import math
import struct
from operator import mul
from pathlib import Path

from .basics import U32, all_clamped, blake3, clamp, require, towards_zero
from .cm import RangeDecoder, squash, stretch, wrap32


def decode(profile, kind, parameter, payload, n):
    """The content of a block of kinds 2 to 5, 12 and 13."""
    decoder, effort = RangeDecoder(payload), Effort(profile, kind, parameter, n)
    narrow = narrow_audio(kind, parameter)
    network = Network.of_kind(narrow[1].z + 3 if narrow else kind) if effort.mixture else None
    if kind <= 3:
        model = Image(effort, parameter, 1 if kind == 2 else 3, n, network)
    elif kind == 13:
        model = Deep(effort, parameter, n // 2)
    elif narrow:
        model = Audio(effort, *narrow, network)
    else:
        model = Wide(effort, parameter)
    content = bytearray()
    while len(content) < n:
        content += model.code(decoder, content, n)
    return bytes(content)


class Effort:
    """What the profile says; colour of profile 6 is as in profile 5."""

    def __init__(self, profile, kind, parameter, length):
        column = 0 if profile <= 2 else 1 if profile <= 4 else 2
        self.filters, self.patience = column + 1, 3 - column
        contexts = [(4, 4, 4), (9, 9, 8), (9, 12, 8)][column]
        self.contexts = contexts[parameter & 1 if kind == 13 else min(kind - 2, 2)]
        samples = length // 2 if kind == 13 else length
        self.T = clamp(max(samples, 1).bit_length(), 6, 12 + column)
        self.mixture = profile == 6 and (kind == 2 or narrow_audio(kind, parameter) is not None)


class Integer:
    """How an integer lies in its bytes."""

    def __init__(self, z, is_signed, order):
        self.z, self.is_signed, self.order = z, is_signed, order

    def bytes(self, value):
        if not self.is_signed:
            value += 2 ** (8 * self.z - 1)
        return value.to_bytes(self.z, self.order, signed=self.is_signed)


def narrow_audio(kind, parameter):
    """Channels and numbers of what is coded as audio; else None."""
    if kind in (4, 5):
        return parameter, Integer(kind - 3, kind == 5, "little")
    number, shift = parameter >> 3 & 31, parameter >> 8
    if kind == 12 and shift == 0 and number & 3 < 2:
        return (parameter & 7) + 1, Integer((number & 3) + 1, number >> 2 & 3 == 0, "big" if number >> 4 else "little")
    return None


def bits(x):
    return x.bit_length()


def q(d):
    s = min(1 + bits(abs(d) - 1), 7) if d else 0
    return 7 + s if d >= 0 else 7 - s


def level(e):
    v = e + 32
    k = bits(v) - 1
    return min(2 * (k - 5) + (v >> (k - 1) & 1), 23)


# ---- A sample as questions ----------------------------------------------------------------------


def tail_table():
    table = []
    for i in range(1282):
        a, b = math.exp(-i / 32), math.exp(-i / 96)
        table.append(math.floor(2**31 * (0.9 * a / (1 + a) + 0.1 * b / (1 + b)) + 0.5))
    return table


TAIL = tail_table()
R = [655360 // (10 * n + 16) for n in range(128)]
LOWEST, HIGHEST = (2**31, 0), (0, 2**31)  # (above, below) of an edge below and above everything


def edge(mean, scale, v):
    d = 256 * v - 128 - mean
    e = clamp(scale, 16, 2**40)
    k = bits(e - 1) - 16 if bits(e - 1) > 24 else 0
    t = min((abs(d) * (2 ** (28 + k) // e)) >> (7 + k), 1280 << 16)
    j, f = t >> 16, t & 65535
    tail = TAIL[j] - (((TAIL[j] - TAIL[j + 1]) * f) >> 16)
    return (tail, 2**31 - tail) if d >= 0 else (2**31 - tail, tail)


def share(low, mid, high):
    if low[0] <= 2**30:
        u, a = mid[0] - high[0], low[0] - high[0]
    else:
        u, a = high[1] - mid[1], high[1] - low[1]
    return clamp((65536 * max(u, 0) + 32768) // (a + 1), 16, 65520)


class Bell:
    """One thing that has edges, and the interval in which the sample is known to be."""

    def __init__(self, mean, scale):
        self.mean, self.scale = mean, scale
        self.low, self.high = LOWEST, HIGHEST

    def look(self, v):
        self.edge = self.edge_at(v)
        return share(self.low, self.edge, self.high)

    def edge_at(self, v):
        return edge(self.mean, self.scale, v)

    def narrow(self, y):
        if y:
            self.low = self.edge
        else:
            self.high = self.edge


class Forecast:
    """What the image or audio model gives for a sample."""

    def __init__(self, bells, contexts, level, gate, mixture=None):
        self.bells = [Bell(mean, scale) for mean, scale in bells]
        self.contexts, self.level, self.gate, self.mixture = contexts, level, gate, mixture
        self.narrowed = self.bells + ([mixture] if mixture else [])


class Questions:
    def __init__(self, least, most, bells, effort):
        self.least, self.most, self.T, self.mixture = least, most, effort.T, effort.mixture
        self.tables = [[0] * (8 << effort.T) for _ in range(effort.contexts)]
        if self.mixture:
            first = [0] * bells + [65536] + [0] * effort.contexts
        else:
            first = [45000 // bells] * bells + [14000 // effort.contexts] * effort.contexts
        self.weights = [[list(first) for _ in range(rows)] for rows in (256, 24 * 16, 64 * 16)]
        self.last = [[21845] * 3 for _ in range(256)]
        points = [squash(128 * (j - 16)) for j in range(33)]
        self.curves = [[list(points) for _ in range(rows)] for rows in (24 * 16, 64 * 16)]
        self.hurry = 8192

    def sample(self, decoder, forecast):
        self.decoder, self.forecast = decoder, forecast
        bell = forecast.bells[0]
        centre = clamp((bell.mean + 128) >> 8, self.least, self.most)
        first = bits((bell.scale * 3 // 4) >> 8)
        kind = min(first, 3)
        upper = 1 if centre == self.least else self.ask(127, kind, centre)
        far = self.most - centre if upper else centre - 1 - self.least
        sign, side = (1 if upper else -1), 128 * upper
        near, width, step = 0, 2**first, 0
        while near + width <= far:
            if self.ask(side + 8 * min(step, 14), kind, centre + sign * (near + width)) != upper:
                break
            near += width
            width = near
            step += 1
        place = 1
        while width > 1:
            width //= 2
            farther = 0
            if near + width <= far:
                border = centre + sign * (near + width)
                if place < 8:
                    bit = self.ask(side + 8 * min(step, 14) + place, kind, border)
                else:
                    bit = decoder.bit(32768) if place >= 65536 else self.ask_bell(border)
                farther = int(bit == upper)
            if farther:
                near += width
            place = 2 * place + farther
        return centre + near if upper else centre - 1 - near

    def ask_bell(self, v):
        bell = self.forecast.mixture or self.forecast.bells[0]
        y = self.decoder.bit(bell.look(v))
        bell.narrow(y)
        return y

    def ask(self, node, kind, v):
        opinions = [stretch(bell.look(v)) for bell in self.forecast.bells]
        if self.mixture:
            guess = self.forecast.mixture.look(v)
            opinions.append(stretch(guess))
        else:
            guess = squash(towards_zero(sum(opinions), len(opinions)))
        counters = self.find_counters(node, kind, guess)
        opinions += [stretch(table[i] >> 16) for table, i in counters]
        x = [clamp(opinion, -2047, 2047) for opinion in opinions]
        where = 15 if node == 127 else 7 * (node >> 7) + 2 * min(node >> 3 & 15, 2) + (node & 7 != 0)
        by_level, by_gate = 16 * self.forecast.level + where, 16 * self.forecast.gate + where
        rows = [weights[row] for weights, row in zip(self.weights, (node, by_level, by_gate))]
        out = [clamp(sum([p >> 8 for p in map(mul, x, row)]) >> 8, -2047, 2047) for row in rows]
        last = self.last[node]
        st = clamp(sum((a * w) >> 8 for a, w in zip(out, last)) >> 8, -2047, 2047)
        j, f = st + 2048 >> 7, st + 2048 & 127
        curves = [self.curves[0][by_level], self.curves[1][by_gate]]
        r = [(points[j] * (128 - f) + points[j + 1] * f) >> 7 for points in curves]
        y = self.decoder.bit(clamp((2 * squash(st) + r[0] + r[1]) // 4, 1, 65535))
        self.learn_weights(y, x, rows, out, last, st)
        self.learn_curves(y, curves, j + 1 if f >= 64 else j)
        self.learn_counters(y, counters)
        for bell in self.forecast.narrowed:
            bell.narrow(y)
        return y

    def find_counters(self, node, kind, guess):
        salt = ((node >> 3) * 4 + kind + 1) * 0x2545F491
        counters = []
        for table, c in zip(self.tables, self.forecast.contexts):
            key = (c * 0x9E3779B1 + salt) & U32
            line = ((key ^ key >> 15) * 0x85EBCA6B & U32) >> (32 - self.T)
            i = 8 * line + (node & 7)
            if table[i] == 0:
                table[i] = guess << 16
            counters.append((table, i))
        return counters

    def learn_weights(self, y, x, rows, out, last, st):
        if self.mixture:
            rate = 2
        else:
            self.hurry = max(self.hurry - 1, 0)
            rate = 4 + (self.hurry >> 10)
        for row, a in zip(rows, out):
            step = ((65536 * y - squash(a)) * rate >> 3) >> 3
            row[:] = all_clamped([w + (v * step + 4096 >> 13) for w, v in zip(row, x)], -(2**19), 2**19)
        step = (65536 * y - squash(st)) >> 3
        last[:] = all_clamped([w + (a * step + 8192 >> 14) for w, a in zip(last, out)], -(2**19), 2**19)

    def learn_curves(self, y, curves, nearer):
        for points in curves:
            points[nearer] += (65535 * y - points[nearer]) >> 6

    def learn_counters(self, y, counters):
        target = 2**22 - 1 if y else 0
        for table, i in counters:
            p, n = table[i] >> 10, table[i] & 1023
            p += ((target - p) * R[n]) >> 16
            table[i] = p << 10 | min(n + 1, 127)


# ---- Least squares ------------------------------------------------------------------------------


def wrap64(x):
    return ((x + 2**63) & (2**64 - 1)) - 2**63


def scaled(x, v):
    return wrap64((x * v) >> 62)


class Near:
    """The window of an image: M, P and R are triangles of sums, kept row by row."""

    def __init__(self, row, block, blocks, order):
        self.row, self.block, self.blocks, self.current = row, block, blocks, 0
        self.R = [triangle(order) for _ in range(blocks)]
        self.P = triangle(order)

    def weight(self, squares):
        column = squares.seen % self.row
        if column % self.block == 0:
            self.start_block(squares, column)
        return 256

    def start_block(self, squares, column):
        R, M = self.R, squares.M
        R[self.current] = combined(lambda r, m: (r >> 3) * 5 + m, R[self.current], M)
        self.current = c = column // self.block % self.blocks
        near = R[max(c - 1, 0)], R[c], R[min(c + 1, self.blocks - 1)]
        self.P = combined(lambda *r: sum(r), *near)
        squares.M = triangle(squares.n)

    def all_moments(self, M):
        return combined(int.__add__, M, self.P)


class Recent:
    """The window of audio, and of one filter of an image."""

    def __init__(self, memory):
        self.memory, self.newest = memory, 2**24

    def weight(self, squares):
        k = max(min(self.memory, bits(squares.seen) + 1), 4)
        self.newest += self.newest >> k
        if self.newest >= 2**25:
            self.newest >>= 1
            squares.M = combined(lambda m: m >> 1, squares.M)
        return self.newest >> 16

    def all_moments(self, M):
        return M


def triangle(n):
    return [[0] * (i + 1) for i in range(n + 1)]


def combined(operation, *triangles):
    """A triangle of what the operation makes of the elements at each place."""
    return [list(map(operation, *rows)) for rows in zip(*triangles)]


class LeastSquares:
    most, calm, point = 16383, 14, 16

    def __init__(self, order, window, period, ridge):
        self.n, self.window, self.period, self.ridge = order, window, period, ridge
        self.w, self.M, self.seen = [0] * order, triangle(order), 0

    def predict(self, inputs):
        self.x = [clamp(v, -self.most, self.most) for v in inputs]
        return clamp(sum(map(mul, self.x, self.w)) >> 8, -(2**24), 2**24)

    def update(self, target, trust):
        x = self.x + [clamp(target, -self.most, self.most)]
        factor = trust * self.window.weight(self)
        for row, v in zip(self.M, x):
            v *= factor
            row[:] = [m + v * u for m, u in zip(row, x)]
        if self.seen % self.period == 0:
            self.solve()
        self.seen += 1

    def solve(self):
        n, A = self.n, self.window.all_moments(self.M)
        largest = 2**26 + max(A[i][i] for i in range(n))
        up = 62 - bits(largest)
        r = (self.ridge * 65536 + (largest >> self.calm)) << up
        L, inverse = [], []
        for i in range(n + 1):
            row = []
            for j in range(min(i, n)):
                left = wrap64((A[i][j] << up) - sum(map(mul, row, L[j])))
                row.append(scaled(left, inverse[j]))
            if i < n:
                s = wrap64((A[i][i] << up) + r - sum(map(mul, row, row)))
                if s < 2**32:
                    return
                row.append(math.isqrt(s))
                inverse.append(2**62 // row[i])
            L.append(row)
        self.substitute(L, inverse)

    def substitute(self, L, inverse):
        b = [wrap64(v << self.point) for v in L[self.n]]
        for i in range(self.n - 1, -1, -1):
            self.w[i] = w = clamp(scaled(b[i], inverse[i]), -(16 << self.point), 16 << self.point)
            for k in range(i):
                b[k] = wrap64(b[k] - L[i][k] * w)


class FineSquares(LeastSquares):
    """Those of wide audio."""

    most, calm, point = 2**20 - 1, 18, 22

    def predict_exactly(self, inputs, apply):
        self.x = [clamp(apply(v), -self.most, self.most) for v in inputs]
        return wrap64(sum(map(mul, inputs, self.w))) >> 14


# ---- Images -------------------------------------------------------------------------------------

OWN = [(1, 0), (0, 1), (1, 1), (-1, 1), (2, 0), (0, 2), (-1, 2)]
OWN += [(1, 2), (2, 1), (-2, 1), (3, 0), (0, 3), (-2, 2), (2, 2)]


class Neighbours:
    """What is seen of the samples before the one at `at`."""

    def __init__(self, past, row, step, middle):
        self.middle = middle
        self.past, self.at, self.row, self.step = past, len(past), row, step
        column = self.at % row
        self.channel, self.X, self.Y, self.width = column % step, column // step, self.at // row, -(-row // step)
        self.own = own = [self.sample(left, up, 0) for left, up in OWN]
        W, N, NW, NE, WW, NN, NNE = own[:7]
        self.base, self.rise, self.others = (W + N + 1) >> 1, 0, []
        self.one = [W + N - NW, W + NE - N, NW, NE, WW, NN]
        self.two = [N + NE - NNE, W - NW + NE, WW, NN, NW, NE]
        if step == 3:
            self.look_at_colours()

    def sample(self, left, up, shift):
        x, Y = self.X - left, self.Y
        if up > Y or x < 0 or x >= self.width:
            up = min(up, Y)
            if up == 0 and x < 0 and Y > 0:
                x, up = 0, 1
            elif up == 0:
                x = min(x, self.X - 1)
            else:
                x = clamp(x, 0, self.width - 1)
        position = self.at - (up * self.row + (self.X - x) * self.step + shift)
        return self.past[position] if 0 <= position < self.at else self.middle

    def look_at_colours(self):
        for back in (1, 2):
            known = back <= self.channel
            shift = back if known else back - 3
            there = w, n, nw, ne, ww, nn = [self.sample(left, up, shift) for left, up in OWN[:6]]
            b = (w + n + 1) >> 1
            if known:
                h = self.past[self.at - back]
                values = [own + h - other for own, other in zip(self.own, there)]
                if back == 1:
                    self.one, self.rise = values, h - b
                else:
                    self.two = values
                self.others.append(h - b)
            self.others += [w - b, nw - b, ne - b, ww - b]


class Channel:
    """Filters, spread and bias of one channel of an image."""

    def __init__(self, effort, row, step, c, bells, coarser):
        pixels = -(-(row - c) // step)
        # Own neighbours of gray and of colour, others, block of the window near (0: recent), period.
        plans = [(14, 6, 8 + c, 8, 4), (6, 4, 4 + c, 4, 4), (14, 10, 8 + c, 0, 8)]
        self.filters, self.own = [], []
        for gray, colour, others, block, period in plans[: effort.filters]:
            own, order = (gray, gray) if step == 1 else (colour, colour + others)
            window = Near(pixels, block, min(-(-pixels // block), 4096), order) if block else Recent(10)
            self.own.append(own)
            self.filters.append(LeastSquares(order, window, period * effort.patience, 2))
        self.spread = [[(24 + 12 * (l % 2)) << (l // 2 + coarser) for l in range(24)] for _ in range(bells)]
        self.bias = [[0] * 24 for _ in range(64)]


class Image:
    error_max = 65535

    def __init__(self, effort, row, step, length, network, least=0, most=255, coarser=0):
        self.least, self.most, self.coarser = least, most, coarser
        self.effort, self.row, self.step, self.network = effort, row, step, network
        self.bells = 5 + effort.filters
        self.questions = Questions(least, most, self.bells, effort)
        row_of_block = min(row, max(length, step))
        self.channels = [Channel(effort, row_of_block, step, c, self.bells, coarser) for c in range(step)]
        places = 2 * min(row, length) + 16
        self.H = clamp(1 << bits(places - 1), 2**10, 2**18)
        self.errors, self.residues = [[0] * self.bells for _ in range(self.H)], [0] * self.H
        self.grid = [[1024] * 8, [1024] * 8]

    def code(self, decoder, past, _):
        return bytes([self.sample(decoder, past, 128)])

    def bound(self, m):
        return clamp(m, self.least - 1 << 8, self.most + 1 << 8)

    def unit(self):
        return 1

    def sample(self, decoder, past, middle):
        self.at = len(past)
        self.seen = Neighbours(past, self.row, self.step, middle)
        self.channel = self.channels[self.seen.channel]
        self.look_around()
        self.predict_bells()
        mixture = mixture_of_gray(self) if self.network else None
        contexts, gate = self.context_values(), self.gate()
        forecast = Forecast(self.bells_and_scales(), contexts, self.levels[0], gate, mixture)
        v = self.questions.sample(decoder, forecast)
        self.learn(v)
        return v

    def look_around(self):
        row, step, at = self.row, self.step, self.at
        backs = [step, row, row + step, max(row - step, 0), 2 * step, 2 * row]
        self.around = [(at - back if back <= at else at) % self.H for back in backs]
        near = [self.errors[i] for i in self.around]
        self.local = [sum(map(mul, (3, 3, 2, 2, 1, 1), e)) // 12 for e in zip(*near)]
        if self.seen.channel > 0:
            before = self.errors[(at - 1) % self.H]
            self.local = [(2 * l + e) // 3 for l, e in zip(self.local, before)]

    def predict_bells(self):
        seen = self.seen
        W, N, NW, NE = seen.own[:4]
        means = [
            clamp(W + N - NW, min(W, N), max(W, N)) << 8,
            self.bound((2 * (W + N) + NE - NW + 2 * seen.rise) << 6),
            self.bound((seen.base + seen.rise) << 8),
        ]
        for own, squares in zip(self.channel.own, self.channel.filters):
            inputs = [v - seen.base for v in seen.own[:own]] + seen.others[: squares.n - own]
            means.append(self.bound((seen.base << 8) + squares.predict(inputs)))
        self.blend = self.blended(means)
        gradients = abs(W - NW) + abs(N - NW) + abs(N - NE)
        self.activity = min(self.local[5:]) + 16 * gradients
        self.texture = 0
        for own in seen.own[:6]:
            self.texture = 2 * self.texture + (own << 8 > self.blend)
        self.levels = [level(e >> self.coarser) for e in [self.activity] + self.local[1:]]
        bias = self.channel.bias[self.texture][self.levels[0]]
        mean = self.bound(self.blend + (bias >> 6))
        self.means = [mean, mean] + means
        self.centre = clamp((mean + 128) >> 8, self.least, self.most)

    def blended(self, means):
        shares = []
        for i, local in enumerate(self.local[2:], 2):
            s = local + 64
            shares.append(2**40 // (8 * s * s if i < 5 else s * s))
        return towards_zero(sum(map(mul, shares, means)), sum(shares))

    def bells_and_scales(self):
        scales = [spread[l] * 11 // 16 for spread, l in zip(self.channel.spread, self.levels)]
        return zip(self.means, scales)

    def context_values(self):
        seen, centre, means = self.seen, self.centre, self.means
        W, N, NW, NE = seen.own[:4]
        a = self.levels[0]
        r = [self.residues[i] for i in self.around[:4]]
        mix, near, fil = self.mix, self.near, self.fil
        one, two = [self.x(v) for v in seen.one], [self.x(v) for v in seen.two]
        values = [
            mix(self.q(r[0]), self.q(r[1])),
            mix(one[0], one[1]),
            hash(W, N, NW, NE, centre),
            mix(one[0], one[1], two[0], two[1]),
            15 * near(W) + near(N),
            8 * self.texture + a // 3,
            mix(self.q(r[2]), self.q(r[3]), a // 6),
            mix(near(means[2] >> 8), near(seen.base + seen.rise), a // 6),
            4 * centre + a // 6 & U32,
            mix(one[0], one[1], one[2], one[3]),
            mix(one[1], two[1], fil(0)),
            mix(one[0], two[0], fil(2)),
        ]
        return values[: self.effort.contexts]

    def q(self, d):
        return q(towards_zero(d, self.unit()))

    def near(self, v):
        return self.q(v - self.centre)

    def x(self, v):
        return clamp(v - self.centre, -7, 7) + 7

    def fil(self, i):
        mean = self.means[5 + i] if 5 + i < self.bells else 0
        return self.x((mean + 128) >> 8)

    def mix(self, *values):
        h = self.seen.channel
        for v in values:
            h = (15 * h + v) & U32
        return h

    def gate(self):
        W, N, _, NE, _, _, NNE = self.seen.own[:7]
        if self.step == 1:
            return self.q(N - W) + 16 * (self.q(NNE - NE) // 4)
        channel = self.seen.channel
        return 16 * channel + self.q(self.residues[(self.at - 1) % self.H] if channel > 0 else 0)

    def learn(self, v):
        errors = [min(abs((v << 8) - mean), self.error_max) for mean in self.means]
        self.errors[self.at % self.H] = errors
        for spread, l, e in zip(self.channel.spread, self.levels, errors):
            spread[l] += (e - spread[l]) >> 5
        self.residues[self.at % self.H] = v - self.centre
        self.learn_grid(abs((v << 8) - self.means[0]))
        for squares in self.channel.filters:
            calm = 8 << self.coarser
            squares.update(v - self.seen.base, max(128 * calm // (calm + (self.activity >> 8)), 1))
        bias = self.channel.bias[self.texture]
        a = self.levels[0]
        most = self.unit() << 12
        bias[a] += clamp((v << 8) - self.blend - (bias[a] >> 6), -most, most)

    def learn_grid(self, e):
        for g, place in zip(self.grid, (self.at % self.row % 8, self.seen.Y % 8)):
            g[place] += (e - g[place]) >> 6


class Deep(Image):
    """Images of 16 bits."""

    error_max = 2**32 - 1

    def __init__(self, effort, parameter, length):
        number, self.shift = parameter >> 1 & 31, parameter >> 6 & 15
        self.is_unsigned, self.order = number >> 2 & 3, "big" if number >> 4 else "little"
        step, row = 3 if parameter & 1 else 1, parameter >> 10
        super().__init__(effort, row, step, length, None, -32768 >> self.shift, 32767 >> self.shift, 2)
        self.samples, self.low = [], [RareBit() for _ in range(16)]

    def code(self, decoder, past, n):
        if n - len(past) < 2:
            return bytes([byte_of_even_bits(decoder)])
        value = self.sample(decoder, self.samples, 0)
        self.samples.append(value)
        for place in reversed(range(self.shift)):
            value = 2 * value + self.low[place].code(decoder)
        return (value + 32768 * self.is_unsigned & 65535).to_bytes(2, self.order)

    def unit(self):
        return max(self.activity >> 9, 1)

    def blended(self, means):
        s = [local + 64 for local in self.local[2:]]
        shares = [max((min(s) << 10) // v, 1) ** 2 * (1 if i < 3 else 8) for i, v in enumerate(s)]
        return towards_zero(sum(map(mul, shares, means)), sum(shares))


def hash(*values):
    h = 0
    for v in values:
        h = (h + v + 1) * 0x2C1B3C6D & U32
        h = (h << 13 | h >> 19) & U32
    return h


# ---- Audio --------------------------------------------------------------------------------------


class Stage:
    """One stage of the cascade; values and weights stand by age, the newest first."""

    def __init__(self, order, rate, most=2**18):
        self.order, self.rate, self.power, self.most = order, rate, 0, most
        self.values, self.weights = [0] * order, [0] * order

    def prediction(self):
        return clamp(sum(map(mul, self.weights, self.values)) >> 12, -32 * self.most, 32 * self.most)

    def update(self, value, error):
        error = clamp(error, -self.most << 8, self.most << 8)
        gain = towards_zero(error << (28 - self.rate), self.power + 16 * self.order + 1)
        gain = clamp(gain, -(2**30), 2**30)
        changed = [w + (gain * v + 32768 >> 16) for w, v in zip(self.weights, self.values)]
        self.weights = all_clamped(changed, -(2**22), 2**22)
        newest = clamp(value, -self.most, self.most)
        self.power += newest**2 - self.values[-1] ** 2
        self.values = [newest] + self.values[:-1]


class Voice:
    """What one channel of audio has for its own."""

    def __init__(self, effort, channels, z):
        others = 8 if channels > 1 else 0
        plans = [(20, 7, 8), (32, 9, 8), (12, 6, 4)][: effort.filters]
        self.own = [own for own, _, _ in plans]
        self.filters = [
            LeastSquares(own + others, Recent(memory), period * effort.patience, 1) for own, memory, period in plans
        ]
        self.cascade = [Stage(256, 5), Stage(32, 5), Stage(16, 4)]
        self.errors = [[512 if z == 1 else 8192] * 3 for _ in range(3 + len(plans))]
        self.h, self.d = [0] * 32, [0] * 256
        self.count = 0


def bound_of_audio(m):
    return clamp(m, -8388352, 8388352)


class Audio:
    def __init__(self, effort, channels, number, network):
        self.effort, self.K, self.number, self.network = effort, channels, number, network
        self.z = z = number.z
        self.lift = 6 if z == 1 else 0
        most = 2 ** (8 * z - 1) - 1
        self.questions = Questions(-most - 1, most, 3 + effort.filters, effort)
        self.voices = [Voice(effort, channels, z) for _ in range(channels)]
        if network:
            for squares in (squares for voice in self.voices for squares in voice.filters):
                begin_as_after_speech(squares, 8 if channels > 1 else 0, z)

    def code(self, decoder, past, n):
        if self.z == 2 and n - len(past) == 1:
            return bytes([byte_of_even_bits(decoder)])
        channel = len(past) // self.z % self.K
        self.voice, self.before = self.voices[channel], self.voices[channel - 1]
        self.predict_bells()
        f, m, s = self.levels
        gate = f * 2 // 3 + 16 * (s // 6)
        mixture = mixture_of_audio(self) if self.network else None
        forecast = Forecast(self.bells_and_scales(), self.context_values(), m, gate, mixture)
        v = self.questions.sample(decoder, forecast)
        self.learn(v)
        return self.number.bytes(v)

    def predict_bells(self):
        voice = self.voice
        self.g = bits(max(1, max(map(abs, voice.h))))
        filtered = []
        for own, squares in zip(voice.own, voice.filters):
            heard = (self.before.h[:8] if self.K > 1 else []) + voice.h[:own]
            filtered.append(bound_of_audio(self.undo(squares.predict(map(self.apply, heard)))))
        shares = [2**52 // (errors[1] + 32) ** 2 for errors in voice.errors[3:]]
        self.mean_2 = towards_zero(sum(map(mul, shares, filtered)), sum(shares))
        self.parts = [stage.prediction() >> self.lift for stage in voice.cascade]
        mean = bound_of_audio(self.mean_2 + sum(self.parts))
        self.means = [mean, mean, self.mean_2] + filtered
        self.centre = (mean + 128) >> 8
        self.levels = [level(e) for e in voice.errors[0]]

    def apply(self, x):
        return x >> (self.g - 13) if self.g > 13 else x << (13 - self.g)

    def undo(self, x):
        return x << (self.g - 13) if self.g > 13 else x >> (13 - self.g)

    def bells_and_scales(self):
        scales = [((3 * f + 2 * m + s) // 6) * 11 // 16 for f, m, s in self.voice.errors]
        scales[1] = self.voice.errors[1][0] * 11 // 16
        return zip(self.means, scales)

    def context_values(self):
        voice, means = self.voice, self.means
        f, m, s = self.levels
        h, d, mean, pair = voice.h, voice.d, means[0], self.pair
        values = [
            32 * f + m,
            pair(d[0] << 8, d[1] << 8),
            32 * m + s,
            self.centre & 255 if self.z == 1 else pair(self.parts[0], self.parts[1]),
            pair(means[3] - mean, means[2] - mean),
            pair((h[0] << 8) - mean, ((2 * h[0] - h[1]) << 8) - mean),
            8 * m + (mean >> 5 & 7),
            32 * f + s,
        ]
        return values[: self.effort.contexts]

    def pair(self, a, b):
        u = max(self.voice.errors[0][1] * 3 // 8, 1)
        return 15 * q(towards_zero(a, u)) + q(towards_zero(b, u))

    def learn(self, v):
        voice = self.voice
        for errors, mean in zip(voice.errors, self.means):
            e = abs((v << 8) - mean)
            errors[:] = [old + ((e - old) >> by) for old, by in zip(errors, (3, 5, 7))]
        for squares in voice.filters:
            squares.update(self.apply(v), 64)
        rest = (v << 8) - self.mean_2
        for stage, part in zip(voice.cascade, self.parts):
            stage.update(rest >> (8 - self.lift), (rest - part) << self.lift)
            rest -= part
        voice.d = [v - self.centre] + voice.d[:-1]
        voice.h = [v] + voice.h[:-1]
        voice.count += 1


def byte_of_even_bits(decoder):
    byte = 0
    for _ in range(8):
        byte = 2 * byte + decoder.bit(32768)
    return byte


# ---- Wide audio ---------------------------------------------------------------------------------


class RareBit:
    def __init__(self, p=4096):
        self.p = p

    def code(self, decoder):
        y = decoder.bit(max(self.p, 1))
        self.p += ((65535 if y else 0) - self.p) >> 5
        return y


def fine(e):
    v = e + 32
    k = bits(v) - 1
    return 2 * (k - 5) + (v >> (k - 1) & 1)


class WideVoice:
    def __init__(self, effort, others, top):
        plans = [(32, 8, 11), (16, 16, 9), (24, 16, 10)][: effort.filters]
        self.sizes = [(own, min(other, others)) for own, other, _ in plans]
        self.filters = [
            FineSquares(own + other, Recent(memory), 8 * effort.patience, 1)
            for (own, other), (_, _, memory) in zip(self.sizes, plans)
        ]
        self.cascade = [Stage(256, 5, 2**26), Stage(32, 5, 2**26), Stage(16, 4, 2**26)]
        self.errors = [[top // 64] * 3 for _ in range(3 + len(plans))]
        self.h, self.d, self.seen = [0] * 32, [0, 0], 0

    def pair(self, a, b):
        return 15 * self.of_unit(a) + self.of_unit(b)

    def of_unit(self, a):
        return q(clamp(towards_zero(a, max(self.errors[0][1] * 3 // 8, 1)), -65536, 65536))


class Wide:
    def __init__(self, effort, parameter):
        number, self.shift = parameter >> 3 & 31, parameter >> 8
        self.K, self.z, self.kind = (parameter & 7) + 1, (number & 3) + 1, number >> 2 & 3
        self.order = "big" if number >> 4 else "little"
        self.effort = effort
        half = 2 ** (8 * self.z - 1)
        most = (half - 1) >> self.shift
        self.top = most << 8
        self.questions = Questions(-half >> self.shift, most, 3 + effort.filters, effort)
        self.voices = [WideVoice(effort, 16 if self.K > 1 else 0, self.top) for _ in range(self.K)]
        self.escape, self.low = RareBit(), [RareBit() for _ in range(32)]
        self.rests = [RareBit() for _ in range(24)], [RareBit(32768) for _ in range(24)]
        self.had_rest = False

    def code(self, decoder, past, n):
        if n - len(past) < self.z:
            return bytes([byte_of_even_bits(decoder)])
        channel = len(past) // self.z % self.K
        self.voice, self.before = self.voices[channel], self.voices[channel - 1]
        number = self.number(decoder) & (1 << 8 * self.z) - 1
        return number.to_bytes(self.z, self.order)

    def number(self, decoder):
        if self.kind == 2 and self.escape.code(decoder):
            self.voice.h = [0] + self.voice.h[:-1]
            return int.from_bytes(bytes(byte_of_even_bits(decoder) for _ in range(4)), "big")
        value = self.sample(decoder)
        for place in reversed(range(self.shift)):
            value = 2 * value + self.low[place].code(decoder)
        if self.kind == 2:
            return self.float(decoder, value)
        return value + (2 ** (8 * self.z - 1) if self.kind == 1 else 0)

    def float(self, decoder, value):
        size = abs(value)
        n = bits(size)
        if value == 0:
            return 0
        rest = 0
        if n < 24:
            places = self.rests[self.had_rest]
            for place in reversed(range(24 - n)):
                rest = 2 * rest + places[place].code(decoder)
            self.had_rest = rest != 0
        mantissa = (size << (24 - n)) + rest if n <= 24 else size >> (n - 24)
        return (2**31 if value < 0 else 0) | (n + 103) << 23 | mantissa & 2**23 - 1

    def sample(self, decoder):
        self.predict()
        f, m, s = self.levels
        near = lambda a, b: clamp(a + 4 - b, 0, 7)
        scales = [((3 * a + 2 * b + c) // 6) * 11 // 16 for a, b, c in self.voice.errors]
        scales[1] = self.voice.errors[1][0] * 11 // 16
        gate = near(f, m) + 8 * near(m, s)
        forecast = Forecast(zip(self.means, scales), self.context_values(), min(m // 2, 23), gate)
        v = self.questions.sample(decoder, forecast)
        self.learn(v)
        return v

    def predict(self):
        voice = self.voice
        self.g = bits(max(1, max(map(abs, voice.h))))
        filtered = []
        for (own, others), squares in zip(voice.sizes, voice.filters):
            exact = squares.predict_exactly(self.before.h[:others] + voice.h[:own], self.apply)
            filtered.append(clamp(exact, -self.top, self.top))
        s = [errors[1] + 32 for errors in voice.errors[3:]]
        shares = [max((min(s) << 10) // v, 1) ** 2 for v in s]
        mean_2 = towards_zero(sum(map(mul, shares, filtered)), sum(shares))
        self.parts = [stage.prediction() for stage in voice.cascade]
        mean = clamp(mean_2 + sum(self.parts), -self.top, self.top)
        self.means = [mean, mean, mean_2] + filtered
        self.centre = (mean + 128) >> 8
        self.levels = [fine(e) for e in voice.errors[0]]

    def apply(self, x):
        return x >> (self.g - 20) if self.g > 20 else x << (20 - self.g)

    def context_values(self):
        voice, means = self.voice, self.means
        f, m, s = self.levels
        h, d, mean, pair = voice.h, voice.d, means[0], voice.pair
        t = self.before.of_unit(self.before.d[0] << 8) if self.K > 1 else 0
        values = [
            128 * f + m,
            pair(d[0] << 8, d[1] << 8),
            128 * m + s,
            pair(self.parts[0], self.parts[1]),
            pair(means[3] - mean, means[2] - mean),
            pair((h[0] << 8) - mean, ((2 * h[0] - h[1]) << 8) - mean),
            8 * m + (mean >> 5 & 7),
            128 * (15 * t + voice.of_unit(d[0] << 8)) + f,
        ]
        return values[: self.effort.contexts]

    def learn(self, v):
        voice = self.voice
        for errors, mean in zip(voice.errors, self.means):
            e = abs((v << 8) - mean)
            errors[:] = [old + ((e - old) >> min(by, bits(voice.seen))) for old, by in zip(errors, (3, 5, 7))]
        voice.seen += 1
        for squares in voice.filters:
            squares.update(self.apply(v), 1)
        rest = (v << 8) - self.means[2]
        for stage, part in zip(voice.cascade, self.parts):
            stage.update(rest >> 8, rest - part)
            rest -= part
        voice.d = [v - self.centre, voice.d[0]]
        voice.h = [v] + voice.h[:-1]


# ---- Samples profile 6 --------------------------------------------------------------------------


PRETRAINED = Path(__file__).resolve().parents[2] / "crates/lmic/src/predict/samples/pretrained"
FILES = {
    2: ("gray", "ac1178598a7fce73f15a967785c85108"),
    4: ("pcm8", "103f8bbfc31c5dcdcb72538d8435480d"),
    5: ("pcm16", "4fdcd4efc39bd0204c8f3bade19737ca"),
}


class Layer:
    def __init__(self, fields, n, k):
        self.weight = [fields.numbers("b", k) for _ in range(n)]
        self.multiplier, self.bias = fields.numbers("i", n), fields.numbers("i", n)

    def scaled(self, inputs):
        """Without the cut to 32 bits."""
        return [sum(map(mul, row, inputs)) * m >> 24 for row, m in zip(self.weight, self.multiplier)]

    def rect(self, inputs, place=()):
        sums = [wrap32(y) + b for y, b in zip(self.scaled(inputs), self.bias)]
        if place:
            sums = map(int.__add__, sums, place)
        return [clamp(y, 0, 31744) for y in sums]


class Fields:
    """Little-endian numbers from the front of a file."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def numbers(self, type, count):
        found = struct.unpack_from(f"<{count}{type}", self.data, self.at)
        self.at += struct.calcsize(f"<{count}{type}")
        return found


class Network:
    def __init__(self, data):
        fields = Fields(data)
        self.P, S, O, N, _ = fields.numbers("H", 5)
        self.shared = Layer(fields, S, 160)
        self.place = [fields.numbers("h", S) for _ in range(self.P)]
        self.own = [Layer(fields, O, 160) for _ in range(self.P if O else 0)]
        self.second, self.third = Layer(fields, N, S + O), Layer(fields, 12, N)

    @classmethod
    def of_kind(cls, kind):
        name, hash = FILES[kind]
        data = (PRETRAINED / f"{name}.network").read_bytes()
        require(not blake3 or blake3(data).hexdigest()[:32] == hash, "WrongModel", f"another network {name}")
        return cls(data)

    def outputs(self, inputs, place):
        p = place if self.P > 1 else 0
        x = [clamp(v, -1023, 1023) for v in inputs]
        x += [0] * (160 - len(x))
        hidden = self.shared.rect(x, self.place[p])
        if self.own:
            hidden += self.own[p].rect(x)
        hidden = self.second.rect(hidden)
        return [clamp(y + b, -16384, 16384) for y, b in zip(self.third.scaled(hidden), self.third.bias)]


E = [math.floor(2 ** (16 + i / 256) + 0.5) for i in range(256)]


def power_of_two(y):
    """pow(y) of the page."""
    whole = y >> 8
    return E[y & 255] << whole if whole >= 0 else E[y & 255] >> -whole


class Mixture(Bell):
    def __init__(self, y, unit, origin):
        e = [power_of_two(v - max(y[:4])) for v in y[:4]]
        shares = [(v << 16) // sum(e) for v in e]
        shares[0] = 65536 - sum(shares[1:])
        means = [clamp(origin + (v * unit >> 8), -(2**24), 2**24) for v in y[4:8]]
        scales = [min(unit * power_of_two(clamp(v, -2048, 2048)) >> 16, 2**24) for v in y[8:]]
        self.parts = list(zip(shares, means, scales))
        self.low, self.high = LOWEST, HIGHEST

    def edge_at(self, v):
        edges = [(part, edge(mean, scale, v)) for part, mean, scale in self.parts]
        return tuple(sum(part * e[side] for part, e in edges) >> 16 for side in (0, 1))


class View:
    """The measures in which a network sees what is around a sample."""

    def __init__(self, unit, origin):
        self.unit, self.origin = unit, origin

    def far(self, m):
        return (m - self.origin) * (2**30 // self.unit) >> 24

    def dif(self, d, u=None):
        return (d << 8) * (2**30 // (u or self.unit)) >> 24

    def err(self, e):
        return log(e + 16) - log(self.unit + 16)

    def mixture(self, network, inputs, place):
        return Mixture(network.outputs(inputs, place), self.unit, self.origin)


def log(x):
    x = max(x, 1)
    o = bits(x) - 1
    return 64 * o + ((x << 6) >> o) - 64


def mixture_of_gray(image):
    seen, row, at = image.seen, image.row, image.at
    column, Y = at % row, seen.Y
    unit = max(image.channel.spread[0][image.levels[0]], 64)
    view = View(unit, image.means[0])
    inputs = []
    for up in range(9):
        left, right = (7, -7) if 0 < up < 8 else (8, 1) if up == 0 else (0, 0)
        inputs += [view.far(seen.sample(x, up, 0) << 8) for x in range(left, right - 1, -1)]
    inputs += map(view.far, image.means[2:8] + [image.blend])
    inputs += map(view.err, image.local)
    inputs += [log(unit) - 512, log(image.activity) - 512]
    inputs += [view.dif(image.residues[i]) for i in image.around]
    inputs += [((image.means[0] & 255) - 128) >> 2, (image.means[0] >> 7) - 256]
    inputs += [8 * min(column, 16), 8 * min(row - column, 16), 8 * min(Y, 16), log(at + 1) // 4]
    inputs += map(view.err, image.grid[0] + image.grid[1])
    return view.mixture(image.network, inputs, 8 * (Y % 8) + column % 8)


def mixture_of_audio(audio):
    voice, means, parts, h, d = audio.voice, audio.means, audio.parts, audio.voice.h, audio.voice.d
    fast, middle, slow = voice.errors[0]
    unit = max((3 * fast + 2 * middle + slow) // 6, 32)
    loud = 64 + 8 * sum(map(abs, h))
    view = View(unit, means[0])
    inputs = [view.dif(v) for v in d[:16]]
    inputs += [view.err(sum(map(abs, d[8 * i : 8 * i + 8])) << 5) for i in range(32)]
    inputs += [view.dif(v, loud) for v in h + [audio.centre]]
    inputs += map(view.far, means[2:6] + [means[2] + part for part in parts])
    inputs += [view.far(m << 8) for m in (h[0], 2 * h[0] - h[1], 3 * (h[0] - h[1]) + h[2])]
    inputs += [view.err(e) for errors in voice.errors for e in errors]
    inputs += [log(unit) // 2 - 384, log(loud) // 2 - 384, log(voice.count + 1) // 4]
    inputs.append(((means[0] & 255) - 128) >> 2)
    inputs += [view.dif(h[k] - 2 * h[k + 1] + h[k + 2]) for k in range(16)]
    if audio.z == 1:
        inputs += [view.dif(v, 512) for v in h[:16]]
    return view.mixture(audio.network, inputs, 0)


AUTOCORRELATIONS = {
    1: """65536 53458 47403 45523 42321 39152 36370 33501 30547 27671 24852 21838 19106 16754 14752 13289 12113
          11010 10236 9520 8852 8301 7935 7735 7591 7537 7379 7020 6740 6518 6331 6202 6019""",
    2: """65536 52880 46111 43740 40155 36712 33741 30791 27735 24562 21529 18352 15252 12667 10643 9158 8028
          6903 5995 5216 4578 3939 3466 3277 3057 2936 2712 2247 1890 1551 1399 1318 1121""",
}


def begin_as_after_speech(squares, f, z):
    """Fills the moments of a filter as if speech had gone by; f inputs are of another channel."""
    a, n = list(map(int, AUTOCORRELATIONS[z].split())), squares.n
    strength = 32 if z == 1 else 16
    for i in range(f, n + 1):
        for j in range(f, i + 1):
            lag = i - j if i < n or j == n else j - f + 1
            squares.M[i][j] = (a[lag] * strength) << 20
    squares.solve()
