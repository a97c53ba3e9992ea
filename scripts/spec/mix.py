"""docs/format/mix.md: a guide and context mixing together. Networks as guides are not here."""
from .cm import AdaptiveMap, Cm, FirstLayer, SecondLayer, clamp, equal_rows, rows_of_sets, squash


class Mix(Cm):
    """A block of one lane, with a guide that gives an opinion on each bit."""

    def __init__(self, length, guide):
        super().__init__(5, length)
        self.guide = guide
        self.adaptive.append(AdaptiveMap())

    def begin_layers(self, width):
        row = [100] * 2 * (self.N + 2) + [500] * 3 * len(self.matches) + [16384, 0, 0]
        self.first = FirstLayerOfMix(equal_rows(rows_of_sets(self.N) + [192], row))
        self.second = SecondLayer(equal_rows([256, 256], [65536 // 9] * 9))

    def last_inputs(self, node):
        self.opinion = self.guide.opinion(node)
        self.level = clamp((self.opinion + 2400) // 200, 0, 23)
        return [self.opinion, (squash(self.opinion) - 32768) >> 4, 256]

    def rows(self, node, inner, d):
        return super().rows(node, inner, d) + [8 * self.level + d]

    def refine(self, st, node, d):
        a1, a2, a3 = self.refined(st, node)
        a4 = self.adaptive[3].refine(st, 8 * self.level + d)
        return clamp((squash(st) + 3 * a1 + 2 * a2 + 2 * a3 + 2 * a4) // 10, 1, 65535)

    def learn(self, y):
        super().learn(y)
        self.guide.learn(y)

    def end_byte(self, position, b):
        super().end_byte(position, b)
        self.guide.end_byte(b)


class FirstLayerOfMix(FirstLayer):
    def __init__(self, weights):
        super().__init__(weights)
        self.r, self.rate = 576, 576 // 16

    def end_byte(self, position):
        if position % 256 == 255:
            self.r = max(self.r - 1, 224)
            self.rate = self.r // 16
