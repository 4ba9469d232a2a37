"""Times one CARP training step here and in PyTorch, in turn, and prints the ratio of the medians.

    cargo build --release
    python tools/compare_speed.py [CASE] [ROUNDS]

Both run the same step: head 256-256-64, LARS, two threads; PyTorch with contiguous and with
channels-last images. The cases: `small` (ResNet-18 of width 16 with the cifar stem, 128 images, 2 views
of 32x32 and 4 of 16x16, 1024 prototypes in blocks of 128), `wide` (width 64, 64 images, 2 views of
32x32, 4096 prototypes in blocks of 256), `resnet50` (ResNet-50 with the imagenet stem, 16 images, 2
views of 64x64, 4096 prototypes in blocks of 256) and `imagenet` (32 images, 2 views of 224x224 and 6 of
96x96, 65536 prototypes in blocks of 512: for a card). On a busy machine a ratio is worthless: it looks at
the load first and refuses. To compare with AVX2 on both sides, set CARP_ISA=avx2,
ATEN_CPU_CAPABILITY=avx2 and ONEDNN_MAX_CPU_ISA=AVX2. Needs tools/requirements.txt.
"""

import re
import statistics
import sys

from comparison import ROOT, chosen, output, processor, refuse_if_busy

STEPS = 5
CASES = ("small", "wide", "resnet50", "imagenet")
# The setting of carp, the option of bench_pytorch.py, and the value in each case.
SETTINGS = [
    ("model.arch", "arch", ("resnet18", "resnet18", "resnet50", "resnet50")),
    ("model.stem", "stem", ("cifar", "cifar", "imagenet", "imagenet")),
    ("model.width", "width", (16, 64, 64, 64)),
    ("train.batch_size", "batch", (128, 64, 16, 32)),
    ("views.local_count", "local-views", (4, 0, 0, 6)),
    ("views.local.size", "local-size", (16, 16, 16, 96)),
    ("views.global1.size", "global-size", (32, 32, 64, 224)),
    ("views.global2.size", None, (32, 32, 64, 224)),
    ("model.prototypes", "prototypes", (1024, 4096, 4096, 65536)),
    ("model.partition_size", "partition-size", (128, 256, 256, 512)),
    ("train.threads", "threads", (2, 2, 2, 2)),
]


def options(case):
    """The options of carp and of bench_pytorch.py."""
    carp, torch = [], []
    for setting, option, values in SETTINGS:
        value = values[CASES.index(case)]
        carp += chosen({setting: value})
        if option:
            torch += [f"--{option}", str(value)]
    return carp, torch


def commands(case):
    """What measures a step here and in PyTorch, by name, and what prints the memory planned here."""
    carp, torch = options(case)
    torch = [sys.executable, str(ROOT / "tools/bench_pytorch.py"), "--steps", str(STEPS)] + torch
    program = str(ROOT / "target/release/carp")
    steps = {
        "carp": [program, "trace", "--measure", str(STEPS)] + carp,
        "PyTorch, contiguous": torch,
        "PyTorch, channels-last": torch + ["--channels-last"],
    }
    return steps, [program, "plan"] + carp


def measure(command):
    """Seconds a step, and MiB if the command prints them."""
    refuse_if_busy()
    text = output(command)
    memory = re.search(r"peak memory ([0-9.]+) MiB", text)
    seconds = float(re.search(r"median ([0-9.]+) s (?:per|a) step", text)[1])
    return seconds, float(memory[1]) if memory else None


def planned_mib(plan):
    """The memory that `carp plan` prints."""
    size, unit = re.search(r"^arena +([0-9.]+) ([MG])iB", output(plan), re.M).groups()
    return float(size) * {"M": 1, "G": 1024}[unit]


def main(case, rounds):
    steps, plan = commands(case)
    planned = planned_mib(plan)
    measured = {name: [] for name in steps}
    for _ in range(rounds):
        for name, command in steps.items():
            measured[name].append(measure(command))
    own = statistics.median(seconds for seconds, _ in measured["carp"])
    print(f"{case} step on {processor()}, medians of {rounds}")
    print(f"{'carp':<24}{own:>8.3f} s{planned:>8.0f} MiB planned")
    for name, values in measured.items():
        if name != "carp":
            seconds, memory = map(statistics.median, zip(*values))
            print(f"{name:<24}{seconds:>8.3f} s{memory:>8.0f} MiB peak", end="")
            print(f"   carp takes {own / seconds:.2f} of the time, {planned / memory:.2f} of the memory")


if __name__ == "__main__":
    case = sys.argv[1] if len(sys.argv) > 1 else "small"
    main(case, int(sys.argv[2]) if len(sys.argv) > 2 else 5)
