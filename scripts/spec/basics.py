"""What all pages use: errors, hashes, fields at the front of some bytes, division."""

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


def compare_hash(found, data, name):
    if blake3:
        require(blake3(data).digest()[: len(found)] == found, "Corrupt", name)


def clamp(x, low, high):
    return low if x < low else high if x > high else x


def all_clamped(numbers, low, high):
    """The numbers of a list, each clamped; mostly none is outside."""
    if min(numbers) >= low and max(numbers) <= high:
        return numbers
    return [clamp(x, low, high) for x in numbers]


def towards_zero(a, b):
    """a / b for b > 0, rounded towards zero."""
    return a // b if a >= 0 else -(-a // b)


class Reader:
    """Takes fields from the front of some bytes; `ended` is the error if there are too few."""

    def __init__(self, data, ended=("Truncated", "the file ends inside a stream")):
        self.data, self.at, self.ended = data, 0, ended

    def take(self, count):
        require(self.at + count <= len(self.data), *self.ended)
        self.at += count
        return self.data[self.at - count : self.at]

    def byte(self):
        return self.take(1)[0]

    def little(self, count):
        """A number of `count` bytes, little-endian."""
        return int.from_bytes(self.take(count), "little")

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
