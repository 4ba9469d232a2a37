"""What the comparisons (compare_*.py) share: commands of carp, timing, and the machine they run on."""

import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parent.parent
# Share of the processors that others may use.
BUSY = 0.1


def used_share():
    """The share of the processors' time that was used in the last second."""

    def times():
        numbers = [int(word) for word in open("/proc/stat").readline().split()[1:]]
        return sum(numbers), numbers[3] + numbers[4]

    before = times()
    time.sleep(1)
    after = times()
    return 1 - (after[1] - before[1]) / max(after[0] - before[0], 1)


def refuse_if_busy():
    share = used_share()
    if share > BUSY:
        sys.exit(f"others use {100 * share:.0f} % of the processors: wait until they are idle")


def chosen(settings):
    """The options of carp that choose settings."""
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def median_seconds(work, calls):
    """The median of some calls, after one to warm up."""
    times = []
    for call in range(calls + 1):
        start = time.perf_counter()
        work()
        if call > 0:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def output(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def processor():
    lines = open("/proc/cpuinfo").read().splitlines()
    name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    flags = next(line for line in lines if line.startswith("flags"))
    isa = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2"
    return f"{name}, {isa}, {os.cpu_count()} cores"
