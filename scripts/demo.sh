#!/bin/sh
# Builds lmic, compresses a real file, restores and compares it, and measures it beside other codecs.
# The file: every source and document of this repository, one after the other.
set -eu
cd "$(dirname "$0")/.."
lmic=${CARGO_TARGET_DIR:-target}/release/lmic
work=${CARGO_TARGET_DIR:-target}/demo

cargo build --release --package lmic-cli
mkdir -p "$work"
find README.md docs crates scripts -type f \( -name '*.rs' -o -name '*.md' -o -name '*.py' \) |
    LC_ALL=C sort | xargs cat > "$work/sources.txt"

"$lmic" -f "$work/sources.txt"
"$lmic" -d -c "$work/sources.txt.lmic" > "$work/restored.txt"
cmp "$work/sources.txt" "$work/restored.txt"
echo "restored without a difference:"
wc -c "$work/sources.txt" "$work/sources.txt.lmic" | head -n 2

echo "the same file under every codec (ratio = coded / raw bytes):"
"$lmic" bench "$work/sources.txt"
