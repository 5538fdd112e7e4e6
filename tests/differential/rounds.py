# SPDX-License-Identifier: BSD-3-Clause
"""A round: a fresh keyspace, some thousands of commands, every reply and the digests compared.

A round depends on (seed, number, families) alone, so one that fails is run again by itself.
"""

from differential.compare import Context, differ
from differential.families.programs import in_script
from differential.generator import Generator
from differential.pair import Died
from differential.promises import no_promise
from differential.replay import check_replay, check_stock_load
from harness.resp import split_replies

BATCH = 120
ROUND = 4000
MISMATCHES_MAX = 4

# One round in so many is also replayed from the journal, and loaded by redis-server from it.
REPLAY_EVERY = 5
STOCK_LOAD_EVERY = 15


class Mismatch:
    """Where two servers parted. `history` is every command of the round up to that one."""

    def __init__(self, what, history, protocol, thresholds, mine=b"", theirs=b""):
        self.what, self.history, self.protocol = what, history, protocol
        self.thresholds = thresholds
        self.mine, self.theirs = mine, theirs

    @property
    def command(self):
        return self.history[-1]


class Round:
    """Draws and runs the commands of one round."""

    def __init__(self, pair, families, seed, number, length=ROUND):
        self.pair, self.length, self.number = pair, length, number
        self.gen = Generator("%d/%d" % (seed, number))
        self.families = {f.name: f for f in families}
        self.table = []
        for family in families:
            self.table += [family] * max(1, round(family.weight * 10))
        # Half of the rounds look at a few families only, which then meet each other more often.
        if self.gen.r() < 0.5 and len(families) > 3:
            chosen = [self.gen.pick(families) for _ in range(3)]
            self.table = [f for f in self.table if f in chosen or f.name == "keys"]
        self.protocol = 2 + self.gen.below(2)
        self.context = Context()
        self.history = []

    def thresholds(self):
        from differential.pair import THRESHOLDS
        return [(n, self.gen.pick(THRESHOLDS[n])) for n in THRESHOLDS if n in self.pair.thresholds]

    def draw_batch(self):
        batch = []
        while len(batch) < BATCH:
            family = self.gen.pick(self.table)
            if family.name == "transactions" and self.gen.r() < 0.7:
                batch += self._transaction()
            elif family.name == "scripts" and self.gen.r() < 0.5:
                batch.append(in_script(self.gen, self.gen.pick(self.table).draw(self.gen)))
            else:
                batch.append(family.draw(self.gen))
        if "transactions" in self.families:
            batch.append([b"DISCARD"])  # No MULTI stays open over the end of a batch.
        return batch

    def _transaction(self):
        gen = self.gen
        block = []
        if gen.r() < 0.3:
            watch = [b"WATCH", gen.any()]
            block += [] if no_promise(watch) else [watch]
        block.append([b"MULTI"])
        for _ in range(gen.below(6)):
            block.append(gen.pick(self.table).draw(gen))
        block.append([b"EXEC"])
        return block

    def run(self):
        """Returns (number of commands, list of Mismatches).

        A reply that differs does not end the round: most do not mean that the data differs. One
        mismatch for each command is reported, and the round ends when there are MISMATCHES_MAX."""
        settings = self.thresholds()
        self.pair.connect(self.protocol)
        self.pair.exchange([[b"CONFIG", b"SET", n, v] for n, v in settings])
        self.settings = settings
        mismatches = []
        while len(self.history) < self.length and len(mismatches) < MISMATCHES_MAX:
            mismatch = self._run_batch(self.draw_batch())
            if mismatch is None:
                continue
            if mismatch.command[0].upper() not in {m.command[0].upper() for m in mismatches}:
                mismatches.append(mismatch)
            if mismatch.what.startswith("died"):
                return len(self.history), mismatches
        if not mismatches:
            mismatch = self._compare_data() or self._compare_journal()
            mismatches = [mismatch] if mismatch else []
        return len(self.history), mismatches

    def _run_batch(self, batch):
        start = len(self.history)
        self.history += batch
        self.context.note(batch)
        try:
            mine, theirs = self.pair.exchange(batch)
        except Died as death:
            return Mismatch("died: %s" % death, self.history, self.protocol, self.settings)
        if mine == theirs:
            return None
        found = first_difference(batch, mine, theirs, self.context)
        if found is None:
            return None
        at, what, one, other = found
        return Mismatch(what, self.history[:start + at + 1], self.protocol, self.settings, one,
                        other)

    def _compare_data(self):
        try:
            mine, theirs = self.pair.digests()
            if mine != theirs:
                return Mismatch("DEBUG DIGEST differs, keys %r" % self.pair.differing_keys()[:8],
                                self.history, self.protocol, self.settings, mine, theirs)
            if {b"DUMP", b"RESTORE"} <= self.pair.known[0]:
                problems = self.pair.cross_restore()
                if problems:
                    return Mismatch("DUMP and RESTORE: " + "\n".join(problems[:5]), self.history,
                                    self.protocol, self.settings)
        except Died as death:
            return Mismatch("died: %s" % death, self.history, self.protocol, self.settings)
        return None

    def _compare_journal(self):
        if not self.pair.servers[0].is_cairn:
            return None
        problems = []
        if self.number % REPLAY_EVERY == REPLAY_EVERY - 1:
            problems = check_replay(self.pair, self.history)
        # redis-server deletes keys that are expired right after it has loaded them.
        if self.number % STOCK_LOAD_EVERY == STOCK_LOAD_EVERY - 1 and not self.gen.lingering:
            problems += check_stock_load(self.pair, self.settings)
        if not problems:
            return None
        return Mismatch("the journal: " + "\n".join(problems[:5]), self.history, self.protocol,
                        self.settings)


def first_difference(batch, mine, theirs, context, only=None):
    """(index, reason, my bytes, their bytes) of the first reply that differs, or None.

    `only`: the index of the one command that counts."""
    ours, oracles = split_replies(mine), split_replies(theirs)
    context.queued = None
    for at, command in enumerate(batch):
        if at >= len(ours) or at >= len(oracles):
            return at, "a reply is missing", mine[-100:], theirs[-100:]
        problem = differ(command, ours[at], oracles[at], context)
        if problem and only in (None, at):
            return at, problem, ours[at][1], oracles[at][1]
    if len(ours) != len(oracles):
        return len(batch) - 1, "a reply too many", mine[-100:], theirs[-100:]
    return None
