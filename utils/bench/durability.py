#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What durability costs, Cairn beside the redis-server of this machine and whom PEERS names.

    utils/bench/durability.py [--keys 10000000] [--rounds 3] [--only snapshot,journal]

  snapshot  BGSAVE of keys of 16 bytes with values of 100 (half of it random) while a steady client
            reads and writes: its time, its memory beside the data set, and the client's tail; then
            the same client's tail at rest for as long; then starts on that snapshot
  journal   a start on a log of the same SETs without a base
  everysec  CPU time of a SET -P 16 of these keys with appendonly no and with everysec
  always    SETs a second of 50 clients under appendfsync always
  sync      a follower's first synchronisation, until its link is up
  encrypted everysec's and a BGSAVE with encryption-key-file, which redis-server has not

All servers of a group are there at once and take turns in each round (A B A B); a figure is the
median of the rounds. None is pinned, and Cairn has two threads. Times by the clock say little on a
machine that does something else; beside them stands the CPU time of the process and its children,
which says how much work it was. bench.py has these figures in its table.
"""
import argparse
import contextlib
import os
import sys
import tempfile
import time
from dataclasses import dataclass

from common import Beside, Server, cairn, fill, load, load_some, products
from report import Aim, Table, median

VALUE_BYTES = 100
SET = "SET key:%k %x%x%x%x%v"  # 48 bytes of a value are random
FIXED_BYTES = VALUE_BYTES - 48
STEADY_PER_SECOND = 2000
SETS_MAX = 1_000_000  # of a round
ENCRYPTED_KEYS_MAX = 1_000_000
NO_REWRITE = ("--auto-aof-rewrite-percentage", "0")
NO_LOG = ("--appendonly", "no")
LOG = ("--appendonly", "yes", "--appendfsync", "everysec", *NO_REWRITE)
ALWAYS = ("--appendonly", "yes", "--appendfsync", "always", *NO_REWRITE)

# As the issues ask; those of our own figure are 'itself'.
AIMS = {
    "BGSAVE, s": Aim(0.33),
    "p99.9 during BGSAVE by at rest": Aim(1.5, own=True),
    "memory during BGSAVE, % of the data": Aim(5, own=True),
    "start on the snapshot, s": Aim(0.33),
    "start on the log, s": Aim(0.50),
    "CPU a SET -P 16, everysec by no log": Aim(1.20, own=True),
    "SETs a second, always, 50 clients": Aim(1.30, least=True),
    "full sync, s": Aim(0.33),
}


@dataclass
class Scale:
    keys: int
    rounds: int
    seconds: float  # of a round of always
    samples: int  # of the steady client beside BGSAVE, and as many at rest


class Rows(dict):
    """title -> {name of a server: its number of each round}"""

    def note(self, title, name, number):
        self.setdefault(title, {}).setdefault(name, []).append(number)


@contextlib.contextmanager
def servers(options, keys=0):
    """All that take options, with those that options(product) gives; `keys` are filled in."""
    with contextlib.ExitStack() as stack:
        found = []
        for name, product in products().items():
            command = product(*options(product), threads=2 if product.is_cairn else 1)
            found.append(stack.enter_context(Server(name, command)))
            fill_with(found[-1], keys)
        yield found


def fill_with(target, keys):
    if keys:
        fill(target, SET, keys, cores=None, value=FIXED_BYTES)


def sets(target, keys):
    """CPU us a SET."""
    return load(target, SET, cores=None, requests=min(keys, SETS_MAX), keys=keys, connections=16,
                pipeline=16, value=FIXED_BYTES)["cpu_us"]


def tail(target, keys, body):
    """p99.9 and the longest of a steady client, in ms, while body() runs."""
    with Beside(target, "GET key:%k | " + SET, STEADY_PER_SECOND, keys=keys,
                value=FIXED_BYTES) as steady:
        body()
    if not steady.figures["counted"]:
        raise RuntimeError(f"{target.name}: the steady client had no reply")
    return steady.figures["p999_us"] / 1000, steady.figures["max_us"] / 1000


def bgsave(target, scale, rows):
    """BGSAVEs until the steady client has its samples, then the same client at rest for as long."""
    with open(f"/proc/{target.process.pid}/clear_refs", "w") as clear:
        clear.write("5")  # VmHWM begins anew
    before, begin, runs = target.memory(), time.time(), []

    def saves():
        while not runs or (time.time() - begin) * STEADY_PER_SECOND < scale.samples:
            runs.append(target.save())

    during = tail(target, scale.keys, saves)
    extra = target.memory("VmHWM") - before + int(target.info("rdb_last_cow_size") or 0)
    lasted = time.time() - begin
    at_rest = tail(target, scale.keys, lambda: time.sleep(lasted))
    for title, number in (
            ("BGSAVE, s", median([run[0] for run in runs])),
            ("BGSAVE, CPU s", median([run[1] for run in runs])),
            ("memory during BGSAVE, % of the data", 100 * extra / int(target.info("used_memory"))),
            ("p99.9 at rest, ms", at_rest[0]), ("longest at rest, ms", at_rest[1]),
            ("p99.9 during BGSAVE, ms", during[0]), ("longest during BGSAVE, ms", during[1]),
            ("p99.9 during BGSAVE by at rest", during[0] / at_rest[0])):
        rows.note(title, target.name, number)


def starts(targets, what, scale, rows):
    for _ in range(scale.rounds):
        for target in targets:
            target.stop()
            rows.note(f"start on the {what}, s", target.name, target.start())
            rows.note(f"start on the {what}, CPU s", target.name, target.cpu())
            if target.call("DBSIZE") != scale.keys:
                raise RuntimeError(f"{target.name} has not all keys after a start on the {what}")


def snapshot(scale, rows):
    # Cairn without a journal writes what Redis reads; redis-server with one starts on that.
    with servers(lambda product: LOG if product.is_cairn else NO_LOG, scale.keys) as targets:
        for _ in range(scale.rounds):
            for target in targets:
                bgsave(target, scale, rows)
        for target in targets:
            target.save()  # nothing comes after it
        starts(targets, "snapshot", scale, rows)


def journal(scale, rows):
    with servers(lambda _: LOG, scale.keys) as targets:
        starts(targets, "log", scale, rows)


def everysec(scale, rows):
    with (servers(lambda _: NO_LOG, scale.keys) as bare,
          servers(lambda _: LOG, scale.keys) as logged):
        for _ in range(scale.rounds):
            for without, with_log in zip(bare, logged):
                cost = sets(without, scale.keys), sets(with_log, scale.keys)
                rows.note("CPU us a SET -P 16, no log", without.name, cost[0])
                rows.note("CPU us a SET -P 16, everysec", without.name, cost[1])
                rows.note("CPU a SET -P 16, everysec by no log", without.name, cost[1] / cost[0])


def always(scale, rows):
    with servers(lambda _: ALWAYS) as targets:
        for _ in range(2 * scale.rounds):  # disks differ more from second to second than CPUs do
            for target in targets:
                run = load_some("requests", target, SET, scale.seconds, cores=None, connections=50,
                                value=FIXED_BYTES)
                rows.note("SETs a second, always, 50 clients", target.name, run["per_second"])


def sync(scale, rows):
    def options(product):
        return NO_LOG if product.is_cairn else (*NO_LOG, "--repl-diskless-sync-delay", "0")

    with servers(options, scale.keys) as leaders:
        for _ in range(scale.rounds):
            for leader in leaders:
                one_sync(leader, options(products()[leader.name]), scale, rows)


def one_sync(leader, options, scale, rows):
    product = products()[leader.name]
    command = product(*options, "--replicaof", f"127.0.0.1 {leader.port}",
                      threads=2 if product.is_cairn else 1)
    before, begin = leader.cpu(children=True), time.time()
    with Server(leader.name, command) as follower:
        while follower.info("master_link_status") != "up":
            time.sleep(0.01)
        rows.note("full sync, s", leader.name, time.time() - begin)
        while leader.info("rdb_bgsave_in_progress") != "0":  # a child's time counts at its end
            time.sleep(0.01)
        rows.note("full sync, CPU s of both", leader.name,
                  leader.cpu(children=True) - before + follower.cpu())
        if follower.call("DBSIZE") != scale.keys:
            raise RuntimeError(f"a follower of {leader.name} has not all keys")


def encrypted(scale, rows):
    keys = min(scale.keys, ENCRYPTED_KEYS_MAX)
    with contextlib.ExitStack() as stack:
        ring = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".keys"))
        ring.write("bench " + os.urandom(32).hex() + "\n")
        ring.flush()
        targets = {}
        for title, more in (("plain", ()), ("encrypted", ("--encryption-key-file", ring.name))):
            targets[title] = stack.enter_context(Server("cairn", cairn(*LOG, *more, threads=2)))
            fill_with(targets[title], keys)
        for _ in range(scale.rounds):
            for title, target in targets.items():
                rows.note(f"CPU us a SET -P 16, {title}", "cairn", sets(target, keys))
                rows.note(f"BGSAVE, CPU s, {title}", "cairn", target.save()[1])


GROUPS = {"snapshot": snapshot, "journal": journal, "everysec": everysec, "always": always,
          "sync": sync, "encrypted": encrypted}


def measure(scale, wanted, table):
    for group in wanted:
        rows = Rows()
        try:
            GROUPS[group](scale, rows)
        except (OSError, RuntimeError) as error:  # the other groups are worth having
            table.fail(group, error)
            continue
        for title, found in rows.items():
            table.add_value(title, found, AIMS.get(title))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--keys", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1, help="of a round of always")
    parser.add_argument("--samples", type=int, default=10_000, help="of a tail")
    parser.add_argument("--only", default=",".join(GROUPS))
    options = parser.parse_args()
    table = Table(None)
    measure(Scale(options.keys, options.rounds, options.seconds, options.samples),
            options.only.split(","), table)
    print(f"\n{options.keys} keys of 16+100 bytes; load average {os.getloadavg()[0]:.1f} on "
          f"{os.cpu_count()} cores\n\n{table.markdown_values()}\n\n{table.verdict()}")
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
