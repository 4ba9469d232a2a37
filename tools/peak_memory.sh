#!/bin/sh
# Planned against measured memory: a short run of five presets on built-in pictures, each with and
# without a memory budget. Prints the table of docs/memory.md. Needs target/release/carp, 2 GiB of
# memory and a few minutes; Linux only.
#
# The allocator is told to give freed buffers back at once, so that the peak is what is in use.
# Measured is the process's peak (VmHWM) less its code (file-backed pages, RssFile) and the main
# thread's stack (VmStk), as the run's last moments show them.
set -eu
cd "$(dirname "$0")/.."
carp=$PWD/target/release/carp
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export MALLOC_MMAP_THRESHOLD_=131072

# measure NAME PRESET IMAGES OPTION...
measure() {
    name=$1 preset=$2 images=$3
    shift 3
    set -- --preset "$preset" --set data.kind=shapes --set data.train_size="$images" \
        --set data.test_size=32 --set knn.batch_size=32 --set train.epochs=1 --set train.prefetch=1 \
        --set 'views.mean=[0.5,0.5,0.5]' --set 'views.std=[0.25,0.25,0.25]' "$@"
    "$carp" plan "$@" >"$folder/plan"
    "$carp" train "$@" --out "$folder/run" >/dev/null &
    pid=$!
    while kill -0 $pid 2>/dev/null; do
        cat /proc/$pid/status >"$folder/next" 2>/dev/null || true
        if grep -q VmHWM "$folder/next"; then mv "$folder/next" "$folder/status"; fi
        sleep 0.1
    done
    wait $pid
    python3 - "$name" "$folder" <<'END'
import re, sys
name, folder = sys.argv[1:]
plan = open(f"{folder}/plan").read()
status = dict(re.findall(r"(\w+):\s+(\d+) kB", open(f"{folder}/status").read()))
planned = {key: int(re.search(rf"^{key} .*? (\d+) B ", plan, re.M)[1]) / 2**20 for key in ("arena", "peak of a run")}
peak, code, stack = (int(status[key]) / 1024 for key in ("VmHWM", "RssFile", "VmStk"))
buffers = planned["peak of a run"] - planned["arena"]
arena = peak - code - stack - buffers
print(f"| {name} | {planned['arena']:.1f} | {buffers:.1f} | {peak:.1f} | {code + stack:.1f} "
      f"| {arena:.1f} | {100 * (arena / planned['arena'] - 1):+.1f} % |")
END
    rm -rf "$folder/run"
}

echo "| preset | arena, planned | other buffers, planned | peak, measured | of it code and stack | left for the arena | off by |"
echo "|---|---|---|---|---|---|---|"
measure shapes shapes 512
measure "shapes, 120 MiB" shapes 512 --memory-budget 120MiB
measure fashion-mnist fashion-mnist 512
measure "K = 65,536" shapes 128 --set model.prototypes=65536 --set model.bottleneck=256 \
    --set train.batch_size=32
measure folder folder 192
measure "folder, 1000 MiB" folder 192 --memory-budget 1000MiB
measure "stl10, 32 images" stl10 96 --set train.batch_size=32
measure "cifar10, 32 images" cifar10 96 --set train.batch_size=32
