"""The parts of an encoder: tasks coded in other processes give the archive of one."""

import multiprocessing
import pickle
import random

import lmic
import pytest
from lmic.parts import CodedBlock, Planner, StreamWriter, Task

TEXT = b"".join(b"line %d: what comes next is %d\n" % (i, i * i % 997) for i in range(3000))


def encode(task: Task) -> CodedBlock:
    return task.encode(threads=1)


def test_other_processes_give_the_same_bytes() -> None:
    planner = Planner(1, block_size=20_000)
    tasks = [
        task for at in range(0, len(TEXT), 7000) for task in planner.push(TEXT[at : at + 7000])
    ]
    tasks += planner.finish()
    assert [task.last for task in tasks] == [False] * (len(tasks) - 1) + [True]
    assert sum(task.raw_len for task in tasks) == len(TEXT)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        blocks = pool.map(encode, tasks)
    writer = StreamWriter(planner)
    archive = b"".join(map(writer.write, blocks)) + writer.finish(planner.content_hash)
    assert archive == lmic.compress(TEXT, 1, block_size=20_000)


def test_blocks_are_written_in_order_and_all() -> None:
    planner = Planner(1, block_size=20_000)
    first, second, *_ = [task.encode() for task in planner.push(TEXT) + planner.finish()]
    writer = StreamWriter(planner)
    with pytest.raises(lmic.InvalidArgumentError, match="block 1 where block 0 comes next"):
        writer.write(second)
    writer.write(first)
    with pytest.raises(lmic.InvalidArgumentError, match="last block"):
        writer.finish(planner.content_hash)
    writer.write(second)  # nothing was lost
    other = Planner(1, block_size=20_000)
    with pytest.raises(lmic.InvalidArgumentError, match="another stream"):
        StreamWriter(planner).write(other.push(TEXT)[0].encode())


def test_damage_on_the_way_is_an_error() -> None:
    planner = Planner(1)
    planner.push(TEXT[:2000])
    (task,) = planner.finish()
    for good, kind in [(bytes(task), Task), (bytes(task.encode()), CodedBlock)]:
        assert bytes(pickle.loads(pickle.dumps(kind(good)))) == good
        for at in random.Random(1).sample(range(len(good)), 50):
            bad = good[:at] + bytes([good[at] ^ 4]) + good[at + 1 :]
            with pytest.raises(lmic.LmicError):
                kind(bad)
