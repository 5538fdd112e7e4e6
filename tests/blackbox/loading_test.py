# SPDX-License-Identifier: BSD-3-Clause
"""Loading: the journal replayed at start and by DEBUG LOADAOF, and what is said meanwhile."""

import os
import random
import signal
import socket
import subprocess
import threading

from harness import ONCE, THREADS, Error, cairn_only, check, equal, eventually, info, matrix

MATRIX = THREADS


def fill(c, rng, commands):
    """A random history over all kinds of records that replay treats differently."""
    for number in range(commands):
        a, b = ("k%d" % rng.randrange(30) for _ in "ab")
        rng.choice((
            lambda: c.call("SET", "s" + a, number),
            lambda: c.call("MSET", "s" + a, number, "s" + b, number),
            lambda: c.call("RENAME", "s" + a, "s" + b),
            lambda: c.call("RPUSH", "l" + a, number, "x"),
            lambda: c.call("LMOVE", "l" + a, "l" + b, "LEFT", "RIGHT"),
            lambda: c.call("ZADD", "z" + a, number, "m%d" % (number % 7)),
            lambda: c.call("SADD", "u" + a, number % 50),
            lambda: c.call("SUNIONSTORE", "u" + a, "u" + a, "u" + b),
            lambda: c.call("HSET", "h" + a, "f%d" % (number % 9), number),
            lambda: c.call("XADD", "x" + a, "*", "f", number),
            lambda: c.call("PEXPIRE", "s" + a, 10000000),
            lambda: c.call("SELECT", rng.randrange(4)),
            lambda: c.call("COPY", "s" + a, "s" + b, "DB", rng.randrange(4), "REPLACE"),
            lambda: number % 5 or c.call("SWAPDB", rng.randrange(4), rng.randrange(4)),
            lambda: number % 9 or c.call("FLUSHDB"),
            lambda: [c.call("MULTI"), c.call("INCR", "n" + a), c.call("SELECT", 1),
                     c.call("APPEND", "s" + b, "multi"), c.call("EXEC")],
        ))()


@cairn_only("replay is ours")
def test_restart_and_loadaof_give_the_same_data(env):
    server = env.start()
    c = env.client(2, server)
    c.call("FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('f', function() return 7 end)")
    fill(c, random.Random(1), 1500)
    wanted = c.call("DEBUG", "DIGEST")
    check(wanted != b"0" * 40, "there is data")
    equal(c.call("DEBUG", "LOADAOF"), b"OK")
    equal(c.call("DEBUG", "DIGEST"), wanted, "after LOADAOF")
    equal(c.call("DEBUG", "LOADAOF"), "OK", "again")
    equal(c.call("DEBUG", "DIGEST"), wanted, "after the second LOADAOF")
    equal(c.call("FCALL", "f", 0), 7, "functions are replayed too")
    c.call("SET", "later", 1)
    wanted = c.call("DEBUG", "DIGEST")
    server.restart()
    c = env.client(2, server)
    equal(c.call("DEBUG", "DIGEST"), wanted, "after a restart")
    equal(c.call("FCALL", "f", 0), 7)
    info = c.call("INFO", "persistence").decode()
    check("loading:0\r\n" in info, info)
    check("loading_total_bytes" not in info, "only while loading: " + info)
    check("rdb_changes_since_last_save:0\r\n" in info, "what was replayed is saved: " + info)


@cairn_only("replay is ours")
@matrix(ONCE)
def test_a_signal_ends_a_start_that_loads(env):
    server = env.start()
    with env.client(2, server) as c:
        c.call("SET", "first", 1)
        # One record after the other: nothing else takes as long to replay.
        for _ in range(60):
            c.pipeline([("APPEND", "log", "x" * 10)] * 1000)
        c.call("SET", "last", 1)
    server.stop()
    with open(server.log_path, "ab") as log:
        process = subprocess.Popen(server.command_line(), stdout=log, stderr=log)

    def listens():
        try:
            socket.create_connection(("127.0.0.1", server.port)).close()
            return True
        except OSError:
            return False
    eventually(listens, 60)
    process.send_signal(signal.SIGTERM)
    equal(process.wait(60), 0)
    server.start()
    with env.client(2, server) as c:
        equal(c.call("MGET", "first", "last"), [b"1", b"1"])
        equal(c.call("STRLEN", "log"), 600_000)


@cairn_only("redis-server opens its file before it listens")
@matrix(ONCE)
def test_a_follower_that_loads_says_so(env):
    """Nobody is to take it for a leader meanwhile."""
    server = env.start(appendonly="no", save="", replicaof="127.0.0.1 1")
    server.stop()
    # Its start waits for somebody to write the other end.
    os.mkfifo(os.path.join(server.folder, "dump.rdb"))
    with open(server.log_path, "ab") as log:
        process = subprocess.Popen(server.command_line(), stdout=log, stderr=log,
                                   cwd=server.folder)
    try:
        def connect():
            try:
                return server.client()
            except OSError:
                return None
        with eventually(connect, 60) as c:
            equal(c.call("PING").code, b"LOADING")
            equal(c.call("ROLE"), [b"slave", b"127.0.0.1", 1, b"connect", -1])
            told = c.call("INFO", "replication").decode().splitlines()
            for line in ("role:slave", "master_host:127.0.0.1", "master_port:1",
                         "master_link_status:down"):
                check(line in told, "no " + line + " in " + repr(told))
    finally:
        process.kill()
        process.wait()


@cairn_only("replay is ours")
def test_loadaof_beside_a_base(env):
    server = env.start(auto_aof_rewrite_percentage="0")
    c = env.client(2, server)
    c.call("FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('f', function() return 7 end)")
    fill(c, random.Random(2), 800)
    for _ in range(3):
        # In the middle of a rewrite, which is given up or comes to its end first.
        c.call("BGREWRITEAOF")
        wanted = c.call("DEBUG", "DIGEST")
        equal(c.call("DEBUG", "LOADAOF"), "OK", "beside a rewrite")
        equal(c.call("DEBUG", "DIGEST"), wanted)
    eventually(lambda: info(c, "aof_rewrite_in_progress") == "0", 60)
    rewrites = int(info(c, "aof_rewrites"))
    check(not isinstance(c.call("BGREWRITEAOF"), Error), "no rewrite")
    eventually(lambda: int(info(c, "aof_rewrites")) > rewrites, 60)
    fill(c, random.Random(3), 300)
    wanted = c.call("DEBUG", "DIGEST")
    equal(c.call("DEBUG", "LOADAOF"), "OK", "a base and what follows it")
    equal(c.call("DEBUG", "DIGEST"), wanted)
    equal(c.call("FCALL", "f", 0), 7, "functions are in the base")
    server.restart()
    c = env.client(2, server)
    equal(c.call("DEBUG", "DIGEST"), wanted, "after a restart")


@cairn_only("replay is ours")
def test_loadaof_beside_writers_loses_nothing(env):
    server = env.start()
    c = env.client(2, server)
    acknowledged = [0] * 3
    stop = threading.Event()

    def write(index):
        with env.client(2, server) as writer:
            while not stop.is_set():
                reply = writer.call("INCR", "n%d" % index)
                if not isinstance(reply, Error):
                    acknowledged[index] += 1
                elif not reply.text.startswith(b"LOADING"):
                    break

    threads = [threading.Thread(target=write, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        equal(c.call("DEBUG", "LOADAOF"), b"OK")
    stop.set()
    for thread in threads:
        thread.join()
    for i in range(3):
        equal(int(c.call("GET", "n%d" % i) or 0), acknowledged[i], "counter %d" % i)
    wanted = c.call("DEBUG", "DIGEST")
    equal(c.call("DEBUG", "LOADAOF"), b"OK")
    equal(c.call("DEBUG", "DIGEST"), wanted)


@cairn_only("replay is ours")
def test_loadaof_is_refused_where_it_cannot_work(env):
    c = env.client(2, env.start(appendonly="no"))
    check("appendonly" in str(c.call("DEBUG", "LOADAOF")), "no journal")
    c = env.client(2, env.start())
    c.call("SET", "a", 1)
    c.call("MULTI")
    c.call("DEBUG", "LOADAOF")
    check("inside MULTI" in str(c.call("EXEC")[0]), "inside EXEC")
    equal(c.call("GET", "a"), b"1")
