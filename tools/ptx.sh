#!/usr/bin/env bash
# Compiles cuda-kernels/kernels/*.cu (and those of the emulator's tests) to the PTX beside them, without
# a GPU or a CUDA toolkit, and writes down the SHA-256 of what each was made of: a test compares it.
#   tools/ptx.sh            compile all (or the files given)
#   tools/ptx.sh --check    compile to memory and fail unless the PTX is what the source gives, but for NVRTC's choices
# NVRTC comes from PyPI into target/nvrtc; NVRTC_VENV names another virtual environment.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${NVRTC_VENV:-target/nvrtc}
if [ ! -e "$venv/.ready" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check \
        nvidia-cuda-nvrtc-cu12==12.9.86 nvidia-cuda-runtime-cu12==12.9.79
    touch "$venv/.ready"
fi
exec "$venv/bin/python" tools/ptx.py "$@"
