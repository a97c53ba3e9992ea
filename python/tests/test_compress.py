"""Whole inputs in memory."""

import array
import io
import mmap

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmic


@pytest.mark.parametrize("level", range(1, lmic.BEST_LEVEL + 1))
def test_every_level_restores_the_same_bytes(level, text):
    archive = lmic.compress(text, level)
    assert len(archive) < len(text) / 2
    assert lmic.decompress(archive) == text


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=2000), st.sampled_from([None, 256, "1K"]))
def test_any_bytes_are_restored(data, block_size):
    assert lmic.decompress(lmic.compress(data, 1, block_size=block_size)) == data


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, []),
        ({"level": 1}, ["-1"]),
        ({"level": 8, "threads": 2}, ["-8", "-T2"]),
        ({"level": 2, "block_size": "4K"}, ["-2", "--block-size", "4K"]),
        ({"level": 3, "content": "gray:64"}, ["-3", "--as", "gray:64"]),
        ({"content": "binary", "memory": "1GiB"}, ["--as", "binary", "-M", "1GiB"]),
    ],
)
def test_bytes_are_those_of_the_command(options, words, text, command):
    assert lmic.compress(text, **options) == command(*words, input=text)


def test_the_number_of_threads_changes_nothing(text):
    archives = {lmic.compress(text, 1, block_size=1000, threads=n) for n in (0, 1, 3)}
    assert len(archives) == 1
    assert all(lmic.decompress(archive, threads=3) == text for archive in archives)


def test_anything_with_contiguous_bytes_is_taken(text, tmp_path):
    expected = lmic.compress(text, 1)
    (tmp_path / "text").write_bytes(text)
    with (tmp_path / "text").open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    floats = numpy.frombuffer(text[: len(text) // 16 * 16], dtype=">f8").reshape(2, -1)
    for data in [bytearray(text), memoryview(text), array.array("b", text), mapped]:
        assert lmic.compress(data, 1) == expected
    assert lmic.decompress(lmic.compress(floats, 1)) == floats.tobytes()
    assert lmic.decompress(lmic.compress(floats[1], 1)) == floats[1].tobytes()
    for archive in [bytearray(expected), numpy.frombuffer(expected, dtype="u1")]:
        assert lmic.decompress(archive) == text


@pytest.mark.parametrize("empty", [b"", bytearray(), memoryview(b""), numpy.empty((0, 3))])
def test_nothing_is_something_to_compress(empty):
    assert lmic.decompress(lmic.compress(empty, 1)) == b""
    with pytest.raises(lmic.TruncatedError):
        lmic.decompress(empty)


def test_a_buffer_is_free_again_afterwards(text):
    data = bytearray(text)
    lmic.compress(data, 1)
    data.append(0)


def test_what_is_no_contiguous_buffer_is_refused(text):
    for data in [memoryview(text)[::2], numpy.zeros((4, 4))[:, 1], numpy.zeros((4, 4)).T]:
        with pytest.raises(BufferError, match="contiguous"):
            lmic.compress(data)
    for data in ["text", 3, None, [1]]:
        with pytest.raises(TypeError):
            lmic.compress(data)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"level": 0}, lmic.InvalidArgumentError, "level"),
        ({"level": 10}, lmic.InvalidArgumentError, "level"),
        ({"level": "1"}, TypeError, "level"),
        ({"block_size": 10}, lmic.InvalidArgumentError, "block size 10"),
        ({"block_size": "many"}, lmic.InvalidArgumentError, "many"),
        ({"memory": "1X"}, lmic.InvalidArgumentError, "1X"),
        ({"memory": 1000}, lmic.MemoryLimitError, "1000"),
        ({"memory": 1.5}, TypeError, "memory"),
        ({"content": "png:3"}, lmic.InvalidArgumentError, "png:3"),
        ({"records": True}, lmic.InvalidArgumentError, "primed"),
        ({"model": "no-such-model"}, lmic.InvalidArgumentError, "no-such-model"),
        ({"levle": 1}, TypeError, "levle"),
    ],
)
def test_wrong_options_are_named(options, error, message):
    with pytest.raises(error, match=message):
        lmic.compress(b"some bytes", **options)


def test_numbers_that_cannot_be_are_out_of_range(text):
    archive = lmic.compress(text, 1)
    with lmic.Archive(archive) as opened:
        for call in [
            lambda: lmic.compress(text, -1),
            lambda: lmic.LmicCompressor(1 << 70),
            lambda: lmic.score(text, -1),
            lambda: lmic.generate(b"", -1),
            lambda: opened.read(-1),
            lambda: opened.read(0, -1),
        ]:
            with pytest.raises(lmic.InvalidArgumentError, match="is out of range"):
                call()


def test_arrays_of_times_are_numbers():
    times = numpy.arange("2026-01-01", "2026-03-01", dtype="datetime64[D]").reshape(1, -1)
    assert lmic.decompress(lmic.compress(times, 1)) == times.view("i8").tobytes()
    assert lmic.compress(times - times[0, 0], 1) == lmic.compress((times - times[0, 0]).view("i8"), 1)
    file = io.BytesIO()
    with lmic.open(file, "wb", level=1) as archive:
        assert archive.write(times) == times.nbytes
    assert lmic.decompress(file.getvalue()) == times.tobytes()


def test_no_limit_is_none_or_a_word(text):
    archive = lmic.compress(text, 1, memory=None)
    assert lmic.decompress(archive, memory="none") == text


def test_the_longest_length_is_a_limit(text):
    archive = lmic.compress(text[:20], 1)
    for length in range(20):
        with pytest.raises(lmic.MemoryLimitError, match=f"more than {length} bytes"):
            lmic.decompress(archive, max_length=length)
    for length in (20, 21, -1):
        assert lmic.decompress(archive, max_length=length) == text[:20]


def test_every_truncation_is_an_error(text):
    archive = lmic.compress(text[:600], 1, block_size=256)
    for end in range(len(archive)):
        with pytest.raises((lmic.TruncatedError, lmic.CorruptError)) as raised:
            lmic.decompress(archive[:end])
        assert isinstance(raised.value, lmic.LmicError)


def test_every_flipped_bit_is_an_error(text):
    archive = bytearray(lmic.compress(text[:300], 1))
    for bit in range(8 * len(archive)):
        archive[bit // 8] ^= 1 << bit % 8
        with pytest.raises(lmic.LmicError):
            lmic.decompress(archive)
        archive[bit // 8] ^= 1 << bit % 8
    assert lmic.decompress(archive) == text[:300]


def test_errors_are_what_python_has_for_them_too(text):
    archive = bytearray(lmic.compress(text, 1))
    newer = archive.copy()
    newer[4] = 99
    for damaged, error, builtin in [
        (archive[:-1], lmic.TruncatedError, EOFError),
        (b"no archive", lmic.CorruptError, ValueError),
        (archive + b"garbage", lmic.CorruptError, ValueError),
        (newer, lmic.NeedsNewerError, NotImplementedError),
    ]:
        with pytest.raises(error) as raised:
            lmic.decompress(damaged)
        assert isinstance(raised.value, builtin)
        assert isinstance(raised.value, lmic.LmicError)
    with pytest.raises(MemoryError):
        lmic.decompress(archive, memory=1000)


def test_streams_that_follow_one_another_are_one_content(text):
    archive = lmic.compress(text, 1) + bytes(5) + lmic.compress(b"end", 2) + bytes(3)
    assert lmic.decompress(archive) == text + b"end"
