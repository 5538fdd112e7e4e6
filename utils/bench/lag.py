#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How far a follower is behind under a steady load, and what it costs its leader.

    utils/bench/lag.py [--rate 200000] [--seconds 5]

Cairn, the machine's redis-server and PEERS, each following its own kind, one worker thread each,
all on the cores there are. SETs of 100 bytes at pipeline 16 come at the rate; beside them a probe
writes a key to the leader and asks the follower until that has it, again and again: the lag is the
time from the write's reply on. Cost: CPU time a SET of the leader with the follower, and before.
"""
import argparse
import time

from common import Beside, Client, Server, products

SETS = {"connections": 16, "pipeline": 16, "keys": 100_000, "value": 100}


def probe(leader, follower, seconds):
    """Sorted lags in milliseconds."""
    lags = []
    with Client(leader.port) as up, Client(follower.port) as down:
        end = time.time() + seconds
        while not lags or time.time() < end:
            word = str(len(lags)).encode()
            up.call("SET", "probe", word)
            begin = time.perf_counter()
            while down.call("GET", "probe") != word:
                time.sleep(0.0001)
            lags.append((time.perf_counter() - begin) * 1000)
            time.sleep(0.002)
    return sorted(lags)


def cpu_of_sets(leader, options):
    """CPU microseconds a SET, at the rate; for longer if none was answered."""
    for longer in (1, 5, 25):
        with Beside(leader, "set", options.rate, **SETS) as sets:
            time.sleep(options.seconds * longer)
        if sets.figures["requests"]:
            return sets.figures["cpu_us"]
    raise RuntimeError(f"{leader.name}: no SET was answered")


def measure(name, product, options):
    with Server(name, product()) as leader:
        alone = cpu_of_sets(leader, options)
        with Server(name, product("--replicaof", f"127.0.0.1 {leader.port}")) as follower:
            while follower.info("master_link_status") != "up":
                time.sleep(0.01)
            followed = cpu_of_sets(leader, options)
            with Beside(leader, "set", options.rate, **SETS) as sets:
                lags = probe(leader, follower, options.seconds)
    at = [lags[int(len(lags) * share)] for share in (0.5, 0.99)] + [lags[-1]]
    print("| {} | {:,.0f} | {:.2f} | {:.2f} | {:.2f} | {:.2f} | {:.2f} | {:.2f} |".format(
        name, sets.figures["per_second"], *at, alone, followed, followed / alone), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    print("| server | SETs a second | lag p50 ms | p99 ms | longest ms | CPU us a SET alone | followed "
          "| ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, product in products().items():
        measure(name, product, options)


if __name__ == "__main__":
    main()
