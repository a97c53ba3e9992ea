"""Many machines: what a cluster of two nodes writes are the bytes of one machine, also when a node dies."""

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmic
import pytest

ray = pytest.importorskip("ray", reason="ray is not installed; `make python-ray` runs these")
pytest.importorskip("ray.data")

import lmic.ray  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

BLOCK = 1 << 16


def text(lines: int, seed: int = 1) -> bytes:
    """Lines of words, of which some come again far behind."""
    draw = random.Random(seed)
    words = [
        "the",
        "model",
        "predicts",
        "what",
        "comes",
        "next",
        "and",
        "a",
        "coder",
        "writes",
        "it",
    ]
    made = [" ".join(draw.choices(words, k=draw.randrange(12))) + f" {i}\n" for i in range(lines)]
    made[lines // 2 : lines // 2 + lines // 8] = made[: lines // 8]
    return "".join(made).encode()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    node = {"num_cpus": 1, "object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    cluster.add_node(**node)
    ray.init(address=cluster.address, log_to_driver=False)
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_a_cluster_writes_the_bytes_of_one_machine(cluster: Any, tmp_path: Path) -> None:
    content = text(20_000)
    (tmp_path / "in").write_bytes(content)
    seen: list[tuple[int, int]] = []
    sizes = lmic.ray.compress(
        f"file://{tmp_path}/in",
        f"file://{tmp_path}/out.lmic",
        3,
        block_size=BLOCK,
        in_flight=3,
        progress=lambda *done: seen.append(done),
    )
    archive = (tmp_path / "out.lmic").read_bytes()
    assert archive == lmic.compress(content, 3, block_size=BLOCK)
    assert (sizes.raw_len, sizes.coded_len) == (len(content), len(archive))
    assert len(seen) == -(-len(content) // BLOCK)
    assert seen == sorted(seen) and seen[-1] == (len(content), len(content))
    with pytest.raises(FileExistsError):
        lmic.ray.compress(str(tmp_path / "in"), str(tmp_path / "out.lmic"), 1)


def test_no_more_is_in_flight_than_may_be(cluster: Any) -> None:
    begun: list[int] = []

    def work() -> Iterator[Any]:
        for i in range(20):
            begun.append(i)
            yield ray.put(i), -i

    for done, (result, owner) in enumerate(lmic.ray._in_order(work(), 4)):
        assert (result, owner) == (done, -done)
        assert len(begun) == min(done + 4, 20)


def test_each_file_of_a_folder_becomes_an_archive(cluster: Any, tmp_path: Path) -> None:
    files = {"a": text(3000, 2), "deep/b.txt": b"", "deep/er/c": b"short"}
    for name, content in files.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(content)
    lmic.ray.compress(str(tmp_path / "in"), str(tmp_path / "out"), 1, block_size=BLOCK)
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(written) == len(files)
    for name, content in files.items():
        archive = (tmp_path / "out" / (name + ".lmic")).read_bytes()
        assert archive == lmic.compress(content, 1, block_size=BLOCK)


def test_an_error_leaves_nothing_behind(cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(text(3000))
    with pytest.raises(lmic.MemoryLimitError):
        lmic.ray.compress(
            str(tmp_path / "in"), str(tmp_path / "out"), 5, block_size=BLOCK, memory=BLOCK
        )
    assert [path.name for path in tmp_path.iterdir()] == ["in"]

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    (tmp_path / "in").write_bytes(text(30_000))
    with pytest.raises(KeyboardInterrupt):
        lmic.ray.compress(
            str(tmp_path / "in"), str(tmp_path / "out"), 5, block_size=BLOCK, progress=interrupt
        )
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_node_that_dies_in_the_middle_loses_nothing(cluster: Any, tmp_path: Path) -> None:
    content = text(60_000)
    (tmp_path / "in").write_bytes(content)
    node = cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    killed: list[int] = []

    def kill(done: int, total: int) -> None:
        # All CPUs have work, so that of this node is lost.
        if not killed and done > total // 4 and not ray.available_resources().get("CPU"):
            killed.append(done)
            cluster.remove_node(node, allow_graceful=False)

    lmic.ray.compress(
        str(tmp_path / "in"), str(tmp_path / "out"), 5, block_size=BLOCK, progress=kill
    )
    assert 0 < killed[0] < len(content) // 2
    assert (tmp_path / "out").read_bytes() == lmic.compress(content, 5, block_size=BLOCK)


def test_one_archive_is_restored_by_all_workers(cluster: Any, tmp_path: Path) -> None:
    contents = {"a": text(9000), "empty": b"", "deep/b": text(40, 3)}
    for name, content in contents.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).with_suffix(".lmic").write_bytes(
            lmic.compress(content, 1, block_size=BLOCK)
        )
    seen: list[tuple[int, int]] = []
    sizes = lmic.ray.decompress(
        str(tmp_path / "in"), str(tmp_path / "out"), progress=lambda *done: seen.append(done)
    )
    total = sum(map(len, contents.values()))
    assert sizes.raw_len == total and seen[-1] == (total, total)
    assert {
        str(path.relative_to(tmp_path / "out")): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    } == contents
    bad = bytearray((tmp_path / "in" / "a.lmic").read_bytes())
    bad[len(bad) // 2] ^= 1
    (tmp_path / "bad.lmic").write_bytes(bad)
    with pytest.raises(lmic.CorruptError):
        lmic.ray.decompress(str(tmp_path / "bad.lmic"), str(tmp_path / "bad"))
    assert not (tmp_path / "bad").exists()


def test_the_hash_of_a_stream_is_compared_where_all_of_it_comes_by(
    cluster: Any, tmp_path: Path
) -> None:
    content = text(9000)
    planner = lmic.ray.Planner(1, block_size=BLOCK)
    writer = lmic.ray.StreamWriter(planner)
    blocks = [task.encode() for task in planner.push(content) + planner.finish()]
    # Blocks that match their checks, in a stream that says it holds something else.
    wrong = b"".join(map(writer.write, blocks)) + writer.finish(b"another content!")
    good = lmic.compress(content, 1, block_size=BLOCK)
    assert len(wrong) == len(good)
    (tmp_path / "wrong.lmic").write_bytes(good + wrong)
    with pytest.raises(lmic.CorruptError, match="does not match the hash"):
        lmic.ray.decompress(str(tmp_path / "wrong.lmic"), str(tmp_path / "wrong"))
    assert not (tmp_path / "wrong").exists()
    lines = lmic.ray.read_lmic(str(tmp_path / "wrong.lmic"))
    assert lines.count() == 2 * content.count(b"\n")


@pytest.mark.parametrize("block", [256, 1000, BLOCK])
def test_lines_are_whole_whatever_the_blocks(cluster: Any, tmp_path: Path, block: int) -> None:
    # Empty lines, lines longer than blocks, and one that is as long as a block at its start.
    odd = (
        b"\n\n" + b"x" * (block - 3) + b"\n" + b"y" * 3 * block + b"\n" + b"z" * (block - 1) + b"\n"
    )
    for name, content in [("a", odd + text(150)), ("b", odd[:-1]), ("c", b""), ("d", b"\n")]:
        (tmp_path / f"{name}.lmic").write_bytes(lmic.compress(content, 1, block_size=block))
        source = lmic.ray.LmicDatasource(str(tmp_path / f"{name}.lmic"))
        archive = lmic.Archive((tmp_path / f"{name}.lmic").open("rb"))
        blocks = lmic.ray._blocks(archive)
        lines = content.split(b"\n")
        lines = lines if lines[-1] else lines[:-1]
        for size in (1, 2 * block, 7 * block, 1 << 20):
            spans = list(lmic.ray._spans(blocks, size))
            assert size > 1 or len(spans) == len(blocks)
            read = [
                source._table.lines(lmic.ray._lines_of(archive, span))["text"].to_pylist()
                for span in spans
            ]
            assert [line.encode() for part in read for line in part] == lines


def test_an_archive_is_a_dataset_of_lines_or_bytes(cluster: Any, tmp_path: Path) -> None:
    content = text(50_000)
    (tmp_path / "in.lmic").write_bytes(lmic.compress(content, 1, block_size=BLOCK))

    lines = lmic.ray.read_lmic(str(tmp_path / "in.lmic"), include_paths=True)
    rows = lines.take_all()
    assert [row["text"] for row in rows] == content.decode().split("\n")[:-1]
    assert rows[0]["path"].endswith("in.lmic")
    assert lines.materialize().num_blocks() > 1
    chunks = lmic.ray.read_lmic(
        f"file://{tmp_path}", rows="bytes", chunk_size=5000, override_num_blocks=3
    )
    rows = chunks.take_all()
    assert b"".join(row["bytes"] for row in rows) == content
    assert [len(row["bytes"]) for row in rows[:14]] == [5000] * 13 + [BLOCK - 13 * 5000]
    assert all(content[row["offset"] :].startswith(row["bytes"]) for row in rows)


def test_a_dataset_is_scored_and_written(cluster: Any, tmp_path: Path) -> None:
    draw = random.Random(5)
    noise = ["".join(chr(draw.randrange(33, 127)) for _ in range(200)) for _ in range(20)]
    prose = [
        f"what comes next is line {i}, and what comes next is said again" * 3 for i in range(40)
    ]
    dataset = ray.data.from_items(
        [{"text": line, "i": i} for i, line in enumerate(noise + prose)], override_num_blocks=4
    )
    scored = lmic.ray.score(dataset, level=1).take_all()
    assert sorted(row["i"] for row in scored) == list(range(60))
    expected = lmic.score_batch(noise[:1] + prose[:1], 1)
    found = {row["i"]: row["bits_per_byte"] for row in scored}
    assert [found[0], found[20]] == expected
    kept = lmic.ray.score(dataset, level=1, below=5.0)
    lmic.ray.write_lmic(kept, str(tmp_path / "out"), level=1)
    written = sorted((tmp_path / "out").iterdir())
    assert written and all(path.name.startswith("part-") for path in written)
    lines = b"".join(lmic.decompress(path.read_bytes()) for path in written).decode().splitlines()
    assert sorted(lines) == sorted(prose)
    again = lmic.ray.read_lmic(str(tmp_path / "out")).take_all()
    assert sorted(row["text"] for row in again) == sorted(prose)
    with pytest.raises(FileExistsError):
        lmic.ray.write_lmic(kept, str(tmp_path / "out"))
    broken = ray.data.from_items([{"text": "two\nlines"}])
    with pytest.raises(ValueError, match="separator"):
        lmic.ray.write_lmic(broken, str(tmp_path / "broken"), level=1)
    assert [path.name for path in (tmp_path / "broken").iterdir()] == []


def test_records_and_models_are_known_to_workers(cluster: Any, tmp_path: Path) -> None:
    content = text(4000)
    lmic.prime(content.splitlines()[:500]).save(tmp_path / "lines.lmicp")
    (tmp_path / "in").write_bytes(content)
    out, primed = str(tmp_path / "out.lmic"), str(tmp_path / "lines.lmicp")
    lmic.ray.compress(str(tmp_path / "in"), out, 1, block_size=BLOCK, primed=primed, records=True)
    archive = Path(out).read_bytes()
    assert archive == lmic.compress(content, 1, block_size=BLOCK, primed=primed, records=True)
    rows = lmic.ray.read_lmic(out, rows="records", override_num_blocks=3, primed=primed).take_all()
    assert [row["record"] for row in rows] == content.splitlines()
    rows = lmic.ray.read_lmic(out, primed=primed).take_all()
    assert [row["text"] for row in rows] == content.decode().splitlines()
    lmic.ray.compress(str(tmp_path / "in"), str(tmp_path / "plain"), 1)
    with pytest.raises(ValueError, match="records"):
        lmic.ray.read_lmic(str(tmp_path / "plain"), rows="records")


def test_examples_of_the_documents_run(cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "enwik9").write_bytes(text(4000))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a").write_bytes(text(500, 2))
    (tmp_path / "events.jsonl").write_bytes(b"".join(b'{"id": %d}\n' % i for i in range(2000)))
    document = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()
    names: dict[str, Any] = {}
    for example in re.findall(r"```python\n(.*?)```", document, re.DOTALL):
        exec(example.replace("/data", str(tmp_path)), names)
    assert (tmp_path / "again" / "a").read_bytes() == text(500, 2)
    assert names["scored"].count() == 4000
    assert names["pieces"].take_all()[0]["bytes"] == text(500, 2)
    assert names["events"].count() == 2000
    assert list((tmp_path / "clean").glob("part-*.lmic"))
