# SPDX-License-Identifier: BSD-3-Clause
"""Leaders, followers and links that end at the wrong moment, under writes: at the end all have the
same data, and on the way nobody shows half of anything."""

import os
import time

from harness import ONCE, check, equal, eventually, limit
from harness.proxy import Proxy
from harness.replication import PATIENCE, Load, cairn, follow, freeze, in_step, info, oracle, thaw
from harness.resp import Error

MATRIX = ONCE


def fill(leader, count, size=1000):
    with leader.client() as c:
        for start in range(0, count, 500):
            replies = c.pipeline([("SET", "k:%d" % i, os.urandom(size))
                                  for i in range(start, min(count, start + 500))])
            check(all(reply == b"OK" for reply in replies), "not all is there")


def stays(server, leader=None):
    """Where it is, and whom it follows, across starts."""
    server.directives["port"] = server.port
    if leader is not None:
        server.directives["replicaof"] = ["127.0.0.1", leader.port]


def full_syncs(server):
    return server.log_text().count("Full resync from master")


@limit(180)
def test_a_leader_killed_in_a_full_sync(env):
    """The follower has what it had, or what the leader had, and then what that has."""
    for log, keys_before in (("yes", 0), ("no", 0), ("yes", 10), ("no", 10)):
        leader, follower = cairn(env), cairn(env, appendonly=log)
        stays(leader)
        fill(leader, 20000)
        fill(follower, keys_before)
        proxy = Proxy(leader.port)
        proxy.rate = 8 << 20
        with leader.client() as up, follower.client() as down:
            shown = [c.call("DEBUG", "DIGEST") for c in (up, down)]
            follow(follower, proxy)
            eventually(lambda: int(info(down, "master_sync_read_bytes") or 0) > 1 << 20 or
                       info(down, "master_link_status") == "up", PATIENCE)
            leader.kill()
            eventually(lambda: info(down, "master_sync_in_progress") == "0", PATIENCE)
            eventually(lambda: not isinstance(down.call("GET", "k"), Error), PATIENCE)
            check(down.call("DEBUG", "DIGEST") in shown, "half of a dataset")
        proxy.rate = None
        leader.start()
        in_step(leader, follower)
        proxy.close()
        for server in (leader, follower):
            server.stop()


@limit(180)
def test_a_follower_killed_while_it_loads(env):
    for log in ("yes", "no"):
        leader, follower = cairn(env), cairn(env, appendonly=log)
        stays(follower, leader)
        fill(leader, 50000, size=300)
        follow(follower, leader)
        for turn in range(6):
            time.sleep(env.rng.random() / 2)
            follower.kill()
            follower.start()
            fill(leader, 10)
            if turn % 2 == 0:
                continue
            with follower.client() as c:  # it has its own data by then, or a part of the log
                # Not while it loads.
                eventually(lambda: c.call("REPLICAOF", "NO", "ONE") == b"OK" and
                           c.call("SET", "mine", 1) == b"OK", PATIENCE)
            follow(follower, leader)
        in_step(leader, follower)


@limit(180)
def test_a_follower_told_to_end_as_a_full_sync_begins(env):
    """Its last snapshot is cancelled, as what it holds is replaced: it ends without."""
    leader = cairn(env)
    fill(leader, 3000, size=100)
    for _ in range(25):
        follower = cairn(env, appendonly="no", save="3600 1")
        fill(follower, 80000, size=100)
        follow(follower, leader)
        time.sleep(env.rng.random() / 30)
        equal(follower.stop(), 0)


@limit(120)
def test_followers_that_end_while_somebody_waits_for_them(env):
    leader, follower = cairn(env, repl_timeout=600), cairn(env)
    stays(follower, leader)
    follow(follower, leader)
    in_step(leader, follower)
    with leader.client() as c, leader.client() as d:
        for end in (follower.kill, follower.stop, None):
            freeze(follower)
            for client in (c, d):
                equal(client.call("SET", "k", repr(end)), b"OK")
            equal(c.call("WAIT", 1, 20), 0)
            equal(d.call("WAITAOF", 1, 0, 0), [1, 0])
            equal(d.call("WAITAOF", 1, 1, 20), [1, 0])
            c.send("WAIT", 1, 0)
            d.send("WAITAOF", 1, 1, 0)
            thaw(follower)
            if end is not None:
                end()
                follower.start()
            equal(c.read(), 1)
            equal(d.read(), [1, 1])
            in_step(leader, follower)
    equal(full_syncs(follower), 1)


@limit(180)
def test_a_chain_whose_middle_goes(env):
    """It is restarted, killed, promoted and deposed; a redis-server is the chain's end."""
    first, middle, third, last = cairn(env), cairn(env), cairn(env), oracle(env)
    stays(middle, first)
    for follower, leader in ((middle, first), (third, middle), (last, third)):
        follow(follower, leader)
        in_step(leader, follower)
    load = Load(first.port).reach(500)
    for end in (middle.stop, middle.kill):
        end()
        load.reach(500)
        middle.start()
        load.reach(500)
    load.stop()
    for follower in (middle, third, last):
        in_step(first, follower)
    with first.client() as up, middle.client() as c:
        equal(c.call("REPLICAOF", "NO", "ONE"), b"OK")
        equal(c.call("SET", "leads", "now"), b"OK")
        for follower in (third, last):
            in_step(middle, follower)
        equal(up.call("REPLICAOF", "127.0.0.1", middle.port), b"OK")
        in_step(middle, first)
        equal(c.call("FAILOVER", "TO", "127.0.0.1", first.port), b"OK")
        eventually(lambda: up.call("ROLE")[0] == b"master" and c.call("ROLE")[0] == b"slave",
                   PATIENCE)
        equal(up.call("SET", "leads", "again"), b"OK")
    for follower in (middle, third, last):
        in_step(first, follower)


@limit(120)
def test_links_killed_in_a_loop(env):
    leader, middle, last = cairn(env), cairn(env), cairn(env)
    follow(middle, leader)
    follow(last, middle)
    in_step(leader, last)
    load = Load(leader.port)
    with leader.client() as up, middle.client() as c:
        for turn in range(200):
            check(isinstance(up.call("CLIENT", "KILL", "TYPE", "replica"), int), "refused")
            if turn % 3 == 0:
                check(isinstance(c.call("CLIENT", "KILL", "TYPE", "replica"), int), "refused")
            time.sleep(0.01)
    load.stop()
    for follower in (middle, last):
        in_step(leader, follower)
        equal(full_syncs(follower), 1)


@limit(120)
def test_eviction_is_the_leaders(env):
    """Followers whose limit is lower evict nothing; one stands still for a while."""
    for policy in ("allkeys-lru", "volatile-ttl"):
        leader = cairn(env, maxmemory="12mb", maxmemory_policy=policy)
        follower = cairn(env, maxmemory="6mb", maxmemory_policy="allkeys-random")
        last = oracle(env, maxmemory="6mb", maxmemory_policy="allkeys-random")
        follow(follower, leader)
        follow(last, follower)
        load = Load(leader.port)
        with leader.client() as c:
            for turn in range(30):
                c.pipeline([("SET", "e:%d" % (1000 * turn + i), os.urandom(300), "EX", 1000)
                            for i in range(1000)])
                if turn == 15:
                    freeze(follower)
            thaw(follower)
            load.stop()
            check(int(info(c, "evicted_keys", "stats")) > 0, "nothing is evicted")
        for server in (follower, last):
            in_step(leader, server)
            with server.client() as c:
                equal(info(c, "evicted_keys", "stats"), "0")
        for server in (leader, follower, last):
            server.stop()


@limit(120)
def test_roles_at_random(env):
    """Three servers are told to follow each other, in circles, too, or nobody, while whoever leads
    is written to. Every transaction sets all of `keys`: whoever reads them sees one."""
    servers = [cairn(env, appendonly=log) for log in ("yes", "yes", "no")]
    keys = ["same:%d" % i for i in range(20)]
    clients = [server.client() for server in servers]
    rng = env.rng
    for turn in range(300):
        one = rng.randrange(3)
        other = rng.choice([i for i in range(3) if i != one])
        if turn % 5 == 0:
            words = (("REPLICAOF", "127.0.0.1", servers[other].port),
                     ("REPLICAOF", "NO", "ONE"), ("CLIENT", "KILL", "TYPE", "replica"))
            clients[one].call(*rng.choice(words))
        for c in clients:
            c.pipeline([("MULTI",), *(("SET", key, turn) for key in keys), ("EXEC",),
                        ("RPUSH", "list", turn)])  # refused by those that follow
        seen = clients[one].call("MGET", *keys)
        check(isinstance(seen, Error) or len(set(seen)) == 1, repr(seen))
    equal(clients[0].call("REPLICAOF", "NO", "ONE"), b"OK")
    eventually(lambda: clients[0].call("SET", "k", "v") == b"OK", PATIENCE)
    for follower, leader in ((1, 0), (2, 1)):
        clients[follower].call("REPLICAOF", "127.0.0.1", servers[leader].port)
    for follower in (1, 2):
        in_step(servers[0], servers[follower])
    for c in clients:
        c.close()
