# SPDX-License-Identifier: BSD-3-Clause
"""The expiry of hash fields, as Redis 7.4 and 8.0 document it (redis-server 7.0 has none of it)."""

import time

from harness.checks import as_dict, check, equal, eventually, members
from harness.matrix import PROTOCOLS, THREADS, cairn_only, matrix
from harness.resp import Error

MATRIX = PROTOCOLS
NEWER = cairn_only("redis-server 7.0 has no field expiry")

NO_FIELDS = Error(b"ERR Mandatory argument FIELDS is missing or not at the right position")
MISMATCH = Error(b"ERR The `numfields` parameter must match the number of arguments")
WRONG_TYPE = Error(b"WRONGTYPE Operation against a key holding the wrong kind of value")
NOT_INTEGER = Error(b"ERR value is not an integer or out of range")
NEGATIVE = Error(b"ERR invalid expire time, must be >= 0")
POSITIVE = Error(b"ERR Number of fields must be a positive integer")
MONTH_S = 30 * 24 * 3600


def bad_time(command):
    return Error(b"ERR invalid expire time in '%s' command" % command)


def bad_arity(command):
    return Error(b"ERR wrong number of arguments for '%s' command" % command)


def now_ms():
    return int(time.time() * 1000)


def big(env, key, fields=600):
    """A hash in a hashtable."""
    words = []
    for i in range(fields):
        words += ["f%d" % i, "v%d" % i]
    env.c.call("HSET", key, *words)


@NEWER
def test_expire_replies(env):
    call = env.c.call
    call("HSET", "h", "a", 1, "b", 2)
    equal(call("HEXPIRE", "h", 100, "FIELDS", 3, "a", "b", "none"), [1, 1, -2])
    equal(call("HEXPIRE", "none", 100, "FIELDS", 2, "a", "b"), [-2, -2])
    equal(call("HEXPIRE", "h", 0, "FIELDS", 1, "a"), [2])
    equal(call("HPEXPIREAT", "h", 1, "FIELDS", 2, "b", "b"), [2, -2])
    equal(call("EXISTS", "h"), 0)


@NEWER
def test_units(env):
    call = env.c.call
    for fill in (lambda: call("HSET", "h", "f0", 1), lambda: big(env, "h")):
        fill()
        equal(call("HEXPIRE", "h", MONTH_S, "FIELDS", 1, "f0"), [1])
        ttl, = call("HPTTL", "h", "FIELDS", 1, "f0")
        check(MONTH_S * 1000 - 60000 < ttl <= MONTH_S * 1000, ttl)
        equal(call("HPEXPIRE", "h", 90500, "FIELDS", 1, "f0"), [1])
        ttl, = call("HTTL", "h", "FIELDS", 1, "f0")
        check(30 < ttl <= 91, ttl)
        at = now_ms() // 1000 + 500
        equal(call("HEXPIREAT", "h", at, "FIELDS", 1, "f0"), [1])
        equal(call("HEXPIRETIME", "h", "FIELDS", 1, "f0"), [at])
        equal(call("HPEXPIRETIME", "h", "FIELDS", 1, "f0"), [at * 1000])
        equal(call("HPEXPIREAT", "h", at * 1000 + 1, "FIELDS", 1, "f0"), [1])
        # Seconds are rounded up.
        equal(call("HEXPIRETIME", "h", "FIELDS", 1, "f0"), [at + 1])
        call("DEL", "h")


@NEWER
def test_ttl_of_what_has_none(env):
    call = env.c.call
    call("HSET", "h", "a", 1)
    for command in ("HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME", "HPERSIST"):
        equal(call(command, "h", "FIELDS", 2, "a", "none"), [-1, -2], command)
        equal(call(command, "none", "FIELDS", 2, "a", "b"), [-2, -2], command)


@NEWER
def test_conditions(env):
    call = env.c.call
    for fill in (lambda: call("HSET", "h", "f0", 1, "f1", 2), lambda: big(env, "h")):
        fill()
        one = ("FIELDS", 1, "f0")
        for condition, reply in (("XX", 0), ("GT", 0), ("NX", 1), ("NX", 0), ("nx", 0)):
            equal(call("HEXPIRE", "h", 1000, condition, *one), [reply], condition)
        equal(call("HEXPIRE", "h", 1000, "XX", *one), [1])
        at = now_ms() + 500000
        call("HPEXPIREAT", "h", at, *one)
        for condition, ms, reply in (("GT", at, 0), ("LT", at, 0), ("GT", at + 1, 1),
                                     ("LT", at + 1, 0), ("lt", at, 1), ("GT", at - 1, 0)):
            equal(call("HPEXPIREAT", "h", ms, condition, *one), [reply], (condition, ms - at))
        equal(call("HPEXPIRETIME", "h", *one), [at])
        # Without an expiry everything is less.
        equal(call("HPEXPIREAT", "h", at, "LT", "FIELDS", 2, "f1", "f0"), [1, 0])
        # A condition that does not hold keeps a past time from deleting.
        equal(call("HPEXPIREAT", "h", 1, "NX", *one), [0])
        equal(call("HPEXPIREAT", "h", 1, "LT", *one), [2])
        call("DEL", "h")


@NEWER
def test_expire_errors(env):
    call = env.c.call
    call("HSET", "h", "f", 1)
    call("SET", "s", 1)
    for name in ("HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT"):
        lower = name.lower().encode()
        equal(call(name, "h", 1, "FIELDS", 1), bad_arity(lower))
        equal(call(name, "s", "x", "FIELDS", 1, "f"), WRONG_TYPE)
        equal(call(name, "h", "x", "FIELDS", 1, "f"), NOT_INTEGER)
        equal(call(name, "h", -1, "FIELDS", 1, "f"), NEGATIVE)
        equal(call(name, "h", 1 << 62, "FIELDS", 1, "f"), bad_time(lower))
        equal(call(name, "h", 1, "FIELDX", 1, "f"), NO_FIELDS)
        equal(call(name, "h", 1, "ZZ", "FIELDS", 1, "f"), NO_FIELDS)
        equal(call(name, "h", 1, "NX", "XX", "FIELDS", 1, "f"), NO_FIELDS)
        for count in (0, -1, "x"):
            equal(call(name, "h", 1, "FIELDS", count, "f"),
                  Error(b"ERR Parameter `numFields` should be greater than 0"))
        for count in (1, 3):
            equal(call(name, "h", 1, "NX", "FIELDS", count, "f", "g"), MISMATCH)
        # Errors come before the key is missed.
        equal(call(name, "none", -1, "FIELDS", 1, "f"), NEGATIVE)
    for name in ("HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME", "HPERSIST", "HGETDEL", "HGETEX"):
        equal(call(name, "h", "FIELDS", 1), bad_arity(name.lower().encode()))
        equal(call(name, "s", "FIELDS", 1, "f"), WRONG_TYPE)
        equal(call(name, "h", "FIELDX", 1, "f"), NO_FIELDS)
        equal(call(name, "h", "FIELDS", 0, "f"), POSITIVE)
        equal(call(name, "h", "FIELDS", "x", "f"), POSITIVE)
        equal(call(name, "h", "FIELDS", 2, "f"), MISMATCH)
        equal(call(name, "h", "FIELDS", 1, "f", "g"), MISMATCH)


@NEWER
def test_the_latest_time(env):
    call = env.c.call
    call("HSET", "h", "f", 1)
    last = (1 << 46) - 1
    one = ("FIELDS", 1, "f")
    equal(call("HPEXPIREAT", "h", last, *one), [1])
    equal(call("HPEXPIREAT", "h", last + 1, *one), bad_time(b"hpexpireat"))
    equal(call("HEXPIREAT", "h", last // 1000, *one), [1])
    equal(call("HEXPIREAT", "h", last // 1000 + 1, *one), bad_time(b"hexpireat"))
    equal(call("HPEXPIRE", "h", last - now_ms() - 100000, *one), [1])
    equal(call("HPEXPIRE", "h", last - now_ms() + 100000, *one), bad_time(b"hpexpire"))


@NEWER
def test_expired_fields_are_hidden(env):
    call = env.c.call
    call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    try:
        for fill in (lambda: call("HSET", "h", "f0", "v0", "f1", "v1", "f2", "v2"),
                     lambda: big(env, "h", 300)):
            fill()
            length = call("HLEN", "h")
            call("HPEXPIRE", "h", 1, "FIELDS", 2, "f0", "f1")
            eventually(lambda: len(as_dict(call("HGETALL", "h"))) == length - 2)
            # They count until they are deleted, and nothing so far has named them.
            equal(call("HLEN", "h"), length)
            check(b"f0" not in call("HKEYS", "h"))
            check(b"v0" not in call("HVALS", "h"))
            cursor, page = call("HSCAN", "h", 0, "COUNT", 10000)
            equal(cursor, b"0")
            check(b"f0" not in page and len(page) == 2 * (length - 2))
            equal(call("HTTL", "h", "FIELDS", 2, "f0", "f2"), [-2, -1])
            equal(call("HLEN", "h"), length)
            # A command that names one deletes it.
            equal(call("HGET", "h", "f0"), None)
            equal(call("HLEN", "h"), length - 1)
            equal(call("HEXISTS", "h", "f0"), 0)
            equal(call("HMGET", "h", "f1", "f2"), [None, b"v2"])
            equal(call("HLEN", "h"), length - 2)
            # HRANDFIELD deletes all.
            call("HPEXPIRE", "h", 1, "FIELDS", 1, "f2")
            eventually(lambda: len(as_dict(call("HGETALL", "h"))) == length - 3)
            equal(call("HLEN", "h"), length - 2)
            check(b"f2" not in call("HRANDFIELD", "h", 1000))
            equal(call("HLEN", "h"), length - 3)
            call("DEL", "h")
    finally:
        call("DEBUG", "SET-ACTIVE-EXPIRE", 1)


@NEWER
def test_writes_to_expired_fields(env):
    call = env.c.call
    call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    try:
        call("HSET", "h", "keep", 1)

        def expired(value):
            call("HSETEX", "h", "PX", 1, "FIELDS", 1, "f", value)
            eventually(lambda: len(as_dict(call("HGETALL", "h"))) == 1)

        expired(5)
        equal(call("HINCRBY", "h", "f", 2), 2)
        expired(5)
        equal(call("HINCRBYFLOAT", "h", "f", "1.5"), b"1.5")
        expired(5)
        equal(call("HSETNX", "h", "f", 7), 1)
        expired(5)
        equal(call("HDEL", "h", "f"), 1)  # the one that does not look at the time
        expired(5)
        equal(call("HSTRLEN", "h", "f"), 0)
        expired(5)
        equal(call("HGETDEL", "h", "FIELDS", 1, "f"), [None])
        expired(5)
        equal(call("HSETEX", "h", "FXX", "FIELDS", 1, "f", 1), 0)
        expired(5)
        equal(call("HSETEX", "h", "FNX", "FIELDS", 1, "f", 1), 1)
        expired(5)
        equal(call("HEXPIRE", "h", 100, "FIELDS", 1, "f"), [-2])
        equal(as_dict(call("HGETALL", "h")), {b"keep": b"1"})
        # A key whose last field is met after its time is gone.
        call("HSETEX", "g", "PX", 1, "FIELDS", 1, "f", 1)
        eventually(lambda: call("HGET", "g", "f") is None)
        equal(call("EXISTS", "g"), 0)
    finally:
        call("DEBUG", "SET-ACTIVE-EXPIRE", 1)


@NEWER
@matrix(THREADS)
def test_active_expiry(env):
    call = env.c.call
    big(env, "big", 2000)
    fields = ["f%d" % i for i in range(1999)]
    equal(set(call("HPEXPIRE", "big", 1, "FIELDS", len(fields), *fields)), {1})
    for i in range(50):
        call("HSETEX", "k%d" % i, "PX", 1 + i, "FIELDS", 1, "f", "v")
    eventually(lambda: call("HLEN", "big") == 1)
    eventually(lambda: call("DBSIZE") == 1)
    equal(as_dict(call("HGETALL", "big")), {b"f1999": b"v1999"})


@NEWER
def test_what_keeps_and_what_clears_an_expiry(env):
    call = env.c.call
    for fill in (lambda: call("HSET", "h", "f0", 1), lambda: big(env, "h")):
        fill()
        call("HSET", "h", "f0", 1)
        one = ("FIELDS", 1, "f0")
        at = now_ms() + 500000
        call("HPEXPIREAT", "h", at, *one)
        call("HINCRBY", "h", "f0", 1)
        equal(call("HPEXPIRETIME", "h", *one), [at])
        call("HINCRBYFLOAT", "h", "f0", "1.5")
        equal(call("HPEXPIRETIME", "h", *one), [at])
        equal(call("HSETNX", "h", "f0", 1), 0)
        equal(call("HPEXPIRETIME", "h", *one), [at])
        call("HSET", "h", "f0", 1)
        equal(call("HPEXPIRETIME", "h", *one), [-1])
        call("HPEXPIREAT", "h", at, *one)
        equal(call("HPERSIST", "h", *one), [1])
        equal(call("HPEXPIRETIME", "h", *one), [-1])
        call("HPEXPIREAT", "h", at, *one)
        call("HSETEX", "h", "KEEPTTL", "FIELDS", 1, "f0", 9)
        equal(call("HPEXPIRETIME", "h", *one), [at])
        call("HSETEX", "h", "FIELDS", 1, "f0", 9)
        equal(call("HPEXPIRETIME", "h", *one), [-1])
        call("DEL", "h")


@NEWER
def test_copies_keep_expiries(env):
    call = env.c.call
    for name, fill in (("small", lambda: call("HSET", "small", "f0", 1, "f1", 2)),
                       ("large", lambda: big(env, "large"))):
        fill()
        at = now_ms() + 500000
        both = ("FIELDS", 2, "f0", "f1")
        call("HPEXPIREAT", name, at, *both)
        call("HPERSIST", name, "FIELDS", 1, "f1")
        encoding = b"listpackex" if name == "small" else b"hashtable"
        equal(call("OBJECT", "ENCODING", name), encoding)
        call("COPY", name, name + ":copy")
        call("RENAME", name, name + ":renamed")
        payload = call("DUMP", name + ":renamed")
        equal(payload[-10:-8], b"\x0c\x00")  # no older version can say it
        equal(call("RESTORE", name + ":restored", 0, payload), b"OK")
        for copy in (":copy", ":renamed", ":restored"):
            equal(call("HPEXPIRETIME", name + copy, *both), [at, -1], copy)
            equal(call("OBJECT", "ENCODING", name + copy), encoding)
            equal(call("DUMP", name + copy), payload) if name == "small" else None
        equal(call("DEBUG", "DIGEST-VALUE", name + ":copy"),
              call("DEBUG", "DIGEST-VALUE", name + ":restored"))


@NEWER
def test_getdel(env):
    call = env.c.call
    call("HSET", "h", "a", 1, "b", 2, "c", 3)
    equal(call("HGETDEL", "h", "FIELDS", 3, "a", "none", "a"), [b"1", None, None])
    equal(call("HGETDEL", "none", "FIELDS", 2, "a", "b"), [None, None])
    equal(call("HGETDEL", "h", "FIELDS", 2, "b", "c"), [b"2", b"3"])
    equal(call("EXISTS", "h"), 0)


@NEWER
def test_getex(env):
    call = env.c.call
    call("HSET", "h", "a", 1, "b", 2)
    one = ("FIELDS", 1, "a")
    equal(call("HGETEX", "h", "FIELDS", 2, "a", "none"), [b"1", None])
    equal(call("HPTTL", "h", *one), [-1])
    at = now_ms() + 500000
    for words, low, high in ((("EX", 100), 40000, 100000), (("px", 100000), 40000, 100000),
                             (("EXAT", at // 1000), 400000, 500000),
                             (("PXAT", at), 400000, 500000)):
        equal(call("HGETEX", "h", *words, *one), [b"1"])
        ttl, = call("HPTTL", "h", *one)
        check(low < ttl <= high, (words, ttl))
    equal(call("HGETEX", "h", "PERSIST", "FIELDS", 2, "a", "b"), [b"1", b"2"])
    equal(call("HPTTL", "h", *one), [-1])
    equal(call("HGETEX", "h", "PXAT", 1, *one), [b"1"])
    equal(call("HGETALL", "h") and as_dict(call("HGETALL", "h")), {b"b": b"2"})
    equal(call("HGETEX", "h", "EX", 0, "FIELDS", 1, "b"), [b"2"])
    equal(call("EXISTS", "h"), 0)
    equal(call("HGETEX", "h", "EX", -1, *one), NEGATIVE)
    equal(call("HGETEX", "h", "EX", "x", *one), NOT_INTEGER)
    equal(call("HGETEX", "h", "EX", 1 << 48, *one), bad_time(b"hgetex"))
    equal(call("HGETEX", "h", "PXAT", 1, 1), NO_FIELDS)
    equal(call("HGETEX", "h", "PERSIST", 1, *one), NO_FIELDS)


@NEWER
def test_setex(env):
    call = env.c.call
    pair = ("FIELDS", 1, "a", "1")
    equal(call("HSETEX", "h", "FXX", *pair), 0)
    equal(call("EXISTS", "h"), 0)
    equal(call("HSETEX", "h", "FNX", "EX", 100, *pair), 1)
    check(40 < call("HTTL", "h", "FIELDS", 1, "a")[0] <= 100)
    equal(call("HSETEX", "h", "FNX", "FIELDS", 2, "b", 2, "a", 2), 0)
    equal(call("HSETEX", "h", "FXX", "FIELDS", 2, "b", 2, "a", 2), 0)
    equal(as_dict(call("HGETALL", "h")), {b"a": b"1"})
    equal(call("HSETEX", "h", "FXX", "PX", 100000, "FIELDS", 2, "b", 2, "a", 3), 0)
    equal(call("HSETEX", "h", "PX", 100000, "FIELDS", 2, "b", 2, "a", 3), 1)
    check(all(40 < ttl <= 100 for ttl in call("HTTL", "h", "FIELDS", 2, "a", "b")))
    equal(call("HSETEX", "h", "PXAT", 1, "FIELDS", 2, "a", 1, "c", 1), 1)
    members(call("HKEYS", "h"), ["b"])
    equal(call("HSETEX", "g", "PXAT", 1, "FIELDS", 1, "a", 1), 1)
    equal(call("EXISTS", "g"), 0)


@NEWER
def test_setex_errors(env):
    call = env.c.call
    one_expiry = Error(b"ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified")
    one_condition = Error(b"ERR Only one of FXX or FNX arguments can be specified")
    arity = bad_arity(b"hsetex")
    pair = ("FIELDS", 1, "a", "1")
    for words, error in (
            (("FIELDS", 1, "a"), arity),
            (("FIELDS", 2, "a", "b"), arity),
            (("FIELDS", 3, "a", "b", "c", "d", "e"), arity),
            (("FIELDS", 0, "a", "b"), Error(b"ERR invalid number of fields")),
            (("FIELDS", "x", "a", "b"), Error(b"ERR invalid number of fields")),
            ((*pair, "FXX"), arity),
            (("NX", *pair), Error(b"ERR unknown argument: NX")),
            (("FNX", "FXX", *pair), one_condition),
            (("EX", 1, "KEEPTTL", *pair), one_expiry),
            (("PX", 1, "EXAT", 1, *pair), one_expiry),
            (("EX", "x", *pair), NOT_INTEGER),
            (("EX", -1, *pair), NEGATIVE),
            (("EXAT", 1 << 48, *pair), bad_time(b"hsetex")),
            (("1", *pair), Error(b"ERR unknown argument: 1"))):
        equal(call("HSETEX", "h", *words), error, words)
    call("SET", "s", 1)
    equal(call("HSETEX", "s", *pair), WRONG_TYPE)


@NEWER
def test_in_transactions_and_over_types(env):
    call = env.c.call
    call("HSET", "h", "f", 1)
    call("MULTI")
    call("HPEXPIRE", "h", 100000, "FIELDS", 1, "f")
    call("HGETEX", "h", "PERSIST", "FIELDS", 1, "f")
    call("HGETDEL", "h", "FIELDS", 1, "f")
    equal(call("EXEC"), [[1], [b"1"], [b"1"]])
    call("WATCH", "h")
    call("HSETEX", "h", "EX", 100, "FIELDS", 1, "f", 1)
    call("MULTI")
    call("PING")
    equal(call("EXEC"), None)
