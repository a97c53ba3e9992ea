"""Predictors as compressors."""

import math
import pathlib

import numpy
import pytest

import lmic
from lmic import predict

TEXT = b"abracadabra, abracadabra! " * 20


class OrderOne:
    """Counts of what followed each byte, in Python's own arithmetic."""

    def __init__(self, form=list):
        self.form = form
        self.counts = [[0.03] * 256 for _ in range(256)]
        self.last = 0

    def predict(self):
        return self.form(self.counts[self.last])

    def update(self, byte):
        self.counts[self.last][byte] += 1
        self.last = byte


class Tokens:
    """Expects the number that follows the last one."""

    vocabulary = 50_000

    def __init__(self):
        self.last = 0

    def predict(self):
        probs = numpy.full(self.vocabulary, 1e-6)
        probs[(self.last + 1) % self.vocabulary] = 1
        return probs

    def update(self, token):
        assert isinstance(token, int)
        self.last = token


FORMS = [list, tuple, numpy.array, lambda probs: numpy.array(probs, numpy.float32), lambda probs: numpy.array([probs])]


@pytest.mark.parametrize("form", FORMS)
def test_what_a_predictor_expects_takes_few_bytes_and_comes_back(form):
    code = predict.encode(OrderOne(form), TEXT)
    assert code == predict.encode(OrderOne(), TEXT)
    bits = predict.code_length(OrderOne(form), TEXT)
    assert abs(bits / 8 - len(code)) < 2 and len(code) < len(TEXT) / 2
    assert predict.decode(OrderOne(form), code, len(TEXT)) == TEXT
    assert predict.decode(OrderOne(form), code[:9], len(TEXT)) != TEXT  # no check, no error


def test_any_buffer_is_data_and_none_is_empty():
    code = predict.encode(OrderOne(), TEXT)
    for form in [bytearray, memoryview, lambda data: numpy.frombuffer(data, numpy.uint8)]:
        assert predict.encode(OrderOne(), form(TEXT)) == code
    assert predict.decode(OrderOne(), predict.encode(OrderOne(), b""), 0) == b""


def test_probabilities_are_quantised_as_in_rust():
    # A model whose numbers both have: the library's own, told in Python, codes as the library scores it.
    class Told:
        def __init__(self):
            self.model = predict.OrderK(2)

        def predict(self):
            return self.model.predict().tolist()

        def update(self, byte):
            self.model.update(byte)

    code = predict.encode(predict.OrderK(2), TEXT)
    assert predict.encode(Told(), TEXT) == code
    assert predict.decode(Told(), code, len(TEXT)) == TEXT
    # The very bytes of `lmic::walk::encode(OrderK::new(1), b"abracadabra abracadabra abracadabra")`.
    assert predict.encode(predict.OrderK(1), b"abracadabra abracadabra abracadabra").hex() == RUST


RUST = "61740d2b77186288cdc6cdee106c"


def test_tokens_of_a_large_vocabulary_come_back():
    tokens = [*range(7, 200), 49_999, 0, 1, 2, 40_000]
    code = predict.encode(Tokens(), tokens)
    assert len(code) < 30
    assert predict.decode(Tokens(), code, len(tokens)) == tokens
    assert predict.encode(Tokens(), numpy.array(tokens)) == code
    assert abs(predict.code_length(Tokens(), tokens) / 8 - len(code)) < 2
    with pytest.raises(lmic.InvalidArgumentError, match="symbol 1 is 50000"):
        predict.encode(Tokens(), [1, 50_000])
    with pytest.raises(OverflowError):
        predict.encode(Tokens(), [-1])


def test_samples_follow_the_probabilities():
    class Biased:
        def predict(self):
            return [3 if byte == 65 else 1 if byte == 66 else 0 for byte in range(256)]

        def update(self, byte):
            pass

    drawn = predict.sample(Biased(), 4000, seed=3)
    assert drawn == predict.sample(Biased(), 4000, seed=3) != predict.sample(Biased(), 4000, seed=4)
    # Five standard deviations of 27 around 3000; any other byte has 2^-24.
    assert abs(drawn.count(65) - 3000) < 137 and set(drawn) <= {65, 66}
    assert predict.sample(Tokens(), 3)[0] in range(50_000)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([1.0] * 255, "255 numbers before symbol 0; 256 are needed"),
        ([math.nan] + [1.0] * 255, "NaN for 0"),
        ([1.0] * 255 + [-0.5], "-0.5 for 255"),
        ([math.inf] * 256, "inf for 0"),
        ([0.0] * 256, "only zeros"),
        (numpy.array([1e300] * 256), "inf for 0"),  # no 32-bit float
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_what_is_no_probability_is_refused(said, words):
    class Wrong(OrderOne):
        def predict(self):
            return said

    for call in [
        lambda: predict.encode(Wrong(), b"a"),
        lambda: predict.decode(Wrong(), b"abc", 1),
        lambda: predict.code_length(Wrong(), b"a"),
        lambda: predict.sample(Wrong(), 1),
    ]:
        with pytest.raises(lmic.InvalidArgumentError, match=words):
            call()


def test_what_a_predictor_raises_comes_out_as_it_is():
    class Fails(OrderOne):
        def update(self, byte):
            if byte == ord("!"):
                raise KeyError("mine")
            super().update(byte)

    with pytest.raises(KeyError, match="mine"):
        predict.encode(Fails(), TEXT)
    with pytest.raises(AttributeError, match="predict"):
        predict.encode(object(), b"")
    with pytest.raises(TypeError):
        predict.encode(OrderOne(lambda probs: "text"), b"a")


def test_networks_predict_as_they_score(models):
    # Alone, a transformer of bytes codes what it predicts; here in one window.
    path = models / "byte-200k.safetensors"
    model = lmic.load_model(path)
    data = TEXT[:200]
    bits = predict.code_length(predict.Network(model), data)
    assert math.isclose(bits, lmic.score(data, model=model, alone=True) * len(data), rel_tol=1e-4)
    for network in [lambda: predict.Network(path), lambda: predict.Network(level=6), predict.Network]:
        code = predict.encode(network(), data)
        assert predict.decode(network(), code, len(data)) == data
        assert math.isclose(network().predict().sum(), 1, rel_tol=1e-5)
    with pytest.raises(lmic.InvalidArgumentError, match="no network"):
        predict.Network(level=5)
    with pytest.raises(lmic.InvalidArgumentError, match="8 allowed"):
        predict.OrderK(9)


def example(words):
    """The Python of docs/python.md in which `words` stand."""
    page = (pathlib.Path(__file__).parents[2] / "docs" / "python.md").read_text()
    blocks = [block.split("```")[0] for block in page.split("```python\n")[1:]]
    (found,) = [block for block in blocks if words in block]
    return found


def test_the_transformer_of_the_page_compresses_what_it_expects():
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("transformers", reason="transformers is not installed")
    exec(example("class Gpt2"), {})


def test_a_length_that_is_too_long_takes_no_memory_before_its_time():
    class Ends(predict.OrderK):
        left = 5

        def update(self, byte):
            self.left -= 1
            if self.left == 0:
                raise StopIteration

    for length in [2**50, 2**62]:
        with pytest.raises(StopIteration):
            predict.decode(Ends(1), b"", length)
        with pytest.raises(StopIteration):
            predict.sample(Ends(1), length)
