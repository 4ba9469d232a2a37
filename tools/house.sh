#!/usr/bin/env bash
# Prints the house's sizes at two revisions, for ARCHITECTURE.md: lines per crate (sources without
# tests in files of their own), the glue between a kernel's name and its code, the reading path, the
# packages of the default build, and the longest files.
#   tools/house.sh BEFORE [AFTER]    (AFTER: HEAD)
set -euo pipefail
cd "$(dirname "$0")/.."
before=${1:?a revision to compare with}
after=${2:-HEAD}

# Lines at a revision of the .rs files that match a pattern.
lines() {
    git ls-tree -r --name-only "$1" | grep -E "$2" |
        while read -r file; do git show "$1:$file"; done | wc -l
}
row() { printf '| %s | %s | %s |\n' "$1" "$2" "$3"; }

echo "| lines of \`src/\` | before | after |"
echo "|---|---|---|"
for crate in tensor/isa tensor/isa/macros tensor autograd cuda-kernels cuda-kernels/ptx-emulator \
    cuda-kernels/ptx-view carp carp/files carp/pickle carp/weights carp/datasets carp/methods carp/evaluations carp/comparison carp/audit carp/report carp/learn bin; do
    row "\`$crate\`" "$(lines "$before" "^$crate/src/.*\.rs$")" "$(lines "$after" "^$crate/src/.*\.rs$")"
done
row "all" "$(lines "$before" '^[a-z-]+(/[a-z-]+)*/src/.*\.rs$')" \
    "$(lines "$after" '^[a-z-]+(/[a-z-]+)*/src/.*\.rs$')"
glue='^(tensor/src/(backend|kernel|cpu/mod)|cuda-kernels/src/(backend|launch/.*|tour/calls)|autograd/src/ops/.*)\.rs$'
row "glue: backend, kernel, dispatch, launches, ops" "$(lines "$before" "$glue")" "$(lines "$after" "$glue")"
path() { git show "$1:README.md" | sed -n 's/^| all | | \([0-9]*\) |$/\1/p'; }
row "reading path" "$(path "$before")" "$(path "$after")"
packages() {
    local tree
    tree=$(mktemp -d)
    git worktree add --quiet --detach "$tree" "$1"
    (cd "$tree" && cargo tree -p bin --edges normal,build --prefix none 2>/dev/null) |
        sed 's/ (.*//' | sort -u | wc -l
    git worktree remove --force "$tree"
}
row "packages of the default build" "$(packages "$before")" "$(packages "$after")"
lock() { git show "$1:Cargo.lock" | grep -c '^name = '; }
row "packages in the lock file" "$(lock "$before")" "$(lock "$after")"
echo
echo "The files over 400 lines, tests included:"
echo
git ls-tree -r --name-only "$after" | grep '\.rs$' |
    while read -r file; do echo "$(git show "$after:$file" | wc -l) $file"; done |
    sort -rn | sed -n 's/^\([0-9]*\) \(.*\)/- `\2`: \1/; /: [4-9][0-9][0-9]$/p'
