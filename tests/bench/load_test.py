# SPDX-License-Identifier: BSD-3-Clause
"""cairn-load does what it says. Nothing here says how fast anything is."""

import json
import os
import socket
import subprocess
import threading
import time

from harness import ONCE, check, equal
from harness.server import server_binary

MATRIX = ONCE

LOAD = os.path.join(os.path.dirname(server_binary()), "cairn-load")


def run(port, *words):
    return subprocess.run([LOAD, "--port", str(port), "--warmup", "0", *map(str, words)],
                          capture_output=True, text=True)


def load(port, *words):
    done = run(port, *words)
    equal(done.returncode, 0, done.stderr)
    return json.loads(done.stdout)


def test_every_workload_gets_replies(env):
    names = [line.split()[0] for line in subprocess.run(
        [LOAD, "--list"], capture_output=True, text=True).stdout.splitlines() if line[0] != " "]
    check(len(names) > 20, "only %r" % names)
    for name in names:
        env.c.call("FLUSHALL")
        figures = load(env.server.port, "--workload", name, "--fill", "--keys", 50, "--pipeline", 3,
                       "--connections", 3, "--requests", 200)
        equal(figures["requests"], 200, name)


def test_each_request_is_sent_once(env):
    for pipeline, connections, threads, requests in ((1, 1, 1, 10), (16, 7, 2, 1003), (64, 3, 3, 5)):
        env.c.call("FLUSHALL")
        figures = load(env.server.port, "--workload", "incr", "--keys", 1, "--pipeline", pipeline,
                       "--connections", connections, "--threads", threads, "--requests", requests)
        equal(figures["requests"], requests)
        equal(env.c.call("GET", "counter:" + "0" * 12), str(requests))


def test_fill_makes_what_is_found(env):
    equal(load(env.server.port, "--requests", 1000, "--keys", 300)["nils"], 1000)
    filled = load(env.server.port, "--requests", 1000, "--keys", 300, "--fill", "--value", 1000)
    equal(filled["nils"], 0)
    equal(env.c.call("DBSIZE"), 300)
    equal(env.c.call("STRLEN", "key:" + "0" * 9 + "299"), 1000)


def test_large_values_in_pipelines(env):
    figures = load(env.server.port, "--command", "SET key:%k %v | GET key:%k", "--value", 1 << 20,
                   "--keys", 3, "--fill", "--pipeline", 8, "--connections", 4, "--requests", 100)
    equal(figures["requests"], 100)


def test_an_error_reply_fails_the_run(env):
    env.c.call("SET", "list", "no list")
    done = run(env.server.port, "--command", "RPUSH list a", "--requests", 10)
    equal(done.returncode, 1)
    check("WRONGTYPE" in done.stderr, done.stderr)
    done = run(env.server.port, "--command", "MULTI ; INCR list ; EXEC", "--requests", 10)
    equal(done.returncode, 1)
    check("not an integer" in done.stderr, done.stderr)


def may_go_before_others():
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        return False
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return True


def test_real_time(env):
    figures = load(env.server.port, "--workload", "ping", "--requests", 10, "--real-time")
    equal(figures["real_time"], may_go_before_others())
    check("real_time" not in load(env.server.port, "--workload", "ping", "--requests", 10),
          "said where it was not asked for")


def test_distributions(env):
    keys, requests = 100, 20000
    share = {}
    for name in ("uniform", "zipf"):
        env.c.call("FLUSHALL")
        load(env.server.port, "--workload", "incr", "--keys", keys, "--distribution", name,
             "--exponent", 1, "--pipeline", 50, "--requests", requests)
        counts = sorted((int(env.c.call("GET", "counter:%012d" % k) or 0) for k in range(keys)),
                        reverse=True)
        equal(sum(counts), requests)
        share[name] = counts
    check(max(share["uniform"]) < 2 * requests / keys, "uniform: %r" % share["uniform"][:5])
    # The n-th of a hundred ranks has 1 / (n * 5.187) of all.
    for n in (1, 2, 10):
        expected = requests / (n * 5.187)
        check(0.8 * expected < share["zipf"][n - 1] < 1.2 * expected,
              "zipf, rank %d: %d instead of %d" % (n, share["zipf"][n - 1], expected))


class Stalling(threading.Thread):
    """A server for one connection that answers PINGs, but says nothing for a while in between."""

    def __init__(self, seconds):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.seconds = self.listener.getsockname()[1], seconds

    def run(self):
        sock, _ = self.listener.accept()
        answered = 0
        try:
            while data := sock.recv(1 << 16):
                if answered < 100 <= answered + data.count(b"PING"):
                    time.sleep(self.seconds)
                answered += data.count(b"PING")
                sock.sendall(b"+PONG\r\n" * data.count(b"PING"))
        except OSError:
            pass  # cairn-load resets its connections


def test_a_pause_counts_for_all_that_were_due(env):
    server = Stalling(0.3)
    server.start()
    figures = load(server.port, "--workload", "ping", "--connections", 1, "--rate", 1000,
                   "--seconds", 1)
    equal(figures["counted"], 1000)
    # Some 300 were due in the pause; of those a hundred waited for 0.2 s and more.
    check(figures["max_us"] >= 295_000, "longest: %r" % figures["max_us"])
    check(figures["p99_us"] >= 200_000, "p99: %r" % figures["p99_us"])


def test_a_rate_that_is_too_high_is_counted_whole(env):
    server = Stalling(0.5)
    server.start()
    figures = load(server.port, "--workload", "ping", "--connections", 1, "--rate", 1000,
                   "--seconds", 0.3)
    equal(figures["counted"], 300)
    check(figures["unsent"] > 0, "all were sent: %r" % figures)


def test_subscribers_get_messages(env):
    figures = load(env.server.port, "--workload", "publish", "--subscribers", 5, "--connections", 2,
                   "--requests", 2000)
    check(0 < figures["messages"] <= 5 * 2000, "%r messages" % figures["messages"])


def test_unix_socket(env):
    path = os.path.join(env.folder(), "socket")
    env.start(unixsocket=path)
    equal(load(1, "--unix", path, "--workload", "ping", "--requests", 100)["requests"], 100)


def test_cpu_time(env):
    figures = load(env.server.port, "--workload", "ping", "--cpu-of", env.server.pid,
                   "--requests", 5000)
    check(figures["cpu_us"] > 0, "%r" % figures)
