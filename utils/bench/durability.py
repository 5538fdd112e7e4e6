#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What durability costs, Cairn beside the redis-server of this machine in one run.

    utils/bench/durability.py [--keys 1000000] [--only snapshot,load]

  snapshot  BGSAVE of keys of 16 bytes with values of 100 (half of it random), its memory beside the
            data set, and the tail of a steady client at rest and while it runs
  load      a start on that snapshot
  journal   a start on a log of the same SETs without a base
  everysec  CPU time of a SET -P 16 with appendonly no and with everysec
  always    SETs a second of 50 clients under appendfsync always
  sync      a follower's first synchronisation, until its link is up
  encrypted everysec's and a BGSAVE with encryption-key-file, which redis-server has not

Neither server is pinned and Cairn has two threads. Times by the clock say little on a machine that
does something else; beside them stands the CPU time of the process and its children, which says how
much work it was. bench.py has these figures in its table.
"""
import argparse
import os
import sys
import tempfile
import time

from common import Beside, Server, cairn, fill, load, redis

ALL = ("snapshot", "load", "journal", "everysec", "always", "sync", "encrypted")
VALUE_BYTES = 100
SET = "SET key:%k %x%x%x%x%v"  # 48 bytes of a value are random
FIXED_BYTES = VALUE_BYTES - 48
STEADY_PER_SECOND = 2000
NO_REWRITE = ("--auto-aof-rewrite-percentage", "0")
AIMS = {"BGSAVE, CPU s": 0.33, "start on the snapshot, s": 0.33, "start on the log, s": 0.50}


def server(name, *more):
    if name == "cairn":
        return Server(name, cairn(*more, threads=2))
    return Server(name, redis("--repl-diskless-sync-delay", "0", *more))


def fill_with(target, keys):
    fill(target, SET, keys, cores=None, value=FIXED_BYTES)


def sets(target, requests, connections=16, pipeline=16):
    return load(target, SET, cores=None, requests=requests, connections=connections,
                pipeline=pipeline, value=FIXED_BYTES)


def tail(target, keys, body):
    """p99.9 and the longest of a steady client, in ms, while body() runs."""
    steady = Beside(target, "GET key:%k | " + SET, STEADY_PER_SECOND, keys=keys, value=FIXED_BYTES)
    with steady:
        body()
    return steady.figures["p999_us"] / 1000, steady.figures["max_us"] / 1000


def snapshot(target, keys, row):
    row["p99.9 at rest, ms"], row["longest at rest, ms"] = tail(target, keys, lambda: time.sleep(2))
    before = target.memory()
    with open(f"/proc/{target.process.pid}/clear_refs", "w") as f:
        f.write("5")  # VmHWM begins anew
    row["p99.9 during BGSAVE, ms"], row["longest during BGSAVE, ms"] = tail(
        target, keys, target.save)
    extra = target.memory("VmHWM") - before + int(target.info("rdb_last_cow_size") or 0)
    row["memory during BGSAVE, % of the data"] = 100 * extra / int(target.info("used_memory"))
    runs = [target.save() for _ in range(3)]
    row["BGSAVE, s"], row["BGSAVE, CPU s"] = (min(run[i] for run in runs) for i in (0, 1))


def restart(target, what, row):
    target.stop()
    row[f"start on the {what}, s"] = target.start()
    row[f"start on the {what}, CPU s"] = target.cpu()


def snapshot_and_load(name, keys, wanted, row):
    # Cairn without a journal writes what Redis reads; dump.rdb is loaded by both.
    with server(name, "--appendonly", "yes" if name == "cairn" else "no") as target:
        fill_with(target, keys)
        if "snapshot" in wanted:
            snapshot(target, keys, row)
        else:
            target.save()
        if "load" in wanted:
            restart(target, "snapshot", row)


def journal(name, keys, row):
    with server(name, "--appendonly", "yes", *NO_REWRITE) as target:
        fill_with(target, keys)
        restart(target, "log", row)


def everysec(name, requests, row):
    for title, more in (("no log", ("--appendonly", "no")),
                        ("everysec", ("--appendonly", "yes", "--appendfsync", "everysec"))):
        with server(name, *more, *NO_REWRITE) as target:
            row[f"CPU us a SET -P 16, {title}"] = min(
                sets(target, requests)["cpu_us"] for _ in range(3))


def always(figures):
    more = ("--appendonly", "yes", "--appendfsync", "always")
    with server("cairn", *more) as ours, server("redis", *more) as theirs:
        rates = {"cairn": [], "redis": []}
        for _ in range(5):
            for target in (ours, theirs):
                run = load(target, SET, cores=None, seconds=1, connections=50, value=FIXED_BYTES)
                rates[target.name].append(run["per_second"])
    for name, all_rates in rates.items():
        figures[name]["SETs a second, always, 50 clients"] = sorted(all_rates)[2]


def sync(name, keys, row):
    with server(name) as leader:
        fill_with(leader, keys)
        before, begin = leader.cpu(children=True), time.time()
        with server(name, "--replicaof", f"127.0.0.1 {leader.port}") as follower:
            while follower.info("master_link_status") != "up":
                time.sleep(0.01)
            row["full sync, s"] = time.time() - begin
            row["full sync, CPU s of both"] = leader.cpu(children=True) - before + follower.cpu()
            if follower.call("DBSIZE") != keys:
                raise RuntimeError("the follower has not all keys")


def encrypted(keys, row):
    with tempfile.NamedTemporaryFile("w", suffix=".keys") as ring:
        ring.write("bench " + os.urandom(32).hex() + "\n")
        ring.flush()
        for title, more in (("plain", ()), ("encrypted", ("--encryption-key-file", ring.name))):
            with server("cairn", "--appendonly", "yes", *NO_REWRITE, *more) as target:
                row[f"CPU us a SET -P 16, {title}"] = min(
                    sets(target, keys)["cpu_us"] for _ in range(3))
                fill_with(target, keys)
                row[f"BGSAVE, CPU s, {title}"] = min(target.save()[1] for _ in range(3))


def measure(keys, wanted):
    """Rows of (title, {server: number}, aim of cairn's by redis-server's)."""
    figures = {"cairn": {}, "redis": {}}
    for name, row in figures.items():
        if "snapshot" in wanted or "load" in wanted:
            snapshot_and_load(name, keys, wanted, row)
        if "journal" in wanted:
            journal(name, keys, row)
        if "everysec" in wanted:
            everysec(name, keys, row)
        if "sync" in wanted:
            sync(name, keys, row)
    if "always" in wanted:
        always(figures)
    if "encrypted" in wanted:
        encrypted(keys, figures["cairn"])
    for title in figures["cairn"]:
        found = {name: row[title] for name, row in figures.items() if title in row}
        yield title, found, AIMS.get(title)


def main():
    from report import Table
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys", type=int, default=1000000)
    parser.add_argument("--only", default=",".join(ALL))
    options = parser.parse_args()
    table = Table(None)
    for row in measure(options.keys, options.only.split(",")):
        table.add_value(*row)
    print(f"\n{options.keys} keys of 16+100 bytes; load average {os.getloadavg()[0]:.1f} on "
          f"{os.cpu_count()} cores\n\n{table.markdown_values()}")


if __name__ == "__main__":
    sys.exit(main())
