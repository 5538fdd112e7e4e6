# SPDX-License-Identifier: BSD-3-Clause
"""What sets, sorted sets, places and bitmaps got after Redis 7.0, from its documentation."""

from harness.checks import as_pairs, equal, members, near
from harness.matrix import PROTOCOLS, cairn_only
from harness.resp import Error

MATRIX = PROTOCOLS
NEWER = cairn_only("redis-server 7.0 does not know it")


@NEWER
def test_cardinalities_of_unions_and_differences(env):
    call = env.c.call
    call("SADD", "a", *range(1000))
    call("SADD", "b", *range(500, 1500))
    call("SADD", "small", "x", "y", 7)
    equal(call("SUNIONCARD", 2, "a", "b"), 1500)
    equal(call("SUNIONCARD", 3, "a", "b", "small"), 1502)
    equal(call("SUNIONCARD", 2, "a", "b", "LIMIT", 1200), 1200)
    equal(call("SUNIONCARD", 2, "a", "none", "LIMIT", 0), 1000)
    equal(call("SDIFFCARD", 2, "a", "b"), 500)
    equal(call("SDIFFCARD", 3, "a", "b", "small"), 499)
    equal(call("SDIFFCARD", 2, "a", "b", "LIMIT", 10), 10)
    equal(call("SDIFFCARD", 2, "none", "b"), 0)
    call("SET", "string", "v")
    for command in ("SUNIONCARD", "SDIFFCARD"):
        equal(call(command, 2, "a", "string"),
              Error(b"WRONGTYPE Operation against a key holding the wrong kind of value"))
        equal(call(command, 2, "a", "b", "LIMIT", -1), Error(b"ERR LIMIT can't be negative"))
        equal(call(command, 0, "a"), Error(b"ERR numkeys should be greater than 0"))
        equal(call(command, 3, "a", "b"),
              Error(b"ERR Number of keys can't be greater than number of args"))
        equal(call(command, 1, "a", "FOO"), Error(b"ERR syntax error"))


@NEWER
def test_aggregate_count(env):
    call = env.c.call
    call("ZADD", "a", 1.5, "x", 2, "y")
    call("ZADD", "b", 30, "y", 40, "z")
    call("SADD", "set", "y")
    equal(call("ZUNIONSTORE", "u", 3, "a", "b", "set", "AGGREGATE", "COUNT"), 3)
    equal([call("ZSCORE", "u", m) for m in "xyz"], [1, 3, 1] if env.protocol == 3
          else [b"1", b"3", b"1"])
    equal(call("ZINTERSTORE", "i", 2, "a", "b", "AGGREGATE", "count"), 1)
    near(float(call("ZSCORE", "i", "y")), 2, 0)
    # Weights say what each set counts for.
    call("ZUNIONSTORE", "w", 2, "a", "b", "WEIGHTS", 2, 3, "AGGREGATE", "COUNT")
    equal([float(call("ZSCORE", "w", m)) for m in "xyz"], [2, 5, 3])
    equal(len(call("ZUNION", 2, "a", "b", "AGGREGATE", "COUNT")), 3)
    equal(call("ZINTER", 2, "a", "b", "AGGREGATE", "COUNT"), [b"y"])
    equal(call("ZUNION", 2, "a", "b", "AGGREGATE", "FOO"), Error(b"ERR syntax error"))


@NEWER
def test_searching_a_polygon(env):
    call = env.c.call
    call("GEOADD", "g", 13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania",
         2.349014, 48.864716, "Paris")
    sicily = ("BYPOLYGON", 4, 12, 37, 12, 39, 16, 39, 16, 36)
    members(call("GEOSEARCH", "g", *sicily), ["Palermo", "Catania"])
    # West of a slanted edge.
    equal(call("GEOSEARCH", "g", "BYPOLYGON", 3, 12, 37, 12, 39, 15, 39), [b"Palermo"])
    equal(call("GEOSEARCH", "g", "BYPOLYGON", 3, -60, -10, -61, -10, -60, -11), [])
    equal(call("GEOSEARCHSTORE", "t", "g", *sicily), 2)
    members(call("ZRANGE", "t", 0, -1), ["Palermo", "Catania"])
    two_corners = call("GEOSEARCH", "g", "BYPOLYGON", 2, 12, 37, 12, 39)
    equal(isinstance(two_corners, Error), True)
    equal(isinstance(call("GEOSEARCH", "g", *sicily, "FROMMEMBER", "Palermo"), Error), True)


@NEWER
def test_newer_bit_operations(env):
    call = env.c.call
    call("SET", "x", b"\xff\x0f\x33")
    call("SET", "a", b"\x0f\x0f")
    call("SET", "b", b"\xf0\x01\x03")
    for operation, wanted in (("DIFF", b"\x00\x00\x30"),     # of x, in none of the others
                              ("DIFF1", b"\x00\x00\x00"),    # in one of the others, not in x
                              ("ANDOR", b"\xff\x0f\x03"),    # of x, in any of the others
                              ("ONE", b"\x00\x00\x30")):     # in exactly one
        equal(call("BITOP", operation, "d", "x", "a", "b"), 3, operation)
        equal(call("GET", "d"), wanted, operation)
    equal(call("BITOP", "DIFF1", "d", "a", "x"), 3)
    equal(call("GET", "d"), b"\xf0\x00\x33")
    for operation in ("DIFF", "DIFF1", "ANDOR"):
        equal(call("BITOP", operation, "d", "x"),
              Error(b"ERR BITOP %s must be called with at least two source keys."
                    % operation.encode()))
    # Long operands take another way through the code than short ones.
    call("SET", "x", b"\xf3" * 1000)
    call("SET", "a", b"\x11" * 999)
    call("SET", "b", b"\x22" * 500)
    call("BITOP", "ONE", "d", "x", "a", "b")
    equal(call("GET", "d"), b"\xc0" * 500 + b"\xe2" * 499 + b"\xf3")


@NEWER
def test_names_only_and_ranks_with_scores(env):
    call = env.c.call
    call("HSET", "h", "f", "v", "g", "w")
    equal(call("HSCAN", "h", 0, "NOVALUES"), [b"0", [b"f", b"g"]])
    call("ZADD", "z", 1.5, "a", 2.5, "b")
    rank, score = call("ZRANK", "z", "b", "WITHSCORE")
    equal((rank, float(score)), (1, 2.5))
    equal(call("ZREVRANK", "z", "none", "WITHSCORE"), None)
    equal(len(as_pairs(call("ZRANGE", "z", 0, -1, "WITHSCORES"))), 2)
