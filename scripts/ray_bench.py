#!/usr/bin/env python3
"""Measures lmic.ray: a cluster of local nodes against one process with the threads of one node, on a file.

    scripts/ray_bench.py TEXT                            # 200 MB, 2 nodes of 8 CPUs, levels 1, 3, 5
    scripts/ray_bench.py TEXT --pin --cells 1 3::134 kill
    scripts/ray_bench.py TEXT --mb 10 --cpus 1 --cells 1 # small

Needs lmic and ray. Runs take turns, and medians count. What the cluster writes is compared with what the process gives, and
decoded by the cluster; "kill" codes once more with a node that is killed in the middle. Prints a table in Markdown.
"""

import argparse
import math
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import lmic
import lmic.ray
import ray
from ray.cluster_utils import Cluster

MIB = 1 << 20


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
        "--pin",
        action="store_true",
        help="give each node whole cores of its own, and the process those of the first node",
    )
    parser.add_argument(
        "--cells",
        nargs="+",
        default=["1", "3", "5", "5:16", "kill"],
        help="LEVEL[:MiB of a block[:MB of the file]], or kill[:MB]",
    )
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--no-decoding", action="store_true", help="compare, but do not decode")
    arguments = parser.parse_args()

    with arguments.file.open("rb") as file:
        data = file.read(int(arguments.mb * 1e6))
    cores = cores_of_nodes(arguments.nodes, arguments.cpus) if arguments.pin else []
    cluster = start(arguments.nodes, arguments.cpus, cores)
    print(
        f"{len(data)} bytes of {arguments.file.name}, {os.cpu_count()} CPUs, ray {ray.__version__}, "
        f"CPUs of the nodes: {cores or 'all'}"
    )
    print("| level | block | MB | coded / raw | one process, MB/s | cluster, MB/s | times as fast | decoding, MB/s |")
    print("|-|-:|-:|-:|-:|-:|-:|-:|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for cell in arguments.cells:
            name, block, size = (*cell.split(":"), "", "")[:3]
            if name == "kill":
                part = data[: int(float(block) * 1e6)] if block else data
                kill(cluster, Path(folder), part, arguments.cpus)
                continue
            part = data[: int(float(size) * 1e6)] if size else data
            given = {"block_size": int(float(block) * MIB)} if block else {}
            measure(Path(folder), part, int(name), given, arguments)
    ray.shutdown()
    cluster.shutdown()


def cores_of_nodes(nodes: int, cpus: int) -> list[list[int]]:
    """CPUs of each node: those that share a core go to the same one."""
    cores: dict[str, list[int]] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        cores.setdefault(siblings.read_text() if siblings.exists() else str(cpu), []).append(cpu)
    flat = [cpu for core in cores.values() for cpu in core]
    assert len(flat) >= nodes * cpus, f"{len(flat)} CPUs for {nodes} nodes of {cpus}"
    return [flat[node * cpus : (node + 1) * cpus] for node in range(nodes)]


def start(nodes: int, cpus: int, cores: list[list[int]]) -> Cluster:
    """A cluster whose workers have been started once, as a cluster that is in use has them."""
    node = {"num_cpus": cpus, "object_store_memory": 2 << 30}
    # Processes have the CPUs of what starts them.
    pin(cores, 0)
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    for number in range(1, nodes):
        pin(cores, number)
        cluster.add_node(**node)
    pin(cores, 0)  # the driver's
    ray.init(address=cluster.address, log_to_driver=False)

    @ray.remote(num_cpus=1, scheduling_strategy="SPREAD")
    def warm() -> None:
        import lmic.ray  # noqa: F401, PLC0415

        time.sleep(1)

    ray.get([warm.remote() for _ in range(2 * nodes * cpus)])
    return cluster


def pin(cores: list[list[int]], node: int) -> None:
    if cores:
        os.sched_setaffinity(0, cores[node])


def measure(
    folder: Path, data: bytes, level: int, given: dict[str, Any], arguments: argparse.Namespace
) -> None:
    source, coded, decoded = (str(folder / name) for name in ("in", "out.lmic", "out"))
    Path(source).write_bytes(data)
    one, many, back = [], [], []
    for _ in range(arguments.runs):
        begin = time.perf_counter()
        archive = lmic.compress(data, level, threads=arguments.cpus, **given)
        one.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        lmic.ray.compress(source, coded, level, overwrite=True, **given)
        many.append(time.perf_counter() - begin)
        assert Path(coded).read_bytes() == archive, "the cluster wrote other bytes"
        if arguments.no_decoding:
            continue
        begin = time.perf_counter()
        lmic.ray.decompress(coded, decoded, overwrite=True)
        back.append(time.perf_counter() - begin)
        assert Path(decoded).read_bytes() == data, "the cluster restored other bytes"
    speed = [len(data) / statistics.median(times or [math.inf]) / 1e6 for times in (one, many, back)]
    block = f"{given['block_size'] / MIB:g} MiB" if given else "own"
    print(
        f"| {level} | {block} | {len(data) / 1e6:.0f} | {len(archive) / len(data):.4f} | {speed[0]:.2f} | {speed[1]:.2f} "
        f"| {speed[1] / speed[0]:.2f} | {f'{speed[2]:.2f}' if back else ''} |",
        flush=True,
    )


def kill(cluster: Cluster, folder: Path, data: bytes, cpus: int) -> None:
    """Codes with small blocks, and kills a node when a quarter is done."""
    node = cluster.add_node(num_cpus=cpus, object_store_memory=2 << 30)
    killed: list[int] = []

    def progress(done: int, total: int) -> None:
        if not killed and done > total // 4:
            killed.append(done)
            cluster.remove_node(node, allow_graceful=False)

    (folder / "in").write_bytes(data)
    given = {"block_size": MIB}
    begin = time.perf_counter()
    lmic.ray.compress(
        str(folder / "in"), str(folder / "killed.lmic"), 1, cpus=1, progress=progress, **given
    )
    took = time.perf_counter() - begin
    archive = lmic.compress(data, 1, **given)
    assert (folder / "killed.lmic").read_bytes() == archive, "the cluster wrote other bytes"
    print(
        f"\nA third node killed after {killed[0]} of {len(data)} bytes: the same archive, in {took:.1f} s.",
        flush=True,
    )


if __name__ == "__main__":
    main()
