# SPDX-License-Identifier: BSD-3-Clause
"""Replication while a script that never ends has all locks, at the leader or at the follower: its
threads wait for nobody, so the server can end, and goes on when the script has ended."""

import socket
import threading

from harness import ONCE, check, equal, eventually, limit, skip
from harness.replication import PATIENCE, cairn, follow, frozen, in_step, info
from harness.resp import Error, encode
from harness.server import slow_build

MATRIX = ONCE

BUSY = "busy_reply_threshold"
FOREVER = "while true do end"
# Nothing of this can be taken back, so it cannot be killed.
UNKILLABLE = "redis.call('set', 'k', 'v') redis.call('flushall') " + FOREVER


def until_busy(client):
    eventually(lambda: isinstance(client.call("PING"), Error), PATIENCE, "nobody says BUSY")


def end_it(server, client):
    client.send("SHUTDOWN", "NOSAVE")
    equal(server.process.wait(PATIENCE), 0)


def follow_and_run(client, script):
    """The script has the locks before the leader's thread has seen to the follower."""
    client.send_raw(encode("PSYNC", "?", "-1") + encode("EVAL", script, 0))


def test_a_leader_whose_follower_waits_for_a_snapshot_can_end(env):
    for log in ("yes", "no"):
        leader = cairn(env, appendonly=log, **{BUSY: 100})
        if slow_build(leader.binary):
            skip("such an end leaves threads, which sanitizers report")
        with leader.client() as follower, leader.client() as other:
            equal(other.call("SET", "k", "before"), b"OK")
            follow_and_run(follower, UNKILLABLE)
            until_busy(other)
            end_it(leader, other)


def test_a_follower_that_waits_for_a_snapshot_gets_it_behind_the_script(env):
    for log in ("yes", "no"):
        leader = cairn(env, appendonly=log, **{BUSY: 100})
        with leader.client() as follower, leader.client() as other:
            equal(other.call("SET", "k", "v"), b"OK")
            follow_and_run(follower, FOREVER)
            until_busy(other)
            equal(other.call("SCRIPT", "KILL"), b"OK")
            eventually(lambda: other.call("PING") == b"PONG", PATIENCE)
            eventually(lambda: "state=wait_bgsave" not in
                       (info(other, "slave0") or "state=wait_bgsave"), PATIENCE, "no snapshot")


@limit(120)
def test_a_follower_that_cannot_apply_can_end(env):
    """What its leader writes waits behind the script."""
    for end in (True, False):
        leader, follower = cairn(env), cairn(env, **{BUSY: 100})
        follow(follower, leader)
        in_step(leader, follower)
        with leader.client() as up, follower.client() as runner, follower.client() as down:
            runner.send("EVAL", FOREVER, 0)
            until_busy(down)
            equal(up.call("SET", "k", "v"), b"OK")
            equal(up.call("FLUSHALL"), b"OK")
            equal(up.call("SET", "last", "v"), b"OK")
            if end:
                end_it(follower, down)
                continue
            equal(down.call("SCRIPT", "KILL"), b"OK")
            eventually(lambda: down.call("PING") == b"PONG", PATIENCE)
            in_step(leader, follower)
            equal(down.call("GET", "last"), b"v")


def test_a_follower_that_cannot_load_can_end(env):
    """Its first full sync waits behind the script."""
    leader, follower = cairn(env), cairn(env, **{BUSY: 100})
    with leader.client() as up, follower.client() as runner, follower.client() as down:
        equal(up.call("SET", "k", "v"), b"OK")
        # The script begins before the link has found the leader: nobody loads yet.
        with frozen(leader):
            runner.send_raw(encode("REPLICAOF", "127.0.0.1", leader.port) +
                            encode("EVAL", FOREVER, 0))
            equal(runner.read(), b"OK")
            until_busy(down)
        eventually(lambda: "Full resync requested" in leader.log_text(), PATIENCE)
        end_it(follower, down)


class Impostor:
    """A leader that says yes to everything, and `answer` to PSYNC."""

    def __init__(self):
        self.answer = b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            connection = self.listener.accept()[0]
            try:
                with connection:
                    self.serve(connection)
            except OSError:
                pass

    def serve(self, connection):
        requests = connection.makefile("rb")
        while True:
            head = requests.readline()
            if not head:
                return
            parts = [requests.read(int(requests.readline()[1:]) + 2)[:-2]
                     for _ in range(int(head[1:]))]
            connection.sendall(self.answer if parts[0] == b"PSYNC" else b"+OK\r\n")


def resp(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def test_a_leader_whose_stream_holds_what_changes_no_data(env):
    """Such as what would have the replica wait for itself: the link ends, and nothing else."""
    follower, impostor = cairn(env), Impostor()
    snapshot = b"REDIS0010\xff" + bytes(8)
    with follower.client() as c:
        for words in ((b"REPLICAOF", b"NO", b"ONE"), (b"BACKUP", b"TO", b"x"),
                      (b"FAILOVER", b"ABORT"), (b"SUBSCRIBE", b"channel"), (b"MONITOR",),
                      (b"CONFIG", b"SET", b"appendonly", b"no"), (b"BGSAVE",), (b"SAVE",),
                      (b"EVAL", FOREVER.encode(), b"0"), (b"EVALSHA", b"a" * 40, b"0"),
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
