#!/usr/bin/env bash
# The tests of lmic-cuda on a machine without a GPU: its kernels, compiled by a C++ compiler, run on the CPU behind a driver that
# has what the crate calls. x86-64 only. Slow; what is no test of the kernels is left out. With the argument `quick`, one small network.
set -euo pipefail
cd "$(dirname "$0")/.."

tests=${LMIC_CUDA_TESTS:-}
if [ -z "$tests" ]; then
    tests=$(cargo test ${PROFILE:+--profile "$PROFILE"} --package lmic-cuda --test gpu --no-run --message-format json |
        grep -o '"executable":"[^"]*"' | tail -1 | cut -d'"' -f4)
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
here=crates/lmic-cuda
flags="-std=c++17 -O2 -fPIC -ffp-contract=off -Wall"
${CXX:-c++} $flags -Wno-unused-function -Wno-attributes -Wno-unknown-pragmas -DLMIC_EMULATED \
    -include $here/emulated/cuda.h -x c++ -c $here/kernels/recurrent.cu -o "$work/kernels.o"
${CXX:-c++} $flags -shared -x c++ $here/emulated/driver.cpp -x none "$work/kernels.o" -o "$work/libcuda.so.1"
ln -s libcuda.so.1 "$work/libcuda.so"
case ${1:-} in
quick) set -- --exact a_small_network_for_sanitizers ptx_and_source_belong_together ;;
'') set -- --skip archives ;;
esac
LD_LIBRARY_PATH=$work LMIC_CUDA_REQUIRED=1 "$tests" "$@"
