#!/usr/bin/env bash
# Installs a built firstring: binary, prompts, profiles, configuration (kept if there), systemd unit with a user of its own.
set -euo pipefail
[ "$(id -u)" -eq 0 ] || { echo "make install writes to /usr/local and /etc: run it as root"; exit 2; }
cd "$(dirname "$0")/.."
target=$(cargo metadata --format-version 1 --no-deps --offline | sed -E 's/.*"target_directory":"([^"]+)".*/\1/')
prefix=${PREFIX:-/usr/local}
install -Dm755 "$target/release/firstring" "$prefix/bin/firstring"
install -d "$prefix/share/firstring"
cp -r prompts sip-profiles "$prefix/share/firstring/"
id firstring >/dev/null 2>&1 || useradd --system --home-dir /var/lib/firstring --shell /usr/sbin/nologin firstring
install -d -o firstring -g firstring -m 750 /var/lib/firstring /var/lib/firstring/journal /var/lib/firstring/recordings
install -d -m 750 -g firstring /etc/firstring
[ -e /etc/firstring/firstring.toml ] || install -m 640 -g firstring firstring.example.toml /etc/firstring/firstring.toml
install -Dm644 packaging/firstring.service /etc/systemd/system/firstring.service
if command -v systemctl >/dev/null 2>&1 && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
echo "Installed. Next: edit /etc/firstring/firstring.toml, run 'firstring check --config /etc/firstring/firstring.toml', then 'systemctl enable --now firstring'."
