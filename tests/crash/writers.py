# SPDX-License-Identifier: BSD-3-Clause
"""Writers that know what they were promised.

Each writer owns some keys and a model of them. It sends small pipelines of operations and takes an
operation into the model when its reply has come. After a crash the server must show the model with
some first part of the still unanswered operations applied: nothing acknowledged lost, nothing out
of order, and no operation half there (an MSET or a transaction counts as one).
"""

import itertools
import random
import threading
import time

from harness.resp import Error, encode


class Operation:
    """Requests to send, how many replies they have, and what they do to a writer's model."""

    def __init__(self, requests, change):
        self.data = b"".join(encode(*r) for r in requests)
        self.replies = len(requests)
        self.change = change  # a function on the dictionary


class Writer(threading.Thread):
    """One connection's writes until the server is gone."""

    def __init__(self, name, seed, may_refuse=False):
        super().__init__(daemon=True)
        self.label, self.rng = name, random.Random(seed)
        self.may_refuse = may_refuse  # writes, because the disk fails
        self.model, self.unanswered = {}, []
        self.sequence = 0
        self.acknowledged = self.refused = 0
        self.problem = None
        self.client = None

    def keys(self):
        fixed = ["one", "two", "x", "y", "text", "list"]
        return ["%s:%s" % (self.label, k) for k in fixed + ["k%d" % i for i in range(12)]]

    def begin(self, client):
        """Ready for another round with a fresh connection."""
        super().__init__(daemon=True)
        self.client, self.unanswered, self.problem = client, [], None
        # Under kill -9 of a sanitizer build a socket can stay silent for a while.
        self.client.sock.settimeout(60)

    def run(self):
        try:
            while True:
                batch = [self.draw() for _ in range(self.rng.choice((1, 1, 2, 8)))]
                self.unanswered += batch
                self.client.send_raw(b"".join(op.data for op in batch))
                for op in batch:
                    self._await(op)
        except (OSError, EOFError):
            pass

    def _await(self, op):
        refused = False
        for _ in range(op.replies):
            reply = self.client.read()
            if not isinstance(reply, Error):
                continue
            refused = self.may_refuse and reply.text.startswith((b"MISCONF", b"EXECABORT"))
            if not refused:
                self.problem = "%s: unexpected %r" % (self.label, reply)
                raise EOFError
        self.unanswered.pop(0)
        if refused:
            self.refused += 1
            time.sleep(0.002)
            return
        self.note(op)
        self.acknowledged += 1

    def note(self, op):
        """It was acknowledged."""
        op.change(self.model)

    # The operations

    def draw(self):
        self.sequence += 1
        pick = self.rng.random()
        for share, make in ((0.35, self.op_set), (0.15, self.op_mset), (0.15, self.op_multi),
                            (0.1, self.op_append), (0.1, self.op_del), (0.1, self.op_expire),
                            (0.05, self.op_collections)):
            if pick < share:
                return make(str(self.sequence).encode())
            pick -= share
        return self.op_set(str(self.sequence).encode())

    def _key(self):
        return "%s:k%d" % (self.label, self.rng.randrange(12))

    def op_set(self, value):
        key, value = self._key(), value * self.rng.choice((1, 1, 1, 300))
        return Operation([("SET", key, value)], lambda m: m.__setitem__(key, value))

    def op_mset(self, value):
        one, two = self.label + ":one", self.label + ":two"

        def change(model):
            model[one] = model[two] = value
        return Operation([("MSET", one, value, two, value)], change)

    def op_multi(self, value):
        x, y = self.label + ":x", self.label + ":y"

        def change(model):
            for key in (x, y):
                model[key] = str(int(model.get(key, b"0")) + 1).encode()
        return Operation([("MULTI",), ("INCR", x), ("INCR", y), ("EXEC",)], change)

    def op_append(self, value):
        key, length = self.label + ":text", self.label + ":x"

        def change(model):
            model[key] = model.get(key, b"") + b"." + value
            model[length] = str(int(model.get(length, b"0")) + 2).encode()
        return Operation([("MULTI",), ("APPEND", key, b"." + value), ("INCRBY", length, "2"),
                          ("EXEC",)], change)

    def op_del(self, value):
        key = self._key()
        return Operation([("DEL", key)], lambda m: m.pop(key, None))

    def op_expire(self, value):
        key = self._key()
        return Operation([("SET", key, value, "EX", "100000")],
                         lambda m: m.__setitem__(key, value))

    def op_collections(self, value):
        key = self.label + ":list"

        def change(model):
            model[key] = model.get(key, ()) + (value,)
        return Operation([("RPUSH", key, value)], change)

    # The verdict

    def read_state(self, client):
        state = {}
        for key in self.keys():
            kind = client.call("TYPE", key)
            if kind == b"list":
                state[key] = tuple(client.call("LRANGE", key, 0, -1))
            elif kind == b"string":
                state[key] = client.call("GET", key)
        return state

    def verify(self, client):
        """None, or how the server's state contradicts what was acknowledged."""
        if self.problem:
            return self.problem
        state = self.read_state(client)
        nearest = self._difference(state, self.model)
        for done in self._histories():
            candidate = dict(self.model)
            for op in done:
                op.change(candidate)
            if candidate == state:
                self.model = state
                return None
        return "%s: no part of the %d unanswered operations gives the state found; against the " \
            "acknowledged state: %s" % (self.label, len(self.unanswered), nearest)

    def _histories(self):
        """What of the unanswered operations may have happened: the first ones; of these, where the
        disk fails, some may have been refused."""
        for count in range(len(self.unanswered) + 1):
            first = self.unanswered[:count]
            if not self.may_refuse:
                yield first
                continue
            for left in range(count + 1):
                yield from itertools.combinations(first, left)

    @staticmethod
    def _difference(state, model):
        out = []
        for key in sorted(set(state) | set(model)):
            if state.get(key) != model.get(key):
                out.append("%s is %.60r, acknowledged %.60r" % (key, state.get(key),
                                                                model.get(key)))
        return "; ".join(out[:5])
