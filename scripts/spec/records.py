"""docs/format/records.md: records, each coded alone."""
from .basics import Reader, compare_hash, require
from .cm import RangeDecoder
from .primed import Packed, PrimedNetwork, adaptive_bits


def decode_record(state, code, most):
    """A record of at most so many bytes, from its code without check."""
    if code[:1] == b"\xff":
        require(len(code) - 1 <= most, "Corrupt", "a record is too long")
        return bytes(code[1:])
    decoder, network, record = RangeDecoder(code), PrimedNetwork(state), bytearray()
    decoder.bit(65280)
    while True:
        b = network.decode_byte(decoder)
        if b == state.end and decoder.bit(max(state.odds, 1)):
            return bytes(record)
        require(len(record) < most, "Corrupt", "a record is too long")
        record.append(b)


# ---- Block of records ---------------------------------------------------------------------------


def decode_block(state, parameter, payload, n):
    count, is_open = parameter >> 1, parameter & 1
    reader = Reader(payload, ("Corrupt", "codes of records that pass the payload"))
    compare_hash(reader.take(4), payload[4:], "records check")
    lengths = code_lengths(reader.take(reader.varint()), count)
    content = bytearray()
    for i, length in enumerate(lengths):
        ends = i < count - 1 or not is_open
        record = decode_record(state, reader.take(length), n - len(content) - ends)
        require(b"\n" not in record, "Corrupt", "a record with a line feed")
        require(record or ends, "Corrupt", "an open record that is empty")
        content += record + b"\n" * ends
    require(reader.at == len(payload) and len(content) == n, "Corrupt", "lengths of records")
    return bytes(content)


def code_lengths(code, count):
    packed = Packed(code)
    sizes, heads = adaptive_bits(32), [adaptive_bits(8) for _ in range(32)]
    return [code_length(packed, sizes, heads) for _ in range(count)]


def code_length(packed, sizes, heads):
    l = packed.tree(sizes, 5)
    number = 1 if l else 0
    for i in range(l - 1):
        number = number << 1 | (packed.adaptive(heads[l], number) if i < 3 else packed.even())
    return number
