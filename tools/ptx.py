"""Compiles the kernels to PTX with NVRTC: see ptx.sh, which calls this."""

import ctypes
import glob
import os
import re
import sys

import nvidia.cuda_nvrtc
import nvidia.cuda_runtime

CRATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cuda-kernels")
KERNELS = os.path.join(CRATE, "kernels")
# Small kernels with planted faults, which the emulator must find.
MUTANTS = os.path.join(CRATE, "ptx-emulator/tests/mutants")
# One baseline: every card since Ampere (2020) runs it.
OPTIONS = ["--gpu-architecture=compute_80", "--generate-line-info", "--std=c++17"]


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
    options = [*OPTIONS, f"--include-path={INCLUDE}", f"--include-path={KERNELS}"]
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


def main():
    arguments = sys.argv[1:]
    check = "--check" in arguments
    files = [a for a in arguments if a != "--check"]
    if not files:
        folders = [KERNELS, MUTANTS]
        files = [path for each in folders for path in glob.glob(os.path.join(each, "*.cu"))]
    stale = []
    for path in sorted(files):
        ptx, target = compile_ptx(path), os.path.splitext(path)[0] + ".ptx"
        if check:
            if not os.path.exists(target) or open(target).read() != ptx:
                stale.append(os.path.basename(target))
        else:
            with open(target, "w") as out:
                out.write(ptx)
    if stale:
        sys.exit(f"{', '.join(stale)}: not what the source gives; run tools/ptx.sh")


main()
