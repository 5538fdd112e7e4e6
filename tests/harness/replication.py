# SPDX-License-Identifier: BSD-3-Clause
"""Leaders and followers of either kind: how tests make them, load them and compare their data."""

import contextlib
import os
import random
import signal
import threading

from harness.checks import PATIENCE, as_dict, equal, eventually, info
from harness.resp import Client
from harness.server import Server, oracle_binary


def oracle(env, **directives):
    server = Server(oracle_binary(), appendonly="no", **directives)
    env.own.append(server)
    return server


def cairn(env, **directives):
    return env.start(**directives)


def follow(server, leader):
    with server.client() as c:
        equal(c.call("REPLICAOF", "127.0.0.1", leader.port), b"OK")


def being_synced(leader, port):
    """Whether the leader has a follower at this port that it does not call online yet."""
    lines = leader.call("INFO", "replication").decode().splitlines()
    return any(",port=%d," % port in line and ",state=online," not in line for line in lines)


def announced_port(follower, client):
    """Under which port its leader knows it."""
    said = as_dict(client.call("CONFIG", "GET", "replica-announce-port", "tls-port", "tls-replication"))
    over_tls = said.get(b"tls-replication") == b"yes"
    return int(said[b"replica-announce-port"]) or (int(said[b"tls-port"]) if over_tls else follower.port)


def in_step(leader, follower, seconds=PATIENCE):
    """Waits until the follower has all that the leader has now, and compares the data. A follower
    of nothing has all of it before its leader has heard so."""
    with leader.client() as up, follower.client() as down:
        port = announced_port(follower, down)

        def caught_up():
            return (info(down, "master_link_status") == "up" and
                    info(down, "slave_repl_offset") == info(up, "master_repl_offset") and
                    not being_synced(up, port))

        def same():
            return caught_up() and up.call("DEBUG", "DIGEST") == down.call("DEBUG", "DIGEST")

        eventually(same, seconds, "the follower does not catch up, or its data differs")


def freeze(server):
    """Stops the process, and returns when none of its threads runs any more."""
    os.kill(server.pid, signal.SIGSTOP)

    def stopped():
        folder = "/proc/%d/task/" % server.pid
        for task in os.listdir(folder):
            with open(folder + task + "/stat", encoding="utf-8") as stat:
                if stat.read().rsplit(")", 1)[1].split()[0] not in "Tt":
                    return False
        return True
    eventually(stopped, PATIENCE, "the process goes on")


def thaw(server):
    os.kill(server.pid, signal.SIGCONT)


@contextlib.contextmanager
def frozen(server):
    freeze(server)
    try:
        yield
    finally:
        thaw(server)


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
