# SPDX-License-Identifier: BSD-3-Clause
"""Random scenarios of three clients and a pusher, side by side with redis-server.

After each step both servers are asked who is blocked; replies that have come are compared. Steps in
which 7.0 and 7.4 differ are not drawn: those that make several awaited keys of one command ready
(7.0 serves by readiness, 7.4 by the order of the command's keys), and keys of another type.
"""

from harness import PROTOCOLS, check, equal, eventually, limit, matrix

MATRIX = PROTOCOLS
KEYS = ("a", "b", "c", "d")
MOVED_TO = ("x", "y")  # awaited alone, for the first of the reasons above
STEPS = 250


class Side:
    """One server: three clients that block and one that pushes."""

    def __init__(self, clients):
        self.control, *self.clients = clients
        self.ids = [c.call("CLIENT", "ID") for c in self.clients]

    def blocked(self):
        text = self.control.call("CLIENT", "LIST", "ID", *self.ids).decode()
        lines = {int(line.split(" ", 1)[0][3:]): line for line in text.strip().split("\n")}
        return [" flags=b" in lines[i] for i in self.ids]


def blocking_command(rng):
    keys = rng.sample(KEYS, rng.choice((1, 1, 2, 3)))
    if rng.random() < 0.3:
        keys = [rng.choice(MOVED_TO)]
    return rng.choice((
        ("BLPOP", *keys, 0), ("BRPOP", *keys, 0),
        ("BLMPOP", 0, len(keys), *keys, rng.choice(("LEFT", "RIGHT")), "COUNT", rng.randrange(1, 4)),
        ("BLMOVE", keys[0], rng.choice(MOVED_TO), rng.choice(("LEFT", "RIGHT")),
         rng.choice(("LEFT", "RIGHT")), 0),
        ("BRPOPLPUSH", keys[0], rng.choice(MOVED_TO), 0)))


def other_command(rng, number, ids):
    key = rng.choice(KEYS + MOVED_TO)
    elements = ["%d.%d" % (number, i) for i in range(rng.choice((1, 1, 1, 2, 4)))]
    kind = rng.randrange(10)
    if kind < 5:
        return [(rng.choice(("LPUSH", "RPUSH")), key, *elements)]
    if kind == 5:
        return [("MULTI",), ("RPUSH", key, *elements), (rng.choice(("LPOP", "DEL", "LLEN")), key),
                ("EXEC",)]
    if kind == 6:
        return [("RPUSH", "source", *elements), ("RENAME", "source", key)]
    if kind == 7:
        return [("DEL", key)]
    if kind == 8:
        return [("LRANGE", k, 0, -1) for k in KEYS + MOVED_TO]
    return [("CLIENT", "UNBLOCK", ids[rng.randrange(3)], rng.choice(("TIMEOUT", "ERROR")))]


@limit(60)
@matrix(PROTOCOLS)
def test_three_clients(env):
    ours = Side([env.client() for _ in range(4)])
    theirs = Side([env.oracle_client(env.protocol) for _ in range(4)])
    waiting = [False] * 3
    served = 0
    history = []
    for number in range(STEPS):
        free = [i for i in range(3) if not waiting[i]]
        if free and env.rng.random() < 0.5:
            who, command = env.rng.choice(free), blocking_command(env.rng)
            history.append((who, command))
            for side in (ours, theirs):
                side.clients[who].send(*command)
            waiting[who] = True
            # Either server has answered or blocks by the time it answers the next client.
            for side in (ours, theirs):
                eventually(lambda s=side, w=who: s.blocked()[w] or
                           not s.clients[w].nothing_to_read(0.005))
        else:
            rng_state = env.rng.getstate()
            replies = []
            for side in (ours, theirs):
                env.rng.setstate(rng_state)
                commands = other_command(env.rng, number, side.ids)
                replies.append(side.control.pipeline(commands))
            history.append(("control", commands))
            equal(replies[0], replies[1], "step %d of %r" % (number, history[-12:]))
        blocked = theirs.blocked()
        equal(ours.blocked(), blocked, "who is blocked after %r" % (history[-12:],))
        for i in range(3):
            if waiting[i] and not blocked[i]:
                wanted = theirs.clients[i].read()
                equal(ours.clients[i].read(), wanted,
                      "client %d after %r" % (i, history[-12:]))
                waiting[i] = False
                served += 1
    check(served > STEPS // 10, "hardly anybody was served")
