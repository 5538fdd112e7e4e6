# SPDX-License-Identifier: BSD-3-Clause
"""A start on the data folder of a Redis server: snapshots, append only files, and what follows."""

import hashlib
import os
import shutil

from harness import ONCE, check, equal, eventually
from harness.dump_samples import fill
from harness.matrix import cairn_only
from harness.resp import encode
from harness.server import Server, oracle_binary, refusal, with_files

MATRIX = ONCE

FAR = 4102444800000  # the year 2100
LIBRARY = ("#!lua name=imported\n"
           "redis.register_function('twice', function(keys, args) return 2 * args[1] end)")


def redis(**directives):
    return Server(oracle_binary(), **directives)


def fill_all(client):
    """Every type and encoding, several databases, expiry times, functions."""
    fill(client)
    client.call("SET", "volatile", "v", "PXAT", FAR)
    client.call("RPUSH", "volatile list", "a", "b")
    client.call("PEXPIREAT", "volatile list", FAR + 1)
    client.call("SELECT", 9)
    client.call("SET", "nine", 9)
    client.call("SELECT", 0)
    client.call("FUNCTION", "LOAD", LIBRARY)


def change_all(client):
    """What an append only file holds besides plain writes."""
    client.pipeline([("SET", "key:%d" % i, "value %d " % i * (i % 7)) for i in range(2000)])
    client.pipeline([("MULTI",), ("SET", "a", 1), ("INCR", "a"), ("LPUSH", "l", "x"), ("EXEC",)])
    client.call("EVAL", "redis.call('SET', KEYS[1], ARGV[1]) redis.call('INCR', KEYS[1])", 1, "n", 5)
    client.call("SELECT", 3)
    client.call("SADD", "pops", *range(100))
    client.call("SPOP", "pops", 40)
    client.call("SET", "volatile", "v", "PXAT", FAR + 2)
    client.call("SET", "gone", "v", "PX", 1)
    # A digest counts what has expired until somebody looks.
    eventually(lambda: client.call("EXISTS", "gone") == 0)
    client.call("XADD", "stream", "5-1", "f", "v")
    client.call("XGROUP", "CREATE", "stream", "g", "0")
    client.call("XREADGROUP", "GROUP", "g", "c", "STREAMS", "stream", ">")
    client.call("SWAPDB", 3, 4)
    client.call("COPY", "stream", "copy", "DB", 5)
    client.call("SELECT", 0)
    client.call("RENAME", "key:1", "renamed")
    client.call("UNLINK", "key:2", "list_nodes")


def digest(client):
    return client.call("DEBUG", "DIGEST")


def fingerprint(folder):
    """What must not change: content and times of the files of Redis."""
    found = {}
    for where, _, names in os.walk(folder):
        for name in names:
            if name.endswith((".rdb", ".aof", ".aof.manifest")):
                path = os.path.join(where, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, folder)] = (hashlib.sha1(file.read()).hexdigest(),
                                                            os.stat(path).st_mtime_ns)
    return found


def start_on(folder, **directives):
    """A server on a copy of `folder`, which is removed with it."""
    server = Server(wait=False, **directives)
    shutil.copytree(folder, server.folder, dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("log", "*.log"))
    return server


def check_import(folder, wanted, **directives):
    """It loads, leaves the files as they are, and goes on with its own journal."""
    server = start_on(folder, appendfsync="always", **directives)
    before = fingerprint(server.folder)
    check(before, "no files of Redis")
    with server:
        server.start()
        with server.client() as c:
            equal(digest(c), wanted)
            c.call("SET", "written", 1)
            c.call("DEL", "volatile")
            wanted = digest(c)
        equal(fingerprint(server.folder), before, "the files of Redis changed")
        for crash in (True, False):
            server.restart(crash=crash)
            with server.client() as c:
                equal(digest(c), wanted, "after a restart, crash: %s" % crash)
                equal(c.call("EXISTS", "written", "volatile"), 1)
        equal(fingerprint(server.folder), before, "the files of Redis changed")
        equal(server.stop(), 0)
        return server.log_text()


@cairn_only("redis-server with a journal does not look at dump.rdb")
def test_a_snapshot(env):
    with redis(appendonly="no") as oracle:
        with oracle.client() as other:
            fill_all(other)
            other.call("SAVE")
            wanted = digest(other)
        check_import(oracle.folder, wanted)
        with start_on(oracle.folder) as server:
            server.start()
            with server.client() as c:
                equal(c.call("PEXPIRETIME", "volatile"), FAR)
                equal(c.call("PEXPIRETIME", "volatile list"), FAR + 1)
                equal(c.call("FCALL", "twice", 0, 21), 42)
            server.restart()
            with server.client() as c:
                equal(c.call("FCALL", "twice", 0, 21), 42, "the base holds functions")


@cairn_only("redis-server with a journal does not look at dump.rdb")
def test_what_is_not_loaded_is_told(env):
    """A dump.rdb beside a journal, and a journal that appendonly no leaves alone."""
    server = env.start(save="")
    check("is not loaded" not in server.log_text(), server.log_text())
    with server.client() as c:
        equal(c.call("SET", "ours", 1), b"OK")
    server.stop()
    with redis(appendonly="no") as oracle:
        with oracle.client() as other:
            equal(other.call("SET", "theirs", 1), b"OK")
            equal(other.call("SAVE"), b"OK")
        path = os.path.join(server.folder, "dump.rdb")
        shutil.copy(os.path.join(oracle.folder, "dump.rdb"), path)
    server.start()
    check(path + " is not loaded" in server.log_text(), server.log_text())
    with server.client() as c:
        equal(c.call("MGET", "ours", "theirs"), [b"1", None])
    server.stop()
    journal = os.path.join(server.folder, "appendonlydir")
    server.directives["appendonly"] = "no"
    server.start()
    check("The journal in %s is not loaded" % journal in server.log_text(), server.log_text())
    with server.client() as c:
        equal(c.call("MGET", "ours", "theirs"), [None, b"1"])
    server.stop()
    # As the first warning says.
    os.rename(journal, journal + ".aside")
    server.directives["appendonly"] = "yes"
    server.start()
    with server.client() as c:
        equal(c.call("MGET", "ours", "theirs"), [None, b"1"])


@cairn_only("encryption at rest is ours")
def test_the_imported_base_is_encrypted(env):
    keys = os.path.join(env.start().folder, "keys")
    with open(keys, "w") as out:
        out.write("one " + "ab" * 32 + "\n")
    with redis(appendonly="no") as oracle:
        with oracle.client() as other:
            other.call("SET", "secret", "plain text that must not be found")
            other.call("SAVE")
            wanted = digest(other)
        check_import(oracle.folder, wanted, encryption_key_file=keys)


@cairn_only("of Cairn's journal beside files of Redis")
def test_append_only_folders(env):
    for preamble in ("yes", "no"):
        with redis(appendonly="yes", aof_use_rdb_preamble=preamble, aof_timestamp_enabled="yes",
                   save="") as oracle:
            with oracle.client() as other:
                fill_all(other)
                other.call("BGREWRITEAOF")
                eventually(lambda: b"aof_rewrite_in_progress:0" in
                           other.call("INFO", "persistence"), 20)
                change_all(other)
                wanted = digest(other)
            oracle.stop()
            folder = os.path.join(oracle.folder, "appendonlydir")
            names = sorted(os.listdir(folder))
            check(any(name.endswith(".incr.aof") for name in names), names)
            check_import(oracle.folder, wanted)
            # The same as one file, as Redis wrote before 7.0.
            with Server(wait=False) as single:
                with open(os.path.join(single.folder, "appendonly.aof"), "wb") as out:
                    for kind in (".base.", ".incr."):
                        for name in names:
                            if kind in name:
                                with open(os.path.join(folder, name), "rb") as part:
                                    out.write(part.read())
                check_import(single.folder, wanted)


def aof(*commands):
    return b"".join(encode(*command) for command in commands)


def not_begun(server):
    """What is refused is looked at again by the next start: there is no journal yet."""
    return not os.path.exists(os.path.join(server.folder, "appendonlydir", "manifest"))


WHOLE = aof(["SELECT", 0], ["SET", "a", 1], ["MULTI"], ["INCR", "a"], ["EXEC"])


@cairn_only("of Cairn's journal beside files of Redis")
def test_an_append_only_file_that_is_cut_short(env):
    tails = {"inside a command": aof(["SET", "b", "long" * 10])[:-9],
             "inside MULTI": aof(["MULTI"], ["SET", "b", 1], ["INCR", "b"]),
             "inside the last word": aof(["MULTI"], ["SET", "b", 1], ["EXEC"])[:-1],
             "inside a note": b"#TS:16"}
    for name, tail in tails.items():
        for where, more in (("appendonly.aof", {}), ("appendonlydir/x.2", {
                "appendonlydir/appendonly.aof.manifest": b"file x.2 seq 2 type i\n"})):
            with with_files({where: WHOLE + tail, **more}, aof_load_truncated="no") as server:
                said = refusal(server)
                check("offset %d" % len(WHOLE) in said and "no whole command" in said, said)
                check(not_begun(server), "a journal was begun")
                server.directives["aof-load-truncated"] = "yes"
                server.start()
                with server.client() as c:
                    equal(c.call("GET", "a"), b"2", name)
                    equal(c.call("EXISTS", "b"), 0, name)
                with open(os.path.join(server.folder, where), "rb") as file:
                    equal(file.read(), WHOLE + tail, "the file was changed")


@cairn_only("of Cairn's journal beside files of Redis")
def test_append_only_files_that_are_refused(env):
    manifest = "appendonlydir/appendonly.aof.manifest"
    part = "appendonlydir/p.aof"
    cases = {
        "unknown": ({"appendonly.aof": WHOLE + aof(["NOSUCH", "x"])},
                    "at offset %d: unknown command 'NOSUCH'" % len(WHOLE)),
        "garbage": ({"appendonly.aof": WHOLE + b"garbage\r\n"}, "offset %d" % len(WHOLE)),
        "bad length": ({"appendonly.aof": WHOLE + b"*1\r\n$x\r\n"}, "offset %d" % len(WHOLE)),
        "database": ({"appendonly.aof": WHOLE + aof(["SELECT", 99])}, "SELECT 99"),
        "cut in the middle": ({manifest: b"file p.aof seq 1 type b\nfile q.aof seq 1 type i\n",
                               part: WHOLE[:-1], "appendonlydir/q.aof": WHOLE}, "p.aof: the last"),
        "missing": ({manifest: b"file p.aof seq 1 type b\n"}, "p.aof is missing"),
        "two bases": ({manifest: b"file p.aof seq 1 type b\nfile p.aof seq 2 type b\n"}, "two base"),
        "order": ({manifest: b"file p.aof seq 2 type i\nfile p.aof seq 1 type i\n"}, "out of order"),
        "malformed": ({manifest: b"file p.aof seq one type b\n"}, "malformed"),
        "elsewhere": ({manifest: b"file ../p.aof seq 1 type b\n"}, "malformed"),
        "kind": ({manifest: b"file p.aof seq 1 type z\n"}, "unknown type"),
        "damaged preamble": ({"appendonly.aof": b"REDIS0010\x00\x01k\x01"}, "offset"),
    }
    for name, (files, wanted) in cases.items():
        with with_files(files) as server:
            said = refusal(server)
            check(wanted in said, "%s: %s" % (name, said))
            check(not_begun(server), "%s: a journal was begun" % name)


@cairn_only("of Cairn's journal beside files of Redis")
def test_append_only_files_of_other_times_and_hands(env):
    script = "return redis.call('SET', KEYS[1], ARGV[1])"
    commands = aof(
        ["SET", "before", "no SELECT"], ["SELECT", 1], ["EVAL", script, 1, "by script", "v"],
        ["SCRIPT", "LOAD", script],
        ["EVALSHA", hashlib.sha1(script.encode()).hexdigest(), 1, "by sha", "v"],
        ["LPUSH", "before", "x"], ["SELECT", 0], ["LPUSH", "before", "x"], ["set", "lower", "case"],
        ["MULTI"], ["LPUSH", "before", "x"], ["SET", "inside", 1], ["EXEC"], ["PUBLISH", "c", "m"],
        ["PING"], ["SHUTDOWN", "NOW"], ["BLPOP", "nothing", 0], ["EXEC"], ["SETEX", "past", 1, "v"],
        ["PEXPIREAT", "past", 1], ["SET", "past 2", "v", "PXAT", 1])
    server = with_files({
        "appendonlydir/appendonly.aof.manifest":
            b'# a comment\r\nfile "the base.aof" seq 7 type b\r\n\nfile old seq 6 type h\n'
            b'file one.aof seq 9 type i\nfile two.aof seq 11 type i more words\n',
        "appendonlydir/the base.aof": b"#TS:1700000000\r\n" + commands,
        "appendonlydir/one.aof": b"",
        "appendonlydir/two.aof": aof(["APPEND", "before", "!"]) + b"#TS:1700000001\r\n"})
    with server:
        server.start()
        with server.client() as c:
            equal(c.call("GET", "before"), b"no SELECT!")
            equal(c.call("MGET", "inside", "lower"), [b"1", b"case"])
            equal(c.call("EXISTS", "past", "past 2"), 0)
            c.call("SELECT", 1)
            equal(c.call("MGET", "by script", "by sha"), [b"v", b"v"])
            equal(c.call("TYPE", "before"), b"list")
        # Two LPUSH of a string, SHUTDOWN, BLPOP, and an EXEC too many.
        check("5 commands of" in server.log_text(), server.log_text())


@cairn_only("redis-server loads no snapshot beside an append only file, without a word")
def test_an_append_only_file_goes_before_a_snapshot(env):
    with redis(appendonly="no") as oracle:
        with oracle.client() as other:
            other.call("SET", "from", "snapshot")
            other.call("SAVE")
        with start_on(oracle.folder) as server:
            with open(os.path.join(server.folder, "appendonly.aof"), "wb") as out:
                out.write(aof(["SET", "from", "log"]))
            server.start()
            with server.client() as c:
                equal(c.call("GET", "from"), b"log")
            check("dump.rdb is not loaded" in server.log_text(), server.log_text())


@cairn_only("of Cairn's journal beside files of Redis")
def test_a_damaged_snapshot_begins_no_journal(env):
    with redis(appendonly="no") as oracle:
        with oracle.client() as other:
            fill_all(other)
            other.call("SAVE")
            wanted = digest(other)
        with open(os.path.join(oracle.folder, "dump.rdb"), "rb") as file:
            good = file.read()
        for bad in (good[:-3], good[:len(good) // 2], good[:-8] + b"\x01" * 8, good[1:], b""):
            with with_files({"dump.rdb": bad}) as server:
                said = refusal(server)
                check("dump.rdb: offset" in said, said)
                check(not_begun(server), "a journal was begun")
                with open(os.path.join(server.folder, "dump.rdb"), "wb") as out:
                    out.write(good)
                server.start()
                with server.client() as c:
                    equal(digest(c), wanted)
