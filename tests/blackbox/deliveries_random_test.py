# SPDX-License-Identifier: BSD-3-Clause
"""Random scenarios of four clients that subscribe, cache, wait and change, side by side with
redis-server: every reply, every message and every invalidation that a client gets, in order.

Behind each step a mark is published on a channel that all of them hear, twice: what is collected
for a turn of the loop (broadcast invalidations) comes before the second. 7.0 puts a client's own
messages into the array of its EXEC, so transactions and scripts that change anything are those of a
client that hears nothing. The order of a message and an invalidation of one command is not
compared.
"""

import itertools
import random

from harness import check, equal, eventually, limit, matrix
from harness.resp import Push
from harness.server import oracle_binary

CLIENTS = 4
STEPS = 250
SEEDS = (1, 2, 3)  # each run is the same: what differs by version is kept out by hand
KEYS = ("a", "b", "ab", "c")
LISTS = ("l1", "l2")
CHANNELS = ("news", "new", "other")
PATTERNS = ("n*", "?ews", "[no]*", "__key*__:*", "__keyspace@0__:a*")
MARK = b"mark"
WAITS = ("BLPOP", "BLMOVE")  # of an XREAD that waited 7.0 does not remember the keys


class Side:
    """One server: CLIENTS listeners and one client that hears nothing."""

    def __init__(self, env, **directives):
        self.server = env.start(notify_keyspace_events="KEA", **directives)
        self.control = env.client(3, self.server)
        self.clients = [env.client(3, self.server) for _ in range(CLIENTS)]
        self.ids = [client.call("CLIENT", "ID") for client in self.clients]
        for client in self.clients:
            client.send("SUBSCRIBE", MARK)
            client.read_push()

    def run(self, step):
        """The replies of a step; none of a command that waits."""
        client = self.control if step.who is None else self.clients[step.who]
        out = []
        for command in step.commands:
            client.send(*[self.ids[word[1]] if isinstance(word, tuple) else word for word in command])
            if "SUBSCRIBE" in command[0]:  # answered by pushes
                out.append(client.call("PING"))
            elif command[0] in WAITS:
                eventually(lambda: self.waits(step.who) or not client.nothing_to_read(0.005))
            else:
                out.append(client.read())
        return out

    def waits(self, who):
        line = self.control.call("CLIENT", "LIST", "ID", self.ids[who])
        return b"b" in line.split(b" flags=", 1)[1].split(b" ", 1)[0]

    def told(self, number):
        """For each client the messages, the invalidations, the replies that came by themselves."""
        out = [([], [], []) for _ in self.clients]
        for half in (b"%d.1" % number, b"%d.2" % number):
            self.control.call("PUBLISH", MARK, half)
            for client, lists in zip(self.clients, out):
                for value in self.until(client, half):
                    kind = 2 if not isinstance(value, Push) else value[0] == b"invalidate"
                    lists[kind].append(value)
        return [(of_one_order(messages), said_once(told), replies)
                for messages, told, replies in out]

    @staticmethod
    def until(client, mark):
        got, client.pushes = client.pushes, []
        while not got or got[-1] != [b"message", MARK, mark]:
            got.append(client.read_any()[0])
        return got[:-1]


def of_one_order(messages):
    """Which pattern of a message comes first is nobody's promise."""
    runs = itertools.groupby(messages, lambda m: m[2:] if m[0] == b"pmessage" else m)
    return [message for _, run in runs for message in sorted(run)]


def said_once(invalidations):
    """Two flushes in one transaction are told once here; the keys of a command come in no order."""
    keys = sorted(told for told in invalidations if told[1] is not None)
    return keys + [None] * (len(keys) < len(invalidations))


def in_any_turn(invalidations):
    """A push is told of, and then what it served: in one turn of a worker, or in two."""
    return {key for told in invalidations for key in (told[1] if told else [None])}


class Step:
    """A command of a client, or several of the one that hears nothing."""

    def __init__(self, rng, number, free):
        self.rng, self.number, self.crowd = rng, number, len(free) < CLIENTS - 1
        self.who = rng.choice(free) if free and rng.random() < 0.75 else None
        self.commands = self.of_control() if self.who is None else self.of_listener()
        self.waits = self.commands[0][0] in WAITS

    def of_listener(self):
        rng, kind = self.rng, self.rng.randrange(20)
        if kind < 4:
            return [tracking(rng)]
        if kind < 6:
            return [("CLIENT", "CACHING", rng.choice(("YES", "NO")))]
        if kind < 8:
            return [rng.choice((("SUBSCRIBE", *rng.sample(CHANNELS, 2)),
                                ("UNSUBSCRIBE", rng.choice(CHANNELS)),
                                ("PSUBSCRIBE", rng.choice(PATTERNS)),
                                ("PUNSUBSCRIBE", rng.choice(PATTERNS)),
                                ("SSUBSCRIBE", rng.choice(CHANNELS)),
                                ("SUNSUBSCRIBE", rng.choice(CHANNELS))))]
        if kind == 8:
            return [rng.choice((("BLPOP", rng.choice(LISTS), 0),
                                ("BLMOVE", *LISTS, "LEFT", "RIGHT", 0)))]
        if kind < 14:
            return [read(rng)]
        if kind == 14:
            return [("MULTI",), read(rng), read(rng), ("EXEC",)]
        if kind == 15:
            # Since 7.2 what the script reads is remembered, in 7.0 what it declares.
            return [("EVAL", "return redis.call('GET',KEYS[1])", 1, rng.choice(KEYS))]
        return [self.change()]

    def of_control(self):
        rng, kind = self.rng, self.rng.randrange(8)
        if self.crowd and kind < 4:
            return [("RPUSH", rng.choice(LISTS), self.number)]
        if kind < 2:
            return [publish(rng)]
        if kind == 2:
            return [("MULTI",), self.change(), publish(rng), self.change(), ("EXEC",)]
        if kind == 3:
            return [("EVAL", "redis.call('SET',KEYS[1],'1') redis.call('PUBLISH','news','lua') "
                     "redis.call('SET','b','2') return redis.call('DEL',KEYS[1])", 1,
                     rng.choice(KEYS))]
        return [self.change()]

    def change(self):
        rng = self.rng
        key, other = rng.choice(KEYS), rng.choice(KEYS)
        return rng.choice((
            ("SET", key, "1"), ("SET", key, "2"), ("MSET", key, "1", other, "2"),
            ("DEL", key, other), ("INCR", key), ("EXPIRE", key, 100000), ("RENAME", key, other),
            ("PEXPIREAT", key, 1), ("COPY", key, other), ("GETDEL", key), ("PERSIST", key),
            ("RPUSH", rng.choice(LISTS), self.number), ("LPOP", rng.choice(LISTS)),
            ("XADD", "x", "%d-%d" % (self.number + 1, rng.randrange(1000)), "f", "v"),
            ("FLUSHALL",)))


def tracking(rng):
    words = ["CLIENT", "TRACKING", rng.choice(("ON", "ON", "ON", "OFF"))]
    for option, chance in (("BCAST", 0.3), ("OPTIN", 0.15), ("OPTOUT", 0.15), ("NOLOOP", 0.3)):
        if rng.random() < chance:
            words.append(option)
    # Of a key that two clients change in one turn 7.0 tells under NOLOOP only the second.
    prefixes = ("a", "b", "ab", "c") if "NOLOOP" in words else ("a", "b", "", "ab", "l")
    for prefix in rng.sample(prefixes, 2):
        if "BCAST" in words and ("NOLOOP" in words or rng.random() < 0.4):
            words += ["PREFIX", prefix]
    if rng.random() < 0.25:
        words += ["REDIRECT", ("id", rng.randrange(CLIENTS))]
    return tuple(words)


def read(rng):
    key = rng.choice(KEYS)
    return rng.choice((("GET", key), ("MGET", *KEYS), ("EXISTS", key), ("STRLEN", key),
                       ("LRANGE", rng.choice(LISTS), 0, -1), ("XLEN", "x"), ("TYPE", key),
                       ("PING", "x"), ("PUBSUB", "NUMPAT"), ("PUBSUB", "NUMSUB", *CHANNELS)))


def publish(rng):
    return (rng.choice(("PUBLISH", "PUBLISH", "SPUBLISH")), rng.choice(CHANNELS),
            rng.choice(("m", "", "\r\n")))


@limit(180)
@matrix(((3, 1), (3, 4)))
def test_what_four_clients_are_told(env):
    for seed in SEEDS:
        scenario(env, random.Random(seed))


def scenario(env, rng):
    sides = [Side(env), Side(env, binary=oracle_binary())]
    history, waiting, heard = [], set(), 0
    for number in range(STEPS):
        step = Step(rng, number, [i for i in range(CLIENTS) if i not in waiting])
        history = history[-25:] + [(step.who, step.commands)]
        if step.waits:
            waiting.add(step.who)
        mine, theirs = [side.run(step) for side in sides]
        equal(mine, theirs, "replies in %r" % (history,))
        mine, theirs = [side.told(number) for side in sides]
        served = any(replies for _, _, replies in theirs)
        for who in range(CLIENTS):
            got, wanted = mine[who], theirs[who]
            if served:
                got, wanted = [(a, in_any_turn(b), c) for a, b, c in (got, wanted)]
            equal(got, wanted, "what client %d was told in %r" % (who, history))
            heard += len(mine[who][0]) + len(mine[who][1])
            if mine[who][2]:
                waiting.discard(who)
    check(heard > STEPS / 4, "hardly anybody was told anything")
