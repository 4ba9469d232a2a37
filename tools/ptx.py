"""Compiles the kernels to PTX with NVRTC: see ptx.sh, which calls this."""

import glob
import hashlib
import os
import re
import sys
from collections import Counter

import nvidia.cuda_runtime

from nvrtc import compile_ptx

CRATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cuda-kernels")
KERNELS = os.path.join(CRATE, "kernels")
# Kernels for the emulator's tests: with planted faults, races, and lanes that part.
TESTS = [os.path.join(CRATE, "ptx-emulator/tests", name) for name in ("mutants", "races", "reconvergence")]
# One baseline, compute_80: every card since Ampere (2020) runs it.
OPTIONS = os.path.join(KERNELS, "nvrtc.options")


INCLUDE = os.path.join(list(nvidia.cuda_runtime.__path__)[0], "include")


def compile_file(path):
    """The PTX of a .cu file; ends the program with the compiler's words where there is none."""
    with open(OPTIONS) as lines:
        own = lines.read().split()
    options = [*own, f"--include-path={INCLUDE}", f"--include-path={KERNELS}"]
    with open(path, "rb") as source:
        ptx, words = compile_ptx(os.path.basename(path), source.read(), options)
    if ptx is None:
        sys.exit(f"{os.path.basename(path)}: {words}")
    if words:
        print(words, file=sys.stderr)
    return ptx


def included(path):
    """The file and all of this project's that it includes, directly or not, each once."""
    files, pending = [], [path]
    while pending:
        file = pending.pop()
        if file not in files:
            files.append(file)
            with open(file) as source:
                names = re.findall(r'(?m)^#include "(.+)"', source.read())
            pending += [os.path.join(KERNELS, name) for name in names]
    return [path, *sorted(files[1:])]


def sums(path, ptx):
    """What `sha256sum` says of the files that the PTX is made of, and of the PTX, in its folder."""
    contents = {}
    for file in [OPTIONS, *included(path)]:
        with open(file, "rb") as source:
            contents[os.path.relpath(file, os.path.dirname(path))] = source.read()
    contents[os.path.basename(path).replace(".cu", ".ptx")] = ptx.encode()
    lines = (f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in contents.items())
    return "".join(lines)


def instructions(ptx):
    """How often each line occurs, names of registers and labels aside."""
    lines = (re.sub(r"(%[a-z]+|\$L\w*?)\d+(_\d+)?", r"\1", line.strip()) for line in ptx.splitlines())
    return Counter(line for line in lines if line and not line.startswith((".reg", "mov.")))


def is_made_of(path, ptx):
    """Whether the PTX beside a .cu file is what it gives, and its sums are true.

    NVRTC goes through registers by where they lie in its memory, so of large kernels two compilations
    differ in a few of ten thousand instructions."""
    target = os.path.splitext(path)[0] + ".ptx"
    with open(target) as text, open(f"{target}.sha256") as true_sums:
        own, own_sums = text.read(), true_sums.read()
    ours, theirs = instructions(own), instructions(ptx)
    differ = (ours - theirs).total() + (theirs - ours).total()
    return own_sums == sums(path, own) and differ <= theirs.total() / 1000


def main():
    arguments = sys.argv[1:]
    check = "--check" in arguments
    files = [a for a in arguments if a != "--check"]
    if not files:
        files = [path for each in [KERNELS, *TESTS] for path in glob.glob(os.path.join(each, "*.cu"))]
    stale = []
    for path in sorted(files):
        ptx, target = compile_file(path), os.path.splitext(path)[0] + ".ptx"
        if check:
            stale += [] if is_made_of(path, ptx) else [os.path.basename(target)]
            continue
        for name, content in [(target, ptx), (f"{target}.sha256", sums(path, ptx))]:
            with open(name, "w") as out:
                out.write(content)
    if stale:
        sys.exit(f"{', '.join(stale)}: not what the source gives; run tools/ptx.sh")


main()
