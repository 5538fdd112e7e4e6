# SPDX-License-Identifier: BSD-3-Clause
"""BACKUP TO: a copy of the data while it runs, and what becomes of one that was not finished."""

import os
import shutil
import subprocess
import threading

from harness import ONCE, Error, cairn_only, check, equal, eventually, info, server_binary
from harness.dump_samples import fill

MATRIX = ONCE
MARK = "backup-unfinished"


def backup(c, path):
    """BACKUP TO as a dictionary."""
    reply = c.call("BACKUP", "TO", path)
    check(not isinstance(reply, Error), repr(reply))
    return {reply[i].decode(): reply[i + 1] for i in range(0, len(reply), 2)}


def failure(c, path):
    reply = c.call("BACKUP", "TO", path)
    check(isinstance(reply, Error), repr(reply))
    return str(reply)


def compact(c):
    """Makes a base, and returns when it is the log's."""
    before = int(info(c, "aof_rewrites"))
    reply = c.call("BGREWRITEAOF")
    check(not isinstance(reply, Error), repr(reply))
    eventually(lambda: int(info(c, "aof_rewrites")) > before and
               info(c, "aof_rewrite_in_progress") == "0")


def restored(env, path, **directives):
    """Another server, started on what the backup holds."""
    server = env.start(**directives)
    server.stop()
    for name in ("appendonlydir", "dump.rdb"):
        old = os.path.join(server.folder, name)
        if os.path.isdir(old):
            shutil.rmtree(old)
        elif os.path.exists(old):
            os.remove(old)
    shutil.copytree(path, server.folder, dirs_exist_ok=True)
    server.start()
    return server


@cairn_only("BACKUP is ours")
def test_a_backup_is_the_data_of_its_moment(env):
    server = env.start(appendfsync="everysec")
    c = env.client(2, server)
    fill(c)
    c.call("SELECT", 3)
    c.call("SET", "in3", "x")
    c.call("SELECT", 0)
    wanted, keys = c.call("DEBUG", "DIGEST"), c.call("DBSIZE") + 1
    report = backup(c, "first")
    equal(report["path"].decode(), os.path.join(os.path.realpath(server.folder), "first"))
    equal(report["keys"], keys)
    equal(str(report["lsn"]), info(c, "journal_lsn"))
    equal(info(c, "backup_last_status"), "ok")
    equal(info(c, "backup_last_keys"), str(keys))
    c.call("FLUSHALL")
    c.call("SET", "later", 1)
    path = os.path.join(server.folder, "first")
    check(not os.path.exists(os.path.join(path, MARK)), "the mark is gone")
    total = sum(os.path.getsize(os.path.join(top, name))
                for top, _, names in os.walk(path) for name in names)
    equal(report["bytes"], total)
    with restored(env, path).client() as there:
        equal(there.call("DEBUG", "DIGEST"), wanted)
        there.call("SET", "goes", "on")
    equal(c.call("DBSIZE"), 1, "the source is not touched")


@cairn_only("BACKUP is ours")
def test_backups_with_a_base_and_without_anything(env):
    server = env.start(journal_retention_time=1000)
    c = env.client(2, server)
    equal(backup(c, "empty")["keys"], 0)
    for i in range(3):
        c.call("SET", "k%d" % i, "x" * 1000)
        compact(c)
    wanted = c.call("DEBUG", "DIGEST")
    equal(backup(c, "based")["keys"], 3)
    # At once, with nothing written since: links to the same files.
    equal(backup(c, "again")["keys"], 3)
    for name in ("based", "again"):
        path = os.path.join(server.folder, name)
        folder = os.path.join(path, "appendonlydir")
        linked = [n for n in os.listdir(folder) if os.stat(os.path.join(folder, n)).st_nlink > 1]
        check(linked, "hard links: %s" % os.listdir(folder))
        with restored(env, path).client() as there:
            equal(there.call("DEBUG", "DIGEST"), wanted)
    with restored(env, os.path.join(server.folder, "empty")).client() as there:
        equal(there.call("DBSIZE"), 0)


@cairn_only("BACKUP is ours")
def test_where_backups_may_be_written(env):
    server = env.start()
    c = env.client(2, server)
    outside = env.start()
    os.mkdir(os.path.join(server.folder, "full"))
    with open(os.path.join(server.folder, "full", "file"), "w") as f:
        f.write("x")
    os.symlink(outside.folder, os.path.join(server.folder, "away"))
    check("is not empty" in failure(c, "full"), "not empty")
    check("must be inside" in failure(c, os.path.join(outside.folder, "copy")), "outside")
    check("must be inside" in failure(c, "../copy"), "dots")
    check("must be inside" in failure(c, "away/copy"), "through a link")
    check("is a link" in failure(c, "away"), "a link")
    check("must be inside" in failure(c, "."), "dir itself")
    check("the journal's own" in failure(c, "appendonlydir/copy"), "in the journal's folder")
    check("No such file" in failure(c, "missing/copy"), "no parent")
    equal(os.listdir(os.path.join(server.folder, "full")), ["file"])
    check(not os.path.exists(os.path.join(outside.folder, "copy")), "nothing outside")
    equal(info(c, "backup_last_status"), "err")
    reply = c.call("CONFIG", "SET", "backup-dir", outside.folder)
    check(isinstance(reply, Error) and "protected" in str(reply), repr(reply))
    free = env.start(backup_dir=outside.folder)
    with free.client() as there:
        there.call("SET", "a", 1)
        equal(backup(there, "copy")["keys"], 1)
        os.mkdir(os.path.join(outside.folder, "void"))
        equal(backup(there, os.path.join(outside.folder, "void/"))["keys"], 1)
    check(os.path.exists(os.path.join(outside.folder, "copy", "appendonlydir", "manifest")), "there")


@cairn_only("BACKUP is ours")
def test_only_administrators_and_no_transactions(env):
    server = env.start()
    c = env.client(2, server)
    equal(sorted(c.call("COMMAND", "INFO", "BACKUP|TO")[0][6]),
          [b"@admin", b"@dangerous", b"@slow"])
    c.call("ACL", "SETUSER", "reader", "on", "nopass", "+@all", "-@dangerous")
    with server.client() as other:
        other.call("AUTH", "reader", "x")
        check("NOPERM" in failure(other, "copy"), "no permission")
    c.call("MULTI")
    check("not allowed" in failure(c, "copy"), "not in MULTI")
    c.call("DISCARD")
    check(c.call("BACKUP", "HELP")[0].startswith(b"BACKUP <subcommand>"), "help")


@cairn_only("BACKUP is ours")
def test_without_a_journal(env):
    server = env.start(appendonly="no")
    c = env.client(2, server)
    fill(c)
    wanted = c.call("DEBUG", "DIGEST")
    report = backup(c, "copy")
    equal(report["keys"], c.call("DBSIZE"))
    equal(sorted(os.listdir(os.path.join(server.folder, "copy"))), ["dump.rdb"])
    with restored(env, os.path.join(server.folder, "copy"), appendonly="no").client() as there:
        equal(there.call("DEBUG", "DIGEST"), wanted)


@cairn_only("BACKUP is ours")
def test_encrypted(env):
    server = env.start()
    keys = os.path.join(server.folder, "keys")
    with open(keys, "w") as f:
        f.write("one %s\n" % ("ab" * 32))
    server.directives["encryption-key-file"] = keys
    server.restart()
    with server.client() as c:
        fill(c)
        compact(c)
        c.call("SET", "tail", "secret")
        wanted = c.call("DEBUG", "DIGEST")
        backup(c, "copy")
    path = os.path.join(server.folder, "copy")
    with restored(env, path, encryption_key_file=keys).client() as there:
        equal(there.call("DEBUG", "DIGEST"), wanted)


@cairn_only("BACKUP is ours")
def test_under_load_and_compaction(env):
    server = env.start(journal_segment_size="1mb")
    stop = threading.Event()
    counts = [0] * 2

    def write(number):
        with server.client() as c:
            while not stop.is_set():
                # Both or none, and the counter with them.
                requests = [("MULTI",), ("INCR", "n%d" % number), ("RPUSH", "l%d" % number, "x" * 500),
                            ("EXEC",)]
                for _ in range(20):
                    for request in requests:
                        c.call(*request)
                counts[number] += 20

    threads = [threading.Thread(target=write, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    c = env.client(2, server)
    try:
        reports = []
        for i in range(4):
            eventually(lambda: min(counts) > i * 40, 60)
            c.call("BGREWRITEAOF")
            reports.append(backup(c, "copy%d" % i))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    equal(sorted(r["lsn"] for r in reports), [r["lsn"] for r in reports])
    for i in range(4):
        with restored(env, os.path.join(server.folder, "copy%d" % i)).client() as there:
            for number in range(2):
                n = int(there.call("GET", "n%d" % number) or 0)
                equal(there.call("LLEN", "l%d" % number), n, "whole transactions")


@cairn_only("BACKUP is ours")
def test_an_unfinished_backup_is_refused(env):
    server = env.start()
    c = env.client(2, server)
    c.call("SET", "a", 1)
    backup(c, "copy")
    path = os.path.join(server.folder, "copy")
    with open(os.path.join(path, MARK), "w") as f:
        f.write("x")
    check("unfinished backup" in failure(c, "copy"), "not written over")
    done = subprocess.run([server_binary(), "--dir", path, "--port", "0", "--unixsocket",
                           os.path.join(server.folder, "refused.sock")],
                          capture_output=True, text=True, timeout=60, check=False)
    equal(done.returncode, 1)
    check("was never finished" in done.stdout + done.stderr, done.stdout + done.stderr)


@cairn_only("BACKUP is ours")
def test_dir_may_be_the_backup_itself(env):
    """As it is: with a log, of which it goes on, and without one."""
    for appendonly in ("yes", "no"):
        server = env.start(appendonly=appendonly)
        with server.client() as c:
            fill(c)
            wanted, keys = c.call("DEBUG", "DIGEST"), c.call("DBSIZE")
            equal(backup(c, "copy")["keys"], keys)
        path = os.path.join(server.folder, "copy")
        equal(server.stop(), 0)
        there = env.start(appendonly=appendonly, dir=path)
        with there.client() as c:
            equal(c.call("CONFIG", "GET", "dir")[1].decode(), os.path.realpath(path))
            equal(c.call("DEBUG", "DIGEST"), wanted)
            equal(c.call("SET", "goes", "on"), "OK")
            if appendonly == "no":
                equal(c.call("SAVE"), "OK")
        there.restart(crash=False)
        with there.client() as c:
            equal(c.call("GET", "goes"), b"on")
            equal(c.call("DBSIZE"), keys + 1)
        equal(there.stop(), 0)


@cairn_only("the fields are ours")
def test_figures_of_a_snapshot_at_rest(env):
    c = env.client(2, env.start())
    equal(info(c, "current_save_eta_seconds"), "-1")
    equal(info(c, "current_save_keys_per_sec"), "0")
    equal(info(c, "backup_in_progress"), "0")
