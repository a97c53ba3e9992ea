"""Encrypted archives: all ways to write and read them, keys that are wrong, hostile bytes."""

import io
import random

import lmic
import numpy
import pytest

# Of age's own tests.
SECRET = b"AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33"
PUBLIC = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa"
TEXT = b"to be, or not to be, that is the question. " * 50


def test_every_reader_reads_what_every_writer_writes(tmp_path):
    (tmp_path / "key").write_bytes(SECRET)
    compressor = lmic.LmicCompressor(1, recipients=[PUBLIC])
    file = io.BytesIO()
    with lmic.open(file, "wb", level=1, recipients=PUBLIC, pad=False) as archive:
        archive.write(TEXT)
    for code in (
        lmic.compress(TEXT, 1, recipients=PUBLIC),
        compressor.compress(TEXT) + compressor.flush(),
        file.getvalue(),
    ):
        assert code.startswith(b"age-encryption.org/v1\n")
        for identities in (SECRET, [SECRET], tmp_path / "key", str(tmp_path / "key"), [tmp_path / "key"]):
            assert lmic.decompress(code, identities=identities) == TEXT
        with lmic.open(io.BytesIO(code), identities=SECRET) as archive:
            assert archive.read(10) == TEXT[:10]
            archive.seek(-5, io.SEEK_END)
            assert archive.read() == TEXT[-5:]
        with lmic.Archive(code, identities=SECRET) as archive:
            assert archive[7:9] == TEXT[7:9]


def test_wrong_keys_are_errors_of_their_own(tmp_path):
    code = lmic.compress(TEXT, 1, recipients=PUBLIC)
    for call in (lmic.decompress, lmic.Archive):
        with pytest.raises(lmic.WrongKeyError, match="no identity is given") as error:
            call(code)
        assert isinstance(error.value, PermissionError)
    with pytest.raises(lmic.WrongKeyError), lmic.open(io.BytesIO(code)) as archive:
        archive.read()
    with pytest.raises(lmic.InvalidArgumentError):
        lmic.compress(TEXT, recipients=SECRET.decode())
    with pytest.raises(lmic.InvalidArgumentError, match="not both"):
        lmic.compress(TEXT, recipients=PUBLIC, passphrase="a")
    with pytest.raises(lmic.InvalidArgumentError):
        lmic.compress(TEXT, pad=True)
    with pytest.raises(lmic.InvalidArgumentError):
        lmic.decompress(code, identities=b"nonsense")
    with pytest.raises(FileNotFoundError):
        lmic.decompress(code, identities="missing")
    with pytest.raises(TypeError):
        lmic.decompress(code, identities=3)
    with pytest.raises(TypeError):
        lmic.LmicDecompressor(identities=SECRET)
    with pytest.raises(ValueError, match="append"):
        lmic.open(io.BytesIO(), "ab", recipients=PUBLIC)
    # Nor without keys to one that is there.
    (tmp_path / "a.lmic.age").write_bytes(code)
    with pytest.raises(ValueError, match="append"):
        lmic.open(tmp_path / "a.lmic.age", "ab")
    assert (tmp_path / "a.lmic.age").read_bytes() == code
    with pytest.raises(lmic.CorruptError, match="is encrypted"):
        lmic.LmicDecompressor().decompress(code)


def test_an_identity_in_the_place_of_a_path_is_not_repeated():
    code = lmic.compress(TEXT, 1, recipients=PUBLIC)
    for text in (SECRET.decode(), "# key\n-----BEGIN OPENSSH PRIVATE KEY-----\n" + SECRET.decode()):
        with pytest.raises(lmic.InvalidArgumentError, match="as text") as error:
            lmic.decompress(code, identities=text)
        assert SECRET.decode()[20:30] not in str(error.value)


def test_a_passphrase_opens_what_it_closed():
    code = lmic.compress(TEXT, 1, passphrase="sesame")
    assert lmic.decompress(code, passphrase="sesame") == TEXT
    with pytest.raises(lmic.WrongKeyError, match="passphrase is wrong"):
        lmic.decompress(code, passphrase="barley")


def test_hostile_bytes_in_any_buffer_are_errors():
    """Bytes at random, and archives with some broken bytes, in all kinds of buffers: an error of lmic, or content."""
    rng = random.Random(1)
    codes = [lmic.compress(TEXT, 1), lmic.compress(TEXT, 1, recipients=PUBLIC)]
    for turn in range(300):
        data = bytearray(codes[turn % 2] if turn % 5 else rng.randbytes(rng.randrange(200)))
        for _ in range(rng.randrange(4)):
            if data:
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        del data[len(data) - rng.randrange(1 + len(data)) // 4 :]
        buffer = [bytes, bytearray, memoryview, lambda d: numpy.frombuffer(bytes(d), numpy.uint8)][turn % 4](data)
        for read in (
            lambda: lmic.decompress(buffer, identities=SECRET),
            lambda: lmic.Archive(buffer, identities=SECRET).read(),
            lambda: lmic.LmicDecompressor().decompress(buffer),
            lambda: lmic.open(io.BytesIO(bytes(buffer)), identities=SECRET).read(),
        ):
            try:
                content = read()
            except lmic.LmicError:
                continue
            assert TEXT.startswith(content)
