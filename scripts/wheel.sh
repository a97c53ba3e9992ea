#!/bin/sh
# Wheels of the Python package with the command in them, in target/wheels, for each of TARGETS. One wheel serves every Python from
# 3.10 on (abi3) and every Linux since 2014 (manylinux2014); the command is linked to musl, so it serves them all, too.
# Needs `pip install maturin cargo-zigbuild ziglang wheel`, which bring the compiler and libraries of other machines, and the Rust
# targets. PROFILE=fast builds sooner.
set -eu
cd "$(dirname "$0")/.."
build=${CARGO_TARGET_DIR:-target}
profile=${PROFILE:-release}
wheels=$build/wheels
rm -rf "$wheels"
mkdir -p "$wheels"

for machine in ${TARGETS:-x86_64 aarch64}; do
    rustup target add "$machine-unknown-linux-gnu" "$machine-unknown-linux-musl"
    cargo-zigbuild zigbuild --profile "$profile" --package lmic-cli --target "$machine-unknown-linux-musl"
    maturin build --profile "$profile" --zig --target "$machine-unknown-linux-gnu" --compatibility manylinux2014 \
        --out "$wheels/$machine"
    # What stands in this folder of a wheel, pip puts on the path.
    python3 -m wheel unpack --dest "$wheels/$machine" "$wheels/$machine"/lmic-*.whl
    scripts=$(echo "$wheels/$machine"/lmic-*/lmic-*.dist-info | sed 's/dist-info$/data/')/scripts
    install -D -m 755 "$build/$machine-unknown-linux-musl/$profile/lmic" "$scripts/lmic"
    python3 -m wheel pack --dest "$wheels" "${scripts%/*/*}"
    rm -r "${wheels:?}/$machine"
done
ls -l "$wheels"
