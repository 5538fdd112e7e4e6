#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Transactions, scripts, blocking, pub/sub, client-side caching and MONITOR at once, four threads.

    movers       move amounts between accounts: by WATCH/MULTI/EXEC with a message inside, by a
                 script that declares its keys, by one that does not, by a function; the total is
                 constant
    auditors     see that total in every MGET, EXEC and script
    producers    put numbered jobs into queues: plainly, in transactions, from scripts
    consumers    take them with blocking commands while somebody unblocks them; each comes once
    listeners    hear every publisher's messages in the order published, none missing
    cachers      keep what they read until they are told; in the end nothing they keep is stale
    a monitor    reads every line; a disturber changes what can be changed at any time

    python3 -m concurrency.together [--seconds 5] [--seed N]
"""
import argparse
import collections
import random
import sys
import threading
import time

from harness.resp import Error, Push
from harness.server import Server

ACCOUNTS = [b"account:%d" % n for n in range(12)]
START = 1000
QUEUES = [b"queue:%d" % n for n in range(6)]
RANKED = b"ranked"
DEADLINE_S = 60  # for what has to come true in the end, on a machine however loaded

MOVE = """
local a, b = KEYS[1] or ARGV[2], KEYS[2] or ARGV[3]
local have = tonumber(redis.call('GET', a))
if have < tonumber(ARGV[1]) then return 0 end
redis.call('DECRBY', a, ARGV[1])
redis.call('INCRBY', b, ARGV[1])
return 1
"""
LIBRARY = "#!lua name=moving\nredis.register_function('move', function(KEYS, ARGV) %s end)" % MOVE
SUM = "local t = 0 for _, k in ipairs(KEYS) do t = t + redis.call('GET', k) end return t"


class Shared:
    def __init__(self, server, seconds):
        self.server, self.until = server, time.monotonic() + seconds
        self.lock = threading.Lock()
        self.errors, self.counts = [], collections.Counter()
        self.made, self.taken = set(), collections.Counter()
        self.waiting = {}   # consumer -> client id
        self.producers = 0  # that have not ended
        self.published = {}  # channel -> how many

    def over(self):
        return time.monotonic() > self.until

    def count(self, what):
        with self.lock:
            self.counts[what] += 1


def good(reply):
    if isinstance(reply, Error):
        raise AssertionError(repr(reply))
    return reply


def mover(shared, number, rng):
    client = shared.server.client()
    while not shared.over():
        a, b = rng.sample(ACCOUNTS, 2)
        amount = rng.randrange(1, 40)
        way = rng.randrange(5)
        if way == 0:
            good(client.call("EVAL", MOVE, 2, a, b, amount))
        elif way == 1:
            good(client.call("EVAL", MOVE, 0, amount, a, b))
        elif way == 2:
            good(client.call("FCALL", "move", 2, a, b, amount))
        else:
            client.call("WATCH", a, b)
            have = [int(v) for v in client.call("MGET", a, b)]
            if have[0] >= amount:
                replies = client.pipeline([
                    ("MULTI",), ("SET", a, have[0] - amount), ("PUBLISH", "moves", number),
                    ("SET", b, have[1] + amount), ("EXEC",)])
                shared.count("moved" if good(replies[-1]) is not None else "conflicts")
            else:
                client.call("UNWATCH")


def auditor(shared, _, rng):
    client = shared.server.client(rng.choice((2, 3)))
    while not shared.over():
        seen = (sum(int(v) for v in client.call("MGET", *ACCOUNTS)),
                good(client.call("EVAL_RO", SUM, len(ACCOUNTS), *ACCOUNTS)),
                sum(int(v) for v in client.pipeline(
                    [("MULTI",), *[("GET", a) for a in ACCOUNTS], ("EXEC",)])[-1]))
        if set(seen) != {START * len(ACCOUNTS)}:
            raise AssertionError("totals of %r" % (seen,))
        shared.count("audits")


def producer(shared, number, rng):
    client = shared.server.client()
    made = 0
    while not shared.over():
        jobs = [b"%d.%d" % (number, made + i) for i in range(rng.randrange(1, 5))]
        made += len(jobs)
        with shared.lock:
            shared.made.update(jobs)
        queue, way = rng.choice(QUEUES), rng.randrange(4)
        if way == 0:
            good(client.call("RPUSH", queue, *jobs))
        elif way == 1:
            good(client.pipeline([("MULTI",), *[("LPUSH", rng.choice(QUEUES), j) for j in jobs],
                                  ("EXEC",)])[-1])
        elif way == 2:
            good(client.call("EVAL", "for _, j in ipairs(ARGV) do redis.call('LPUSH', KEYS[1], j) end",
                             1, queue, *jobs))
        else:
            good(client.call("ZADD", RANKED, *[x for j in jobs for x in (rng.randrange(9), j)]))
    with shared.lock:
        shared.producers -= 1


def consumer(shared, number, rng):
    client = shared.server.client(rng.choice((2, 3)))
    with shared.lock:
        shared.waiting[number] = client.call("CLIENT", "ID")
    while True:
        with shared.lock:
            drained = shared.producers == 0
        way = rng.randrange(3)
        # What is left when all is pushed is there at once for whoever looks everywhere.
        seconds = rng.choice((0.01, 0.05, 0.2))
        if way == 0 or drained:
            reply = client.call("BLPOP", *QUEUES, seconds)
            jobs = [reply[1]] if isinstance(reply, list) else []
        elif way == 1:
            reply = client.call("BLMPOP", seconds, 2, *rng.sample(QUEUES, 2), "RIGHT", "COUNT", 3)
            jobs = reply[1] if isinstance(reply, list) else []
        else:
            jobs = []
        if not jobs and (way == 2 or drained):
            reply = client.call("BZPOPMIN", RANKED, seconds)
            jobs = [reply[1]] if isinstance(reply, list) else []
        if isinstance(reply, Error) and not reply.text.startswith(b"UNBLOCKED"):
            raise AssertionError(repr(reply))
        with shared.lock:
            shared.taken.update(jobs)
        if drained and not jobs and not isinstance(reply, Error):
            return


def publisher(shared, number, rng):
    client = shared.server.client()
    channel, sent = "news.%d" % number, 0
    while shared.counts["subscribed"] < dict(ROLES)[listener]:
        time.sleep(0.01)
    while sent == 0 or not shared.over():
        batch = [("PUBLISH", channel, sent + i) for i in range(rng.randrange(1, 20))]
        for reply in client.pipeline(batch):
            good(reply)
        sent += len(batch)
    with shared.lock:
        shared.published[channel] = sent


def listener(shared, number, rng):
    """Half of them hear the channels, half the pattern, among subscriptions that come and go."""
    client = shared.server.client(3)
    channels = ["news.0", "news.1"]
    names = ("PSUBSCRIBE", "news.*") if number % 2 else ("SUBSCRIBE", *channels)
    client.send(*names)
    for _ in names[1:]:
        client.read_push()
    shared.count("subscribed")
    next_of = {}
    deadline = shared.until + DEADLINE_S
    while time.monotonic() < deadline:
        with shared.lock:
            whole = dict(shared.published)
        if len(whole) == 2 and all(next_of.get(c) == whole[c] for c in channels):
            return shared.count("listened")
        try:
            push = client.read_push(0.5)
        except TimeoutError:
            continue
        kind, message = push[0], push[-1]
        if kind in (b"message", b"pmessage") and push[-2] != b"odd":
            channel = push[-2].decode()
            if int(message) != next_of.get(channel, int(message)):
                raise AssertionError("%s: %s came, %s was due" % (channel, message, next_of[channel]))
            next_of[channel] = int(message) + 1
            if rng.random() < 0.02:
                client.send(rng.choice(("SUBSCRIBE", "UNSUBSCRIBE", "SSUBSCRIBE")), "odd")
    raise AssertionError("heard up to %r of %r" % (next_of, shared.published))


def cacher(shared, number, rng):
    client = shared.server.client(3)
    good(client.call("CLIENT", "TRACKING", "ON", *(("BCAST", "PREFIX", "account:") if number % 2 else ())))
    cache = {}

    def forget():
        for push in client.pushes:
            if push[0] == b"invalidate":
                for key in push[1] if push[1] is not None else list(cache):
                    cache.pop(key, None)
        client.pushes.clear()

    while not shared.over():
        key = rng.choice(ACCOUNTS)
        if key in cache and rng.random() < 0.9:
            client.call("PING")
            forget()
            continue
        value = client.call("GET", key)
        forget()
        cache[key] = value
    deadline = time.monotonic() + DEADLINE_S
    asker = shared.server.client()
    while any(asker.call("GET", key) != value for key, value in list(cache.items())):
        if time.monotonic() > deadline:
            raise AssertionError("stale: %r" % cache)
        client.call("PING")
        forget()
    shared.count("caches")


def monitor(shared, *_):
    client = shared.server.client()
    good(client.call("MONITOR"))
    client.sock.settimeout(1)
    while not shared.over():
        try:
            if b'"' not in client.read():
                raise AssertionError("no line of a command")
        except TimeoutError:
            continue  # the others have ended
        shared.count("lines")


def disturber(shared, _, rng):
    client = shared.server.client()
    while not shared.over():
        with shared.lock:
            ids = list(shared.waiting.values())
        for command in (("SCRIPT", "FLUSH"), ("FUNCTION", "LOAD", "REPLACE", LIBRARY),
                        ("CONFIG", "SET", "notify-keyspace-events", rng.choice(("", "KEA"))),
                        ("CLIENT", "LIST"), ("PUBSUB", "NUMSUB", "odd", "moves"), ("INFO",),
                        ("SLOWLOG", "GET"), ("ACL", "SETUSER", "someone", "+get", "-get")):
            good(client.call(*command))
        for i in ids:
            good(client.call("CLIENT", "UNBLOCK", i, rng.choice(("TIMEOUT", "ERROR"))))


ROLES = ((mover, 3), (auditor, 1), (producer, 2), (consumer, 4), (publisher, 2), (listener, 4),
         (cacher, 3), (monitor, 1), (disturber, 1))


def run_role(shared, role, number, seed):
    try:
        role(shared, number, random.Random("%s %s %d" % (seed, role.__name__, number)))
    except Exception as error:  # reported by the suite
        with shared.lock:
            shared.errors.append("%s: %s: %s" % (role.__name__, type(error).__name__, error))


def play(server, seconds, seed):
    client = server.client()
    client.call("MSET", *[x for a in ACCOUNTS for x in (a, START)])
    good(client.call("FUNCTION", "LOAD", LIBRARY))
    shared = Shared(server, seconds)
    shared.producers = dict(ROLES)[producer]
    threads = [threading.Thread(target=run_role, args=(shared, role, n, seed), daemon=True)
               for role, count in ROLES for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 3 * DEADLINE_S)
    errors = shared.errors + ["a thread hangs" for t in threads if t.is_alive()]
    lost = shared.made - set(shared.taken)
    twice = [job for job, times in shared.taken.items() if times > 1]
    if lost or twice or not shared.made:
        errors.append("%d jobs, lost %r, twice %r" % (len(shared.made), list(lost)[:5], twice[:5]))
    for what in ("moved", "audits", "listened", "caches", "lines"):
        if not shared.counts[what]:
            errors.append("none of: " + what)
    client.close()
    return errors


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    args = parser.parse_args()
    server = Server(threads=4, appendonly="yes")
    try:
        errors = play(server, args.seconds, args.seed)
        if server.alive() and server.stop() != 0:
            errors.append("the server did not stop cleanly")
        errors += [problem for problem in [server.problem()] if problem]
    finally:
        server.discard(keep=bool(errors))
    for error in errors:
        print(error)
    if errors:
        print("seed %d" % args.seed)
    print("%d passed, %d failed" % (not errors, bool(errors)))
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
