# SPDX-License-Identifier: BSD-3-Clause
"""Keys and databases: DEL to SWAPDB, KEYS, OBJECT, expiry lazy and active, SCAN's guarantee."""

import threading
import time

from harness import (ONCE, PROTOCOLS, THREADS, Error, check, equal, eventually, matrix, members,
                     near, pass_time)

MATRIX = PROTOCOLS
NO_KEY = Error(b"ERR no such key")


def test_del_unlink_exists_touch(env):
    c = env.c
    c.call("MSET", "a", 1, "b", 2, "c", 3, "d", 4)
    equal(c.call("EXISTS", "a", "b", "a", "nokey"), 3)
    equal(c.call("TOUCH", "a", "nokey"), 1)
    equal(c.call("DEL", "a", "a", "nokey"), 1)
    equal(c.call("UNLINK", "b", "c", "nokey"), 2)
    equal(c.call("DBSIZE"), 1)


def test_type(env):
    c = env.c
    c.call("SET", "s", 1)
    equal(c.call("TYPE", "s"), b"string")
    equal(c.call("TYPE", "nokey"), b"none")


def test_rename(env):
    c = env.c
    equal(c.call("RENAME", "a", "b"), NO_KEY)
    c.call("SET", "a", 1, "EX", 100)
    c.call("SET", "b", 2)
    equal(c.call("RENAME", "a", "b"), b"OK")
    equal(c.call("GET", "b"), b"1")
    near(c.call("TTL", "b"), 100, 30)
    c.call("SET", "a", 3)
    equal(c.call("RENAMENX", "a", "b"), 0)
    equal(c.call("RENAMENX", "a", "c"), 1)
    equal(c.call("RENAME", "c", "c"), b"OK")
    equal(c.call("RENAMENX", "c", "c"), 0)


def test_copy_and_move(env):
    c = env.c
    c.call("SET", "a", 1, "EX", 100)
    equal(c.call("COPY", "a", "b"), 1)
    equal(c.call("COPY", "a", "b"), 0)
    equal(c.call("COPY", "a", "b", "REPLACE"), 1)
    near(c.call("TTL", "b"), 100, 30)
    equal(c.call("COPY", "a", "a"), Error(b"ERR source and destination objects are the same"))
    equal(c.call("COPY", "a", "a", "DB", 3), 1)
    equal(c.call("COPY", "nokey", "x"), 0)
    equal(c.call("MOVE", "a", 3), 0)
    equal(c.call("MOVE", "b", 3), 1)
    equal(c.call("MOVE", "a", 0), Error(b"ERR source and destination objects are the same"))
    c.call("SELECT", 3)
    equal(c.call("DBSIZE"), 2)
    near(c.call("TTL", "b"), 100, 30)


def test_keys_patterns(env):
    c = env.c
    c.call("MSET", "one", 1, "two", 2, "three", 3, "a*b", 4, "", 5)
    members(c.call("KEYS", "*"), ["one", "two", "three", "a*b", ""])
    members(c.call("KEYS", "t*"), ["two", "three"])
    members(c.call("KEYS", "?n?"), ["one"])
    members(c.call("KEYS", "[a-o]*"), ["one", "a*b"])
    members(c.call("KEYS", "[^t]*"), ["one", "a*b"])
    members(c.call("KEYS", "a\\*b"), ["a*b"])
    members(c.call("KEYS", "nothing"), [])


def test_randomkey(env):
    c = env.c
    equal(c.call("RANDOMKEY"), None)
    names = {b"k%d" % i for i in range(50)}
    c.call("MSET", *[x for n in names for x in (n, 1)])
    drawn = {c.call("RANDOMKEY") for _ in range(400)}
    check(drawn <= names, "a key that is not there")
    check(len(drawn) > 25, "400 draws give only %d of 50 keys" % len(drawn))


def test_flush_and_swapdb(env):
    c = env.c
    for db in (0, 1, 2):
        c.call("SELECT", db)
        c.call("SET", "k", "db%d" % db)
    equal(c.call("SWAPDB", 0, 1), b"OK")
    c.call("SELECT", 0)
    equal(c.call("GET", "k"), b"db1")
    equal(c.call("FLUSHDB"), b"OK")
    equal(c.call("DBSIZE"), 0)
    c.call("SELECT", 1)
    equal(c.call("GET", "k"), b"db0")
    equal(c.call("FLUSHALL", "SYNC"), b"OK")
    c.call("SELECT", 2)
    equal(c.call("DBSIZE"), 0)
    equal(c.call("FLUSHALL", "FOO"), Error(b"ERR syntax error"))
    equal(c.call("SWAPDB", 0, 99), Error(b"ERR DB index is out of range"))
    equal(c.call("SWAPDB", "a", 1), Error(b"ERR invalid first DB index"))


def test_expiry_commands(env):
    c = env.c
    c.call("SET", "k", 1)
    equal([c.call("TTL", "k"), c.call("PTTL", "nokey"), c.call("EXPIRETIME", "k")], [-1, -2, -1])
    equal(c.call("EXPIRE", "k", 100), 1)
    near(c.call("TTL", "k"), 100, 30)
    near(c.call("EXPIRETIME", "k"), time.time() + 100, 30)
    near(c.call("PEXPIRETIME", "k"), time.time() * 1000 + 100_000, 30_000)
    equal(c.call("EXPIRE", "k", 200, "NX"), 0)
    equal(c.call("EXPIRE", "k", 50, "GT"), 0)
    equal(c.call("EXPIRE", "k", 300, "GT"), 1)
    equal(c.call("EXPIRE", "k", 200, "LT"), 1)
    equal(c.call("PERSIST", "k"), 1)
    equal(c.call("PERSIST", "k"), 0)
    equal(c.call("EXPIRE", "k", 10, "GT"), 0, "no expiry counts as infinite")
    equal(c.call("EXPIRE", "k", 10, "XX"), 0)
    equal(c.call("PEXPIREAT", "k", int(time.time() * 1000) + 60_000), 1)
    near(c.call("TTL", "k"), 60, 30)
    equal(c.call("EXPIRE", "k", -1), 1)
    equal(c.call("EXISTS", "k"), 0)
    equal(c.call("EXPIRE", "nokey", 10), 0)
    equal(c.call("EXPIRE", "k", "abc"), Error(b"ERR value is not an integer or out of range"))
    c.call("SET", "k", 1)
    equal(c.call("EXPIRE", "k", "9223372036854775807"),
          Error(b"ERR invalid expire time in 'expire' command"))
    equal(c.call("EXPIRE", "k", 1, "NX", "GT").code, b"ERR")


def test_lazy_expiry(env):
    c = env.c
    equal(c.call("DEBUG", "SET-ACTIVE-EXPIRE", 0), b"OK")
    c.call("MSET", "k", "v", "n", 10)
    equal(c.pipeline([("PEXPIRE", "k", 1), ("PEXPIRE", "n", 1)]), [1, 1])
    pass_time(c, 2)
    equal(c.call("DBSIZE"), 2, "nothing has looked at them yet")
    equal(c.call("GET", "k"), None)
    equal(c.call("EXISTS", "k"), 0)
    equal(c.call("INCR", "n"), 1, "a write starts afresh")
    equal(c.call("TTL", "n"), -1)
    equal(c.call("DBSIZE"), 1)
    c.call("DEBUG", "SET-ACTIVE-EXPIRE", 1)


def test_active_expiry(env):
    c = env.c
    c.pipeline([("SET", "k%d" % i, "v", "PX", 1 + i % 150) for i in range(3000)])
    c.call("SET", "stays", 1, "EX", 1000)
    eventually(lambda: c.call("DBSIZE") == 1, 15, "expired keys stay in memory")
    equal(c.call("KEYS", "*"), [b"stays"])


def test_expired_keys_are_nowhere(env):
    c = env.c
    c.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    c.call("SET", "gone", 1, "PX", 1)
    c.call("SET", "here", 1)
    pass_time(c, 2)
    equal(c.call("KEYS", "*"), [b"here"])
    equal(c.call("SCAN", 0, "COUNT", 1000)[1], [b"here"])
    equal(c.call("RANDOMKEY"), b"here")
    equal(c.call("RENAME", "gone", "x"), NO_KEY)
    equal(c.call("TYPE", "gone"), b"none")
    equal(c.call("OBJECT", "ENCODING", "gone"), None)
    c.call("DEBUG", "SET-ACTIVE-EXPIRE", 1)


def test_time_stands_still_in_a_transaction(env):
    c = env.c
    c.call("SET", "k", "v", "PX", 100_000)
    replies = c.pipeline([("MULTI",), ("GET", "k"), ("PTTL", "k"), ("GET", "k"), ("PTTL", "k"),
                          ("EXEC",)])[-1]
    equal(replies[0], replies[2])
    equal(replies[1], replies[3])


def test_object(env):
    c = env.c
    c.call("SET", "k", "v")
    equal(c.call("OBJECT", "ENCODING", "nokey"), None)
    near(c.call("OBJECT", "IDLETIME", "k"), 0, 10)
    equal(c.call("OBJECT", "FREQ", "k").code, b"ERR")
    equal(c.call("OBJECT", "REFCOUNT", "k"), 1)
    check(isinstance(c.call("OBJECT", "HELP"), list), "OBJECT HELP")


def scan_all(c, *arguments):
    cursor, out, pages = b"0", [], 0
    while True:
        cursor, keys = c.call("SCAN", cursor, *arguments)
        out += keys
        pages += 1
        check(int(cursor) < 1 << 53, "cursor %s is above 2^53" % cursor)
        if cursor == b"0":
            return out, pages


def test_scan_sees_everything(env):
    c = env.c
    equal(scan_all(c), ([], 1))
    for count in (1, 10, 1000):
        c.call("FLUSHALL")
        names = [b"key:%d" % i for i in range(500)]
        c.call("MSET", *[x for n in names for x in (n, 1)])
        found, _ = scan_all(c, "COUNT", count)
        members(set(found), names)
    equal(scan_all(c, "COUNT", 100000)[1], 1, "one page for a COUNT above the size")


def test_scan_of_few_keys_is_one_page(env):
    env.c.call("MSET", *[x for i in range(5) for x in ("k%d" % i, 1)])
    equal(scan_all(env.c)[1], 1)


def test_scan_match_and_type(env):
    c = env.c
    c.call("MSET", *[x for i in range(200) for x in ("a%d" % i, 1, "b%d" % i, 1)])
    members(set(scan_all(c, "MATCH", "a1*")[0]),
            [b"a%d" % i for i in range(200) if str(i).startswith("1")])
    equal(len(set(scan_all(c, "TYPE", "string")[0])), 400)
    equal(scan_all(c, "TYPE", "hash", "COUNT", 1000)[0], [])
    equal(c.call("SCAN", "abc"), Error(b"ERR invalid cursor"))
    equal(c.call("SCAN", 0, "COUNT", 0), Error(b"ERR syntax error"))
    equal(c.call("SCAN", 0, "FOO", 1), Error(b"ERR syntax error"))


def test_scans_of_collections_take_the_cursors_and_options_of_scan(env):
    c = env.c
    c.call("HSET", "h", "f", "v")
    c.call("SADD", "s", "f")
    c.call("ZADD", "z", 1, "f")
    for words in (["SCAN"], ["HSCAN", "h"], ["SSCAN", "s"], ["ZSCAN", "z"]):
        for cursor in ("-1", "18446744073709551615", "+0", "00"):
            equal(len(c.call(*words, cursor, "COUNT", 1000)), 2, str(words))
        for cursor in (" 0", "0 ", "abc", "18446744073709551616"):
            equal(c.call(*words, cursor), Error(b"ERR invalid cursor"), "%s %r" % (words, cursor))
        equal(c.call(*words, 0, "COUNT", "x"),
              Error(b"ERR value is not an integer or out of range"), str(words))
        for options in (["COUNT", 0], ["COUNT", -1], ["COUNT"], ["MATCH"], ["FOO", 1]):
            equal(c.call(*words, 0, *options), Error(b"ERR syntax error"), str(words))
        equal(c.call(*words, 0, "count", 2**63 - 1, "match", "g*", "COUNT", 9)[1], [], str(words))
    for words in (["HSCAN", "none"], ["SSCAN", "none"], ["ZSCAN", "none"]):
        equal(c.call(*words, 0, "FOO"), [b"0", []])
        equal(c.call(*words, "abc"), Error(b"ERR invalid cursor"))


def test_any_cursor_is_taken(env):
    env.c.call("MSET", *[x for i in range(100) for x in ("k%d" % i, 1)])
    for cursor in ("1", "12345", "4503599627370496", "9007199254740993", "18446744073709551615"):
        check(isinstance(env.c.call("SCAN", cursor), list), "SCAN %s" % cursor)


@matrix(THREADS)
def test_scan_guarantee_while_the_table_grows_and_shrinks(env):
    c = env.c
    stay = {b"stay:%d" % i for i in range(1000)}
    c.call("MSET", *[x for n in stay for x in (n, 1)])
    stop = threading.Event()

    def churn(client):
        while not stop.is_set():
            for start in range(0, 40000, 500):  # grows to 41,000 keys ...
                client.call("MSET", *[x for i in range(start, start + 500)
                                      for x in ("come:%d" % i, 1)])
                if stop.is_set():
                    return
            for start in range(0, 40000, 500):  # ... and shrinks again
                client.call("DEL", *["come:%d" % i for i in range(start, start + 500)])

    thread = threading.Thread(target=churn, args=(env.client(),), daemon=True)
    thread.start()
    try:
        for _ in range(6):
            found, _ = scan_all(c, "COUNT", 37)
            missing = stay - set(found)
            check(not missing, "SCAN missed %d keys that were always there" % len(missing))
    finally:
        stop.set()
        thread.join()


@matrix(ONCE)
def test_many_keys(env):
    c = env.c
    for start in range(0, 200_000, 5000):
        c.call("MSET", *[x for i in range(start, start + 5000) for x in ("key:%d" % i, i)])
    equal(c.call("DBSIZE"), 200_000)
    for start in range(0, 200_000, 5000):
        keys = ["key:%d" % i for i in range(start, start + 5000)]
        check(c.call("MGET", *keys) == [b"%d" % i for i in range(start, start + 5000)], "MGET")
        c.call("DEL", *keys[:4990])
    equal(c.call("DBSIZE"), 400)
    equal(len(set(scan_all(c)[0])), 400)
