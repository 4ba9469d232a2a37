"""Times CARP's training steps here and in PyTorch on one card, in turn, and prints ratios of medians.

    cargo build --release --features cuda
    python tools/compare_card.py [ROUNDS]

The cases `wide` and `imagenet` of compare_speed.py, in each numerics: exact against PyTorch's f32, tf32
against tf32, bf16 against autocast; PyTorch with channels-last images. A round is 5 steps in PyTorch,
whose process stays, and 5 here, after one to warm up. Needs a card, its driver, and
tools/requirements.txt.
"""

import re
import statistics
import sys

import torch

import bench_pytorch
from compare_speed import STEPS, options, planned_mib
from comparison import ROOT, median_seconds, output

PROGRAM = str(ROOT / "target/release/carp")
PYTORCH = {"exact": "f32", "tf32": "tf32", "bf16": "bf16"}


def compare(case, numerics, rounds):
    carp, words = options(case)
    carp += ["--device", "cuda:0", "--numerics", numerics]
    words += ["--device", "cuda:0", "--numerics", PYTORCH[numerics], "--channels-last"]
    args = bench_pytorch.arguments(words)
    step, _ = bench_pytorch.prepared(args)
    bench = [PROGRAM, "bench", "step", "--rounds", str(STEPS)] + carp
    own, theirs = [], []
    for _ in range(rounds):
        theirs.append(1e3 * median_seconds(step, STEPS))
        own.append(float(re.search(r"step, streaming +([0-9.]+) ms", output(bench))[1]))
    own, theirs = statistics.median(own), statistics.median(theirs)
    planned, peak = planned_mib([PROGRAM, "plan"] + carp), bench_pytorch.peak_mib(args)
    print(
        f"{case:<10}{numerics:<7}carp {own:7.2f} ms {planned:6.0f} MiB   PyTorch {theirs:7.2f} ms "
        f"{peak:6.0f} MiB   {own / theirs:.2f} of the time, {planned / peak:.2f} of the memory",
        flush=True,
    )


def main(rounds):
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, medians of {rounds}")
    for case in ("wide", "imagenet"):
        for numerics in PYTORCH:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            compare(case, numerics, rounds)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
