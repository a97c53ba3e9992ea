"""The parts of an encoder, for programs that code the blocks of one stream in many processes.

A planner cuts input into blocks and finds what they copy of earlier ones, which is quick and sequential. The tasks that it
makes can be pickled, and coded anywhere, in any order. A writer puts the coded blocks together: to the very bytes that
`lmic.compress` gives. `lmic.ray` is made of these.

>>> import lmic, pickle
>>> from lmic.parts import Planner, StreamWriter
>>> text = b"to be, or not to be, that is the question. " * 1000
>>> planner = Planner(level=1, block_size=16384)
>>> tasks = planner.push(text) + planner.finish()
>>> blocks = [pickle.loads(pickle.dumps(task)).encode(threads=1) for task in tasks]  # in other processes
>>> writer = StreamWriter(planner)
>>> archive = b"".join(writer.write(block) for block in blocks) + writer.finish(planner.content_hash)
>>> archive == lmic.compress(text, level=1, block_size=16384)
True
"""

from lmic._lmic import CodedBlock, ContentHash, Planner, StreamWriter, Task

__all__ = ["CodedBlock", "ContentHash", "Planner", "StreamWriter", "Task"]
