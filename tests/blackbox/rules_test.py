# SPDX-License-Identifier: BSD-3-Clause
"""Properties of a threaded server that only a connection shows: what is parsed ahead (21), commands
about other clients, cursors that meet tables which grow and shrink (23)."""

import threading

from harness import ONCE, THREADS, Error, check, encode, equal, matrix

CURSOR_MAX = 1 << 53


@matrix(ONCE)
def test_rule_21_limits_follow_the_password_within_one_read(env):
    server = env.start(requirepass="pw")
    c = env.client(2, server, password=None)
    big = encode("SET", "k", "x" * 20_000)
    # Before AUTH a bulk of 20,000 bytes is too long, behind it in the same read it is not ...
    c.send_raw(encode("AUTH", "pw") + big + encode("STRLEN", "k"))
    equal([c.read() for _ in range(3)], [b"OK", b"OK", 20_000])
    # ... and behind a RESET it is again.
    c.send_raw(encode("PING") + encode("RESET") + big + encode("PING"))
    equal(c.read_until_closed(), b"+PONG\r\n+RESET\r\n"
          b"-ERR Protocol error: unauthenticated bulk length\r\n")


@matrix(THREADS)
def test_rule_21_a_protocol_error_follows_the_replies_before_it(env):
    c = env.client()
    c.send_raw(b"".join(encode("INCR", "n") for _ in range(9)) + b"*1\r\n!oops\r\n" +
               encode("INCR", "n"))
    replies = c.read_until_closed()
    equal(replies, b"".join(b":%d\r\n" % i for i in range(1, 10)) +
          b"-ERR Protocol error: expected '$', got '!'\r\n")
    equal(env.c.call("GET", "n"), b"9")


@matrix(THREADS)
def test_rule_21_nothing_runs_behind_quit(env):
    c = env.client()
    c.send_raw(encode("SET", "a", 1) + encode("QUIT") + encode("SET", "a", 2))
    equal(c.read_until_closed(), b"+OK\r\n+OK\r\n")
    equal(env.c.call("GET", "a"), b"1")


@matrix(THREADS)
def test_rule_21_a_suspended_batch_goes_on_where_it_stopped(env):
    c, boss = env.client(), env.client()
    equal(boss.call("CLIENT", "PAUSE", 60_000, "WRITE"), b"OK")
    # Reads go on, the first write waits, and with it all that follow, in order. The tail of the
    # last request comes later, in a read of its own.
    last = encode("APPEND", "k", "d" * 5000)
    c.send_raw(encode("GET", "k") + encode("APPEND", "k", "a") + encode("GET", "k") +
               encode("APPEND", "k", "bc") + last[:2000])
    equal(c.read(), None)
    c.send_raw(last[2000:])
    check(c.nothing_to_read(0.1), "a write behind a pause is answered")
    equal(boss.call("CLIENT", "UNPAUSE"), b"OK")
    equal([c.read() for _ in range(4)], [1, b"a", 3, 5003])
    equal(boss.call("GET", "k"), b"abc" + b"d" * 5000)


@matrix(THREADS)
def test_rule_21_queued_arguments_outlive_their_read(env):
    c = env.client()
    value = b"v" * 3000
    equal(c.call("MULTI"), b"OK")
    equal(c.call("SET", "k", value), b"QUEUED")
    for _ in range(50):  # Other requests use the same buffers meanwhile.
        c.send_raw(encode("SET", "other", b"o" * 3000))
        equal(c.read(), b"QUEUED")
    equal(c.call("EXEC")[0], b"OK")
    equal(c.call("GET", "k"), value)
    equal(c.pipeline([("WATCH", "k"), ("SET", "k", 1), ("MULTI",), ("PING",)])[0], b"OK")
    equal(c.call("EXEC"), None)


@matrix(THREADS)
def test_commands_about_other_clients_hold_up_nobody_in_transactions(env):
    """They run under the locks of their EXEC: one that waited for another worker would end here."""
    errors = []

    def work(number):
        try:
            with env.client() as c:
                for i in range(60):
                    c.send("MULTI")
                    requests = [("INCR", "n"), ("CLIENT", "LIST"), ("INFO",),
                                ("CLIENT", "KILL", "TYPE", "pubsub"), ("CLIENT", "UNBLOCK", 1),
                                ("CONFIG", "SET", "timeout", 0), ("CLIENT", "UNPAUSE"),
                                ("KEYS", "*"), ("CLIENT", "ID"), ("PUBLISH", "c", number)]
                    for request in requests:
                        c.send(*request)
                    c.send("EXEC")
                    replies = [c.read() for _ in range(len(requests) + 2)]
                    equal(len(replies[-1]), len(requests))
        except Exception as error:  # pylint: disable=broad-except
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(errors, [])
    equal(env.c.call("GET", "n"), b"480")


@matrix(THREADS)
def test_rule_23_ten_keys_are_one_page(env):
    for round_ in range(50):
        env.c.call("FLUSHALL")
        names = [b"key:%d:%d" % (round_, i) for i in range(10)]
        env.c.call("MSET", *[x for name in names for x in (name, 1)])
        cursor, keys = env.c.call("SCAN", 0)
        equal((cursor, sorted(keys)), (b"0", sorted(names)))


def scan(client, command, key, count):
    """All pages of HSCAN, SSCAN or ZSCAN, with the bound on their cursors."""
    cursor, found = b"0", []
    while True:
        cursor, page = client.call(command, key, cursor, "COUNT", count)
        check(int(cursor) < CURSOR_MAX, "%s: cursor %s" % (command, cursor))
        found += page
        if cursor == b"0":
            return found


@matrix(THREADS)
def test_rule_23_scans_of_a_value_that_grows_and_shrinks(env):
    c = env.c
    stay = {b"stay:%d" % i for i in range(600)}
    c.call("HSET", "h", *[x for name in stay for x in (name, 1)])
    c.call("SADD", "s", *stay)
    c.call("ZADD", "z", *[x for name in stay for x in (1, name)])
    stop = threading.Event()

    def churn(client):
        names = ["come:%d" % i for i in range(4000)]
        while not stop.is_set():
            for start in range(0, len(names), 500):
                part = names[start:start + 500]
                client.call("HSET", "h", *[x for name in part for x in (name, 1)])
                client.call("SADD", "s", *part)
                client.call("ZADD", "z", *[x for name in part for x in (1, name)])
            for start in range(0, len(names), 500):
                for command, key in (("HDEL", "h"), ("SREM", "s"), ("ZREM", "z")):
                    client.call(command, key, *names[start:start + 500])

    thread = threading.Thread(target=churn, args=(env.client(),), daemon=True)
    thread.start()
    try:
        for _ in range(4):
            for command, key, step in (("HSCAN", "h", 2), ("SSCAN", "s", 1), ("ZSCAN", "z", 2)):
                missing = stay - set(scan(c, command, key, 23)[::step])
                check(not missing, "%s missed %d members" % (command, len(missing)))
    finally:
        stop.set()
        thread.join()


@matrix(THREADS)
def test_rule_23_any_number_is_a_cursor(env):
    c = env.c
    c.call("SADD", "s", *["m%d" % i for i in range(1000)])
    for cursor in ("1", "4503599627370496", "9007199254740993", "18446744073709551615"):
        check(isinstance(c.call("SSCAN", "s", cursor), list), "SSCAN %s" % cursor)
    equal(c.call("SSCAN", "s", "abc"), Error(b"ERR invalid cursor"))
