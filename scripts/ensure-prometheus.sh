#!/bin/sh
# Sees to prometheus and alertmanager (with promtool and amtool) for the tests of metrics, rules and alerts, by apt-get
# where it may. Without them those tests are skipped; with CI set that is a failure.
set -eu
cd "$(dirname "$0")/.."

has() { command -v "$1" >/dev/null 2>&1; }
has_all() { has prometheus && has promtool && has amtool && { has prometheus-alertmanager || has alertmanager; }; }

has_all && exit 0
printf '%s\n' 'ensure-prometheus: prometheus or alertmanager is missing; trying apt-get' >&2
if sh scripts/apt-install.sh prometheus prometheus-alertmanager && has_all; then
  exit 0
fi
if [ -n "${CI:-}" ]; then
  printf '%s\n' 'ensure-prometheus: prometheus or alertmanager is missing, and CI is set.' \
    '  Install them: apt-get install prometheus prometheus-alertmanager' >&2
  exit 1
fi
printf '%s\n' 'ensure-prometheus: going on without; tests that need prometheus or alertmanager are skipped.' >&2
