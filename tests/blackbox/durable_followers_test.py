# SPDX-License-Identifier: BSD-3-Clause
"""min-replicas-durable: a write is answered when followers have it on disk, and no answered write
is lost with its leader."""

import contextlib
import select
import threading

from harness import ONCE, Client, check, encode, equal, eventually, limit
from harness.replication import PATIENCE, cairn, follow, freeze, info, oracle, thaw
from harness.resp import Error

MATRIX = ONCE
REFUSED = Error(b"NOREPLICAS Not enough good replicas to write.")
UNCONFIRMED = Error(b"UNCONFIRMED Too few replicas have made this durable in time, its outcome is "
                    b"not known")


def make(env, followers=1, **directives):
    directives.setdefault("min_replicas_durable", followers)
    # However long a follower is stopped here it counts, and is waited for.
    leader = cairn(env, appendfsync="always", min_replicas_max_lag=0,
                   min_replicas_durable_timeout=0, repl_ping_replica_period=3600, **directives)
    others = [cairn(env, appendfsync="always") for _ in range(followers)]
    for follower in others:
        follow(follower, leader)
    with leader.client() as c:
        eventually(lambda: info(c, "min_replicas_durable_good") == str(followers), PATIENCE)
        # The gate opens a moment later.
        eventually(lambda: c.call("SET", "k", "before") == b"OK", PATIENCE)
    return [leader] + others


def silent(client):
    return not select.select([client.sock], [], [], 0)[0]


def position(client):
    """Where the leader's log ends, and how much of it is on its own disk."""
    text = client.call("INFO", "all").decode()
    lines = dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)
    return int(lines["master_repl_offset"]), int(lines["journal_durable_lsn"])


@contextlib.contextmanager
def durable_here(client):
    """What is sent inside is written, and on the leader's own disk, when this ends."""
    before = position(client)[0]
    yield

    def done():
        end, durable = position(client)
        return before < end == durable
    eventually(done, PATIENCE)


def test_refused_without_followers(env):
    leader = cairn(env, appendfsync="always", min_replicas_durable=1,
                   min_replicas_durable_timeout=0)
    with leader.client() as c:
        equal(c.call("SET", "k", "v"), REFUSED)
        equal(c.call("GET", "k"), None)
        equal(c.pipeline([("MULTI",), ("SET", "k", "v"), ("EXEC",)])[1], REFUSED)
        # Neither of these keeps a log that it tells of.
        for follower in (oracle(env), cairn(env, appendonly="no", save="")):
            follow(follower, leader)
            with follower.client() as f:
                eventually(lambda: info(f, "master_link_status") == "up", PATIENCE)
        equal(info(c, "min_replicas_durable_good"), "0")
        equal(c.call("SET", "k", "v"), REFUSED)
        follow(cairn(env), leader)
        eventually(lambda: c.call("SET", "k", "v") == b"OK", PATIENCE)
        equal(info(c, "min_replicas_durable_good"), "1")


def test_held_until_it_is_there(env):
    leader, follower = make(env)
    with leader.client() as c, leader.client() as writer, leader.client() as reader, \
            leader.client() as waiter:
        c.call("SET", "other", 1)
        waiter.send("BLPOP", "list", 0)
        eventually(lambda: b"blocked_clients:1" in c.call("INFO", "clients"), PATIENCE)
        freeze(follower)
        with durable_here(c):
            writer.send("MULTI")
            writer.send("SET", "k", "after")
            writer.send("RPUSH", "list", "x")
            writer.send("EXEC")
        eventually(lambda: b"blocked_clients:0" in c.call("INFO", "clients"), PATIENCE)
        reader.send("GET", "k")
        # The leader has it on disk; whoever would see it waits, and nobody else does.
        equal(c.call("GET", "other"), b"1")
        equal(c.call("PUBLISH", "channel", "no data"), 0)
        equal(c.call("PUBLISH", "channel", "no data"), 0)
        equal(c.call("CONFIG", "SET", "maxmemory", 0), b"OK")
        equal([writer.read() for _ in range(3)], [b"OK", b"QUEUED", b"QUEUED"])
        check(silent(writer) and silent(reader) and silent(waiter), "shown too early")
        thaw(follower)
        equal(writer.read(), [b"OK", 1])
        equal(reader.read(), b"after")
        equal(waiter.read(), [b"list", b"x"])


def test_all_that_are_connected(env):
    """Two follow and one would do, but each could be promoted."""
    leader, first, second = make(env, 2, min_replicas_durable=1)
    with leader.client() as c, leader.client() as writer:
        for follower in (first, second):
            freeze(follower)
            with durable_here(c):
                writer.send("INCR", "n")
            check(silent(writer), "answered by one of two")
            thaw(follower)
            check(isinstance(writer.read(), int), "no answer")


def test_given_up_in_time(env):
    leader, follower = make(env)
    freeze(follower)
    with leader.client() as writer, leader.client() as c:
        equal(c.call("CONFIG", "SET", "min-replicas-durable-timeout", 200), b"OK")
        # In one read: what comes behind the end of the connection is not run.
        writer.send_raw(b"".join(encode(*request) for request in (
            ("PING",), ("SET", "k", "a"), ("PING",), ("SET", "k", "b"))))
        equal(writer.read(), b"PONG")
        equal(writer.read(), UNCONFIRMED)
        ended(writer)
        # Off: what was written is answered as ever.
        equal(c.call("CONFIG", "SET", "min-replicas-durable", 0), b"OK")
        equal(c.call("GET", "k"), b"b")
    thaw(follower)


def ended(client):
    try:
        reply = client.read()
    except (EOFError, OSError):
        return
    check(False, "the connection goes on with %r" % reply)


def test_switched_off_while_replies_are_held(env):
    leader, follower = make(env)
    freeze(follower)
    with leader.client() as c, leader.client() as writer:
        with durable_here(c):
            writer.send("SET", "k", "v")
        check(silent(writer), "answered too early")
        equal(c.call("CONFIG", "SET", "min-replicas-durable", 0), b"OK")
        equal(writer.read(), b"OK")
    thaw(follower)


def test_a_leader_that_is_deposed(env):
    """What it could not confirm it never says was done."""
    leader, follower = make(env)
    freeze(follower)
    with leader.client() as c, leader.client() as writer:
        with durable_here(c):
            writer.send("SET", "k", "v")
        equal(c.call("REPLICAOF", "127.0.0.1", 1), b"OK")
        equal(writer.read(), UNCONFIRMED)
        ended(writer)
    thaw(follower)


def test_what_it_needs(env):
    c = env.client(2, cairn(env))
    wants = b"min-replicas-durable needs appendonly yes and appendfsync always"
    check(wants in c.call("CONFIG", "SET", "min-replicas-durable", 1).text, "no refusal")
    equal(c.call("CONFIG", "SET", "appendfsync", "always", "min-replicas-durable", 1), b"OK")
    for name, value in (("appendfsync", "no"), ("appendonly", "no")):
        check(wants in c.call("CONFIG", "SET", name, value).text, "no refusal")
        equal(c.call("CONFIG", "GET", name)[1], {"appendfsync": b"always"}.get(name, b"yes"))
    equal(c.call("SET", "k", "v"), REFUSED)


class Writers:
    def __init__(self, port, prefix, count=4):
        self.port, self.prefix, self.acknowledged = port, prefix, [[] for _ in range(count)]
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True)
                        for i in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self, writer):
        try:
            with Client(self.port, timeout=60) as client:
                for number in range(1 << 30):
                    key = "w:%d:%d:%d" % (self.prefix, writer, number)
                    if client.call("SET", key, number) != b"OK":
                        return
                    self.acknowledged[writer].append(key)
        except (OSError, EOFError):
            pass

    def count(self):
        return sum(map(len, self.acknowledged))

    def join(self):
        for thread in self.threads:
            thread.join()
        return [key for keys in self.acknowledged for key in keys]


@limit(180)
def test_no_answered_write_is_lost(env):
    """The leader is killed while it writes, and the follower that is promoted, too, once: what was
    answered is on its disk."""
    leader, follower = make(env)
    for server in (leader, follower):
        server.directives["port"] = server.port
        server.directives["min-replicas-durable"] = 1
        server.directives["min-replicas-durable-timeout"] = 0
    for number in range(4):
        writers = Writers(leader.port, number)
        eventually(lambda: writers.count() > 200, PATIENCE, "no progress")
        leader.kill()
        if number % 2 == 1:
            follower.kill()
            follower.directives.pop("replicaof", None)
            follower.start()
        answered = writers.join()
        with follower.client() as c:
            equal(c.call("REPLICAOF", "NO", "ONE"), b"OK")
            missing = [key for key, there in zip(answered, c.pipeline(
                [("EXISTS", key) for key in answered])) if there != 1]
            equal(missing, [], "round %d, of %d" % (number, len(answered)))
            # The old leader comes back behind it, and the roles are changed.
            equal(c.call("CONFIG", "SET", "appendfsync", "always", "min-replicas-durable", 1,
                         "min-replicas-durable-timeout", 0), b"OK")
            leader.directives["replicaof"] = ["127.0.0.1", follower.port]
            leader.start()
            eventually(lambda: c.call("SET", "k", "v") == b"OK", PATIENCE)
        leader.directives.pop("replicaof")
        leader, follower = follower, leader
