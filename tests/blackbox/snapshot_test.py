# SPDX-License-Identifier: BSD-3-Clause
"""Snapshots: files that cross to redis-server and back, the commands, failures, restarts."""

import os
import shutil
import subprocess

from harness import ONCE, cairn_only, check, equal, eventually, info, matrix
from harness.dump_samples import fill
from harness.resp import Error
from harness.server import Server, StartFailure, oracle_binary

MATRIX = ONCE

FAR = 4102444800000  # the year 2100


def fill_all(client):
    """Every type and encoding, several databases, expiry times, long strings."""
    fill(client)
    client.call("SET", "long", "x" * 100_000)
    client.call("SETRANGE", "holes", 70_000, "end")
    client.call("SET", "volatile", "v", "PXAT", FAR)
    client.call("RPUSH", "volatile list", "a", "b")
    client.call("PEXPIREAT", "volatile list", FAR + 1)
    client.pipeline([("SET", "key:%d" % i, "value %d " % i * (i % 7)) for i in range(3000)])
    client.call("SELECT", 9)
    client.call("SET", "nine", 9)
    client.call("SELECT", 0)


def digest(client):
    return client.call("DEBUG", "DIGEST")


def saved(client):
    eventually(lambda: info(client, "rdb_bgsave_in_progress") == "0" and
               info(client, "aof_rewrite_in_progress") == "0", 20)
    return info(client, "rdb_last_bgsave_status")


def oracle_with(path, **directives):
    """A redis-server that loaded a copy of the RDB file `path`."""
    oracle = Server(oracle_binary(), wait=False, appendonly="no", **directives)
    shutil.copy(path, os.path.join(oracle.folder, "dump.rdb"))
    return oracle.start()


def test_save_is_a_file_that_redis_loads(env):
    for compression in ("yes", "no"):
        server = env.start(appendonly="no", rdbcompression=compression)
        c = env.client(2, server)
        fill_all(c)
        equal(c.call("SAVE"), b"OK")
        with oracle_with(os.path.join(server.folder, "dump.rdb")) as oracle:
            with oracle.client() as other:
                equal(digest(c), digest(other), "compression " + compression)
                equal(other.call("PEXPIRETIME", "volatile"), FAR)
                equal(other.call("PEXPIRETIME", "volatile list"), FAR + 1)


def test_redis_loads_big_strings(env):
    """Strings that are written, and compressed, in pieces."""
    for compression in ("yes", "no"):
        server = env.start(appendonly="no", rdbcompression=compression)
        c = env.client(2, server)
        for at in range(0, 5_000_000, 70_000):
            c.call("SETRANGE", "compressible", at, "text at %d" % at)
        equal(c.call("STRLEN", "compressible"), 4_970_000 + len("text at 4970000"))
        equal(c.call("SET", "random", os.urandom(2_500_000)), "OK")
        equal(c.call("SET", "small", "v"), "OK")
        equal(c.call("SAVE"), "OK")
        path = os.path.join(server.folder, "dump.rdb")
        equal(os.path.getsize(path) < 4_000_000, compression == "yes")
        with oracle_with(path) as oracle:
            with oracle.client() as o:
                equal(digest(o), digest(c))
        wanted = digest(c)
        server.restart(crash=True)
        with server.client() as c:
            equal(digest(c), wanted)


def test_redis_files_are_loaded(env):
    with Server(oracle_binary(), appendonly="no") as oracle:
        with oracle.client() as other:
            fill_all(other)
            other.call("SAVE")
            wanted = digest(other)
        with Server(wait=False, appendonly="no") as server:
            shutil.copy(os.path.join(oracle.folder, "dump.rdb"), server.folder)
            server.start()
            with server.client() as c:
                equal(digest(c), wanted)
                equal(c.call("PEXPIRETIME", "volatile"), FAR)


def test_restart_without_a_journal(env):
    server = env.start(appendonly="no")
    c = env.client(2, server)
    fill_all(c)
    equal(c.call("BGSAVE"), b"Background saving started")
    equal(saved(c), "ok")
    wanted = digest(c)
    c.call("SET", "lost", 1)
    server.restart(crash=True)
    c = env.client(2, server)
    equal(digest(c), wanted)
    equal(c.call("EXISTS", "lost"), 0)


def test_claims_of_one_transaction(env):
    """Inside EXEC nothing begins, so nothing is in the way."""
    server = env.start(appendonly="no")
    c = env.client(2, server)
    for command in ("MULTI", "BGSAVE", "BGSAVE", "BGREWRITEAOF", "BGREWRITEAOF"):
        c.call(*command.split())
    got = c.call("EXEC")
    equal(got, [b"Background saving scheduled"] * 2 +
          [b"Background append only file rewriting scheduled"] * 2)
    eventually(lambda: info(c, "aof_rewrite_scheduled") == "0", 60, "the rewrite comes")
    saved(c)
    equal(c.call("BGSAVE", "NEVER"), Error(b"ERR syntax error"))


@cairn_only("there the log's end is nothing to snapshots")
def test_a_scheduled_save_outlives_the_end_of_the_log(env):
    server = env.start(appendonly="yes")
    c = env.client(2, server)
    equal(c.call("SET", "k", "v"), b"OK")
    got = c.pipeline([("MULTI",), ("BGREWRITEAOF",), ("BGSAVE", "SCHEDULE"), ("EXEC",),
                      ("CONFIG", "SET", "appendonly", "no")])
    equal(got[3:], [[b"Background append only file rewriting scheduled",
                     b"Background saving scheduled"], b"OK"])
    eventually(lambda: info(c, "rdb_saves") == "1", 60, "it is lost")
    check(os.path.exists(os.path.join(server.folder, "dump.rdb")), "and no file came of it")


@cairn_only("redis-server 7.0 cannot cancel")
def test_cancel(env):
    server = env.start(appendonly="no")
    c = env.client(2, server)
    c.call("SET", "a", 1)
    c.call("MULTI")
    c.call("BGSAVE")
    c.call("BGSAVE", "CANCEL")
    equal(c.call("EXEC"),
          [b"Background saving scheduled", b"Scheduled background saving cancelled"])
    equal(saved(c), "ok", "a cancelled save says nothing about the disk")
    equal(c.call("BGSAVE", "CANCEL"),
          Error(b"ERR Background saving is currently not in progress or scheduled"))
    check(not os.path.exists(os.path.join(server.folder, "dump.rdb")), "no file came of it")
    equal(c.call("SAVE"), b"OK", "the next one is exact again")
    server.restart(crash=True)
    equal(env.client(2, server).call("GET", "a"), b"1")


def test_lastsave(env):
    server = env.start(appendonly="no")
    c = env.client(2, server)
    now = int(c.call("TIME")[0])
    check(abs(c.call("LASTSAVE") - now) <= 60, "begins with the start of the server")
    c.call("SET", "a", 1)
    check(int(info(c, "rdb_changes_since_last_save")) >= 1)
    equal(c.call("SAVE"), b"OK")
    check(c.call("LASTSAVE") >= now)
    equal(info(c, "rdb_changes_since_last_save"), "0")


def test_save_points(env):
    server = env.start(appendonly="no", save="1 3")
    c = env.client(2, server)
    c.call("SET", "a", 1)
    c.call("SET", "a", 2)
    check(not os.path.exists(os.path.join(server.folder, "dump.rdb")))
    c.call("SET", "a", 3)
    eventually(lambda: os.path.exists(os.path.join(server.folder, "dump.rdb")), 10)


def test_shutdown(env):
    for arguments, kept in (((), False), (("NOSAVE",), False), (("SAVE",), True)):
        server = env.start(appendonly="no", save="")
        c = env.client(2, server)
        c.call("SET", "a", 1)
        c.send("SHUTDOWN", *arguments)
        check(c.closed_by_server(), "no reply")
        equal(server.process.wait(60), 0)
        equal(os.path.exists(os.path.join(server.folder, "dump.rdb")), kept, repr(arguments))
    server = env.start(appendonly="no", save="3600 1")
    env.client(2, server).call("SET", "a", 1)
    equal(server.stop(), 0)
    server.start()
    equal(env.client(2, server).call("GET", "a"), b"1", "a save point asks for a last snapshot")


@cairn_only("the temporary name is ours")
def test_writes_stop_while_snapshots_fail(env):
    server = env.start(appendonly="no", save="3600 1")
    c = env.client(2, server)
    c.call("SET", "a", 1)
    obstacle = os.path.join(server.folder, "temp-dump.rdb")
    os.mkdir(obstacle)
    equal(c.call("SAVE"), Error(b"ERR"))
    refused = c.call("SET", "a", 2)
    check(isinstance(refused, Error) and refused.text.startswith(
        b"MISCONF Redis is configured to save RDB snapshots, but it's currently unable"), refused)
    equal(c.call("PING").code if isinstance(c.call("PING"), Error) else None, b"MISCONF")
    equal(c.call("GET", "a"), b"1", "reads go on")
    equal(info(c, "rdb_last_bgsave_status"), "err")
    c.call("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
    eventually(lambda: c.call("SET", "a", 3) == b"OK")
    c.call("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes")
    eventually(lambda: isinstance(c.call("SET", "a", 4), Error))
    refused = c.call("SHUTDOWN", "SAVE")
    equal(refused, Error(b"ERR Errors trying to SHUTDOWN. Check logs."))
    os.rmdir(obstacle)
    equal(c.call("SAVE"), b"OK")
    equal(c.call("SET", "a", 5), b"OK")


def test_reload(env):
    server = env.start(appendonly="no")
    c = env.client(2, server)
    fill_all(c)
    wanted = digest(c)
    equal(c.call("DEBUG", "RELOAD"), b"OK")
    equal(digest(c), wanted)
    c.call("SET", "gone", 1)
    equal(c.call("DEBUG", "RELOAD", "NOSAVE"), b"OK")
    equal(digest(c), wanted)
    equal(c.call("SET", "stays", 1), b"OK")
    equal(c.call("SET", "long", "other"), b"OK")
    keys = c.call("DBSIZE")
    equal(c.call("DEBUG", "RELOAD", "NOSAVE", "NOFLUSH", "MERGE"), b"OK")
    equal(c.call("DBSIZE"), keys)
    equal(c.call("GET", "stays"), b"1", "not emptied")
    equal(c.call("GET", "long"), b"x" * 100_000, "the file's")
    equal(c.call("PEXPIRETIME", "volatile"), FAR)
    equal(c.call("DEL", "stays"), 1)
    equal(digest(c), wanted)
    equal(c.call("DEBUG", "RELOAD", "MERGE"), b"OK")
    equal(digest(c), wanted)
    equal(c.call("DEBUG", "RELOAD", "NEVER"),
          Error(b"ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options."))


@cairn_only("redis-server ends instead")
def test_reload_over_keys_that_are_there(env):
    server = env.start(appendonly="no")
    c = env.client(2, server)
    equal(c.call("SET", "a", 1), b"OK")
    refused = c.call("DEBUG", "RELOAD", "NOFLUSH")
    check(isinstance(refused, Error) and b"is there twice" in refused.text, refused)
    equal(c.call("GET", "a"), b"1")


def test_a_checksum_that_nobody_asks_for(env):
    """rdbchecksum no: the trailer of dump.rdb may say anything."""
    server = env.start(appendonly="no", save="")
    with server.client() as c:
        equal(c.call("SET", "a", 1), b"OK")
        equal(c.call("SAVE"), b"OK")
    server.kill()
    path = os.path.join(server.folder, "dump.rdb")
    with open(path, "rb") as file:
        good = file.read()
    with open(path, "wb") as file:
        file.write(good[:-8] + bytes(byte ^ 0x55 for byte in good[-8:]))
    try:
        server.start()
    except StartFailure:
        pass
    else:
        check(False, "a damaged file was loaded")
    server.directives["rdbchecksum"] = "no"
    server.start()
    with server.client() as c:
        equal(c.call("GET", "a"), b"1")


@cairn_only("packed snapshots are ours")
def test_snapshot_is_the_base_of_the_journal(env):
    server = env.start(appendonly="yes", appendfsync="always")
    c = env.client(2, server)
    fill_all(c)
    c.call("INCR", "counter")
    wanted = digest(c)
    equal(c.call("SAVE"), b"OK")
    folder = os.path.join(server.folder, "appendonlydir")
    bases = [name for name in os.listdir(folder) if name.endswith(".rdb.lz4")]
    equal(len(bases), 1, bases)
    plain = os.path.join(server.folder, "plain.rdb")
    with open(plain, "wb") as out:
        subprocess.run(["lz4", "-dc", os.path.join(folder, bases[0])], stdout=out, check=True)
    with oracle_with(plain) as oracle:
        with oracle.client() as other:
            equal(digest(other), wanted, "what lz4 -dc prints")
    server.restart(crash=True)
    c = env.client(2, server)
    equal(digest(c), wanted)
    equal(c.call("GET", "counter"), b"1", "nothing below the base is replayed on top of it")
    c.call("INCR", "counter")
    wanted = digest(c)
    server.restart(crash=True)
    c = env.client(2, server)
    equal(digest(c), wanted, "base and log")
    equal(c.call("BGREWRITEAOF"), b"Background append only file rewriting started")
    saved(c)
    equal(info(c, "aof_last_bgrewrite_status"), "ok")
    # The old one is deleted once a manifest without it is durable.
    eventually(lambda: len([name for name in os.listdir(folder)
                            if name.endswith(".rdb.lz4")]) == 1)
    equal(c.call("DEBUG", "RELOAD"), b"OK")
    equal(digest(c), wanted)
    server.restart(crash=True)
    equal(digest(env.client(2, server)), wanted)


LIBRARY = "#!lua name=lib\nredis.register_function('answer', function() return 42 end)\n"


def test_functions_are_in_snapshots(env):
    server = env.start(appendonly="no")
    c = env.client(2, server)
    equal(c.call("FUNCTION", "LOAD", LIBRARY), b"lib")
    equal(c.call("DEBUG", "RELOAD"), b"OK")
    equal(c.call("FCALL", "answer", 0), 42)
    equal(c.call("SAVE"), b"OK")
    server.restart(crash=True)
    equal(env.client(2, server).call("FCALL", "answer", 0), 42)
    with oracle_with(os.path.join(server.folder, "dump.rdb")) as oracle:
        with oracle.client() as other:
            equal(other.call("FCALL", "answer", 0), 42)


@cairn_only("packed snapshots are ours")
def test_functions_are_in_the_base_of_the_journal(env):
    server = env.start(appendonly="yes", appendfsync="always")
    c = env.client(2, server)
    equal(c.call("FUNCTION", "LOAD", LIBRARY), b"lib")
    equal(c.call("BGREWRITEAOF"), b"Background append only file rewriting started")
    saved(c)
    equal(info(c, "aof_last_bgrewrite_status"), "ok")
    equal(c.call("FUNCTION", "LOAD", LIBRARY.replace("lib", "two").replace("answer", "more")),
          b"two")
    server.restart(crash=True)
    c = env.client(2, server)
    equal(c.call("FCALL", "answer", 0), 42)
    equal(c.call("FCALL", "more", 0), 42)


@cairn_only("the texts are ours")
def test_damaged_files_are_refused(env):
    server = env.start(appendonly="no")
    c = env.client(2, server)
    fill_all(c)
    c.call("SAVE")
    path = os.path.join(server.folder, "dump.rdb")
    server.kill()
    with open(path, "rb") as file:
        good = file.read()
    middle = len(good) // 2
    for bad in (good[:middle], good[:-1], good[:middle] + b"\xff" + good[middle + 1:],
                good[:-4] + b"\0\0\0\0", b"REDIS0099" + good[9:], b"nothing like it"):
        with open(path, "wb") as file:
            file.write(bad)
        try:
            server.start()
        except StartFailure as failure:
            check("dump.rdb: offset " in str(failure), str(failure)[-600:])
        else:
            check(False, "a damaged file was loaded")
    with open(path, "wb") as file:
        file.write(good)
    server.start()


@cairn_only("sizes are ours")
def test_the_journal_is_compacted_when_it_grew(env):
    server = env.start(appendonly="yes", auto_aof_rewrite_min_size="64kb", save="")
    c = env.client(2, server)
    for _ in range(20):
        c.call("SET", "same", "x" * 10_000)
    eventually(lambda: int(info(c, "aof_rewrites")) >= 1, 20, "never compacted")
    saved(c)
    check(int(info(c, "aof_base_size")) > 0)
    c.call("CONFIG", "SET", "auto-aof-rewrite-percentage", "0")
    before = int(info(c, "aof_rewrites"))
    for _ in range(20):
        c.call("SET", "same", "y" * 10_000)
    server.restart(crash=True)
    c = env.client(2, server)
    equal(len(c.call("GET", "same")), 10_000)
    check(int(info(c, "aof_base_size")) > 0, "known again after a start")
    check(before >= 1)
