# SPDX-License-Identifier: BSD-3-Clause
"""MONITOR: lines of all threads, as Redis prints them."""

import re

from harness.checks import check, equal
from harness.matrix import FULL, matrix
from harness.resp import Error

LINE = re.compile(rb"(\d+\.\d{6}) \[(\d+) ([^\]]+)\] (.*)")


class Monitor:
    def __init__(self, env):
        self.client = env.client()
        equal(self.client.call("MONITOR"), b"OK")

    def line(self):
        """(database, who, the command) of the next line."""
        text = self.client.read_any()[0]
        found = LINE.fullmatch(text)
        check(found, "not a line: %r" % (text,))
        return int(found[2]), found[3], found[4]


@matrix(FULL)
def test_lines(env):
    monitor = Monitor(env)
    c = env.c
    host, port = c.sock.getsockname()[:2]
    me = b"%s:%d" % (host.encode(), port)
    if env.protocol == 3:
        equal(monitor.line(), (0, me, b'"HELLO" "3"'))
    for command, wanted in (
            (("PING",), (0, b'"PING"')),
            (("select", "1"), (1, b'"select" "1"')),
            (("SET", b'k\n\x01"\\\xff', "v"), (1, b'"SET" "k\\n\\x01\\"\\\\\\xff" "v"')),
            (("GET",), None),
            (("NOSUCH",), None),
            (("AUTH", "secret"), (1, b'"AUTH" "(redacted)"')),
            (("AUTH", "user", "secret"), (1, b'"AUTH" "(redacted)" "(redacted)"')),
            (("CONFIG", "GET", "maxmemory"), None),
            (("CLIENT", "LIST"), None),
            (("CLIENT", "ID"), (1, b'"CLIENT" "ID"')),
            (("MULTI",), (1, b'"MULTI"')),
            (("SET", "a", "1"), None),
            (("GET", "a"), None)):
        c.call(*command)
        if wanted:
            equal(monitor.line(), (wanted[0], me, wanted[1]), "%r" % (command,))
    c.call("EXEC")
    equal([monitor.line()[2] for _ in range(3)], [b'"SET" "a" "1"', b'"GET" "a"', b'"EXEC"'])
    c.send("SUBSCRIBE", "c")
    equal(monitor.line()[2], b'"SUBSCRIBE" "c"')


@matrix(FULL)
def test_a_monitor_does_not_touch_keys(env):
    env.c.call("PING")  # is connected before anybody listens
    monitor = Monitor(env)
    c = monitor.client
    check(b" flags=O " in env.c.call("CLIENT", "LIST"))
    for command in (("GET", "x"), ("SET", "x", "1"), ("PUBLISH", "a", "b")):
        equal(c.call(*command), Error(b"ERR Replica can't interact with the keyspace"))
    c.send("PING")
    got = {c.read_any()[0] for _ in range(2)}
    check(b"PONG" in got)
    equal(c.call("RESET"), b"RESET")
    if env.protocol == 3:
        equal(c.call("HELLO", 3)[b"proto"], 3)
    env.c.call("SET", "x", "1")
    equal(c.call("GET", "x"), b"1")
    check(c.nothing_to_read())
    c.call("MULTI")
    c.call("MONITOR")
    equal(c.call("EXEC"), [Error(b"ERR MONITOR isn't allowed for DENY BLOCKING client")])


@matrix([(2, 4)])
def test_one_order_for_all(env):
    """Two monitors see the commands of eight clients on all workers in the same order, and the
    commands of one client in its own."""
    monitors = [Monitor(env), Monitor(env)]
    clients = [env.client() for _ in range(8)]
    count = 100
    for client in clients:
        client.send_raw(b"".join(b"INCR k%d\r\n" % i for i in range(count)))
    for client in clients:
        for _ in range(count):
            client.read()
    lines = [[monitor.line() for _ in range(count * len(clients))] for monitor in monitors]
    equal(lines[0], lines[1])
    for who in {line[1] for line in lines[0]}:
        equal([text for _, name, text in lines[0] if name == who],
              [b'"INCR" "k%d"' % i for i in range(count)])


@matrix([(2, 1), (2, 4)])
def test_scripts_stand_before_what_they_do(env):
    c = env.c
    c.call("PING")
    monitor = Monitor(env)
    text = "redis.call('set', KEYS[1], 1) return redis.call('incr', KEYS[1])"
    equal(c.call("EVAL", text, 1, "k"), 2)
    lines = [monitor.line() for _ in range(3)]
    equal([line[2] for line in lines],
          [b'"EVAL" "' + text.encode() + b'" "1" "k"', b'"set" "k" "1"', b'"incr" "k"'])
    equal([line[1] for line in lines[1:]], [b"lua", b"lua"])
