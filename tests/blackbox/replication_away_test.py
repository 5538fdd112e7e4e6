# SPDX-License-Identifier: BSD-3-Clause
"""Followers that are away for a while: how much of the log waits for them, and for how long."""

import contextlib
import os

from harness import ONCE, check, equal, eventually, limit
from harness.proxy import Proxy
from harness.replication import PATIENCE, cairn, frozen, in_step, info

MATRIX = ONCE


def fill(client):
    """8 MB."""
    for start in range(0, 8000, 1000):
        equal(client.pipeline([("SET", "k:%d" % i, os.urandom(1000))
                               for i in range(start, start + 1000)]), [b"OK"] * 1000)


def kept_below(client, place):
    """Has the log rewritten. How much of it is there below this place then: nothing if negative."""
    equal(client.call("BGREWRITEAOF"), b"Background append only file rewriting started")
    eventually(lambda: info(client, "aof_rewrite_in_progress", "persistence") == "0", PATIENCE)
    return place + 1 - int(info(client, "repl_backlog_first_byte_offset"))


def take(sock, count):
    while count > 0:
        count -= len(sock.recv(min(count, 1 << 20)))


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
            fill(up)
            yield leader, up, lambda: kept_below(up, place)
        in_step(leader, follower)
    proxy.close()


@limit(120)
def test_what_it_lacks_stays(env):
    with away(env, repl_timeout=3600) as (leader, _, rewrite):
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


@limit(120)
def test_what_it_has_and_has_not_on_disk_stays(env):
    """A power failure takes that from it: then it asks from where its log was durable."""
    leader = cairn(env, journal_segment_size="1mb", repl_timeout=3600)
    with leader.client() as up:
        equal(up.call("SET", "k", "v"), b"OK")
        stream, place = info(up, "master_replid"), int(info(up, "master_repl_offset"))
        with leader.client() as follower:
            equal(follower.call("PSYNC", stream, place + 1), b"CONTINUE")
            fill(up)
            end = int(info(up, "master_repl_offset"))
            take(follower.sock, end - place)
            follower.send("REPLCONF", "ACK", end, "FACK", place)
            eventually(lambda: ",offset=%d," % place not in info(up, "slave0"), PATIENCE)
            for _ in range(3):
                check(kept_below(up, place) >= 0, "what is not on its disk is gone")
        eventually(lambda: info(up, "connected_slaves") == "0", PATIENCE)
        check(kept_below(up, place) >= 0, "what is not on its disk is gone")
        with leader.client() as follower:
            equal(follower.call("PSYNC", stream, place + 1), b"CONTINUE")
