# SPDX-License-Identifier: BSD-3-Clause
"""A replica whose leader sends what no Cairn would."""

from harness import ONCE, check, equal, eventually
from harness.impostor import Impostor, resp
from harness.replication import PATIENCE, cairn, info

MATRIX = ONCE


def test_a_leader_whose_stream_holds_what_changes_no_data(env):
    """Such as what would have the replica wait for itself: the link ends, and nothing else."""
    follower, impostor = cairn(env), Impostor()
    snapshot = b"REDIS0010\xff" + bytes(8)
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
                impostor.answer = (b"+FULLRESYNC %s 0\r\n$%d\r\n" % (b"a" * 40, len(snapshot)) +
                                   snapshot + stream)
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
