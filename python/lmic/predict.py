"""A predictor as a compressor, and the library's models as predictors.

A predictor is any object with two methods. `predict()` gives the probability of each symbol that may come next; `update(symbol)`
takes in the one that came. Symbols are the 256 bytes; a predictor with an attribute `vocabulary` has so many symbols of its own,
tokens for example, and data are sequences of their numbers then.

>>> from lmic import predict
>>> class Again:
...     "Expects the last byte again."
...     last = 0
...     def predict(self):
...         return [1000 if byte == self.last else 1 for byte in range(256)]
...     def update(self, byte):
...         self.last = byte
>>> code = predict.encode(Again(), b"aaaaaaaabbbbbbbbbbbb")
>>> len(code)
4
>>> predict.decode(Again(), code, 20)
b'aaaaaaaabbbbbbbbbbbb'

Probabilities need not add up to 1: they are divided by their sum. They are taken as 32-bit floats, and become integer intervals as
`lmic::walk` of the Rust library has them: none is so unlikely that it could not be coded. A number that is no probability is an
`InvalidArgumentError`, and an exception of a predictor comes out as it is.

**The decoder must get the very same numbers as the encoder, to the last bit.** One bit of difference, once, and all that follows is
other symbols, without an error: a code has no check. What a model of yours computes in floating point may differ with

- the batch and the length of the input: a whole text at once is not the same as one token after the other with a cache. Run the
  model in the encoder exactly as the decoder has to, symbol by symbol;
- the number of threads, the CPU and its vector instructions, the version of the libraries (numpy, BLAS, torch) and their settings;
- a GPU: kernels are chosen by size and by measurement, and some add up in any order. `torch.use_deterministic_algorithms(True)`
  makes one machine repeat itself, and no other;
- randomness: dropout (`model.eval()` turns it off), a seed, a clock, the order of a set.

So keep such codes only as long as the environment that wrote them, or round: probabilities that are rounded to a coarse grid agree
more often, but never surely. `OrderK` and `Network` give the same bits everywhere.
"""

from __future__ import annotations

import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, SupportsFloat, overload

from lmic import _lmic

if TYPE_CHECKING:
    import numpy
    import numpy.typing
    from typing_extensions import Buffer

    Probabilities = Sequence[SupportsFloat] | numpy.typing.ArrayLike

__all__ = [
    "BytePredictor",
    "Network",
    "OrderK",
    "TokenPredictor",
    "code_length",
    "decode",
    "encode",
    "sample",
]


class BytePredictor(Protocol):
    """Predicts bytes."""

    def predict(self) -> Probabilities:
        """The probabilities of the 256 bytes: an array or a sequence of numbers."""

    def update(self, symbol: int, /) -> object:
        """Takes in the byte that came."""


class TokenPredictor(BytePredictor, Protocol):
    """Predicts symbols of its own, with `vocabulary` numbers each time."""

    @property
    def vocabulary(self) -> int:
        """How many symbols there are, 1 to 524287."""


@overload
def encode(predictor: TokenPredictor, data: Sequence[int]) -> bytes: ...
@overload
def encode(predictor: BytePredictor, data: Buffer) -> bytes: ...
def encode(predictor: BytePredictor, data: Any) -> bytes:
    """The code of `data` under a predictor: `-sum log2 p` bits, and a byte or two more.

    It has neither length nor check: store both beside it.

    Raises InvalidArgumentError if what the predictor gives are no probabilities, or a symbol is not in its vocabulary.
    """
    return _lmic.predictor_encode(predictor, *_symbols(predictor, data))


# What predicts tokens has all that a predictor of bytes has, and an attribute more.
@overload
def decode(  # type: ignore[overload-overlap]
    predictor: TokenPredictor, code: Buffer, length: int
) -> list[int]: ...
@overload
def decode(predictor: BytePredictor, code: Buffer, length: int) -> bytes: ...
def decode(predictor: BytePredictor, code: Buffer, length: int) -> bytes | list[int]:
    """The `length` symbols of a code, with a predictor in the state in which `encode` got it.

    A wrong or damaged code, or a predictor that gives other numbers, gives other symbols.
    """
    symbols = _lmic.predictor_decode(predictor, code, length, _vocabulary(predictor))
    return _data(predictor, symbols)


@overload
def code_length(predictor: TokenPredictor, data: Sequence[int]) -> float: ...
@overload
def code_length(predictor: BytePredictor, data: Buffer) -> float: ...
def code_length(predictor: BytePredictor, data: Any) -> float:
    """The bits that `data` cost: the sum of `-log2 p`, as the coder has p.

    >>> from lmic import predict
    >>> predict.code_length(predict.OrderK(0), b"abcd") / 4
    8.23...
    """
    return _lmic.predictor_code_length(predictor, *_symbols(predictor, data))


@overload
def sample(  # type: ignore[overload-overlap]
    predictor: TokenPredictor, length: int, *, seed: int = 1
) -> list[int]: ...
@overload
def sample(predictor: BytePredictor, length: int, *, seed: int = 1) -> bytes: ...
def sample(predictor: BytePredictor, length: int, *, seed: int = 1) -> bytes | list[int]:
    """Draws `length` symbols, each by its probability. The same seed draws the same.

    >>> from lmic import predict
    >>> model = predict.OrderK(2)
    >>> for byte in b"the cat and the hat and the bat " * 100:
    ...     model.update(byte)
    >>> text = predict.sample(model, 12)  # it goes on from what it has learned
    >>> len(text)
    12
    """
    return _data(predictor, _lmic.predictor_sample(predictor, length, seed, _vocabulary(predictor)))


class OrderK(_lmic.OrderK):
    """Counts of what followed the last `order` bytes (0 to 8), backed by those of shorter contexts: the least that predicts text."""

    def predict(self) -> numpy.typing.NDArray[numpy.float32]:
        """The probabilities of the 256 bytes."""
        return _array(super().predict())


class Network(_lmic.ByteNetwork):
    """A network of bytes as a predictor: of level 6 to 9, or a `Model` or file of a transformer or recurrent network of bytes.

    This is the network alone. In archives context mixing corrects it, which decides bit by bit and learns from each: it has no
    distribution of bytes to give, short of coding all 256 continuations.

    >>> from lmic import predict
    >>> network = predict.Network(level=6)
    >>> for byte in b"The quick brown fox jumps over the lazy do":
    ...     network.update(byte)
    >>> chr(network.predict().argmax())
    'g'
    """

    def predict(self) -> numpy.typing.NDArray[numpy.float32]:
        """The probabilities of the 256 bytes."""
        return _array(super().predict())


def _array(memory: bytes) -> numpy.typing.NDArray[numpy.float32]:
    import numpy

    return numpy.frombuffer(memory, numpy.float32)


def _vocabulary(predictor: BytePredictor) -> int | None:
    vocabulary = getattr(predictor, "vocabulary", None)
    return None if vocabulary is None else int(vocabulary)


def _symbols(predictor: BytePredictor, data: Any) -> tuple[Sequence[int], int | None]:
    vocabulary = _vocabulary(predictor)
    return (bytes(memoryview(data)) if vocabulary is None else list(data)), vocabulary


def _data(predictor: BytePredictor, symbols: list[int]) -> bytes | list[int]:
    return bytes(symbols) if _vocabulary(predictor) is None else symbols


def _weights(probabilities: Any) -> bytes:
    """The memory of an array of 32-bit floats."""
    if hasattr(probabilities, "__array__"):
        import numpy

        return numpy.asarray(probabilities, numpy.float32).ravel().tobytes()
    return array.array("f", probabilities).tobytes()
