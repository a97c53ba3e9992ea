"""Many machines: what a cluster of two nodes writes are the bytes of one machine, also when a node dies."""

import random
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
    words = ["the", "model", "predicts", "what", "comes", "next", "and", "a", "coder", "writes", "it"]
    made = [" ".join(draw.choices(words, k=draw.randrange(12))) + f" {i}\n" for i in range(lines)]
    made[lines // 2 : lines // 2 + lines // 8] = made[: lines // 8]
    return "".join(made).encode()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    node = {"num_cpus": 1, "object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    cluster.add_node(**node)
    ray.init(address=cluster.address, log_to_driver=False)
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
        lmic.ray.compress(str(tmp_path / "in"), str(tmp_path / "out"), 5, block_size=BLOCK, memory=BLOCK)
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

    lmic.ray.compress(str(tmp_path / "in"), str(tmp_path / "out"), 5, block_size=BLOCK, progress=kill)
    assert 0 < killed[0] < len(content) // 2
    assert (tmp_path / "out").read_bytes() == lmic.compress(content, 5, block_size=BLOCK)
