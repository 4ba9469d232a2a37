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
    """What measures a step here and in PyTorch, by name, and what prints the memory planned here."""
    carp = []
    torch = [sys.executable, str(ROOT / "tools/bench_pytorch.py"), "--steps", str(STEPS)]
    for setting, option, values in SETTINGS:
        carp += ["--set", f"{setting}={values[case]}"]
        if option:
            torch += [f"--{option}", str(values[case])]
    program = str(ROOT / "target/release/carp")
    steps = {
        "carp": [program, "trace", "--measure", str(STEPS)] + carp,
        "PyTorch, contiguous": torch,
        "PyTorch, channels-last": torch + ["--channels-last"],
    }
    return steps, [program, "plan"] + carp


def used_share():
    """The share of the processors' time that was used in the last second."""

    def times():
        numbers = [int(word) for word in open("/proc/stat").readline().split()[1:]]
        return sum(numbers), numbers[3] + numbers[4]

    before = times()
    time.sleep(1)
    after = times()
    return 1 - (after[1] - before[1]) / max(after[0] - before[0], 1)


def output(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def measure(command):
    """Seconds a step, and MiB if the command prints them."""
    share = used_share()
    if share > BUSY:
        sys.exit(f"others use {100 * share:.0f} % of the processors: wait until they are idle")
    text = output(command)
    memory = re.search(r"peak memory ([0-9.]+) MiB", text)
    seconds = float(re.search(r"median ([0-9.]+) s (?:per|a) step", text)[1])
    return seconds, float(memory[1]) if memory else None


def processor():
    lines = open("/proc/cpuinfo").read().splitlines()
    name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    flags = next(line for line in lines if line.startswith("flags"))
    isa = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2"
    return f"{name}, {isa}, {os.cpu_count()} cores"


def main(case, rounds):
    steps, plan = commands(case)
    planned = float(re.search(r"^arena +([0-9.]+) MiB", output(plan), re.M)[1])
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
