#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How many reads a cache answers, at equal maxmemory, beside the redis-server of this machine.

Two traces, each read-through (GET; on a miss SET), the same requests for every server and policy:

  zipf   keys by Zipf's law (exponent 0.99)
  scan   the same, and every so often a walk over keys that are asked for once and never again:
         three of ten requests

The first half fills the cache and is not counted. The ratio depends on what fits, so on bytes a
key as well as on the policy: that is meant. Prints a Markdown table.

    utils/bench/hit_ratio.py [--server build/cairn-server] [--requests 600000] [--keys 200000]
                             [--maxmemory 24mb] [--policies allkeys-lru,allkeys-lfu]
"""
import argparse
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXPONENT = 0.99
VALUE_BYTES = 200
BATCH = 64
SCAN_EVERY, SCAN_RUN = 14_000, 6_000  # requests of the law, then of the walk
START_SECONDS = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def zipf(keys, count, seed):
    weights, total = [], 0.0
    for rank in range(1, keys + 1):
        total += rank ** -EXPONENT
        weights.append(total)
    # Ranks are dealt to names at random: neighbours in fame are no neighbours in name.
    names = list(range(keys))
    generator = random.Random(seed)
    generator.shuffle(names)
    return generator.choices(names, cum_weights=weights, k=count)


def polluted(keys, count, seed):
    trace, fresh = [], keys
    for i, key in enumerate(zipf(keys, count, seed)):
        if len(trace) >= count:
            break
        trace.append(key)
        if (i + 1) % SCAN_EVERY == 0:
            trace.extend(range(fresh, fresh + SCAN_RUN))
            fresh += SCAN_RUN
    return trace[:count]


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.file = self.socket.makefile("rb")

    def send(self, requests):
        out = []
        for words in requests:
            out.append(b"*%d\r\n" % len(words))
            out.extend(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        self.socket.sendall(b"".join(out))

    def reply(self):
        line = self.file.readline()
        if line[:1] == b"$" and line[:3] != b"$-1":
            return self.file.read(int(line[1:]) + 2)[:-2]
        if line[:1] == b"-":
            raise RuntimeError(line.decode())
        return None if line[:1] == b"$" else line


def replay(connection, trace):
    """The share of reads of the second half that were answered."""
    value = b"v" * VALUE_BYTES
    hits = counted = 0
    for first in range(0, len(trace), BATCH):
        keys = [b"key:%012d" % key for key in trace[first:first + BATCH]]
        connection.send([(b"GET", key) for key in keys])
        missed = []
        for key in keys:
            found = connection.reply() is not None
            if not found and key not in missed:
                missed.append(key)
            if first >= len(trace) // 2:
                counted += 1
                hits += found
        connection.send([(b"SET", key, value) for key in missed])
        for _ in missed:
            connection.reply()
    return hits / counted


def measure(command, maxmemory, policy, trace):
    folder, port = tempfile.mkdtemp(prefix="cairn-bench-"), free_port()
    process = subprocess.Popen(
        command + ["--port", str(port), "--dir", folder, "--save", "", "--appendonly", "no",
                   "--maxmemory", maxmemory, "--maxmemory-policy", policy],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                connection = Connection(port)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        ratio = replay(connection, trace)
        connection.send([(b"DBSIZE",)])
        return ratio, int(connection.reply()[1:])
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", default=os.path.join(ROOT, "build", "cairn-server"))
    parser.add_argument("--requests", type=int, default=600_000)
    parser.add_argument("--keys", type=int, default=200_000)
    parser.add_argument("--maxmemory", default="24mb")
    parser.add_argument("--policies", default="allkeys-lru,allkeys-lfu")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    cairn, redis = [args.server, "--threads", "1"], ["redis-server"]
    print("| trace | policy | cairn hits | keys | redis hits | keys |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, make in (("zipf", zipf), ("scan", polluted)):
        trace = make(args.keys, args.requests, args.seed)
        for policy in args.policies.split(","):
            ours, ours_keys = measure(cairn, args.maxmemory, policy, trace)
            theirs, their_keys = measure(redis, args.maxmemory, policy, trace)
            print("| %s | %s | %.2f %% | %d | %.2f %% | %d |" % (
                name, policy, 100 * ours, ours_keys, 100 * theirs, their_keys), flush=True)


if __name__ == "__main__":
    main()
