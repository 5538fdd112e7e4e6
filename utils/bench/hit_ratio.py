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
import random

from common import CAIRN, Client, Product, Server, encode, redis

EXPONENT = 0.99
VALUE_BYTES = 200
BATCH = 64
SCAN_EVERY, SCAN_RUN = 14_000, 6_000  # requests of the law, then of the walk


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


def replay(client, trace):
    """The share of reads of the second half that were answered."""
    value = b"v" * VALUE_BYTES
    hits = counted = 0
    for first in range(0, len(trace), BATCH):
        keys = [b"key:%012d" % key for key in trace[first:first + BATCH]]
        client.socket.sendall(b"".join(encode((b"GET", key)) for key in keys))
        missed = []
        for key in keys:
            found = client.reply() is not None
            if not found and key not in missed:
                missed.append(key)
            if first >= len(trace) // 2:
                counted += 1
                hits += found
        client.socket.sendall(b"".join(encode((b"SET", key, value)) for key in missed))
        for _ in missed:
            client.reply()
    return hits / counted


def measure(command, trace):
    with Server("cache", command) as server, Client(server.port) as client:
        return replay(client, trace), client.call("DBSIZE")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", default=CAIRN)
    parser.add_argument("--requests", type=int, default=600_000)
    parser.add_argument("--keys", type=int, default=200_000)
    parser.add_argument("--maxmemory", default="24mb")
    parser.add_argument("--policies", default="allkeys-lru,allkeys-lfu")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print("| trace | policy | cairn hits | keys | redis hits | keys |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, make in (("zipf", zipf), ("scan", polluted)):
        trace = make(args.keys, args.requests, args.seed)
        for policy in args.policies.split(","):
            more = ("--maxmemory", args.maxmemory, "--maxmemory-policy", policy)
            ours, ours_keys = measure(Product(args.server, True)(*more), trace)
            theirs, their_keys = measure(redis("--appendonly", "no", *more), trace)
            print("| %s | %s | %.2f %% | %d | %.2f %% | %d |" % (
                name, policy, 100 * ours, ours_keys, 100 * theirs, their_keys), flush=True)


if __name__ == "__main__":
    main()
