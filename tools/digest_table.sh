#!/usr/bin/env bash
# Trains a small network in every way that must not matter and prints the digests of its weights:
# builds, threads, instruction sets, CPU and emulator (both but plain x86-64 and the emulator in a debug build,
# which take hours), straight, stopped in mid-run and killed in mid-run. Fails if two differ. Takes a quarter of
# an hour, without debug builds some minutes, on a processor with AVX-512.
#   tools/digest_table.sh            print the table
#   tools/digest_table.sh --write    put it into docs/reproducibility.md
# BUILDS chooses builds ("release debug"), EMULATED the emulator's numbers of threads ("1 2 3 5 8"), and
# CARD=cuda:0 adds a card, for which the build has --features cuda. Without cargo what is built is taken.
set -euo pipefail
cd "$(dirname "$0")/.."
page=docs/reproducibility.md
threads=(1 2 3 5 8)
ways=(straight stopped killed)
builds=${BUILDS:-release debug}
emulated=${EMULATED:-${threads[*]}}
if command -v cargo > /dev/null; then
    for build in $builds; do
        cargo build --quiet -p bin --profile "${build/debug/dev}" ${CARD:+--features cuda}
    done
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

small=(--set data.train_size=12 --set data.test_size=8 --set train.batch_size=4
    --set train.epochs=4 --set model.width=8 --set model.stem=cifar --set model.hidden=40
    --set model.bottleneck=24 --set model.prototypes=100 --set model.partition_size=33
    --set views.global1.size=14 --set views.global2.size=14 --set views.local.size=9
    --set views.local_count=1 --set knn.every_epochs=0 --set knn.size=14 --set knn.resize=14)

# The digest of a run with these options: straight, stopped once its first step is logged, or killed once
# its first checkpoint is there.
digest() {
    local carp=$1 way=$2 run=$work/run
    shift 2
    rm -rf "$run"
    if [ "$way" = straight ]; then
        "$carp" train "${small[@]}" --out "$run" "$@" > "$work/log" 2>&1
    else
        local file=metrics.jsonl signal=INT
        [ "$way" = stopped ] || file=checkpoint.safetensors signal=KILL
        "$carp" train "${small[@]}" --out "$run" "$@" > "$work/log" 2>&1 &
        local child=$!
        until [ -s "$run/$file" ] || ! kill -0 $child 2> /dev/null; do sleep 0.005; done
        kill -$signal $child 2> /dev/null || true
        wait $child 2> /dev/null || true
        if [ -e "$run/result.json" ]; then
            echo "the run ended before it was $way" >&2
            exit 1
        fi
        "$carp" train --resume "$run" "${@:1:2}" >> "$work/log" 2>&1
    fi
    sed -n 's/.*"weights_sha256": *"\([0-9a-f]*\)".*/\1/p' "$run/result.json"
}

# A row of the table; runs with these numbers of threads.
row() {
    local name=$1 carp=$2 counts=" $3 " way count sum
    shift 3
    printf '| %s |' "$name"
    for way in "${ways[@]}"; do
        for count in "${threads[@]}"; do
            if [[ $counts != *" $count "* ]]; then
                printf ' |'
                continue
            fi
            sum=$(digest "$carp" "$way" "$@" --set "train.threads=$count")
            echo "$sum" >> "$work/sums"
            printf ' %s |' "${sum:0:8}"
        done
    done
    echo
}

{
    printf '| |'
    for way in "${ways[@]}"; do
        printf ' %s: 1 thread |' "$way"
        printf ' %s |' "${threads[@]:1}"
    done
    printf '\n|---|%s\n' "$(printf -- '---|%.0s' $(seq $((${#ways[@]} * ${#threads[@]}))))"
    for build in $builds; do
        for isa in portable avx2 avx512; do
            [ "$build $isa" != "debug portable" ] || continue
            CARP_ISA=$isa row "$build, CPU, $isa" "target/$build/carp" "${threads[*]}" --device cpu
        done
    done
    row "release, emulator" target/release/carp "$emulated" --device emulate
    [ -z "${CARD:-}" ] || row "release, a card" target/release/carp 2 --device "$CARD"
} | tee "$work/table"
differing=$(sort -u "$work/sums" | wc -l)
if [ "$differing" != 1 ]; then
    echo "$differing digests instead of one" >&2
    exit 1
fi
if [ "${1:-}" = --write ]; then
    awk -v table="$work/table" '
        /<!-- \/digests -->/ { while ((getline line < table) > 0) print line }
        /<!-- digests -->/ { print; inside = 1; next }
        /<!-- \/digests -->/ { inside = 0 }
        !inside { print }
    ' "$page" > "$work/page"
    cp "$work/page" "$page"
fi
