# SPDX-License-Identifier: BSD-3-Clause
"""Replication over bad links and on bad machines: slow links, connections that hang, full disks,
clocks that are hours apart."""

import errno
import os
import time

from harness import ONCE, check, equal, eventually, limit
from harness.faulty_disk import Machine
from harness.proxy import Proxy
from harness.replication import PATIENCE, Load, cairn, follow, in_step, info
from harness.stepped_clock import SteppedClock

MATRIX = ONCE

HOUR = 3600


def check_lag(leader):
    """That of its only follower."""
    check(0 <= int(info(leader, "slave0").rsplit("lag=", 1)[1]) < PATIENCE, "a lag of hours")


def fill(leader, count, size=1000):
    with leader.client() as c:
        for start in range(0, count, 500):
            c.pipeline([("SET", "k:%d" % i, os.urandom(size))
                        for i in range(start, min(count, start + 500))])


@limit(180)
def test_a_slow_link(env):
    """A full sync takes its time, and so does the stream behind it, while far more is written than
    any buffer holds: it never begins anew."""
    leader, follower = cairn(env), cairn(env)
    proxy = Proxy(leader.port)
    try:
        fill(leader, 4000)
        proxy.rate = 2 << 20
        follow(follower, proxy)
        with leader.client() as c:
            eventually(lambda: c.call("INFO", "replication").count(b"state=") == 1, PATIENCE)
            fill(leader, 16000)
            load = Load(leader.port, writers=1).reach(1000)
            load.stop()
        proxy.rate = 50 << 20
        in_step(leader, follower)
        equal(leader.log_text().count("Full resync requested"), 1)
    finally:
        proxy.close()


@limit(120)
def test_a_link_that_hangs(env):
    """The follower gives it up and connects again, while its leader still believes in the first."""
    leader, follower = cairn(env, repl_timeout=60), cairn(env, repl_timeout=3)
    proxy = Proxy(leader.port)
    try:
        follow(follower, proxy)
        in_step(leader, follower)
        proxy.hold()
        before = proxy.accepted
        fill(leader, 100)
        eventually(lambda: proxy.accepted > before, PATIENCE, "it does not connect again")
        with follower.client() as c:
            eventually(lambda: info(c, "master_link_status") == "up", PATIENCE)
        in_step(leader, follower)
        with leader.client() as c:
            # The one that is silent goes in time.
            c.call("CONFIG", "SET", "repl-timeout", 2)
            eventually(lambda: info(c, "connected_slaves") == "1", PATIENCE)
        in_step(leader, follower)
        equal(leader.log_text().count("Full resync requested"), 1)
    finally:
        proxy.close()


@limit(180)
def test_a_full_disk_of_the_follower(env):
    with Machine(env) as m:
        leader, follower, c = cairn(env), m.server, m.c
        equal(c.call("SET", "mine", "until then"), b"OK")
        fill(leader, 100)
        # In a full sync: nothing of the old data is lost, and the next try succeeds.
        m.disk.fail("pwrite", errno.ENOSPC, "/")
        follow(follower, leader)
        eventually(lambda: "No space left on device" in follower.log_text(), PATIENCE)
        equal(c.call("GET", "mine"), b"until then")
        m.disk.heal()
        in_step(leader, follower)
        # In the stream: the leader goes on, and the follower when it can.
        m.disk.fail("pwrite", errno.ENOSPC, "/")
        fill(leader, 5000)
        eventually(lambda: "The journal failed" in follower.log_text(), PATIENCE)
        with leader.client() as up:
            equal(up.call("SET", "goes", "on"), b"OK")
        m.disk.heal()
        in_step(leader, follower)


@limit(180)
def test_a_clock_that_is_set(env):
    """Nobody was silent for ten hours because the leader's clock is set ten hours ahead, nor is it
    ten hours too early to notice after it is set back."""
    with SteppedClock() as clock:
        leader = env.start(environment=clock.environment, min_replicas_to_write=1,
                           min_replicas_max_lag=600)
        follower = cairn(env)
        follow(follower, leader)
        in_step(leader, follower)
        up = env.client(2, leader)
        eventually(lambda: up.call("SET", "k", "v") == b"OK", PATIENCE)
        real = int(up.call("TIME")[0])
        for turn in range(10):
            clock.step(10 * HOUR if turn % 2 == 0 else -10 * HOUR)
            eventually(lambda: (int(up.call("TIME")[0]) - real > 9 * HOUR) == (turn % 2 == 0),
                       PATIENCE, "it is not set")
            for _ in range(20):
                equal(up.call("SET", "k", turn), b"OK")
                check_lag(up)
                time.sleep(0.01)
        in_step(leader, follower)
        check("has timed out" not in leader.log_text(), "it was dropped")


@limit(180)
def test_clocks_apart(env):
    """What is past its time is what the leader says, whatever time it is at the follower."""
    leader = cairn(env)
    for hours in (-5, 5):
        with SteppedClock() as clock:
            clock.step(hours * HOUR)
            follower = env.start(environment=clock.environment)
            follow(follower, leader)
            load = Load(leader.port, writers=1, seed=hours).reach(2000)
            load.stop()
            with leader.client() as up, follower.client() as down:
                up.call("SET", "for an hour", "v", "EX", HOUR)
                up.call("SET", "short", "v", "PX", 1)
                eventually(lambda: up.call("EXISTS", "short") == 0, PATIENCE)
                in_step(leader, follower)
                ahead = int(down.call("TIME")[0]) - int(up.call("TIME")[0])
                check(abs(ahead - hours * HOUR) < 600, "the clocks agree")
                # Redis's followers, too, hide by their own clock and keep what they hide.
                equal(down.call("GET", "for an hour"), None if hours > 0 else b"v")
                equal(up.call("GET", "for an hour"), b"v")
                check_lag(up)
            in_step(leader, follower)
            follower.stop()
