"""File objects of Python beneath files and archives: they are called on the thread of their user."""

import io
import os
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest

import lmic

CONTENT = b"to be, or not to be, that is the question. " * 200


def test_ctrl_c_ends_a_read_that_waits():
    program = """
import os, signal, lmic
signal.signal(signal.SIGINT, signal.default_int_handler)
file = lmic.LmicFile(os.fdopen(os.pipe()[0], "rb"))
print("ready", flush=True)
try:
    file.read()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    python = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert python.stdout.readline() == "ready\n"
    try:
        threading.Event().wait(0.3)
        python.send_signal(signal.SIGINT)
        assert python.communicate(timeout=60)[0] == "interrupted\n"
    finally:
        python.kill()


class Within(io.BytesIO):
    """A file object whose reads do something else first."""

    def read(self, size=-1):
        self.before()
        return super().read(size)


def test_a_lock_of_the_user_is_his_own():
    lock = threading.RLock()
    file = Within(lmic.compress(CONTENT, 1))
    file.before = lambda: lock.acquire(timeout=20) or pytest.fail("the lock is another thread's")
    with lock, lmic.LmicFile(file) as reader:
        assert reader.read() == CONTENT


def test_a_call_within_a_call_is_an_error():
    file = Within(lmic.compress(CONTENT, 1))
    file.before = lambda: None
    archive = lmic.Archive(file)
    file.before = lambda: archive.read(0, 5)
    with pytest.raises(RuntimeError, match="within"):
        archive.read(100, 200)
    file.before = lambda: None
    assert archive.read(100, 200) == CONTENT[100:200]


def test_objects_of_one_thread_can_be_read(tmp_path):
    database = sqlite3.connect(tmp_path / "database")
    database.execute("create table archives (content blob)")
    database.execute("insert into archives values (?)", (lmic.compress(CONTENT, 1),))
    if not hasattr(database, "blobopen"):
        pytest.skip("Python 3.11 opens blobs")
    with database.blobopen("archives", "content", 1) as blob:
        assert lmic.LmicFile(blob).read() == CONTENT
        blob.seek(0)
        assert lmic.Archive(blob).read(100, 200) == CONTENT[100:200]


def test_what_a_file_object_raises_comes_through():
    class Lost(Exception):
        pass

    def lose():
        raise Lost

    file = Within(lmic.compress(CONTENT, 1))
    file.before = lose
    with pytest.raises(Lost):
        lmic.LmicFile(file).read()
    with pytest.raises(Lost):
        lmic.Archive(file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_opening_a_pipe_does_not_stop_other_threads(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    def open_it():
        with pytest.raises((lmic.LmicError, OSError)):
            lmic.Archive(tmp_path / "pipe")

    opens = threading.Thread(target=open_it)
    opens.start()
    opens.join(0.2)
    assert opens.is_alive()
    (tmp_path / "pipe").open("wb").close()  # the other end
    opens.join(60)
    assert not opens.is_alive()


def test_python_m_lmic_is_the_command(tmp_path):
    def run(*arguments):
        path = os.pathsep.join([str(tmp_path), os.defpath])
        environment = {**os.environ, "PATH": path, "PYTHONUSERBASE": str(tmp_path)}
        call = [sys.executable, "-m", "lmic", *arguments]
        return subprocess.run(call, env=environment, capture_output=True, text=True)

    if os.path.exists(os.path.join(os.path.dirname(sys.executable), "lmic")):
        pytest.skip("this environment has the command")
    missing = run("--version")
    assert missing.returncode == 1 and "not installed" in missing.stderr
    (tmp_path / "lmic").write_text('#!/bin/sh\necho "$@"\nexit 3\n')
    (tmp_path / "lmic").chmod(0o755)
    found = run("-9", "a b")
    assert (found.stdout, found.returncode) == ("-9 a b\n", 3)
