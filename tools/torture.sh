#!/usr/bin/env bash
# Kills runs at random moments and resumes them until they end: all must end with the weights, and the
# recorded steps, of a run that nobody disturbed. Then the same on a file system that is full at times.
#
#   tools/torture.sh [KILLS]     100 kills unless said otherwise; CARP=FILE chooses the program
set -euo pipefail
cd "$(dirname "$0")/.."
kills=${1:-100}
carp=$(realpath "${CARP:-target/release/carp}")
folder=$(mktemp -d)
mounted=
cleanup() {
    [ -z "$mounted" ] || umount "$mounted"
    rm -rf "$folder"
}
trap cleanup EXIT
cd "$folder"

# 160 short steps, a checkpoint of 2 MB after every fourth and a measurement after every eighth: a good
# part of the time goes into writing.
settings=(--preset minimal)
for set in data.train_size=128 data.test_size=32 model.width=8 model.prototypes=64 \
    train.batch_size=32 train.epochs=40 train.threads=2 views.local_count=0 \
    views.global1.size=8 views.global2.size=8 knn.resize=8 knn.size=8 knn.every_epochs=2; do
    settings+=(--set "$set")
done

digest() { sed -n 's/.*"weights_sha256": "\(.*\)".*/\1/p' "$1/result.json"; }
# The steps without their times.
steps() { sed 's/"images_per_second":[^,}]*,"waiting":[^,}]*//' "$1/metrics.jsonl"; }

start=$(date +%s%N)
"$carp" train "${settings[@]}" --out whole >/dev/null
length=$((($(date +%s%N) - start) / 1000000))
want=$(digest whole)
echo "undisturbed: $length ms, $want"

# Starts or resumes the run in $1.
go() {
    if [ -e "$1/checkpoint.safetensors" ] || [ -e "$1/checkpoint-previous.safetensors" ]; then
        exec "$carp" train --resume "$1"
    fi
    exec "$carp" train "${settings[@]}" --out "$1"
}

# The run in $1 must end as the undisturbed one.
check() {
    if [ "$(digest "$1")" != "$want" ] || ! cmp <(steps whole) <(steps "$1"); then
        echo "FAILED: $1 is not as undisturbed; see $folder"
        trap - EXIT
        exit 1
    fi
}

killed=0 runs=0 writing=0
while [ "$killed" -lt "$kills" ]; do
    runs=$((runs + 1))
    run=killed-$runs
    # Up to ten kills a run, then it may end.
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ "$killed" -lt "$kills" ] || break
        (go "$run") >log 2>&1 &
        pid=$!
        sleep "$(printf '0.%03d' $((RANDOM % (length < 999 ? length : 999))))"
        if ! kill -KILL "$pid" 2>/dev/null; then
            break
        fi
        wait "$pid" 2>/dev/null || true
        killed=$((killed + 1))
        if compgen -G "$run/*.carp-partial-*" >/dev/null || [ -e "$run/checkpoint-next.safetensors" ]
        then
            writing=$((writing + 1))
        fi
    done
    (go "$run") >log 2>&1 || { cat log; echo "FAILED: $run did not end"; exit 1; }
    check "$run"
    rm -rf "$run"
done
echo "$killed kills in $runs runs, $writing of them while a file was written: all end as undisturbed"

# A small file system, filled up and emptied again while runs write to it.
mkdir small
if ! mount -t tmpfs -o size=8m none small 2>/dev/null; then
    echo "skipped: the full file system (mounting a tmpfs takes root)"
    exit 0
fi
mounted=$folder/small
full=0 killed=0
for number in $(seq 1 $(((kills + 9) / 10))); do
    run=small/$number
    for _ in 1 2 3 4 5; do
        # Room for less than a checkpoint at a random moment of the run.
        (go "$run") >log 2>&1 &
        pid=$!
        sleep "$(printf '0.%03d' $((RANDOM % 500)))"
        dd if=/dev/zero of=small/filler bs=64k 2>/dev/null || true
        sleep "$(printf '0.%03d' $((RANDOM % 500)))"
        if [ $((RANDOM % 2)) = 0 ] && kill -KILL "$pid" 2>/dev/null; then
            killed=$((killed + 1))
        fi
        code=0
        wait "$pid" 2>/dev/null || code=$?
        if [ "$code" = 1 ]; then
            grep -q 'No space left on device' log || { cat log; echo "FAILED: $run"; exit 1; }
            full=$((full + 1))
        fi
        rm -f small/filler
    done
    (go "$run") >log 2>&1 || { cat log; echo "FAILED: $run did not end"; exit 1; }
    check "$run"
    rm -rf "$run"
done
echo "$full runs stopped by a full disk and $killed kills on it: all end as undisturbed"
