"""Whole inputs in memory."""

import pytest

import lmic

TEXT = b"to be, or not to be, that is the question. " * 50


@pytest.mark.parametrize("level", range(1, lmic.MAX_LEVEL + 1))
def test_every_level_restores_the_same_bytes(level):
    archive = lmic.compress(TEXT, level)
    assert len(archive) < len(TEXT) / 5
    assert lmic.decompress(archive) == TEXT


def test_errors_have_their_kind():
    with pytest.raises(lmic.InvalidArgumentError, match="level"):
        lmic.compress(TEXT, 0)
    with pytest.raises(TypeError, match="unexpected"):
        lmic.compress(TEXT, levle=1)
    with pytest.raises(lmic.TruncatedError):
        lmic.decompress(lmic.compress(TEXT, 1)[:-1])
