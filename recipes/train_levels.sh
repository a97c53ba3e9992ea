#!/bin/sh
# Trains the networks of levels 6, 7 and 8 side by side on four GPUs of one machine, as they share one table of rows for contexts.
#
#     recipes/train_levels.sh DATA OUT SECONDS [START]
#
# DATA is the folder that the recipes' paths are relative to. OUT gets a folder for each process: 0 for level 6, 1 for level 7, 2
# and 3, which are the same, for level 8. START is the OUT of an earlier run, to go on from what it kept.
# What context mixing says of the texts is written to OUT/cm first; it takes eight bytes for each byte of text.
set -eu
data=$1 out=$2 seconds=$3 start=${4:-}
here=$(dirname "$0")
cargo build --release -p lmic --example cm_bits
export MASTER_ADDR=127.0.0.1 MASTER_PORT=29577 WORLD_SIZE=4
rank=0
for recipe in small default large large; do
    folder=$rank
    [ $rank = 3 ] && folder=2
    RANK=$rank "$here/train_recurrent.py" "$here/recurrent-$recipe.toml" --data "$data" --out "$out/$rank" \
        --seconds "$seconds" --int8-part 0.3 --keep 0.64 --compile --cm "$out/cm" \
        ${start:+--start "$start/$folder/kept"} &
    rank=$((rank + 1))
done
wait
