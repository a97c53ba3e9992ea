"""Archives as files."""

import gc
import io
import os
import pickle
import random
import threading
import warnings

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


@pytest.mark.parametrize("sought", [False, True])
def test_a_seek_that_fails_changes_nothing(text, sought):
    with lmic.LmicFile(io.BytesIO(lmic.compress(text, 1, block_size=1000))) as file:
        if sought:
            file.seek(1)
        place = file.tell() + len(file.read(20))
        wrong = [(-1,), (-100, io.SEEK_CUR), (-len(text) - 1, io.SEEK_END)]
        wrong += [(1, 3), (1, 4), (1, -1), (1 << 63,)]
        for arguments in wrong:
            with pytest.raises(ValueError):
                file.seek(*arguments)
            assert file.tell() == place
            assert file.read(1) == text[place : place + 1]
            place += 1
        for arguments in [("1",), (1.0,), (1, "0")]:
            with pytest.raises((TypeError, ValueError)):
                file.seek(*arguments)
        assert file.read() == text[place:]


@pytest.mark.parametrize("sought", [False, True])
def test_after_a_read_that_fails_only_a_seek_goes_on(text, sought):
    class Shaky(io.BytesIO):
        fails = 0

        def read(self, size=-1):
            if self.fails:
                raise ConnectionResetError("the peer is gone")
            return super().read(size)

    text = text * 30  # more than is buffered
    beneath = Shaky(lmic.compress(text, 1, block_size=1000))
    with lmic.LmicFile(beneath) as file:
        if sought:
            file.seek(0)
        assert file.read(150_000) == text[:150_000]
        for place in (149_990, 5, 200_000):
            beneath.fails = True
            with pytest.raises(ConnectionResetError):
                file.read()
            beneath.fails = False
            for call in (file.read, file.peek, file.readline, file.tell):
                with pytest.raises(lmic.InputOutputError, match="seek"):
                    call()
            with pytest.raises(lmic.InputOutputError, match="seek"):
                file.seek(0, io.SEEK_CUR)
            with pytest.raises(ValueError):
                file.seek(-1)
            assert file.seek(place) == file.tell() == place
            assert file.read(150_000) == text[place : place + 150_000]


def test_a_wrong_argument_stops_no_reading(text):
    with lmic.LmicFile(Pipe(lmic.compress(text, 1))) as file:
        for call in (
            lambda: file.read("1"),
            lambda: file.read(-2),
            lambda: file.read(1 << 70),
            lambda: file.readinto(b"fixed"),
            lambda: file.readline(1.5),
        ):
            with pytest.raises((TypeError, ValueError, OverflowError)):
                call()
        assert file.read() == text


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


@pytest.mark.parametrize("before", [b"before", b""])
@pytest.mark.parametrize("fails", ["coding", "write", "close"])
def test_what_cannot_be_appended_leaves_the_file_as_it_was(path, text, before, fails):
    resource = pytest.importorskip("resource")
    before = before and lmic.compress(before, 1)
    path.write_bytes(before)
    noise = random.Random(1).randbytes(100_000)
    if fails == "coding":
        file = lmic.open(path, "a", level=1, memory=1000)
        with pytest.raises(lmic.MemoryLimitError):
            file.write(text * 10)
        with pytest.raises(lmic.InputOutputError, match="not complete"):
            file.close()
    else:
        file = lmic.open(path, "a", level=1, block_size=1000 if fails == "write" else None)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
        try:
            if fails == "write":
                with pytest.raises(OSError, match="too large"):
                    file.write(noise)
                with pytest.raises(lmic.InputOutputError, match="not complete"):
                    file.close()
            else:
                file.write(noise)
                with pytest.raises(OSError, match="too large|not complete"):
                    file.close()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.closed
    assert path.read_bytes() == before


@pytest.mark.parametrize("taken", [None, 0, -1, 10**6])
def test_a_file_that_takes_nothing_loses_nothing(text, taken):
    class Socket(io.RawIOBase):
        taken = None

        def __init__(self):
            self.data = []

        def writable(self):
            return True

        def write(self, data):
            if len(self.data) == 10:
                return taken
            self.data.append(bytes(data[:7]))
            return len(self.data[-1])

    socket = Socket()
    file = lmic.LmicFile(socket, "w", level=1)
    file.write(text)
    with pytest.raises(BlockingIOError if taken is None else lmic.InputOutputError):
        file.close()
    assert file.closed
    assert b"".join(socket.data) == lmic.compress(text, 1)[:70]


def test_a_file_may_not_say_what_it_took(text):
    class Sink:
        data = b""

        def write(self, data):
            self.data += data

    sink = Sink()
    with lmic.LmicFile(sink, "w", level=1) as file:
        file.write(text)
    assert lmic.decompress(sink.data) == text


@pytest.mark.parametrize("when", ["write", "close"])
def test_a_file_closed_by_its_own_write_says_so(text, when):
    class Closes(io.BytesIO):
        def write(self, data):
            length = super().write(data)
            if lmic_file is not None:
                try:
                    lmic_file.close()
                except lmic.InputOutputError:
                    pass
            return length

    beneath = Closes()
    lmic_file = lmic.LmicFile(beneath, "w", level=1, block_size=1000 if when == "write" else None)
    with pytest.raises(ValueError, match="closed"):
        lmic_file.write(text * 10)
        lmic_file.close()
    assert lmic_file.closed
    if when == "write":
        with pytest.raises(lmic.TruncatedError):
            lmic.decompress(beneath.getvalue())


@pytest.mark.parametrize("mode", ["wb", "wt", "ab"])
def test_what_nobody_closes_is_not_complete(path, text, mode):
    before = lmic.compress(b"before", 1)
    path.write_bytes(before)
    file = lmic.open(path, mode, level=1, block_size=1000)
    file.write(text.decode() if mode == "wt" else text)
    with pytest.warns(ResourceWarning, match="not closed"):
        del file
        gc.collect()
    if mode == "ab":
        assert path.read_bytes() == before
    else:
        with pytest.raises(lmic.TruncatedError):
            lmic.decompress(path.read_bytes())


def test_what_was_closed_or_only_read_is_dropped_in_silence(path, text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with lmic.open(path, "wt", level=1) as file:
            file.write(text.decode())
        del file
        file = lmic.open(path)
        file.read(5)
        del file
        gc.collect()
    assert lmic.decompress(path.read_bytes()) == text


def test_text_that_is_not_written_leaves_no_complete_archive(path, monkeypatch):
    file = lmic.open(path, "wt", level=1)
    file.write("pending")

    def interrupted(self, data):
        raise KeyboardInterrupt

    monkeypatch.setattr(lmic.LmicFile, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        file.close()
    assert file.closed
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
    path.write_bytes(b"old")
    for wrong in [{"encoding": "nonesuch"}, {"newline": "x"}, {"encoding": 3}]:
        with pytest.raises((LookupError, ValueError, TypeError)):
            lmic.open(path, "wt", level=1, **wrong)
    assert path.read_bytes() == b"old"
    with lmic.LmicFile(io.BytesIO(), "w") as file, pytest.raises(TypeError, match="pickled"):
        pickle.dumps(file)


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


@pytest.mark.parametrize("encoding", ["utf-16", "UTF32", "utf-8-sig"])
def test_byte_order_marks(path, encoding):
    for pieces in (["Grüße\n", "два"], [""]):
        with lmic.open(path, "wt", level=1, encoding=encoding) as file:
            for piece in pieces:
                file.write(piece)
        with lmic.open(path, "rt", encoding=encoding) as file:
            assert file.read() == "".join(pieces)
        assert lmic.decompress(path.read_bytes()).decode(encoding) == "".join(pieces)
    with pytest.raises(ValueError, match="byte order"):
        lmic.open(path, "at", level=1, encoding=encoding)


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


def test_threads_may_read_one_file(path):
    path.write_bytes(lmic.compress(b"".join(b"%06d\n" % n for n in range(30_000)), 1))
    lines = []
    with lmic.open(path) as file:

        def work():
            while line := file.readline():
                lines.append(line)
                with pytest.raises(TypeError):
                    file.read("1")

        threads = [threading.Thread(target=work) for _ in range(3)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    assert sorted(lines) == [b"%06d\n" % n for n in range(30_000)]


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
