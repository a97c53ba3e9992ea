#!/usr/bin/env python3
"""Write a model file in shards, as Hugging Face has them: model-00001-of-0000N.safetensors .. and model.safetensors.index.json.

    recipes/shard.py MODEL.safetensors OUT [--bytes 4900000]

`lmic model add OUT` makes one file of them again. What the file says of itself is in the first shard.
"""

import argparse
import json
import os
import struct


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("model")
    arguments.add_argument("out")
    arguments.add_argument("--bytes", type=int, default=4_900_000, help="the most bytes of a shard [%(default)s]")
    a = arguments.parse_args()
    with open(a.model, "rb") as f:
        tensors = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    metadata, parts = tensors.pop("__metadata__"), [{}]
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1]["data_offsets"]):
        if len(shard(metadata, parts[-1] | {name: tensor}, data)) > a.bytes:
            parts.append({})
        parts[-1][name] = tensor
    os.makedirs(a.out, exist_ok=True)
    weight_map = {}
    for i, part in enumerate(parts):
        file = f"model-{i + 1:05}-of-{len(parts):05}.safetensors"
        weight_map |= dict.fromkeys(part, file)
        with open(os.path.join(a.out, file), "wb") as f:
            f.write(shard({} if i else metadata, part, data))
    with open(os.path.join(a.out, "model.safetensors.index.json"), "w") as f:
        json.dump({"metadata": {"total_size": len(data)}, "weight_map": weight_map}, f, indent=1, sort_keys=True)
        f.write("\n")


def shard(metadata, tensors, data):
    """The file of these tensors, whose places in `data` they say."""
    head, out = {"__metadata__": metadata} if metadata else {}, []
    at = 0
    for name, tensor in tensors.items():
        start, end = tensor["data_offsets"]
        head[name] = tensor | {"data_offsets": [at, at + end - start]}
        out.append(data[start:end])
        at += end - start
    head = json.dumps(head, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    return b"".join([struct.pack("<Q", len(head)), head, *out])


if __name__ == "__main__":
    main()
