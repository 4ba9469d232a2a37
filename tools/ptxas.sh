#!/usr/bin/env bash
# Assembles the PTX for sm_80 and sm_90 and prints, per kernel, its multiprocessor resources.
# ptxas comes from PyPI into target/ptxas; PTXAS_VENV names another virtual environment.
# Fails if a kernel spills registers.
#   tools/ptxas.sh            print the table
#   tools/ptxas.sh --write    put it into docs/cuda.md
#   tools/ptxas.sh --check    fail if docs/cuda.md differs
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${PTXAS_VENV:-target/ptxas}
if [ ! -e "$venv/.ready" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check nvidia-cuda-nvcc-cu12==12.9.86
    touch "$venv/.ready"
fi
exec "$venv/bin/python" tools/ptxas.py "$@"
