#!/usr/bin/env bash
# Assembles the PTX for sm_80 and sm_90 and prints, per kernel, what it needs of a multiprocessor.
# ptxas comes from PyPI into target/ptxas; PTXAS_VENV names another virtual environment.
# Fails if a kernel spills registers.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${PTXAS_VENV:-target/ptxas}
if [ ! -e "$venv/.ready" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check nvidia-cuda-nvcc-cu12==12.9.86
    touch "$venv/.ready"
fi
exec "$venv/bin/python" tools/ptxas.py "$@"
