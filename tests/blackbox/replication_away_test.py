# SPDX-License-Identifier: BSD-3-Clause
"""Followers that are away for a while: how much of the log waits for them, and for how long."""

import contextlib
import os

from harness import ONCE, equal, eventually, limit
from harness.proxy import Proxy
from harness.replication import PATIENCE, cairn, frozen, in_step, info

MATRIX = ONCE


@contextlib.contextmanager
def away(env, **directives):
    """A follower that cannot be heard while the leader writes 8 MB. Yields the leader's client, and
    a function that has the leader rewrite its log, and says how much of it is there below the place
    of the follower: nothing if that is negative."""
    leader, follower = cairn(env, journal_segment_size="1mb", **directives), cairn(env)
    proxy = Proxy(leader.port)
    with follower.client() as c:
        equal(c.call("REPLICAOF", "127.0.0.1", proxy.port), b"OK")
    in_step(leader, follower)
    with leader.client() as up:
        place = int(info(up, "master_repl_offset"))
        with frozen(follower):
            proxy.cut()
            eventually(lambda: info(up, "connected_slaves") == "0", PATIENCE)
            for start in range(0, 8000, 1000):
                equal(up.pipeline([("SET", "k:%d" % i, os.urandom(1000))
                                   for i in range(start, start + 1000)]), [b"OK"] * 1000)

            def rewrite():
                equal(up.call("BGREWRITEAOF"), b"Background append only file rewriting started")
                eventually(lambda: info(up, "aof_rewrite_in_progress", "persistence") == "0",
                           PATIENCE)
                return place + 1 - int(info(up, "repl_backlog_first_byte_offset"))
            yield leader, up, rewrite
        in_step(leader, follower)
    proxy.close()


@limit(120)
def test_what_it_lacks_stays(env):
    with away(env) as (leader, _, rewrite):
        for _ in range(3):
            rewrite()
    equal(leader.log_text().count("Full resync requested"), 1)


@limit(120)
def test_until_it_is_away_for_too_long(env):
    with away(env) as (leader, up, rewrite):
        equal(up.call("CONFIG", "SET", "repl-timeout", 1), b"OK")
        eventually(lambda: rewrite() < 0, PATIENCE, "the log waits for ever")
        equal(up.call("CONFIG", "SET", "repl-timeout", 60), b"OK")
    equal(leader.log_text().count("Full resync requested"), 2)


@limit(120)
def test_until_it_is_too_much(env):
    with away(env, repl_timeout=3600) as (leader, up, rewrite):
        equal(up.call("CONFIG", "SET", "repl-retention-max-bytes", "1mb"), b"OK")
        eventually(lambda: rewrite() < 0, PATIENCE, "the log takes more than it may")
    equal(leader.log_text().count("Full resync requested"), 2)
