#!/bin/sh
# The crates that are meant to be published (the others have `publish = false`) are complete and below the 10 MB that the registry takes; uploads nothing.
# With the argument `quick`, they are not built from their packages.
set -eu
cd "$(dirname "$0")/.."
packages=${CARGO_TARGET_DIR:-target}/package
verify=
[ "${1:-}" != quick ] || verify=--no-verify
rm -rf "$packages"
cargo package --quiet --workspace --allow-dirty $verify \
    --exclude lmic-c --exclude lmic-eval --exclude lmic-python --exclude lmic-train --exclude lmic-wasm
for crate in "$packages"/*.crate; do
    size=$(wc -c < "$crate")
    printf '%9d bytes  %s\n' "$size" "$(basename "$crate")"
    [ "$size" -lt 10000000 ] || { echo "too large for the registry" >&2; exit 1; }
done
