#!/usr/bin/env bash
# Two ranks of one thread each against one process of two threads: the same shards, the same bits. Run
# alternately, five times each, on a quiet machine with two free cores; prints medians of the training
# time and their ratio.
#
#   tools/mpi-time.sh [SETTING...]     CARP=FILE chooses a program built with --features mpi
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v mpirun >/dev/null; then
    echo "no mpirun: on Debian, apt install libopenmpi-dev openmpi-bin libclang-dev"
    exit 2
fi
carp=$(realpath "${CARP:-target/release/carp}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

settings=(--preset shapes --set views.local_count=0 --shards 2 --set train.steps=30 --set data.test_size=64 --set knn.bank=64)
for setting in "$@"; do
    settings+=(--set "$setting")
done
seconds() { sed -n 's/.*"seconds": \([0-9.]*\).*/\1/p' "$1/result.json"; }
digest() { sed -n 's/.*"weights_sha256": "\(.*\)".*/\1/p' "$1/result.json"; }
median() { sort -n "$1" | sed -n 3p; }
train() {
    local folder=$1
    shift
    "$@" --out "$folder" >log 2>&1 || { cat log; exit 1; }
}
ranks=(mpirun --quiet --use-hwthread-cpus --bind-to hwthread -n 2)
for round in 1 2 3 4 5; do
    train "one-$round" "$carp" train "${settings[@]}" --set train.threads=2
    train "two-$round" "${ranks[@]}" "$carp" train "${settings[@]}" --set train.threads=1
    [ "$(digest "one-$round")" = "$(digest "two-$round")" ] || { echo "FAILED: other weights"; exit 1; }
    seconds "one-$round" >>one
    seconds "two-$round" >>two
    echo "round $round: one process $(seconds "one-$round") s, two ranks $(seconds "two-$round") s"
done
one=$(median one) two=$(median two)
echo "medians: one process of two threads $one s, two ranks of one thread $two s"
awk "BEGIN { printf \"ratio %.3f\n\", $two / $one }"
