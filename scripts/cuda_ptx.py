#!/usr/bin/env python3
"""Makes crates/lmic-cuda/kernels/recurrent.ptx of the .cu file beside it.

Needs libnvrtc of CUDA 12.4, for example of `pip install blake3 nvidia-cuda-nvrtc-cu12==12.4.127`, and no GPU. The PTX begins with
the BLAKE3 of its source, which a test of lmic-cuda compares. usage: scripts/cuda_ptx.py .../libnvrtc.so.12
"""

import ctypes
import pathlib
import sys

import blake3

# Products of 16 x 8 x 32 int8 begin with 8.0; every later GPU takes its PTX, and every driver since that of CUDA 12.4.
OPTIONS = ["--gpu-architecture=compute_80", "--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true", "--std=c++17"]


def compile(nvrtc: ctypes.CDLL, name: str, source: bytes, options: list[str]) -> str:
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, name.encode(), 0, None, None)
    arguments = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    status = nvrtc.nvrtcCompileProgram(program, len(options), arguments)
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    print(log.value.decode(), file=sys.stderr, end="")
    if status != 0:
        sys.exit(f"{name}: NVRTC says {status}")
    nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
    ptx = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetPTX(program, ptx)
    return ptx.value.decode().rstrip("\n") + "\n"


def main() -> None:
    nvrtc = ctypes.CDLL(sys.argv[1])
    source = pathlib.Path(__file__).parent.parent / "crates/lmic-cuda/kernels/recurrent.cu"
    text = source.read_bytes()
    header = f"// Made by scripts/cuda_ptx.py of {source.name}, whose BLAKE3 is {blake3.blake3(text).hexdigest()}\n"
    source.with_suffix(".ptx").write_text(header + compile(nvrtc, source.name, text, OPTIONS))


if __name__ == "__main__":
    main()
