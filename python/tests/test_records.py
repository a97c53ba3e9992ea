"""Primed states and records."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

import lmic


def line(n):
    user, tries = n * n * 7919 % 1009, n * 31 % 7
    return f"INFO session: user {user} has logged in at the console after {tries} tries"


EXAMPLES = [line(n) for n in range(400)]
RECORDS = [line(n).encode() for n in range(400, 500)] + [b"", b"\0\xff something else"]


@pytest.fixture(scope="module")
def primed():
    return lmic.prime(EXAMPLES, name="logs", table_bits=10)


def test_what_is_single_is_not_many_and_text_is_no_code(primed):
    for call in [lmic.prime, primed.compress_batch, primed.decompress_batch, lmic.score_batch]:
        for single in ["text", b"text", bytearray(b"text")]:
            with pytest.raises(TypeError, match="not a single one"):
                call(single)
    with pytest.raises(TypeError):
        primed.decompress("code")
    with pytest.raises(TypeError, match="item 1"):
        primed.compress_batch([b"text", None])


def test_records_take_a_few_bytes_and_come_back(primed):
    codes = [primed.compress(record) for record in RECORDS]
    assert sum(map(len, codes)) < sum(map(len, RECORDS)) / 6
    assert [primed.decompress(code) for code in codes] == RECORDS
    assert primed.compress_batch(RECORDS) == codes
    assert primed.decompress_batch(codes) == RECORDS
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(primed.compress, RECORDS)) == codes


def test_a_private_state_does_not_depend_on_what_few_samples_have():
    def learn(pin, **options):
        return lmic.prime([*EXAMPLES, f"my PIN is {pin}"], table_bits=10, **options)

    assert learn("a471", private=5) == learn("q962", private=5)
    assert learn("a471") != learn("q962")
    state = learn("a471", private=5)
    assert state.decompress(state.compress(RECORDS[0])) == RECORDS[0]
    for private in [0, 1]:
        with pytest.raises(lmic.InvalidArgumentError, match="2 to 255"):
            learn("a471", private=private)
    with pytest.raises((OverflowError, lmic.InvalidArgumentError)):
        learn("a471", private=256)


def test_text_and_buffers_are_records(primed):
    code = primed.compress("Grüße")
    assert primed.decompress(code) == "Grüße".encode()
    assert primed.compress(memoryview("Grüße".encode())) == code
    with pytest.raises(TypeError):
        primed.compress(3)


def test_checks_find_damage_and_a_limit_holds(primed):
    record = RECORDS[0]
    code = primed.compress(record, check=2)
    assert code[:-2] == primed.compress(record)
    assert primed.decompress(code, check=2) == record
    with pytest.raises(lmic.CorruptError):
        primed.decompress(code[:-1] + bytes([code[-1] ^ 1]), check=2)
    with pytest.raises(lmic.CorruptError):
        primed.decompress_batch([code[:-1] + bytes([code[-1] ^ 1])], check=2)
    with pytest.raises(lmic.CorruptError, match="10 bytes"):
        primed.decompress(code, check=2, max_length=10)
    with pytest.raises(lmic.InvalidArgumentError, match="0 to 8"):
        primed.compress(record, check=9)


def test_a_state_is_saved_loaded_and_pickled(primed, tmp_path):
    path = tmp_path / "other.lmicp"
    primed.save(path)
    loaded = lmic.Primed.load(path)
    assert loaded.name == "other" and loaded.identity == primed.identity
    assert path.read_bytes() == primed.to_bytes() == loaded.to_bytes()
    again = pickle.loads(pickle.dumps(primed))
    assert again == primed and hash(again) == hash(primed) and again.name == "logs"
    assert loaded != primed  # archives have another name for it
    assert again.compress(RECORDS[0]) == primed.compress(RECORDS[0])
    with pytest.raises(lmic.TruncatedError):
        lmic.Primed.from_bytes(primed.to_bytes()[:-1])
    with pytest.raises(lmic.InvalidArgumentError, match="no such model"):
        lmic.Primed.load(tmp_path / "missing")


def test_nothing_is_learned_from_nothing():
    for samples in [[], ["", b""]]:
        with pytest.raises(lmic.InvalidArgumentError, match="nothing to learn from"):
            lmic.prime(samples)
    with pytest.raises(lmic.InvalidArgumentError, match="8 to 20"):
        lmic.prime(["a"], table_bits=21)


def test_files_are_coded_with_a_state_in_every_form(primed, tmp_path):
    data = b"\n".join(RECORDS[:50]) + b"\n"
    archive = lmic.compress(data, 1, primed=primed)
    assert archive == lmic.compress(data, 1, primed=("logs", primed))
    path = tmp_path / "logs.lmicp"
    primed.save(path)
    assert archive == lmic.compress(data, 1, primed=path)
    for form in [primed, path, ("any", primed)]:
        assert lmic.decompress(archive, primed=form) == data
    with pytest.raises(lmic.WrongModelError):
        lmic.decompress(archive)


def test_states_and_archives_are_those_of_the_command(primed, command, tmp_path):
    examples, data = tmp_path / "examples.log", tmp_path / "data.log"
    examples.write_text("\n".join(EXAMPLES) + "\n")
    data.write_bytes(b"\n".join(RECORDS[:80]) + b"\n")
    path = tmp_path / "logs.lmicp"
    command("prime", "-q", "--table-bits", "10", "-s", examples, "-o", path)
    assert path.read_bytes() == primed.to_bytes()
    for options, words in [({}, []), ({"records": True}, ["--records"])]:
        archive = lmic.compress(data.read_bytes(), primed=primed, **options)
        assert archive == command("-c", "-p", path, *words, data)
    with pytest.raises(subprocess.CalledProcessError):
        command("-c", "-p", tmp_path / "none", data, stderr=subprocess.DEVNULL)


def test_a_name_that_no_archive_could_have_is_refused_at_once(primed):
    for name in ["", "n" * 65]:
        with pytest.raises(lmic.InvalidArgumentError, match="name"):
            lmic.prime(EXAMPLES, name=name)
        with pytest.raises(lmic.InvalidArgumentError, match="name"):
            lmic.Primed.from_bytes(primed.to_bytes(), name)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_memory_that_the_system_does_not_give_is_an_error():
    program = """
import resource, lmic
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + (100 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    lmic.prime([b"a line %d" % n for n in range(200_000)])
except lmic.OutOfMemoryError:
    print("out of memory")
"""
    assert subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE).stdout == b"out of memory\n"
