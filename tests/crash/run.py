# SPDX-License-Identifier: BSD-3-Clause
"""The crash test: python3 -m crash.run [--rounds N] [--quick] [--seed S] [--maintain]
                                     [--faults]

Writers run with `appendfsync always`; the server gets kill -9 at a random instant and is started
again on the same folder, N rounds long. Then: a clean restart keeps everything, and the journal's
segments through `lz4 -dc` load in redis-server with an equal DEBUG DIGEST. Counts rounds.

With --maintain BGREWRITEAOF, BGSAVE and BACKUP TO run all the time beside the writers, old bases
are kept for a moment, and so the kill falls into snapshots, manifest switches, deletions and
copies. Every backup that was answered, or whose mark of being unfinished is gone, must start and
hold whole transactions; the others must be refused with the reason.

With --faults the disk breaks and heals all the time (harness/faulty_disk.c): writes, syncs,
renames, links and new files fail, or half of a write does. Writes may be refused then, which must
leave no trace; what was acknowledged must be there after the kill, whatever had failed before it.
"""

import argparse
import glob
import os
import random
import signal
import subprocess
import sys
import time

from crash.faults import Faults, pause
from crash.maintainer import Maintainer, check_backups
from crash.writers import Writer
from harness.checks import Skip
from harness.faulty_disk import FaultyDisk
from harness.resp import Error
from harness.server import Server, oracle_binary, slow_build

WRITERS = 5


def crash_round(server, writers, rng, maintain, disk):
    """One round of writing, kill -9, restart and verdict; returns a list of problems."""
    maintainer = Maintainer(server, rng.randrange(1 << 31), disk) if maintain else None
    faults = Faults(disk, rng.randrange(1 << 31)) if disk else None
    for writer in writers:
        writer.begin(server.client())
    for thread in writers + [maintainer] * maintain + [faults] * (disk is not None):
        thread.start()
    if disk:
        pause(rng)
    else:
        # Many crashes hit the first moments after the start, the rest the middle of work.
        time.sleep(rng.choice((0.005, 0.05, 0.2, 0.5)) * (0.5 + rng.random()))
    server.kill()
    if disk:
        faults.stop()
    for writer in writers:
        writer.join(90)
        writer.client.close()
    problems = []
    if maintain:
        maintainer.join(90)
        problems += check_backups(server, maintainer, writers)
    server.start()
    with server.client() as client:
        return problems + [p for p in (writer.verify(client) for writer in writers) if p]


def digest(server):
    with server.client() as client:
        value = client.call("DEBUG", "DIGEST")
        if isinstance(value, Error):
            raise RuntimeError("DEBUG DIGEST: %r" % value)
        return value


def clean_restart(server):
    """SIGTERM and start: the same data."""
    before = digest(server)
    status = server.stop(signal.SIGTERM)
    server.start()
    after = digest(server)
    problems = [] if status in (0, None) else ["exit status %s after SIGTERM" % status]
    if before != after:
        problems.append("a clean restart changed the data: %s, then %s" % (before, after))
    return problems


def stock_tools(server):
    """The segments, decompressed and one after another, are an AOF that redis-server loads."""
    wanted = digest(server)
    server.stop()
    segments = sorted(glob.glob(os.path.join(server.folder, "appendonlydir", "*.aof.lz4")))
    if not segments:
        return ["no segments in %s" % server.folder]
    oracle = Server(binary=oracle_binary(), wait=False, appendonly="yes")
    aof = os.path.join(oracle.folder, "appendonly.aof")
    with open(aof, "wb") as out:
        for segment in segments:
            done = subprocess.run(["lz4", "-dc", segment], stdout=out, stderr=subprocess.PIPE,
                                  check=False)
            if done.returncode:
                return ["lz4 -dc %s: %s" % (segment, done.stderr.decode())]
    oracle.start()
    found = digest(oracle)
    log = oracle.log_text()
    oracle.stop()
    oracle.discard(keep=found != wanted)
    if found != wanted:
        return ["redis-server loads the journal as %s, not %s; %s\n%s" % (
            found, wanted, oracle.folder, log[-1000:])]
    return []


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def count(self, what, problems):
        if problems:
            self.failed += 1
            print("FAILED %s\n  %s" % (what, "\n  ".join(problems)))
        else:
            self.passed += 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--quick", action="store_true", help="ten rounds")
    parser.add_argument("--maintain", action="store_true", help="compaction and backups beside it")
    parser.add_argument("--faults", action="store_true", help="the disk fails now and then")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    args = parser.parse_args()
    rounds = 10 if args.quick else args.rounds
    rng = random.Random(args.seed)
    begin = time.monotonic()
    more = {"journal_retention_time": "1"} if args.maintain else {}
    disk = None
    if args.faults:
        try:
            disk = FaultyDisk()
        except Skip as reason:
            print("skipped crash.run --faults: %s" % reason)
            return 0
        more["environment"] = disk.environment
    server = Server(appendonly="yes", appendfsync="always", journal_segment_size="1mb", **more)
    writers = [Writer("w%d" % i, args.seed + i, args.faults) for i in range(WRITERS)]
    tally = Tally()
    for number in range(rounds):
        problems = crash_round(server, writers, rng, args.maintain, disk)
        tally.count("round %d, seed %d" % (number, args.seed), problems)
        if problems:
            break  # The models no longer match; every later round would fail with this one.
        if number % 10 == 9:
            tally.count("clean restart after round %d" % number, clean_restart(server))
    print("%d acknowledged operations, %d refused, %d crashes, %.1f s" % (
        sum(w.acknowledged for w in writers), sum(w.refused for w in writers), rounds,
        time.monotonic() - begin))
    # With bases the segments alone are not the data, and what a fault cut short is no LZ4 file.
    plain = not args.maintain and not args.faults
    stock = server.is_cairn and not slow_build(server.binary) and plain
    if stock and not tally.failed:
        tally.count("redis-server loads the segments", stock_tools(server))
    problem = server.problem()
    tally.count("the server's log", [problem] if problem else [])
    server.discard(keep=bool(tally.failed))
    if disk:
        disk.close()
    if tally.failed:
        print("seed %d; folder %s\n%s" % (args.seed, server.folder, server.log_text()[-1500:]))
    print("%d passed, %d failed" % (tally.passed, tally.failed))
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
