"""Ctrl-C in long calls."""

import io
import os
import random
import signal
import subprocess
import sys
import time

import pytest

import lmic

START = """
import random, signal
import lmic
signal.signal(signal.SIGINT, signal.default_int_handler)  # who is started in the background of a shell ignores it
letters = bytes(b"abcdefgh \\n"[n % 10] for n in range(256))
text = random.Random(1).randbytes(20_000_000).translate(letters)
"""
CALLS = {
    "write": "lmic.open('file', 'w', level=5, block_size='1M', threads={threads}).write(text)",
    "read": "lmic.open('archive', threads={threads}).read()",
    "archive": "lmic.Archive('archive', threads={threads}).read()",
    "pieces": "lmic.LmicDecompressor(threads={threads}).decompress(open('archive', 'rb').read())",
    "compress": "lmic.compress(text, 8, threads={threads})",
    "compress quickly": "lmic.compress(text * 5, 1, threads={threads})",
    "score": "lmic.score(text, 8, threads={threads})",
    "score many": "lmic.score_batch(text.split(), 8, threads={threads})",
    "prime": "lmic.prime([text] * {threads})",
    "long record": "record = lmic.prime([text[:9999]]).compress(text * {threads})",
    "generate": "lmic.generate(text, 60_000, level=8, threads={threads})",
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An archive that takes seconds to restore."""
    path = tmp_path_factory.mktemp("interrupt") / "archive"
    letters = os.urandom(4 << 20).translate(bytes(b"abcdefgh"[n % 8] for n in range(256)))
    path.write_bytes(lmic.compress(letters, 1))
    return path


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("call", CALLS)
def test_a_long_call_ends_with_keyboard_interrupt(call, threads, archive):
    call = CALLS[call].format(threads=threads)
    program = f"""{START}
print("ready", flush=True)
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    python = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=archive.parent
    )
    assert python.stdout.readline() == "ready\n"
    time.sleep(0.5)
    started = time.monotonic()
    python.send_signal(signal.SIGINT)
    assert python.stdout.readline() == "interrupted\n"
    waited = time.monotonic() - started
    assert python.wait() == 0
    assert waited < 10, f"{waited} seconds"  # of minutes, on a machine that may be busy


@pytest.fixture
def slow_handler():
    """A signal handler that raises only when the call's work has ended meanwhile."""

    def handle(*_):
        time.sleep(1)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handle)
    yield lambda: signal.setitimer(signal.ITIMER_REAL, 0.06)
    signal.signal(signal.SIGALRM, before)


def test_what_was_interrupted_does_not_go_on_without_what_was_lost(slow_handler):
    content = bytes(b"abcdefgh"[byte % 8] for byte in os.urandom(200_000))
    archive = lmic.compress(content, 5)
    decompressor = lmic.LmicDecompressor()
    slow_handler()
    with pytest.raises(KeyboardInterrupt):
        decompressor.decompress(archive)
    assert not decompressor.eof
    with pytest.raises(lmic.InvalidArgumentError, match="interrupted"):
        decompressor.decompress(b"")
    compressor = lmic.LmicCompressor(5, block_size=200_000, threads=1)
    slow_handler()
    with pytest.raises(KeyboardInterrupt):
        compressor.compress(content * 2)
    with pytest.raises(lmic.InvalidArgumentError, match="failed"):
        compressor.flush()


SPARSE = """
import os, signal
import lmic
signal.signal(signal.SIGINT, signal.default_int_handler)
with open("sparse", "wb") as file:
    file.write(lmic.compress(b"to be", 1))
    os.truncate("sparse", 1 << 42)
print("ready", flush=True)
"""


@pytest.mark.parametrize(
    "call", ["open('sparse').seek(1)", "open('sparse').read()", "Archive('sparse')"]
)
def test_zeros_behind_an_archive_are_not_passed_for_ever(call, tmp_path):
    program = f"""{SPARSE}
try:
    lmic.{call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    python = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert python.stdout.readline() == "ready\n"
    time.sleep(0.3)
    started = time.monotonic()
    python.send_signal(signal.SIGINT)
    assert python.stdout.readline() == "interrupted\n"
    assert python.wait() == 0
    assert time.monotonic() - started < 10


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers")
@pytest.mark.parametrize("sought", [False, True])
def test_an_interrupted_read_never_goes_on_from_elsewhere(sought):
    class Interrupted(Exception):
        pass

    def interrupt(*arguments):
        raise Interrupted

    content = os.urandom(300_000)
    archive = lmic.compress(content, 1, block_size=20_000)
    source = random.Random(1)
    before = signal.signal(signal.SIGALRM, interrupt)
    interrupted = 0
    try:
        for _ in range(60):
            with lmic.open(io.BytesIO(archive)) as file:
                if sought:
                    file.seek(0)
                place, was_lost = 0, False
                signal.setitimer(signal.ITIMER_REAL, source.uniform(0.0005, 0.02))
                try:
                    while piece := file.read(10_000):
                        assert piece == content[place : place + len(piece)]
                        place += len(piece)
                    signal.setitimer(signal.ITIMER_REAL, 0)
                except Interrupted:
                    was_lost = True
                interrupted += was_lost
                try:  # a signal between two reads has lost nothing, or the whole piece
                    place = file.tell()
                except lmic.InputOutputError:
                    assert was_lost
                    with pytest.raises(lmic.InputOutputError):
                        file.read(1)
                    place = file.seek(source.randrange(len(content)))
                assert file.read() == content[place:]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted
