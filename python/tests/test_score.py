"""Bits of data, and text that goes on."""

import json
import math

import numpy
import pytest

import lmic

TEXT = b"".join(b"line %d says that %d is the question\n" % (n, n * n % 97) for n in range(60))


@pytest.fixture(scope="module")
def primed():
    return lmic.prime(TEXT.splitlines(), name="lines", table_bits=8)


def kinds(models, primed):
    """Options of every kind of model of bytes."""
    network = lmic.load_model(models / "byte-200k.safetensors")
    return [
        *({"level": level} for level in (1, 5, 6, 7)),
        {"model": network},
        {"model": network, "alone": True},
        {"primed": primed, "level": 1},
        {"primed": primed},
    ]


def test_scores_are_what_archives_take_and_bytes_add_up_to_them(models, primed):
    for options in kinds(models, primed):
        score = lmic.score(TEXT, **options)
        # Around the code are up to 120 bytes: names, identities, checks.
        bits = 8 * len(lmic.compress(TEXT, **options))
        assert bits - 8 * 120 < score * len(TEXT) < bits
        costs = lmic.byte_costs(TEXT, **options)
        assert costs.dtype == numpy.float64 and costs.shape == (len(TEXT),)
        assert math.isclose(costs.sum() / len(TEXT), score)
        assert (costs > 0).all()


def test_a_batch_scores_each_text_alone_in_any_form(models, primed):
    texts = TEXT.decode().splitlines() + [""]
    for options in kinds(models, primed):
        scores = lmic.score_batch(iter(texts), **options)
        alone = [lmic.score(text.encode(), **options) for text in texts[:3]]
        assert scores[:3] == alone and scores[-1] == 0
        assert lmic.score_batch(texts, threads=1, **options) == scores
    assert lmic.score_batch([]) == []


def test_a_checkpoint_scores_as_the_command_says(checkpoints, command, tmp_path):
    file = tmp_path / "text"
    file.write_bytes(TEXT + b"\xff\x00\xe4")
    for name in ["llama", "gemma3-q4_0.gguf"]:
        path = checkpoints / name
        model = lmic.load_model(path)
        for words, options in [
            ([], {}),
            (["--context", "64", "--overlap", "8", "--as-coded"], {"context": 64, "overlap": 8, "as_coded": True}),
            (["--chunk", "500"], {"chunk": 500}),
        ]:
            facts = json.loads(command("model", "score", "--json", "-m", path, *words, file))
            data = file.read_bytes()
            assert lmic.score(data, model=model, **options) == pytest.approx(facts["bits_per_byte"], rel=1e-12)
            tokens = lmic.token_costs(data, model, **options)
            assert b"".join(piece for piece, _ in tokens) == data
            assert len(tokens) == facts["tokens"]
            bits = sum(bits for _, bits in tokens)
            assert math.isclose(bits / len(data), facts["bits_per_byte"])
            costs = lmic.byte_costs(data, model=path, **options)
            assert math.isclose(costs.sum(), bits)
        lines = TEXT.splitlines()
        assert lmic.score_batch(lines, model=model)[:2] == [lmic.score(line, model=model) for line in lines[:2]]


def test_generated_text_depends_on_seed_and_model_alone(models, primed, checkpoints):
    prompt = TEXT[:500]
    for options in [*kinds(models, primed), {"model": checkpoints / "llama"}]:
        one, again, other = (
            lmic.generate(prompt, 30, seed=seed, temperature=3, **options) for seed in (1, 1, 2)
        )
        assert len(one) == 30 and one == again != other
        greedy = lmic.generate(prompt, 30, greedy=True, **options)
        assert lmic.generate(prompt, 30, seed=2, greedy=True, **options) == greedy
        assert len(lmic.generate(length=5, **options)) == 5
    assert lmic.generate(b"abcdefgh" * 40, 16, greedy=True) == b"abcdefgh" * 2


def test_what_cannot_be_is_refused(models, checkpoints):
    for call in [
        lambda: lmic.score(b"a", 10),
        lambda: lmic.score(b"a", records=True),
        lambda: lmic.score(b"a", model=checkpoints / "llama", context=10**6),
        lambda: lmic.generate(temperature=0),
        lambda: lmic.generate(length=65537),
        lambda: lmic.token_costs(b"a", models / "byte-200k.safetensors"),
        lambda: lmic.score(b"a", model="no-such-model"),
    ]:
        with pytest.raises(lmic.InvalidArgumentError):
            call()
    with pytest.raises(TypeError, match="unexpected"):
        lmic.score(b"a", chunk=3)  # only checkpoints have chunks
    with pytest.raises(lmic.MemoryLimitError):
        lmic.score(b"a", memory=1000)


def test_what_is_cold_is_greedy(models):
    for options in [{"level": 2}, {"model": models / "byte-200k.safetensors", "alone": True}]:
        prompt = b"to be or not to be, that is the question. " * 3
        cold = lmic.generate(prompt, 20, temperature=1e-10, **options)
        assert cold == lmic.generate(prompt, 20, greedy=True, **options)
