"""docs/format/deflate.md: deflate streams undone."""
import zlib

from .basics import Reader, require
from .copies import Numbers
from .primed import Packed, adaptive_bits

WRONG = ("Corrupt", "parts or recipe of deflate streams")
NAMES = "bytes length row step height stored count link0 link1 distance chunk".split()
BITS = dict.fromkeys("more image same end last padding odd header cut".split(), 1)
BITS |= {"level": 16, "strategy": 4, "memory": 16, "window": 16, "tokens": 16, "around": 4, "kind": 4}
BITS |= {"wrong": 28, "literal": 7, "lengths0": 256, "lengths1": 256}


# ---- Payload ------------------------------------------------------------------------------------


def decode(N, payload, n, decode_part):
    """The content of n bytes; `decode_part` is told kind, parameter, code and length of a part."""
    reader = Reader(payload, WRONG)
    recipe = reader.take(reader.varint())
    parts, left = [], N
    while left or not parts:
        kind = reader.byte()
        parameter = reader.varint() if kind not in (0, 1, 6) else None
        require(kind not in (7, 8, 11) and kind < 16, "NeedsNewer", "an unknown part")
        length = reader.varint()
        require(length <= left and (length or not parts), *WRONG)
        code = reader.take(reader.varint() if kind else length)
        parts.append(decode_part(kind, parameter, code, length))
        left -= length
    require(reader.at == len(payload), *WRONG)
    return Recipe(recipe, parts, n).content()


# ---- Recipe -------------------------------------------------------------------------------------


class Recipe:
    def __init__(self, code, parts, n):
        self.packed, self.n = Packed(code, 250), n
        self.bits = {name: adaptive_bits(count) for name, count in BITS.items()}
        self.numbers = {name: Numbers() for name in NAMES}
        self.bytes, self.images = Reader(parts[0], WRONG), parts[1:]
        self.wrong_before = 0

    def bit(self, name, i=0):
        return self.packed.adaptive(self.bits[name], i)

    def tree(self, name, n, low=0, high=255):
        value = self.packed.tree(self.bits[name], n)
        require(low <= value <= high, *WRONG)
        return value

    def number(self, name, low=0):
        value = self.numbers[name].next(self.packed)
        require(value >= low, *WRONG)
        return value

    def content(self):
        out = bytearray()
        while self.bit("more"):
            start = len(out)
            self.add_stream(out)
            require(start + 32 <= len(out) <= self.n, *WRONG)
        out += self.bytes.data[self.bytes.at :]
        require(len(out) == self.n and not self.images, *WRONG)
        return bytes(out)

    def add_stream(self, out):
        before = self.number("bytes")
        if self.bit("image"):
            shape = self.number("row", 1), self.number("step", 1), self.number("height")
        else:
            shape, length = None, self.number("length")
        self.level, self.strategy = self.tree("level", 4, 1, 9), self.tree("strategy", 2)
        self.memory, self.window = self.tree("memory", 4, 1, 9), self.tree("window", 4, 8, 15)
        self.full, around = 2 ** (6 + self.tree("tokens", 4, 1, 9)) - 1, self.tree("around", 2)
        out += self.bytes.take(before)
        content = self.image(*shape) if shape else self.bytes.take(length)
        stream = Walk(self, content).stream()
        adler = zlib.adler32(content).to_bytes(4, "big")
        if around == 3:
            self.add_chunks(out, stream + adler)
        else:
            crc = zlib.crc32(content).to_bytes(4, "little") + (len(content) % 2**32).to_bytes(4, "little")
            out += stream + (b"", adler, crc)[around]

    def image(self, row, step, height):
        filters = self.bytes.take(height)
        require(self.images and len(self.images[0]) == row * height, *WRONG)
        pixels, content = self.images.pop(0), bytearray()
        for y in range(height):
            content.append(filters[y])
            for x in range(row):
                at = y * row + x
                a = pixels[at - step] if x >= step else 0
                b = pixels[at - row] if y else 0
                c = pixels[at - row - step] if x >= step and y else 0
                paeth = min((a, b, c), key=lambda value: abs(a + b - c - value))
                content.append(pixels[at] - [0, a, b, (a + b) // 2, paeth][min(filters[y], 4)] & 255)
        return bytes(content)

    def add_chunks(self, out, stream):
        lengths, before = [], 0
        while not self.bit("end"):
            before = before if self.bit("same") else self.number("chunk")
            require(before >= 1, *WRONG)
            lengths.append(before)
            require(sum(lengths) <= len(stream) and 12 * len(lengths) <= self.n - len(out), *WRONG)
        lengths.append(len(stream) - sum(lengths))
        require(len(out) >= 2, *WRONG)
        crc = zlib.crc32(b"IDAT" + out[-2:])
        for i, length in enumerate(lengths):
            if i:
                out += length.to_bytes(4, "big") + b"IDAT"
                crc = zlib.crc32(b"IDAT")
            out += stream[:length] + zlib.crc32(stream[:length], crc).to_bytes(4, "big")
            stream = stream[length:]


# ---- Walk ---------------------------------------------------------------------------------------

LENGTH_STARTS = [*range(3, 11), *range(11, 19, 2), *range(19, 35, 4), *range(35, 67, 8), *range(67, 131, 16), *range(131, 258, 32), 258]
LENGTH_BITS = [0] * 8 + [bits for bits in range(1, 6) for _ in range(4)] + [0]
DISTANCE_BITS = [0, 0] + [bits for bits in range(14) for _ in range(2)]
DISTANCE_STARTS = [1]
for bits in DISTANCE_BITS[:-1]:
    DISTANCE_STARTS.append(DISTANCE_STARTS[-1] + 2**bits)
ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]


def symbol_of(value, starts):
    return max(i for i, start in enumerate(starts) if start <= value)


class Bits:
    """Bits, the first one first."""

    def __init__(self):
        self.bits = []

    def push(self, value, count):
        self.bits += [value >> i & 1 for i in range(count)]

    def code(self, value, count):
        self.bits += [value >> i & 1 for i in reversed(range(count))]

    def bytes(self):
        eights = (self.bits[i : i + 8] for i in range(0, len(self.bits), 8))
        return bytes(sum(bit << i for i, bit in enumerate(eight)) for eight in eights)


class Walk:
    def __init__(self, recipe, content):
        self.recipe, self.content, self.at = recipe, content, 0
        self.out, self.matcher = Bits(), Matcher(recipe, content)

    def stream(self):
        recipe = self.recipe
        while True:
            last, kind = recipe.bit("last"), recipe.tree("kind", 2, 0, 2)
            self.out.push(last | kind << 1, 3)
            if kind == 0:
                self.stored()
            else:
                tokens = self.tokens()
                lengths = FIXED if kind == 1 else self.header(tokens)
                self.write(tokens, *lengths)
            if last or recipe.bit("cut"):
                self.padding()
                require(self.at == len(self.content), *WRONG)
                return self.out.bytes()

    def padding(self):
        missing = -len(self.out.bits) % 8
        if missing:
            given = self.recipe.bit("padding")
            self.out.bits += [self.recipe.packed.even() if given else 0 for _ in range(missing)]

    def stored(self):
        self.padding()
        length = self.recipe.number("stored")
        require(length <= min(65535, len(self.content) - self.at), *WRONG)
        self.out.push(length, 16)
        self.out.push(length ^ 65535, 16)
        for byte in self.content[self.at : self.at + length]:
            self.out.push(byte, 8)
        self.at += length
        self.matcher.known = None

    def tokens(self):
        count = self.recipe.number("count") if self.recipe.bit("odd") else None
        require((count or 0) <= 2**18, *WRONG)
        tokens = []
        while len(tokens) < (self.recipe.full if count is None else count):
            if self.at == len(self.content) and count is None:
                break
            require(self.at < len(self.content), *WRONG)
            tokens.append(self.token())
            require(self.at <= len(self.content), *WRONG)
        return tokens

    def token(self):
        """A literal (1, byte) or a match (length, distance)."""
        recipe, matcher, at = self.recipe, self.matcher, self.at
        guess = matcher.predict(at)
        if guess is None:
            kind = 1 if matcher.known else 0
        else:
            kind = 2 + sum(guess[0] > most for most in (3, 5, 15, 257))
        wrong = recipe.bit("wrong", 4 * kind + recipe.wrong_before)
        recipe.wrong_before = (2 * recipe.wrong_before + wrong) & 3
        match = self.other(kind) if wrong else guess
        length = match[0] if match else 1
        matcher.passed(at, length, not wrong)
        self.at += length
        return match or (1, self.content[at])

    def other(self, kind):
        recipe, matcher, at = self.recipe, self.matcher, self.at
        m = 1 if kind >= 2 else 0
        if m and recipe.bit("literal", kind):
            return None
        length = 3 + recipe.tree(f"lengths{m}", 8)
        require(at + length <= len(self.content), *WRONG)
        matcher.chain_to(at + 1)
        link = recipe.number(f"link{m}")
        distance = matcher.linked(at, length, link) if link else 1 + recipe.number("distance")
        require(distance <= 2**15, *WRONG)
        return length, distance

    def header(self, tokens):
        if self.recipe.bit("header"):
            return self.given_header()
        literals, distances = [0] * 286, [0] * 30
        literals[256] = 1
        for length, value in tokens:
            if length == 1:
                literals[value] += 1
            else:
                literals[257 + symbol_of(length, LENGTH_STARTS)] += 1
                distances[symbol_of(value, DISTANCE_STARTS)] += 1
        lengths = chosen(literals, 15), chosen(distances, 15)
        self.write_header(*lengths)
        return lengths

    def given(self, count):
        bits = [self.recipe.packed.even() for _ in range(count)]
        self.out.bits += bits
        return sum(bit << i for i, bit in enumerate(bits))

    def given_header(self):
        literals, distances, count = 257 + self.given(5), 1 + self.given(5), 4 + self.given(4)
        require(literals <= 286 and distances <= 30, *WRONG)
        lengths = [0] * 19
        for symbol in ORDER[:count]:
            lengths[symbol] = self.given(3)
        symbols, found = {code: symbol for symbol, code in codes(lengths).items()}, []
        while len(found) < literals + distances:
            code, length = 0, 0
            while (code, length) not in symbols:
                require(length < 7, *WRONG)
                code, length = code << 1 | self.given(1), length + 1
            symbol = symbols[code, length]
            require(symbol != 16 or found, *WRONG)
            if symbol < 16:
                found.append(symbol)
            elif symbol == 16:
                found += found[-1:] * (3 + self.given(2))
            else:
                found += [0] * (3 + self.given(3) if symbol == 17 else 11 + self.given(7))
        require(len(found) == literals + distances, *WRONG)
        return found[:literals], found[literals:]

    def write_header(self, literals, distances):
        runs = runs_of(literals) + runs_of(distances)
        counts = [0] * 19
        for symbol, _, _ in runs:
            counts[symbol] += 1
        lengths = (chosen(counts, 7) + [0] * 19)[:19]
        count = max(4, max(i + 1 for i, symbol in enumerate(ORDER) if lengths[symbol]))
        for value, size in ((len(literals) - 257, 5), (len(distances) - 1, 5), (count - 4, 4)):
            self.out.push(value, size)
        for symbol in ORDER[:count]:
            self.out.push(lengths[symbol], 3)
        of = codes(lengths)
        for symbol, extra, size in runs:
            self.out.code(*of[symbol])
            self.out.push(extra, size)

    def write(self, tokens, literals, distances):
        literals, distances = codes(literals), codes(distances)

        def push(of, symbol):
            require(symbol in of, *WRONG)
            self.out.code(*of[symbol])

        for length, value in tokens:
            if length == 1:
                push(literals, value)
                continue
            symbol = symbol_of(length, LENGTH_STARTS)
            push(literals, 257 + symbol)
            self.out.push(length - LENGTH_STARTS[symbol], LENGTH_BITS[symbol])
            symbol = symbol_of(value, DISTANCE_STARTS)
            push(distances, symbol)
            self.out.push(value - DISTANCE_STARTS[symbol], DISTANCE_BITS[symbol])
        push(literals, 256)


FIXED = [8] * 144 + [9] * 112 + [7] * 24 + [8] * 8, [5] * 30


# ---- Matcher ------------------------------------------------------------------------------------

LEVELS = [None, (4, 4, 8, 4), (4, 5, 16, 8), (4, 6, 32, 32), (4, 4, 16, 16), (8, 16, 32, 32), (8, 16, 128, 128)]
LEVELS += [(8, 32, 128, 256), (32, 128, 258, 1024), (32, 258, 258, 4096)]


class Matcher:
    def __init__(self, recipe, content):
        self.content, self.strategy = content, recipe.strategy
        self.good, self.lazy, self.nice, self.most_links = LEVELS[recipe.level]
        self.greedy, self.reach = recipe.level <= 3, max(0, 2**recipe.window - 262)
        self.B = 7 + recipe.memory
        self.heads, self.chain, self.chained = [0] * 2**self.B, [0] * 2**15, 0
        self.known, self.links = None, 2**24 + 512 * len(content)

    def hash(self, place):
        s = -(-self.B // 3)
        b = self.content[place : place + 3]
        return (b[0] << 2 * s ^ b[1] << s ^ b[2]) % 2**self.B

    def chain_to(self, e):
        for p in range(self.chained, min(e, len(self.content) - 2)):
            h = self.hash(p)
            self.chain[p % 2**15], self.heads[h] = self.heads[h], p
        self.chained = max(self.chained, e)

    def linked(self, at, length, number):
        place, content = at, self.content
        for followed in range(1, 257):
            place = self.chain[place % 2**15]
            if place == 0 or at - place >= 2**15:
                break
            number -= content[place : place + length] == content[at : at + length]
            if number == 0:
                require(followed <= self.links, *WRONG)
                self.links -= followed
                return at - place
        require(False, *WRONG)

    def find(self, at, best):
        content, left = self.content, len(self.content) - at
        if left < 3 or left <= best:
            return None
        self.chain_to(at + 1)
        most, nice, found = min(258, left), min(self.nice, left), None
        chain = self.most_links // 4 if best >= self.good else self.most_links
        place, farthest = self.chain[at % 2**15], self.reach
        while place and at - place <= farthest and self.links:
            farthest = max(0, self.reach - 1)
            self.links -= 1
            if best < most and content[place + best - 1 : place + best + 1] == content[at + best - 1 : at + best + 1]:
                count = 0
                while count < most and content[place + count] == content[at + count]:
                    count += 1
                if count > best:
                    best, found = count, (count, at - place)
                    if best >= nice:
                        break
            chain -= 1
            if chain == 0:
                break
            place = self.chain[place % 2**15]
        if found and not self.greedy:
            length, distance = found
            if length <= 5 if self.strategy == 1 else length == 3 and distance > 4096:
                return None
        return found

    def predict(self, at):
        """A match, or None for a literal."""
        if self.strategy == 2:
            return None
        if self.strategy == 3:
            length = 0
            while at and length < 258 and self.content[at + length : at + length + 1] == self.content[at - 1 : at]:
                length += 1
            return (length, 1) if length >= 3 else None
        found, self.known = self.known or self.find(at, 2), None
        if found and not self.greedy and found[0] < self.lazy:
            self.known = self.find(at + 1, found[0])
        return None if self.known else found

    def passed(self, at, length, right):
        if not right or length > 1:
            self.known = None
        if self.greedy and length > self.lazy:
            self.chained = max(self.chained, at + length)


# ---- Chosen lengths -----------------------------------------------------------------------------


def codes(lengths):
    """By symbol its code and length."""
    count = [0] * 17
    for length in lengths:
        count[length] += length > 0
    code, following = 0, [0] * 17
    for length in range(1, 16):
        following[length] = code
        require(code + count[length] <= 2**length, *WRONG)
        code = (code + count[length]) << 1
    found = {}
    for symbol, length in enumerate(lengths):
        if length:
            found[symbol] = following[length], length
            following[length] += 1
    return found


def runs_of(lengths):
    """Symbols, with what stands behind each and how many bits."""
    runs, at = [], 0
    while at < len(lengths):
        length = lengths[at]
        repeats = at > 0 and lengths[at - 1] == length
        most, least = (138, 3) if length == 0 else (6, 3) if repeats else (7, 4)
        end = at
        while end < len(lengths) and end - at < most and lengths[end] == length:
            end += 1
        same, at = end - at, end
        if same < least:
            runs += [(length, 0, 0)] * same
        elif length == 0:
            runs.append((17, same - 3, 3) if same <= 10 else (18, same - 11, 7))
        else:
            if not repeats:
                runs.append((length, 0, 0))
                same -= 1
            runs.append((16, same - 3, 2))
    return runs


def chosen(frequencies, limit):
    """Lengths of symbols with these frequencies, up to the last one that is not 0."""
    frequency, depth, parent = list(frequencies), [0] * len(frequencies), {}
    heap = [None] + [symbol for symbol, count in enumerate(frequencies) if count]
    highest = heap[-1] if len(heap) > 1 else -1
    while len(heap) < 3:
        added = highest + 1 if highest < 2 else 0
        highest = max(highest, added)
        frequency[added] = 1
        heap.append(added)
    symbols = len(frequency)

    def less(a, b):
        return (frequency[a], depth[a]) <= (frequency[b], depth[b])

    def sift(k):
        v = heap[k]
        while 2 * k < len(heap):
            j = 2 * k
            if j + 1 < len(heap) and less(heap[j + 1], heap[j]):
                j += 1
            if less(v, heap[j]):
                break
            heap[k], k = heap[j], j
        heap[k] = v

    for k in range((len(heap) - 1) // 2, 0, -1):
        sift(k)
    ordered = []
    while len(heap) > 2:
        first = heap[1]
        heap[1] = heap[-1]
        heap.pop()
        sift(1)
        second = heap[1]
        ordered += [first, second]
        node = len(frequency)
        frequency.append(frequency[first] + frequency[second])
        depth.append(max(depth[first], depth[second]) + 1)
        parent[first] = parent[second] = heap[1] = node
        sift(1)
    length, over = {heap[1]: 0}, 0
    for node in reversed(ordered):
        over += length[parent[node]] + 1 > limit
        length[node] = min(limit, length[parent[node]] + 1)
    if over:
        count = [0] * (limit + 1)
        for node in ordered:
            count[length[node]] += node < symbols
        while over > 0:
            d = max(d for d in range(1, limit) if count[d])
            count[d], count[d + 1] = count[d] - 1, count[d + 1] + 2
            count[limit] -= 1
            over -= 2
        leaves = [node for node in ordered if node < symbols]
        for d in range(limit, 0, -1):
            for leaf in leaves[: count[d]]:
                length[leaf] = d
            leaves = leaves[count[d] :]
    return [length.get(symbol, 0) for symbol in range(highest + 1)]
