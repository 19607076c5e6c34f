#!/bin/sh
# Sees to a prometheus for the tests of metrics and rules, by apt-get where it may.
# Without one those tests are skipped; with CI set that is a failure.
set -eu
cd "$(dirname "$0")/.."

has_prometheus() { command -v prometheus >/dev/null 2>&1; }

has_prometheus && exit 0
printf '%s\n' 'ensure-prometheus: no prometheus; trying apt-get' >&2
if sh scripts/apt-install.sh prometheus && has_prometheus; then
  exit 0
fi
if [ -n "${CI:-}" ]; then
  printf '%s\n' 'ensure-prometheus: prometheus is missing, and CI is set. Install it: apt-get install prometheus' >&2
  exit 1
fi
printf '%s\n' 'ensure-prometheus: going on without; tests that need prometheus are skipped.' >&2
