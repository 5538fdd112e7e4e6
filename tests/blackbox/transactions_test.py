# SPDX-License-Identifier: BSD-3-Clause
"""MULTI, EXEC, DISCARD, WATCH: one client, then two that interleave."""

from harness import FULL, Error, check, equal, pass_time

MATRIX = FULL


def queue(c, *commands):
    """MULTI and these commands; checks that each is queued."""
    equal(c.call("MULTI"), b"OK")
    for command in commands:
        equal(c.call(*command), b"QUEUED", " ".join(map(str, command)))


def test_exec(env):
    c = env.c
    queue(c, ("SET", "a", 1), ("INCR", "a"), ("GET", "a"), ("GET", "none"))
    equal(c.call("EXEC"), [b"OK", 2, b"2", None])
    queue(c)
    equal(c.call("EXEC"), [])


def test_errors_inside_do_not_stop_it(env):
    c = env.c
    queue(c, ("SET", "a", "x"), ("INCR", "a"), ("SET", "b", "y"))
    replies = c.call("EXEC")
    equal([replies[0], replies[2]], [b"OK", b"OK"])
    equal(replies[1], Error(b"ERR value is not an integer or out of range"))


def test_execabort(env):
    c = env.c
    for bad in (("NOSUCH",), ("GET",), ("SET", "a")):
        c.call("MULTI")
        check(isinstance(c.call(*bad), Error), "refused at once")
        equal(c.call("SET", "a", 1), b"QUEUED")
        equal(c.call("EXEC"),
              Error(b"EXECABORT Transaction discarded because of previous errors."))
    equal(c.call("EXISTS", "a"), 0)


def test_outside_and_nested(env):
    c = env.c
    equal(c.call("EXEC"), Error(b"ERR EXEC without MULTI"))
    equal(c.call("DISCARD"), Error(b"ERR DISCARD without MULTI"))
    c.call("MULTI")
    equal(c.call("MULTI"), Error(b"ERR MULTI calls can not be nested"))
    equal(c.call("WATCH", "a"), Error(b"ERR WATCH inside MULTI is not allowed"))
    equal(c.call("DISCARD"), b"OK")


def test_discard_forgets(env):
    c = env.c
    queue(c, ("SET", "a", 1))
    equal(c.call("DISCARD"), b"OK")
    equal(c.call("EXISTS", "a"), 0)


def test_select_inside(env):
    c = env.c
    queue(c, ("SET", "k", 0), ("SELECT", 5), ("SET", "k", 5), ("SELECT", 0), ("GET", "k"))
    equal(c.call("EXEC")[-1], b"0")
    c.call("SELECT", 5)
    equal(c.call("GET", "k"), b"5")


def test_others_see_all_or_nothing(env):
    writer, reader = env.client(), env.client()
    writer.call("MSET", "a", 0, "b", 0)
    for i in range(100):
        writer.send("MULTI")
        writer.send("SET", "a", i)
        writer.send("SET", "b", i)
        writer.send("EXEC")
        a, b = reader.call("MGET", "a", "b")
        equal(a, b)
        for _ in range(4):
            writer.read()


CHANGES = (("SET", "w", 2), ("INCR", "w"), ("APPEND", "w", "x"), ("DEL", "w"), ("EXPIRE", "w", 100),
           ("RENAME", "w", "v"), ("RENAME", "other", "w"), ("FLUSHALL",), ("FLUSHDB",),
           ("SWAPDB", 0, 1), ("MOVE", "w", 2), ("COPY", "other", "w", "REPLACE"), ("MSET", "w", 3),
           ("PEXPIREAT", "w", 1), ("GETDEL", "w"))


def test_watch_sees_every_kind_of_change(env):
    for change in CHANGES:
        a, b = env.client(), env.client()
        a.call("FLUSHALL")
        a.call("MSET", "w", 1, "other", 9)
        a.call("WATCH", "w")
        reply = b.call(*change)
        check(not isinstance(reply, Error), "%r: %r" % (change, reply))
        queue(a, ("SET", "seen", 1))
        equal(a.call("EXEC"), None, "not noticed: %r" % (change,))
        equal(a.call("EXISTS", "seen"), 0)


def test_watch_ignores_what_is_no_change(env):
    for nothing in (("GET", "w"), ("SET", "x", 1), ("EXISTS", "w"), ("PERSIST", "w"), ("TOUCH", "w"),
                    ("SET", "w", 5, "NX"), ("DEL", "nokey")):
        a, b = env.client(), env.client()
        a.call("SET", "w", 1)
        a.call("WATCH", "w")
        b.call(*nothing)
        queue(a, ("GET", "w"))
        equal(a.call("EXEC"), [b"1"], "%r" % (nothing,))


def test_watch_of_a_missing_key(env):
    a, b = env.client(), env.client()
    a.call("WATCH", "w")
    b.call("SET", "w", 1)
    queue(a, ("PING",))
    equal(a.call("EXEC"), None)
    a.call("FLUSHALL")
    a.call("WATCH", "w")
    b.call("FLUSHALL")
    queue(a, ("PING",))
    equal(len(a.call("EXEC")), 1, "a flush does not touch a key that was not there")


def test_unwatch_and_exec_end_the_watch(env):
    a, b = env.client(), env.client()
    a.call("WATCH", "w")
    b.call("SET", "w", 1)
    a.call("UNWATCH")
    queue(a, ("PING",))
    equal(len(a.call("EXEC")), 1)
    b.call("SET", "w", 2)
    queue(a, ("PING",))
    equal(len(a.call("EXEC")), 1, "EXEC ended the watch")


def test_own_changes_count(env):
    c = env.c
    c.call("WATCH", "w")
    c.call("SET", "w", 1)
    queue(c, ("PING",))
    equal(c.call("EXEC"), None)


def test_watch_knows_the_database(env):
    a, b = env.client(), env.client()
    a.call("SELECT", 1)
    a.call("WATCH", "w")
    b.call("SET", "w", "in database 0")
    queue(a, ("PING",))
    equal(len(a.call("EXEC")), 1)


def test_a_watched_key_that_expires(env):
    c = env.c
    ms = 100
    # Alive behind the WATCH, so alive when it was watched.
    while c.pipeline([("SET", "w", 1, "PX", ms), ("WATCH", "w"), ("EXISTS", "w")])[-1] != 1:
        equal(c.call("UNWATCH"), b"OK")
        ms *= 2
    pass_time(c, ms + 1)
    queue(c, ("PING",))
    equal(c.call("EXEC"), None, "alive at WATCH, gone at EXEC")


def test_write_skew_is_impossible(env):
    """Each watches one key and writes the other: of two that overlap only one may commit."""
    a, b = env.client(), env.client()
    for _ in range(100):
        a.call("MSET", "x", 0, "y", 0)
        a.call("WATCH", "x")
        b.call("WATCH", "y")
        queue(a, ("SET", "y", 1))
        queue(b, ("SET", "x", 1))
        a.send("EXEC")
        b.send("EXEC")
        outcomes = [a.read(), b.read()]
        equal(sum(o is not None for o in outcomes), 1, repr(outcomes))
