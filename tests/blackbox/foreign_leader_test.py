# SPDX-License-Identifier: BSD-3-Clause
"""A replica whose leader sends what no Cairn would."""

import os

from harness import ONCE, check, equal, eventually
from harness.impostor import Impostor, resp
from harness.replication import PATIENCE, cairn, info

MATRIX = ONCE

ID = b"a" * 40
NO_KEYS = b"REDIS0010\xff" + bytes(8)


def full_sync(stream, snapshot=NO_KEYS):
    return b"+FULLRESYNC %s 0\r\n$%d\r\n" % (ID, len(snapshot)) + snapshot + stream


def test_what_was_applied_in_part_is_nobodys_stream(env):
    """A group that fails in its middle: no snapshot of it goes on from there, restarts included."""
    follower, impostor = cairn(env, appendonly="yes"), Impostor()
    impostor.answer = full_sync(
        resp(b"SELECT", b"0") + resp(b"SET", b"s", b"v") + resp(b"MULTI") + resp(b"INCR", b"n") +
        resp(b"RPUSH", b"s", b"x") + resp(b"EXEC"))
    with follower.client() as c:
        equal(c.call("REPLICAOF", "127.0.0.1", impostor.port), b"OK")
        eventually(lambda: "A full resynchronization is needed" in follower.log_text(), PATIENCE)
        equal(impostor.fall_silent(), [b"?", b"-1"])
        equal(c.call("GET", "n"), b"1", "half of the group")
        before = info(c, "aof_rewrites", "persistence")
        equal(c.call("BGREWRITEAOF"), b"Background append only file rewriting started")
        eventually(lambda: info(c, "aof_rewrites", "persistence") != before, PATIENCE, "no snapshot")
    follower.restart()
    with follower.client() as c:
        equal(c.call("GET", "n"), b"1", "half of the group, in the files")
        before = len(impostor.unanswered)
        equal(c.call("REPLICAOF", "127.0.0.1", impostor.port), b"OK")
        check(impostor.fall_silent(before)[0] != ID, "it would go on behind half of a group")


def test_what_is_refused_is_asked_for_less_and_less_often(env):
    follower, impostor = cairn(env), Impostor()
    impostor.answer = full_sync(resp(b"NOSUCHCOMMAND"))
    with follower.client() as c:
        equal(c.call("REPLICAOF", "127.0.0.1", impostor.port), b"OK")
    for seconds in (2, 4):
        eventually(lambda: "is asked for in %d seconds" % seconds in follower.log_text(), PATIENCE)
    check("'NOSUCHCOMMAND': unknown command" in follower.log_text(), "it does not say what is wrong")


def test_the_file_of_a_full_sync_goes_where_no_log_is_kept(env):
    follower, impostor = cairn(env, appendonly="no"), Impostor()
    folder = os.path.join(follower.folder, "replication-%d" % follower.port)
    impostor.answer = full_sync(resp(b"SET", b"s", b"v"))
    with follower.client() as c:
        equal(c.call("SET", "own", "kept while the leader's file comes"), b"OK")
        equal(c.call("REPLICAOF", "127.0.0.1", impostor.port), b"OK")
        eventually(lambda: c.call("GET", "s") == b"v", PATIENCE)
        eventually(lambda: not [name for name in os.listdir(folder) if name.endswith(".rdb")],
                   PATIENCE, "its file stays")


def test_what_the_leaders_data_took_is_known_while_it_is_loaded(env):
    follower, impostor = cairn(env), Impostor()
    impostor.answer = (b"+FULLRESYNC %s 0\r\n$1000000\r\n" % ID +
                       b"REDIS0010\xfa\x08used-mem\x06123456" + b"\xfa\x01x\x01y" * 10_000)
    with follower.client() as c:
        equal(c.call("REPLICAOF", "127.0.0.1", impostor.port), b"OK")
        eventually(lambda: info(c, "loading_rdb_used_mem", "persistence") == "123456", PATIENCE)


def test_a_leader_whose_stream_holds_what_changes_no_data(env):
    """Such as what would have the replica wait for itself: the link ends, and nothing else."""
    follower, impostor = cairn(env), Impostor()
    with follower.client() as c:
        for words in ((b"REPLICAOF", b"NO", b"ONE"), (b"BACKUP", b"TO", b"x"),
                      (b"FAILOVER", b"ABORT"), (b"SUBSCRIBE", b"channel"), (b"MONITOR",),
                      (b"CONFIG", b"SET", b"appendonly", b"no"), (b"BGSAVE",), (b"SAVE",),
                      (b"EVAL", b"while true do end", b"0"), (b"EVALSHA", b"a" * 40, b"0"),
                      (b"FCALL", b"f", b"0"), (b"EVAL_RO", b"return 1", b"0")):
            reason = "no command that changes data"
            if words[0].startswith((b"EVAL", b"FCALL")):
                reason = "'%s': a script itself" % words[0].decode()
            for wrap in (False, True):
                stream = resp(*words)
                if wrap:
                    stream = resp(b"MULTI") + stream + resp(b"EXEC")
                impostor.answer = full_sync(stream)
                before = follower.log_text().count(reason)
                equal(c.call("REPLICAOF", "127.0.0.1", impostor.port), b"OK")
                eventually(lambda: follower.log_text().count(reason) > before, PATIENCE,
                           "it was run")
                equal(c.call("REPLICAOF", "NO", "ONE"), b"OK")
                eventually(lambda: info(c, "role") == "master", PATIENCE)
        equal(c.call("CONFIG", "GET", "appendonly")[1], b"yes")
    equal(follower.alive(), True)


def test_a_leader_with_an_impossible_offset(env):
    """One that no log has room behind is refused, and nothing of it stays."""
    follower, impostor = cairn(env), Impostor()
    with follower.client() as c:
        for offset in ((1 << 63) - 1, 1 << 52, (1 << 52) - 2):
            answer = "+FULLRESYNC %s %d" % ("a" * 40, offset)
            impostor.answer = answer.encode() + b"\r\n$0\r\n"
            equal(c.call("REPLICAOF", "127.0.0.1", impostor.port), b"OK")
            eventually(lambda: "unexpected reply to PSYNC from the leader: " + answer in
                       follower.log_text(), PATIENCE, "it was believed")
            equal(c.call("REPLICAOF", "NO", "ONE"), b"OK")
            eventually(lambda: info(c, "role") == "master", PATIENCE)
            check(int(info(c, "master_repl_offset")) < 1000, "it went there")
            equal(c.call("SET", "k", "v"), b"OK")
