#!/bin/sh
# Sees to rabbitmq-server for the tests of that broker, by apt-get where it may. Without it those tests are skipped;
# with CI set that is a failure.
set -eu
cd "$(dirname "$0")/.."

has_rabbitmq() {
  [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || command -v rabbitmq-server >/dev/null 2>&1
}

has_rabbitmq && exit 0
printf '%s\n' 'ensure-rabbitmq: no rabbitmq-server; trying apt-get' >&2
if sh scripts/apt-install.sh rabbitmq-server && has_rabbitmq; then
  exit 0
fi
if [ -n "${CI:-}" ]; then
  printf '%s\n' 'ensure-rabbitmq: rabbitmq-server is missing, and CI is set. Install it: apt-get install rabbitmq-server' >&2
  exit 1
fi
printf '%s\n' 'ensure-rabbitmq: going on without; tests that need rabbitmq-server are skipped.' >&2
