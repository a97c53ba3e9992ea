#!/usr/bin/env bash
# Trains small models like those of Figure 2 on the CPU, by the recipe of byte-200k with other widths, into models/sizes/.
# Those in the repository were trained by recipes/train_torch.py on a GPU: models/README.md.
#
#     scripts/train_sizes.sh DATA [STEPS]
#
# 2000 steps of byte-16 (21,000 parameters) take some minutes, of byte-48 about half an hour.
set -euo pipefail
data=$(realpath "$1") steps=${2:-2000}
cd "$(dirname "$0")/.."
cargo build --profile fast --package lmic-train
cargo build --release --package lmic-cli
target=${CARGO_TARGET_DIR:-target}
mkdir -p models/sizes
for shape in 8:1 16:2 32:4 48:3; do
    width=${shape%:*} heads=${shape#*:} run=target/sizes/byte-${shape%:*}
    "$target/fast/lmic-train" train --config recipes/byte-200k.toml --data "$data" --out "$run" --steps "$steps" \
        --set model.hidden_size=$width --set model.heads=$heads --set model.intermediate_size=$((width * 11 / 4))
    "$target/fast/lmic-train" export --run "$run" --out "$run/model"
    "$target/release/lmic" model quantize --force "$run/model" "models/sizes/byte-$width.safetensors"
done
