# SPDX-License-Identifier: BSD-3-Clause
"""BZPOPMIN, BZPOPMAX, BZMPOP."""

from harness import FULL, Error, check, equal, is_blocked, start_blocked

MATRIX = FULL


def score(env, number):
    return float(number) if env.protocol == 3 else b"%d" % number


def test_members_that_are_there(env):
    c = env.c
    c.call("ZADD", "z", 1, "a", 2, "b", 3, "c")
    equal(c.call("BZPOPMIN", "none", "z", 0), [b"z", b"a", score(env, 1)])
    equal(c.call("BZPOPMAX", "z", 0), [b"z", b"c", score(env, 3)])
    equal(c.call("BZMPOP", 0, 2, "none", "z", "MIN"), [b"z", [[b"b", score(env, 2)]]])


def test_timeout_and_errors(env):
    c = env.c
    null = b"*-1\r\n" if env.protocol == 2 else b"_\r\n"
    equal(c.raw("BZPOPMIN", "z", "0.02"), null)
    equal(c.raw("BZMPOP", "0.02", 1, "z", "MAX"), null)
    equal(c.call("BZPOPMIN", "z", "x"), Error(b"ERR timeout is not a float or out of range"))
    equal(c.call("BZMPOP", -1, 1, "z", "MAX"), Error(b"ERR timeout is negative"))
    equal(c.call("BZMPOP", 0, 1, "z", "MID"), Error(b"ERR syntax error"))
    c.call("SET", "s", "x")
    equal(c.call("BZPOPMAX", "none", "s", 0),
          Error(b"WRONGTYPE Operation against a key holding the wrong kind of value"))


def test_served(env):
    first = start_blocked(env, "BZPOPMAX", "z", "y", 0)
    second = start_blocked(env, "BZMPOP", 0, 2, "y", "z", "MIN", "COUNT", 10)
    equal(env.c.call("ZADD", "z", 1, "a", 2, "b", 3, "c"), 3)
    equal(first.read(), [b"z", b"c", score(env, 3)])
    equal(second.read(), [b"z", [[b"a", score(env, 1)], [b"b", score(env, 2)]]])
    equal(env.c.call("EXISTS", "z"), 0)


def test_other_ways_to_a_sorted_set(env):
    c = env.c
    c.call("ZADD", "source", 1, "a")
    c.call("GEOADD", "places", 1, 1, "a")
    for command in (("ZUNIONSTORE", "z", 1, "source"), ("ZINTERSTORE", "z", 1, "source"),
                    ("ZRANGESTORE", "z", "source", 0, -1), ("ZINCRBY", "z", 1, "a"),
                    ("GEOADD", "z", 1, 1, "a"), ("ZDIFFSTORE", "z", 1, "source"),
                    ("GEOSEARCHSTORE", "z", "places", "FROMLONLAT", 1, 1, "BYRADIUS", 9, "km")):
        blocked = start_blocked(env, "BZPOPMIN", "z", 0)
        c.call(*command)
        equal(blocked.read()[:2], [b"z", b"a"], command[0])
        equal(c.call("EXISTS", "z"), 0)


def test_a_list_wakes_nobody(env):
    blocked = start_blocked(env, "BZPOPMIN", "z", 0)
    both = start_blocked(env, "BLPOP", "z", 0)
    env.c.call("RPUSH", "z", "a")
    equal(both.read(), [b"z", b"a"])
    check(is_blocked(env, blocked))
    env.c.call("ZADD", "z", 5, "m")
    equal(blocked.read(), [b"z", b"m", score(env, 5)])


def test_inside_exec_nobody_waits(env):
    env.c.pipeline([("MULTI",), ("BZPOPMIN", "z", 0), ("BZMPOP", 0, 1, "z", "MIN")])
    equal(env.c.call("EXEC"), [None, None])
