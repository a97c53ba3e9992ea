"""Archives as files."""

import io
import os
import pickle
import random
import threading

import pytest

import lmic


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.lmic"


def test_a_file_is_what_the_command_writes(path, text, command):
    with lmic.open(path, "wb", level=2, block_size="4K") as file:
        for at in range(0, len(text), 777):
            assert file.write(text[at : at + 777]) == len(text[at : at + 777])
        assert file.tell() == len(text)
    assert path.read_bytes() == command("-2", "--block-size", "4K", input=text)
    assert command("-dc", path) == text
    with lmic.open(path) as file:
        assert file.read() == text


def test_all_streams_are_read(path, text):
    path.write_bytes(lmic.compress(text, 1) + bytes(7) + lmic.compress(b"end", 1))
    with lmic.open(path) as file:
        assert file.read() == text + b"end"
        assert file.read() == file.read(5) == file.peek() == b""


def test_reading_is_that_of_any_file(path, text):
    lines = text.replace(b" ", b"\n")
    path.write_bytes(lmic.compress(lines, 1, block_size=1000))
    with lmic.open(path) as file:
        assert file.readable() and file.seekable() and not file.writable()
        assert file.peek(1)[:5] == lines[:5]
        assert file.read(0) == b"" and file.tell() == 0
        assert file.readline() == lines[: lines.index(b"\n") + 1]
        file.seek(0)
        assert list(file) == lines.splitlines(keepends=True)
        file.seek(0)
        memory = bytearray(1500)
        assert file.readinto(memory) == 1500 and memory == lines[:1500]
        some = file.read1()
        assert some == lines[1500 : 1500 + len(some)] and some
        assert file.fileno() > 2
    for call in (file.read, file.tell, file.readable, file.peek, lambda: file.seek(0)):
        with pytest.raises(ValueError, match="closed"):
            call()
    file.close()


def test_seeking_gets_anywhere(path, text):
    path.write_bytes(lmic.compress(text, 1, block_size=1000) * 2)
    content = text * 2
    source = random.Random(2)
    with lmic.open(path, threads=2) as file:
        for _ in range(100):
            place = source.randrange(len(content))
            assert file.seek(place) == file.tell() == place
            length = source.randrange(3000)
            assert file.read(length) == content[place : place + length]
        assert file.seek(-10, io.SEEK_END) == len(content) - 10
        assert file.read() == content[-10:]
        file.seek(5)
        assert file.seek(10, io.SEEK_CUR) == 15
        assert file.read(5) == content[15:20]
        assert file.seek(10**9) == 10**9 and file.read() == b""
        with pytest.raises(ValueError):
            file.seek(-1)
        file.seek(0)
        assert file.read() == content


def test_a_seek_does_not_decode_what_is_before(path, text):
    archive = bytearray(lmic.compress(text, 1, block_size=1000))
    blocks = lmic.Archive(archive).blocks
    archive[blocks[0].file_offset + 40] ^= 1
    path.write_bytes(archive)
    with lmic.open(path) as file:
        file.seek(blocks[-1].raw_offset)
        if blocks[-1].literals == blocks[-1].raw_len:  # nothing of it is a copy
            assert file.read() == text[blocks[-1].raw_offset :]
        file.seek(0)
        with pytest.raises(lmic.CorruptError):
            file.read()


def test_an_archive_may_begin_within_a_file(text):
    beneath = io.BytesIO(b"before" + lmic.compress(text, 1))
    beneath.seek(6)
    with lmic.LmicFile(beneath) as file:
        assert file.read(10) == text[:10]
        file.seek(20)
        assert file.read() == text[20:]
    assert not beneath.closed


class Pipe(io.RawIOBase):
    """A file that does not seek, and gives a few bytes at once."""

    def __init__(self, data):
        self.data = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, memory):
        piece = self.data.read(min(len(memory), 7))
        memory[: len(piece)] = piece
        return len(piece)


def test_a_pipe_is_read_without_seeking(text):
    with lmic.LmicFile(Pipe(lmic.compress(text, 1))) as file:
        assert not file.seekable()
        assert file.read(10) == text[:10]
        with pytest.raises(io.UnsupportedOperation):
            file.seek(0)
        assert file.read() == text[10:]


def test_errors_of_the_file_beneath_come_through(text):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise ConnectionResetError("the peer is gone")

    with pytest.raises(ConnectionResetError, match="the peer is gone"):
        lmic.LmicFile(Broken(b"")).read()
    with pytest.raises(FileNotFoundError):
        lmic.open("no such file")
    with pytest.raises(FileNotFoundError):
        lmic.Archive("no such file")

    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    file = lmic.LmicFile(Full(), "w", level=1)
    file.write(text)
    with pytest.raises(OSError, match="No space"):
        file.close()
    assert file.closed


def test_a_truncated_file_gives_what_is_whole_and_an_error(path, text):
    archive = lmic.compress(text, 1, block_size=1000)
    path.write_bytes(archive[:-3])
    with lmic.open(path) as file, pytest.raises(lmic.TruncatedError):
        assert file.read(1000) == text[:1000]
        file.read()


@pytest.mark.parametrize("length", [10, 10_000])
def test_an_exception_leaves_no_complete_archive(path, text, length):
    for mode in ("wb", "wt"):
        with pytest.raises(ZeroDivisionError), lmic.open(path, mode, level=1) as file:
            file.write(text[:length] if mode == "wb" else text[:length].decode())
            1 / 0
        assert file.closed
        with pytest.raises(lmic.TruncatedError):
            lmic.decompress(path.read_bytes())


def test_an_exception_leaves_what_was_appended_to(path, text):
    path.write_bytes(lmic.compress(text, 1))
    with pytest.raises(ZeroDivisionError), lmic.open(path, "a", level=1, block_size=256) as file:
        file.write(text * 20)
        1 / 0
    assert lmic.decompress(path.read_bytes()) == text


def test_append_and_exclusive(path):
    with lmic.open(path, "xb", level=1) as file:
        file.write(b"one")
    with pytest.raises(FileExistsError):
        lmic.open(path, "x")
    with lmic.open(path, "ab", level=2) as file:
        file.write(b", two")
    with lmic.open(path) as file:
        assert file.read() == b"one, two"


def test_a_write_failed_is_the_last(path, text):
    file = lmic.open(path, "w", level=1, memory=1000)
    with pytest.raises(lmic.MemoryLimitError):
        file.write(text * 10)
    with pytest.raises(ValueError, match="earlier write failed"):
        file.write(b"more")
    with pytest.raises(lmic.InputOutputError, match="not complete"):
        file.close()
    file.close()
    with pytest.raises(lmic.TruncatedError):
        lmic.decompress(path.read_bytes())


def test_what_cannot_be_written_spoils_nothing(path):
    with lmic.open(path, "w", level=1) as file:
        file.write(b"one")
        for wrong in ["text", None, 3]:
            with pytest.raises(TypeError):
                file.write(wrong)
        file.write(b", two")
    assert lmic.decompress(path.read_bytes()) == b"one, two"


def test_wrong_arguments_make_no_file(path):
    for arguments in [("q",), ("rw",), ("rbt",), ("wbt",), ("",)]:
        with pytest.raises(ValueError, match="mode"):
            lmic.open(path, *arguments)
    with pytest.raises(lmic.InvalidArgumentError):
        lmic.open(path, "w", level=77)
    with pytest.raises(ValueError, match="text"):
        lmic.open(path, "wb", encoding="utf-8")
    with pytest.raises(TypeError):
        lmic.open(3)
    assert not path.exists()
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(lmic.LmicFile(io.BytesIO(), "w"))


def test_what_is_opened_for_one_thing_does_no_other(path):
    with lmic.open(path, "w", level=1) as file:
        assert file.writable() and not file.readable() and not file.seekable()
        for call in (file.read, file.peek, file.readline, lambda: file.seek(0)):
            with pytest.raises(io.UnsupportedOperation):
                call()
    with lmic.open(path) as file, pytest.raises(io.UnsupportedOperation):
        file.write(b"")


def test_text_has_encodings_and_newlines(path):
    lines = "Grüße\nдва\r\n"
    with lmic.open(path, "wt", level=1, encoding="utf-16-le", newline="") as file:
        file.write(lines)
    assert lmic.decompress(path.read_bytes()) == lines.encode("utf-16-le")
    with lmic.open(path, "rt", encoding="utf-16-le") as file:
        assert file.read() == lines.replace("\r\n", "\n")
    with lmic.open(path, "rt", encoding="utf-16-le", newline="") as file:
        assert file.readlines() == ["Grüße\n", "два\r\n"]
    with lmic.open(path, "at", level=1, encoding="utf-8", newline="\r\n") as file:
        file.write("end\n")
    assert lmic.decompress(path.read_bytes()) == lines.encode("utf-16-le") + b"end\r\n"
    with lmic.open(path, "rt", encoding="ascii", errors="replace") as file:
        assert "\ufffd" in file.read()


def test_threads_may_write_to_one_file(path):
    with lmic.open(path, "wb", level=1, block_size=1000) as file:

        def work(letter):
            for _ in range(300):
                file.write(letter * 700)

        threads = [threading.Thread(target=work, args=(letter,)) for letter in (b"a", b"b")]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    with lmic.open(path) as file:
        pieces = [file.read(700) for _ in range(600)]
    assert sorted(pieces) == [b"a" * 700] * 300 + [b"b" * 700] * 300


def test_tar_reads_and_writes_through_it(path, tmp_path, text):
    import tarfile

    (tmp_path / "text").write_bytes(text)
    with lmic.open(path, "wb", level=1) as file, tarfile.open(fileobj=file, mode="w") as tar:
        tar.add(tmp_path / "text", "text")
    with lmic.open(path) as file, tarfile.open(fileobj=file) as tar:
        assert tar.extractfile("text").read() == text


def test_lines_of_random_length(path):
    lines = io.BytesIO(os.urandom(50_000)).readlines()
    with lmic.open(path, "wb", level=1) as file:
        file.writelines(lines)
    with lmic.open(path) as file:
        assert file.readlines() == lines
