# SPDX-License-Identifier: BSD-3-Clause
"""Random interleavings of two clients with MULTI and WATCH, side by side with redis-server: every
reply is the same, byte for byte, and so is the dataset after every EXEC.

What depends on a clock is not drawn.
"""

from harness import PROTOCOLS, equal, limit, matrix

MATRIX = PROTOCOLS
KEYS = ("a", "b", "c")
STEPS = 1500


def write(rng):
    key, other = rng.choice(KEYS), rng.choice(KEYS)
    return rng.choice((
        ("SET", key, rng.randrange(10)), ("INCR", key), ("APPEND", key, "1"), ("DEL", key, other),
        ("LPUSH", "list", key), ("LPOP", "list"), ("RENAME", key, other), ("COPY", key, other),
        ("MSET", key, 1, other, 2), ("SETNX", key, 1), ("GETDEL", key), ("PERSIST", key),
        ("HSET", "hash", key, 1), ("EVAL", "return redis.call('INCR', KEYS[1])", 1, key),
        ("EVAL", "return redis.call('SET', 'undeclared', 1)", 0), ("MOVE", key, 1),
        ("SWAPDB", 0, 1), ("FLUSHDB",), ("PEXPIREAT", key, 1), ("EXPIRE", key, 100000)))


def read(rng):
    key = rng.choice(KEYS)
    return rng.choice((("GET", key), ("MGET", *KEYS), ("LRANGE", "list", 0, -1), ("EXISTS", *KEYS),
                       ("TYPE", key), ("HGETALL", "hash"), ("BLPOP", "list", "nolist", 0)))


def refused(rng):
    return rng.choice((("GET",), ("NOSUCH", "x"), ("EVAL", "x")))


class Script:
    """What one client does next: it knows whether it is inside MULTI."""

    def __init__(self, rng):
        self.rng, self.inside = rng, False

    def next(self):
        rng, draw = self.rng, self.rng.random()
        if self.inside:
            if draw < 0.25:
                self.inside = False
                return ("EXEC",)
            if draw < 0.30:
                self.inside = False
                return ("DISCARD",)
            if draw < 0.33:
                return rng.choice((("WATCH", "a"), ("MULTI",), ("UNWATCH",), ("SELECT", "1"),
                                   ("SELECT", "0")))
            if draw < 0.35:
                return refused(rng)
            return write(rng) if draw < 0.75 else read(rng)
        if draw < 0.35:
            return ("WATCH", *rng.sample(KEYS + ("list", "hash", "undeclared"), rng.randrange(1, 4)))
        if draw < 0.60:
            self.inside = True
            return ("MULTI",)
        if draw < 0.65:
            return rng.choice((("UNWATCH",), ("EXEC",), ("DISCARD",), ("SELECT", "0"),
                               ("SELECT", "1")))
        if draw < 0.75:
            command = read(rng)
            return command if command[0] != "BLPOP" else ("LLEN", "list")
        return write(rng)


@limit(60)
@matrix(PROTOCOLS)
def test_two_clients(env):
    for client in (env.c, env.oracle_client()):
        client.call("FLUSHALL")
    ours = [env.client(), env.client()]
    theirs = [env.oracle_client(), env.oracle_client()]
    scripts = [Script(env.rng), Script(env.rng)]
    dataset = (("MGET", *KEYS), ("LRANGE", "list", 0, -1), ("GET", "undeclared"), ("DBSIZE",))
    observers = env.client(), env.oracle_client()
    done, told = 0, []
    for _ in range(STEPS):
        who = env.rng.randrange(2)
        command = scripts[who].next()
        told = told[-30:] + [(who, command)]
        replies = []
        for client in (ours[who], theirs[who]):
            client.call(*command)
            replies.append(client.last_raw)
        equal(replies[0], replies[1], "after %r" % (told,))
        if command == ("EXEC",):
            done += replies[0].startswith(b"*") and not replies[0].startswith((b"*-1", b"*0"))
            for question in dataset:
                raw = []
                for observer in observers:
                    observer.call(*question)
                    raw.append(observer.last_raw)
                equal(raw[0], raw[1], "%r after %r" % (question, told))
    equal(done > STEPS / 50, True, "enough transactions ran")
