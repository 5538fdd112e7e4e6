# SPDX-License-Identifier: BSD-3-Clause
"""Replication while a script that never ends has all locks, at the leader or at the follower: its
threads wait for nobody, so the server can end, and goes on when the script has ended."""

import fcntl
import struct
import termios

from harness import ONCE, check, equal, eventually, limit, skip
from harness.replication import PATIENCE, cairn, follow, frozen, in_step, info
from harness.resp import Error, encode
from harness.server import slow_build

MATRIX = ONCE

BUSY = "busy_reply_threshold"
FOREVER = "while true do end"
# Nothing of this can be taken back, so it cannot be killed.
UNKILLABLE = "redis.call('set', 'k', 'v') redis.call('flushall') " + FOREVER


def until_busy(client):
    eventually(lambda: isinstance(client.call("PING"), Error), PATIENCE, "nobody says BUSY")


def end_it(server, client):
    client.send("SHUTDOWN", "NOSAVE")
    equal(server.process.wait(PATIENCE), 0)


def is_delivered(client):
    """Whether the peer's kernel has all that was sent. It tells those who poll before or while it
    says so."""
    return fcntl.ioctl(client.sock, termios.TIOCOUTQ, struct.pack("i", -1)) == struct.pack("i", 0)


def follow_and_run(leader, follower, runner, other, script):
    """The script has the locks before the leader's thread has seen to the follower: its one worker
    finds both requests at once, in this order."""
    # Whose events were told last may be told first again: that is neither of the two.
    for client in (follower, runner, other):
        equal(client.call("PING"), b"PONG")
    with frozen(leader):
        follower.send("PSYNC", "?", "-1")
        eventually(lambda: is_delivered(follower), PATIENCE, "PSYNC is not delivered")
        runner.send("EVAL", script, 0)
        eventually(lambda: is_delivered(runner), PATIENCE, "EVAL is not delivered")
    until_busy(other)
    check("asks for synchronization" in leader.log_text(), "the script ran first")


def test_a_leader_whose_follower_waits_for_a_snapshot_can_end(env):
    for log in ("yes", "no"):
        leader = cairn(env, appendonly=log, threads=1, **{BUSY: 100})
        if slow_build(leader.binary):
            skip("such an end leaves threads, which sanitizers report")
        with leader.client() as follower, leader.client() as runner, leader.client() as other:
            equal(other.call("SET", "k", "before"), b"OK")
            follow_and_run(leader, follower, runner, other, UNKILLABLE)
            end_it(leader, other)


def test_a_follower_that_waits_for_a_snapshot_gets_it_behind_the_script(env):
    for log in ("yes", "no"):
        leader = cairn(env, appendonly=log, threads=1, **{BUSY: 100})
        with leader.client() as follower, leader.client() as runner, leader.client() as other:
            equal(other.call("SET", "k", "v"), b"OK")
            follow_and_run(leader, follower, runner, other, FOREVER)
            equal(other.call("SCRIPT", "KILL"), b"OK")
            eventually(lambda: other.call("PING") == b"PONG", PATIENCE)
            eventually(lambda: "state=wait_bgsave" not in
                       (info(other, "slave0") or "state=wait_bgsave"), PATIENCE, "no snapshot")


@limit(120)
def test_a_follower_that_cannot_apply_can_end(env):
    """What its leader writes waits behind the script."""
    for end in (True, False):
        leader, follower = cairn(env), cairn(env, **{BUSY: 100})
        follow(follower, leader)
        in_step(leader, follower)
        with leader.client() as up, follower.client() as runner, follower.client() as down:
            runner.send("EVAL", FOREVER, 0)
            until_busy(down)
            equal(up.call("SET", "k", "v"), b"OK")
            equal(up.call("FLUSHALL"), b"OK")
            equal(up.call("SET", "last", "v"), b"OK")
            if end:
                end_it(follower, down)
                continue
            equal(down.call("SCRIPT", "KILL"), b"OK")
            eventually(lambda: down.call("PING") == b"PONG", PATIENCE)
            in_step(leader, follower)
            equal(down.call("GET", "last"), b"v")


def test_a_follower_that_cannot_load_can_end(env):
    """Its first full sync waits behind the script."""
    leader, follower = cairn(env), cairn(env, **{BUSY: 100})
    with leader.client() as up, follower.client() as runner, follower.client() as down:
        equal(up.call("SET", "k", "v"), b"OK")
        # The script begins before the link has found the leader: nobody loads yet.
        with frozen(leader):
            runner.send_raw(encode("REPLICAOF", "127.0.0.1", leader.port) +
                            encode("EVAL", FOREVER, 0))
            equal(runner.read(), b"OK")
            until_busy(down)
        eventually(lambda: "Full resync requested" in leader.log_text(), PATIENCE)
        end_it(follower, down)
