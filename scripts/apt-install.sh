#!/bin/sh
# Installs Debian packages as root or by passwordless sudo. Fails when this machine does not let it.
# usage: apt-install.sh PACKAGE...
set -eu

command -v apt-get >/dev/null 2>&1 || exit 1
if [ "$(id -u)" -eq 0 ]; then
  as_root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
  as_root='sudo -n'
else
  exit 1
fi

# RUNLEVEL=1: a server that comes with a package is not started here; the tests start their own.
apt() {
  $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -o DPkg::Lock::Timeout=120 "$@" >&2
}

# Two of us at once: apt waits for dpkg's lock, but not for that of its lists.
if command -v flock >/dev/null 2>&1; then
  exec 9>"${TMPDIR:-/tmp}/dlq-drain-apt.lock"
  flock 9
fi

apt install -y --no-install-recommends "$@" 2>/dev/null && exit 0
apt update && apt install -y --no-install-recommends "$@"
