# SPDX-License-Identifier: BSD-3-Clause
"""Random scripts against the oracle: python3 -m differential.scripts [--scripts N] [--seed S]

Programs in Lua (lua_programs.py) are run by both servers, in RESP2 and RESP3, with keys declared
and not; every reply has to be equal byte for byte, but for addresses.
At the end of a round the data is equal as well.
"""

import argparse
import itertools
import random
import re
import sys
import time

from differential.lua_programs import Programs
from differential.pair import Died, Pair
from differential.run import parse_seeds
from harness.resp import split_replies

ROUND = 1000
BATCH = 50
SHOWN_MAX = 12
ADDRESS = re.compile(rb"0x[0-9a-f]{6,16}")


def comparable(raw):
    return ADDRESS.sub(b"0x", raw)


def request(rng, program):
    keys = rng.choice(([], [b"k"], [b"k"], [b"k", b"other"]))
    arguments = [rng.choice((b"", b"a", b"10", b"-1", b"x\x00y", b"3.5")) for _ in
                 range(rng.randrange(3))]
    return [b"EVAL_RO" if rng.random() < 0.02 else b"EVAL", program.encode("latin-1"),
            b"%d" % len(keys), *keys, *arguments]


class Round:
    """ROUND scripts from an empty keyspace; depends on seed and number alone."""

    def __init__(self, pair, seed, number):
        self.pair = pair
        self.name = "--seed %d --round %d" % (seed, number)
        self.rng = random.Random(seed * 1000003 + number)
        self.programs = Programs(self.rng)
        self.protocol = self.rng.choice((2, 3))

    def run(self):
        """What went wrong, as texts."""
        problems = []
        self.pair.connect(self.protocol)
        for _ in range(ROUND // BATCH):
            batch = [request(self.rng, self.programs.program()) for _ in range(BATCH)]
            try:
                mine, theirs = [split_replies(raw) for raw in self.pair.exchange(batch)]
            except Died as death:
                return problems + ["died: %s\n  in %r" % (death, batch)]
            for command, ours, other in zip(batch, mine, theirs):
                if comparable(ours[1]) != comparable(other[1]):
                    problems.append(self.mismatch(command, ours[1], other[1]))
            if problems:
                return problems  # the data may differ from here on
        digests = self.pair.digests()
        if digests[0] != digests[1]:
            problems.append("%s: the data differs: %r" % (self.name, self.pair.differing_keys()))
        return problems

    def mismatch(self, command, mine, theirs):
        return "%s (RESP%d): %s\n  %s\n    server %r\n    oracle %r" % (
            self.name, self.protocol, command[1].decode("latin-1"),
            b" ".join(command[2:]).decode("latin-1"), mine[:400], theirs[:400])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--scripts", type=int, default=20000, help="for each seed")
    parser.add_argument("--seed", default="new", help="numbers, or new, with commas between")
    parser.add_argument("--round", type=int)
    parser.add_argument("--threads", type=int, default=4)
    args = parser.parse_args()
    begin, passed, failed, shown = time.monotonic(), 0, 0, 0
    seeds = parse_seeds(args.seed)
    numbers = [args.round] if args.round is not None else range(-(-args.scripts // ROUND))
    print("seeds %s" % ",".join(map(str, seeds)))
    pair = Pair(args.threads)
    try:
        for seed, number in itertools.product(seeds, numbers):
            problems = Round(pair, seed, number).run()
            passed += not problems
            failed += bool(problems)
            for problem in problems[:SHOWN_MAX - shown]:
                print("MISMATCH " + problem, flush=True)
            shown += len(problems)
            if shown >= SHOWN_MAX:
                break
    finally:
        for problem in pair.close():
            print(problem)
            failed += 1
    print("%d rounds of %d scripts in %.1f s" % (passed + failed, ROUND, time.monotonic() - begin))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
