#!/usr/bin/env bash
# Runs a command that ends with the line `N passed, N failed`, for at most LIMIT. The last line repeats the counts after
# `part:`. A command without that line, one that fails although no test failed, one that is ended at its limit, and one
# that skipped its tests count as a failure each.
#
#   part.sh LIMIT COMMAND...
set -uo pipefail
limit=$1
shift
log=$(mktemp)
# Into a file: a process that outlives the command would keep a pipe open, and its reader waiting.
timeout --kill-after=20s "$limit" "$@" > "$log" 2>&1 < /dev/null &
child=$!
trap 'kill "$child" 2> /dev/null; wait "$child"; rm -f "$log"; exit 143' INT TERM
tail --pid="$child" -n +1 -f "$log"
wait "$child"
code=$?
passed=0 failed=0 skipped=0
pattern='^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$'
counts=$(grep -E "$pattern" "$log" | tail -n 1)
rm -f "$log"
if [[ $counts =~ $pattern ]]; then
  passed=${BASH_REMATCH[1]} failed=${BASH_REMATCH[2]} skipped=${BASH_REMATCH[4]:-0}
  failed=$((failed + skipped))
  ((skipped == 0)) || echo "$*: skipped tests count as failures here"
else
  failed=1
  echo "$*: ended without a count"
fi
if ((code == 124 || code == 137)); then echo "$*: ended after $limit"; fi
if ((code != 0 && failed == 0)); then
  failed=1
  echo "$*: exit code $code, although no test failed"
fi
echo "part: $passed passed, $failed failed"
