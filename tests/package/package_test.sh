#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Builds the Debian package of the binary given, installs it into a root folder of its own,
# starts the server with the configuration that came, removes and purges it.
#   tests/package/package_test.sh SERVER
# Not tested for want of systemd: enabling and starting the unit. Needs no root: dpkg is told so.
set -uo pipefail
cd "$(dirname "$0")/../.."
passed=0 failed=0
root=$(mktemp -d /tmp/cairn-test-package-XXXXXX)
server=
finish() {
  [[ -n $server ]] && kill "$server" 2>/dev/null && wait "$server" 2>/dev/null
  rm -rf "$root"
}
trap finish EXIT

ok() {  # WHAT COMMAND...
  local what=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
  else
    echo "FAILED: $what"
    failed=$((failed + 1))
  fi
}
not() { ! "$@"; }

mkdir -p "$root"/var/lib/dpkg/{info,updates}
touch "$root"/var/lib/dpkg/{status,available}
# The packages it depends on are in the real root.
package() {
  dpkg --root="$root" --log="$root/dpkg.log" --force-not-root --force-script-chrootless \
    --force-depends --force-bad-path "$@"
}
conf=$root/etc/cairn/cairn.conf

ok "the package is built" utils/package/make_deb.sh "$1"
deb=$(ls -t build/cairn_*.deb | head -1)
ok "it depends on the libraries" grep -q 'libuv1.*libssl3\|libssl3.*libuv1' \
  <(dpkg-deb --field "$deb" Depends)
ok "the configuration is a conffile" grep -qx /etc/cairn/cairn.conf \
  <(dpkg-deb --ctrl-tarfile "$deb" | tar -xO ./conffiles)
ok "it installs" package -i "$deb"
for file in /usr/bin/cairn-server /usr/bin/cairn-check /usr/lib/systemd/system/cairn-server.service \
  /etc/logrotate.d/cairn /usr/share/man/man1/cairn-server.1.gz; do
  ok "$file is there" test -e "$root$file"
done
ok "the unit names what is installed" \
  grep -q '^ExecStart=/usr/bin/cairn-server /etc/cairn/cairn.conf ' \
  "$root/usr/lib/systemd/system/cairn-server.service"
ok "no placeholder is left in it" not grep -q @ <(grep -v '@system-service' \
  "$root/usr/lib/systemd/system/cairn-server.service")
ok "the folder of the data is named" grep -qx 'dir /var/lib/cairn' "$conf"
ok "others cannot read the configuration" test "$(stat -c %a "$conf")" = 640
if command -v groff >/dev/null; then
  for page in utils/package/*.1; do
    ok "$page is well formed" test -z "$(groff -man -Tascii -ww "$page" 2>&1 >/dev/null)"
  done
fi

port=$((9000 + RANDOM % 3000))  # below those of the other suites, which may run beside this one
"$root/usr/bin/cairn-server" "$conf" --dir "$root/var/lib/cairn" \
  --logfile "$root/var/log/cairn/cairn-server.log" --port "$port" &
server=$!
answers() {
  for _ in $(seq 600); do
    [[ $(redis-cli -p "$port" SET kept value 2>/dev/null) == OK ]] && return 0
    sleep 0.1
  done
  return 1
}
ok "the server starts" answers
ok "cairn-check is the other program" grep -q '^cairn-check - ' <("$root/usr/bin/cairn-check" --help)
kill "$server"
ok "it ends in order" wait "$server"
server=
echo '# by the operator' >> "$conf"
ok "it is removed" package -r cairn
ok "the binary is gone" test ! -e "$root/usr/bin/cairn-server"
ok "the configuration stays" grep -q 'by the operator' "$conf"
ok "it installs again" package --force-confold -i "$deb"
ok "with the operator's configuration" grep -q 'by the operator' "$conf"
ok "it is purged" package -P cairn
ok "the configuration is gone" test ! -e "$conf"
ok "the log is gone" test ! -e "$root/var/log/cairn"
ok "the data stays" test -d "$root/var/lib/cairn/appendonlydir"

echo "$passed passed, $failed failed"
[[ $failed == 0 ]]
