#!/bin/sh
# Archives are the same bytes on CPUs with fewer and other vector instructions, and decode there to the same
# content: the release binary under qemu-user, without AVX (Nehalem) and with AVX2 (Haswell), against this CPU.
# With the argument `tokens`, only checkpoints of the Llama family.
set -eu
cd "$(dirname "$0")/.."
lmic=${CARGO_TARGET_DIR:-target}/release/lmic
work=${CARGO_TARGET_DIR:-target}/other-cpu
bytes=${OTHER_CPU_BYTES:-10000}

if ! command -v qemu-x86_64 > /dev/null || [ "$(uname -m)" != x86_64 ]; then
    echo "skipped: needs qemu-x86_64 (Debian: qemu-user) on an x86-64 machine"
    exit 0
fi
cargo build --release --package lmic-cli
mkdir -p "$work"
cat docs/*.md crates/lmic/src/*.rs | head -c "$bytes" > "$work/text"
head -c $((bytes * 20)) "$lmic" | tail -c "$bytes" > "$work/program"

# On that CPU. qemu warns of features of it that it lacks; none is used.
elsewhere() {
    cpu=$1
    shift
    qemu-x86_64 -cpu "$cpu" "$lmic" -q -c "$@" 2> "$work/messages" || true
}

compare() {
    cmp "$1" "$2" || { cat "$work/messages"; echo "$3"; exit 1; }
}

count=0
# Checkpoints: archives decode to what lies beside them, and what is written there is what was written.
goldens=crates/lmic-llama/tests/golden
export LMIC_MODELS=crates/lmic-llama/tests/fixtures
for case in llama mistral gemma3 qwen3_yarn_q4_0_gguf llama_q8_0_gguf llama_linear_bf16_gguf lanes; do
    archive=$goldens/v1_$case
    for level in scalar avx2 avxvnni avx512; do
        LMIC_SIMD=$level "$lmic" -q -c -d -T 2 "$archive.lmic" > "$work/restored"
        compare "$archive.raw" "$work/restored" "$archive, $level: decodes to other bytes"
    done
    for cpu in Nehalem Haswell; do
        elsewhere $cpu -d -T 2 "$archive.lmic" > "$work/restored"
        compare "$archive.raw" "$work/restored" "$archive, on $cpu: decodes to other bytes"
        count=$((count + 1))
    done
done
for cpu in Nehalem Haswell; do
    elsewhere $cpu -m llama < "$goldens/v1_llama.raw" > "$work/there"
    "$lmic" -q -c -m llama < "$goldens/v1_llama.raw" > "$work/here"
    compare "$work/here" "$work/there" "v1_llama.raw, on $cpu: other bytes are written"
done
if [ "${1:-}" = tokens ]; then
    echo "$count archives of checkpoints: the same content on this CPU, Nehalem and Haswell"
    exit 0
fi

# The transformers of the golden archives.
export LMIC_MODELS=crates/lmic/tests/golden
for input in text program; do
    for level in 1 2 3 4 5; do
        for kind in auto gray:61 rgb:123 pcm8:1 pcm16:2; do
            raw=$work/$input
            "$lmic" -q -c -T 1 --block-size 8K "-$level" --as "$kind" "$raw" > "$work/here"
            for cpu in Nehalem Haswell; do
                case="$input, level $level, as $kind, on $cpu"
                elsewhere $cpu -T 2 --block-size 8K "-$level" --as "$kind" "$raw" > "$work/there"
                compare "$work/here" "$work/there" "$case: other bytes are written"
                elsewhere $cpu -d < "$work/here" > "$work/restored"
                compare "$raw" "$work/restored" "$case: decodes to other bytes"
                count=$((count + 1))
            done
        done
    done
done
neural_bytes=${OTHER_CPU_NEURAL_BYTES:-3000}
for input in text program; do
    head -c "$neural_bytes" "$work/$input" > "$work/short"
    raw=$work/short
    for model in tiny_f32 tiny_int8; do
        for windows in "--overlap 32 --lanes 2" "--overlap 0" "--context 24 --overlap 5 --lanes 64"; do
            options="-m $model $windows --block-size 2K"
            "$lmic" -q -c -T 1 $options "$raw" > "$work/here"
            case="$input, $model, $windows"
            for level in scalar avx2 avxvnni avx512; do
                for threads in 1 2; do
                    LMIC_SIMD=$level "$lmic" -q -c -T $threads $options "$raw" > "$work/there"
                    compare "$work/here" "$work/there" "$case, $level: other bytes are written"
                    LMIC_SIMD=$level "$lmic" -q -c -d -T $threads < "$work/here" > "$work/restored"
                    compare "$raw" "$work/restored" "$case, $level: decodes to other bytes"
                done
            done
            for cpu in Nehalem Haswell; do
                elsewhere $cpu -T 2 $options "$raw" > "$work/there"
                compare "$work/here" "$work/there" "$case, on $cpu: other bytes are written"
                elsewhere $cpu -d < "$work/here" > "$work/restored"
                compare "$raw" "$work/restored" "$case, on $cpu: decodes to other bytes"
                count=$((count + 1))
            done
        done
    done
done
# Networks that come with the program, in archives with one lane and with several.
for archive in crates/lmic/tests/golden/v1_*_[67].lmic; do
    "$lmic" -q -c -d -T 1 "$archive" > "$work/here"
    for level in scalar avx2 avxvnni avx512; do
        for threads in 1 2; do
            LMIC_SIMD=$level "$lmic" -q -c -d -T $threads "$archive" > "$work/restored"
            compare "$work/here" "$work/restored" "$archive, $level, $threads threads: decodes to other bytes"
        done
    done
done
# The same and others as they are written, also with a primed state.
for options in -6 -7 "-1 -p v1_lines" "-5 -p v1_lines" "-7 -p v1_lines"; do
    raw=$work/short
    options="$options --as bytes"
    "$lmic" -q -c -T 1 $options "$raw" > "$work/here"
    for simd in scalar avx2 avxvnni avx512; do
        LMIC_SIMD=$simd "$lmic" -q -c -T 2 $options "$raw" > "$work/there"
        compare "$work/here" "$work/there" "$options, $simd: other bytes are written"
    done
    for cpu in Nehalem Haswell; do
        elsewhere $cpu -T 2 $options "$raw" > "$work/there"
        compare "$work/here" "$work/there" "$options, on $cpu: other bytes are written"
        elsewhere $cpu -d -T 2 < "$work/here" > "$work/restored"
        compare "$raw" "$work/restored" "$options, on $cpu: decodes to other bytes"
        count=$((count + 1))
    done
done
for archive in crates/lmic/tests/golden/v1_neural_*.lmic crates/lmic/tests/golden/v1_primed*.lmic \
    crates/lmic/tests/golden/v1_guided_5.lmic crates/lmic/tests/golden/v1_*_[67].lmic; do
    "$lmic" -q -c -d "$archive" > "$work/here"
    for cpu in Nehalem Haswell; do
        elsewhere $cpu -d "$archive" > "$work/there"
        compare "$work/here" "$work/there" "$archive, on $cpu: decodes to other bytes"
        count=$((count + 1))
    done
done
echo "$count archives: the same bytes, and the same content, on this CPU, Nehalem and Haswell"
