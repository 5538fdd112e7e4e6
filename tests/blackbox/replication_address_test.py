# SPDX-License-Identifier: BSD-3-Clause
"""Which address a follower comes from, and which one it says it has."""

from harness import ONCE, check, equal, eventually
from harness.replication import PATIENCE, cairn, follow, in_step, info

MATRIX = ONCE


def test_source_address(env):
    leader, follower = cairn(env), cairn(env, bind_source_addr="127.0.0.3")
    follow(follower, leader)
    in_step(leader, follower)
    with leader.client() as up:
        equal(up.call("ROLE")[2][0][0], b"127.0.0.3")
        check(b"addr=127.0.0.3:" in up.call("CLIENT", "LIST", "TYPE", "replica"), "elsewhere")


def test_a_source_address_of_somebody_else(env):
    leader, follower = cairn(env), cairn(env, bind_source_addr="203.0.113.1")
    follow(follower, leader)
    eventually(lambda: "bind: Cannot assign requested address" in follower.log_text(), PATIENCE)
    with follower.client() as down:
        equal(down.call("CONFIG", "SET", "bind-source-addr", "127.0.0.2"), b"OK")
    in_step(leader, follower)
    with leader.client() as up:
        equal(up.call("ROLE")[2][0][0], b"127.0.0.2")


def test_announced(env):
    leader = cairn(env)
    follower = cairn(env, replica_announce_ip="198.51.100.7", replica_announce_port=7777)
    follow(follower, leader)
    in_step(leader, follower)
    with leader.client() as up:
        # Its port is another one than in_step looks for.
        eventually(lambda: "state=online" in (info(up, "slave0") or ""), PATIENCE)
        equal(up.call("ROLE")[2][0][:2], [b"198.51.100.7", b"7777"])
        check(info(up, "slave0").startswith("ip=198.51.100.7,port=7777,"), info(up, "slave0"))
