"""Compiles CUDA C++ to PTX with NVRTC from PyPI, without a GPU or a CUDA toolkit.

As a program (`carp learn` calls it so): python nvrtc.py NAME OPTION... < SOURCE > PTX, with the compiler's
words on standard error. Exits with 1 where it refuses the source, with 3 where there is no NVRTC.
"""

import ctypes
import os
import re
import sys

MISSING = 3


def library():
    import nvidia.cuda_nvrtc

    folder = os.path.join(list(nvidia.cuda_nvrtc.__path__)[0], "lib")
    nvrtc = ctypes.CDLL(os.path.join(folder, "libnvrtc.so.12"))
    nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p
    return nvrtc


def compile_ptx(name, source, options):
    """The PTX of a source (bytes), or none; and the compiler's words."""
    nvrtc = library()
    program = ctypes.c_void_p()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, name.encode(), 0, None, None)
    encoded = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
    code = nvrtc.nvrtcCompileProgram(program, len(options), encoded)

    def text(size_of, get):
        """A string that NVRTC hands out in two calls."""
        size = ctypes.c_size_t()
        size_of(program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        get(program, buffer)
        return buffer.value.decode()

    words = text(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog).strip()
    if code != 0:
        return None, words or nvrtc.nvrtcGetErrorString(code).decode()
    return stable(text(nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX)), words


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
    name, *options = sys.argv[1:]
    try:
        ptx, words = compile_ptx(name, sys.stdin.buffer.read(), options)
    except (ImportError, OSError) as error:
        print(error, file=sys.stderr)
        sys.exit(MISSING)
    print(words, file=sys.stderr)
    if ptx is None:
        sys.exit(1)
    sys.stdout.write(ptx)


if __name__ == "__main__":
    main()
