#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A journal opens with stock tools: every segment decompresses with lz4, redis-server loads the
# result as an AOF, and cairn-check verifies, lists, prints and repairs the folder.
# Usage: stock_tools_test.sh UNIT-TESTS CAIRN-CHECK
set -euo pipefail
unit_tests=$(realpath "$1")
check=$(realpath -s "$2")
work=$(mktemp -d)
server=
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
fail() { echo "FAILED: $*"; exit 1; }
expect() {  # expect STATUS COMMAND...
  local want=$1 got=0
  shift
  "$@" >"$work/out" 2>&1 || got=$?
  [ "$got" = "$want" ] || { cat "$work/out"; fail "$* gave $got instead of $want"; }
}

mkdir "$work/j"
CAIRN_JOURNAL_OUT=$work/j "$unit_tests" '[stock-tools]' >/dev/null
expect 0 "$check" verify "$work/j"
expect 0 "$check" list "$work/j"
[ "$(grep -c aof.lz4 "$work/out")" -gt 3 ] || fail "too few segments"
"$check" cat "$work/j" >"$work/stream.aof"
: >"$work/stock.aof"
for segment in "$work"/j/*.aof.lz4; do lz4 -dc "$segment" >>"$work/stock.aof"; done

load() {  # load AOF: the digest and key count that redis-server has after reading it
  local dir
  dir=$(mktemp -d "$work/redis.XXXX")
  cp "$1" "$dir/appendonly.aof"
  redis-server --port 0 --unixsocket "$dir/socket" --dir "$dir" --save '' --appendonly yes \
    --databases 16 --enable-debug-command yes >"$dir/log" 2>&1 &
  server=$!
  # DEBUG is answered while the file is being loaded, PING is not.
  for _ in $(seq 600); do
    redis-cli -s "$dir/socket" ping 2>/dev/null | grep -q '^PONG$' && break
    sleep 0.1
  done
  redis-cli -s "$dir/socket" debug digest
  redis-cli -s "$dir/socket" info keyspace | grep -c '^db'
  kill $server
  wait $server 2>/dev/null || true
  server=
}
load "$work/stream.aof" >"$work/a"
load "$work/stock.aof" >"$work/b"
grep -qE '^[0-9a-f]{40}$' "$work/a" || fail "redis-server did not load the stream"
grep -q '^12$' "$work/a" || fail "wrong number of databases"
cmp "$work/a" "$work/b" || { cat "$work/a" "$work/b"; fail "segments and stream differ"; }
# Each segment alone loads too.
for segment in $(ls "$work"/j/*.aof.lz4 | head -3); do
  lz4 -dc "$segment" >"$work/one.aof"
  load "$work/one.aof" | grep -qE '^[0-9a-f]{40}$' || fail "$segment alone does not load"
done

# Damage in the middle of the first segment: refused, then repaired on demand.
first=$(ls "$work"/j/*.aof.lz4 | head -1)
printf 'XX' | dd of="$first" bs=1 seek=$(($(stat -c %s "$first") / 2)) conv=notrunc 2>/dev/null
expect 2 "$check" verify "$work/j"
expect 0 "$check" repair "$work/j"
expect 2 "$check" verify "$work/j"
expect 0 "$check" repair "$work/j" --yes
expect 0 "$check" verify "$work/j"
[ "$(ls "$work/j/damaged-1" | wc -l)" -gt 3 ] || fail "originals are not kept aside"
expect 0 "$check" repair "$work/j" --yes
expect 3 "$check" nonsense
expect 0 "$check" --help
echo "stock tools: ok"
