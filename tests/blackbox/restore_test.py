# SPDX-License-Identifier: BSD-3-Clause
"""Going back in time, encryption at rest, and export: what operators do with a journal folder."""

import datetime
import os
import shutil
import time

from harness import (ONCE, Error, Server, cairn_only, check, equal, eventually, oracle_binary,
                     pass_time)
from harness import replication
from harness.dump_samples import fill
from harness.journal_folder import check_tool, folder, lsn, refused, restored

MATRIX = ONCE


@cairn_only("restore is ours")
def test_restore_to_an_lsn_and_on(env):
    server = env.start()
    c = env.client(2, server)
    c.call("SET", "a", 1)
    c.call("MULTI")
    c.call("INCR", "n")
    c.call("SET", "b", 2)
    c.call("EXEC")
    then = lsn(c)
    wanted = c.call("DEBUG", "DIGEST")
    c.call("FLUSHALL")
    c.call("SET", "oops", 1)
    last = lsn(c)
    # In the middle of the group behind it: rounded down to the record before.
    c.call("SET", "x", 1)
    with restored(server, then + 5) as c:
        equal(c.call("DEBUG", "DIGEST"), wanted)
        c.call("SET", "after", 1)
        wanted = c.call("DEBUG", "DIGEST")
    kept = os.path.join(folder(server), "timeline-1")
    check(os.path.isdir(kept), "the old timeline is kept")
    server.restart()
    with server.client() as c:
        equal(c.call("DEBUG", "DIGEST"), wanted, "the new timeline goes on")
    # The kept folder is a journal of its own, with all that was regretted.
    server.stop()
    text = check_tool("cat", kept, "--to", str(last)).stdout
    check(b"oops" in text and b"FLUSHALL" in text, repr(text))


@cairn_only("restore is ours")
def test_restore_to_a_time(env):
    server = env.start()
    c = env.client(2, server)
    equal(c.call("SET", "a", 1), b"OK")
    equal(c.call("WAITAOF", 1, 0, 0)[0], 1)  # its block is closed
    time.sleep(0.3)  # blocks say when, to 100 ms
    then = datetime.datetime.now(datetime.timezone.utc)
    time.sleep(0.3)
    c.call("SET", "a", 2)
    with restored(server, then.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z") as c:
        equal(c.call("GET", "a"), b"1")


@cairn_only("restore is ours")
def test_keys_alive_then_are_alive_now(env):
    server = env.start()
    c = env.client(2, server)
    # Or the cycle may delete it before anybody asks where the log is.
    equal(c.call("DEBUG", "SET-ACTIVE-EXPIRE", 0), b"OK")
    equal(c.call("SET", "short", 1, "PX", 1), b"OK")
    equal(c.call("HSET", "fields", "f", 1), 1)
    equal(c.call("HPEXPIRE", "fields", 1, "FIELDS", 1, "f"), [1])
    then = lsn(c)
    equal(c.call("SET", "later", 1), b"OK")
    pass_time(c, 10)
    with restored(server, then) as c:
        check("stay until CONFIG SET restore-keep-expired no" in server.log_text(),
              server.log_text())
        check(b"restore_keeps_expired:1" in c.call("INFO", "persistence"), "INFO says so")
        check(b"restored_to_lsn:%d\r" % then in c.call("INFO", "persistence"), "and to where")
        equal(c.call("GET", "short"), b"1", "what was alive then stays")
        equal(c.call("PTTL", "short"), 0)
        equal(c.call("HGETALL", "fields"), [b"f", b"1"])
        equal(c.call("HPTTL", "fields", "FIELDS", 1, "f"), [0])
        equal(c.call("EXISTS", "later"), 0)
        # What is told to end now does.
        equal(c.call("HSET", "fields", "g", 1, "h", 1), 2)
        equal(c.call("HEXPIRE", "fields", 0, "FIELDS", 1, "g"), [2])
        equal(c.call("HPEXPIREAT", "fields", 1, "FIELDS", 1, "h"), [2])
        equal(c.call("HSETEX", "fields", "PXAT", 1, "FIELDS", 1, "i", 1), 1)
        equal(c.call("HKEYS", "fields"), [b"f"])
        equal(c.call("SET", "ended", 1, "PXAT", 1), b"OK")
        equal(c.call("GET", "ended"), None)
        equal(c.call("SET", "ended", 1), b"OK")
        equal(c.call("GETEX", "ended", "EXAT", 1), b"1")
        equal(c.call("EXISTS", "ended"), 0)
        # What comes now expires as ever, whoever finds it.
        for key in ("now", "seen"):
            equal(c.call("SET", key, 1, "PX", 1), b"OK")
        eventually(lambda: c.call("EXISTS", "seen") == 0, 60)
        eventually(lambda: c.call("DBSIZE") == 2, 60)
        equal(c.call("EXPIRE", "fields", -1), 1)
        equal(c.call("EXISTS", "fields"), 0)
        equal(c.call("HSET", "fields", "f", 1), 1)
        equal(c.call("HPEXPIRE", "fields", 1, "FIELDS", 1, "f"), [1])
        pass_time(c, 10)
        equal(c.call("HGET", "fields", "f"), b"1")
        equal(c.call("CONFIG", "SET", "restore-keep-expired", "no"), b"OK")
        equal(c.call("GET", "short"), None, "until the operator says so")
        eventually(lambda: c.call("DBSIZE") == 0, 60)
        check(b"restore_keeps_expired:0" in c.call("INFO", "persistence"), "INFO says so")


@cairn_only("restore is ours")
def test_what_a_restore_kept_ends_with_the_next_start(env):
    server = env.start()
    c = env.client(2, server)
    equal(c.call("DEBUG", "SET-ACTIVE-EXPIRE", 0), b"OK")
    equal(c.call("SET", "short", 1, "PX", 1), b"OK")
    equal(c.call("HSET", "h", "f", 1, "g", 1), 2)
    equal(c.call("HPEXPIRE", "h", 1, "FIELDS", 1, "f"), [1])
    then = lsn(c)
    equal(c.call("SET", "later", 1), b"OK")
    pass_time(c, 10)
    with restored(server, then) as c:
        equal(c.call("GET", "short"), b"1")
        equal(c.call("HLEN", "h"), 2)
        last = lsn(c)
    server.restart()
    with server.client() as c:
        equal(c.call("GET", "short"), None)
        equal(c.call("HGET", "h", "f"), None)
    # The same point again, but nothing is to be kept.
    server.directives["restore-keep-expired"] = "no"
    with restored(server, last) as c:
        check("restore-keep-expired" not in server.log_text().split("Restoring to LSN")[-1],
              server.log_text())
        equal(c.call("GET", "short"), None)
        equal(c.call("HGETALL", "h"), [b"g", b"1"])


@cairn_only("restore is ours")
def test_targets_that_make_no_sense_are_refused(env):
    server = env.start()
    c = env.client(2, server)
    c.call("SET", "a", 1)
    last = lsn(c)
    server.stop()
    for target, text in (("yesterday", "takes an LSN or a time"), (str(last + 1), "goes from LSN 0"),
                         ("2026-01-31", "takes an LSN or a time"),
                         ("2020-01-31T12:00:00Z", "begins later"),
                         ("", "takes an LSN or a time")):
        output = refused(server, "--restore-to", target)
        check(text in output, output)
    output = refused(server, "--restore-to", "1", "--appendonly", "no")
    check("--restore-to needs appendonly yes" in output, output)
    points = check_tool("points", folder(server))
    check("LSN 0 to %d" % last in points.stdout.decode(), repr(points.stdout))
    server.start()
    with server.client() as c:
        equal(c.call("GET", "a"), b"1", "nothing was changed")


@cairn_only("restore is ours")
def test_a_target_at_or_past_the_end_is_a_start_as_ever(env):
    server = env.start()
    c = env.client(2, server)
    equal(c.call("SET", "a", 1), b"OK")
    last = lsn(c)
    for target in (last, "2099-01-01T00:00:00"):
        with restored(server, target) as c:
            equal(c.call("GET", "a"), b"1")
            equal(c.call("SET", "short", 1, "PX", 1), b"OK")
            eventually(lambda: c.call("EXISTS", "short") == 0, 60)
            last = lsn(c)
        check("has nothing behind that" in server.log_text(), server.log_text())
        check("on a new timeline" not in server.log_text(), server.log_text())
        check(not os.path.exists(os.path.join(folder(server), "timeline-1")), target)


@cairn_only("restore is ours")
def test_back_to_before_the_base(env):
    server = env.start(journal_retention_time=3600, save="")
    c = env.client(2, server)
    points = []
    for i in range(3):
        c.call("SET", "i", i)
        c.call("RPUSH", "l", i)
        points.append((lsn(c), c.call("DEBUG", "DIGEST")))
        c.call("SET", "i", "later")
        equal(c.call("SAVE"), b"OK")
    newest = c.call("DEBUG", "DIGEST")
    server.stop()
    listed = check_tool("points", folder(server)).stdout.decode()
    equal(listed.count("begins at LSN"), 4, listed)
    check("(empty)" in listed, listed)
    for point, digest in reversed(points):
        with restored(server, point) as c:
            equal(c.call("DEBUG", "DIGEST"), digest)
    # Each restore kept what was before: the first one everything.
    kept = os.path.join(folder(server), "timeline-1")
    check(os.path.isdir(kept), os.listdir(folder(server)))
    equal(check_tool("verify", kept).returncode, 0)
    server.stop()
    server.directives["appenddirname"] = "timeline-1"
    os.rename(kept, os.path.join(server.folder, "timeline-1"))
    server.start()
    with server.client() as c:
        equal(c.call("DEBUG", "DIGEST"), newest)
        c.call("CONFIG", "SET", "journal-retention-time", "0")
        eventually(lambda: "journal_replaced_bytes:0\r" in c.call("INFO").decode(), 20)


@cairn_only("encryption is ours")
def test_encrypted_journal(env):
    server = env.start(appendfsync="always")
    keys = os.path.join(server.folder, "keys")

    def write_keys(*lines):
        with open(keys, "w", encoding="ascii") as out:
            out.write("".join(line + "\n" for line in lines))

    one, two = "k1 " + "a1" * 32, "k2 " + "b2" * 32
    write_keys(one)
    server.stop()
    server.directives["encryption-key-file"] = keys
    server.start()
    with server.client() as c:
        c.call("SET", "secret", "SECRETSECRET" * 200)
        wanted = c.call("DEBUG", "DIGEST")
    for name in os.listdir(folder(server)):
        with open(os.path.join(folder(server), name), "rb") as journal:
            check(b"SECRET" not in journal.read(), name)
    server.restart(crash=True)
    write_keys(two, one)
    server.restart(crash=True)
    with server.client() as c:
        equal(c.call("DEBUG", "DIGEST"), wanted, "rotated")
        c.call("SET", "b", 1)
        wanted = c.call("DEBUG", "DIGEST")
    server.stop()
    plain = check_tool("cat", folder(server), "--key-file", keys)
    check(b"SECRETSECRET" in plain.stdout, repr(plain))
    equal(check_tool("verify", folder(server), "--key-file", keys).returncode, 0)
    check(b"encryption-key-file is not set" in check_tool("cat", folder(server)).stderr, "no key")
    repair = check_tool("repair", folder(server), "--yes")
    check(b"encryption-key-file is not set" in repair.stderr, "a missing key is no damage")
    for lines, text in (((), "there is no key"), (("k1 " + "c3" * 32, two), "is not the key"),
                        ((two,), "does not list")):
        write_keys(*lines)
        output = refused(server, "--encryption-key-file", keys)
        check(text in output, output)
    check("encryption-key-file is not set" in refused(server), "no key file")
    write_keys(two, one)
    server.start()
    with server.client() as c:
        equal(c.call("DEBUG", "DIGEST"), wanted, "after the refusals")


@cairn_only("encryption is ours")
def test_encrypted_snapshots(env):
    """The base of an encrypted log is encrypted, and so is dump.rdb where there is no log."""
    server = env.start(appendfsync="always")
    keys = os.path.join(server.folder, "keys")
    with open(keys, "w", encoding="ascii") as out:
        out.write("k1 " + "a1" * 32 + "\n")
    server.stop()
    server.directives["encryption-key-file"] = keys
    server.start()
    with server.client() as c:
        c.call("SET", "secret", "SECRETSECRET" * 20)
        equal(c.call("SAVE"), b"OK")
        c.call("SET", "after", 1)
        wanted = c.call("DEBUG", "DIGEST")
    server.kill()
    base = [os.path.join(folder(server), name) for name in os.listdir(folder(server))
            if name.endswith(".rdb.lz4")][0]
    with open(base, "rb") as snapshot:
        check(b"SECRET" not in snapshot.read(), "nothing readable")
    plain = check_tool("cat", base, "--key-file", keys)
    check(plain.stdout.startswith(b"REDIS00") and b"SECRETSECRET" in plain.stdout, repr(plain))
    check(b"encryption-key-file is not set" in check_tool("cat", base).stderr, "no key")
    verified = check_tool("verify", folder(server), "--key-file", keys)
    check(b"1 keys" in verified.stdout, repr(verified))
    check("encryption-key-file is not set" in refused(server), "no key file")
    with open(keys, "w", encoding="ascii") as out:
        out.write("k2 " + "b2" * 32 + "\nk1 " + "a1" * 32 + "\n")
    server.start()
    with server.client() as c:
        equal(c.call("DEBUG", "DIGEST"), wanted)
        equal(c.call("BGREWRITEAOF"), b"Background append only file rewriting started")
        eventually(lambda: "aof_rewrite_in_progress:0" in c.call("INFO").decode(), 20)
    # Everything is under the new key now.
    with open(keys, "w", encoding="ascii") as out:
        out.write("k2 " + "b2" * 32 + "\n")
    server.stop()
    server.directives["appendonly"] = "yes"
    server.start()
    with server.client() as c:
        equal(c.call("DEBUG", "DIGEST"), wanted)
    alone = env.start(appendonly="no", encryption_key_file=keys)
    with alone.client() as c:
        c.call("SET", "secret", "SECRETSECRET" * 20)
        equal(c.call("SAVE"), b"OK")
        wanted = c.call("DEBUG", "DIGEST")
    with open(os.path.join(alone.folder, "dump.rdb"), "rb") as snapshot:
        check(b"SECRET" not in snapshot.read(), "nothing readable")
    alone.restart(crash=True)
    with alone.client() as c:
        equal(c.call("DEBUG", "DIGEST"), wanted)


@cairn_only("the tool is ours")
def test_export_loads_in_redis(env):
    server = env.start()
    c = env.client(2, server)
    for i in range(200):
        c.call("SELECT", i % 3)
        c.call("SET", "k%d" % i, "v" * i)
        c.call("ZADD", "z", i, "m%d" % i)
    wanted = c.call("DEBUG", "DIGEST")
    server.stop()
    oracle = Server(binary=oracle_binary(), wait=False, appendonly="yes")
    aof = os.path.join(oracle.folder, "appendonly.aof")
    done = check_tool("export", folder(server), "--aof", aof)
    equal(done.returncode, 0, repr(done.stderr))
    again = check_tool("export", folder(server), "--aof", aof)
    check(again.returncode != 0 and b"exists" in again.stderr, "never overwrites: " + repr(again))
    oracle.start()
    with oracle.client() as o:
        equal(o.call("DEBUG", "DIGEST"), wanted)
    oracle.stop()
    oracle.discard()


def redis_digest(file, name, appendonly):
    """DEBUG DIGEST of a redis-server that starts with a file of this name."""
    with Server(binary=oracle_binary(), wait=False, appendonly=appendonly) as server:
        shutil.copy(file, os.path.join(server.folder, name))
        server.start()
        with server.client() as c:
            return c.call("DEBUG", "DIGEST")


@cairn_only("the tool is ours")
def test_export_of_a_replica(env):
    """Its log begins with what a leader sent, and goes on in the database that its leader is in."""
    for make in (replication.oracle, replication.cairn):
        leader, server = make(env), env.start()
        up, c = leader.client(), server.client()
        up.call("SET", "before", 1)
        replication.follow(server, leader)
        replication.in_step(leader, server)
        up.call("SELECT", 5)
        for rewrite in (False, True):
            up.call("SET", "behind", str(rewrite))
            replication.in_step(leader, server)
            if rewrite:
                c.call("BGREWRITEAOF")
                eventually(lambda: b"aof_rewrite_in_progress:0" in c.call("INFO", "persistence"))
                up.call("RPUSH", "in the same database", "x")
                replication.in_step(leader, server)
            wanted = c.call("DEBUG", "DIGEST")
            server.stop()
            for option, name, appendonly in (("--rdb", "dump.rdb", "no"),
                                             ("--aof", "appendonly.aof", "yes")):
                out = os.path.join(server.folder, "out-%s%s" % (rewrite, option))
                done = check_tool("export", folder(server), option, out)
                equal(done.returncode, 0, repr(done.stderr))
                equal(redis_digest(out, name, appendonly), wanted, option)
            server.start()
            c = server.client()
            replication.follow(server, leader)
            replication.in_step(leader, server)


def rdb_digest(path):
    """DEBUG DIGEST of a redis-server that loaded the file, and what it says of a function."""
    with Server(binary=oracle_binary(), wait=False, appendonly="no") as oracle:
        shutil.copy(path, os.path.join(oracle.folder, "dump.rdb"))
        oracle.start()
        with oracle.client() as o:
            return o.call("DEBUG", "DIGEST"), o.call("FCALL", "twice", 0, 4)


@cairn_only("export is ours")
def test_export_of_a_snapshot(env):
    keys = os.path.join(env.start().folder, "keys")
    with open(keys, "w") as out:
        out.write("one " + "ab" * 32 + "\n")
    for encrypted in (False, True):
        server = env.start(**({"encryption_key_file": keys} if encrypted else {}))
        c = env.client(2, server)
        fill(c)
        c.call("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('twice', "
                                   "function(keys, args) return 2 * args[1] end)")
        c.call("SELECT", 12)
        c.call("SET", "volatile", "v", "PXAT", 4102444800000)
        early, early_digest = lsn(c), c.call("DEBUG", "DIGEST")
        c.call("SET", "between", 1)
        reply = c.call("BGREWRITEAOF" if encrypted else "PING")
        check(not isinstance(reply, Error), repr(reply))
        eventually(lambda: b"aof_rewrite_in_progress:0" in c.call("INFO", "persistence"), 20)
        for i in range(200):
            c.call("SET", "k%d" % i, "v" * i)
        c.call("DEL", "k7", "hash_table")
        c.call("SWAPDB", 12, 3)
        wanted = c.call("DEBUG", "DIGEST")
        server.stop()
        out = os.path.join(server.folder, "out.rdb")
        options = ["--key-file", keys] if encrypted else []
        done = check_tool("export", folder(server), "--rdb", out, *options)
        equal(done.returncode, 0, repr(done.stderr))
        equal(rdb_digest(out), (wanted, 8))
        again = check_tool("export", folder(server), "--rdb", out, *options)
        check(again.returncode != 0 and b"exists" in again.stderr, repr(again))
        os.remove(out)
        done = check_tool("export", folder(server), "--rdb", out, "--to", str(early), *options)
        if encrypted:  # the base is younger than that
            check(done.returncode != 0 and b"the log here goes from" in done.stderr, repr(done))
        else:
            equal(done.returncode, 0, repr(done.stderr))
            equal(rdb_digest(out), (early_digest, 8))
        done = check_tool("export", folder(server), "--rdb", out + "2", "--to", "noon", *options)
        check(done.returncode != 0 and b"--to takes an LSN or a time" in done.stderr, repr(done))
        with Server(binary=oracle_binary(), wait=False, appendonly="yes") as aof:
            done = check_tool("export", folder(server), "--aof",
                              os.path.join(aof.folder, "appendonly.aof"), *options)
            equal(done.returncode, 0, repr(done.stderr))
            aof.start()
            with aof.client() as o:
                equal(o.call("DEBUG", "DIGEST"), wanted)
