"""Random access."""

import io
import json
import random

import pytest

import lmic


@pytest.fixture
def path(tmp_path, text):
    path = tmp_path / "text.lmic"
    path.write_bytes(lmic.compress(text, 2, block_size=4096) + lmic.compress(bytes(300), 1))
    return path


def test_ranges_are_those_of_the_content(path, text):
    content = text + bytes(300)
    for source in (path, str(path), path.read_bytes(), path.open("rb")):
        with lmic.Archive(source, threads=2) as archive:
            assert archive.raw_len == len(archive) == len(content)
            assert archive.coded_len == path.stat().st_size
            assert archive.read() == archive[:] == content
            assert archive.read(10, 20) == archive[10:20] == content[10:20]
            assert archive.read(4000, 9000) == content[4000:9000]
            assert archive[-400:-100] == content[-400:-100]
            assert archive[5:2] == archive.read(3, 3) == b""
            with pytest.raises(lmic.InvalidArgumentError, match="range"):
                archive.read(0, len(content) + 1)
            with pytest.raises(ValueError, match="steps"):
                archive[::2]
            with pytest.raises(TypeError, match="slices"):
                archive[3]
        with pytest.raises(ValueError, match="closed"):
            archive.read(0, 1)


def test_reads_of_all_ranges_in_any_order(tmp_path, text):
    path = tmp_path / "text.lmic"
    content = text[:5000]
    path.write_bytes(lmic.compress(content[:3000], 1, block_size=1000) + lmic.compress(content[3000:], 1, block_size=700))
    source = random.Random(3)
    with lmic.Archive(path, threads=1) as archive:
        for _ in range(400):
            start = source.randrange(len(content) + 1)
            stop = min(len(content), start + source.choice([0, 1, 10, 700, 2000]))
            assert archive.read(start, stop) == content[start:stop]
    damaged = bytearray(path.read_bytes())
    damaged[lmic.Archive(path).blocks[1].file_offset + 40] ^= 1
    with lmic.Archive(damaged) as archive:
        assert archive.read(0, 9) == content[:9]
        for _ in range(2):
            with pytest.raises(lmic.CorruptError):
                archive.read(1500, 1509)
        assert archive.read(2500, 2600) == content[2500:2600]


def test_blocks_are_as_the_command_lists_them(path, command):
    listed = json.loads(command("list", "-v", "--json", path))[0]["block_list"]
    archive = lmic.Archive(path)
    assert len(archive.blocks) == len(listed) > 5
    for block, of_command in zip(archive.blocks, listed, strict=True):
        assert (block.raw_offset, block.raw_len) == (of_command["raw_offset"], of_command["raw_bytes"])
        assert block.file_offset == of_command["file_offset"]
        assert (block.coded_len, block.model) == (of_command["coded_bytes"], of_command["model"])
    first, second = archive.streams
    assert len(first.content_hash) == 16 and second.content_hash is None
    assert first.raw_len + second.raw_len == len(archive)
    assert "raw_len=" in repr(first) and 'model="cm-2"' in repr(first.blocks[0])


def test_records_are_lines(tmp_path, command):
    lines = [b'{"event": "start", "number": %d}\n' % (n * n) for n in range(200)]
    (tmp_path / "lines").write_bytes(b"".join(lines))
    state = tmp_path / "state.lmicp"
    command("prime", "--quiet", "--examples", tmp_path / "lines", "-o", state)
    data = b"".join(lines)
    coded = lmic.compress(data, primed=state, records=True, block_size=2000)
    with lmic.Archive(coded, primed=state) as archive:
        assert archive.records == 200
        assert archive.record(150) == lines[150][:-1]
        assert archive.read_records(3, 70) == b"".join(lines[3:70])
        assert archive.read_records() == data
        with pytest.raises(IndexError):
            archive.record(200)
    assert lmic.decompress(coded, primed=str(state)) == data
    with pytest.raises(lmic.WrongModelError, match="state"):
        lmic.decompress(coded)
    with pytest.raises(lmic.InvalidArgumentError, match="records"):
        lmic.Archive(lmic.compress(data, 1)).record(0)


def test_what_is_no_archive_is_refused(tmp_path):
    for source, error in [
        (b"", lmic.TruncatedError),
        (b"text that is no archive", lmic.CorruptError),
        (io.BytesIO(lmic.compress(b"text")[:-1]), lmic.TruncatedError),
        (3, TypeError),
    ]:
        with pytest.raises(error):
            lmic.Archive(source)


def test_a_few_bytes_do_not_take_all_memory():
    archive = lmic.compress(bytes(8 << 20), 1, block_size="8M") * 20
    with lmic.Archive(archive, memory="128M") as bomb:
        assert len(bomb) == 160 << 20
        with pytest.raises(lmic.MemoryLimitError, match="read at once"):
            bomb.read()
        assert bomb.read(150 << 20, (150 << 20) + 9) == bytes(9)
