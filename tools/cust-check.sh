#!/usr/bin/env bash
# Type-checks the feature `cust` without CUDA: cust's build script needs a toolkit, and a folder with
# the headers from PyPI and an empty libcuda.so is enough of one.
# With arguments, runs that cargo command instead: tools/cust-check.sh clippy -p cuda-kernels ...
set -euo pipefail
cd "$(dirname "$0")/.."
toolkit=$PWD/target/cuda-toolkit
if [ ! -e "$toolkit/.ready" ]; then
    rm -rf "$toolkit"
    python3 -m venv "$toolkit/venv"
    "$toolkit/venv/bin/pip" install --quiet --disable-pip-version-check \
        nvidia-cuda-runtime-cu12==12.9.79
    headers=$("$toolkit/venv/bin/python" -c \
        'import nvidia.cuda_runtime as m; print(list(m.__path__)[0])')/include
    ln -s "$headers" "$toolkit/include"
    mkdir -p "$toolkit/lib64/stubs"
    # An empty shared library; `cargo check` never links it.
    if command -v cc >/dev/null; then
        cc -shared -o "$toolkit/lib64/stubs/libcuda.so" -x c /dev/null
    else
        touch "$toolkit/lib64/stubs/libcuda.so"
    fi
    ln -s stubs/libcuda.so "$toolkit/lib64/libcuda.so"
    touch "$toolkit/.ready"
fi
export CUDA_PATH=$toolkit CUDA_ROOT=$toolkit CUDA_LIBRARY_PATH=$toolkit
if [ $# -eq 0 ]; then
    set -- check -p cuda-kernels --features cust
fi
exec cargo "$@"
