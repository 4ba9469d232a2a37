"""Prints what ptxas says of the kernels as a Markdown table: see ptxas.sh, which calls this."""

import glob
import os
import re
import subprocess
import sys

import nvidia.cuda_nvcc
import sass

KERNELS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cuda-kernels/kernels")
PTXAS = os.path.join(list(nvidia.cuda_nvcc.__path__)[0], "bin/ptxas")

# Per multiprocessor (CUDA programming guide, table of compute capabilities): 65536 registers, 64
# warps, 32 blocks on both; shared memory in bytes, of which each block costs 1024 more.
SHARED = {"sm_80": 167936, "sm_90": 233472}
DEFAULT_THREADS = 256

# Where the tables stand in the documentation.
PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../docs/cuda.md")


def occupancy(arch, registers, shared, threads):
    """Share of the 64 warps that fit: registers go to warps in units of 256."""
    warps = -(-threads // 32)
    by_registers = (65536 // (-(-max(registers, 1) * 32 // 256) * 256)) // warps
    by_shared = SHARED[arch] // (shared + 1024)
    return min(32, 64 // warps, by_registers, by_shared) * warps / 64


def threads_of(ptx, kernel):
    """Threads of a block: what __launch_bounds__ says, or else the launch code's usual number."""
    head = re.search(rf"\.entry\s+{kernel}\b.*?\{{", ptx, re.S)
    bound = head and re.search(r"\.maxntid\s+(\d+)(?:,\s*(\d+))?(?:,\s*(\d+))?", head[0])
    if not bound:
        return DEFAULT_THREADS
    x, y, z = (int(part or 1) for part in bound.groups())
    return x * y * z


def report(path, arch):
    """kernel -> (registers, static shared bytes, spilled bytes) for one file."""
    command = [PTXAS, "-v", f"-arch={arch}", "-o", os.devnull, path]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{os.path.basename(path)}: {done.stderr.strip()}")
    found, kernel, spill = {}, None, 0
    for line in done.stderr.splitlines():
        if match := re.search(r"Compiling entry function '(\w+)'", line):
            kernel = match[1]
        elif match := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line):
            spill = int(match[1]) + int(match[2])
        elif match := re.search(r"Used (\d+) registers", line):
            shared = re.search(r"(\d+) bytes smem", line)
            found[kernel] = (int(match[1]), int(shared[1]) if shared else 0, spill)
    return found


def paths():
    return sorted(glob.glob(os.path.join(KERNELS, "*.ptx")))


def table():
    """The table, and the kernels that spill, also on sm_120."""
    lines = [
        "| kernel | threads | shared, bytes | registers | spills, bytes | occupancy |",
        "|---|---|---|---|---|---|",
        "| | | | sm_80 / sm_90 | sm_80 / sm_90 | sm_80 / sm_90 |",
    ]
    spilling = []
    for path in paths():
        with open(path) as file:
            ptx = file.read()
        old, new, newest = (report(path, arch) for arch in ("sm_80", "sm_90", "sm_120"))
        family = os.path.splitext(os.path.basename(path))[0]
        for kernel in sorted(old):
            threads, shared = threads_of(ptx, kernel), old[kernel][1]
            share = [
                f"{100 * occupancy(arch, found[kernel][0], shared, threads):.0f} %"
                for arch, found in (("sm_80", old), ("sm_90", new))
            ]
            spills = (old[kernel][2], new[kernel][2])
            lines.append(
                f"| {family}: {kernel} | {threads} | {shared} "
                f"| {old[kernel][0]} / {new[kernel][0]} | {spills[0]} / {spills[1]} "
                f"| {share[0]} / {share[1]} |"
            )
            if any(spills) or newest[kernel][2]:
                spilling.append(kernel)
    return lines, spilling


def put(text, name, lines):
    """The page with the lines between its two marks of that name."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    inside = "\n".join([begin, *lines, end])
    text, places = re.subn(f"(?s){begin}.*?{end}", lambda _: inside, text)
    if places != 1:
        sys.exit(f"docs/cuda.md has {places} places between {begin} and {end}; should have one")
    return text


def main():
    lines, spilling = table()
    loops = sass.table(PTXAS, paths(), ["sm_80", "sm_90"])
    if sys.argv[1:]:
        with open(PAGE) as file:
            old = file.read()
        new = put(put(old, "ptxas", lines), "sass", loops)
        if sys.argv[1] == "--write":
            with open(PAGE, "w") as file:
                file.write(new)
        elif old != new:
            sys.exit("the tables in docs/cuda.md are not those of the PTX; run tools/ptxas.sh --write")
    else:
        print("\n".join([*lines, "", *loops]))
    if spilling:
        sys.exit(f"registers are spilled by {', '.join(spilling)}")


main()
