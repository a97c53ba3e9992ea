"""docs/format/programs.md: instructions of programs."""
from . import cm
from .basics import U32
from .cm import C

X64, X86, ARM64 = 1, 2, 3

CONTEXTS = {
    1: "o2 code1",
    2: "o2 o4 code1",
    3: "o2 o4 code0 code2",
    4: "o2 o3 o4 o6 word code0 code1 code2 code4 code5",
    5: "o2 o3 o4 o6 s(ffff00) s(ffff0000) ind1 ind2 word code0 code1 code2 code3 code4 code5 code6",
}


def decode(number, machine, payload, n):
    """The content of a block of profile `number`."""
    past = lambda start: PastOfProgram(machine, start)
    held = cm.decode(number, payload, n, CONTEXTS[number], past)
    return relative_words(held) if machine == ARM64 else relative_distances(held, machine == X64)


# ---- Distances ----------------------------------------------------------------------------------


def relative_words(held):
    content = bytearray(held)
    for p in range(0, len(held) - 3, 4):
        w = int.from_bytes(held[p : p + 4], "big")
        if w >> 26 == 0x25:
            w = w & ~0x3FFFFFF | (w - p // 4) % 2**26
        elif w & 0x9F000000 == 0x90000000:
            e = ((w >> 29 & 3) + 4 * (w >> 5 & 0x7FFFF) - p // 4096) % 2**21
            w = w & 0x9F00001F | (e & 3) << 29 | e >> 2 << 5
        content[p : p + 4] = w.to_bytes(4, "little")
    return bytes(content)


def relative_distances(held, wide):
    content, code, at = bytearray(held), Instruction(wide), 0
    while at < len(held):
        if code.next in (RELATIVE, BRANCH) and code.left == 4 and at + 4 <= len(held):
            end = at + 4 + (code.immediate if code.next == RELATIVE else 0)
            v = int.from_bytes(held[at : at + 4], "big", signed=True)
            if -(2**24) <= v < 2**24:
                v = (v - end + 2**24) % 2**25 - 2**24
            content[at : at + 4] = v.to_bytes(4, "little", signed=True)
            for _ in range(4):
                code.append(0)
            at += 4
        else:
            code.append(held[at])
            at += 1
    return bytes(content)


# ---- Instructions of x86 ------------------------------------------------------------------------

FIRST, OPCODE, SECOND, THIRD, VEX, MODRM, SIB, DISPLACEMENT, RELATIVE, IMMEDIATE, BRANCH = range(11)
MEANS_NOTHING = bytes.fromhex("262e363e646567f0f2f3")


def numbers(text):
    """Of "63 84-86" the numbers 63, 84, 85 and 86, hexadecimal."""
    found = set()
    for word in text.split():
        low, _, high = word.partition("-")
        found.update(range(int(low, 16), int(high or low, 16) + 1))
    return found


LOW = {low: {opcode for opcode in range(0x40) if opcode & 7 == low} for low in range(6)}

# (map, opcodes, whether modrm follows, the immediate or the branch)
FOLLOWS = [
    (0, LOW[0] | LOW[1] | LOW[2] | LOW[3] | numbers("63 84-8F D0-D3 D8-DF FE FF F6 F7"), True, None),
    (0, numbers("6B 80 82 83 C0 C1 C6"), True, "1"),
    (0, numbers("69 81 C7"), True, "full"),
    (0, LOW[4] | numbers("6A A8 B0-B7 CD D4 D5 E4-E7"), False, "1"),
    (0, LOW[5] | numbers("68 A9"), False, "full"),
    (0, numbers("B8-BF"), False, "long or full"),
    (0, numbers("A0-A3"), False, "address"),
    (0, numbers("C2 CA"), False, "2"),
    (0, numbers("C8"), False, "3"),
    (0, numbers("9A EA"), False, "far"),
    (0, numbers("70-7F E0-E3 EB"), False, "branch 1"),
    (0, numbers("E8 E9"), False, "branch 4"),
    (0, numbers("00-FF"), False, None),
    (1, numbers("05-09 0B 30-37 77 A0-A2 A8-AA C8-CF"), False, None),
    (1, numbers("0F 70-73 A4 AC BA C2 C4-C6"), True, "1"),
    (1, numbers("80-8F"), False, "branch 4"),
    (1, numbers("00-FF"), True, None),
    (2, numbers("00-FF"), True, None),
    (3, numbers("00-FF"), True, "1"),
]


class Instruction:
    def __init__(self, wide):
        self.wide, self.done, self.has_ended = wide, 0, False
        self.begin()

    def begin(self):
        self.next = FIRST
        self.left = self.map = self.opcode = self.modrm = self.immediate = 0
        self.short = self.long = self.branches = False

    def end(self):
        self.done, self.has_ended = self.opcode ^ self.map * 64, True
        self.begin()

    def append(self, b):
        self.has_ended = False
        if self.next in (FIRST, OPCODE):
            self.prefix_or_opcode(b)
        elif self.next == SECOND and b in (0x38, 0x3A):
            self.map, self.next = 2 if b == 0x38 else 3, THIRD
        elif self.next in (SECOND, THIRD):
            self.take_opcode(b)
        elif self.next == VEX:
            if self.map == 0:
                self.map = max(b & 3, 1)
            self.left -= 1
            if self.left == 0:
                self.next = THIRD
        elif self.next == MODRM:
            self.take_modrm(b)
        elif self.next == SIB:
            mod = self.modrm >> 6
            self.follow_displacement(1 if mod == 1 else 4 if mod == 2 or mod == 0 and b & 7 == 5 else 0)
        else:
            self.left -= 1
            if self.left == 0 and self.next in (DISPLACEMENT, RELATIVE):
                self.follow_immediate()
            elif self.left == 0:
                self.end()

    def prefix_or_opcode(self, b):
        self.next = OPCODE
        if b == 0x66:
            self.short = True
        elif b in MEANS_NOTHING:
            pass
        elif self.wide and 0x40 <= b <= 0x4F:
            self.long = b & 8 != 0
        elif b == 0x0F:
            self.map, self.next = 1, SECOND
        elif self.wide and b in (0xC5, 0xC4, 0x62):
            self.next = VEX
            self.map, self.left = {0xC5: (1, 1), 0xC4: (0, 2), 0x62: (0, 3)}[b]
        else:
            self.take_opcode(b)

    def full(self):
        return 2 if self.short else 4

    def take_opcode(self, b):
        self.opcode = b
        modrm, what = next(row[2:] for row in FOLLOWS if row[0] == self.map and b in row[1])
        self.branches = bool(what) and what.startswith("branch")
        self.immediate = {
            None: 0,
            "full": self.full(),
            "long or full": 8 if self.long else self.full(),
            "address": 8 if self.wide else 4,
            "far": 0 if self.wide else 6,
        }.get(what) if what is None or not what[-1].isdigit() else int(what[-1])
        if modrm:
            self.next = MODRM
        else:
            self.follow_immediate()

    def take_modrm(self, b):
        self.modrm = b
        mod, middle, rm = b >> 6, b >> 3 & 7, b & 7
        if self.map == 0 and self.opcode in (0xF6, 0xF7) and middle < 2:
            self.immediate = 1 if self.opcode == 0xF6 else self.full()
        if mod == 3:
            self.follow_immediate()
        elif rm == 4:
            self.next = SIB
        elif mod == 0 and rm == 5 and self.wide:
            self.next, self.left = RELATIVE, 4
        else:
            self.follow_displacement({0: 4 if rm == 5 else 0, 1: 1, 2: 4}[mod])

    def follow_displacement(self, count):
        if count == 0:
            self.follow_immediate()
        else:
            self.next, self.left = DISPLACEMENT, count

    def follow_immediate(self):
        if self.immediate == 0:
            self.end()
        else:
            self.next, self.left = BRANCH if self.branches else IMMEDIATE, self.immediate


# ---- Contexts -----------------------------------------------------------------------------------


class PastOfProgram(cm.Past):
    """A past that knows the instructions."""

    def __init__(self, machine, start):
        super().__init__()
        self.code = CodeOfArm(start) if machine == ARM64 else CodeOfX86(machine == X64)

    def append(self, b):
        super().append(b)
        self.code.append(b)
        self.shape = self.code.shape() & 255

    def column(self):
        return self.code.column()

    def context(self, k):
        a, b, field = self.code.context(k)
        return C(C(a, b), field)


class CodeOfX86:
    def __init__(self, wide):
        self.instruction = Instruction(wide)
        self.all = self.head = self.value = self.sib = self.whole = self.opcodes = 0
        self.heads = [0, 0, 0]

    def shape(self):
        return self.instruction.next + 11 * self.instruction.left

    def append(self, b):
        instruction = self.instruction
        self.all = C(self.all, b | self.shape() << 8)
        if instruction.next <= SIB:
            self.head = C(self.head, b)
        else:
            self.value = C(self.value, b) if instruction.left > 1 else 0
        if instruction.next == SIB:
            self.sib = b
        instruction.append(b)
        if instruction.has_ended:
            self.heads = [self.head, *self.heads[:2]]
            self.opcodes = (self.opcodes << 8 | instruction.done) & U32
            self.whole = self.all
            self.all = self.head = self.value = self.sib = 0

    def column(self):
        return self.instruction.done if self.instruction.next == FIRST else self.instruction.opcode

    def context(self, k):
        head1, head2, head3 = self.heads
        base = 256 + self.sib if self.sib else self.instruction.modrm & 0xC7
        a = self.value if k == 5 else self.all
        two = C(head1, head2)
        b = [0, head1, two, C(two, head3), self.opcodes % 2**24, base, self.whole][k]
        return a, b, self.shape()


class CodeOfArm:
    def __init__(self, start):
        self.known, self.w, self.words, self.alike = start % 4, 0, [0, 0, 0], {}

    def append(self, b):
        self.w, self.known = self.w << 8 | b, self.known + 1
        if self.known == 4:
            self.alike[self.w >> 24] = self.w
            self.words = [self.w, *self.words[:2]]
            self.w = self.known = 0

    def first(self):
        return self.w >> 8 * (self.known - 1) if self.known else self.words[0] >> 24

    def shape(self):
        return self.known | self.first() & 0xFC

    def column(self):
        return self.words[0] >> (24 - 8 * self.known) & 255

    def context(self, k):
        w1, w2, _ = self.words
        o1, o2, o3 = (word >> 21 for word in self.words)
        alike = self.alike.get(self.first(), 0) if self.known else 0
        b = [0, o1, C(o1, o2), C(C(o1, o2), o3), w1, C(w1, w2), C(alike, 1)][k]
        return self.w, b, self.known
