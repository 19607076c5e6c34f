#!/usr/bin/env bash
# Builds kube-apiserver and kube-controller-manager 1.20 for `make test-kubernetes`, and sees to etcd.
# No package ships the two, but Debian's source package of Kubernetes holds the whole tree with what it depends on.
# Needs Debian 12 and root or passwordless sudo; about nine minutes on two cores and 4 GB of disk while it builds.
# They are kept in DLQ_KUBE_CACHE (default ~/.cache/dlq-drain/kubernetes), outside of this tree; the last line on
# stdout is that folder. Does nothing when they are there; two at once wait for each other.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly here=$PWD
readonly cache=${DLQ_KUBE_CACHE:-$HOME/.cache/dlq-drain/kubernetes}
readonly programs=(kube-apiserver kube-controller-manager)

say() { printf 'build-kube-apiserver: %s\n' "$*" >&2; }
cannot() {
  say "$*"
  exit 1
}

have_all() {
  local program
  for program in "${programs[@]}"; do [[ -x $cache/bin/$program ]] || return 1; done
}

have_etcd() { command -v etcd >/dev/null || [[ -x /usr/bin/etcd ]]; }

as_root() { if [[ $(id -u) -eq 0 ]]; then "$@"; else sudo -n "$@"; fi; }

# apt's own lists have no sources on most machines: the same places are asked for them, in a folder of our own.
source_lists() {
  local into=$1 list
  for list in /etc/apt/sources.list.d/*.sources; do
    [[ -f $list ]] && sed 's/^Types:.*/Types: deb-src/' "$list" >"$into/$(basename "$list")"
  done
  for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [[ -f $list ]] && grep -hE '^deb ' "$list" | sed 's/^deb /deb-src /' >"$into/from-$(basename "$list" .list).list"
  done
  grep -lqsr debian "$into"
}

fetch_tree() {
  mkdir -p "$work"/{parts,lists/partial}
  source_lists "$work/parts" || cannot "apt on this machine names no Debian archive"
  local apt=(apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$work/parts"
    -o "Dir::State::Lists=$work/lists" -o APT::Sandbox::User=root)
  as_root "${apt[@]}" update >&2 || cannot "apt could not read the lists of source packages"
  (cd "$work" && as_root "${apt[@]}" source --download-only kubernetes >&2) ||
    cannot "Debian's source package of kubernetes could not be fetched; Debian 12 (bookworm) has it"
  (cd "$work" && dpkg-source --no-check -x ./*.dsc tree >/dev/null) || cannot "the source package could not be unpacked"
}

compile() {
  export HOME=$work/home GOROOT=/usr/lib/go-1.19 GOPATH=$work/go GOCACHE=$work/gocache
  export GOPROXY=off GOFLAGS= CGO_ENABLED=0 PATH=/usr/lib/go-1.19/bin:$PATH
  mkdir -p "$HOME" "$GOPATH/src/k8s.io"
  ln -s "$work/tree" "$GOPATH/src/k8s.io/kubernetes"
  make -C "$work/tree" WHAT="$(printf 'cmd/%s ' "${programs[@]}")" >"$work/build.log" 2>&1 ||
    {
      tail -n 40 "$work/build.log" >&2
      cannot "the build failed; its last lines stand above"
    }
}

mkdir -p "$cache/bin"
cache_lock=$cache/.lock
exec 9>"$cache_lock"
flock 9
if ! have_etcd; then
  sh "$here/scripts/apt-install.sh" etcd-server || cannot "etcd is missing. As root: apt-get install etcd-server"
fi
if ! have_all; then
  say "building ${programs[*]} into $cache: nine minutes on two cores, once"
  sh "$here/scripts/apt-install.sh" golang-1.19-go rsync dpkg-dev make ||
    cannot "Go 1.19, rsync and dpkg-dev are missing and cannot be installed: this needs Debian 12 and root or sudo"
  work=$(mktemp -d "${TMPDIR:-/tmp}/dlq-kube.XXXXXX")
  trap 'as_root rm -rf "$work"' EXIT
  fetch_tree
  compile
  for program in "${programs[@]}"; do
    install -m 755 "$work/tree/_output/bin/$program" "$cache/bin/.$program.new"
    mv "$cache/bin/.$program.new" "$cache/bin/$program" # in one step: a killed build leaves no half program
  done
fi
printf '%s\n' "$cache"
