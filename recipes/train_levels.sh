#!/bin/sh
# Trains the networks of levels 6, 7 and 8 side by side on four GPUs of one machine, as they share one table of rows for contexts.
#
#     recipes/train_levels.sh DATA OUT SECONDS [START]      from the root of the repository
#
# DATA is the folder that the recipes' paths are relative to. OUT gets a folder for each process: 0 for level 6, 1 for level 7, 2
# and 3, which are the same, for level 8. START is the OUT of an earlier run, to go on from what it kept.
# What context mixing says of the texts is kept in the folder $CM (OUT/cm), where it takes eight bytes for each byte of text; what
# is not there yet is written first, which SECONDS do not count. With an empty $CM the networks are trained for themselves alone.
set -eu
data=$1 out=$2 seconds=$3 start=${4:-}
cm=${CM-$out/cm}
here=$(dirname "$0")
cargo build --release -p lmic --example cm_bits
export MASTER_ADDR=127.0.0.1 MASTER_PORT=29577 WORLD_SIZE=4
rank=0 processes=
for recipe in small default large large; do
    folder=$rank
    [ $rank = 3 ] && folder=2
    RANK=$rank "$here/train_recurrent.py" "$here/recurrent-$recipe.toml" --data "$data" --out "$out/$rank" \
        --seconds "$seconds" --int8-part 0.3 --keep 0.64 --compile \
        ${cm:+--cm "$cm" --cm-bits "${CARGO_TARGET_DIR:-target}/release/examples/cm_bits"} \
        ${start:+--start "$start/$folder/kept"} &
    processes="$processes $!"
    rank=$((rank + 1))
done
failed=0
for process in $processes; do
    wait "$process" || failed=1
done
exit $failed
