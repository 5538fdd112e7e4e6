# SPDX-License-Identifier: BSD-3-Clause
"""XREAD and XREADGROUP with BLOCK."""

import time

from harness import (FULL, Error, as_dict, as_pairs, cairn_only, check, equal, eventually,
                     info, is_blocked, start_blocked)

MATRIX = FULL


def entries(reply, key=b"s"):
    return as_dict(reply)[key]


def test_entries_that_are_there(env):
    env.c.call("XADD", "s", "1-1", "f", "v")
    equal(entries(env.c.call("XREAD", "BLOCK", 0, "STREAMS", "s", "0")), [[b"1-1", [b"f", b"v"]]])


def test_timeout(env):
    null = b"*-1\r\n" if env.protocol == 2 else b"_\r\n"
    start = time.monotonic()
    equal(env.c.raw("XREAD", "BLOCK", 50, "STREAMS", "s", "$"), null)
    check(time.monotonic() - start >= 0.049, "not before its time")
    equal(env.c.call("XREAD", "BLOCK", -1, "STREAMS", "s", "$"), Error(b"ERR timeout is negative"))
    equal(env.c.call("XREAD", "BLOCK", "0.5", "STREAMS", "s", "$"),
          Error(b"ERR timeout is not an integer or out of range"))


def test_inside_exec_nobody_waits(env):
    env.c.pipeline([("MULTI",), ("XREAD", "BLOCK", 0, "STREAMS", "s", "$")])
    equal(env.c.call("EXEC"), [None])


def test_everybody_is_served(env):
    waiting = [start_blocked(env, "XREAD", "BLOCK", 0, "STREAMS", "s", "$") for _ in range(5)]
    env.c.call("XADD", "s", "5-0", "f", "v")
    for c in waiting:
        equal(entries(c.read()), [[b"5-0", [b"f", b"v"]]])


def test_dollar_is_what_was_last_then(env):
    env.c.call("XADD", "s", "1-0", "f", "old")
    blocked = start_blocked(env, "XREAD", "BLOCK", 0, "STREAMS", "s", "other", "$", "$")
    env.c.pipeline([("MULTI",), ("XADD", "s", "2-0", "f", "a"), ("XADD", "s", "3-0", "f", "b"),
                    ("XADD", "other", "9-0", "f", "c"), ("EXEC",)])
    reply = as_pairs(blocked.read())
    equal(reply[0], (b"s", [[b"2-0", [b"f", b"a"]], [b"3-0", [b"f", b"b"]]]))
    check(len(reply) in (1, 2), "7.0 shows the first ready stream only")


def test_an_id_ahead_waits_for_it(env):
    blocked = start_blocked(env, "XREAD", "BLOCK", 0, "COUNT", 1, "STREAMS", "s", "5-0")
    env.c.call("XADD", "s", "4-0", "f", "v")
    env.c.call("XADD", "s", "5-0", "f", "v")
    check(is_blocked(env, blocked))
    env.c.call("XADD", "s", "6-0", "f", "v")
    equal(entries(blocked.read()), [[b"6-0", [b"f", b"v"]]])


@cairn_only("+ is of 7.4")
def test_plus_of_an_empty_stream_waits_for_an_entry(env):
    blocked = start_blocked(env, "XREAD", "BLOCK", 0, "STREAMS", "s", "+")
    env.c.call("XADD", "s", "6-0", "f", "v")
    equal(entries(blocked.read()), [[b"6-0", [b"f", b"v"]]])


def test_a_deleted_stream_wakes_no_reader(env):
    env.c.call("XADD", "s", "1-0", "f", "v")
    blocked = start_blocked(env, "XREAD", "BLOCK", 0, "STREAMS", "s", "$")
    env.c.call("DEL", "s")
    env.c.call("SET", "s", "x")
    env.c.call("DEL", "s")
    check(is_blocked(env, blocked))
    env.c.call("XADD", "s", "1-1", "f", "w")
    equal(entries(blocked.read()), [[b"1-1", [b"f", b"w"]]])


def group(env, *start):
    env.c.call("XGROUP", "CREATE", "s", "g", *(start or ("$",)), "MKSTREAM")


def test_an_entry_goes_to_one_consumer(env):
    group(env)
    first = start_blocked(env, "XREADGROUP", "GROUP", "g", "one", "BLOCK", 0, "STREAMS", "s", ">")
    second = start_blocked(env, "XREADGROUP", "GROUP", "g", "two", "BLOCK", 0, "STREAMS", "s", ">")
    env.c.call("XADD", "s", "1-0", "f", "v")
    equal(entries(first.read()), [[b"1-0", [b"f", b"v"]]])
    check(is_blocked(env, second))
    env.c.call("XADD", "s", "2-0", "f", "w")
    equal(entries(second.read()), [[b"2-0", [b"f", b"w"]]])
    equal([[p[0], p[1], p[3]] for p in env.c.call("XPENDING", "s", "g", "-", "+", 10)],
          [[b"1-0", b"one", 1], [b"2-0", b"two", 1]])


def test_history_never_waits(env):
    group(env)
    equal(entries(env.c.call("XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", "0")), [])


@cairn_only("since 7.2 it is the command's own error")
def test_the_group_vanishes(env):
    nogroup = Error(b"NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP "
                    b"option")
    wrongtype = Error(b"WRONGTYPE Operation against a key holding the wrong kind of value")
    for commands, error in (((("DEL", "s"),), nogroup), ((("FLUSHALL",),), nogroup),
                            ((("XGROUP", "DESTROY", "s", "g"),), nogroup),
                            ((("SET", "s", "x"),), wrongtype), ((("FLUSHDB",),), nogroup),
                            ((("RENAME", "s", "t"),), nogroup),
                            ((("SWAPDB", 0, 1), ("SWAPDB", 0, 1)), nogroup),
                            ((("PEXPIRE", "s", -1),), nogroup)):
        group(env)
        blocked = start_blocked(env, "XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s",
                                ">")
        env.c.pipeline(commands)
        equal(blocked.read(), error, commands[0][0])
        env.c.call("FLUSHALL")


@cairn_only("since 7.2 it is the command's own error")
def test_the_stream_expires(env):
    group(env)
    blocked = start_blocked(env, "XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">")
    env.c.call("PEXPIRE", "s", 20)
    equal(blocked.read().code, b"NOGROUP")


def test_deleted_and_made_again_in_one_step(env):
    group(env)
    blocked = start_blocked(env, "XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">")
    env.c.pipeline([("MULTI",), ("DEL", "s"), ("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM"),
                    ("XADD", "s", "7-0", "f", "v"), ("EXEC",)])
    equal(entries(blocked.read()), [[b"7-0", [b"f", b"v"]]])


def test_noack(env):
    group(env)
    blocked = start_blocked(env, "XREADGROUP", "GROUP", "g", "c", "NOACK", "BLOCK", 0, "STREAMS",
                            "s", ">")
    env.c.call("XADD", "s", "1-0", "f", "v")
    equal(entries(blocked.read()), [[b"1-0", [b"f", b"v"]]])
    equal(env.c.call("XPENDING", "s", "g")[0], 0)


@cairn_only("7.2 counts them")
def test_keys_that_are_waited_for_are_counted(env):
    group(env)

    def counted():
        return [int(info(env.c, "total_blocking_keys")),
                int(info(env.c, "total_blocking_keys_on_nokey"))]
    eventually(lambda: counted() == [0, 0])
    lists = start_blocked(env, "BLPOP", "a", "b", 0)
    start_blocked(env, "XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">")
    equal(counted(), [3, 1])
    env.c.call("CLIENT", "UNBLOCK", lists.id)
    equal(lists.read(), None)
    eventually(lambda: counted() == [1, 1])
    env.c.call("DEL", "s")
    eventually(lambda: counted() == [0, 0])
