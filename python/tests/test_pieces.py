"""Compressor and decompressor: input in pieces."""

import array
import os
import pickle
import random
import threading
import time

import numpy
import pytest

import lmic


def compressed(pieces, **options):
    compressor = lmic.LmicCompressor(**options)
    coded = [compressor.compress(piece) for piece in pieces]
    return b"".join([*coded, compressor.flush()])


def test_pieces_of_any_length_give_the_same_archive(text):
    whole = lmic.compress(text, 1, block_size=3000)
    for length in (1, 700, 3000, 10**6):
        pieces = [text[at : at + length] for at in range(0, len(text), length)]
        assert compressed(pieces, level=1, block_size=3000) == whole
    assert compressed([], level=1) == compressed([b"", b""], level=1) == lmic.compress(b"", 1)


def test_blocks_come_out_before_the_end():
    compressor = lmic.LmicCompressor(1, block_size=1000, threads=1)
    assert len(compressor.compress(os.urandom(1 << 20))) > 900_000


def test_a_flushed_compressor_is_used_up():
    compressor = lmic.LmicCompressor(1)
    compressor.flush()
    with pytest.raises(lmic.InvalidArgumentError, match="flushed"):
        compressor.compress(b"more")
    with pytest.raises(lmic.InvalidArgumentError, match="flushed"):
        compressor.flush()


def test_a_compressor_that_failed_writes_no_more():
    compressor = lmic.LmicCompressor(1, memory=1000)
    with pytest.raises(lmic.MemoryLimitError):
        compressor.compress(bytes(1 << 20))
    with pytest.raises(lmic.InvalidArgumentError, match="failed"):
        compressor.flush()


def decompressed(decompressor, pieces, length):
    """All content, at most `length` bytes a call, asked for as the standard library's decompressors are."""
    content = []
    pieces = iter(pieces)
    while not decompressor.eof:
        piece = next(pieces, b"") if decompressor.needs_input else b""
        content.append(decompressor.decompress(piece, length))
        assert length < 0 or len(content[-1]) <= length
    return b"".join(content)


@pytest.mark.parametrize("threads", [1, 3])
def test_every_length_of_pieces_and_of_content_restores_it(text, threads):
    content = text[:1000]
    archive = lmic.compress(content, 1, block_size=300)
    for length in [*range(1, 40), 299, 300, 301, 999, 1000, 1001, -1]:
        for step in (1, 7, len(archive)):
            pieces = [archive[at : at + step] for at in range(0, len(archive), step)]
            decompressor = lmic.LmicDecompressor(threads=threads)
            assert decompressed(decompressor, pieces, length) == content
            assert decompressor.unused_data == b""
            assert not decompressor.needs_input


def test_what_follows_the_stream_is_left(text):
    archive = lmic.compress(text, 1) + b"\0what follows"
    decompressor = lmic.LmicDecompressor()
    assert decompressed(decompressor, [archive], -1) == text
    assert decompressor.unused_data == b"\0what follows"
    with pytest.raises(EOFError):
        decompressor.decompress(b"")


def test_data_is_kept_until_there_is_room_for_its_content(text):
    decompressor = lmic.LmicDecompressor()
    assert decompressor.needs_input and not decompressor.eof
    assert decompressor.decompress(lmic.compress(text, 1), 0) == b""
    assert not decompressor.needs_input
    assert decompressor.decompress(b"", 10) == text[:10]
    assert not decompressor.needs_input and not decompressor.eof
    assert decompressor.decompress(b"") == text[10:]
    assert decompressor.eof


def test_the_empty_stream_ends():
    decompressor = lmic.LmicDecompressor()
    assert decompressor.decompress(lmic.compress(b"", 1)) == b""
    assert decompressor.eof


def test_content_before_damage_comes_out_and_then_the_error(text):
    archive = bytearray(lmic.compress(text[:1000], 1, block_size=300))
    blocks = lmic.Archive(archive).blocks
    archive[blocks[2].file_offset + 20] ^= 1
    decompressor = lmic.LmicDecompressor()
    content = decompressor.decompress(archive)
    with pytest.raises(lmic.CorruptError):
        while True:
            content += decompressor.decompress(b"")
    assert content == text[:600]
    with pytest.raises(lmic.CorruptError):
        decompressor.decompress(b"")
    assert not decompressor.eof


def test_threads_may_share_a_compressor(text):
    compressor = lmic.LmicCompressor(1, block_size=5000)
    coded = []
    lock = threading.Lock()

    def work():
        for _ in range(20):
            with lock:  # the order of what comes out is the callers' affair
                coded.append(compressor.compress(text[:5000]))

    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    coded.append(compressor.flush())
    assert lmic.decompress(b"".join(coded)) == text[:5000] * 80


def test_objects_are_not_pickled():
    objects = [lmic.LmicCompressor(), lmic.LmicDecompressor(), lmic.Archive(lmic.compress(b"a"))]
    for it in objects:
        with pytest.raises(TypeError, match=f"pickle.*{type(it).__name__}"):
            pickle.dumps(it)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_does_not_use_what_was_made_before_it():
    compressor = lmic.LmicCompressor(1)
    child = os.fork()
    if child == 0:
        try:
            compressor.compress(b"text")
        except RuntimeError:
            os._exit(42)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42
    assert lmic.decompress(compressor.compress(b"text") + compressor.flush()) == b"text"


def test_random_pieces_of_all_kinds_of_buffers():
    """Archives, whole or damaged, in random pieces of buffers of many types: content, its beginning and an error, never another one.

    LMIC_RANDOM_SECONDS says for how long, and LMIC_RANDOM_SEED where to begin.
    """
    rng = random.Random(int(os.environ.get("LMIC_RANDOM_SEED", "1")))
    end = time.monotonic() + float(os.environ.get("LMIC_RANDOM_SECONDS", "2"))
    kinds = [
        bytes,
        bytearray,
        memoryview,
        lambda data: memoryview(bytearray(data)),
        lambda data: array.array("B", data),
        lambda data: numpy.frombuffer(data, numpy.uint8),
    ]

    def pieces(data):
        most = rng.choice([1, 10, 1000, 1 << 20]) if len(data) < 2000 else rng.choice([100, 1000, 1 << 20])
        at = 0
        while at < len(data):
            length = rng.randint(0, most)
            yield rng.choice(kinds)(data[at : at + length])
            at += length

    turns = 0
    while time.monotonic() < end:
        turns += 1
        words = [rng.randbytes(rng.randint(1, 9)) for _ in range(rng.randint(1, 20))]
        content = b"".join(rng.choice(words) for _ in range(rng.randint(0, 1500)))
        options = {"level": rng.choice([1, 1, 2]), "threads": 1}
        if rng.random() < 0.7:
            options["block_size"] = rng.choice([256, 1000, 5000])
        coded = compressed(pieces(content), **options)
        assert coded == lmic.compress(content, **options)
        damaged = bytearray(coded)
        is_damaged = rng.random() < 0.6
        if is_damaged:
            for _ in range(rng.randint(1, 3)):
                damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
            if rng.random() < 0.3:
                del damaged[rng.randrange(len(damaged)) :]
        decompressor, decoded = lmic.LmicDecompressor(threads=1, memory="1G"), b""
        try:
            for piece in pieces(bytes(damaged)):
                if decompressor.eof:
                    break
                decoded += decompressor.decompress(piece, rng.choice([-1, -1, 0, 1, 100]))
            while not decompressor.eof and not decompressor.needs_input:
                decoded += decompressor.decompress(b"", rng.choice([-1, 5000]))
        except lmic.LmicError:
            assert is_damaged
        assert content.startswith(decoded)
        if not is_damaged:
            assert decompressor.eof and decoded == content
    print(turns, "archives")
