# SPDX-License-Identifier: BSD-3-Clause
"""Power cuts under a real server: python3 -m crash.power [--rounds N] [--quick] [--seed S]

As crash.run, but with the kill goes what no sync had made durable, but for a random part of its
sectors (harness/power_cut.py). The rounds take turns with appendfsync:

  always     nothing that was acknowledged is missing
  everysec   nothing is missing that was written to the file when a sync began that has ended since;
             nor what WAITAOF had called durable. Every second time the disk hangs in the end, until
             no more writes are acknowledged.
  no         the server starts

and in each: what is missing is the end of what was acknowledged, whole transactions. How old what
was lost had been is printed, not judged: a machine may stand still. That the journal does what it
has to do within the second is tests/unit/journal/everysec_test.cc's, where time stands still.
"""

import argparse
import os
import random
import sys
import threading
import time
import traceback

from crash.writers import Writer
from harness.checks import PATIENCE, Skip
from harness.power_cut import PowerCut
from harness.resp import Error
from harness.server import Server

WRITERS = 4
POLICIES = ("everysec", "always", "everysec", "no")
LATE = "The disk is slow: writes wait"


class TimedWriter(Writer):
    """Knows when each operation was acknowledged, and finds out how many of them are there."""

    def begin(self, client):
        super().begin(client)
        self.history = []  # (operation, when it was acknowledged), behind self.model

    def note(self, op):
        self.history.append((op, time.monotonic()))

    def settle(self, client):
        """A problem or None, and when the operations that are missing were acknowledged."""
        if self.problem:
            return self.problem, []
        state, candidate = self.read_state(client), dict(self.model)
        operations = [op for op, _ in self.history] + self.unanswered
        there = 0 if candidate == state else None
        for count, op in enumerate(operations, 1):
            op.change(candidate)
            if candidate == state:
                there = count
        if there is None:
            return "%s: the state found is none of those it went through: %s" % (
                self.label, self._difference(state, candidate)), []
        self.model = state
        return None, [at for _, at in self.history[there:]]


class Prober(threading.Thread):
    """Counts, and asks what of it is durable."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self.client, self.durable = client, 0

    def run(self):
        try:
            self.client.sock.settimeout(PATIENCE)
            while True:
                count = self.client.call("INCR", "probe")
                reply = self.client.call("WAITAOF", 1, 0, 0)
                if isinstance(count, Error) or isinstance(reply, Error):
                    return
                if reply[0] == 1:
                    self.durable = count
        except (OSError, EOFError):
            pass


def segments(calls, what):
    return [c for c in calls if c.what == what and c.path.endswith(".aof.lz4")]


def promised(calls, at):
    """Whether what was acknowledged then was in the file when a sync of it began that has ended.

    The first write that began since may have been of bytes before it; what the second one finds
    is behind it. Only where the log is in one file.
    """
    begins = [c.begin for c in segments(calls, "sync")]
    writes = [c.end for c in segments(calls, "write") if c.begin > at]
    return len(writes) >= 2 and bool(begins) and sorted(writes)[1] < max(begins)


def hang(server, power, writers):
    """The disk hangs until nobody is answered any more. A problem or None."""
    lines = server.log_text().count(LATE)
    power.hold_syncs(True)
    deadline = time.monotonic() + PATIENCE
    while server.log_text().count(LATE) == lines:
        if time.monotonic() > deadline:
            return "the disk hangs, and writes go on"
        time.sleep(0.01)
    # Those that had been let in get their answers.
    before = None
    while before != [w.acknowledged for w in writers]:
        if time.monotonic() > deadline:
            return "writes are acknowledged though the disk hangs"
        before = [w.acknowledged for w in writers]
        time.sleep(0.3)
    return None


def power_round(server, power, writers, rng, policy, hangs):
    """One round; returns problems and how old, in seconds, the oldest was that is missing."""
    for writer in writers:
        writer.begin(server.client())
    prober = Prober(server.client())
    for thread in writers + [prober]:
        thread.start()
    time.sleep(rng.choice((0.01, 0.3, 1.0, 2.0)) * (0.5 + rng.random()))
    problems = [hang(server, power, writers)] if hangs else []
    cut = time.monotonic()
    server.kill()
    for thread in writers + [prober]:
        thread.join(PATIENCE)
        thread.client.close()
    calls = power.calls()
    power.cut(os.path.join(server.folder, "appendonlydir"), rng)
    server.start()
    missing = []
    with server.client() as client:
        for writer in writers:
            problem, lost = writer.settle(client)
            problems.append(problem)
            missing += lost
        probe = int(client.call("GET", "probe") or 0)
        client.call("SET", "probe", 0)
    if policy != "no" and probe < prober.durable:
        problems.append("WAITAOF called %d durable, and it is %d" % (prober.durable, probe))
    if policy == "always" and missing:
        problems.append("%d acknowledged operations are missing" % len(missing))
    if policy == "everysec" and missing and promised(calls, min(missing)):
        problems.append("what was acknowledged %.3f s before the cut is missing, and a sync has "
                        "ended that began behind it" % (cut - min(missing)))
    return [p for p in problems if p], cut - min(missing) if missing else 0, \
        max(missing) - min(missing) if missing else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--quick", action="store_true", help="eight rounds")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    args = parser.parse_args()
    rounds = 8 if args.quick else args.rounds
    rng = random.Random(args.seed)
    try:
        power = PowerCut()
    except Skip as reason:
        print("skipped crash.power: %s" % reason)
        return 0
    server = Server(environment=power.environment, wait=False, appendonly="yes", save="")
    writers = [TimedWriter("w%d" % i, args.seed + i) for i in range(WRITERS)]
    passed = failed = 0
    oldest, span = {}, {}
    for number in range(rounds):
        policy, hangs = POLICIES[number % len(POLICIES)], number % len(POLICIES) == 2
        # The restart behind a round is the start of the next one: the policy is set while it runs.
        if number == 0:
            server.start()
        with server.client() as client:
            client.call("CONFIG", "SET", "appendfsync", policy)
        try:
            problems, age, within = power_round(server, power, writers, rng, policy, hangs)
        except Exception:  # pylint: disable=broad-except
            problems, age, within = [traceback.format_exc()], 0, 0  # a start that was refused, say
        kind = policy + ", disk hung" * hangs
        oldest[kind], span[kind] = max(oldest.get(kind, 0), age), max(span.get(kind, 0), within)
        if problems:
            failed += 1
            print("FAILED round %d, %s, seed %d\n  %s" % (number, kind, args.seed,
                                                          "\n  ".join(problems)))
            break
        passed += 1
    for kind in sorted(oldest):
        print("%s: what was lost had been acknowledged up to %.3f s before the cut, within %.3f s" %
              (kind, oldest[kind], span[kind]))
    problem = server.problem()
    if problem:
        failed += 1
        print("FAILED the server's log: %s" % problem)
    if failed:
        print("seed %d; folder %s\n%s" % (args.seed, server.folder, server.log_text()[-1500:]))
    server.discard(keep=bool(failed))
    power.close()
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
