# SPDX-License-Identifier: BSD-3-Clause
"""MIGRATE to and from another server, redis-server included."""

import socket
import threading

from harness import ONCE, THREADS, Error, Server, cairn_only, check, equal, eventually, matrix
from harness.server import free_port, oracle_binary

MATRIX = THREADS

HOST = "127.0.0.1"


def targets(env):
    """Another Cairn, and redis-server where there is one."""
    yield env.start()
    if oracle_binary():
        server = Server(binary=oracle_binary(), threads=1)
        env.own.append(server)
        yield server


def fill(c):
    c.call("SET", "string", "text")
    c.call("SET", "number", 17)
    c.call("SET", "mortal", "v", "PX", 100_000)
    c.call("RPUSH", "list", *range(300))
    c.call("SADD", "set", "a", "b", "c")
    c.call("HSET", "hash", "f", "v", "g", "w")
    c.call("ZADD", "zset", 1, "one", 2.5, "two")
    c.call("XADD", "stream", "1-1", "f", "v")


KEYS = ("string", "number", "mortal", "list", "set", "hash", "zset", "stream")


def content(c):
    return (c.call("GET", "string"), c.call("GET", "number"), c.call("GET", "mortal"),
            c.call("LRANGE", "list", 0, -1), sorted(c.call("SMEMBERS", "set")),
            c.call("HGET", "hash", "g"), c.call("ZSCORE", "zset", "two"),
            c.call("XLEN", "stream"))


def test_all_types_go_there_and_come_back(env):
    c = env.c
    for target in targets(env):
        other = env.client(server=target)
        fill(c)
        want = content(c)
        equal(c.call("MIGRATE", HOST, target.port, "", 0, 60000, "KEYS", *KEYS, "nosuch"), b"OK")
        equal(c.call("DBSIZE"), 0)
        equal(content(other), want)
        check(90_000 < other.call("PTTL", "mortal") <= 100_000)
        equal(other.call("MIGRATE", HOST, env.server.port, "", 0, 60000, "KEYS", *KEYS), b"OK")
        equal(content(c), want)
        equal(other.call("DBSIZE"), 0)
        c.call("FLUSHALL")


def test_copy_replace_and_databases(env):
    c = env.c
    for target in targets(env):
        other = env.client(server=target)
        c.call("SET", "k", "new")
        equal(c.call("MIGRATE", HOST, target.port, "k", 3, 60000, "COPY"), b"OK")
        equal(c.call("GET", "k"), b"new")
        other.call("SELECT", 3)
        equal(other.call("GET", "k"), b"new")
        c.call("SET", "k", "newer")
        equal(c.call("MIGRATE", HOST, target.port, "k", 3, 60000).text,
              "ERR Target instance replied with error: BUSYKEY Target key name already exists.")
        c.call("SET", "free", "v")
        reply = c.call("MIGRATE", HOST, target.port, "", 3, 60000, "KEYS", "k", "free")
        check(isinstance(reply, Error) and b"BUSYKEY" in reply.text, reply)
        equal(c.call("EXISTS", "k", "free"), 1)  # the one that was taken has gone
        equal(c.call("MIGRATE", HOST, target.port, "k", 3, 60000, "REPLACE"), b"OK")
        equal(c.call("EXISTS", "k"), 0)
        equal(other.call("GET", "k"), b"newer")


def test_nokey_and_wrong_requests(env):
    c = env.c
    equal(c.call("MIGRATE", HOST, 1, "nosuch", 0, 10), b"NOKEY")
    equal(c.call("MIGRATE", HOST, 1, "", 0, 10, "KEYS", "nosuch"), b"NOKEY")
    c.call("SET", "k", "v")
    for words, text in (
            ((HOST, 1, "k", 0, 10, "KEYS", "a"), "ERR When using MIGRATE KEYS option, the key "
             "argument must be set to the empty string"),
            ((HOST, 1, "k", "x", 10), "ERR value is not an integer or out of range"),
            ((HOST, 1, "k", 0, "x"), "ERR value is not an integer or out of range"),
            ((HOST, 1, "k", 0, 10, "AUTH"), "ERR syntax error"),
            ((HOST, 1, "k", 0, 10, "AUTH2", "a"), "ERR syntax error"),
            ((HOST, 1, "k", 0, 10, "NOSUCH"), "ERR syntax error")):
        equal(c.call("MIGRATE", *words).text, text)
    equal(c.call("MIGRATE", HOST, free_port(), "k", 0, 1000).code, b"IOERR")
    equal(c.call("GET", "k"), b"v")
    equal(c.call("COMMAND", "GETKEYS", "MIGRATE", HOST, 1, "", 0, 10, "AUTH2", "keys", "keys",
                 "KEYS", "a", "b"), [b"a", b"b"])


def test_passwords(env):
    c = env.c
    for target in targets(env):
        other = env.client(server=target)
        other.call("ACL", "SETUSER", "mover", "on", ">word", "+@all", "~*")
        other.call("CONFIG", "SET", "requirepass", "secret")
        c.call("SET", "k", "v")
        reply = c.call("MIGRATE", HOST, target.port, "k", 0, 60000)
        check(b"replied with error: NOAUTH" in reply.text, reply)
        reply = c.call("MIGRATE", HOST, target.port, "k", 0, 60000, "AUTH", "wrong")
        check(b"replied with error: WRONGPASS" in reply.text, reply)
        equal(c.call("MIGRATE", HOST, target.port, "k", 0, 60000, "AUTH", "secret", "COPY"), b"OK")
        equal(c.call("MIGRATE", HOST, target.port, "k", 0, 60000, "REPLACE", "AUTH2", "mover",
                     "word"), b"OK")
        equal(other.call("GET", "k"), b"v")


class SlowTarget:
    """Takes what it is sent and answers only when told."""

    def __init__(self):
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        self.received = b""
        self.answer = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        connection, _ = self.listener.accept()
        with connection:
            while b"RESTORE" not in self.received:
                self.received += connection.recv(65536)
            self.answer.wait(60)
            connection.sendall(b"+OK\r\n+OK\r\n+OK\r\n")
            try:
                connection.recv(1)  # till the other side ends
            except ConnectionError:
                pass
        self.listener.close()


@cairn_only("redis-server waits for the target itself")
def test_others_go_on_and_changed_keys_stay(env):
    server = env.start(threads=1, appendonly="yes")
    c, other = env.client(server=server), env.client(server=server)
    target = SlowTarget()
    c.call("MSET", "same", "v", "changed", "v")
    c.send("MIGRATE", HOST, target.port, "", 0, 60000, "KEYS", "same", "changed")
    eventually(lambda: b"RESTORE" in target.received)
    equal(other.call("GET", "changed"), b"v")
    equal(other.call("SET", "changed", "newer"), b"OK")
    target.answer.set()
    reply = c.read()
    check(isinstance(reply, Error) and reply.text.startswith(b"ERR 1 of the keys changed"), reply)
    equal(other.call("MGET", "same", "changed"), [None, b"newer"])
    server.restart()
    equal(env.client(server=server).call("MGET", "same", "changed"), [None, b"newer"])


@cairn_only("redis-server waits for the target itself")
def test_keys_go_though_the_client_has_gone(env):
    server = env.start()
    c, other = env.client(server=server), env.client(server=server)
    target = SlowTarget()
    c.call("SET", "k", "v")
    c.send("MIGRATE", HOST, target.port, "k", 0, 60000)
    eventually(lambda: b"RESTORE" in target.received)
    c.close()
    target.answer.set()
    eventually(lambda: other.call("EXISTS", "k") == 0)


@cairn_only("redis-server migrates inside MULTI, and waits")
@matrix(ONCE)
def test_not_inside_a_transaction(env):
    c = env.c
    c.call("SET", "k", "v")
    c.call("MULTI")
    c.call("MIGRATE", HOST, 1, "k", 0, 1000)
    [reply] = c.call("EXEC")
    check(isinstance(reply, Error) and b"transaction" in reply.text, reply)


def test_a_kept_connection_may_have_ended(env):
    c = env.c
    target = env.start()
    c.call("MSET", "a", "1", "b", "2")
    equal(c.call("MIGRATE", HOST, target.port, "a", 0, 60000), b"OK")
    env.client(server=target).call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    equal(c.call("MIGRATE", HOST, target.port, "b", 0, 60000), b"OK")
    equal(env.client(server=target).call("MGET", "a", "b"), [b"1", b"2"])


@cairn_only("redis-server keeps connections by address alone")
def test_a_connection_is_kept_for_who_knows_its_password(env):
    c = env.c
    target = env.start(requirepass="secret")
    for name in ("a", "b"):
        c.call("SET", name, 1)
    equal(c.call("MIGRATE", HOST, target.port, "a", 0, 60000, "AUTH", "secret"), b"OK")
    check(b"NOAUTH" in c.call("MIGRATE", HOST, target.port, "b", 0, 60000).text)
    equal(c.call("MIGRATE", HOST, target.port, "b", 0, 60000, "AUTH", "secret"), b"OK")


class SilentTarget:
    """Takes the first key that it is sent, and says nothing more."""

    def __init__(self):
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        self.received = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self._take, args=(connection,), daemon=True).start()

    def _take(self, connection):
        answered = b"RESTORE" in self.received
        while data := connection.recv(65536):
            self.received += data
            if b"RESTORE" in self.received and not answered:
                answered = True
                connection.sendall(b"+OK\r\n+OK\r\n")


def test_what_a_target_may_have_taken_is_not_sent_again(env):
    """A kept connection that has ended is tried again, one that takes its time is not."""
    c = env.c
    target = SilentTarget()
    c.call("MSET", "first", "v", "second", "v")
    equal(c.call("MIGRATE", HOST, target.port, "first", 0, 60000), b"OK")
    reply = c.call("MIGRATE", HOST, target.port, "second", 0, 200)
    check(isinstance(reply, Error) and reply.text.startswith(b"IOERR"), reply)
    eventually(lambda: b"second" in target.received)
    equal(target.received.count(b"second"), 1)
    equal(c.call("EXISTS", "second"), 1)
