#!/bin/sh
# Makes .venv from requirements.lock and installs this project into it, editable.
# Needs a Python from 3.11 to 3.14; PYTHON names another than the first on PATH. Does nothing when .venv is up to date.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }
die() { say "bootstrap: $*"; exit 1; }

is_new_enough() {
  "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' >/dev/null 2>&1
}

find_python() {
  found=
  for name in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
    if is_new_enough "$name"; then
      command -v "$name"
      return
    fi
    place=$(command -v "$name") && found="$found $place ($("$name" --version 2>&1 | head -n 1)),"
  done
  found=${found%,}
  die "no Python from 3.11 to 3.14; found:${found:- none}. Install one, or name it: PYTHON=/path/to/python3 make install"
}

# What the stamp holds: the inputs of the install, and where the tree lies, since an editable install points there.
fingerprint() {
  cksum requirements.lock pyproject.toml scripts/bootstrap.sh
  pwd
}

make_venv() {
  python=$(find_python)
  rm -rf .venv
  if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    say "bootstrap: $python has no venv module; installing python$version-venv"
    sh scripts/apt-install.sh python3-venv "python$version-venv" ||
      die "cannot make a virtual environment. As root: apt-get install python3-venv"
  fi
  "$python" -m venv .venv || die "$python -m venv failed; its message stands above"
}

# A venv that was copied or moved names its old place in its scripts: the stamp tells.
is_usable_venv() {
  is_new_enough .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1 || return 1
  [ ! -f "$stamp" ] || grep -qxF "$(pwd)" "$stamp"
}

stamp=.venv/.installed
wanted=$(fingerprint)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && is_new_enough .venv/bin/python; then
  exit 0
fi

if ! is_usable_venv; then
  make_venv
fi
rm -f "$stamp"
say 'bootstrap: installing requirements.lock into .venv (a minute or two the first time)'
PIP_DISABLE_PIP_VERSION_CHECK=1
PIP_NO_INPUT=1
export PIP_DISABLE_PIP_VERSION_CHECK PIP_NO_INPUT
# --no-deps: the lock is complete. Without it pip 23.0, Debian 12's, looks for sqlalchemy[asyncio] beside sqlalchemy.
.venv/bin/python -m pip install --quiet --require-hashes --no-deps --requirement requirements.lock ||
  die 'pip could not install requirements.lock; its message stands above'
# The build backend comes from the lock as well: nothing unpinned is fetched.
.venv/bin/python -m pip install --quiet --no-build-isolation --no-deps --editable . ||
  die 'pip could not install this project; its message stands above'
printf '%s\n' "$wanted" >"$stamp"
