#!/usr/bin/env bash
# Runs arena and microkernel at small sizes under Miri, which knows Rust's rules of aliasing, and all kernels
# of the CPU under valgrind, which knows what was written. Takes minutes.
#   tools/memcheck.sh            both
#   tools/memcheck.sh miri       needs `rustup component add miri rust-src --toolchain nightly`
#   tools/memcheck.sh valgrind   needs `apt install valgrind`
# valgrind's processor has AVX2 and no AVX-512; Miri's has neither.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-both}

if [ "$what" != valgrind ]; then
    # rayon's and crossbeam's own pointers come from integers; mmap is not isolated from the system.
    export MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-tree-borrows -Zmiri-permissive-provenance -Zmiri-ignore-leaks"
    export RAYON_NUM_THREADS=2
    miri() { cargo +nightly miri test --quiet --target-dir target/miri -p tensor "$@"; }
    # Miri's memory has no end.
    miri --lib arena -- --skip too_little_memory
    miri --test kernels a_small_product
fi
if [ "$what" != miri ]; then
    # Only numbers in registers: the debug information would take longer to read than the tests.
    export CARGO_PROFILE_RELEASE_DEBUG=false
    program=$(cargo test --release -p tensor --test kernels --no-run --message-format=json 2> /dev/null |
        sed -n 's/.*"executable":"\([^"]*kernels-[^"]*\)".*/\1/p')
    valgrind --quiet --error-exitcode=1 --leak-check=no "$program" --test-threads=1
fi
echo "no fault"
