# SPDX-License-Identifier: BSD-3-Clause
"""Keyspace events against the oracle: python3 -m differential.events [--commands N] [--seed S]

The rounds of the differential test once more, with a client on each server that is subscribed to
all events of all classes. Behind every command a mark is published, so that the events of each
command are known; they must be the same, in the same order. Replies are not compared here.
"""

import argparse
import random
import time

from differential.families import ALL
from differential.families.programs import inner_command
from differential.pair import Died, Pair, printable
from differential.rounds import ROUND, Mismatch, Round

CLASSES = b"KEAmn"
MARK = b"mark"


class Listener:
    """The events of one server, cut at the marks."""

    def __init__(self, server):
        self.client = server.client(2)
        self.client.call("CONFIG", "SET", "notify-keyspace-events", CLASSES)
        self.client.call("SUBSCRIBE", MARK)
        self.client.call("PSUBSCRIBE", "__key*__:*")

    def until(self, last):
        """The events in front of every mark up to `last`, by mark. DISCARD takes marks along."""
        out, events = {}, []
        while True:
            message = self.client.read()
            if message[0] == b"pmessage":
                events.append((message[2], message[3]))
            elif message[1] == MARK:
                out[message[2]] = events
                events = []
                if message[2] == last:
                    return out

    def close(self):
        self.client.close()


# Since 7.2 a consumer that gets nothing is made all the same, and announced.
NEW_CONSUMER = b"xgroup-createconsumer"
OLD_CONSUMER = b"xgroup-delconsumer"
MAKES_CONSUMERS = (b"XREADGROUP", b"XCLAIM", b"XAUTOCLAIM", b"XGROUP")


# Errors in the arguments: which of them are found before the keys are looked up, and which behind,
# differs between 7.0 and 7.4.
LOOKS_FIRST = (b"BITCOUNT", b"BITPOS", b"LCS", b"LPOS", b"SORT", b"SORT_RO", b"XAUTOCLAIM",
               b"XREAD", b"ZRANGESTORE")
# Not drawn: one of the servers deletes the expired keys that they meet, the other does so later.
NOT_DRAWN = (b"SCAN", b"KEYS", b"RANDOMKEY", b"WATCH")


# More arguments since 7.2: refused on one side, they spoil its transaction alone.
OTHER_ARITY = {b"ZRANK", b"ZREVRANK"}


def without(events, name):
    return [(channel, text) for channel, text in events if name not in channel and text != name]


def same(command, mine, theirs):
    name = inner_command(command)[0].upper()
    if name in MAKES_CONSUMERS:
        for event in (NEW_CONSUMER, OLD_CONSUMER):
            mine, theirs = without(mine, event), without(theirs, event)
    if name in LOOKS_FIRST:
        mine, theirs = without(mine, b"keymiss"), without(theirs, b"keymiss")
    return mine == theirs


class EventRound(Round):
    """A round whose events are compared instead of its replies."""

    listeners = ()
    marks = 0

    def run(self):
        self.pair.connect(2)
        self.listeners = [Listener(server) for server in self.pair.servers]
        self.settings = []
        mismatches = []
        try:
            while len(self.history) < self.length and len(mismatches) < 8:
                mismatch = self._run_batch(self.draw_batch())
                if mismatch is not None:
                    mismatches.append(mismatch)
                    if mismatch.what.startswith("died"):
                        break
        finally:
            for listener in self.listeners:
                listener.close()
        return len(self.history), mismatches

    def draw_batch(self):
        return [c for c in super().draw_batch() if c[0].upper() not in NOT_DRAWN]

    def _run_batch(self, batch):
        start = len(self.history)
        self.history += batch
        commands, by_mark = [], {}
        for command in batch:
            self.marks += 1
            by_mark[b"%d" % self.marks] = len(by_mark)
            commands += [command, [b"PUBLISH", MARK, b"%d" % self.marks]]
        self.marks += 1
        last = b"%d" % self.marks
        commands += [[b"DISCARD"], [b"PUBLISH", MARK, last]]
        try:
            self.pair.exchange(commands)
            mine, theirs = [listener.until(last) for listener in self.listeners]
        except (Died, EOFError, OSError) as death:
            return Mismatch("died: %s" % death, self.history, 2, [])
        if list(mine) != list(theirs):
            lost = set(mine) ^ set(theirs)
            words = {inner_command(batch[at])[0].upper() for mark, at in by_mark.items() if mark in lost}
            if words & OTHER_ARITY:
                self.length = len(self.history)  # the data differs from here on
                return None
            shown = [printable(batch[at], 100) for mark, at in by_mark.items() if mark in lost]
            return Mismatch("a transaction ran on one side alone: %s" % shown, self.history, 2, [],
                            sorted(set(mine) - set(theirs)), sorted(set(theirs) - set(mine)))
        for mark, at in by_mark.items():
            if mark not in mine or same(batch[at], mine[mark], theirs[mark]):
                continue
            return Mismatch("events differ at %s" % printable(batch[at], 200),
                            self.history[:start + at + 1], 2, [], mine[mark], theirs[mark])
        return None


def report(mismatch, seed, number):
    words = {arg for arg in mismatch.command[1:] if b":" in arg}
    print("MISMATCH --seed %d --round %d: %s" % (seed, number, mismatch.what))
    for command in [c for c in mismatch.history[:-1] if words.intersection(c)][-5:]:
        print("    before: " + printable(command, 200))
    print("    server %r\n    oracle %r" % (mismatch.mine, mismatch.theirs))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--commands", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--families", default="")
    parser.add_argument("--threads", type=int, default=4)
    args = parser.parse_args()
    begin, commands, passed, failed = time.monotonic(), 0, 0, 0
    pair = Pair(args.threads)
    mine, theirs = pair.known
    wanted = set(filter(None, args.families.split(",")))
    families = [f for f in ALL if f.main in mine and (not wanted or f.name in wanted)]
    for family in families:
        family.learn(pair)
        family.keep({c for c in family.commands()
                     if c in mine and c in theirs and c not in NOT_DRAWN})
    print("seed %d, families %s" % (args.seed, " ".join(f.name for f in families)))
    for number in range((args.commands + ROUND - 1) // ROUND):
        count, mismatches = EventRound(pair, families, args.seed, number).run()
        commands += count
        passed += not mismatches
        failed += bool(mismatches)
        for mismatch in mismatches:
            report(mismatch, args.seed, number)
    for problem in pair.close():
        print(problem)
        failed += 1
    print("%d commands in %.1f s" % (commands, time.monotonic() - begin))
    print("%d passed, %d failed" % (passed, failed))
    raise SystemExit(failed != 0)


if __name__ == "__main__":
    main()
