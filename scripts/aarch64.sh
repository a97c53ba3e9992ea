#!/bin/sh
# AArch64 under qemu-user has the bits of this CPU: its kernels those of their scalar twins, and the command, with dot
# products of bytes (max), without (cortex-a53) and without any vectors (scalar), reads and writes the same archives.
# With the argument `quick`, what continuous integration has time for. LMIC says where the command for this CPU is, if it is
# built already.
set -eu
cd "$(dirname "$0")/.."
target=aarch64-unknown-linux-musl
build=${CARGO_TARGET_DIR:-target}
here=${LMIC:-$build/release/lmic}
there=$build/$target/fast/lmic
work=$build/aarch64

if ! command -v qemu-aarch64 > /dev/null || [ ! -d "$(rustc --print target-libdir --target $target)" ]; then
    echo "skipped: needs qemu-aarch64 (Debian: qemu-user) and \`rustup target add $target\`"
    exit 0
fi
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER=qemu-aarch64
[ "${LMIC:-}" ] || cargo build --release --package lmic-cli
# Without what needs a C compiler for that target.
features=$([ "${1:-}" = quick ] || echo llama)
cargo build --profile fast --package lmic-cli --no-default-features --features "$features" --target $target
cargo test --profile fast --package lmic --lib --target $target simd::
mkdir -p "$work"

# The command there, at a level.
elsewhere() {
    case $1 in
        scalar) simd=scalar cpu=max ;;
        *) simd='' cpu=$1 ;;
    esac
    shift
    LMIC_SIMD=$simd qemu-aarch64 -cpu $cpu "$there" -q -c "$@"
}

count=0
compare() {
    cmp "$1" "$2" || { echo "$3"; exit 1; }
    count=$((count + 1))
}

# Reads an archive there.
restore() {
    "$here" -q -c -d "$1" > "$work/here"
    for level in $levels; do
        elsewhere "$level" -d "$1" > "$work/there"
        compare "$work/here" "$work/there" "$1, $level: decodes to other bytes"
    done
}

# Codes a file there and reads it again.
code() {
    raw=$1
    shift
    "$here" -q -c -T 1 "$@" "$raw" > "$work/here"
    for level in $levels; do
        elsewhere "$level" -T 2 "$@" "$raw" > "$work/there"
        compare "$work/here" "$work/there" "$*, $level: other bytes are written"
        elsewhere "$level" -d -T 2 "$work/here" > "$work/restored"
        compare "$raw" "$work/restored" "$*, $level: decodes to other bytes"
    done
}

cat docs/*.md | head -c 3000 > "$work/text"
goldens=crates/lmic/tests/golden
export LMIC_MODELS=$goldens
if [ "${1:-}" = quick ]; then
    levels="max cortex-a53"
    for case in blocks gray_6 pcm16_6 neural_f32_chunks neural_int8_chunks lines guided_5; do
        restore $goldens/v1_$case.lmic
    done
    head -c 1000 "$work/text" > "$work/short"
    for option in -5 -6 "-7 -p v1_lines"; do
        code "$work/short" $option --as bytes
    done
else
    levels="max cortex-a53 scalar"
    for option in -1 -2 -3 -4 -5 -6 -7; do
        code "$work/text" $option
        code "$work/text" $option --as bytes
        code "$work/text" $option --as bytes -p v1_lines
    done
    for kind in gray:61 rgb:123 pcm8:1 pcm16:2; do
        code "$work/text" -5 --as $kind
        code "$work/text" -7 --as $kind
    done
    for model in tiny_f32 tiny_int8; do
        code "$work/text" -m $model --block-size 2K --overlap 32 --lanes 2
        code "$work/text" -m $model --block-size 2K --context 24 --overlap 5 --lanes 64
        code "$work/text" -m $model --alone --block-size 2K --overlap 0
    done
    for archive in $goldens/v1_*.lmic; do
        restore "$archive"
    done
    # Checkpoints.
    goldens=crates/lmic-llama/tests/golden
    export LMIC_MODELS=crates/lmic-llama/tests/fixtures
    for case in llama mistral gemma3 qwen3_yarn_q4_0_gguf llama_q8_0_gguf llama_linear_bf16_gguf lanes; do
        restore $goldens/v1_$case.lmic
    done
fi
echo "$count passed, 0 failed"
