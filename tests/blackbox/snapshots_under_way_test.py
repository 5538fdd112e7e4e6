# SPDX-License-Identifier: BSD-3-Clause
"""What there is while a snapshot is written: its disk stands still until the test has looked."""

import os
import signal
import time

from harness import (ONCE, Error, Server, cairn_only, check, equal, eventually, faulty_disk,
                     oracle_binary, skip)
from harness.replication import info

MATRIX = ONCE

SAVING = Error(b"ERR Background save already in progress")


class Machine(faulty_disk.Machine):
    """A server whose snapshots wait for their disk from hold() to release()."""

    def hold(self):
        """Of the snapshot in dir or in the journal's folder, not of a backup's."""
        folder = os.path.realpath(self.server.folder)
        self.disk.stall(os.path.join(folder, "temp-"))
        self.disk.stall(os.path.join(folder, "appendonlydir", "temp-"))

    def begin_save(self, keys=None):
        """And stands still, having counted them if it is said how many there are."""
        self.hold()
        equal(self.c.call("BGSAVE"), "Background saving started")
        if keys is not None:
            eventually(lambda: self.info("current_save_keys_total") == str(keys))

    def begin_rewrite(self):
        """And stands still."""
        self.hold()
        equal(self.c.call("BGREWRITEAOF"), "Background append only file rewriting started")

    def release(self):
        self.disk.heal()
        eventually(lambda: self.info("rdb_bgsave_in_progress") == "0" and
                   self.info("aof_rewrite_in_progress") == "0", 120)


@cairn_only("the fields are ours")
def test_figures_of_a_snapshot_under_way(env):
    with Machine(env, appendonly="no", save="") as m:
        for i in range(100):
            equal(m.c.call("SET", "key:%d" % i, "v"), "OK")
        m.begin_save(keys=100)
        equal(m.info("rdb_bgsave_in_progress"), "1")
        equal(m.info("current_fork_perc"), "0.00")
        equal(m.info("current_save_keys_processed"), "0")
        equal(m.info("current_save_preimage_bytes"), "0")
        check(int(m.info("rdb_current_bgsave_time_sec")) >= 0, "it has begun")
        equal(m.c.call("SET", "key:1", "w"), "OK")
        equal(m.info("current_save_keys_processed"), "1")
        equal(m.info("current_fork_perc"), "1.00")
        check(int(m.info("current_save_preimage_bytes")) > 0, "what it was is kept")
        m.release()
        equal(m.info("rdb_last_bgsave_status"), "ok")
        for name in ("keys_total", "keys_processed", "bytes", "preimage_bytes", "detached_bytes"):
            equal(m.info("current_save_" + name), "0", name)
        equal(m.info("rdb_current_bgsave_time_sec"), "-1")


@cairn_only("redis-server's child keeps what is flushed")
def test_what_is_flushed_meanwhile_is_not_counted(env):
    with Machine(env, appendonly="no", save="") as m:
        c = m.c
        if m.info("mem_allocator", "memory") == "libc":
            skip("this build cannot tell its memory in time")
        equal(c.call("DEBUG", "POPULATE", 200_000, "k", 100), "OK")
        limit = int(m.info("used_memory", "memory")) + (5 << 20)
        equal(c.call("CONFIG", "SET", "maxmemory", limit), "OK")
        m.begin_save(keys=200_000)
        equal(c.call("FLUSHALL"), "OK")
        kept = int(m.info("current_save_detached_bytes"))
        check(kept > 200_000 * 100, "%d bytes are kept" % kept)
        check(int(m.info("mem_not_counted_for_evict", "memory")) >= kept, "not counted")
        replies = c.pipeline([("SETRANGE", "big%d" % i, 999_999, "x") for i in range(15)])
        equal([r for r in replies if r != 1_000_000], [], "no OOM")
        equal(c.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"), "OK")
        equal(c.call("SET", "one", "more"), "OK")
        equal(m.info("evicted_keys", "stats"), "0")
        m.disk.heal()
        while m.info("rdb_bgsave_in_progress") == "1":
            # Given back by the snapshot's threads, which must be seen as soon as it counts again.
            equal(c.call("SETRANGE", "big0", 1_200_000, "x" * 300_000), 1_500_000)
            equal(c.call("SET", "big0", "x" * 1_000_000), "OK")
            time.sleep(0.002)  # the snapshot's threads come after others
        m.release()
        equal(m.info("evicted_keys", "stats"), "0")
        equal(m.info("current_save_detached_bytes"), "0")
        equal(m.info("rdb_last_bgsave_status"), "ok")
        equal(c.call("DBSIZE"), 16)
        equal(c.call("CONFIG", "SET", "maxmemory", 0), "OK")
        equal(c.call("DEBUG", "RELOAD", "NOSAVE"), "OK")
        equal(c.call("DBSIZE"), 200_000, "the file is of before")


def fill_big(c):
    """Values that are written in steps, five of each, and a small one."""
    elements = [b"element:%d" % i for i in range(5000)]
    for i in range(5):
        equal(c.call("RPUSH", "list%d" % i, *elements), 5000)
        equal(c.call("SADD", "set%d" % i, *elements), 5000)
        equal(c.call("SETRANGE", "string%d" % i, 2_000_000, "x"), 2_000_001)
    equal(c.call("SET", "small", "v"), "OK")


@cairn_only("redis-server's child has a copy of its own")
def test_who_takes_a_big_value_away_waits_for_nobody(env):
    with Machine(env, appendonly="no", save="") as m:
        c = m.c
        fill_big(c)
        digest = c.call("DEBUG", "DIGEST")
        dump = c.call("DUMP", "small")
        m.begin_save(keys=16)
        equal(c.call("DEL", "list0", "set0"), 2)
        equal(c.call("UNLINK", "list1", "string0"), 2)
        equal(c.call("SET", "set1", "x"), "OK")
        equal(len(c.call("GETDEL", "string1")), 2_000_001)
        equal(c.call("RESTORE", "list2", 0, dump, "REPLACE"), "OK")
        equal(c.call("RENAME", "small", "set2"), "OK")
        equal(c.call("SINTERSTORE", "string2", "set3", "none"), 0)
        equal(c.call("EVAL", "return redis.call('DEL', 'set4')", 0), 1)
        equal(c.pipeline([("MULTI",), ("DEL", "list3"), ("SET", "string3", "x"), ("EXEC",)])[-1],
              [1, b"OK"])
        check(int(m.info("current_save_detached_bytes")) > 8_000_000, "kept until it is written")
        editor = env.client(2, m.server)
        editor.send("SADD", "set3", "x")
        equal(c.call("SCARD", "set3"), 5000, "who edits one waits")
        equal(c.call("RPUSH", "list0", "new"), 1)
        m.release()
        equal(editor.read(), 1)
        equal(c.call("SCARD", "set3"), 5001)
        equal(m.info("current_save_detached_bytes"), "0")
        equal(m.info("rdb_last_bgsave_status"), "ok")
        equal(sorted(c.call("KEYS", "*")), [b"list0", b"list2", b"list4", b"set1", b"set2", b"set3",
                                            b"string3", b"string4"])
        equal(c.call("DEBUG", "RELOAD", "NOSAVE"), "OK")
        equal(c.call("DEBUG", "DIGEST"), digest, "the file is of before")


@cairn_only("redis-server saves beside a rewrite")
def test_a_save_that_waits_gives_up_when_the_server_ends(env):
    with Machine(env, appendonly="yes", save="") as m:
        equal(m.c.call("SET", "a", 1), "OK")
        eventually(lambda: m.info("aof_rewrite_in_progress") == "0")
        m.begin_rewrite()
        waiting = env.client(2, m.server)
        waiting.send("SAVE")
        eventually(lambda: b" cmd=save " in m.c.call("CLIENT", "LIST"))
        m.server.process.send_signal(signal.SIGTERM)
        eventually(lambda: "Received SIGTERM" in m.server.log_text())
        m.disk.heal()
        equal(m.server.process.wait(120), 0)
        m.server.process = None
        check("DB saved on disk" not in m.server.log_text(), "it saved")


@cairn_only("BACKUP is ours")
def test_a_backup_waits_for_its_turn(env):
    with Machine(env, appendonly="no", save="") as m:
        equal(m.c.call("SET", "a", 1), "OK")
        m.begin_save(keys=1)
        waiting = env.client(2, m.server)
        waiting.send("BACKUP", "TO", "copy")
        eventually(lambda: m.info("backup_in_progress") == "1")
        equal(m.c.call("SET", "b", 2), "OK")
        m.release()
        reply = waiting.read()
        check(not isinstance(reply, Error), repr(reply))
        equal(reply[reply.index(b"keys") + 1], 2, "of a later moment")
        equal(m.info("backup_last_status"), "ok")
        equal(sorted(os.listdir(os.path.join(m.server.folder, "copy"))), ["dump.rdb"])


@cairn_only("BACKUP is ours")
def test_a_backup_that_waits_ends_with_the_server(env):
    with Machine(env, appendonly="no", save="") as m:
        m.begin_save()
        waiting = env.client(2, m.server)
        waiting.send("BACKUP", "TO", "copy")
        eventually(lambda: m.info("backup_in_progress") == "1")
        m.c.send("SHUTDOWN", "NOSAVE")
        m.disk.heal()
        equal(m.server.process.wait(60), 0)


def in_exec(c, *commands):
    return c.pipeline([("MULTI",)] + [tuple(line.split()) for line in commands] + [("EXEC",)])[-1]


def words_while_rewriting(c):
    """What is said while a rewrite is under way."""
    return [c.call(*line.split()) for line in
            ("BGREWRITEAOF", "BGREWRITEAOF", "BGSAVE", "BGSAVE SCHEDULE", "BGSAVE SCHEDULE",
             "BGSAVE NEVER")] + [in_exec(c, "BGSAVE", "BGREWRITEAOF")]


def words_while_saving(c):
    """What is said while a save is under way."""
    return [c.call(*line.split()) for line in
            ("BGSAVE", "BGSAVE", "BGSAVE SCHEDULE", "BGREWRITEAOF", "BGREWRITEAOF", "SAVE")] + [
                in_exec(c, "BGSAVE", "BGREWRITEAOF", "BGSAVE SCHEDULE")]


REWRITING = [
    b"Background append only file rewriting started",
    Error(b"ERR Background append only file rewriting already in progress"),
    Error(b"ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE "
          b"SCHEDULE in order to schedule a BGSAVE whenever possible."),
    b"Background saving scheduled", b"Background saving scheduled", Error(b"ERR syntax error"),
    [b"Background saving scheduled",
     Error(b"ERR Background append only file rewriting already in progress")]]
SAVES = [b"Background saving started", SAVING, SAVING,
         b"Background append only file rewriting scheduled",
         b"Background append only file rewriting scheduled", SAVING,
         [SAVING, b"Background append only file rewriting scheduled", SAVING]]


@cairn_only("both servers are started here")
def test_words_while_another_one_is_under_way(env):
    """redis-server is the measure, its child held by a sleep after each key."""
    for words, wanted in ((words_while_rewriting, REWRITING), (words_while_saving, SAVES)):
        with Server(oracle_binary(), appendonly="yes", save="") as oracle:
            with oracle.client() as other:
                equal(other.call("SET", "a", 1), "OK")
                equal(other.call("CONFIG", "SET", "rdb-key-save-delay", 60_000_000), "OK")
                equal(words(other), wanted, "redis-server")
            oracle.stop()  # and its child
        with Machine(env, appendonly="yes", save="") as m:
            m.hold()
            equal(words(m.c), wanted, "Cairn")
            m.release()


@cairn_only("redis-server saves at once, beside its child")
def test_save_waits_for_a_rewrite(env):
    with Machine(env, appendonly="yes", save="") as m:
        equal(m.c.call("SET", "a", 1), "OK")
        m.begin_rewrite()
        other = env.client(2, m.server)
        other.send("SAVE")
        check(other.nothing_to_read(0.2), "one walk at a time")
        m.disk.heal()
        equal(other.read(), b"OK")
        equal((m.info("aof_rewrites"), m.info("rdb_saves")), ("1", "1"))


@cairn_only("redis-server's loop stands still meanwhile")
def test_followers_hear_from_a_leader_that_reloads(env):
    with Machine(env, appendonly="yes", save="", repl_ping_replica_period=1) as m:
        equal(m.c.call("SET", "a", 1), "OK")
        follower = env.start(replicaof=["127.0.0.1", m.server.port])
        f = env.client(2, follower)

        def offset():
            return int(info(f, "slave_repl_offset"))

        eventually(lambda: info(f, "master_link_status") == "up")
        m.hold()
        other = env.client(2, m.server)
        other.send("DEBUG", "RELOAD")
        folder = os.path.join(m.server.folder, "appendonlydir")
        eventually(lambda: any(name.startswith("temp-") for name in os.listdir(folder)))
        # One PING may have been on its way.
        first = offset()
        ping = len(b"*1\r\n$4\r\nPING\r\n")
        eventually(lambda: offset() >= first + 3 * ping, note="no PING comes")
        check(other.nothing_to_read(0.1), "it is being reloaded")
        m.disk.heal()
        equal(other.read(), b"OK")
        equal(m.c.call("SET", "b", 2), "OK")
        eventually(lambda: f.call("GET", "b") == b"2")
        equal(f.call("DEBUG", "DIGEST"), m.c.call("DEBUG", "DIGEST"))


@cairn_only("redis-server 7.0 cannot cancel")
def test_what_is_scheduled_comes_or_is_cancelled(env):
    with Machine(env, appendonly="yes", save="") as m:
        for cancelled in (True, False):
            saves = int(m.info("rdb_saves"))
            rewrites = int(m.info("aof_rewrites"))
            m.begin_rewrite()
            equal(m.c.call("BGSAVE", "SCHEDULE"), "Background saving scheduled")
            if cancelled:
                equal(m.c.call("BGSAVE", "CANCEL"), "Scheduled background saving cancelled")
                equal(m.c.call("BGSAVE", "CANCEL"), Error(
                    b"ERR Background saving is currently not in progress or scheduled"))
            m.release()
            equal(int(m.info("aof_rewrites")), rewrites + 1, "which goes on")
            if not cancelled:
                eventually(lambda before=saves: int(m.info("rdb_saves")) == before + 1)
        equal(int(m.info("rdb_saves")), 1)
        m.begin_save()
        equal(m.c.call("BGSAVE", "CANCEL"), "Background saving cancelled")
        m.release()
        equal((m.info("rdb_saves"), m.info("rdb_last_bgsave_status")), ("1", "ok"))
        m.begin_save()
        equal(m.info("aof_rewrite_scheduled"), "0")
        equal(m.c.call("BGREWRITEAOF"), "Background append only file rewriting scheduled")
        equal(m.info("aof_rewrite_scheduled"), "1")
        rewrites = int(m.info("aof_rewrites"))
        m.release()
        eventually(lambda: int(m.info("aof_rewrites")) == rewrites + 1)
        equal(m.info("aof_rewrite_scheduled"), "0")
