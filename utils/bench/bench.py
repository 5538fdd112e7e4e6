#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Cairn beside the redis-server of this machine, and whom PEERS names, in one run.

    utils/bench/bench.py [--quick] [--only TEXT] [--rounds 3] [--seconds 1] [--help]
    PEERS="valkey=/opt/valkey-server pgo=build/pgo/cairn-server" utils/bench/bench.py

Servers run one worker thread on the first core, cairn-load on the others; the servers take turns
within each round (A B A B). A row says what a request cost the server in CPU time (as fast as
replies come; median and spread of the rounds) and, from one more turn with an open loop, how long
requests took when all servers got the same rate: half of what the slowest had managed. Then bytes
an item, and what durability.py measures. --only takes rows whose title or group has the text, the
groups "memory" and "durability" (and those that this has) too. Writes build/bench/table.md, which
ends with the aims that were missed, table.csv and, with gnuplot, ratios.svg.
"""
import argparse
import os
import statistics
import sys
import time

import durability
from common import (CORES, LOAD_CORES, OPEN_FILES, ROOT, SERVER_CORES, Server, cairn, commands,
                    fill, floor, load_some, products)
from report import Figures, Table
from rows import GROUPS, ITEMS, OWN_RATIOS, ROWS

MAXCLIENTS = ("--maxclients", "10100")
FILES_BESIDE = 200  # that a server has open besides its connections
STRINGS = ("get", "mixed", "mget")  # workloads that find the same keys


def servers_of(group):
    """name -> (command, its cores, the load's); ours first, compared with "redis"."""
    if group == "threads":
        return two_threads()
    more = MAXCLIENTS if group == "connections" else ()
    return {name: (command, SERVER_CORES, LOAD_CORES) for name, command in commands(*more).items()}


def two_threads():
    """Ours on two cores and on one, and what others have; only those that take options."""
    two, rest = CORES[:2], CORES[2:]
    found = {}
    for name, product in products().items():
        # Not compared: others' I/O threads wait busily, which is CPU time too.
        title = name if product.is_cairn else name + ", 2 I/O threads"
        found[title] = (product(threads=2), two, rest or CORES)
    found["cairn, 1 thread"] = (cairn(), SERVER_CORES, rest or LOAD_CORES)
    if not rest:
        # Two threads then share their cores with the load, which takes their caches and wakes
        # them often: what one thread costs that does so, too, is what they are to be seen by.
        found["cairn, 1 thread, load beside"] = (cairn(), SERVER_CORES, SERVER_CORES)
    return found


def measure(row, servers, filled, options):
    """The row's figures by the name of the server; `filled` notes what keys are there."""
    more = {**row.options(options), "seconds": options.seconds * row.stretch,
            "warmup": options.warmup * row.stretch}
    keys = ("strings" if row.workload in STRINGS else row.title, more["keys"], more.get("value"))
    runs = {name: [] for name in servers}
    for number in range(options.rounds):
        for name, server in servers.items():
            runs[name].append(load_some("requests", server, row.workload, cores=server.load_cores,
                                        seed=number + 1, fill=number == 0 and keys not in filled,
                                        **more))
    filled.add(keys)
    rates = {name: statistics.median(run["per_second"] for run in runs[name]) for name in servers}
    figures = {}
    for name, server in servers.items():
        timed = load_some("counted", server, row.workload, cores=server.load_cores,
                          rate=min(rates.values()) / 2, **more)
        figures[name] = Figures([run["cpu_us"] for run in runs[name]], rates[name], timed["rate"],
                                [timed[key] for key in ("p50_us", "p99_us", "p999_us", "max_us")])
    return figures


def compare(group, table, options):
    rows = []
    for row in ROWS:
        if row.group == group and options.wanted(row.title, group):
            if row.load.get("connections", 0) + FILES_BESIDE <= OPEN_FILES:
                rows.append(row)
            else:
                print(f"{row.title}: left out, only {OPEN_FILES} files may be open here")
    if not rows:
        return
    servers = {}
    try:
        for name, (command, cores, load_cores) in servers_of(group).items():
            servers[name] = Server(name, command, cores, load_cores)
        base = Server("floor", floor, SERVER_CORES) if any(row.floor for row in rows) else None
        if base:
            servers["floor"] = base
        filled = set()
        for row in rows:
            used = {name: server for name, server in servers.items() if row.floor or server != base}
            try:
                table.add(row.title, measure(row, used, filled, options), row.aim)
            except RuntimeError as error:  # the other rows are worth having
                table.fail(row.title, error)
    finally:
        for server in servers.values():
            server.discard()


def memory(table, options):
    """Resident bytes an item, each kind in a server of its own."""
    for title, workload, share, aim in ITEMS:
        if not options.wanted("bytes " + title, "memory"):
            continue
        items = max(1, int(options.items * share))
        found = {}
        try:
            for name, command in commands().items():
                with Server(name, command, SERVER_CORES) as server:
                    before = server.memory()
                    fill(server, workload, items)
                    found[name] = [(server.memory() - before) / items]
            table.add_value("bytes: " + title, found, aim)
        except RuntimeError as error:
            table.fail("bytes: " + title, error)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a minute or two: small and once")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each measurement")
    parser.add_argument("--keys", type=int, help="of most rows")
    parser.add_argument("--many", type=int, help="of the rows with many keys")
    parser.add_argument("--items", type=int, help="of the rows of bytes")
    parser.add_argument("--stored", type=int, help="keys of what durability.py measures")
    parser.add_argument("--samples", type=int, default=10_000, help="of a tail beside BGSAVE")
    parser.add_argument("--only", default="", help="rows whose title or group has this text")
    parser.add_argument("--out", default=os.path.join(ROOT, "build", "bench"))
    quick = parser.parse_known_args()[0].quick
    parser.set_defaults(**(
        dict(rounds=1, seconds=0.25, warmup=0.05, keys=20000, many=200_000, items=100_000,
             stored=100_000) if quick else
        dict(rounds=3, seconds=1, warmup=0.2, keys=100_000, many=10_000_000, items=1_000_000,
             stored=10_000_000)))
    options = parser.parse_args()
    options.wanted = lambda title, group: options.only.lower() in (title + " " + group).lower()
    return options


def main():
    options = parse()
    os.makedirs(options.out, exist_ok=True)
    begin, table = time.time(), Table(options.out)
    for group in GROUPS:
        compare(group, table, options)
    for title, (row, server), (other_row, other), aim in OWN_RATIOS:
        table.add_ratio(title, (row, server), (other_row, other), aim)
    memory(table, options)
    durability.measure(
        durability.Scale(options.stored, options.rounds, options.seconds, options.samples),
        [group for group in durability.GROUPS if options.wanted(group, "durability")], table)
    table.write(f"{options.rounds} rounds of {options.seconds} s; load average "
                f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {time.time() - begin:.0f} s")
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
