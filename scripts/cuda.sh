#!/usr/bin/env bash
# All tests of lmic-cuda on this machine's GPUs: bits, archives, failures, and compute-sanitizer on small networks where it is
# there. Fails without a GPU. LMIC_CUDA_TESTS may name a test binary that was built elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."

tests=${LMIC_CUDA_TESTS:-}
if [ -z "$tests" ]; then
    tests=$(cargo test --profile fast --package lmic-cuda --test gpu --no-run --message-format json |
        grep -o '"executable":"[^"]*"' | tail -1 | cut -d'"' -f4)
fi
export LMIC_CUDA_REQUIRED=1
"$tests"
if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck synccheck; do
        compute-sanitizer --tool "$tool" --error-exitcode 1 "$tests" --exact a_small_network_for_sanitizers
    done
else
    echo "compute-sanitizer is not here: left out"
fi
