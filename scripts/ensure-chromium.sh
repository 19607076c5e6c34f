#!/bin/sh
# Sees to a Chromium for the tests of the Prefect UI, by apt-get where it may.
# Without one those tests are skipped; with CI set that is a failure.
set -eu
cd "$(dirname "$0")/.."

has_chromium() {
  command -v chromium >/dev/null 2>&1
}

has_chromium && exit 0
printf '%s\n' 'ensure-chromium: no chromium on PATH; trying apt-get' >&2
if sh scripts/apt-install.sh chromium && has_chromium; then
  exit 0
fi
if [ -n "${CI:-}" ]; then
  printf '%s\n' 'ensure-chromium: chromium is missing, and CI is set. Install it: apt-get install chromium' >&2
  exit 1
fi
printf '%s\n' 'ensure-chromium: going on without; tests of the Prefect UI are skipped (Debian: apt-get install chromium).' >&2
