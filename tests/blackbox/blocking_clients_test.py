# SPDX-License-Identifier: BSD-3-Clause
"""Blocked clients: how waits end other than by being served, and what others see of them."""

import glob
import os
import shutil
import subprocess
import time

from harness import (FULL, ONCE, Error, cairn_only, check, equal, eventually, info, is_blocked,
                     limit, matrix, skip, start_blocked)

MATRIX = FULL

UNBLOCKED = Error(b"UNBLOCKED client unblocked via CLIENT UNBLOCK")


def test_unblock(env):
    c = env.c
    for how, wanted in (((), None), (("TIMEOUT",), None), (("ERROR",), UNBLOCKED),
                        (("error",), UNBLOCKED)):
        for command in (("BLPOP", "k", "l", 0), ("BLMOVE", "k", "l", "LEFT", "LEFT", 0),
                        ("BZPOPMIN", "k", 0), ("XREAD", "BLOCK", 0, "STREAMS", "k", "$")):
            blocked = start_blocked(env, *command)
            equal(c.call("CLIENT", "UNBLOCK", blocked.id, *how), 1)
            equal(blocked.read(), wanted, command[0])
            equal(c.call("CLIENT", "UNBLOCK", blocked.id, *how), 0, "not blocked any more")
            equal(blocked.call("PING"), b"PONG")
    equal(c.call("RPUSH", "k", "a"), 1, "and no element is taken")


def test_unblock_whom(env):
    c = env.c
    equal(c.call("CLIENT", "UNBLOCK", 123456789), 0)
    equal(c.call("CLIENT", "UNBLOCK", c.call("CLIENT", "ID")), 0)
    equal(c.call("CLIENT", "UNBLOCK", "x"),
          Error(b"ERR value is not an integer or out of range"))
    equal(c.call("CLIENT", "UNBLOCK", 1, "NOW"),
          Error(b"ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"))


def test_unblock_inside_exec(env):
    blocked = start_blocked(env, "BLPOP", "k", 0)
    equal(env.c.pipeline([("MULTI",), ("CLIENT", "UNBLOCK", blocked.id), ("RPUSH", "k", "a"),
                          ("EXEC",)])[-1], [1, 1])
    equal(blocked.read(), None)
    equal(env.c.call("LLEN", "k"), 1)


def test_unblock_goes_on_with_what_is_behind(env):
    blocked = start_blocked(env, "BLPOP", "k", 0)
    blocked.send("PING", "x")
    env.c.call("CLIENT", "UNBLOCK", blocked.id, "ERROR")
    equal([blocked.read(), blocked.read()], [UNBLOCKED, b"x"])


def test_hang_up(env):
    """Whoever has hung up is given nothing."""
    first = start_blocked(env, "BLPOP", "k", 0)
    second = start_blocked(env, "BLPOP", "k", 0)
    first.close()
    eventually(lambda: env.c.call("CLIENT", "LIST", "ID", first.id) == b"")
    env.c.call("RPUSH", "k", "a")
    equal(second.read(), [b"k", b"a"])


def test_kill(env):
    first = start_blocked(env, "BLPOP", "k", "l", 0)
    equal(env.c.call("CLIENT", "KILL", "ID", first.id), 1)
    env.c.call("RPUSH", "k", "a")
    equal(env.c.call("LLEN", "k"), 1, "killed before the push: not served")
    check(first.closed_by_server())


def test_shown_to_others(env):
    eventually(lambda: info(env.c, "blocked_clients") == "0")
    waiting = [start_blocked(env, "BLPOP", "k", 0), start_blocked(env, "BRPOP", "l", 0)]
    equal(info(env.c, "blocked_clients"), "2")
    line = env.c.call("CLIENT", "LIST", "ID", waiting[0].id)
    check(b" flags=b " in line and b" cmd=blpop " in line, line)
    for c in waiting:
        c.close()
    eventually(lambda: info(env.c, "blocked_clients") == "0")


@cairn_only("since 7.2 a call is counted when it is answered")
def test_calls_are_counted_once(env):
    c = env.c
    c.call("CONFIG", "RESETSTAT")
    served = start_blocked(env, "BLPOP", "k", 0)
    unblocked = start_blocked(env, "BLPOP", "l", 0)
    check(b"cmdstat_blpop" not in c.call("INFO", "commandstats"), "not before it is answered")
    c.call("RPUSH", "k", "a")
    served.read()
    c.call("CLIENT", "UNBLOCK", unblocked.id, "ERROR")
    unblocked.read()
    equal(unblocked.call("BLPOP", "l", "0.01"), None)

    def counted():
        text = c.call("INFO", "commandstats").decode()
        return text.partition("cmdstat_blpop:")[2].split("\r\n", 1)[0]
    # Each is counted by its own thread, perhaps behind its reply.
    eventually(lambda: counted().startswith("calls=3,"))
    check(counted().endswith("failed_calls=1"), counted())


@cairn_only("7.0 logs the arguments of a served command as it rewrote them, or none")
def test_slowlog(env):
    """A call that waited is logged once, when it is answered."""
    c = env.c
    env.config(slowlog_log_slower_than=0)
    waiting = [start_blocked(env, "BLPOP", "k", 0),
               start_blocked(env, "BLMOVE", "l", "m", "LEFT", "LEFT", 0),
               start_blocked(env, "BRPOP", "n", 0)]
    equal(c.call("SLOWLOG", "RESET"), b"OK")

    def logged(count):
        # By the thread of each, perhaps behind the reply; so that they come in order we wait.
        found = [entry for entry in c.call("SLOWLOG", "GET", -1)
                 if entry[3][0].startswith((b"BL", b"BR"))]
        return len(found) >= count and found
    c.call("RPUSH", "k", "a")
    equal(waiting[0].read(), [b"k", b"a"])
    eventually(lambda: logged(1))
    c.call("EVAL", "redis.call('RPUSH', 'l', 'b')", 0)
    equal(waiting[1].read(), b"b")
    eventually(lambda: logged(2))
    c.call("CLIENT", "UNBLOCK", waiting[2].id, "ERROR")
    check(isinstance(waiting[2].read(), Error))
    equal(waiting[2].call("BLPOP", "n", "0.05"), None)
    entries = eventually(lambda: logged(4))
    equal([b" ".join(entry[3]) for entry in reversed(entries)],
          [b"BLPOP k 0", b"BLMOVE l m LEFT LEFT 0", b"BRPOP n 0", b"BLPOP n 0.05"])
    addresses = ["%s:%d" % w.sock.getsockname() for w in waiting + waiting[2:]]
    equal([entry[4] for entry in reversed(entries)], [a.encode() for a in addresses])


def test_reply_off_and_skip(env):
    c = env.client()
    c.send("CLIENT", "REPLY", "SKIP")
    blocked = start_blocked_silently(env, c, "BLPOP", "k", 0)
    env.c.call("RPUSH", "k", "a")
    equal(blocked.call("PING", "x"), b"x", "SKIP was for the element")
    c.send("CLIENT", "REPLY", "OFF")
    blocked = start_blocked_silently(env, c, "BLPOP", "k", 0)
    env.c.call("RPUSH", "k", "a")
    c.send("PING")
    equal(c.call("CLIENT", "REPLY", "ON"), b"OK")
    equal(env.c.call("LLEN", "k"), 0)


def start_blocked_silently(env, client, *command):
    """As start_blocked, for a client that is told nothing."""
    address = "%s:%d" % client.sock.getsockname()
    client.send(*command)

    def blocked():
        lines = env.c.call("CLIENT", "LIST").decode().split("\n")
        return any("addr=" + address in line and " flags=b" in line for line in lines)
    eventually(blocked)
    return client


def test_pause_and_timeouts(env):
    """A wait may end while clients are paused; what is behind it waits for the end of the pause."""
    blocked = env.client()
    blocked.id = blocked.call("CLIENT", "ID")
    for seconds in (0.2, 1, 5, 25):
        blocked.send("BLPOP", "k", seconds)
        blocked.send("SET", "x", 1)
        eventually(lambda: is_blocked(env, blocked) or env.c.call("EXISTS", "x"))
        equal(env.c.call("CLIENT", "PAUSE", 100000, "WRITE"), b"OK")
        if is_blocked(env, blocked):
            break
        # Its time was over before the pause began: a machine that slow needs more of it.
        equal(env.c.call("CLIENT", "UNPAUSE"), b"OK")
        equal([blocked.read(), blocked.read()], [None, b"OK"])
        equal(env.c.call("DEL", "x"), 1)
    equal(blocked.read(), None)
    equal(env.c.call("GET", "x"), None)
    check(blocked.nothing_to_read())
    env.c.call("CLIENT", "UNPAUSE")
    equal(blocked.read(), b"OK")


def test_a_paused_push_serves_after_the_pause(env):
    blocked = start_blocked(env, "BLPOP", "k", 0)
    env.c.call("CLIENT", "PAUSE", 100000, "WRITE")
    pusher = env.client()
    pusher.send("RPUSH", "k", "a")
    check(blocked.nothing_to_read())
    env.c.call("CLIENT", "UNPAUSE")
    equal(blocked.read(), [b"k", b"a"])


def test_a_blocking_command_that_meets_a_pause(env):
    env.c.call("RPUSH", "k", "a")
    env.c.call("CLIENT", "PAUSE", 100000, "WRITE")
    other = env.client()
    other.send("BLPOP", "k", 0)
    check(other.nothing_to_read())
    env.c.call("CLIENT", "UNPAUSE")
    equal(other.read(), [b"k", b"a"])


def test_query_buffer_of_a_blocked_client(env):
    """It goes on reading: requests that come meanwhile are kept."""
    blocked = start_blocked(env, "BLPOP", "k", 0)
    value = b"v" * 100000
    for i in range(20):
        blocked.send("SET", "big:%d" % i, value)
    env.c.call("RPUSH", "k", "a")
    equal(blocked.read(), [b"k", b"a"])
    equal([blocked.read() for _ in range(20)], [b"OK"] * 20)
    equal(env.c.call("STRLEN", "big:19"), len(value))


def test_reset_and_quit_behind_a_wait(env):
    blocked = start_blocked(env, "BLPOP", "k", 0)
    blocked.send("RESET")
    blocked.send("QUIT")
    check(is_blocked(env, blocked))
    env.c.call("RPUSH", "k", "a")
    equal([blocked.read(), blocked.read(), blocked.read()], [[b"k", b"a"], b"RESET", b"OK"])


@cairn_only("since 7.2 the command runs again as a whole")
@matrix(ONCE)
def test_permission_that_was_taken_away_meanwhile(env):
    server = env.start()
    env.first = admin = env.client(server=server)
    admin.call("ACL", "SETUSER", "bob", "on", "nopass", "+@all", "~*")
    bob = env.client(server=server)
    equal(bob.call("AUTH", "bob", "x"), b"OK")
    start_blocked(env, "BLPOP", "k", 0, client=bob)
    equal(admin.call("ACL", "SETUSER", "bob", "resetkeys", "~other"), b"OK")
    equal(admin.call("RPUSH", "k", "a"), 1)
    equal(bob.read().code, b"NOPERM")
    equal(admin.call("LLEN", "k"), 1)


def test_wait(env):
    c = env.c
    equal(c.call("WAIT", 0, 0), 0)
    equal(c.call("WAIT", -1, 0), 0)
    start = time.monotonic()
    equal(c.call("WAIT", 1, 60), 0)
    check(time.monotonic() - start >= 0.059)
    equal(c.call("WAIT", "x", 0), Error(b"ERR value is not an integer or out of range"))
    equal(c.call("WAIT", 1, "x"), Error(b"ERR timeout is not an integer or out of range"))
    equal(c.call("WAIT", 1, -1), Error(b"ERR timeout is negative"))
    blocked = start_blocked(env, "WAIT", 2, 0)
    c.call("CLIENT", "UNBLOCK", blocked.id)
    equal(blocked.read(), 0)
    equal(c.pipeline([("MULTI",), ("WAIT", 1, 0), ("EXEC",)])[-1], [0])


@cairn_only("WAITAOF is of 7.2")
@matrix(ONCE)
def test_waitaof(env):
    for policy in ("everysec", "always"):
        c = env.client(server=env.start(appendonly="yes", appendfsync=policy))
        equal(c.call("WAITAOF", 1, 0, 0), [1, 0], "nothing was written")
        c.call("SET", "a", 1)
        equal(c.call("WAITAOF", 0, 0, 0)[1], 0)
        equal(c.call("WAITAOF", 1, 0, 0), [1, 0])
        equal(c.call("WAITAOF", 1, 1, 20), [1, 0], "no replicas")
        equal(c.call("WAITAOF", 2, 0, 0),
              Error(b"ERR value is out of range, value must between 0 and 1"))
        equal(c.call("WAITAOF", 0, -1, 0), Error(b"ERR value is out of range, must be positive"))
        equal(c.call("WAITAOF", 1, 0, -1), Error(b"ERR timeout is negative"))
        equal(c.pipeline([("MULTI",), ("WAITAOF", 0, 1, 0), ("EXEC",)])[-1], [[1, 0]])


@cairn_only("WAITAOF is of 7.2")
@matrix(ONCE)
def test_waitaof_waits_for_the_disk(env):
    server = env.start(appendonly="yes", appendfsync="no")
    c = env.client(server=server)
    c.call("SET", "a", 1)
    equal(c.call("WAITAOF", 1, 0, 30), [0, 0], "nobody syncs")
    c.send("WAITAOF", 1, 0, 0)
    other = env.client(server=server)
    eventually(lambda: b" flags=b " in other.call("CLIENT", "LIST"))
    other.call("CONFIG", "SET", "appendfsync", "always")
    other.call("SET", "b", 1)
    equal(c.read(), [1, 0])


@cairn_only("WAITAOF is of 7.2")
@matrix(ONCE)
def test_waitaof_counts_what_a_pusher_popped_for_us(env):
    server = env.start(appendonly="yes", appendfsync="no")
    c, pusher = env.client(server=server), env.client(server=server)
    c.send("BLPOP", "k", 0)
    eventually(lambda: b" flags=b " in pusher.call("CLIENT", "LIST"))
    pusher.call("RPUSH", "k", "a")
    equal(c.read(), [b"k", b"a"])
    equal(c.call("WAITAOF", 1, 0, 30), [0, 0], "the pop is a write of ours")


@cairn_only("WAITAOF is of 7.2")
@matrix(ONCE)
def test_waitaof_without_a_log(env):
    c = env.client(server=env.start(appendonly="no"))
    equal(c.call("WAITAOF", 0, 0, 0), [0, 0])
    equal(c.call("WAITAOF", 1, 0, 0), Error(
        b"ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."))


def serve_each_command(env, server):
    """Every blocking command, served once by a pusher; the connection of the pusher."""
    env.first = pusher = env.client(server=server)
    waiting = [start_blocked(env, *command, client=env.client(server=server)) for command in (
        ("BLPOP", "a", 0), ("BRPOP", "a2", 0), ("BLMOVE", "b", "c", "LEFT", "LEFT", 0),
        ("BRPOPLPUSH", "d", "e", 0), ("BLMPOP", 0, 1, "f", "LEFT", "COUNT", 2),
        ("BZPOPMAX", "g", 0), ("BZMPOP", 0, 1, "h", "MIN", "COUNT", 2))]
    pusher.call("XGROUP", "CREATE", "s", "group", "$", "MKSTREAM")
    waiting.append(start_blocked(env, "XREADGROUP", "GROUP", "group", "me", "BLOCK", 0, "STREAMS",
                                 "s", ">", client=env.client(server=server)))
    for key in ("a", "a2", "b", "d", "f"):
        pusher.call("RPUSH", key, 1, 2, 3)
    for key in ("g", "h"):
        pusher.call("ZADD", key, 1, "x", 2, "y", 3, "z")
    pusher.call("XADD", "s", "1-1", "f", "v")
    for c in waiting:
        check(not isinstance(c.read(), Error))
    return pusher


@cairn_only("it is about our journal")
@matrix(ONCE)
@limit(60)
def test_what_was_served_is_served_after_a_crash(env):
    server = env.start(appendonly="yes", appendfsync="always")
    pusher = serve_each_command(env, server)
    before, pending = pusher.call("DEBUG", "DIGEST"), pusher.call("XPENDING", "s", "group")
    server.restart(crash=True)
    with server.client() as c:
        equal(c.call("DEBUG", "DIGEST"), before)
        equal(c.call("XPENDING", "s", "group"), pending)
        equal(c.call("LRANGE", "a", 0, -1), [b"2", b"3"])
        equal(c.call("LRANGE", "c", 0, -1), [b"1"])


@cairn_only("it is about our journal")
@matrix(ONCE)
def test_redis_replays_what_was_served(env):
    if shutil.which("lz4") is None:
        skip("lz4 is not installed")
    server = env.start(appendonly="yes", appendfsync="always")
    pusher = serve_each_command(env, server)
    segments = sorted(glob.glob(os.path.join(server.folder, "appendonlydir", "*")))
    stream = b"".join(subprocess.run(["lz4", "-dc", path], capture_output=True, check=False).stdout
                      for path in segments)
    check(b"XCLAIM" in stream and b"BLPOP" not in stream, "effects, not requests")
    redis = env.oracle_client(2)
    redis.send_raw(stream)
    redis.send("PING", "the end")
    while redis.read() != b"the end":
        pass
    equal(redis.call("DEBUG", "DIGEST"), pusher.call("DEBUG", "DIGEST"))
    equal(redis.call("XPENDING", "s", "group"), pusher.call("XPENDING", "s", "group"))
