# SPDX-License-Identifier: BSD-3-Clause
"""What clients see while the disk under the server fails, and what is there afterwards.

Every operation that persistence needs fails once here; crash.run --faults mixes them at random.
"""

import errno
import os
import time

from harness import ONCE, Error, cairn_only, check, equal, eventually, faulty_disk, limit
from harness.replication import follow, frozen, in_step, info
from harness.server import StartFailure

MATRIX = ONCE

SEGMENT, BASE = ".aof.lz4", ".rdb.lz4"


class Machine(faulty_disk.Machine):
    def restart(self, crash):
        if crash:
            self.server.kill()  # with the faults that are
        self.disk.heal()
        self.server.restart(crash=crash)
        self.c = self.env.client(2, self.server)


def refused(reply):
    return isinstance(reply, Error) and reply.text.startswith(b"MISCONF")


def until_met():
    """Rounds of a test whose write should meet the fault, not the mark that the log writes 10 ms
    after the write before: a write that comes behind that one's failure is refused at once."""
    for round_ in range(20):
        yield round_
    check(False, "the mark met the fault first, twenty times")


@limit(120)
@cairn_only("the log is ours")
def test_a_log_that_cannot_be_written_refuses_writes_and_goes_on_by_itself(env):
    for operation, error in (("sync", errno.EIO), ("pwrite", errno.EIO), ("half", errno.ENOSPC)):
        with Machine(env, appendonly="yes", appendfsync="always") as m:
            equal(m.c.call("SET", "before", 1), "OK")
            for _ in until_met():
                m.disk.fail(operation, error, SEGMENT)
                held = env.client(2, m.server)
                held.send("SET", "held", 1)
                eventually(lambda: m.info("aof_last_write_status") == "err", 60)
                check(refused(m.c.call("SET", "refused", 1)), "%s: a write" % operation)
                equal(m.c.call("GET", "before"), b"1", "what is durable can be read")
                m.disk.heal()
                reply = held.read()
                eventually(lambda: m.c.call("SET", "after", 1) == b"OK", 60)
                if refused(reply):
                    continue
                # Held while nobody could say; true now.
                equal(reply, "OK", operation)
                break
            equal(m.info("aof_last_write_status"), "ok")
            m.restart(crash=True)
            equal(m.c.call("MGET", "before", "held", "refused", "after"), [b"1", b"1", None, b"1"])


@limit(120)
@cairn_only("the log is ours")
def test_reads_of_what_is_not_durable_do_not_wait_for_ever(env):
    with Machine(env, appendonly="yes", appendfsync="always", busy_reply_threshold="300") as m:
        m.c.call("MSET", "a", 1, "b", 1)
        for _ in until_met():
            m.disk.fail("sync", errno.EIO, SEGMENT)
            writer = env.client(2, m.server)
            writer.send("SET", "a", 2)
            eventually(lambda: m.info("aof_last_write_status") == "err", 60)
            read = m.c.call("GET", "a")
            equal(m.c.call("GET", "b"), b"1", "durable")
            m.disk.heal()
            reply = writer.read()
            eventually(lambda: m.c.call("SET", "after", 1) == b"OK", 60)
            if refused(reply):
                continue
            check(refused(read), "nobody knows what is there")
            equal(reply, "OK")
            break
        equal(m.c.call("GET", "a"), b"2")


@limit(120)
@cairn_only("the log is ours")
def test_a_full_disk_under_everysec_loses_nothing(env):
    with Machine(env, appendonly="yes", appendfsync="everysec") as m:
        m.c.pipeline([("SET", "k%d" % i, i) for i in range(100)])
        m.disk.fail("half", errno.ENOSPC, SEGMENT)
        m.disk.fail("open", errno.ENOSPC, "appendonlydir")
        written = 0
        while m.c.call("SET", "n%d" % written, "x" * 100) == b"OK":
            written += 1
        equal(m.info("aof_last_write_status"), "err")
        m.disk.heal()
        eventually(lambda: m.c.call("SET", "after", 1) == b"OK", 60)
        wanted = m.c.call("DEBUG", "DIGEST")
        m.restart(crash=False)
        equal(m.c.call("DEBUG", "DIGEST"), wanted)
        equal(m.c.call("DBSIZE"), 101 + written)


@limit(120)
@cairn_only("redis-server saves in a child, whose errors look different")
def test_a_save_that_fails_leaves_the_last_one_and_refuses_writes(env):
    for operation, error in (("pwrite", errno.ENOSPC), ("half", errno.ENOSPC), ("sync", errno.EIO),
                             ("open", errno.EACCES), ("rename", errno.EIO)):
        with Machine(env, appendonly="no", save="10000 1") as m:
            m.c.call("SET", "a", 1)
            equal(m.c.call("SAVE"), "OK")
            path = os.path.join(m.server.folder, "dump.rdb")
            with open(path, "rb") as file:
                last = file.read()
            m.c.call("SET", "a", 2)
            m.disk.fail(operation, error, "dump.rdb")
            check(isinstance(m.c.call("SAVE"), Error), operation)
            m.c.call("BGSAVE")
            eventually(lambda: m.info("rdb_bgsave_in_progress") == "0", 60)
            equal(m.info("rdb_last_bgsave_status"), "err", operation)
            with open(path, "rb") as file:
                equal(file.read(), last, "%s: the file there was" % operation)
            eventually(lambda: refused(m.c.call("SET", "probe", 3)), 60)
            equal([n for n in os.listdir(m.server.folder) if n.startswith("temp-")], [], operation)
            m.disk.heal()
            equal(m.c.call("SAVE"), "OK")
            eventually(lambda: m.c.call("SET", "a", 3) == b"OK", 60)
            m.restart(crash=True)
            equal(m.c.call("GET", "a"), b"2", "what the last save held")


@limit(120)
@cairn_only("the log is ours")
def test_a_compaction_that_fails_changes_nothing(env):
    faults = (("pwrite", errno.ENOSPC, BASE), ("sync", errno.EIO, BASE),
              ("rename", errno.EIO, BASE), ("open", errno.ENOSPC, BASE),
              ("rename", errno.EIO, "manifest"), ("sync", errno.EIO, "manifest"),
              ("open", errno.ENOSPC, "manifest"), ("syncdir", errno.EIO, "appendonlydir"))
    with Machine(env, appendonly="yes", appendfsync="always",
                 auto_aof_rewrite_percentage="0") as m:
        for number, fault in enumerate(faults):
            m.c.pipeline([("APPEND", "k%d" % (i % 7), i) for i in range(200)])
            m.disk.fail(*fault)
            m.c.call("BGREWRITEAOF")
            eventually(lambda: m.info("aof_rewrite_in_progress") == "0", 60)
            equal(m.info("aof_last_bgrewrite_status"), "err", str(fault))
            m.disk.heal()
            eventually(lambda: m.c.call("SET", "n", number) == b"OK", 60)
            wanted = m.c.call("DEBUG", "DIGEST")
            m.restart(crash=number % 2 == 1)
            equal(m.c.call("DEBUG", "DIGEST"), wanted, str(fault))
            m.c.call("BGREWRITEAOF")
            eventually(lambda: m.info("aof_rewrites") == "1", 60)
            # One that no manifest came to list stays only over a crash, and a start names it.
            m.restart(crash=False)
            folder = os.path.join(m.server.folder, "appendonlydir")
            bases = [n for n in os.listdir(folder) if n.endswith(BASE)]
            unknown = [n for n in bases if "kept unknown file " + n in m.server.log_text()]
            equal(len(bases) - len(unknown), 1, "%s: %s" % (fault, bases))
            check(not unknown or number % 2 == 1, "%s: %s" % (fault, unknown))
            for name in unknown:
                os.remove(os.path.join(folder, name))


@limit(120)
@cairn_only("the log is ours")
def test_a_log_that_begins_on_a_failing_disk_replaces_nothing_until_it_is_whole(env):
    faults = (("open", errno.ENOSPC, "appendonlydir"), ("syncdir", errno.EIO, "appendonlydir"),
              ("pwrite", errno.ENOSPC, SEGMENT), ("sync", errno.EIO, SEGMENT),
              ("pwrite", errno.ENOSPC, BASE), ("rename", errno.EIO, BASE),
              ("rename", errno.EIO, "manifest"), ("unlink", errno.EIO, "appendonlydir"))
    for number, fault in enumerate(faults):
        with Machine(env, appendonly="yes", appendfsync="always") as m:
            m.c.call("SET", "a", "former")
            equal(m.c.call("CONFIG", "SET", "appendonly", "no"), "OK")
            m.c.call("SET", "a", "later")
            m.disk.fail(*fault)
            m.c.call("CONFIG", "SET", "appendonly", "yes")
            m.c.call("SET", "b", 1)
            eventually(lambda: m.info("aof_rewrite_in_progress") == "0", 60)
            m.server.directives["appendonly"] = "yes"
            if number % 2 == 0 and isinstance(m.c.call("WAITAOF", 1, 0, 10), Error):
                # It never came to be the database.
                m.restart(crash=True)
                equal(m.c.call("MGET", "a", "b"), [b"former", None], str(fault))
                continue
            m.disk.heal()
            eventually(lambda: m.c.call("CONFIG", "SET", "appendonly", "yes") == b"OK" and
                       m.c.call("WAITAOF", 1, 0, 0) == [1, 0], 60)
            eventually(lambda: m.c.call("SET", "c", 1) == b"OK", 60)
            held = m.c.call("GET", "b")
            m.restart(crash=True)
            equal(m.c.call("MGET", "a", "b", "c"), [b"later", held, b"1"], str(fault))


@limit(120)
@cairn_only("BACKUP is ours")
def test_a_backup_on_another_disk_is_copied_and_one_that_fails_goes_away(env):
    with Machine(env, appendonly="yes") as m:
        m.c.pipeline([("SET", "k%d" % i, i) for i in range(1000)])
        m.disk.fail("link", errno.EXDEV, "copied")
        reply = m.c.call("BACKUP", "TO", "copied")
        check(not isinstance(reply, Error), repr(reply))
        folder = os.path.join(m.server.folder, "copied", "appendonlydir")
        for name in os.listdir(folder):
            equal(os.stat(os.path.join(folder, name)).st_nlink, 1, name)
        for operation in ("pwrite", "half", "sync", "rename", "syncdir", "open", "pread"):
            m.disk.heal()
            m.disk.fail("link", errno.EXDEV, "failed")
            m.disk.fail(operation, errno.EIO, "failed")
            check(isinstance(m.c.call("BACKUP", "TO", "failed"), Error), operation)
            left = os.path.join(m.server.folder, "failed")
            # Nothing, or what a start refuses.
            there = os.listdir(left) if os.path.exists(left) else []
            check(not there or "backup-unfinished" in there, "%s: %s" % (operation, there))
            equal(m.c.call("SET", "goes", "on"), "OK")
        m.disk.heal()
        check(not isinstance(m.c.call("BACKUP", "TO", "failed"), Error), "again")


@limit(120)
@cairn_only("BACKUP is ours")
def test_a_backup_on_a_full_disk_fails_and_leaves_nothing(env):
    with Machine(env, appendonly="yes") as m:
        equal(m.c.call("SET", "k", "v"), "OK")
        left = os.path.join(m.server.folder, "full")
        # No room for the segment that the log would go on in, then none for the copy.
        for path in (SEGMENT, "/full/"):
            m.disk.fail("open", errno.ENOSPC, path)
            reply = m.c.call("BACKUP", "TO", "full")
            check(b"No space left on device" in getattr(reply, "text", b""), repr(reply))
            check(not os.path.exists(left), path)
            equal(m.info("backup_in_progress"), "0")
            equal(m.c.call("SET", "goes", "on"), "OK")
            m.disk.heal()
        reply = m.c.call("BACKUP", "TO", "full")
        check(not isinstance(reply, Error), repr(reply))


@limit(120)
@cairn_only("the log is ours")
def test_files_that_cannot_be_read_are_no_files_that_end_early(env):
    with Machine(env, appendonly="yes", appendfsync="always",
                 auto_aof_rewrite_percentage="0") as m:
        m.c.pipeline([("SET", "k%d" % i, i) for i in range(500)])
        m.c.call("BGREWRITEAOF")
        eventually(lambda: m.info("aof_rewrites") == "1", 60)
        m.c.pipeline([("SET", "k%d" % i, i) for i in range(400, 900)])
        wanted = m.c.call("DEBUG", "DIGEST")
        for crash in (True, False):
            for part in (SEGMENT, BASE, "manifest"):
                m.server.kill() if crash else m.server.stop()
                m.disk.fail("pread", errno.EIO, part)
                try:
                    m.server.start()
                    check(False, "it starts without %s" % part)
                except StartFailure as failure:
                    check("nput/output error" in str(failure), str(failure))
                m.restart(crash=True)
                equal(m.c.call("DEBUG", "DIGEST"), wanted, part)


@limit(180)
@cairn_only("the log is ours")
def test_who_is_to_follow_waits_for_the_first_rewrite_of_the_log(env):
    leader = env.start()
    with leader.client() as up:
        equal(up.call("SET", "whose", "the leader's"), "OK")
    with Machine(env, appendonly="no", save="") as m:
        equal(m.c.call("SET", "whose", "its own"), "OK")
        m.disk.fail("pwrite", errno.ENOSPC, BASE)
        equal(m.c.call("CONFIG", "SET", "appendonly", "yes"), "OK")
        equal(m.c.call("REPLICAOF", "127.0.0.1", leader.port), "OK")
        equal(m.c.call("ROLE")[0], b"master")
        # Who changes his mind is not made to follow later.
        equal(m.c.call("REPLICAOF", "NO", "ONE"), "OK")
        equal(m.c.call("REPLICAOF", "127.0.0.1", leader.port), "OK")
        m.disk.heal()
        eventually(lambda: m.c.call("ROLE")[0] == b"slave", 60)
        in_step(leader, m.server)
        equal(m.c.call("GET", "whose"), "the leader's")


@limit(180)
@cairn_only("the log is ours")
def test_a_failover_waits_for_the_first_rewrite_of_the_log(env):
    follower = env.start()
    with Machine(env, appendonly="no", save="") as m:
        follow(follower, m.server)
        in_step(m.server, follower)
        m.disk.fail("pwrite", errno.ENOSPC, BASE)
        equal(m.c.call("CONFIG", "SET", "appendonly", "yes"), "OK")
        equal(m.c.call("SET", "k", "v"), "OK")
        in_step(m.server, follower)
        equal(m.c.call("FAILOVER", "TIMEOUT", 100), "OK")
        eventually(lambda: "did not end before the timeout" in m.server.log_text(), 60)
        equal(info(m.c, "role"), "master")
        equal(m.c.call("FAILOVER"), "OK")
        equal(info(m.c, "master_failover_state"), "waiting-for-sync")
        m.disk.heal()
        eventually(lambda: m.c.call("ROLE")[0] == b"slave", 60)
        in_step(follower, m.server)
        with follower.client() as c:
            equal(c.call("GET", "k"), "v")


@limit(180)
@cairn_only("the log is ours")
def test_who_cannot_be_promoted_goes_on_to_follow(env):
    leader = env.start()
    up = env.client(2, leader)
    with Machine(env) as m:
        follow(m.server, leader)
        in_step(leader, m.server)
        m.disk.fail("sync", errno.EIO, "manifest")
        equal(m.c.call("REPLICAOF", "NO", "ONE"), "OK")
        eventually(lambda: "cannot be promoted" in m.server.log_text(), 60)
        equal(m.c.call("ROLE")[:3], [b"slave", b"127.0.0.1", leader.port])
        m.disk.heal()
        equal(up.call("SET", "k", "v"), "OK")
        in_step(leader, m.server)
        equal(m.c.call("REPLICAOF", "NO", "ONE"), "OK")
        eventually(lambda: m.c.call("ROLE")[0] == b"master", 60)
        equal(m.c.call("SET", "k", "own"), "OK")


@limit(180)
@cairn_only("the log is ours")
def test_a_failover_is_aborted_by_who_cannot_lead_again(env):
    follower = env.start()
    with Machine(env) as m:
        follow(follower, m.server)
        in_step(m.server, follower)
        with frozen(follower):
            equal(m.c.call("SET", "k", "v"), "OK")
            equal(m.c.call("FAILOVER", "TO", "127.0.0.1", follower.port, "FORCE", "TIMEOUT", 1),
                  "OK")
            eventually(lambda: info(m.c, "master_failover_state") == "failover-in-progress", 60)
            m.disk.fail("sync", errno.EIO, "manifest")
            equal(m.c.call("FAILOVER", "ABORT"),
                  Error(b"ERR Failover aborted, but this server cannot lead again, see its log"))
            equal(m.c.call("ROLE")[:3], [b"slave", b"127.0.0.1", follower.port])
            equal(info(m.c, "master_failover_state"), "no-failover")
            m.disk.heal()
            equal(m.c.call("REPLICAOF", "NO", "ONE"), "OK")
            eventually(lambda: m.c.call("ROLE")[0] == b"master", 60)
            equal(m.c.call("SET", "k", "own"), "OK")


@limit(180)
@cairn_only("the log is ours")
def test_a_log_that_has_ended_keeps_nobody_from_following(env):
    leader = env.start()
    up = env.client(2, leader)
    equal(up.call("SET", "whose", "the leader's"), "OK")
    for waits in (False, True):
        with Machine(env, appendonly="no", save="") as m:
            equal(m.c.call("SET", "whose", "its own"), "OK")
            m.disk.fail("pwrite", errno.ENOSPC, BASE)
            equal(m.c.call("CONFIG", "SET", "appendonly", "yes"), "OK")
            if waits:
                equal(m.c.call("REPLICAOF", "127.0.0.1", leader.port), "OK")
                eventually(lambda: "waits for the log's first rewrite" in m.server.log_text(), 60)
            equal(m.c.call("CONFIG", "SET", "appendonly", "no"), "OK")
            if not waits:
                equal(m.c.call("REPLICAOF", "127.0.0.1", leader.port), "OK")
            eventually(lambda: m.c.call("ROLE")[0] == b"slave", 60)
            in_step(leader, m.server)
            equal(m.c.call("GET", "whose"), "the leader's")


@limit(180)
@cairn_only("the log is ours")
def test_a_failover_takes_the_place_of_a_replicaof_that_waits(env):
    follower, third = env.start(), env.start()
    with Machine(env, appendonly="no", save="") as m:
        follow(follower, m.server)
        in_step(m.server, follower)
        m.disk.fail("pwrite", errno.ENOSPC, BASE)
        equal(m.c.call("CONFIG", "SET", "appendonly", "yes"), "OK")
        equal(m.c.call("REPLICAOF", "127.0.0.1", third.port), "OK")
        eventually(lambda: "waits for the log's first rewrite" in m.server.log_text(), 60)
        in_step(m.server, follower)
        equal(m.c.call("FAILOVER"), "OK")
        m.disk.heal()
        eventually(lambda: "Failover done" in m.server.log_text(), 60)
        # As long as ten turns of the work that would make it follow the third one.
        for turn in range(20):
            equal(m.c.call("ROLE")[:3], [b"slave", b"127.0.0.1", follower.port], str(turn))
            time.sleep(0.05)
        in_step(follower, m.server)
        with third.client() as c:
            equal(info(c, "connected_slaves"), "0")
