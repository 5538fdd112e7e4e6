# SPDX-License-Identifier: BSD-3-Clause
"""Shrinks the history before a mismatch to the few commands that matter.

Works by replaying subsets on both servers: first the commands that share an argument with the one
that failed, then ever smaller parts (delta debugging), within a time limit.
"""

import time

from differential.compare import Context
from differential.pair import Died
from differential.rounds import first_difference

CHUNK = 200

# Ends every chunk: in an open MULTI the end of the batch would be queued and never answered.
CLOSE = [[b"DISCARD"]]


def chunked(history):
    """Parts of some CHUNK commands that do not cut through a transaction."""
    chunks, opened = [[]], False
    for command in history:
        if len(chunks[-1]) >= CHUNK and not opened:
            chunks.append([])
        chunks[-1].append(command)
        name = command[0].upper()
        opened = name == b"MULTI" or opened and name not in (b"EXEC", b"DISCARD")
    return chunks


class Minimiser:
    """`fails(history)` runs it afresh and says whether its last command still differs."""

    def __init__(self, pair, mismatch, seconds):
        self.pair, self.mismatch = pair, mismatch
        self.deadline = time.monotonic() + seconds
        self.digest = mismatch.what.startswith("DEBUG DIGEST")
        self.restore = mismatch.what.startswith("DUMP and RESTORE")
        self.death = mismatch.what.startswith("died")

    def fails(self, history):
        self.pair.connect(self.mismatch.protocol)
        self.pair.exchange([[b"CONFIG", b"SET", n, v] for n, v in self.mismatch.thresholds])
        try:
            found = self._replay(history)
            if self.digest:
                mine, theirs = self.pair.digests()
                return mine != theirs
            if self.restore:
                return bool(self.pair.cross_restore())
        except Died:
            return self.death
        return not self.death and found

    def _replay(self, history):
        """Whether the last command's reply differs; those before it may differ or not."""
        chunks = chunked(history)
        for chunk in chunks[:-1]:
            self.pair.exchange(chunk + CLOSE)
        context = Context()
        context.note(history)
        last = chunks[-1] + CLOSE
        mine, theirs = self.pair.exchange(last)
        return mine != theirs and first_difference(last, mine, theirs, context,
                                                   len(last) - 2) is not None

    def run(self):
        """The shortest failing history found, or the whole one if it does not fail again."""
        history = self.mismatch.history
        if not self.fails(history):
            return None
        keep_last = 0 if self.digest or self.restore or self.death else 1
        if keep_last:
            words = {arg for arg in history[-1][1:] if b":" in arg}
            related = [c for c in history[:-1] if words.intersection(c)] + history[-1:]
            if self.fails(related):
                history = related
        return self._ddmin(history, keep_last)

    def _ddmin(self, history, keep_last):
        size = max(1, len(history) // 2)
        while time.monotonic() < self.deadline:
            at, shrunk = 0, False
            while at < len(history) - keep_last and time.monotonic() < self.deadline:
                stop = min(at + size, len(history) - keep_last)
                shorter = history[:at] + history[stop:]
                if shorter and self.fails(shorter):
                    history, shrunk = shorter, True
                else:
                    at = stop
            if size == 1 and not shrunk:
                break
            size = max(1, size // 2)
        return history
