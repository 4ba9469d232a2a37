"""Compiles the kernels to PTX with NVRTC: see ptx.sh, which calls this."""

import ctypes
import glob
import hashlib
import os
import re
import sys

import nvidia.cuda_nvrtc
import nvidia.cuda_runtime

CRATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cuda-kernels")
KERNELS = os.path.join(CRATE, "kernels")
# Kernels for the emulator's tests: with planted faults, races, and lanes that part.
TESTS = [os.path.join(CRATE, "ptx-emulator/tests", name) for name in ("mutants", "races", "reconvergence")]
# One baseline, compute_80: every card since Ampere (2020) runs it.
OPTIONS = os.path.join(KERNELS, "nvrtc.options")


def folder(package):
    return list(package.__path__)[0]


INCLUDE = os.path.join(folder(nvidia.cuda_runtime), "include")
nvrtc = ctypes.CDLL(os.path.join(folder(nvidia.cuda_nvrtc), "lib/libnvrtc.so.12"))
nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p


def text(program, size_of, get):
    """A string that NVRTC hands out in two calls."""
    size = ctypes.c_size_t()
    size_of(program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    get(program, buffer)
    return buffer.value.decode()


def compile_ptx(path):
    """The PTX of a .cu file; ends the program with the compiler's words where there is none."""
    name = os.path.basename(path)
    with open(path, "rb") as source:
        program = ctypes.c_void_p()
        nvrtc.nvrtcCreateProgram(
            ctypes.byref(program), source.read(), name.encode(), 0, None, None
        )
    with open(OPTIONS) as lines:
        own = lines.read().split()
    options = [*own, f"--include-path={INCLUDE}", f"--include-path={KERNELS}"]
    encoded = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
    code = nvrtc.nvrtcCompileProgram(program, len(options), encoded)
    log = text(program, nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog).strip()
    if log:
        print(log, file=sys.stderr)
    if code != 0:
        sys.exit(f"{name}: {nvrtc.nvrtcGetErrorString(code).decode()}")
    return stable(text(program, nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX))


def stable(ptx):
    """PTX without this machine's folders: files are named alone. And it asks for no more than PTX
    ISA 8.0 (drivers since CUDA 12.0); ptxas refuses it if an instruction is newer."""
    ptx = re.sub(r"(?m)^\.version .*$", ".version 8.0", ptx)
    return re.sub(
        r'(\.file\s+\d+\s+)"([^"]*)"[^\n]*',
        lambda match: f'{match[1]}"{os.path.basename(match[2])}"',
        ptx,
    )


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


def main():
    arguments = sys.argv[1:]
    check = "--check" in arguments
    files = [a for a in arguments if a != "--check"]
    if not files:
        files = [path for each in [KERNELS, *TESTS] for path in glob.glob(os.path.join(each, "*.cu"))]
    stale = []
    for path in sorted(files):
        ptx, target = compile_ptx(path), os.path.splitext(path)[0] + ".ptx"
        for name, content in [(target, ptx), (f"{target}.sha256", sums(path, ptx))]:
            if not check:
                with open(name, "w") as out:
                    out.write(content)
            elif not os.path.exists(name) or open(name).read() != content:
                stale.append(os.path.basename(name))
    if stale:
        sys.exit(f"{', '.join(stale)}: not what the source gives; run tools/ptx.sh")


main()
