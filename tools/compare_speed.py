"""Times one CARP training step here and in PyTorch, in turn, and prints the ratio of the medians.

    cargo build --release
    python tools/compare_speed.py [ROUNDS]

Both run the same step: ResNet-18 of width 16 with the cifar stem, 128 images, 2 views of 32x32 and
4 of 16x16, head 256-256-64, 1024 prototypes in blocks of 128, LARS, two threads. PyTorch runs with
contiguous and with channels-last images. Needs tools/requirements.txt.
"""

import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent
STEPS = 5
SETTINGS = {
    "views.global1.size": 32,
    "views.global2.size": 32,
    "views.local.size": 16,
    "views.local_count": 4,
    "train.batch_size": 128,
    "train.threads": 2,
}
CARP = [str(ROOT / "target/release/carp"), "trace", "--measure", str(STEPS)]
CARP += [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
TORCH = [sys.executable, str(ROOT / "tools/bench_pytorch.py"), "--steps", str(STEPS)]
COMMANDS = {
    "carp": CARP,
    "PyTorch, contiguous": TORCH,
    "PyTorch, channels-last": TORCH + ["--channels-last"],
}


def seconds(command):
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(re.search(r"median ([0-9.]+) s (?:per|a) step", output).group(1))


def main(rounds):
    times = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    own = statistics.median(times["carp"])
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:<24} median {median:.3f} s a step of {rounds}, {median / own:.2f} of carp's")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
