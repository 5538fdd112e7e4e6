# SPDX-License-Identifier: BSD-3-Clause
"""Bitmaps: what counts as a change, where Redis and a replay must agree."""

import re

from harness.checks import check, equal
from harness.matrix import ONCE, PROTOCOLS, cairn_only, matrix
from harness.resp import Error

MATRIX = PROTOCOLS
FAIL = ("OVERFLOW", "FAIL", "INCRBY", "u8", 0, 300)


def changes(client):
    text = client.call("INFO", "persistence")
    return int(re.search(rb"rdb_changes_since_last_save:(\d+)", text).group(1))


def test_overflow_with_fail_is_no_change(env):
    call = env.c.call
    call("SET", "k", "abc")
    before = changes(env.c)
    equal(call("BITFIELD", "k", *FAIL), [None])
    equal(call("BITFIELD", "new", *FAIL), [None])
    equal(changes(env.c), before)
    # The room for the operation is made all the same.
    equal(call("GET", "new"), b"\x00")
    equal(call("BITFIELD", "k", *FAIL, "INCRBY", "u8", 0, 1), [None, 98])
    equal(changes(env.c), before + 1)


@matrix(ONCE)
def test_the_room_made_survives_a_restart(env):
    server = env.start(appendonly="yes", appendfsync="always")
    equal(server.client().call("BITFIELD", "new", *FAIL), [None])
    server.restart(crash=True)
    equal(server.client().call("GET", "new"), b"\x00")


@matrix(ONCE)
@cairn_only("it is about the journal")
def test_what_was_recorded_is_replayed_under_a_lower_limit(env):
    server = env.start(appendonly="yes", appendfsync="always", proto_max_bulk_len="8mb")
    call = server.client().call
    bit = 8 * 3 * 2**20
    equal(call("SETRANGE", "range", 3 * 2**20, "x"), 3 * 2**20 + 1)
    equal(call("APPEND", "range", "y"), 3 * 2**20 + 2)
    equal(call("SETBIT", "bit", bit, 1), 0)
    equal(call("BITFIELD", "field", "SET", "u8", bit, 7), [0])
    equal(call("CONFIG", "SET", "proto-max-bulk-len", "1mb"), "OK")
    equal(call("DEBUG", "LOADAOF"), "OK")
    equal(call("STRLEN", "range"), 3 * 2**20 + 2)
    equal(call("BITCOUNT", "bit"), 1)
    equal(call("STRLEN", "field"), 3 * 2**20 + 1)
    # A client is held to it.
    equal(call("APPEND", "range", "z"),
          Error(b"ERR string exceeds maximum allowed size (proto-max-bulk-len)"))


@cairn_only("redis-server's sizes are its own")
def test_a_bitmap_begins_no_larger_than_it_is(env):
    env.c.call("SETBIT", "k", 8 * 2**20 - 1, 1)
    used = env.c.call("MEMORY", "USAGE", "k")
    check(2**20 <= used < 2**20 * 3 // 2, "%d bytes" % used)
