#!/bin/sh
# The library for C: programs in C and C++ against the header, with the shared and the static library, and under valgrind; the
# example of docs/c.md; tar, bsdtar and libarchive with the command. LMIC says where the command is, if it is built already.
set -eu
cd "$(dirname "$0")/.."
build=${CARGO_TARGET_DIR:-target}
lmic=${LMIC:-$build/release/lmic}
work=$build/c
tests=crates/lmic-c/tests

[ "${LMIC:-}" ] || cargo build --release --package lmic-cli
cargo build --package lmic-c
rm -rf "$work"
mkdir -p "$work/bin" "$work/lib"
cp "$build/debug/liblmic.so" "$work/lib/liblmic.so.0"
ln -s liblmic.so.0 "$work/lib/liblmic.so"
lib=$(realpath "$work/lib")
ln -s "$(realpath "$lmic")" "$work/bin/lmic"

# Compiles a program, with the shared library.
compile() {
    out=$1
    shift
    "$@" -Wall -Wextra -pedantic -Werror -I crates/lmic-c/include -o "$work/$out" -L "$lib" -Wl,-rpath,"$lib" -llmic -pthread
}

echo "C and C++, shared and static:"
compile interface cc -std=c99 -g $tests/interface.c
compile interface-cpp c++ -std=c++11 -x c++ $tests/interface.c -x none
compile threads cc -std=c99 $tests/threads.c
cc -std=c99 -I crates/lmic-c/include -o "$work/interface-static" $tests/interface.c "$build/debug/liblmic.a" -pthread -ldl -lm
for program in interface interface-cpp interface-static; do
    "$work/$program" "$work/file.lmic"
done
"$work/threads"

if command -v valgrind > /dev/null; then
    echo "valgrind:"
    # Without AVX-512, which it does not know. The networks stay reachable, once they were used, and a thread that is stopped may
    # still be ending when the program does, which it takes for a possible loss.
    LMIC_SIMD=avx2 valgrind --quiet --read-inline-info=no --leak-check=full --show-leak-kinds=definite,indirect \
        --errors-for-leak-kinds=definite,indirect --suppressions=$tests/valgrind.supp --error-exitcode=9 "$work/interface" "$work/file.lmic"
else
    echo "skipped: needs valgrind"
fi

echo "docs/c.md:"
sed -n '/^```c$/,/^```$/p' docs/c.md | sed '/^```/d' > "$work/example.c"
compile example cc -std=c99 "$work/example.c"
"$work/example" README.md "$work/README.lmic"
"$lmic" -dc "$work/README.lmic" | cmp - README.md
printf x > "$work/short"
"$work/example" "$work/short" "$work/short.lmic"
if "$work/example" docs "$work/docs.lmic"; then
    echo "the example took a folder for a file"
    exit 1
fi

echo "tar:"
PATH=$(realpath "$work/bin"):$PATH
export PATH
rm -rf "$work/docs"
tar -I lmic -cf "$work/docs.tar.lmic" docs/format
tar -I 'lmic -3' -cf "$work/docs-3.tar.lmic" docs/format
for archive in docs docs-3; do
    rm -rf "$work/docs"
    mkdir "$work/docs"
    tar -I lmic -xf "$work/$archive.tar.lmic" -C "$work/docs"
    diff -r docs/format "$work/docs/docs/format"
done
tar -tf "$work/docs.tar.lmic" -I lmic > "$work/names"
if command -v bsdtar > /dev/null; then
    bsdtar -cf "$work/docs-bsd.tar.lmic" --use-compress-program 'lmic -3' docs/format
    rm -rf "$work/docs/docs"
    bsdtar -xf "$work/docs-bsd.tar.lmic" --use-compress-program 'lmic -d' -C "$work/docs"
    diff -r docs/format "$work/docs/docs/format"
else
    echo "skipped: needs bsdtar (Debian: libarchive-tools)"
fi
if [ -e /usr/include/archive.h ]; then
    cc -std=c99 -Wall -Wextra -Werror -o "$work/libarchive" $tests/libarchive.c -larchive
    "$work/libarchive" "$work/docs.tar.lmic" > "$work/sizes"
    cut -d ' ' -f 1 "$work/sizes" | cmp - "$work/names"
else
    echo "skipped: needs libarchive's header (Debian: libarchive-dev)"
fi
echo "all is well"
