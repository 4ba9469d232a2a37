#!/usr/bin/env bash
# Writes the line counts of README's reading path: in every table row whose first cell links to a file,
# the last cell, and in the row that begins with "all" their sum.
#   tools/lines.sh            rewrite README.md
#   tools/lines.sh --check    fail if a count is wrong
set -euo pipefail
cd "$(dirname "$0")/.."
counted=$(mktemp)
trap 'rm -f "$counted"' EXIT
awk '
    /<!-- reading path -->/ { inside = 1 }
    /<!-- end of reading path -->/ { inside = 0 }
    inside && match($0, /^\| \[[^]]*\]\([^)]*\)/) {
        file = substr($0, RSTART, RLENGTH)
        sub(/.*\(/, "", file); sub(/\).*/, "", file)
        lines = 0
        while ((getline line < file) > 0) lines++
        close(file)
        if (lines == 0) { print "no file " file > "/dev/stderr"; exit 1 }
        all += lines
        sub(/\| *[0-9]* *\|$/, "| " lines " |")
    }
    inside && /^\| all / { sub(/\| *[0-9]* *\|$/, "| " all " |") }
    { print }
' README.md > "$counted"
if [ "${1:-}" = --check ]; then
    diff README.md "$counted" && exit 0
    echo "README.md's line counts are not true: run tools/lines.sh" >&2
    exit 1
fi
cat "$counted" > README.md
