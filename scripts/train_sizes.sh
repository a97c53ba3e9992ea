#!/usr/bin/env bash
# Trains the small models of Figure 2 on the CPU, by the recipe of byte-200k with another width, into models/sizes/.
#
#     scripts/train_sizes.sh DATA [STEPS]
#
# 2000 steps of byte-16 (21,000 parameters) take some minutes, of byte-48 about half an hour.
set -euo pipefail
data=$(realpath "$1") steps=${2:-2000}
cd "$(dirname "$0")/.."
cargo build --profile train --package lmic-train
cargo build --release --package lmic-cli
target=${CARGO_TARGET_DIR:-target}
mkdir -p models/sizes
for width in 16 32 48; do
    run=target/sizes/byte-$width
    "$target/train/lmic-train" train --config recipes/byte-200k.toml --data "$data" --out "$run" --steps "$steps" \
        --set model.hidden_size=$width --set model.intermediate_size=$((width * 11 / 4))
    "$target/train/lmic-train" export --run "$run" --out "$run/model"
    "$target/release/lmic" model quantize --force "$run/model" "models/sizes/byte-$width.safetensors"
done
