#!/bin/sh
# Installs what is built for release below $DESTDIR$PREFIX (of which PREFIX is /usr/local unless it is set):
#
#     scripts/install.sh command    the command with its manual pages, shell completions, guide and licences
#     scripts/install.sh library    the library for C with its header and a file for pkg-config
set -eu
cd "$(dirname "$0")/.."
build=${CARGO_TARGET_DIR:-target}/${PROFILE:-release}
prefix=${PREFIX:-/usr/local}
root=${DESTDIR:-}$prefix
lib=${LIBDIR:-lib} # of Debian's packages lib/x86_64-linux-gnu

# Output of the command, as a file.
made() {
    mkdir -p "$(dirname "$1")"
    "$build/lmic" $2 > "$1"
    chmod 644 "$1"
}

licences() {
    install -D -m 644 -t "$root/share/doc/$1" LICENSE-MIT LICENSE-APACHE
}

case ${1:-} in
command)
    install -D -m 755 "$build/lmic" "$root/bin/lmic"
    made "$root/share/man/man1/lmic.1" man
    for verb in bench cat inspect list model prime test; do
        made "$root/share/man/man1/lmic-$verb.1" "man $verb"
    done
    made "$root/share/bash-completion/completions/lmic" "completions bash"
    made "$root/share/zsh/site-functions/_lmic" "completions zsh"
    made "$root/share/fish/vendor_completions.d/lmic.fish" "completions fish"
    install -D -m 644 -t "$root/share/doc/lmic" README.md CHANGELOG.md docs/usage.md docs/format.md
    licences lmic
    ;;
library)
    install -D -m 644 "$build/liblmic.so" "$root/$lib/liblmic.so.0"
    ln -sf liblmic.so.0 "$root/$lib/liblmic.so"
    install -D -m 644 "$build/liblmic.a" "$root/$lib/liblmic.a"
    install -D -m 644 -t "$root/include" crates/lmic-c/include/lmic.h
    install -D -m 644 -t "$root/share/doc/liblmic-dev" docs/c.md
    licences liblmic-dev
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
    mkdir -p "$root/$lib/pkgconfig"
    cat > "$root/$lib/pkgconfig/lmic.pc" << END
prefix=$prefix
libdir=\${prefix}/$lib
includedir=\${prefix}/include

Name: lmic
Description: Lossless compression by prediction
Version: $version
Cflags: -I\${includedir}
Libs: -L\${libdir} -llmic
Libs.private: -pthread -ldl -lm
END
    ;;
*)
    sed -n '2,5p' "$0" >&2
    exit 2
    ;;
esac
