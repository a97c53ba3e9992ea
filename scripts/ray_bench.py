#!/usr/bin/env python3
"""Measures lmic.ray: a cluster of local nodes against one process with the threads of one node, on a file.

    scripts/ray_bench.py TEXT                            # 200 MB, 2 nodes of 8 CPUs, levels 1, 3, 5
    scripts/ray_bench.py TEXT --mb 10 --cpus 1 --cells 1 # small

Needs lmic and ray. Runs take turns, and medians count. What the cluster writes is compared with what the process gives, and
decoded; then once more with a node that is killed in the middle. Prints a table in Markdown.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import lmic
import lmic.ray
import ray
from ray.cluster_utils import Cluster


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("file", type=Path, help="what is coded")
    parser.add_argument("--mb", type=float, default=200, help="how much of it, in MB")
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument(
        "--cpus", type=int, default=8, help="CPUs of a node, and threads of the one process"
    )
    parser.add_argument(
        "--cells",
        nargs="+",
        default=["1", "3", "5", "5:16"],
        help="LEVEL or LEVEL:MiB (size of a block)",
    )
    parser.add_argument("--runs", type=int, default=1)
    arguments = parser.parse_args()

    with arguments.file.open("rb") as file:
        data = file.read(int(arguments.mb * 1e6))
    cluster = start(arguments.nodes, arguments.cpus)
    print(
        f"{len(data)} bytes of {arguments.file.name}, {os.cpu_count()} cores, ray {ray.__version__}"
    )
    print("| level | block | coded / raw | one process, MB/s | cluster, MB/s | times as fast |")
    print("|-|-:|-:|-:|-:|-:|")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "in").write_bytes(data)
        for cell in arguments.cells:
            measure(Path(folder), data, cell, arguments)
        kill(cluster, Path(folder), data, arguments)
    ray.shutdown()
    cluster.shutdown()


def start(nodes: int, cpus: int) -> Cluster:
    """A cluster whose workers have been started once, as a cluster that is in use has them."""
    node = {"num_cpus": cpus, "object_store_memory": 2 << 30}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    for _ in range(nodes - 1):
        cluster.add_node(**node)
    ray.init(address=cluster.address, log_to_driver=False)

    @ray.remote(num_cpus=1, scheduling_strategy="SPREAD")
    def warm() -> None:
        import lmic.ray  # noqa: F401, PLC0415

        time.sleep(1)

    ray.get([warm.remote() for _ in range(2 * nodes * cpus)])
    return cluster


def options(cell: str) -> tuple[int, dict[str, int]]:
    level, _, size = cell.partition(":")
    return int(level), {"block_size": int(float(size) * (1 << 20))} if size else {}


def measure(folder: Path, data: bytes, cell: str, arguments: argparse.Namespace) -> None:
    level, given = options(cell)
    one, many = [], []
    for _ in range(arguments.runs):
        begin = time.perf_counter()
        archive = lmic.compress(data, level, threads=arguments.cpus, **given)
        one.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        lmic.ray.compress(
            str(folder / "in"), str(folder / "out.lmic"), level, overwrite=True, **given
        )
        many.append(time.perf_counter() - begin)
        assert (folder / "out.lmic").read_bytes() == archive, "the cluster wrote other bytes"
    assert lmic.decompress(archive, memory=None) == data
    speed = [len(data) / statistics.median(times) / 1e6 for times in (one, many)]
    block = f"{given['block_size'] / (1 << 20):g} MiB" if given else "own"
    rate = len(archive) / len(data)
    ratio = speed[1] / speed[0]
    print(
        f"| {level} | {block} | {rate:.4f} | {speed[0]:.2f} | {speed[1]:.2f} | {ratio:.2f} |",
        flush=True,
    )


def kill(cluster: Cluster, folder: Path, data: bytes, arguments: argparse.Namespace) -> None:
    """Codes with small blocks, and kills a node when a quarter is done."""
    node = cluster.add_node(num_cpus=arguments.cpus, object_store_memory=2 << 30)
    killed: list[int] = []

    def progress(done: int, total: int) -> None:
        if not killed and done > total // 4:
            killed.append(done)
            cluster.remove_node(node, allow_graceful=False)

    given = {"block_size": 1 << 20}
    begin = time.perf_counter()
    lmic.ray.compress(
        str(folder / "in"), str(folder / "killed.lmic"), 1, cpus=1, progress=progress, **given
    )
    took = time.perf_counter() - begin
    archive = lmic.compress(data, 1, **given)
    assert (folder / "killed.lmic").read_bytes() == archive, "the cluster wrote other bytes"
    print(
        f"\nA node killed after {killed[0]} of {len(data)} bytes: the same archive, in {took:.1f} s."
    )


if __name__ == "__main__":
    main()
