#!/bin/sh
# The library as a WebAssembly module, in Node: its kernels have the bits of their scalar twins, and it reads and writes
# the archives of the command. With the argument `quick`, what continuous integration has time for: without the kernels,
# and without the module that has no vectors. LMIC says where the command is, if it is built already.
set -eu
cd "$(dirname "$0")/.."
build=${CARGO_TARGET_DIR:-target}
lmic=${LMIC:-$build/release/lmic}
targets=wasm32-unknown-unknown
[ "${1:-}" = quick ] || targets="$targets wasm32-wasip1"
for target in $targets; do
    if ! command -v node > /dev/null || [ ! -d "$(rustc --print target-libdir --target $target)" ]; then
        echo "skipped: needs Node and \`rustup target add $targets\`"
        exit 0
    fi
done
export CARGO_TARGET_WASM32_WASIP1_RUNNER="node --no-warnings $PWD/scripts/wasi_run.mjs"
[ "${LMIC:-}" ] || cargo build --release --package lmic-cli

# A module for the check, built with these flags.
check() {
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS=$1 \
        cargo build --profile "$2" --package lmic-wasm --target wasm32-unknown-unknown
    node scripts/wasm_check.mjs "$build/wasm32-unknown-unknown/$2/lmic_wasm.wasm" "$lmic" "$3"
}

simd128="-C target-feature=+simd128"
if [ "${1:-}" = quick ]; then
    check "$simd128" fast 3000
else
    CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS=$simd128 \
        cargo test --profile fast --package lmic --lib --target wasm32-wasip1 simd::
    check "" release 3000
    check "$simd128" release 100000
fi
