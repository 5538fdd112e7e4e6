# SPDX-License-Identifier: BSD-3-Clause
"""Leaders and followers: full and partial synchronization between Cairn and redis-server in every
combination, with digests compared; what each side says and refuses."""

import os
import random
import subprocess
import threading

from harness import ONCE, cairn_only, check, equal, eventually, limit, matrix
from harness.dump_samples import fill
from harness.proxy import Proxy
from harness.resp import Client, Error
from harness.server import Server, oracle_binary

MATRIX = ONCE
PATIENCE = 60


def info(client, name):
    for line in client.call("INFO", "replication").decode().splitlines():
        if line.startswith(name + ":"):
            return line.split(":", 1)[1]
    return None


def oracle(env, **directives):
    server = Server(oracle_binary(), appendonly="no", **directives)
    env.own.append(server)
    return server


def cairn(env, **directives):
    return env.start(**directives)


def follow(server, leader):
    with server.client() as c:
        equal(c.call("REPLICAOF", "127.0.0.1", leader.port), b"OK")


def in_step(leader, follower, seconds=PATIENCE):
    """Waits until the follower has all that the leader has now, and compares the data."""
    with leader.client() as up, follower.client() as down:
        def caught_up():
            return (info(down, "master_link_status") == "up" and
                    info(down, "slave_repl_offset") == info(up, "master_repl_offset"))

        def same():
            return caught_up() and up.call("DEBUG", "DIGEST") == down.call("DEBUG", "DIGEST")

        eventually(same, seconds, "the follower does not catch up, or its data differs")


class Load:
    """Writers of all types, until stopped."""

    def __init__(self, port, writers=2, seed=1):
        self.stopping = False
        self.counts = [0] * writers
        self.errors = []
        self.threads = [threading.Thread(target=self.run, args=(port, i, seed), daemon=True)
                        for i in range(writers)]
        for thread in self.threads:
            thread.start()

    def commands(self, rng, writer):
        key = lambda kind: "%s:%d" % (kind, rng.randrange(200))
        return rng.choice([
            lambda: [("SET", key("s"), "v%d" % rng.randrange(1 << 30))],
            lambda: [("INCRBY", key("n"), rng.randrange(100))],
            lambda: [("APPEND", key("s"), "x" * rng.randrange(100))],
            lambda: [("SET", key("s"), "t", "PX", rng.choice((1, 20, 100000)))],
            lambda: [("DEL", key("s"), key("l"))],
            lambda: [("RPUSH", key("l"), *range(rng.randrange(1, 20)))],
            lambda: [("LPOP", key("l"), rng.randrange(1, 10))],
            lambda: [("LMOVE", key("l"), key("l"), "LEFT", "RIGHT")],
            lambda: [("SADD", key("set"), *(rng.randrange(50) for _ in range(4)))],
            lambda: [("SPOP", key("set"))],
            lambda: [("ZADD", key("z"), rng.random(), "m%d" % rng.randrange(50))],
            lambda: [("ZINCRBY", key("z"), "0.1", "m%d" % rng.randrange(50))],
            lambda: [("HSET", key("h"), "f%d" % rng.randrange(30), rng.random())],
            lambda: [("HINCRBYFLOAT", key("h"), "g", "0.3")],
            lambda: [("XADD", key("x"), "MAXLEN", "~", "50", "*", "f", "v")],
            lambda: [("PEXPIRE", key("h"), rng.choice((1, 50, 100000)))],
            lambda: [("SELECT", rng.randrange(3))],
            lambda: [("MULTI",), ("INCR", key("n")), ("RPUSH", key("l"), "tx"),
                     ("HSET", key("h"), "tx", "1"), ("EXEC",)],
            lambda: [("EVAL", "redis.call('incr', KEYS[1]) return redis.call('rpush', KEYS[2], 1)",
                      2, key("n"), key("l"))],
            lambda: [("SORT", key("l"), "ALPHA", "STORE", key("l"))],
            lambda: [("SETRANGE", key("s"), rng.randrange(3000), "y" * rng.randrange(2000))],
        ])()

    def run(self, port, writer, seed):
        rng = random.Random(seed * 100 + writer)
        try:
            with Client(port, timeout=60) as client:
                while not self.stopping:
                    batch = [c for _ in range(50) for c in self.commands(rng, writer)]
                    client.pipeline(batch)
                    self.counts[writer] += len(batch)
        except (OSError, EOFError) as error:
            self.errors.append(error)

    def reach(self, count):
        """Waits until so many more commands were run."""
        wanted = sum(self.counts) + count
        eventually(lambda: sum(self.counts) >= wanted or self.errors, PATIENCE, "no progress")
        return self

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()
        equal(self.errors, [])


def under_load(env, leader, make_follower):
    with leader.client() as c:
        fill(c)
        c.call("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function(k, a) "
               "return redis.call('set', k[1], a[1]) end)")
    load = Load(leader.port).reach(2000)
    follower = make_follower()
    follow(follower, leader)
    load.reach(2000)
    with leader.client() as c:
        c.call("SWAPDB", 0, 1)
        c.call("FCALL", "f", 1, "by function", "x")
    with follower.client() as c:
        eventually(lambda: info(c, "master_link_status") == "up", PATIENCE, "the link stays down")
    load.reach(4000).stop()
    in_step(leader, follower)
    with follower.client() as c:
        check(c.call("SET", "x", "y").code == b"READONLY" or
              c.call("SET", "x", "y").code == "READONLY", "a follower takes writes")
    return follower


@limit(180)
def test_redis_follows_cairn(env):
    leader = cairn(env)
    under_load(env, leader, lambda: oracle(env))


@limit(180)
def test_redis_follows_cairn_without_a_journal(env):
    leader = cairn(env, appendonly="no", save="")
    under_load(env, leader, lambda: oracle(env))


@limit(180)
def test_cairn_follows_redis(env):
    leader = oracle(env, repl_diskless_sync_delay=0)
    follower = under_load(env, leader, lambda: cairn(env))
    # What it has applied is in its own journal, at the leader's offset.
    leader.stop()
    with follower.client() as c:
        # Its last words are part of the stream, too.
        eventually(lambda: info(c, "master_link_status") == "down", PATIENCE)
        digest, offset = c.call("DEBUG", "DIGEST"), info(c, "slave_repl_offset")
    # As a follower still: a leader would delete what is past its time.
    follower.directives["replicaof"] = ["127.0.0.1", leader.port]
    follower.restart()
    with follower.client() as c:
        equal(c.call("DEBUG", "DIGEST"), digest)
        equal(info(c, "master_repl_offset"), offset)


@limit(180)
def test_cairn_follows_redis_that_sends_a_file(env):
    leader = oracle(env, repl_diskless_sync="no")
    under_load(env, leader, lambda: cairn(env, appendonly="no", save=""))


@limit(180)
def test_cairn_follows_cairn_and_redis_follows_the_follower(env):
    leader = cairn(env)
    middle = under_load(env, leader, lambda: cairn(env))
    last = oracle(env)
    load = Load(leader.port, seed=2).reach(1000)
    follow(last, middle)
    load.reach(2000).stop()
    in_step(leader, middle)
    in_step(middle, last)


@limit(60)
def test_promotion_and_the_way_back(env):
    """A redis-server is replaced by Cairn without a stop, and the other way round."""
    # No PING may come between what is compared and the promotion.
    old = oracle(env, repl_diskless_sync_delay=0, repl_ping_replica_period=3600)
    new = cairn(env)
    with old.client() as a, new.client() as b:
        a.call("SET", "k", "v")
        follow(new, old)
        in_step(old, new)
        id_before = info(b, "master_replid")
        equal(b.call("REPLICAOF", "NO", "ONE"), b"OK")
        equal(b.call("ROLE")[0], b"master")
        check(info(b, "master_replid") != id_before, "the id is the old leader's")
        equal(info(b, "master_replid2"), id_before)
        equal(b.call("SET", "k", "w"), b"OK")
        # The old leader asks with its own id, at an offset that the new one has: no full sync.
        follow(old, new)
        in_step(new, old)
        check("Successful partial resynchronization" in old.log_text(), old.log_text()[-2000:])
        equal(a.call("GET", "k"), b"w")


@limit(120)
def test_partial_resync_from_disk(env):
    """Far more than the memory keeps is written while the link is cut."""
    leader, follower = cairn(env), cairn(env)
    with leader.client() as up, follower.client() as down:
        up.call("SET", "k", "v")
        follow(follower, leader)
        in_step(leader, follower)
        equal(down.call("REPLICAOF", "127.0.0.1", 1), b"OK")
        for start in range(0, 6000, 500):
            up.pipeline([("SET", "big:%d" % i, os.urandom(1000)) for i in range(start, start + 500)])
        syncs = leader.log_text().count("Full resync requested")
        follow(follower, leader)
        in_step(leader, follower)
        equal(leader.log_text().count("Full resync requested"), syncs)
        check("Successful partial resynchronization" in follower.log_text(), "a full sync")


@limit(120)
def test_restarts_continue(env):
    """Clean restarts of either side, and an unclean one of the follower, need no full sync; an
    unclean one of the leader draws a new id."""
    leader, follower = cairn(env), cairn(env)
    leader.directives["port"] = leader.port
    follow(follower, leader)
    with leader.client() as up:
        up.pipeline([("SET", "k:%d" % i, i) for i in range(1000)])
        up.call("SELECT", 5)
        up.call("SET", "in five", 1)
    in_step(leader, follower)
    syncs = leader.log_text().count("Full resync requested")
    with leader.client() as up:
        first_id = info(up, "master_replid")
    leader.restart()
    with leader.client() as up:
        equal(info(up, "master_replid"), first_id)
        up.call("SET", "after", 1)
    in_step(leader, follower)
    follower.directives["replicaof"] = ["127.0.0.1", leader.port]
    for crash in (False, True):
        follower.restart(crash=crash)
        with leader.client() as up:
            up.call("SELECT", 5)
            up.call("SET", "more %s" % crash, 1)
        in_step(leader, follower)
    equal(leader.log_text().count("Full resync requested"), syncs)
    leader.restart(crash=True)
    with leader.client() as up:
        check(info(up, "master_replid") != first_id, "an unclean start kept the id")
        equal(info(up, "master_replid2"), first_id)
        up.call("SET", "x", "y")
    in_step(leader, follower)


def test_redis_cli_modes(env):
    server = cairn(env)
    with server.client() as c:
        fill(c)
        digest = c.call("DEBUG", "DIGEST")
    folder = server.folder
    subprocess.run(["redis-cli", "-p", str(server.port), "--rdb", folder + "/cli.rdb"], check=True,
                   timeout=60, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    reader = Server(oracle_binary(), wait=False, appendonly="no", dbfilename="cli.rdb", dir=folder)
    env.own.append(reader.start())
    with reader.client() as c:
        equal(c.call("DEBUG", "DIGEST"), digest)
    # --replica prints the stream.
    shown = subprocess.Popen(["redis-cli", "-p", str(server.port), "--replica"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        with server.client() as c:
            eventually(lambda: info(c, "slave0") and "state=online" in info(c, "slave0"), PATIENCE,
                       "redis-cli does not follow")
            c.call("SET", "key of the stream", "1")
        for line in shown.stdout:
            if b"key of the stream" in line:
                break
        else:
            check(False, "the stream did not show the command")
    finally:
        shown.kill()
        shown.wait()


def test_wait(env):
    leader, follower = cairn(env), cairn(env)
    with leader.client() as c:
        equal(c.call("WAIT", 1, 1), 0)
        follow(follower, leader)
        in_step(leader, follower)
        for i in range(20):
            c.call("SET", "k", i)
            equal(c.call("WAIT", 1, 0), 1)
        c.call("SET", "k", "last")
        equal(c.call("WAITAOF", 1, 1, 0), [1, 1])
        equal(c.call("WAIT", 2, 1), 1)
        # More than one waits at a time, and one that nobody can answer goes on waiting.
        with leader.client() as d:
            d.call("SET", "j", 1)
            d.send("WAIT", 1, 0)
            c.call("SET", "k", 2)
            equal(c.call("WAIT", 1, 0), 1)
            equal(d.read(), 1)


def test_min_replicas(env):
    leader, follower = cairn(env), cairn(env)
    with leader.client() as c:
        equal(c.call("CONFIG", "SET", "min-replicas-to-write", 1), b"OK")
        refused = Error(b"NOREPLICAS Not enough good replicas to write.")
        eventually(lambda: c.call("SET", "k", "v") == refused, PATIENCE)
        equal(c.call("GET", "k"), b"v" if c.call("EXISTS", "k") else None)
        follow(follower, leader)
        eventually(lambda: c.call("SET", "k", "v") == b"OK", PATIENCE)
        equal(info(c, "min_slaves_good_slaves"), "1")


def test_stale_data(env):
    leader, follower = cairn(env), cairn(env, replica_serve_stale_data="no")
    with leader.client() as up, follower.client() as down:
        up.call("SET", "k", "v")
        follow(follower, leader)
        in_step(leader, follower)
        eventually(lambda: down.call("GET", "k") == b"v", PATIENCE)
        leader.kill()
        stale = Error(b"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to "
                      b"'no'.")
        eventually(lambda: down.call("GET", "k") == stale, PATIENCE)
        equal(down.call("REPLICAOF", "NO", "ONE"), b"OK")
        equal(down.call("GET", "k"), b"v")


def test_password(env):
    leader = cairn(env, requirepass="secret")
    follower = cairn(env)
    with follower.client() as down:
        equal(down.call("REPLICAOF", "127.0.0.1", leader.port), b"OK")
        eventually(lambda: "NOAUTH" in follower.log_text(), PATIENCE, "let in without a password")
        equal(info(down, "master_link_status"), "down")
        equal(down.call("CONFIG", "SET", "masterauth", "secret"), b"OK")
        eventually(lambda: info(down, "master_link_status") == "up", PATIENCE)


def test_messages_reach_the_followers(env):
    leader, follower = cairn(env), cairn(env)
    follow(follower, leader)
    in_step(leader, follower)
    with leader.client() as up, follower.client() as down:
        down.call("SUBSCRIBE", "channel")
        up.call("PUBLISH", "channel", "hello")
        equal(down.read(), [b"message", b"channel", b"hello"])
        up.pipeline([("MULTI",), ("SET", "k", "v"), ("PUBLISH", "channel", "inside"), ("EXEC",)])
        equal(down.read(), [b"message", b"channel", b"inside"])
    in_step(leader, follower)


def test_blocked_clients_hear_of_the_role(env):
    leader, follower = cairn(env), cairn(env)
    with follower.client() as waits:
        waits.send("BLPOP", "list", 0)
        with follower.client() as c:
            eventually(lambda: b"blocked_clients:1" in c.call("INFO", "clients"), PATIENCE)
        follow(follower, leader)
        equal(waits.read(), Error(b"UNBLOCKED force unblock from blocking operation, instance state "
                                  b"changed (master -> replica?)"))


def test_expiry_is_the_leaders(env):
    """A follower hides what is past its time, and deletes it only when the leader says so."""
    leader, follower = cairn(env), cairn(env)
    with leader.client() as up, follower.client() as down:
        up.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        follow(follower, leader)
        in_step(leader, follower)
        up.call("SET", "k", 10, "PX", 1)
        up.call("HSET", "h", "f", "v")
        up.call("PEXPIRE", "h", 1)
        eventually(lambda: down.call("DBSIZE") == 2, PATIENCE)
        eventually(lambda: down.call("GET", "k") is None and down.call("EXISTS", "h") == 0, PATIENCE)
        equal(down.call("DBSIZE"), 2)
        equal(up.call("GET", "k"), None)
        eventually(lambda: down.call("DBSIZE") == 1, PATIENCE)
        up.call("EXISTS", "h")
        in_step(leader, follower)


def test_a_stream_that_cannot_be_applied_is_given_up(env):
    """A follower whose data differs does not go on: it takes everything anew."""
    leader, follower = oracle(env, repl_diskless_sync_delay=0), cairn(env)
    with leader.client() as up, follower.client() as down:
        up.call("SET", "k", "v")
        follow(follower, leader)
        in_step(leader, follower)
        # Database 20 exists at the leader only.
        more = oracle(env, databases=32, repl_diskless_sync_delay=0)
        with more.client() as c:
            c.call("SET", "x", "y")
            follow(follower, more)
            in_step(more, follower)
            c.call("SELECT", 20)
            c.call("SET", "far", "away")
            eventually(lambda: "A full resynchronization is needed" in follower.log_text(), PATIENCE)
            # Nor can its snapshot be loaded: nothing is served that is half of it.
            eventually(lambda: "snapshot cannot be loaded" in follower.log_text(), PATIENCE)
            equal(info(down, "master_link_status"), "down")
            eventually(lambda: down.call("DBSIZE") == 0, PATIENCE)


@limit(180)
def test_cut_links(env):
    """However often the link is cut, at whatever byte, nothing is missing and nothing comes twice."""
    leader, follower = cairn(env), cairn(env)
    proxy = Proxy(leader.port)
    try:
        load = Load(leader.port, writers=1, seed=7).reach(500)
        follow(follower, proxy)
        rng = random.Random(11)
        with follower.client() as c:
            for _ in range(8):
                eventually(lambda: info(c, "master_link_status") == "up", PATIENCE)
                # The next connection ends after so many bytes, in the middle of anything.
                proxy.limit = rng.choice((1, 60, 200, 3000, 40000))
                before = proxy.accepted
                proxy.cut()
                eventually(lambda: proxy.accepted > before, PATIENCE, "no other connection")
                load.reach(300)
                proxy.limit = None
                proxy.cut()
        load.stop()
        in_step(leader, follower)
    finally:
        proxy.close()


@limit(120)
def test_full_syncs_that_break_off(env):
    """Whoever is killed, the other goes on with what it had, and the next try succeeds."""
    leader, follower = cairn(env), cairn(env)
    leader.directives["port"] = leader.port
    follower.directives["port"] = follower.port
    proxy = Proxy(leader.port)
    try:
        with follower.client() as c:
            c.call("SET", "mine", "until then")
        with leader.client() as c:
            c.pipeline([("SET", "k:%d" % i, os.urandom(2000)) for i in range(2000)])
            c.call("WAITAOF", 1, 0, 0)
        proxy.limit = 1 << 20
        follow(follower, proxy)
        eventually(lambda: proxy.passed >= 1 << 20, PATIENCE, "no full sync")
        with follower.client() as c:
            equal(c.call("GET", "mine"), b"until then")
        follower.directives["replicaof"] = ["127.0.0.1", proxy.port]
        passed = proxy.passed
        eventually(lambda: proxy.passed > passed, PATIENCE, "no second try")
        follower.restart(crash=True)
        with follower.client() as c:
            equal(c.call("GET", "mine"), b"until then")
        leader.restart(crash=True)
        proxy.limit = None
        proxy.cut()
        in_step(leader, follower)
        with follower.client() as c:
            equal(c.call("GET", "mine"), None)
    finally:
        proxy.close()


def test_refusals(env):
    server = cairn(env)
    c = env.client(2, server)
    equal(c.call("REPLICAOF", "host", "x"), Error(b"ERR Invalid master port"))
    equal(c.call("REPLCONF", "listening-port"), Error(b"ERR syntax error"))
    equal(c.call("REPLCONF", "no-such", "x"), Error(b"ERR Unrecognized REPLCONF option: no-such"))
    equal(c.call("REPLCONF", "listening-port", "123"), b"OK")
    equal(c.call("REPLICAOF", "NO", "ONE"), b"OK")
    equal(c.call("ROLE"), [b"master", 0, []])
    c.call("REPLICAOF", "127.0.0.1", 1)
    equal(c.call("ROLE")[:3], [b"slave", b"127.0.0.1", 1])
    equal(c.call("REPLICAOF", "127.0.0.1", 1), b"OK Already connected to specified master")
    equal(c.call("PSYNC", "?", "-1"),
          Error(b"NOMASTERLINK Can't SYNC while not connected with my master"))
    equal(c.call("EVAL", "return redis.call('set','k','v')", 0).code, c.call("SET", "k", "v").code)
    equal(c.call("CONFIG", "GET", "replicaof"), [b"replicaof", b"127.0.0.1 1"])
