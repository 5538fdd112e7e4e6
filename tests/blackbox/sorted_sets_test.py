# SPDX-License-Identifier: BSD-3-Clause
"""Sorted sets: what the differential test does not reach."""

from harness import PROTOCOLS, Error, equal

MATRIX = PROTOCOLS


def test_zincrby_takes_the_options_of_zadd(env):
    c = env.c
    equal(c.call("ZINCRBY", "k", "NX", "m"), Error(b"ERR syntax error"))
    equal(c.call("ZINCRBY", "k", "abc", "m"), Error(b"ERR value is not a valid float"))
    equal(c.call("EXISTS", "k"), 0)
    equal(float(c.call("ZINCRBY", "k", 2, "m")), 2.0)


def test_one_key_named_very_often(env):
    c, many = env.c, 20_000
    c.call("SADD", "s", *range(300))
    c.call("SADD", "t", *range(100, 200), "t")
    c.call("ZADD", "z", 1, "a", 2.5, "b")
    c.call("ZADD", "y", 4, "b", 5, "c")
    names = ["s", "t"] * many
    equal(c.call("SINTERSTORE", "d", *names), 100)
    equal(c.call("SUNIONSTORE", "d", *names), 301)
    equal(c.call("SDIFFSTORE", "d", "s", *["t"] * many), 200)
    equal(c.call("SDIFFSTORE", "d", *names), 0)
    equal(c.call("SINTERCARD", len(names), *names), 100)

    def scores():
        flat = c.call("ZRANGE", "d", 0, -1, "WITHSCORES")
        pairs = flat if flat and isinstance(flat[0], list) else zip(flat[::2], flat[1::2])
        return {member: float(score) for member, score in pairs}

    names = ["z"] * many + ["y"] * many
    weights = ["WEIGHTS", *range(1, len(names) + 1)]
    of_z, of_y = sum(range(many + 1)), sum(range(many + 1, 2 * many + 1))
    equal(c.call("ZUNIONSTORE", "d", len(names), *names, *weights), 3)
    equal(scores(), {b"a": of_z, b"b": 2.5 * of_z + 4 * of_y, b"c": 5.0 * of_y})
    equal(c.call("ZINTERSTORE", "d", len(names), *names, *weights), 1)
    equal(scores(), {b"b": 2.5 * of_z + 4 * of_y})
    equal(c.call("ZUNIONSTORE", "d", len(names), *names, *weights, "AGGREGATE", "MAX"), 3)
    equal(scores(), {b"a": many, b"b": 8.0 * many, b"c": 10.0 * many})
    equal(c.call("ZINTERSTORE", "d", len(names), *names, *weights, "AGGREGATE", "MIN"), 1)
    equal(scores(), {b"b": 2.5})
    equal(c.call("ZINTERCARD", len(names), *names), 1)
    equal(c.call("ZDIFFSTORE", "d", 1 + many, "z", *["y"] * many), 1)
    equal(scores(), {b"a": 1})
