# SPDX-License-Identifier: BSD-3-Clause
"""The differential test: python3 -m differential.run [--commands N] [--seed S] [--families a,b]

Seeded random commands go to Cairn and to redis-server; replies must be equal byte for byte but for
the differences that differences.md lists. Ends with `N passed, N failed`, counting rounds.
"""

import argparse
import random
import sys
import time

from differential.disturb import Disturber
from differential.families import ALL
from differential.minimise import Minimiser
from differential.pair import Pair, printable
from differential.rounds import ROUND, Round

FAILURES_MAX = 25


def choose_families(pair, wanted, strict):
    """Families whose main command Cairn has; says aloud what is left out."""
    mine, theirs = pair.known
    problems = 0
    chosen = []
    for family in ALL:
        if wanted and family.name not in wanted:
            continue
        if family.main not in mine:
            print("family %s is off: the server has no %s" % (family.name, family.main.decode()))
            problems += 1
            continue
        missing = [c for c in family.commands() if c in theirs and c not in mine]
        if missing:
            print("family %s lacks %s" % (family.name, b" ".join(missing).decode()))
            problems += 1
        # Unknown in both is a subject too: the error must be the same.
        family.learn(pair)
        family.keep({c for c in family.commands() if (c in mine) or (c not in theirs)})
        chosen.append(family)
    print("families: %s" % " ".join(f.name for f in chosen))
    return chosen, problems if strict else 0


def report(mismatch, seed, number, pair, seconds):
    print("MISMATCH --seed %d --round %d: %s" % (seed, number, mismatch.what))
    words = {arg for arg in mismatch.command[1:] if b":" in arg}
    tail = [c for c in mismatch.history[:-1] if words.intersection(c)][-10:]
    print("  RESP%d, command %d; thresholds %s" % (
        mismatch.protocol, len(mismatch.history),
        " ".join("%s=%s" % (n.decode(), v.decode()) for n, v in mismatch.thresholds)))
    print("  before, on the same keys:")
    for command in tail:
        print("    " + printable(command))
    print("  command: " + printable(mismatch.command, 600))
    print("    server %r" % (mismatch.mine[:600],))
    print("    oracle %r" % (mismatch.theirs[:600],))
    if seconds:
        shortest = Minimiser(pair, mismatch, seconds).run()
        if shortest is None:
            print("  it did not happen again when the round was replayed")
        else:
            print("  shortest history found (%d commands):" % len(shortest))
            for command in shortest[:40]:
                print("    " + printable(command, 300))
    sys.stdout.flush()


def parse_seeds(text):
    """"1,2,new" -> [1, 2, one that nobody ran before]"""
    return [random.SystemRandom().randrange(1 << 31) if word == "new" else int(word)
            for word in text.split(",")]


def run_rounds(pair, families, seed, args):
    """All rounds of one seed; (passed, failed, commands)."""
    numbers = [args.round] if args.round is not None else \
        range((args.commands + ROUND - 1) // ROUND)
    passed = failed = commands = 0
    seen = set()  # Kinds of mismatch that were reported in full.
    for number in numbers:
        one = Round(pair, families, seed, number)
        count, mismatches = one.run()
        commands += count
        if not mismatches:
            passed += 1
            continue
        failed += 1
        for mismatch in mismatches:
            kind = (mismatch.what[:40], mismatch.command[0].upper())
            if kind not in seen:
                report(mismatch, seed, number, pair, args.minimise)
            seen.add(kind)
        if failed >= FAILURES_MAX:
            print("stopping after %d failed rounds" % failed)
            break
    return passed, failed, commands


def run_seeds(pair, args):
    """(passed, failed, commands) of all seeds, families that are off included."""
    seeds = parse_seeds(args.seed)
    print("%s against %s" % (pair.servers[0].binary, pair.servers[1].binary))
    print("seeds %s" % ",".join(map(str, seeds)))
    families, failed = choose_families(pair, set(filter(None, args.families.split(","))),
                                       args.strict)
    if not families:
        return 0, failed + 1, 0
    passed = commands = 0
    disturber = Disturber(pair.servers) if args.disturb else None
    for seed in seeds:
        counts = run_rounds(pair, families, seed, args)
        passed, failed, commands = (a + b for a, b in zip((passed, failed, commands), counts))
    if disturber:
        disturber.close()
        print("the servers were stopped %d times" % disturber.stops)
    return passed, failed, commands


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--commands", type=int, default=200000, help="for each seed")
    parser.add_argument("--seed", default="new", help="numbers, or new, with commas between")
    parser.add_argument("--round", type=int)
    parser.add_argument("--families", default="")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--minimise", type=float, default=8.0, help="seconds for each; 0: off")
    parser.add_argument("--strict", action="store_true", help="fail when a family is off")
    parser.add_argument("--disturb", action="store_true", help="stop the servers now and then")
    args = parser.parse_args()
    begin = time.monotonic()
    pair = Pair(args.threads)
    try:
        passed, failed, commands = run_seeds(pair, args)
    finally:
        problems = pair.close()
    for problem in problems:
        print(problem)
        failed += 1
    seconds = time.monotonic() - begin
    print("%d commands in %.1f s, %d a second" % (commands, seconds, commands / seconds))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
