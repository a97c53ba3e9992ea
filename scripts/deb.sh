#!/bin/sh
# Packages for Debian, in target/debian: the command, and the library for C. Needs cargo-deb (`cargo install cargo-deb`).
# PROFILE=fast builds sooner.
set -eu
cd "$(dirname "$0")/.."
build=${CARGO_TARGET_DIR:-target}
if ! command -v cargo-deb > /dev/null; then
    echo "needs cargo-deb: cargo install cargo-deb" >&2
    exit 1
fi
profile=${PROFILE:-release}
cargo build --profile "$profile" --package lmic-cli --package lmic-c
staged=$build/$profile/install
rm -rf "$staged"
export PROFILE="$profile" PREFIX=/usr
LIBDIR="lib/$(cc -print-multiarch)"
export LIBDIR
DESTDIR=$staged/lmic scripts/install.sh command
mv "$staged/lmic/usr/share/zsh/site-functions" "$staged/lmic/usr/share/zsh/vendor-completions" # where Debian's zsh looks
DESTDIR=$staged/liblmic-dev scripts/install.sh library
cargo deb --no-build --profile "$profile" --package lmic-cli
cargo deb --no-build --profile "$profile" --package lmic-c
