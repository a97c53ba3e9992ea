"""docs/format.md: the container."""
from pathlib import Path

from . import cm, deflate, mix, nn, primed, programs, records, samples
from .copies import Copies
from .basics import Failure, Reader, compare_hash, require

# ---- An archive ---------------------------------------------------------------------------------

MAGIC, END_MAGIC = bytes.fromhex("b14c4d43"), bytes.fromhex("b258")


class Models:
    """The models of folders: networks, and primed states."""

    def __init__(self, *folders):
        self.networks, self.states = [], []
        for folder in folders:
            self.add(folder)

    def add(self, folder):
        for path in sorted(Path(folder).iterdir()):
            if path.suffix == ".safetensors":
                self.networks.append(nn.ModelFile(path.read_bytes()))
            elif path.suffix == ".lmicp":
                self.states.append(primed.State(path.read_bytes()))


def decode(archive, models):
    reader = Reader(archive)
    content = stream(reader, models)
    while reader.zeros_end() < len(archive):
        reader.at = reader.zeros_end()
        content += stream(reader, models)
    return content


def stream(reader, models):
    header = StreamHeader(reader)
    index, content, past = b"", b"", b""
    while True:
        first = not index
        head, part, literals = block(reader, header, header.bytes if first else b"", past, models)
        require(part or (first and head.last), "Corrupt", "an empty block that is not alone")
        index += head.bytes
        content += part
        past += literals
        if head.last:
            break
    if not first:
        trailer(reader, index, content)
    return content


# ---- Stream header ------------------------------------------------------------------------------


class StreamHeader:
    def __init__(self, reader):
        start = reader.at
        beginning = reader.data[start : start + 4]
        require(MAGIC.startswith(beginning), "Corrupt", "no magic number")
        reader.take(4)
        version = reader.byte()
        require(version != 0, "Corrupt", "version 0")
        require(version == 1, "NeedsNewer", f"version {version}")
        self.model = reader.byte()
        require(self.model <= 40 or self.model in (0xF0, 0xC3, 0x99, 0xA5), "Corrupt", "model byte")
        if self.model > 40:
            self.read_name(reader)
            if self.model != 0xA5:
                self.read_windows(reader)
            require(reader.byte() == reader.at - start, "Corrupt", "header length")
        self.bytes = reader.data[start : reader.at]

    def read_name(self, reader):
        length = reader.varint()
        require(1 <= length <= 64, "Corrupt", "length of a model's name")
        try:
            self.name = reader.take(length).decode()
        except UnicodeDecodeError:
            raise Failure("Corrupt: a model's name is not UTF-8") from None
        self.identity = reader.take(32)

    def read_windows(self, reader):
        self.C, self.O, self.L = reader.varint(), reader.varint(), reader.byte()
        windowless = self.model == 0xC3 and self.C == self.O == 0
        require(windowless or 2 <= self.C <= 65536 and self.O <= self.C // 2, "Corrupt", "windows")
        require(1 <= self.L <= 64, "Corrupt", "lanes")

    def is_known(self):
        return 1 <= self.model <= 9 or self.model in (0xF0, 0xC3, 0x99, 0xA5)

    def is_mix(self):
        return self.model in (6, 7, 8, 9, 0xC3)

    def sample_profile(self):
        return 6 if self.is_mix() else min(self.model, 5)


# ---- Block --------------------------------------------------------------------------------------


class BlockHeader:
    """`l` is None in a block without copies, `bytes` is the header without crc."""

    def __init__(self, reader, before):
        """`before` is what the crc has before the header."""
        start = reader.at
        tag = reader.byte()
        self.last, self.kind = tag >= 128, tag & 63
        self.parameter = reader.varint() if self.kind not in (0, 1, 6) else None
        n = self.n = reader.varint()
        self.l = reader.varint() if tag & 64 else None
        self.has_code = self.kind >= 1 or self.l is not None
        self.m = reader.varint() if self.has_code else n
        self.bytes = reader.data[start : reader.at]
        require(reader.byte() == crc8(before + self.bytes), "Corrupt", "crc")
        require(n <= 2**28 and (not self.has_code or self.m < n), "Corrupt", "lengths")
        if self.l is not None:
            require(self.l < n and self.kind != 7 and (self.l or self.kind == 0), "Corrupt", "literals")
        self.is_known = kind_is_known(self.kind, self.parameter)
        require(self.kind != 7 or not self.is_known or self.parameter >> 1 <= n, "Corrupt", "records")


def block(reader, stream_header, before, past, models):
    """Returns the header, the content and those bytes of it that are literals; `past` are those of earlier blocks."""
    head = BlockHeader(reader, before)
    known = head.kind == 0 or stream_header.is_known() and head.is_known
    require(known, "NeedsNewer", "an unknown block")
    payload = reader.take(head.m)
    checked = head.bytes + payload
    if head.l is None:
        content = literals = coded(stream_header, head, payload, head.n, models)
    else:
        copies = Copies(payload, head.n, head.l)
        literals = coded(stream_header, head, copies.code, head.l, models)
        content = copies.content(past, literals)
    compare_hash(reader.take(4), checked + content if head.has_code else checked, "check of a block")
    return head, content, literals


def coded(stream_header, head, payload, n, models):
    """The content of a block without copies, or the literals of one with copies."""
    kind, parameter = head.kind, head.parameter
    if kind == 0:
        return payload
    if kind == 1:
        return bytes_of_the_stream(stream_header, payload, n, models)
    if kind <= 5 or kind in (12, 13):
        return samples.decode(stream_header.sample_profile(), kind, parameter, payload, n)
    if kind == 15:
        return cm.decode_colours(stream_header.sample_profile(), parameter, payload, n)
    if kind == 14:
        return cm.decode_table(stream_header.sample_profile(), parameter, payload, n)
    if kind == 6:
        require(stream_header.is_mix(), "Corrupt", "a block of kind 6 outside of a mix")
        return cm.decode(5, payload, n)
    if kind == 10:
        return programs.decode(min(stream_header.model, 5), parameter, payload, n)
    if kind == 11:
        part = lambda *part: coded_part(stream_header, models, *part)
        return deflate.decode(parameter, payload, n, part)
    if kind == 9:
        require(stream_header.model in (6, 7, 8, 9), "Corrupt", "a block of kind 9 outside of a numbered mix")
        return mix.decode_numbered(stream_header.model, payload, n, lanes=parameter)
    require(stream_header.model == 0xA5, "Corrupt", "a block of a primed state outside of its streams")
    state = primed.find(models.states, stream_header)
    if kind == 7:
        return records.decode_block(state, parameter, payload, n)
    return primed.decode_guided(state, parameter, payload, n)


class Part:
    """Stands for the header of a block."""

    def __init__(self, kind, parameter):
        self.kind, self.parameter = kind, parameter


def coded_part(stream_header, models, kind, parameter, code, n):
    require(kind_is_known(kind, parameter), "NeedsNewer", "an unknown part")
    return coded(stream_header, Part(kind, parameter), code, n, models)


def bytes_of_the_stream(header, payload, n, models):
    """The content of a block of kind 1."""
    require(header.model != 0x99, "not implemented", "model tokens")
    if header.model in (6, 7, 8, 9):
        return mix.decode_numbered(header.model, payload, n)
    if header.model == 0xC3:
        return mix.decode_named(nn.find(models.networks, header), header, payload, n)
    if header.model == 0xF0:
        return nn.decode(nn.transformer(nn.find(models.networks, header), header), header, payload, n)
    if header.model == 0xA5:
        return primed.decode_block(primed.find(models.states, header), payload, n)
    return cm.decode(header.model, payload, n)


RANGES = {2: (1, 2**24), 3: (3, 2**24), 4: (1, 8), 5: (1, 8), 7: (2, 2**33 - 1), 8: (5, 9), 9: (1, 64), 10: (1, 3), 11: (1, 2**28)}  # of parameters


def kind_is_known(kind, parameter):
    if parameter is None:
        return True
    if kind == 12:
        return number_is_known(parameter >> 3 & 31, parameter >> 8)
    if kind == 15:
        return parameter & 7 < 6 and max(cm.PIXEL_BITS[parameter & 7] // 8, 1) <= parameter >> 3 <= 2**24
    if kind == 14:
        width, record = 1 << (parameter & 3), parameter >> 3
        return record % width == 0 and 1 <= record <= 2**20 and not (width == 1 and parameter & 4)
    if kind == 13:
        number, row = parameter >> 1 & 31, parameter >> 10
        whole = number & 3 == 1 and number >> 2 & 3 < 2
        return whole and (3 if parameter & 1 else 1) <= row <= 2**24
    low, high = RANGES.get(kind, (1, 0))
    return low <= parameter <= high


def number_is_known(number, shift):
    width, kind, big = (number & 3) + 1, number >> 2 & 3, number >> 4
    return kind < 3 and (kind < 2 or width == 4) and not (big and width == 1) and shift < 8 * width


def crc8(data):
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x2F) & 255 if crc & 128 else crc << 1
    return crc ^ 0xFF


# ---- Trailer ------------------------------------------------------------------------------------


def trailer(reader, index, content):
    start = reader.at
    require(reader.take(len(index)) == index, "Corrupt", "the index differs from the blocks")
    compare_hash(reader.take(16), content, "content hash")
    require(reader.little(6) == len(index), "Corrupt", "index length")
    checked = reader.data[start : reader.at]
    compare_hash(reader.take(4), checked, "index check")
    require(reader.take(2) == END_MAGIC, "Corrupt", "end magic")
