#!/usr/bin/env bash
# All tests of lmic-cuda on this machine's GPUs: bits, archives, failures, and compute-sanitizer on a small network where it is
# there. Fails without a GPU. LMIC_CUDA_TESTS may name a test binary that was built elsewhere.
# With `measure FILE` instead: what networks take, and levels 7 and 8 on FILE in both directions, on the GPU and on this CPU; LMIC
# says where the command is.
set -euo pipefail
cd "$(dirname "$0")/.."

tests=${LMIC_CUDA_TESTS:-}
if [ -z "$tests" ]; then
    tests=$(cargo test --profile fast --package lmic-cuda --test gpu --no-run --message-format json |
        grep -o '"executable":"[^"]*"' | tail -1 | cut -d'"' -f4)
fi
export LMIC_CUDA_REQUIRED=1
if [ "${1:-}" = measure ]; then
    lmic=${LMIC:-target/release/lmic}
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    "$tests" --ignored --nocapture speed
    for level in 7 8; do
        for device in cuda cpu; do
            echo "level $level, $device, there and back:"
            time "$lmic" -$level -c --device $device "$2" > "$work/$device"
            time "$lmic" -dc --device $device "$work/$device" | cmp - "$2"
            wc -c < "$work/$device"
        done
        cmp "$work/cuda" "$work/cpu"
    done
    exit
fi
"$tests"
if command -v compute-sanitizer > /dev/null; then
    for tool in memcheck racecheck synccheck; do
        compute-sanitizer --tool "$tool" --error-exitcode 1 "$tests" --exact a_small_network_for_sanitizers
    done
else
    echo "compute-sanitizer is not here: left out"
fi
