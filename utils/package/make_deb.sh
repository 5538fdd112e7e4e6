#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Makes build/cairn_VERSION_ARCH.deb of what `make install` installs; `make deb` calls it.
#   utils/package/make_deb.sh SERVER      the binary
set -euo pipefail
cd "$(dirname "$0")/../.."
server=$(realpath "$1")
version=$(sed -n 's/.* kVersion\[\] = "\(.*\)";/\1/p' src/base/version.h)
arch=$(dpkg --print-architecture)
stage=build/package
rm -rf "$stage"
mkdir -p "$stage/DEBIAN"

make --no-print-directory -s install-files PREFIX=/usr SYSCONFDIR=/etc DESTDIR="$PWD/$stage" \
  SERVER_BINARY="$server"
strip --strip-unneeded "$stage"/usr/bin/cairn-server
gzip -9n "$stage"/usr/share/man/man1/*.1
install -D -m 644 COPYING "$stage/usr/share/doc/cairn/copyright"

# The packages that hold the libraries the binary is linked with.
depends=$(ldd "$server" | awk '$3 ~ /^\// {print $3}' | sort -u |
  while read -r library; do
    # Under the name by which its package brought it: /lib is a link to /usr/lib by now.
    dpkg -S "$library" 2>/dev/null || dpkg -S "/usr$library" 2>/dev/null ||
      dpkg -S "$(realpath "$library")"
  done | cut -d: -f1 | sort -u | paste -sd, | sed 's/,/, /g')

cat > "$stage/DEBIAN/control" <<CONTROL
Package: cairn
Version: $version
Architecture: $arch
Maintainer: Cairn <cairn@localhost>
Installed-Size: $(du -sk --exclude=DEBIAN "$stage" | cut -f1)
Depends: $depends, adduser
Suggests: redis-tools, logrotate
Section: database
Priority: optional
Description: Redis-protocol data server with an append-only log at its heart
 Cairn serves the commands of Redis with all cores of a machine and records
 every write in a journal that the stock tools open.
CONTROL
(cd "$stage" && find etc -type f -printf '/%p\n' | sort) > "$stage/DEBIAN/conffiles"
for script in postinst prerm postrm; do
  install -m 755 "utils/package/$script" "$stage/DEBIAN/$script"
done
dpkg-deb --root-owner-group --build "$stage" "build/cairn_${version}_${arch}.deb"
