# SPDX-License-Identifier: BSD-3-Clause
"""CONFIG SET appendonly on a running server: the log begins under keys that are there, and ends."""

import os
import threading

from harness import ONCE, Error, cairn_only, check, equal, eventually, info, matrix
from harness.replication import follow, in_step

MATRIX = ONCE


def wait_for_base(client):
    """Until the log is the database."""
    eventually(lambda: info(client, "aof_rewrite_in_progress") == "0" and
               not isinstance(client.call("WAITAOF", 1, 0, 0), Error), 30, "the first base")


def restart(server, appendonly):
    server.directives["appendonly"] = appendonly
    server.restart(crash=True)


@cairn_only("with redis-server a crash may lose the last second")
def test_the_log_begins_under_keys(env):
    server = env.start(appendonly="no", threads=4)
    c = env.client(2, server)
    equal(c.call("DEBUG", "POPULATE", 20000), b"OK")
    c.call("SELECT", 3)
    c.call("RPUSH", "list", *range(100))
    equal(c.call("CONFIG", "SET", "appendonly", "yes", "timeout", 0), b"OK")
    equal(c.call("CONFIG", "SET", "appendonly", "yes"), b"OK", "once more")
    c.call("RPUSH", "list", "last")
    wait_for_base(c)
    equal(info(c, "aof_enabled"), "1")
    c.call("SET", "behind", "it")
    equal(c.call("WAITAOF", 1, 0, 0), [1, 0])
    digest = c.call("DEBUG", "DIGEST")
    restart(server, "yes")
    equal(env.client(2, server).call("DEBUG", "DIGEST"), digest)
    check(not os.path.exists(os.path.join(server.folder, "appendonlydir", "awaits-base")),
          "the mark is gone")


@cairn_only("the former log stays as it is")
def test_the_log_ends(env):
    server = env.start(appendonly="yes", appendfsync="always")
    c, other = env.client(2, server), env.client(2, server)
    c.call("SET", "logged", 1)
    other.send("WAITAOF", 1, 1, 0)
    eventually(lambda: b"blocked_clients:1" in c.call("INFO", "clients"), note="WAITAOF waits")
    equal(c.call("CONFIG", "SET", "appendonly", "no"), b"OK")
    equal(other.read().text,
          b"ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
    equal(info(c, "aof_enabled"), "0")
    equal(c.call("SET", "unlogged", 1), b"OK")
    equal(c.call("WAITAOF", 1, 0, 0).code, b"ERR")
    restart(server, "yes")
    equal(env.client(2, server).call("KEYS", "*"), [b"logged"])


@cairn_only("the former log stays as it is")
def test_what_the_log_held_before_is_replaced(env):
    server = env.start(appendonly="yes")
    c = env.client(2, server)
    equal(c.call("SET", "a", 1), b"OK")
    equal(c.call("CONFIG", "SET", "appendonly", "no"), b"OK")
    equal(c.call("SET", "a", 2), b"OK")
    equal(c.call("SET", "b", 2), b"OK")
    equal(c.call("CONFIG", "SET", "appendonly", "yes"), b"OK")
    wait_for_base(c)
    c.call("SET", "c", 3)
    equal(c.call("WAITAOF", 1, 0, 0), [1, 0])
    restart(server, "yes")
    equal(env.client(2, server).call("MGET", "a", "b", "c"), [b"2", b"2", b"3"])


@cairn_only("replies under always")
def test_switching_while_clients_write(env):
    server = env.start(appendonly="no", appendfsync="always", threads=4)
    c = env.client(2, server)
    stop = threading.Event()
    told = [0] * 4

    def write(index):
        client = env.client(2, server)
        while not stop.is_set():
            replies = client.pipeline([("INCR", "n%d" % index), ("INCR", "m%d" % index)] * 5)
            check(not any(isinstance(reply, Error) for reply in replies), "refused")
            told[index] = replies[-1]
    writers = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for writer in writers:
        writer.start()
    try:
        for turn in ("yes", "no", "yes", "no", "yes"):
            equal(c.call("CONFIG", "SET", "appendonly", turn), b"OK")
            if turn == "yes":
                wait_for_base(c)
        for _ in range(20):
            c.call("SET", "turn", 1)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    restart(server, "yes")
    c = env.client(2, server)
    for i in range(4):
        equal(c.call("MGET", "n%d" % i, "m%d" % i), [b"%d" % told[i]] * 2, "writer %d" % i)


@cairn_only("what Redis keeps where is its own")
def test_the_log_ends_in_its_own_folder(env):
    """Wherever `dir` is by now."""
    server = env.start(appendonly="yes", enable_protected_configs="yes")
    c = env.client(2, server)
    theirs = os.path.join(env.folder(), "appendonlydir")
    os.mkdir(theirs)
    for name in ("temp-0001.rdb.lz4", "sync-1.rdb"):
        with open(os.path.join(theirs, name), "w", encoding="ascii"):
            pass
    before = sorted(os.listdir(theirs))
    equal(c.call("CONFIG", "SET", "dir", os.path.dirname(theirs)), b"OK")
    equal(c.call("CONFIG", "SET", "appendonly", "no"), b"OK")
    equal(sorted(os.listdir(theirs)), before)


@cairn_only("our message")
def test_a_log_that_cannot_begin(env):
    server = env.start(appendonly="no")
    c = env.client(2, server)
    blocker = os.path.join(server.folder, "appendonlydir")
    with open(blocker, "w", encoding="ascii"):
        pass
    reply = c.call("CONFIG", "SET", "timeout", 77, "appendonly", "yes")
    check(reply.text.startswith(b"ERR CONFIG SET failed (possibly related to argument 'appendonly')"),
          repr(reply))
    equal(c.call("CONFIG", "GET", "appendonly"), [b"appendonly", b"no"])
    equal(c.call("CONFIG", "GET", "timeout"), [b"timeout", b"0"], "nothing of it is set")
    equal(c.call("SET", "a", 1), b"OK")
    os.remove(blocker)
    equal(c.call("CONFIG", "SET", "appendonly", "yes"), b"OK")
    wait_for_base(c)


@cairn_only("a replica's log is its leader's")
def test_a_replica_does_not_switch(env):
    leader = env.start(appendonly="no")
    server = env.start(appendonly="no", replicaof="127.0.0.1 %d" % leader.port)
    reply = env.client(2, server).call("CONFIG", "SET", "appendonly", "yes")
    check(isinstance(reply, Error), "it switched")
    # A leader does: its replicas connect once more.
    c = env.client(2, leader)
    equal(c.call("CONFIG", "SET", "appendonly", "yes"), b"OK")
    wait_for_base(c)
    c.call("SET", "a", 1)
    equal(c.call("WAIT", 1, 30000), 1)
    equal(env.client(2, server).call("GET", "a"), b"1")


@cairn_only("a replica's log is its leader's")
def test_a_replica_that_was_away_meanwhile(env):
    """Where the former log ended is no place to go on from: what was written since is in no log."""
    leader, replica = env.start(appendonly="yes"), env.start(appendonly="yes")
    c = env.client(2, leader)
    equal(c.call("SET", "logged", 1), b"OK")
    follow(replica, leader)
    in_step(leader, replica)
    replica.stop()
    equal(c.call("CONFIG", "SET", "appendonly", "no"), b"OK")
    equal(c.call("SET", "unlogged", 1), b"OK")
    equal(c.call("CONFIG", "SET", "appendonly", "yes"), b"OK")
    wait_for_base(c)
    replica.directives["replicaof"] = "127.0.0.1 %d" % leader.port
    replica.restart()
    in_step(leader, replica)
