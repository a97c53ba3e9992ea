#!/usr/bin/env python3
"""Write a recurrent model file without its rows for contexts, and these apart: as crates/lmic-networks has them.

    recipes/strip_rows.py MODEL.safetensors OUT/7.safetensors [--name NAME]    # and OUT/rows-0.bin, OUT/rows-1.bin, ..
"""

import argparse
import json
import os
import struct


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("model")
    arguments.add_argument("out")
    arguments.add_argument("--name", help="the name in the file [as it is]")
    a = arguments.parse_args()
    with open(a.model, "rb") as f:
        tensors = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    kept, out = {"__metadata__": tensors.pop("__metadata__")}, b""
    if a.name:
        kept["__metadata__"]["lmic_name"] = a.name
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1]["data_offsets"]):
        start, end = tensor["data_offsets"]
        if name.startswith("ngrams.rows."):
            with open(os.path.join(os.path.dirname(a.out), f"rows-{name.split('.')[2]}.bin"), "wb") as f:
                f.write(data[start:end])
            continue
        kept[name] = tensor | {"data_offsets": [len(out), len(out) + end - start]}
        out += data[start:end]
    head = json.dumps(kept, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with open(a.out, "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head + out)


if __name__ == "__main__":
    main()
