# SPDX-License-Identifier: BSD-3-Clause
"""String commands, from their documentation; the differential test covers their combinations."""

from harness import PROTOCOLS, Error, as_dict, cairn_only, check, equal, near

MATRIX = PROTOCOLS
NOT_INT = Error(b"ERR value is not an integer or out of range")
WRONGTYPE = Error(b"WRONGTYPE Operation against a key holding the wrong kind of value")


def test_set_get(env):
    c = env.c
    for value in (b"", b"0", b"-1", b"9223372036854775807", b"9223372036854775808", b"text",
                  b"\x00\r\n\xff", b"x" * 44, b"x" * 45, b"x" * 100_000):
        equal(c.call("SET", "k", value), b"OK")
        equal(c.call("GET", "k"), value)
        equal(c.call("STRLEN", "k"), len(value))


def test_set_options(env):
    c = env.c
    equal(c.call("SET", "k", 1, "XX"), None)
    equal(c.call("SET", "k", 1, "NX"), b"OK")
    equal(c.call("SET", "k", 2, "NX"), None)
    equal(c.call("SET", "k", 2, "NX", "GET"), b"1")
    equal(c.call("SET", "k", 3, "GET"), b"1")
    equal(c.call("SET", "k", 4, "EX", 100), b"OK")
    equal(c.call("SET", "k", 5, "KEEPTTL"), b"OK")
    near(c.call("TTL", "k"), 100, 30)
    equal(c.call("SET", "k", 6), b"OK")
    equal(c.call("TTL", "k"), -1)
    for bad in (("EX",), ("EX", "0"), ("EX", "-1"), ("EX", "abc"), ("NX", "XX"), ("EX", 1, "PX", 1),
                ("KEEPTTL", "EX", 1), ("FOO",), ("EX", "9223372036854775807")):
        check(isinstance(c.call("SET", "k", 7, *bad), Error), "SET takes %r" % (bad,))
    equal(c.call("GET", "k"), b"6")


def test_get_of_another_type(env):
    c = env.c
    c.call("RPUSH", "l", "x")
    for command in (("GET", "l"), ("INCR", "l"), ("APPEND", "l", "x"), ("STRLEN", "l"),
                    ("SET", "l", "x", "GET"), ("GETDEL", "l"), ("GETEX", "l"), ("GETRANGE", "l", 0, 1),
                    ("SETRANGE", "l", 0, "x"), ("GETSET", "l", "x")):
        equal(c.call(*command), WRONGTYPE, command[0])
    equal(c.call("MGET", "l"), [None])
    equal(c.call("SET", "l", "x"), b"OK")


def test_counters(env):
    c = env.c
    equal(c.call("INCR", "n"), 1)
    equal(c.call("INCRBY", "n", 41), 42)
    equal(c.call("DECR", "n"), 41)
    equal(c.call("DECRBY", "n", 50), -9)
    c.call("SET", "n", "9223372036854775807")
    equal(c.call("INCR", "n"), Error(b"ERR increment or decrement would overflow"))
    equal(c.call("GET", "n"), b"9223372036854775807")
    equal(c.call("DECRBY", "n", "-9223372036854775808").text[:12], b"ERR decremen")
    for text in ("abc", "1.5", " 1", "1 ", "", "00", "+1", "0x1"):
        c.call("SET", "n", text)
        equal(c.call("INCR", "n"), NOT_INT, repr(text))
    equal(c.call("INCRBY", "m", "abc"), NOT_INT)


def test_incrbyfloat(env):
    c = env.c
    equal(c.call("INCRBYFLOAT", "f", "10.5"), b"10.5")
    equal(c.call("INCRBYFLOAT", "f", "0.1"), b"10.6")
    equal(c.call("INCRBYFLOAT", "f", "-10.6"), b"0")
    c.call("SET", "f", "5.0e3")
    equal(c.call("INCRBYFLOAT", "f", "2.0e2"), b"5200")
    equal(c.call("INCRBYFLOAT", "f", "inf"), Error(b"ERR increment would produce NaN or Infinity"))
    equal(c.call("INCRBYFLOAT", "f", "x"), Error(b"ERR value is not a valid float"))
    c.call("SET", "g", "3.0")
    c.call("EXPIRE", "g", 100)
    equal(c.call("INCRBYFLOAT", "g", "1"), b"4")
    near(c.call("TTL", "g"), 100, 30)


def test_mset_mget_msetnx(env):
    c = env.c
    equal(c.call("MSET", "a", 1, "b", 2, "a", 3), b"OK")
    equal(c.call("MGET", "a", "nokey", "b", "a"), [b"3", None, b"2", b"3"])
    equal(c.call("MSETNX", "c", 1, "a", 2), 0)
    equal(c.call("EXISTS", "c"), 0)
    equal(c.call("MSETNX", "c", 1, "d", 2), 1)
    check(isinstance(c.call("MSET", "a", 1, "b"), Error), "MSET of an odd number")


def test_ranges(env):
    c = env.c
    c.call("SET", "k", "Hello World")
    for start, stop, want in ((0, 4, b"Hello"), (-5, -1, b"World"), (3, 1, b""), (0, -1,
                              b"Hello World"), (-100, 100, b"Hello World"), (20, 30, b"")):
        equal(c.call("GETRANGE", "k", start, stop), want)
        equal(c.call("SUBSTR", "k", start, stop), want)
    equal(c.call("SETRANGE", "k", 6, "Redis"), 11)
    equal(c.call("GET", "k"), b"Hello Redis")
    equal(c.call("SETRANGE", "new", 3, "x"), 4)
    equal(c.call("GET", "new"), b"\0\0\0x")
    equal(c.call("SETRANGE", "none", 5, ""), 0)
    equal(c.call("EXISTS", "none"), 0)
    equal(c.call("SETRANGE", "k", -1, "x"), Error(b"ERR offset is out of range"))
    equal(c.call("SETRANGE", "k", 536870912, "x").text[:40],
          b"ERR string exceeds maximum allowed size "[:40])


def test_append_getset_getdel_getex(env):
    c = env.c
    equal(c.call("APPEND", "k", "ab"), 2)
    equal(c.call("APPEND", "k", "c"), 3)
    equal(c.call("GETSET", "k", "new"), b"abc")
    equal(c.call("GETDEL", "k"), b"new")
    equal(c.call("GETDEL", "k"), None)
    c.call("SET", "k", "v")
    equal(c.call("GETEX", "k", "EX", 100), b"v")
    near(c.call("TTL", "k"), 100, 30)
    equal(c.call("GETEX", "k", "PERSIST"), b"v")
    equal(c.call("TTL", "k"), -1)
    equal(c.call("GETEX", "k", "PXAT", 1), b"v")
    equal(c.call("EXISTS", "k"), 0, "GETEX with a time in the past deletes")


def test_setnx_setex_psetex(env):
    c = env.c
    equal([c.call("SETNX", "k", 1), c.call("SETNX", "k", 2)], [1, 0])
    equal(c.call("SETEX", "k", 100, "v"), b"OK")
    near(c.call("TTL", "k"), 100, 30)
    equal(c.call("PSETEX", "k", 100000, "v"), b"OK")
    near(c.call("PTTL", "k"), 100000, 30_000)
    equal(c.call("SETEX", "k", 0, "v"), Error(b"ERR invalid expire time in 'setex' command"))


def test_lcs(env):
    c = env.c
    c.call("MSET", "a", "ohmytext", "b", "mynewtext")
    equal(c.call("LCS", "a", "b"), b"mytext")
    equal(c.call("LCS", "a", "b", "LEN"), 6)
    found = as_dict(c.call("LCS", "a", "b", "IDX", "WITHMATCHLEN"))
    equal(found[b"len"], 6)
    equal(found[b"matches"], [[[4, 7], [5, 8], 4], [[2, 3], [0, 1], 2]])


def test_encodings(env):
    c = env.c
    for value, want in ((b"1", b"int"), (b"9223372036854775807", b"int"),
                        (b"9223372036854775808", b"embstr"), (b"x" * 44, b"embstr"),
                        (b"x" * 45, b"raw"), (b"01", b"embstr"), (b"", b"embstr")):
        c.call("SET", "k", value)
        equal(c.call("OBJECT", "ENCODING", "k"), want, repr(value))
    c.call("SET", "k", "ab")
    c.call("APPEND", "k", "c")
    equal(c.call("OBJECT", "ENCODING", "k"), b"raw", "APPEND makes it raw though it is short")
    c.call("SET", "k", "1")
    c.call("SETRANGE", "k", 0, "2")
    equal(c.call("OBJECT", "ENCODING", "k"), b"raw")


@cairn_only("SET IFEQ and its like are newer than 7.0")
def test_conditional_set_and_delete(env):
    c = env.c
    equal(c.call("SET", "k", "v", "IFEQ", "x"), None)
    equal(c.call("EXISTS", "k"), 0)
    c.call("SET", "k", "one")
    equal(c.call("SET", "k", "two", "IFEQ", "x"), None)
    equal(c.call("SET", "k", "two", "IFEQ", "one"), b"OK")
    equal(c.call("SET", "k", "three", "IFNE", "two"), None)
    equal(c.call("SET", "k", "three", "IFNE", "other"), b"OK")
    equal(c.call("SET", "k", "four", "IFEQ", "three", "GET"), b"three")
    digest = c.call("DIGEST", "k")
    equal(c.call("SET", "k", "five", "IFDNE", digest), None)
    equal(c.call("SET", "k", "five", "IFDEQ", digest), b"OK")
    equal(c.call("DIGEST", "nokey"), None)
    equal(c.call("DELEX", "k", "IFEQ", "x"), 0)
    equal(c.call("DELEX", "k", "IFEQ", "five"), 1)
    c.call("SET", "k", "v")
    equal(c.call("DELEX", "k"), 1)
    c.call("SET", "k", "v")
    equal(c.call("DELIFEQ", "k", "w"), 0)
    equal(c.call("DELIFEQ", "k", "v"), 1)


@cairn_only("MSETEX is newer than 7.0")
def test_msetex(env):
    c = env.c
    equal(c.call("MSETEX", 2, "a", 1, "b", 2, "EX", 100), 1)
    equal(c.call("MGET", "a", "b"), [b"1", b"2"])
    near(c.call("TTL", "b"), 100, 30)
    equal(c.call("MSETEX", 2, "a", 3, "c", 3, "NX"), 0)
    equal(c.call("EXISTS", "c"), 0)
