# SPDX-License-Identifier: BSD-3-Clause
"""BLPOP, BRPOP, BLMOVE, BRPOPLPUSH, BLMPOP: who is served, with what, in which order."""

import time

from harness import (FULL, Error, cairn_only, check, equal, eventually, is_blocked,
                     start_blocked)

MATRIX = FULL

WRONGTYPE = Error(b"WRONGTYPE Operation against a key holding the wrong kind of value")


def test_elements_that_are_there(env):
    c = env.c
    c.call("RPUSH", "a", 1, 2, 3)
    equal(c.call("BLPOP", "none", "a", 0), [b"a", b"1"])
    equal(c.call("BRPOP", "a", "none", 0), [b"a", b"3"])
    equal(c.call("BLMOVE", "a", "b", "LEFT", "RIGHT", 0), b"2")
    equal(c.call("BRPOPLPUSH", "b", "c", 0), b"2")
    equal(c.call("BLMPOP", 0, 2, "none", "c", "LEFT", "COUNT", 10), [b"c", [b"2"]])
    equal(c.call("DBSIZE"), 0)


def test_timeouts(env):
    c = env.c
    null = b"*-1\r\n" if env.protocol == 2 else b"_\r\n"
    for command in (("BLPOP", "k", "0.05"), ("BRPOP", "k", "l", "0.05"),
                    ("BLMOVE", "k", "l", "LEFT", "LEFT", "0.05"), ("BRPOPLPUSH", "k", "l", "0.05"),
                    ("BLMPOP", "0.05", 1, "k", "LEFT")):
        start = time.monotonic()
        equal(c.raw(*command), null, command[0])
        check(time.monotonic() - start >= 0.049, "not before its time")
    equal(c.call("BLPOP", "k", "0.0001"), None, "a tiny timeout is not for ever")


def test_timeouts_that_are_none(env):
    c = env.c
    for text, error in (("abc", "ERR timeout is not a float or out of range"),
                        ("nan", "ERR timeout is not a float or out of range"),
                        ("", "ERR timeout is not a float or out of range"),
                        ("-1", "ERR timeout is negative"), ("-0.5", "ERR timeout is negative")):
        equal(c.call("BLPOP", "k", text), Error(error.encode()), "BLPOP " + text)
        equal(c.call("BLMOVE", "k", "l", "LEFT", "LEFT", text), Error(error.encode()))
        equal(c.call("BLMPOP", text, 1, "k", "LEFT"), Error(error.encode()))
    equal(c.call("BLMOVE", "k", "l", "UP", "LEFT", "abc"), Error(b"ERR syntax error"))
    equal(c.call("BLMPOP", 0, 0, "k", "LEFT"), Error(b"ERR numkeys should be greater than 0"))
    equal(c.call("BLMPOP", 0, 2, "k", "LEFT"), Error(b"ERR syntax error"))
    equal(c.call("BLMPOP", 0, 1, "k", "LEFT", "COUNT", 0),
          Error(b"ERR count should be greater than 0"))


@cairn_only("7.0 does not look for overflow")
def test_timeouts_that_overflow(env):
    for text in ("inf", "1e30", "0x7fffffffffffffff", "9223372036854775"):
        equal(env.c.call("BLPOP", "k", text), Error(b"ERR timeout is out of range"), text)


def test_served_by_a_push(env):
    blocked = start_blocked(env, "BLPOP", "k", 0)
    equal(env.c.call("RPUSH", "k", "a", "b"), 2, "the length before the pop")
    equal(env.c.call("LRANGE", "k", 0, -1), [b"b"], "seen by the pusher's next command")
    equal(blocked.read(), [b"k", b"a"])
    check(not is_blocked(env, blocked))


def test_the_whole_push_comes_first(env):
    blocked = start_blocked(env, "BLPOP", "k", 0)
    env.c.call("LPUSH", "k", "a", "b", "c")
    equal(blocked.read(), [b"k", b"c"])


def test_first_come_first_served(env):
    waiting = [start_blocked(env, "BRPOP", "k", 0) for _ in range(4)]
    for i in range(3):
        env.c.call("LPUSH", "k", i)
        equal(waiting[i].read(), [b"k", b"%d" % i])
    check(is_blocked(env, waiting[3]))
    late = start_blocked(env, "BLPOP", "k", 0)
    env.c.call("RPUSH", "k", "x", "y")
    equal([waiting[3].read(), late.read()], [[b"k", b"y"], [b"k", b"x"]])


def test_one_element_for_one_client_of_many_keys(env):
    keys = ["key:%d" % i for i in range(20)]
    first = start_blocked(env, "BLPOP", *keys, 0)
    second = start_blocked(env, "BLPOP", *reversed(keys), 0)
    env.c.call("RPUSH", "key:7", "a")
    equal(first.read(), [b"key:7", b"a"])
    check(is_blocked(env, second))
    env.c.call("RPUSH", "key:3", "b")
    equal(second.read(), [b"key:3", b"b"])
    equal(env.c.call("RPUSH", "key:3", "c"), 1, "nobody waits any more")


def test_a_key_given_twice(env):
    blocked = start_blocked(env, "BLPOP", "k", "k", 0)
    env.c.call("RPUSH", "k", "a", "b")
    equal(blocked.read(), [b"k", b"a"])
    equal(env.c.call("LRANGE", "k", 0, -1), [b"b"])


def test_exec_is_one_step(env):
    blocked = start_blocked(env, "BLPOP", "k", 0)
    equal(env.c.pipeline([("MULTI",), ("RPUSH", "k", "a"), ("LPUSH", "k", "b"), ("DEL", "k"),
                          ("EXEC",)])[-1], [1, 2, 1])
    check(is_blocked(env, blocked), "nothing was left after EXEC")
    equal(env.c.pipeline([("MULTI",), ("RPUSH", "k", "a"), ("LPUSH", "k", "b"), ("LLEN", "k"),
                          ("EXEC",), ("LLEN", "k")])[-2:], [[1, 2, 2], 1])
    equal(blocked.read(), [b"k", b"b"])


def test_inside_exec_nobody_waits(env):
    c = env.c
    null = b"*-1\r\n" if env.protocol == 2 else b"_\r\n"
    bulk = b"$-1\r\n" if env.protocol == 2 else b"_\r\n"
    c.call("RPUSH", "full", "a")
    for command in (("BLPOP", "k", 0), ("BRPOP", "k", 0), ("BLMPOP", 0, 1, "k", "RIGHT"),
                    ("BLMOVE", "k", "l", "LEFT", "LEFT", 0), ("BRPOPLPUSH", "k", "l", 0)):
        c.pipeline([("MULTI",), command])
        wanted = null if command[0] in ("BLPOP", "BRPOP", "BLMPOP") else bulk
        equal(c.raw("EXEC"), b"*1\r\n" + wanted, command[0])
    equal(c.pipeline([("MULTI",), ("BLPOP", "full", 0), ("EXEC",)])[-1], [[b"full", b"a"]])


def test_wrong_type_at_once(env):
    c = env.c
    c.call("SET", "s", "x")
    equal(c.call("BLPOP", "none", "s", 0), WRONGTYPE)
    equal(c.call("BLMOVE", "s", "none", "LEFT", "LEFT", 0), WRONGTYPE)
    equal(c.call("BLMPOP", 0, 2, "none", "s", "LEFT"), WRONGTYPE)
    c.call("RPUSH", "l", "a")
    equal(c.call("BLMOVE", "l", "s", "LEFT", "LEFT", 0), WRONGTYPE)
    equal(c.call("LLEN", "l"), 1)


def test_another_type_wakes_nobody(env):
    blocked = start_blocked(env, "BLPOP", "k", 0)
    env.c.call("SET", "k", "x")
    env.c.call("DEL", "k")
    env.c.call("ZADD", "k", 1, "m")
    env.c.call("DEL", "k")
    check(is_blocked(env, blocked))
    env.c.call("RPUSH", "k", "a")
    equal(blocked.read(), [b"k", b"a"])


def test_move_to_a_list_of_another_type(env):
    env.c.call("SET", "s", "x")
    blocked = start_blocked(env, "BLMOVE", "k", "s", "LEFT", "LEFT", 0)
    env.c.call("RPUSH", "k", "a")
    equal(blocked.read(), WRONGTYPE)
    equal(env.c.call("LRANGE", "k", 0, -1), [b"a"])


def test_moves_give_what_the_next_waits_for(env):
    last = start_blocked(env, "BLPOP", "d", 0)
    third = start_blocked(env, "BLMOVE", "c", "d", "LEFT", "RIGHT", 0)
    second = start_blocked(env, "BRPOPLPUSH", "b", "c", 0)
    first = start_blocked(env, "BLMOVE", "a", "b", "RIGHT", "LEFT", 0)
    equal(env.c.call("LPUSH", "a", "x"), 1)
    equal(env.c.call("EXISTS", "a", "b", "c", "d"), 0, "all of it before the next command")
    equal([first.read(), second.read(), third.read()], [b"x"] * 3)
    equal(last.read(), [b"d", b"x"])


def test_a_list_moved_to_itself(env):
    mover = start_blocked(env, "BLMOVE", "k", "k", "LEFT", "RIGHT", 0)
    popper = start_blocked(env, "BLPOP", "k", 0)
    env.c.call("RPUSH", "k", "a", "b")
    equal(mover.read(), b"a")
    equal(popper.read(), [b"k", b"b"])
    equal(env.c.call("LRANGE", "k", 0, -1), [b"a"])


def test_blmpop_takes_up_to_count(env):
    blocked = start_blocked(env, "BLMPOP", 0, 2, "k", "l", "RIGHT", "COUNT", 2)
    env.c.call("RPUSH", "l", 1, 2, 3)
    equal(blocked.read(), [b"l", [b"3", b"2"]])
    equal(env.c.call("LRANGE", "l", 0, -1), [b"1"])


def test_any_way_in_which_a_list_appears(env):
    c = env.c
    c.call("RPUSH", "source", "a")
    payload = c.call("DUMP", "source")

    def serve(*command):
        blocked = start_blocked(env, "BLPOP", "k", 0)
        c.call(*command)
        equal(blocked.read(), [b"k", b"a"], " ".join(map(str, command[:1])))

    serve("COPY", "source", "k")
    serve("RESTORE", "k", 0, payload)
    serve("SORT", "source", "BY", "nosort", "STORE", "k")
    c.call("SELECT", 1)
    c.call("RPUSH", "k", "a")
    serve_from = c.call
    blocked = start_blocked(env, "BLPOP", "k", 0)
    serve_from("MOVE", "k", 0)
    equal(blocked.read(), [b"k", b"a"], "MOVE")
    c.call("RPUSH", "k", "a")
    blocked = start_blocked(env, "BLPOP", "k", 0)
    c.call("SWAPDB", 0, 1)
    equal(blocked.read(), [b"k", b"a"], "SWAPDB")
    c.call("SELECT", 0)
    c.call("RPUSH", "source", "a")
    blocked = start_blocked(env, "BLPOP", "k", 0)
    c.call("RENAME", "source", "k")
    equal(blocked.read(), [b"k", b"a"], "RENAME")


def test_databases_are_apart(env):
    blocked = start_blocked(env, "BLPOP", "k", 0)
    env.c.call("SELECT", 1)
    env.c.call("RPUSH", "k", "there")
    check(is_blocked(env, blocked))
    env.c.call("SELECT", 0)
    env.c.call("RPUSH", "k", "here")
    equal(blocked.read(), [b"k", b"here"])


@cairn_only("since 7.2 the keys are looked at in the order of the command; 7.0 serves the one "
            "that became ready first")
def test_the_commands_order_of_keys_counts(env):
    blocked = start_blocked(env, "BLPOP", "a", "b", 0)
    env.c.pipeline([("MULTI",), ("RPUSH", "b", 1), ("RPUSH", "a", 2), ("EXEC",)])
    equal(blocked.read(), [b"a", b"2"])


@cairn_only("since 7.2 the command runs again as a whole")
def test_a_key_of_another_type_meanwhile(env):
    blocked = start_blocked(env, "BLPOP", "a", "b", 0)
    env.c.call("SET", "a", "x")
    check(is_blocked(env, blocked))
    env.c.call("RPUSH", "b", 1)
    equal(blocked.read(), WRONGTYPE)
    equal(env.c.call("LLEN", "b"), 1)


def test_a_key_that_expires_in_the_way(env):
    """A list that appears and has expired when the client could be served serves nobody."""
    blocked = start_blocked(env, "BLPOP", "k", 0)
    env.c.pipeline([("MULTI",), ("RPUSH", "k", "a"), ("PEXPIRE", "k", -1), ("EXEC",)])
    check(is_blocked(env, blocked))
    env.c.call("RPUSH", "k", "b")
    equal(blocked.read(), [b"k", b"b"])


def test_requests_behind_a_blocking_one(env):
    c = env.client()
    c.send_raw(b"PING\r\nBLPOP k 0\r\nPING x\r\nBLPOP k 0\r\nPING y\r\n")
    equal(c.read(), b"PONG")
    check(c.nothing_to_read(), "the rest waits")
    env.c.call("RPUSH", "k", 1)
    equal([c.read(), c.read()], [[b"k", b"1"], b"x"])
    check(c.nothing_to_read(), "and waits again")
    env.c.call("RPUSH", "k", 2)
    equal([c.read(), c.read()], [[b"k", b"2"], b"y"])


def test_a_request_cut_in_two_behind_a_blocking_one(env):
    c = start_blocked(env, "BLPOP", "k", 0)
    c.send_raw(b"*2\r\n$4\r\nPI")
    env.c.call("RPUSH", "k", 1)
    equal(c.read(), [b"k", b"1"])
    c.send_raw(b"NG\r\n$1\r\nz\r\n")
    equal(c.read(), b"z")


def test_watch_sees_the_served_pop(env):
    blocked = start_blocked(env, "BLPOP", "k", 0)
    other = env.client()
    other.call("WATCH", "k")
    env.c.call("RPUSH", "k", 1)
    equal(blocked.read(), [b"k", b"1"])
    other.pipeline([("MULTI",), ("PING",)])
    equal(other.call("EXEC"), None)


def test_many_waiters_of_one_key(env):
    waiting = [start_blocked(env, "BLPOP", "k", 0) for _ in range(60)]
    env.c.call("RPUSH", "k", *range(100))
    equal([c.read() for c in waiting], [[b"k", b"%d" % i] for i in range(60)])
    equal(env.c.call("LLEN", "k"), 40)


def test_big_elements(env):
    blocked = start_blocked(env, "BLPOP", "k", 0)
    big = b"x" * 300000
    env.c.call("RPUSH", "k", big)
    equal(blocked.read(), [b"k", big])


def test_a_timeout_measured_while_others_are_served(env):
    late = env.client()
    late.id = late.call("CLIENT", "ID")
    late.send("BLPOP", "k", "0.3")
    early = start_blocked(env, "BLPOP", "l", "10000")
    env.c.call("RPUSH", "l", 1)
    equal(early.read(), [b"l", b"1"])
    equal(late.read(), None, "the timeout of the first is not the other's")
    eventually(lambda: not is_blocked(env, late))
