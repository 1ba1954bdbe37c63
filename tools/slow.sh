#!/usr/bin/env bash
# Runs a slow, quiet command and says at least every 10 s that it still works. usage: slow.sh "what" command...
set -uo pipefail
what=$1; shift
start=$SECONDS
"$@" &
pid=$!
trap 'kill "$pid" 2>/dev/null' INT TERM
while :; do
  for _ in 1 2 3 4 5 6 7 8 9; do
    kill -0 "$pid" 2>/dev/null || break 2
    sleep 1
  done
  printf '%s ... %d s\n' "$what" $((SECONDS - start))
done
wait "$pid"
