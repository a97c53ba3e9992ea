"""Ctrl-C in long calls."""

import os
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
    "generate": "lmic.generate(text, 60_000, level=8, threads={threads})",
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An archive that takes seconds to restore."""
    path = tmp_path_factory.mktemp("interrupt") / "archive"
    letters = bytes(b"abcdefgh"[byte % 8] for byte in os.urandom(8 << 20))
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
