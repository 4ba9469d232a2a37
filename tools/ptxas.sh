#!/usr/bin/env bash
# Assembles the PTX for sm_80 and sm_90 and prints, per kernel, its multiprocessor resources, and the
# share of tensor instructions in its main loop. ptxas and nvdisasm come from PyPI into target/ptxas;
# PTXAS_VENV names another virtual environment. Fails if a kernel spills registers, also on sm_120.
#   tools/ptxas.sh            print the tables
#   tools/ptxas.sh --write    put them into docs/cuda.md
#   tools/ptxas.sh --check    fail if docs/cuda.md differs
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${PTXAS_VENV:-target/ptxas}
if [ ! -e "$venv/.disassembles" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check \
        nvidia-cuda-nvcc-cu12==12.9.86 nvidia-cuda-nvdisasm==13.5.37
    touch "$venv/.disassembles"
fi
exec "$venv/bin/python" tools/ptxas.py "$@"
