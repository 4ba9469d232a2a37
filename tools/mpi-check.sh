#!/usr/bin/env bash
# Several processes through MPI: one, two and four ranks, straight and resumed with another number, must
# end with the weights and the recorded steps of one process; stops, errors and kills must end all ranks
# and keep the last checkpoint. Installs nothing: says what is missing.
#
#   tools/mpi-check.sh           CARP=FILE chooses a program built with --features mpi
set -euo pipefail
cd "$(dirname "$0")/.."
for program in mpirun mpicc pgrep prlimit; do
    if ! command -v "$program" >/dev/null; then
        echo "no $program: on Debian, apt install libopenmpi-dev openmpi-bin libclang-dev procps util-linux"
        exit 2
    fi
done
if [ -z "${CARP:-}" ]; then
    cargo clippy -p bin -p autograd --features bin/mpi --all-targets --release -- -D warnings
    cargo build --release --features mpi
fi
carp=$(realpath "${CARP:-target/release/carp}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# More ranks than cores here, perhaps as root, in a container; no lines of mpirun's own.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
ranks=(mpirun --quiet --oversubscribe --mca btl_vader_single_copy_mechanism none -n)

settings=(--preset minimal --shards 4 --digest --set train.threads=1 --set model.width=4)
# 200 short steps, a checkpoint after every second.
long=(--set data.train_size=64 --set train.batch_size=32 --set train.epochs=100)

fail() {
    echo "FAILED: $*"
    [ ! -e log ] || cat log
    trap - EXIT
    echo "see $folder"
    exit 1
}
digest() { sed -n 's/.*"weights_sha256": "\(.*\)".*/\1/p' "$1/result.json"; }
# The steps without their times.
steps() { sed 's/"images_per_second":[^,}]*,"waiting":[^,}]*//' "$1/metrics.jsonl"; }
# The run $1 must be as the run $2, in weights, recorded steps and k-NN accuracies.
same() {
    [ -n "$(digest "$1")" ] && [ "$(digest "$1")" = "$(digest "$2")" ] || fail "weights of $1"
    cmp <(steps "$1") <(steps "$2") >log || fail "steps of $1"
    cmp <(grep knn "$1/result.json") <(grep knn "$2/result.json") >log || fail "accuracies of $1"
}
# Waits until the run $1 has recorded a step.
started() {
    for _ in $(seq 600); do
        [ ! -s "$1/metrics.jsonl" ] || return 0
        sleep 0.1
    done
    fail "$1 takes no step"
}
# Runs a command, which must end with this exit code, with this text, and within so many seconds.
ends() {
    local code=$1 text=$2 seconds=$3 found=0
    shift 3
    timeout "$seconds" "$@" >log 2>&1 || found=$?
    [ "$found" = "$code" ] || fail "exit code $found instead of $code: $*"
    grep -q -- "$text" log || fail "no line '$text': $*"
}

"$carp" train "${settings[@]}" "${long[@]}" --out whole >log 2>&1 || fail "one process"
for number in 1 2 4; do
    "${ranks[@]}" "$number" "$carp" train "${settings[@]}" "${long[@]}" --out "$number" >log 2>&1 || fail "$number ranks"
    [ "$(grep -c 'SHA-256' log)" = 1 ] || fail "one rank prints"
    same "$number" whole
done
"$carp" verify whole >log || fail "verify"
"$carp" verify 4 >log || fail "verify of four ranks"
echo "1, 2 and 4 ranks: as one process, $(digest whole)"

# One rank is asked to stop: all stop after the same step.
for pair in "4 2 2" "2 4 1" "1 2 0"; do
    read -r before after asked <<<"$pair"
    run=from-$before-to-$after
    "${ranks[@]}" "$before" "$carp" train "${settings[@]}" "${long[@]}" --out "$run" >log 2>&1 &
    job=$!
    started "$run"
    kill -TERM "$(pgrep -P "$job" | sed -n "$((asked + 1))p")"
    code=0
    wait "$job" || code=$?
    [ "$code" = 143 ] || fail "exit code $code after SIGTERM"
    grep -q "stopped after step .*; resume with: carp train --resume $run" log || fail "no stop"
    "${ranks[@]}" "$after" "$carp" train --resume "$run" >log 2>&1 || fail "$run"
    same "$run" whole
done
echo "stopped by a signal to one rank and resumed by another number of them: as one process"

# A killed rank, at random moments.
for number in 1 2 3; do
    run=killed-$number
    "${ranks[@]}" 4 "$carp" train "${settings[@]}" "${long[@]}" --out "$run" >log 2>&1 &
    job=$!
    started "$run"
    sleep "0.$((RANDOM % 5))"
    kill -KILL "$(pgrep -P "$job" | sed -n "$((number % 4 + 1))p")" 2>/dev/null || true
    for _ in $(seq 100); do
        kill -0 "$job" 2>/dev/null || break
        sleep 0.1
    done
    ! kill -0 "$job" 2>/dev/null || fail "others outlive a killed rank by ten seconds"
    wait "$job" || true
    [ ! -e "$run/result.json" ] || fail "$run ended before it was killed"
    if [ -e "$run/checkpoint.safetensors" ] || [ -e "$run/checkpoint-previous.safetensors" ]; then
        "${ranks[@]}" 2 "$carp" train --resume "$run" >log 2>&1 || fail "resume of $run"
    else
        rm -rf "$run"
        "${ranks[@]}" 2 "$carp" train "${settings[@]}" "${long[@]}" --out "$run" >log 2>&1 || fail "$run"
    fi
    same "$run" whole
done
echo "a rank killed: all end within seconds, and resume as one process"

# A rank that can write no more, by a limit that it gets while it runs: an error of this rank only.
run=full
"${ranks[@]}" 4 bash -c 'trap "" XFSZ; exec "$@"' - "$carp" train "${settings[@]}" "${long[@]}" --out "$run" >log 2>&1 &
job=$!
started "$run"
until [ -e "$run/checkpoint.safetensors" ]; do sleep 0.1; done
prlimit --pid "$(pgrep -P "$job" | head -n 1)" --fsize=1024
for _ in $(seq 100); do
    kill -0 "$job" 2>/dev/null || break
    sleep 0.1
done
! kill -0 "$job" 2>/dev/null || fail "others outlive an error by ten seconds"
wait "$job" && fail "an error ends with exit code 0"
[ "$(grep -c '^error: ' log)" = 1 ] || fail "one line"
"${ranks[@]}" 2 "$carp" train --resume "$run" >log 2>&1 || fail "resume of $run"
same "$run" whole
echo "a rank that cannot write: one line, all end within seconds, and resume as one process"

ends 2 "ranks: 3 cannot share train.shards = 4" 20 "${ranks[@]}" 3 "$carp" train "${settings[@]}" --out three
[ "$(grep -c error log)" = 1 ] || fail "one line"
ends 2 "but only carp train shares its work" 20 "${ranks[@]}" 2 "$carp" verify whole
ends 2 "no such setting\|unknown" 20 "${ranks[@]}" 4 "$carp" train --set no.such=1
[ "$(grep -c error log)" = 1 ] || fail "one line"
ends 2 "unexpected argument" 20 "${ranks[@]}" 4 "$carp" train --no-such
ends 2 "is in use\|holds a checkpoint" 20 "${ranks[@]}" 2 "$carp" train "${settings[@]}" --out whole
echo "mistakes: one line each"
echo "all is well"
