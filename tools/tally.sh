#!/usr/bin/env bash
# Passes a test run through and ends with one line: "<name>: N passed, M failed".
set -uo pipefail
name=$1
awk -v name="$name" '
  { print }
  /^test result:/ { for (i = 1; i <= NF; i++) { if ($i == "passed;") passed += $(i-1); if ($i == "failed;") failed += $(i-1) } }
  END { printf "%s: %d passed, %d failed\n", name, passed, failed; exit (failed > 0 || passed == 0) }'
