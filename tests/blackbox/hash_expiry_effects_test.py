# SPDX-License-Identifier: BSD-3-Clause
"""What the expiry of hash fields leaves: events, effects in the journal, data after a crash."""

import glob
import os
import subprocess
import time

from harness.checks import as_dict, check, equal, eventually
from harness.matrix import ONCE, PROTOCOLS, THREADS, cairn_only, matrix

MATRIX = PROTOCOLS
NEWER = cairn_only("redis-server 7.0 has no field expiry")


def now_ms():
    return int(time.time() * 1000)


def take(client):
    """The next message or reply, whatever its kind."""
    return client.pushes.pop(0) if client.pushes else client.read_any()[0]


@NEWER
@matrix(ONCE)
def test_events(env):
    call, ear, mouth = env.c.call, env.client(), env.client()
    heard_all = "__keyspace@0__:end"

    def after(*words):
        """The events of one command as words."""
        call(*words)
        mouth.call("PUBLISH", heard_all, "")
        heard = []
        while True:
            _, _, channel, event = take(ear)
            if channel == heard_all.encode():
                return " ".join(heard)
            heard.append((event + b":" + channel.split(b":", 1)[1]).decode())

    equal(call("CONFIG", "SET", "notify-keyspace-events", "KA"), b"OK")
    equal(call("DEBUG", "SET-ACTIVE-EXPIRE", 0), b"OK")
    try:
        ear.send("PSUBSCRIBE", "__keyspace@0__:*")
        take(ear)
        call("HSET", "h", "a", 1, "b", 2, "c", 3, "d", 4)
        after("PING")
        for words, events in (
                ("HEXPIRE h 1000 FIELDS 2 a none", "hexpire:h"),
                ("HEXPIRE h 1000 FIELDS 1 none", ""),
                ("HEXPIRE h 2000 NX FIELDS 1 a", ""),
                ("HPERSIST h FIELDS 2 a b", "hpersist:h"),
                ("HPERSIST h FIELDS 1 a", ""),
                ("HPEXPIREAT h 1 FIELDS 1 a", "hdel:h"),
                ("HGETEX h FIELDS 1 b", ""),
                ("HGETEX h PX 5000000 FIELDS 1 b", "hexpire:h"),
                ("HGETEX h PERSIST FIELDS 1 b", "hpersist:h"),
                ("HGETEX h PXAT 1 FIELDS 1 b", "hdel:h"),
                ("HGETDEL h FIELDS 2 c none", "hdel:h"),
                ("HSETEX h FIELDS 1 e 5", "hset:h"),
                ("HSETEX h PX 5000000 FIELDS 1 e 5", "hset:h hexpire:h"),
                ("HSETEX h PXAT 1 FIELDS 1 e 5", "hset:h hdel:h"),
                ("HPEXPIRE h 0 FIELDS 1 d", "hdel:h del:h"),
                ("HSETEX g PXAT 1 FIELDS 1 e 5", "hset:g hdel:g del:g")):
            check(after(*words.split()) == events, words)
        # Met after their time: one event for all fields of a command, before its own.
        call("HSET", "h", "a", 1, "b", 2, "c", 3)
        after("HPEXPIRE", "h", 1, "FIELDS", 3, "a", "b", "c")
        eventually(lambda: not call("HKEYS", "h"))
        equal(after("HMGET", "h", "a", "b").encode(), "hexpired:h")
        equal(after("HSET", "h", "c", 4).encode(), "hexpired:h del:h hset:h")
        after("HPEXPIRE", "h", 1, "FIELDS", 1, "c")
        call("DEBUG", "SET-ACTIVE-EXPIRE", 1)
        equal([take(ear)[3], take(ear)[3]], [b"hexpired", b"del"])
    finally:
        call("DEBUG", "SET-ACTIVE-EXPIRE", 1)
        call("CONFIG", "SET", "notify-keyspace-events", "")


def journal_text(server):
    """What a stock tool sees in the journal's segments."""
    text = b""
    for segment in sorted(glob.glob(os.path.join(server.folder, "appendonlydir", "*.aof.lz4"))):
        text += subprocess.run(["lz4", "-dc", segment], check=False,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return text


def commands(text):
    """The commands of an AOF as lists of words."""
    found, at = [], 0
    while at < len(text):
        end = text.index(b"\r\n", at)
        count, at = int(text[at + 1:end]), end + 2
        words = []
        for _ in range(count):
            end = text.index(b"\r\n", at)
            size, at = int(text[at + 1:end]), end + 2
            words.append(text[at:at + size])
            at += size + 2
        found.append(words)
    return found


@NEWER
@matrix(ONCE)
def test_the_journal_says_absolute_things(env):
    server = env.start(appendonly="yes", appendfsync="always")
    call = server.client().call
    at = str(now_ms() + 500000).encode()
    call("HSET", "h", "a", 1, "b", 2)
    call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    for words in (("HPEXPIREAT", "h", at, "NX", "FIELDS", 2, "a", "none"),
                  ("HPEXPIREAT", "h", at, "NX", "FIELDS", 2, "a", "b"),
                  ("HINCRBYFLOAT", "h", "a", "1.5"),
                  ("HSETEX", "h", "KEEPTTL", "FIELDS", 2, "a", 3, "c", 4),
                  ("HSETEX", "h", "FNX", "PXAT", at, "FIELDS", 1, "d", 5),
                  ("HGETEX", "h", "PERSIST", "FIELDS", 2, "b", "none"),
                  ("HGETEX", "h", "PXAT", at, "FIELDS", 2, "b", "none"),
                  ("HPEXPIREAT", "h", 1, "FIELDS", 2, "b", "none"),
                  ("HGETDEL", "h", "FIELDS", 2, "c", "none"),
                  ("HPERSIST", "h", "FIELDS", 2, "d", "none")):
        call(*words)
    call("HPEXPIRE", "h", 1, "FIELDS", 1, "d")
    # A field met after its time is deleted before the command's own effect.
    eventually(lambda: call("HTTL", "h", "FIELDS", 1, "d") == [-2])
    call("HINCRBY", "h", "d", 7)
    wanted = [
        [b"HPEXPIREAT", b"h", at, b"FIELDS", b"1", b"a"],
        [b"HPEXPIREAT", b"h", at, b"FIELDS", b"1", b"b"],
        [b"HSET", b"h", b"a", b"2.5"], [b"HPEXPIREAT", b"h", at, b"FIELDS", b"1", b"a"],
        [b"HSET", b"h", b"a", b"3", b"c", b"4"],
        [b"HPEXPIREAT", b"h", at, b"FIELDS", b"1", b"a"],
        [b"HSET", b"h", b"d", b"5"], [b"HPEXPIREAT", b"h", at, b"FIELDS", b"1", b"d"],
        [b"HPERSIST", b"h", b"FIELDS", b"1", b"b"],
        [b"HPEXPIREAT", b"h", at, b"FIELDS", b"1", b"b"],
        [b"HDEL", b"h", b"b"],
        [b"HDEL", b"h", b"c"],
        [b"HPERSIST", b"h", b"FIELDS", b"2", b"d", b"none"],
        None,
        [b"HDEL", b"h", b"d"], [b"HINCRBY", b"h", b"d", b"7"]]
    server.stop()
    found = [c for c in commands(journal_text(server))
             if c[0] not in (b"SELECT", b"MULTI", b"EXEC")][1:]
    equal(len(found), len(wanted), found)
    for got, want in zip(found, wanted):
        if want is None:
            equal(got[:2] + got[3:], [b"HPEXPIREAT", b"h", b"FIELDS", b"1", b"d"])
        else:
            equal(got, want)


@NEWER
@matrix(THREADS)
def test_expiries_survive_a_crash(env):
    server = env.start(appendonly="yes", appendfsync="always")
    c = server.client()
    at = now_ms() + 10_000_000
    for round_ in range(3):
        for size in (2, 300):
            key = "k%d:%d" % (round_, size)
            for i in range(size):
                c.call("HSETEX", key, "PXAT", at + i, "FIELDS", 2, "f%d" % i, i, "g%d" % i, i)
            c.call("HPERSIST", key, "FIELDS", 1, "g0")
            c.call("HPEXPIRE", key, 1, "FIELDS", 1, "f1")
            c.call("HINCRBYFLOAT", key, "f0", "0.5")
            c.call("RESTORE", key + ":restored", 0, c.call("DUMP", key))
            c.call("COPY", key, key + ":copy")
            # The cycle's deletions are in the journal too.
            for name in (key, key + ":copy", key + ":restored"):
                eventually(lambda name=name: c.call("HLEN", name) == 2 * size - 1)
        before = c.call("DEBUG", "DIGEST")
        server.restart(crash=round_ != 1)
        c = server.client()
        equal(c.call("DEBUG", "DIGEST"), before)
        for size in (2, 300):
            for suffix in ("", ":restored", ":copy"):
                key = "k%d:%d%s" % (round_, size, suffix)
                equal(c.call("HPEXPIRETIME", key, "FIELDS", 4, "f0", "g0", "g1", "f1"),
                      [at, -1, at + 1, -2], key)
                equal(c.call("HGET", key, "f0"), b"0.5")


@NEWER
@matrix(ONCE)
def test_fields_that_expire_while_the_server_is_down(env):
    server = env.start(appendonly="yes", appendfsync="always")
    c = server.client()
    c.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    c.call("HSETEX", "h", "PX", 1, "FIELDS", 1, "f", 1)
    c.call("HSET", "h", "stays", 1)
    c.call("HSETEX", "goes", "PX", 1, "FIELDS", 1, "f", 1)
    server.restart(crash=True)
    c = server.client()
    # They come back with the replay, and the cycle finds them.
    eventually(lambda: c.call("HLEN", "h") == 1)
    eventually(lambda: c.call("EXISTS", "goes") == 0)
    equal(as_dict(c.call("HGETALL", "h")), {b"stays": b"1"})
