#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""kill -9 at random instants under appendfsync always: every acknowledged write is there after the
restart, and none of them half.

Each writer owns keys of its own and numbers its writes: a counter (INCR), a pair that is only ever
changed together (MSET), a list whose elements are consecutive (RPUSH), and two counters changed in
one transaction. What was acknowledged last is a lower bound; what was sent last an upper one.

    python3 -m crash.run [--rounds 50] [--seed N]
"""
import argparse
import os
import random
import subprocess
import sys
import threading
import time

from harness.resp import Error
from harness.server import Server, oracle_binary

WRITERS = 6


class Writer(threading.Thread):
    def __init__(self, server, number, state):
        super().__init__(daemon=True)
        self.server, self.number, self.state = server, number, state
        self.failure = None

    def run(self):
        state, n = self.state, self.number
        try:
            client = self.server.client(timeout=10)
            while True:
                state["sent"] += 1
                value = state["sent"]
                replies = client.pipeline([
                    ("INCR", f"counter:{n}"),
                    ("MSET", f"left:{n}", value, f"right:{n}", value),
                    ("RPUSH", f"list:{n}", value),
                    ("MULTI",), ("INCR", f"a:{n}"), ("INCR", f"b:{n}"), ("EXEC",)])
                for reply in replies:
                    if isinstance(reply, Error):
                        self.failure = "refused: %r" % reply
                        return
                state["acknowledged"] = value
        except (OSError, EOFError):
            pass  # the kill


def verify(client, states, problems):
    for n, state in enumerate(states):
        low, high = state["acknowledged"], state["sent"]

        def number(key):
            value = client.call("GET", key)
            return int(value) if value is not None else 0

        for key in ("counter", "left", "right", "a", "b"):
            value = number(f"{key}:{n}")
            if not low <= value <= high:
                problems.append(f"{key}:{n} is {value}, acknowledged {low}, sent {high}")
        if number(f"left:{n}") != number(f"right:{n}"):
            problems.append(f"half an MSET of writer {n}")
        if number(f"a:{n}") != number(f"b:{n}"):
            problems.append(f"half a transaction of writer {n}")
        elements = [int(e) for e in client.call("LRANGE", f"list:{n}", 0, -1)]
        if elements != list(range(1, len(elements) + 1)) or not low <= len(elements) <= high:
            problems.append(f"list:{n} has {len(elements)} elements, acknowledged {low}, sent {high}")
        # The next round counts on from what is there.
        real = number(f"counter:{n}")
        for key in ("left", "right", "a", "b"):
            client.call("SET", f"{key}:{n}", real)
        client.call("DEL", f"list:{n}")
        for start in range(1, real + 1, 1000):
            client.call("RPUSH", f"list:{n}", *range(start, min(start + 1000, real + 1)))
        state["sent"] = state["acknowledged"] = real


def same_as_oracle(server, problems):
    """The journal, read by stock tools, gives redis-server the same data."""
    folder = os.path.join(server.folder, "appendonlydir")
    check = os.path.join(os.path.dirname(server.binary), "cairn-check")
    if not os.path.exists(check):
        return False
    oracle = Server(oracle_binary())
    try:
        with server.client() as mine, oracle.client() as other:
            stream = subprocess.run([check, "cat", folder], capture_output=True, check=True).stdout
            other.sock.settimeout(60)
            sender = threading.Thread(target=other.sock.sendall, args=(stream,), daemon=True)
            sender.start()
            time.sleep(0.1)
            with oracle.client() as probe:
                want = mine.call("DBSIZE")
                for _ in range(200):
                    if not sender.is_alive() and probe.call("DBSIZE") == want:
                        break
                    time.sleep(0.05)
                for key in sorted(mine.call("KEYS", "*")):
                    kind = mine.call("TYPE", key)
                    words = ("LRANGE", key, 0, -1) if kind == b"list" else ("GET", key)
                    if mine.call(*words) != probe.call(*words):
                        problems.append(f"{key!r} differs in redis-server after cairn-check cat")
    finally:
        oracle.discard()
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    args = parser.parse_args()
    rng = random.Random(args.seed)
    print(f"seed {args.seed}")
    server = Server(appendonly="yes", appendfsync="always", threads=4, journal_segment_size="1mb")
    states = [{"sent": 0, "acknowledged": 0} for _ in range(WRITERS)]
    passed = failed = 0
    try:
        for number in range(args.rounds):
            writers = [Writer(server, n, states[n]) for n in range(WRITERS)]
            for writer in writers:
                writer.start()
            time.sleep(rng.uniform(0.02, 0.4))
            clean = rng.random() < 0.1
            server.stop() if clean else server.kill()
            for writer in writers:
                writer.join(20)
            problems = [w.failure for w in writers if w.failure]
            server.start()
            with server.client() as client:
                verify(client, states, problems)
            if number == args.rounds - 1 and same_as_oracle(server, problems):
                print("the journal was compared with redis-server")
            for problem in problems:
                print(f"round {number}: {problem}")
            passed, failed = passed + (not problems), failed + bool(problems)
    finally:
        server.discard(keep=failed > 0)
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
