#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Many connections on four threads, with sums that only hold while locking is right.

    transfers   WATCH/MULTI/EXEC moves between accounts: the total is constant, in every snapshot
                that an MGET or an EXEC of GETs takes
    counters    INCR and LPUSH/RPOP from every connection: nothing is counted twice or lost
    scans       SCAN while other keys come and go: every key that stays is seen

    python3 -m concurrency.run [--seconds 5]
"""
import argparse
import random
import sys
import threading
import time

from harness.resp import Error
from harness.server import Server

ACCOUNTS = 20
START = 1000


class Job(threading.Thread):
    def __init__(self, body, *arguments):
        super().__init__(daemon=True)
        self.body, self.arguments, self.error = body, arguments, None

    def run(self):
        try:
            self.body(*self.arguments)
        except Exception as error:  # reported by the suite
            self.error = f"{type(error).__name__}: {error}"


def transfers(server, until, seed, done):
    rng = random.Random(seed)
    client = server.client()
    while time.monotonic() < until:
        a, b = (f"account:{n}" for n in rng.sample(range(ACCOUNTS), 2))
        amount = rng.randrange(1, 50)
        client.call("WATCH", a, b)
        have = int(client.call("GET", a))
        if have < amount:
            client.call("UNWATCH")
            continue
        to = int(client.call("GET", b))
        client.call("MULTI")
        client.call("SET", a, have - amount)
        client.call("SET", b, to + amount)
        if client.call("EXEC") is not None:
            done[0] += 1


def audits(server, until, done):
    client = server.client()
    keys = [f"account:{n}" for n in range(ACCOUNTS)]
    while time.monotonic() < until:
        total = sum(int(v) for v in client.call("MGET", *keys))
        if total != ACCOUNTS * START:
            raise AssertionError(f"MGET saw a total of {total}")
        replies = client.pipeline([("MULTI",), *[("GET", k) for k in keys], ("EXEC",)])
        total = sum(int(v) for v in replies[-1])
        if total != ACCOUNTS * START:
            raise AssertionError(f"EXEC saw a total of {total}")
        done[0] += 1


def counters(server, until, seed, counts):
    rng = random.Random(seed)
    client = server.client()
    while time.monotonic() < until:
        key = rng.randrange(3)
        replies = client.pipeline([("INCR", f"count:{key}")] * 10 + [("LPUSH", "queue", seed)] * 5 +
                                  [("RPOP", "queue")] * 3)
        for reply in replies:
            if isinstance(reply, Error):
                raise AssertionError(repr(reply))
        counts[key] += 10
        counts[3] += 5 - sum(r is not None for r in replies[-3:])


def churn(server, until, seed):
    rng = random.Random(seed)
    client = server.client()
    while time.monotonic() < until:
        client.pipeline([("SET", f"other:{rng.randrange(5000)}", 1) for _ in range(40)])
        client.pipeline([("DEL", f"other:{rng.randrange(5000)}") for _ in range(45)])


def scans(server, until, done):
    client = server.client()
    stay = {b"stay:%d" % n for n in range(300)}
    while time.monotonic() < until:
        seen, cursor = set(), b"0"
        while True:
            cursor, keys = client.call("SCAN", cursor, "COUNT", 50)
            seen.update(keys)
            if int(cursor) >= 1 << 53:
                raise AssertionError("a cursor above 2^53")
            if cursor == b"0":
                break
        if not stay <= seen:
            raise AssertionError(f"SCAN missed {len(stay - seen)} keys that stayed")
        done[0] += 1


def run(server, jobs):
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    return [job.error for job in jobs if job.error]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5)
    args = parser.parse_args()
    server = Server(threads=4, appendonly="yes")
    results = {}
    try:
        client = server.client()
        client.call("MSET", *[x for n in range(ACCOUNTS) for x in (f"account:{n}", START)])
        client.call("MSET", *[x for n in range(300) for x in (f"stay:{n}", 1)])

        until, moved, audited = time.monotonic() + args.seconds, [0], [0]
        results["transfers"] = run(
            server, [Job(transfers, server, until, s, moved) for s in range(6)] +
            [Job(audits, server, until, audited) for _ in range(2)])
        if not moved[0] or not audited[0]:
            results["transfers"].append("nothing was moved or audited")

        until = time.monotonic() + args.seconds
        all_counts = [[0] * 4 for _ in range(8)]
        results["counters"] = run(server, [Job(counters, server, until, s, all_counts[s])
                                           for s in range(8)])
        for key in range(3):
            want, got = sum(c[key] for c in all_counts), int(client.call("GET", f"count:{key}") or 0)
            if want != got:
                results["counters"].append(f"count:{key} is {got}, {want} were counted")
        want = sum(c[3] for c in all_counts)
        if client.call("LLEN", "queue") != want:
            results["counters"].append("the queue lost or doubled elements")

        until, scanned = time.monotonic() + args.seconds, [0]
        results["scans"] = run(server, [Job(churn, server, until, s) for s in range(4)] +
                               [Job(scans, server, until, scanned) for _ in range(2)])
        if not scanned[0]:
            results["scans"].append("no scan ended")
        client.close()
        status = server.stop()
        results["shutdown"] = [] if status == 0 else [f"exit status {status}"]
        problem = server.problem()
        results["server"] = [problem] if problem else []
    finally:
        server.discard()
    for name, errors in results.items():
        for error in errors:
            print(f"{name}: {error}")
    failed = sum(bool(errors) for errors in results.values())
    print(f"{len(results) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
