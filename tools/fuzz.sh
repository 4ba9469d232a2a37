#!/usr/bin/env bash
# Fuzzes every reader for SECONDS each, or only the named ones: tools/fuzz.sh [SECONDS] [TARGET...]
# Needs a nightly compiler and `cargo install cargo-fuzz`. Stops at the first fault, whose input is
# then in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
[ $# -gt 0 ] || set -- $(ls fuzz/seeds)
for name in "$@"; do
    mkdir -p "fuzz/corpus/$name"
    CARP_FUZZ_TARGET=$name cargo +nightly fuzz run reader \
        "fuzz/corpus/$name" "fuzz/seeds/$name" -- -max_total_time="$seconds" -max_len=16384 \
        -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
done
