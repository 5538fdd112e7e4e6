#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Blocked clients on many keys of many shards, four worker threads; every element is counted.

Pushers put elements that are told apart into lists, sorted sets and a stream, one by one, in
batches and in transactions. Clients pop them with every blocking command, on one key and on many,
with timeouts of all lengths, while others end their waits with CLIENT UNBLOCK, kill them, or hang
up in mid-wait. Those who may die only move elements (BLMOVE), so that what they were given is in
their list whether or not they lived to read it. In the end every element is in one place exactly
once: with a client, in a list, in a set, or pending in the stream's group.

    python3 -m concurrency.blocking [--seconds 5] [--seed N]
"""
import argparse
import collections
import random
import sys
import threading
import time

from harness.checks import PATIENCE
from harness.resp import Error, encode
from harness.server import Server

LISTS = [b"list:%d" % n for n in range(24)]
SETS = [b"set:%d" % n for n in range(12)]
STREAM = b"stream"
UNBLOCKED = b"UNBLOCKED"
ENDS = ("served", "timed out", "unblocked", "killed", "hung up")


class Shared:
    """What the threads have in common."""

    def __init__(self, server, seconds):
        self.server = server
        self.until = time.monotonic() + seconds
        self.pushers = 0
        self.lock = threading.Lock()
        self.ids = {}  # name of a consumer -> its client id
        self.pushed, self.taken = collections.Counter(), collections.Counter()
        self.ends = collections.Counter()
        self.errors = []

    def over(self):
        """The time is up, and every way for a wait to end has been seen, however slow it all is."""
        late_s = time.monotonic() - self.until
        return late_s > 0 and (late_s > PATIENCE or all(self.ends[what] for what in ENDS))

    def drained(self):
        return self.over() and self.pushers == 0


class Worker(threading.Thread):
    """A thread with a connection, which is made again when it was lost."""

    def __init__(self, shared, name, seed):
        super().__init__(daemon=True, name=name)
        self.shared, self.rng = shared, random.Random(seed)
        self.client = None

    def connect(self):
        if self.client is not None:
            self.client.close()
        self.client = self.shared.server.client(self.rng.choice((2, 3)))

    def run(self):
        try:
            self.connect()
            self.body()
        except Exception as error:  # reported by the suite
            self.shared.errors.append("%s: %s: %s" % (self.name, type(error).__name__, error))
        finally:
            self.client.close()


class Pusher(Worker):
    def body(self):
        pushed, number = collections.Counter(), 0
        while not self.shared.over():
            commands, batch = [], []
            for _ in range(self.rng.choice((1, 1, 1, 3, 20))):
                element = b"%s.%d" % (self.name.encode(), number)
                number += 1
                batch.append(element)
                kind = self.rng.random()
                if kind < 0.6:
                    commands.append((self.rng.choice((b"LPUSH", b"RPUSH")),
                                     self.rng.choice(LISTS), element))
                elif kind < 0.8:
                    commands.append((b"ZADD", self.rng.choice(SETS), self.rng.random(), element))
                else:
                    commands.append((b"XADD", STREAM, b"*", b"element", element))
            if self.rng.random() < 0.3:
                commands = [(b"MULTI",), *commands, (b"EXEC",)]
            for reply in self.client.pipeline(commands):
                if isinstance(reply, Error):
                    raise AssertionError(repr(reply))
            pushed.update(batch)
        with self.shared.lock:
            self.shared.pushed.update(pushed)
            self.shared.pushers -= 1


class Consumer(Worker):
    """Waits, and notes what it was given."""

    def body(self):
        taken = collections.Counter()
        with self.shared.lock:
            self.shared.ids[self.name] = self.client.call("CLIENT", "ID")
        idle = 0
        while idle < 3:
            command, elements_of = self.choose()
            reply = self.client.call(*command)
            if isinstance(reply, Error):
                if reply.code != UNBLOCKED:
                    raise AssertionError(repr(reply))
                self.shared.ends["unblocked"] += 1
            elif reply is None:
                self.shared.ends["timed out"] += 1
                idle += self.shared.drained()
            else:
                taken.update(elements_of(reply))
                self.shared.ends["served"] += 1
        with self.shared.lock:
            self.shared.taken.update(taken)

    def timeout(self):
        if self.shared.over():
            return 0.02
        return self.rng.choice((0, 0.001, 0.003, 0.01, 0.05, 5))

    def choose(self):
        timeout, rng = self.timeout(), self.rng
        kind = rng.randrange(8)
        keys = rng.sample(LISTS, rng.choice((1, 1, 2, 5, len(LISTS))))
        if kind < 3:
            return (rng.choice((b"BLPOP", b"BRPOP")), *keys, timeout), lambda r: [r[1]]
        if kind == 3:
            return ((b"BLMPOP", timeout, len(keys), *keys, b"LEFT", b"COUNT", 3), lambda r: r[1])
        if kind == 4:
            sets = rng.sample(SETS, rng.choice((1, 3, len(SETS))))
            return (rng.choice((b"BZPOPMIN", b"BZPOPMAX")), *sets, timeout), lambda r: [r[1]]
        if kind == 5:
            return ((b"BZMPOP", timeout, len(SETS), *SETS, b"MAX", b"COUNT", 2),
                    lambda r: [member for member, _ in r[1]])
        if kind == 6:
            # Moved on to another list: counted where it is in the end.
            return ((b"BLMOVE", keys[0], rng.choice(LISTS), b"LEFT", b"RIGHT", timeout),
                    lambda r: [])
        return ((b"XREADGROUP", b"GROUP", b"g", self.name, b"COUNT", 5, b"BLOCK",
                 int(timeout * 1000), b"STREAMS", STREAM, b">"), self.stream_elements)

    def stream_elements(self, reply):
        streams = reply.items() if isinstance(reply, dict) else reply
        return [fields[1] for _, entries in streams for _, fields in entries]


class Mover(Worker):
    """May be killed or hang up at any time: takes elements to a list of its own."""

    def body(self):
        own = b"own:" + self.name.encode()
        while not self.shared.over():
            try:
                with self.shared.lock:
                    self.shared.ids[self.name] = self.client.call("CLIENT", "ID")
                for _ in range(self.rng.randrange(1, 30)):
                    source = self.rng.choice(LISTS)
                    self.client.call(b"BLMOVE", source, own, b"LEFT", b"RIGHT",
                                     self.rng.choice((0, 0.005, 0.02)))
                    if self.shared.over():
                        return
                # Hangs up while it waits.
                self.client.send_raw(encode(b"BLMOVE", source, own, b"LEFT", b"RIGHT", 0) * 3)
                self.shared.ends["hung up"] += 1
            except (EOFError, ConnectionError):
                self.shared.ends["killed"] += 1
            self.connect()


class Unblocker(Worker):
    """Ends waits and connections from outside, until all others are gone."""

    def __init__(self, shared, name, seed, others):
        super().__init__(shared, name, seed)
        self.others = others

    def body(self):
        while any(thread.is_alive() for thread in self.others):
            with self.shared.lock:
                ids = list(self.shared.ids.items())
            if not ids:
                continue
            name, client_id = self.rng.choice(ids)
            if name.startswith("mover") and self.rng.random() < 0.2:
                self.client.call("CLIENT", "KILL", "ID", client_id)
            else:
                how = self.rng.choice(((), ("TIMEOUT",), ("ERROR",)))
                self.client.call("CLIENT", "UNBLOCK", client_id, *how)
            # Those who wait for ever need it in the end; others should mostly be served.
            time.sleep(0.0005 if self.shared.over() else 0.003)


def left_over(client, names):
    """What nobody took: by element, how often it is in the data."""
    left = collections.Counter()
    for key in LISTS + [b"own:" + name.encode() for name in names]:
        left.update(client.call("LRANGE", key, 0, -1))
    for key in SETS:
        left.update(client.call("ZRANGE", key, 0, -1))
    return left


def check_stream(client, taken):
    """Entries added, less those given to somebody: what the group has not read yet."""
    info = client.call("XINFO", "GROUPS", STREAM)[0]
    info = info if isinstance(info, dict) else dict(zip(info[::2], info[1::2]))
    length, read = client.call("XLEN", STREAM), info[b"entries-read"]
    fields = {entry: pairs[1] for entry, pairs in client.call("XRANGE", STREAM, "-", "+")}
    pending = [p[0] for p in client.call("XPENDING", STREAM, "g", "-", "+", length + 1)]
    problems = []
    if len(pending) != len(set(pending)) or len(pending) != (read or 0):
        problems.append("%d entries are pending, %d were read" % (len(pending), read))
    given = {fields[entry] for entry in pending}
    of_stream = set(fields.values())
    if {e for e in taken if e in of_stream} != given:
        problems.append("consumers got other entries than the group says")
    unread = collections.Counter(of_stream - given)
    return problems, unread


def run(seconds, seed):
    server = Server(threads=4, appendonly="yes")
    try:
        client = server.client()
        client.call("XGROUP", "CREATE", STREAM, "g", "0", "MKSTREAM")
        shared = Shared(server, seconds)
        pushers = [Pusher(shared, "pusher%d" % n, seed + n) for n in range(5)]
        consumers = [Consumer(shared, "consumer%d" % n, seed + 100 + n) for n in range(24)]
        movers = [Mover(shared, "mover%d" % n, seed + 200 + n) for n in range(6)]
        others = pushers + consumers + movers
        shared.pushers = len(pushers)
        unblockers = [Unblocker(shared, "unblocker%d" % n, seed + 300 + n, others)
                      for n in range(2)]
        for thread in others + unblockers:
            thread.start()
        patience = time.monotonic() + seconds + 5 * PATIENCE
        for thread in others + unblockers:
            thread.join(max(0, patience - time.monotonic()))
            if thread.is_alive():
                shared.errors.append("%s never ended" % thread.name)
        results = {"threads": shared.errors}
        if not shared.errors:
            problems, unread = check_stream(client, shared.taken)
            found = shared.taken + left_over(client, [m.name for m in movers]) + unread
            lost, doubled = shared.pushed - found, found - shared.pushed
            if lost:
                problems.append("%d elements are lost: %r" % (len(lost), list(lost)[:5]))
            if doubled:
                problems.append("%d too many: %r" % (len(doubled), list(doubled)[:5]))
            results["elements"] = problems
            results["waits"] = ["nobody was %s" % what for what in ENDS if not shared.ends[what]]
            print("%d elements; %s" % (sum(shared.pushed.values()), dict(shared.ends)))
            results["registrations"] = registrations(client)
        client.close()
        status = server.stop()
        results["shutdown"] = [] if status == 0 else ["exit status %s" % status]
        problem = server.problem()
        results["server"] = [problem] if problem else []
    finally:
        server.discard()
    return results


def registrations(client):
    """Nobody waits any more: nothing may be left in the queues."""
    deadline = time.monotonic() + PATIENCE
    while True:
        text = client.call("INFO", "clients").decode()
        numbers = dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)
        left = [name for name in ("blocked_clients", "total_blocking_keys",
                                  "total_blocking_keys_on_nokey") if numbers[name] != "0"]
        if not left or time.monotonic() > deadline:
            return ["%s:%s" % (name, numbers[name]) for name in left]
        time.sleep(0.05)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    args = parser.parse_args()
    print("seed %d" % args.seed)
    results = run(args.seconds, args.seed)
    for name, errors in results.items():
        for error in errors:
            print("%s: %s" % (name, error))
    failed = sum(bool(errors) for errors in results.values())
    print("%d passed, %d failed" % (len(results) - failed, failed))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
