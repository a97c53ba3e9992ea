"""docs/format/copies.md: what has occurred before and is not coded again."""
from .basics import Reader, require
from .primed import Packed, adaptive_bits

REACH = 2**28


# ---- Payload ------------------------------------------------------------------------------------


class Copies:
    """The payload of a block with copies, of n bytes of which l are literals."""

    def __init__(self, payload, n, l):
        self.n, self.l = n, l
        reader = Reader(payload, ("Corrupt", "a list of copies that passes the payload"))
        self.count = reader.varint()
        self.list = reader.take(reader.varint())
        self.code = payload[reader.at :]

    def content(self, past, literals):
        """The content, with `past` the literals of the stream's earlier blocks."""
        require(len(literals) == self.l, "Corrupt", "number of literals")
        x = bytearray(past[-REACH:])
        start, used, numbers = len(x), 0, List(self.list)
        for _ in range(self.count):
            a, length, d = numbers.copy()
            require(a <= self.l - used, "Corrupt", "a copy behind more literals than there are")
            require(a + length <= start + self.n - len(x), "Corrupt", "a copy that is longer than the content")
            require(1 <= d <= len(x) + a, "Corrupt", "the distance of a copy")
            x += literals[used : used + a]
            used += a
            for _ in range(length):
                x.append(x[-d])
        require(self.l - used == start + self.n - len(x), "Corrupt", "literals and copies that are not the content")
        return bytes(x[start:] + literals[used:])


# ---- List of copies -----------------------------------------------------------------------------


class Numbers:
    """A model of numbers."""

    def __init__(self):
        self.sizes, self.heads = adaptive_bits(64), [adaptive_bits(8) for _ in range(64)]

    def next(self, packed):
        b = packed.tree(self.sizes, 6)
        number = 1 if b else 0
        for i in range(b - 1):
            number = number << 1 | (packed.adaptive(self.heads[b], number) if i < 3 else packed.even())
        return number


class List:
    def __init__(self, code):
        self.packed = Packed(code, 250)
        self.literals, self.lengths, self.changes = Numbers(), Numbers(), Numbers()
        self.d = 0

    def copy(self):
        """Literals before the next copy, its length and its distance."""
        a, length, z = (model.next(self.packed) for model in (self.literals, self.lengths, self.changes))
        self.d += z // 2 if z % 2 == 0 else -(z + 1) // 2
        return a, length + 1, self.d
