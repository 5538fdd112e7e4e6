# SPDX-License-Identifier: BSD-3-Clause
"""Bitmaps: what counts as a change, where Redis and a replay must agree."""

import re

from harness.checks import equal
from harness.matrix import ONCE, PROTOCOLS, matrix

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
