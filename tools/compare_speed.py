"""Times one CARP training step here and in PyTorch, in turn, and prints the ratio of the medians.

    cargo build --release
    python tools/compare_speed.py [CASE] [ROUNDS]

Both run the same step: ResNet-18 with the cifar stem, head 256-256-64, LARS, two threads; PyTorch
with contiguous and with channels-last images. The cases: `small` (width 16, 128 images, 2 views of
32x32 and 4 of 16x16, 1024 prototypes in blocks of 128) and `wide` (width 64, 64 images, 2 views of
32x32, 4096 prototypes in blocks of 256). On a busy machine a ratio is worthless: it looks at the load
first and refuses. Needs tools/requirements.txt.
"""

import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parent.parent
STEPS = 5
# The setting of carp, the option of bench_pytorch.py, and the value in each case.
SETTINGS = [
    ("model.width", "width", {"small": 16, "wide": 64}),
    ("train.batch_size", "batch", {"small": 128, "wide": 64}),
    ("views.local_count", "local-views", {"small": 4, "wide": 0}),
    ("views.local.size", "local-size", {"small": 16, "wide": 16}),
    ("views.global1.size", "global-size", {"small": 32, "wide": 32}),
    ("views.global2.size", None, {"small": 32, "wide": 32}),
    ("model.prototypes", "prototypes", {"small": 1024, "wide": 4096}),
    ("model.partition_size", "partition-size", {"small": 128, "wide": 256}),
    ("train.threads", "threads", {"small": 2, "wide": 2}),
]
# Share of the processors that others may use.
BUSY = 0.1


def commands(case):
    carp = [str(ROOT / "target/release/carp"), "trace", "--measure", str(STEPS)]
    torch = [sys.executable, str(ROOT / "tools/bench_pytorch.py"), "--steps", str(STEPS)]
    for setting, option, values in SETTINGS:
        carp += ["--set", f"{setting}={values[case]}"]
        if option:
            torch += [f"--{option}", str(values[case])]
    return {
        "carp": carp,
        "PyTorch, contiguous": torch,
        "PyTorch, channels-last": torch + ["--channels-last"],
    }


def used_share():
    """The share of the processors' time that was used in the last second."""

    def times():
        numbers = [int(word) for word in open("/proc/stat").readline().split()[1:]]
        return sum(numbers), numbers[3] + numbers[4]

    before = times()
    time.sleep(1)
    after = times()
    return 1 - (after[1] - before[1]) / max(after[0] - before[0], 1)


def seconds(command):
    share = used_share()
    if share > BUSY:
        sys.exit(f"others use {100 * share:.0f} % of the processors: wait until they are idle")
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(re.search(r"median ([0-9.]+) s (?:per|a) step", output).group(1))


def processor():
    lines = open("/proc/cpuinfo").read().splitlines()
    name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    flags = next(line for line in lines if line.startswith("flags"))
    isa = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2"
    return f"{name}, {isa}, {os.cpu_count()} cores"


def main(case, rounds):
    times = {name: [] for name in commands(case)}
    for _ in range(rounds):
        for name, command in commands(case).items():
            times[name].append(seconds(command))
    own = statistics.median(times["carp"])
    print(f"{case} step on {processor()}")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:<24} median {median:.3f} s a step of {rounds}, {median / own:.2f} of carp's")


if __name__ == "__main__":
    case = sys.argv[1] if len(sys.argv) > 1 else "small"
    main(case, int(sys.argv[2]) if len(sys.argv) > 2 else 5)
