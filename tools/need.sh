#!/usr/bin/env bash
# Sees to what `make demo` and `make test` need; as root (or with sudo) it installs it, else it prints the one line.
set -euo pipefail

say() { printf '%s\n' "$*"; }
missing() { # command package
  command -v "$1" >/dev/null 2>&1 || packages+=("$2")
}

packages=()
missing cc build-essential
case "${1:-demo}" in
  demo) ;;
  test)
    missing sipp sip-tester
    missing baresip baresip-core
    missing kamailio kamailio
    compgen -G '/usr/lib/*/kamailio/modules/tls.so' >/dev/null || packages+=(kamailio-tls-modules)
    missing sox sox
    missing linphonec linphone-cli
    missing chromium chromium
    missing python3 python3
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || packages+=(postgresql)
    ;;
  *) say "usage: tools/need.sh demo|test"; exit 2 ;;
esac
command -v cargo >/dev/null 2>&1 || { say "Rust is missing: install it by rustup (https://rustup.rs), then run this again."; exit 2; }
[ "${#packages[@]}" -eq 0 ] && exit 0

install="apt-get install -y --no-install-recommends ${packages[*]}"
if [ "$(id -u)" -eq 0 ]; then run=""; elif sudo -n true 2>/dev/null; then run="sudo"; else
  say "These packages are missing. Install them, then run this again:"
  say "  sudo apt-get update && sudo $install"
  exit 2
fi
log=$(mktemp)
say "installing: ${packages[*]}"
# No service is wanted, only the programs: PostgreSQL's own cluster is not created.
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
  $run mkdir -p /etc/postgresql-common
  printf 'create_main_cluster = false\n' | $run tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
if ! "$(dirname "$0")/slow.sh" "installing" \
  bash -c "{ $run apt-get update && $run env DEBIAN_FRONTEND=noninteractive $install; } >'$log' 2>&1"; then
  tail -20 "$log"
  say "The installation failed (whole log: $log). Install by hand: $install"
  exit 2
fi
rm -f "$log"
