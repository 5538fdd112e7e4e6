# SPDX-License-Identifier: BSD-3-Clause
"""Full syncs whose snapshot is sent while it is made and loaded while it comes: what clients of
either side see, who shares it, how it is given up."""

import os

from harness import ONCE, check, equal, eventually, limit
from harness.proxy import Proxy
from harness.replication import PATIENCE, cairn, follow, in_step, info, oracle
from harness.resp import Error

MATRIX = ONCE

LOADING = Error(b"LOADING Cairn is loading the dataset in memory")
COMES = "Loading DB in memory as it comes"


def fill(server, count=3000, size=2000):
    with server.client() as c:
        for start in range(0, count, 500):
            c.pipeline([("SET", "k:%d" % i, os.urandom(size))
                        for i in range(start, min(count, start + 500))])
        c.call("HSET", "h", "f", "v", "g", "w")
        c.call("RPUSH", "l", *range(1000))


def loading(client):
    return b"\r\nloading:1\r\n" in client.call("INFO", "persistence")


def starved(leader):
    """A way to the leader that stops in the middle of its snapshot, and cannot be seen to end."""
    proxy = Proxy(leader.port)
    proxy.rate = 1 << 20
    return proxy


def reach(proxy, passed):
    eventually(lambda: proxy.passed >= passed, PATIENCE, "no full sync")
    proxy.hold()


def let_go(proxy):
    proxy.held, proxy.rate = (), None


@limit(120)
def test_an_empty_follower_loads_what_comes(env):
    for log in ("yes", "no"):
        leader, follower = cairn(env), cairn(env, appendonly=log)
        fill(leader)
        proxy = starved(leader)
        try:
            queued, harmless = follower.client(), follower.client()
            queued.pipeline([("MULTI",), ("GET", "k:1")])
            harmless.pipeline([("MULTI",), ("LASTSAVE",)])
            follow(follower, proxy)
            reach(proxy, 1 << 20)
            with follower.client() as c:
                eventually(lambda: loading(c), PATIENCE, "it does not load")
                equal(queued.call("EXEC"), Error(b"EXECABORT Transaction discarded because of: " +
                                                 LOADING.text))
                equal(len(harmless.call("EXEC")), 1)
                equal(c.call("GET", "k:1"), LOADING)
                equal(c.call("DBSIZE"), LOADING)
                equal(info(c, "master_sync_in_progress"), "1")
            check(COMES in follower.log_text(), "kept as a file first")
            let_go(proxy)
            in_step(leader, follower)
            with follower.client() as c:
                equal(c.call("DBSIZE"), 3002)
            if log == "yes":
                # What it got is the base of its log.
                follower.restart()
                with follower.client() as c:
                    equal(c.call("DBSIZE"), 3002)
        finally:
            proxy.close()


@limit(120)
def test_a_sync_that_is_loaded_can_be_given_up(env):
    leader, follower = cairn(env), cairn(env)
    fill(leader)
    with leader.client() as c:
        equal(c.call("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() "
                     "end)"), b"lib")
    proxy = starved(leader)
    try:
        with follower.client() as c:
            for end in ("promotion", "cut"):
                follow(follower, proxy)
                reach(proxy, proxy.passed + (1 << 20))
                eventually(lambda: loading(c), PATIENCE, "it does not load")
                if end == "cut":
                    accepted = proxy.accepted
                    proxy.held = ()
                    proxy.cut()
                    eventually(lambda: proxy.accepted > accepted, PATIENCE, "no second try")
                equal(c.call("REPLICAOF", "NO", "ONE"), b"OK")
                eventually(lambda: not loading(c), PATIENCE, "still loading")
                equal(info(c, "role"), "master")
                equal(c.call("DBSIZE"), 0)
                equal(c.call("FUNCTION", "LIST"), [])
                equal(c.call("SET", "mine", end), b"OK")
                equal(c.call("DEL", "mine"), 1)
        let_go(proxy)
        follow(follower, leader)
        in_step(leader, follower)
    finally:
        proxy.close()


@limit(120)
def test_a_follower_with_keys_serves_them_meanwhile(env):
    leader, follower = cairn(env), cairn(env)
    fill(leader)
    proxy = starved(leader)
    try:
        with follower.client() as c:
            equal(c.call("SET", "mine", "until then"), b"OK")
            follow(follower, proxy)
            reach(proxy, 1 << 20)
            equal(c.call("GET", "mine"), b"until then")
            check(COMES not in follower.log_text(), "loaded beside other keys")
            let_go(proxy)
            in_step(leader, follower)
            equal(c.call("GET", "mine"), None)
    finally:
        proxy.close()


@limit(120)
def test_who_comes_late_shares_the_snapshot(env):
    # The first is served too slowly for a while, but not given up.
    leader = cairn(env, repl_timeout=3600)
    first, second = cairn(env, repl_timeout=3600), cairn(env)
    fill(leader, 10000, 4000)  # more than is given away at once
    proxy = starved(leader)
    try:
        follow(first, proxy)
        reach(proxy, 1 << 20)
        with leader.client() as c:
            for i in range(100):
                c.call("SET", "later:%d" % i, i)
        follow(second, leader)
        in_step(leader, second)
        let_go(proxy)
        in_step(leader, first)
        equal(leader.log_text().count("Starting a snapshot for replicas"), 1)
    finally:
        proxy.close()


@limit(120)
def test_a_snapshot_for_both_kinds(env):
    """One who understands no packed snapshot gets an RDB, and so does who wants its length."""
    leader = cairn(env)
    fill(leader)
    theirs, ours = oracle(env), cairn(env)
    follow(theirs, leader)
    follow(ours, leader)
    in_step(leader, theirs)
    in_step(leader, ours)
    with leader.client() as c:
        equal(c.call("CONFIG", "SET", "repl-diskless-sync", "no"), b"OK")
    for late in (oracle(env), cairn(env)):
        follow(late, leader)
        in_step(leader, late)


@limit(120)
def test_fields_that_expire_need_a_newer_version(env):
    """The version stands at the head, which is sent before the first key is looked at."""
    leader = cairn(env)
    fill(leader, 10)
    with leader.client() as c:
        equal(c.call("HEXPIRE", "h", 1000, "FIELDS", 1, "f"), [1])
        for i in range(50):
            c.call("HSET", "hash:%d" % i, *("f%d" % (n // 2) for n in range(600)))
            c.call("HEXPIRE", "hash:%d" % i, 1000, "FIELDS", 1, "f7")
    for packed in ("yes", "no"):
        follower = cairn(env)
        if packed == "no":
            ring = env.folder() + "/keys"
            with open(ring, "w", encoding="utf-8") as out:
                out.write("k1 " + "ab" * 32 + "\n")
            os.chmod(ring, 0o600)
            follower = cairn(env, encryption_key_file=ring)
        follow(follower, leader)
        in_step(leader, follower)
        with follower.client() as c:
            ttl = c.call("HTTL", "h", "FIELDS", 2, "f", "g")
            check(0 < ttl[0] <= 1000 and ttl[1] == -1, ttl)
