#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: install.sh [LIST ...]   the lists beside it, packages.txt if none is named
#
# Checks that every package of the lists is there and installs what is missing: as root, or through
# sudo; where neither works it says what to install and fails. Says nothing and uses no network when
# nothing is missing.
set -euo pipefail
cd "$(dirname "$0")"

missing=()
while read -r package command _; do
  if [[ -n "$command" && "$command" != "#"* ]] && command -v "$command" >/dev/null; then continue; fi
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ "$status" == installed ]] || missing+=("$package")
done < <(cat "${@:-packages.txt}" | grep -vE '^[[:space:]]*(#|$)')

((${#missing[@]})) || exit 0

explain() {
  echo "deps: these Debian packages are missing: ${missing[*]}" >&2
  echo "deps: $1" >&2
  echo "deps: please run, as root:  apt-get install ${missing[*]}" >&2
  exit 1
}

command -v apt-get >/dev/null || explain "this machine has no apt-get."
if [[ $(id -u) == 0 ]]; then
  root=(env)
elif command -v sudo >/dev/null && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; then
  root=(sudo env)
else
  explain "installing them needs root, and sudo does not work here."
fi

# A package that brings a service must not leave it running on this machine: it would take port
# 6379. policy-rc.d forbids starts during the installation, disabling forbids them at boot.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  "${root[@]}" sh -c "printf '#!/bin/sh\nexit 101\n' > $policy && chmod 755 $policy"
  trap '"${root[@]}" rm -f $policy' EXIT
fi

install() {
  "${root[@]}" DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${missing[@]}"
}
echo "deps: installing ${missing[*]}"
# Package lists may be absent or stale; they are fetched only if the first attempt shows it.
install || { "${root[@]}" apt-get update && install; } || explain "apt-get failed, see above."

for service in redis-server redis-sentinel; do
  if [[ " ${missing[*]} " == *" $service "* && -d /run/systemd/system ]]; then
    "${root[@]}" systemctl disable --now "$service" || true
  fi
done
