#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How long others wait while something large happens, beside the machine's redis-server and PEERS.

    utils/bench/stalls.py [--only delete,expiry,publish] [--elements 10000000] [--keys 300000]
                          [--subscribers 10000]

  delete   DEL of a collection of many elements, until its memory is free again
  expiry   many keys expire at one moment, as many stay; until DBSIZE knows it
  publish  messages to many subscribers, who come meanwhile, too

Others are PINGs of one client at a steady rate, a late one counting for all that were due
meanwhile. One worker thread. On a busy machine the scheduler shows in these figures too.
"""
import argparse
import time

from common import SERVER_CORES, Beside, Server, fill, load, products

PINGS_PER_SECOND = 1000
COLLECTIONS = {"set": "sadd", "hash": "hset", "zset": "zadd", "list": "rpush"}


def pings(server):
    return Beside(server, "ping", PINGS_PER_SECOND)


def delete(server, options):
    for kind, workload in COLLECTIONS.items():
        fill(server, workload, options.elements)
        with pings(server) as others:
            time.sleep(0.2)
            begin = time.perf_counter()
            server.call("DEL", kind)
            elapsed = time.perf_counter() - begin
            while server.info("lazyfree_pending_objects") != "0":
                time.sleep(0.01)
        yield f"DEL of a {kind} of {options.elements:,}", elapsed, others


def expiry(server, options):
    # Time enough to write them: they all go at once.
    at_ms = int(time.time() * 1000) + 2000 + options.keys // 20
    fill(server, f"SET due:%k %v PXAT {at_ms}", options.keys)
    fill(server, "SET stays:%k %v", options.keys)
    time.sleep(max(0, at_ms / 1000 - time.time() - 0.1))
    with pings(server) as others:
        time.sleep(max(0, at_ms / 1000 - time.time()))
        begin = time.perf_counter()
        while server.call("DBSIZE") > options.keys:
            time.sleep(0.02)
        elapsed = time.perf_counter() - begin
    yield f"{options.keys:,} keys expire", elapsed, others


def publish(server, options):
    with pings(server) as others:
        figures = load(server, "publish", subscribers=options.subscribers, connections=1, rate=4,
                       seconds=options.seconds)
    yield f"PUBLISH to {options.subscribers:,}", figures["p50_us"] / 1e6, others


SCENES = {"delete": delete, "expiry": expiry, "publish": publish}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default=",".join(SCENES))
    parser.add_argument("--elements", type=int, default=10_000_000)
    parser.add_argument("--keys", type=int, default=300_000)
    parser.add_argument("--subscribers", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=5, help="of publish")
    options = parser.parse_args()
    crowd = ("--maxclients", str(options.subscribers + 100))
    print("| what | server | it took ms | PING p50 ms | p99 ms | longest ms |")
    print("| --- | --- | --- | --- | --- | --- |")
    for scene in options.only.split(","):
        for name, product in products().items():
            with Server(name, product(*crowd), SERVER_CORES) as server:
                for what, seconds, others in SCENES[scene](server, options):
                    figures = [others.figures[key] / 1000 for key in ("p50_us", "p99_us", "max_us")]
                    print("| {} | {} | {:.2f} | {:.2f} | {:.2f} | {:.2f} |".format(
                        what, name, seconds * 1000, *figures), flush=True)


if __name__ == "__main__":
    main()
