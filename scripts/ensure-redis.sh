#!/bin/sh
# Sees to a redis-server of version 7 or newer for the tests, by apt-get where it may.
# Without one the tests use the server out of the wheel; with CI set that is a failure.
set -eu
cd "$(dirname "$0")/.."

has_redis() {
  major=$(redis-server --version 2>/dev/null | sed -n 's/.* v=\([0-9]*\)\..*/\1/p')
  [ "${major:-0}" -ge 7 ]
}

has_redis && exit 0
printf '%s\n' 'ensure-redis: no redis-server of version 7 or newer; trying apt-get' >&2
if sh scripts/apt-install.sh redis-server && has_redis; then
  exit 0
fi
if [ -n "${CI:-}" ]; then
  printf '%s\n' 'ensure-redis: redis-server 7 or newer is missing, and CI is set. Install it: apt-get install redis-server' >&2
  exit 1
fi
printf '%s\n' 'ensure-redis: going on with the server out of the wheel only; tests on redis-server are skipped.' \
  '  To run them install redis-server 7 or newer (Debian: apt-get install redis-server; macOS: brew install redis).' >&2
