# SPDX-License-Identifier: BSD-3-Clause
"""FAILOVER: a leader hands its role to a follower of either kind, and no write that it answered is
lost; what is refused meanwhile, and the ways in which it does not come to that."""

import contextlib
import select
import threading

from harness import ONCE, Client, check, equal, eventually, limit
from harness.impostor import Impostor
from harness.proxy import Proxy
from harness.replication import PATIENCE, cairn, follow, freeze, in_step, info, oracle, thaw
from harness.resp import Error

MATRIX = ONCE


def until(client, state):
    eventually(lambda: info(client, "master_failover_state") == state, PATIENCE, "never " + state)


class Writers:
    """Each writes keys of its own to the first server until that is read-only, then to the other;
    and back, if it comes there before the role does."""

    def __init__(self, ports, count=3):
        self.ports, self.stopping, self.errors = ports, False, []
        self.acknowledged = [[] for _ in range(count)]
        self.moved = [False] * count
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True)
                        for i in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self, writer):
        try:
            number = at = 0
            while not self.stopping:
                with Client(self.ports[at], timeout=60) as client:
                    while not self.stopping:
                        key = "w:%d:%d" % (writer, number)
                        reply = client.call("SET", key, number)
                        if reply == b"OK":
                            self.acknowledged[writer].append(key)
                            number += 1
                            self.moved[writer] = at > 0
                        elif getattr(reply, "code", None) == b"READONLY":
                            at = 1 - at
                            break
                        else:
                            raise EOFError(repr(reply))
        except (OSError, EOFError) as error:
            self.errors.append(error)

    def reach(self, count):
        wanted = sum(map(len, self.acknowledged)) + count
        eventually(lambda: sum(map(len, self.acknowledged)) >= wanted or self.errors, PATIENCE)
        equal(self.errors, [])

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()
        equal(self.errors, [])
        return [key for keys in self.acknowledged for key in keys]


def hand_over(env, old, new, command):
    follow(new, old)
    in_step(old, new)
    syncs = new.log_text().count("Full resync")
    with old.client() as a, new.client() as b:
        first_id = info(a, "master_replid")
        writers = Writers([old.port, new.port])
        writers.reach(300)
        equal(a.call("FAILOVER", *command), b"OK")
        eventually(lambda: all(writers.moved) or writers.errors, PATIENCE, "the role did not move")
        writers.reach(300)
        acknowledged = writers.stop()
        equal(b.call("ROLE")[0], b"master")
        equal(a.call("ROLE")[:3], [b"slave", b"127.0.0.1", new.port])
        until(a, "no-failover")
        in_step(new, old)
        missing = [key for key, value in zip(acknowledged, b.pipeline(
            [("EXISTS", key) for key in acknowledged])) if value != 1]
        equal(missing, [])
        equal(info(b, "master_replid2"), first_id)
        # Nobody had to take all of it.
        equal(new.log_text().count("Full resync"), syncs)


@limit(120)
def test_cairn_to_cairn_and_back(env):
    first, second = cairn(env), cairn(env)
    hand_over(env, first, second, ("TO", "127.0.0.1", second.port))
    # The old leader follows by now; any follower will do.
    with second.client() as c:
        equal(c.call("SET", "k", "v"), b"OK")
        in_step(second, first)
        equal(c.call("FAILOVER"), b"OK")
        eventually(lambda: c.call("ROLE")[0] == b"slave", PATIENCE)
    in_step(first, second)


@limit(120)
def test_cairn_to_redis(env):
    old, new = cairn(env), oracle(env)
    hand_over(env, old, new, ("TO", "127.0.0.1", new.port, "TIMEOUT", 60000))


@limit(120)
def test_redis_to_cairn(env):
    old, new = oracle(env, repl_diskless_sync_delay=0), cairn(env)
    hand_over(env, old, new, ())


@limit(120)
def test_the_other_followers_go_on(env):
    old, new, other = cairn(env), cairn(env), cairn(env)
    for follower in (new, other):
        follow(follower, old)
        in_step(old, follower)
    with old.client() as c:
        equal(c.call("SET", "before", 1), b"OK")
        equal(c.call("FAILOVER", "TO", "127.0.0.1", new.port), b"OK")
        eventually(lambda: c.call("ROLE")[0] == b"slave", PATIENCE)
    in_step(new, old)
    with new.client() as c:
        equal(c.call("SET", "after", 1), b"OK")
    in_step(old, other)
    follow(other, new)
    in_step(new, other)
    equal(other.log_text().count("Full resync"), 1)


class Frozen:
    """A leader and a follower that has stopped running and lacks a write."""

    def __init__(self, env):
        self.leader, self.follower = cairn(env), cairn(env)
        follow(self.follower, self.leader)
        in_step(self.leader, self.follower)
        freeze(self.follower)
        with self.leader.client() as c:
            equal(c.call("SET", "not there yet", 1), b"OK")

    def force(self, c):
        """The follower is to lead, and does not answer."""
        equal(c.call("FAILOVER", "TO", "127.0.0.1", self.follower.port, "FORCE", "TIMEOUT", 100),
              b"OK")
        until(c, "failover-in-progress")

    def catch_up(self):
        thaw(self.follower)
        in_step(self.leader, self.follower)


def test_abort(env):
    pair = Frozen(env)
    with pair.leader.client() as c, pair.leader.client() as writer, \
            pair.leader.client() as reader, pair.leader.client() as queue:
        equal(queue.call("MULTI"), b"OK")
        equal(queue.call("EVAL_RO", "return 2", 0), b"QUEUED")
        equal(c.call("FAILOVER"), b"OK")
        equal(info(c, "master_failover_state"), "waiting-for-sync")
        writer.send("SET", "k", "v")
        # A script could become busy, and the role could not change: those that only read wait, too.
        reader.send("EVAL_RO", "return 1", 0)
        queue.send("EXEC")
        for _ in range(100):
            equal(c.call("GET", "k"), None)
        equal(select.select([reader.sock, queue.sock], [], [], 0)[0], [])
        equal(c.call("FAILOVER"), Error(b"ERR FAILOVER already in progress."))
        equal(c.call("REPLICAOF", "127.0.0.1", 1),
              Error(b"ERR REPLICAOF not allowed while failing over."))
        equal(c.call("PSYNC", "?", "-1"), Error(b"NOMASTERLINK Can't SYNC while failing over"))
        offset = info(c, "master_repl_offset")
        equal(c.call("FAILOVER", "ABORT"), b"OK")
        equal(writer.read(), b"OK")
        equal(reader.read(), 1)
        equal(queue.read(), [2])
        equal(info(c, "master_failover_state"), "no-failover")
        check(info(c, "master_repl_offset") != offset, "the write is not in the stream")
        equal(c.call("FAILOVER", "ABORT"), Error(b"ERR No failover in progress."))
    pair.catch_up()


def test_timeout(env):
    pair = Frozen(env)
    with pair.leader.client() as c:
        equal(c.call("FAILOVER", "TIMEOUT", 100), b"OK")
        # Waits until it is given up.
        equal(c.call("SET", "k", "v"), b"OK")
        equal(info(c, "master_failover_state"), "no-failover")
        equal(c.call("ROLE")[0], b"master")
    check("Replica never caught up before timeout" in pair.leader.log_text(), "no reason logged")
    pair.catch_up()


def test_force(env):
    pair = Frozen(env)
    with pair.leader.client() as c:
        pair.force(c)
        equal(c.call("SET", "k", "v").code, b"READONLY")
        thaw(pair.follower)
        until(c, "no-failover")
        equal(c.call("ROLE")[:3], [b"slave", b"127.0.0.1", pair.follower.port])
    with pair.follower.client() as c:
        equal(c.call("SET", "k", "v"), b"OK")
    in_step(pair.follower, pair.leader)


def test_abort_while_the_target_does_not_answer(env):
    pair = Frozen(env)
    with pair.leader.client() as c:
        pair.force(c)
        equal(c.call("FAILOVER", "ABORT"), b"OK")
        equal(c.call("ROLE")[0], b"master")
        equal(c.call("SET", "k", "v"), b"OK")
    pair.catch_up()


@contextlib.contextmanager
def failing_over_to(leader, target):
    """FAILOVER to one that follows by hand: it has all of the stream, and says so. Yields a client
    of the leader's, and the words of the PSYNC that is to come."""
    with leader.client() as c, leader.client() as follower:
        equal(c.call("SET", "k", "v"), b"OK")
        stream = info(c, "master_replid")
        equal(follower.call("REPLCONF", "listening-port", target.port, "capa", "psync2"), b"OK")
        # The leader's log exists from its first write on.
        offset = int(info(c, "master_repl_offset"))
        check(follower.call("PSYNC", stream, offset + 1).startswith(b"CONTINUE"), "no partial sync")
        eventually(lambda: "state=online" in (info(c, "slave0") or ""), PATIENCE)
        equal(c.call("FAILOVER", "TO", "127.0.0.1", target.port), b"OK")
        equal(info(c, "master_failover_state"), "waiting-for-sync")
        offset = int(info(c, "master_repl_offset"))
        follower.send("REPLCONF", "ACK", offset)
        yield c, [stream.encode(), b"%d" % (offset + 1)]


def test_a_target_that_refuses(env):
    leader, target = cairn(env), Impostor()
    target.answer = b"-ERR no\r\n"
    with failing_over_to(leader, target) as (c, request):
        until(c, "no-failover")
        equal(c.call("ROLE")[0], b"master")
        equal(c.call("SET", "k", "w"), b"OK")
    # It may be asked for the stream once more before that is noticed; but not to lead.
    equal([words for words in target.asked if len(words) > 2], [request + [b"FAILOVER"]])


PREFLIGHT = [b"-LOADING Redis is loading the dataset in memory",
             b"-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN "
             b"NOSAVE.",
             b"-NOPERM this user has no permissions to run the 'psync' command",
             b"-MISCONF Redis is configured to save RDB snapshots",
             b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
             b"-NOMASTERLINK Can't SYNC while not connected with my master",
             b"-NOAUTH Authentication required."]
ALREADY_LEADS = b"-ERR PSYNC FAILOVER can't be sent to a master.\r\n"


def leads(words):
    """What one says to PSYNC that leads, under an id of its own."""
    return ALREADY_LEADS if len(words) > 2 else b"+CONTINUE %s\r\n" % (b"b" * 40)


MAY_LEAD = (b"ERR The replica was asked to lead and has not answered: it may lead by now. "
            b"FAILOVER ABORT FORCE leads here again whatever it does.")


def test_a_target_that_leads_and_whose_answer_is_lost(env):
    leader, target = cairn(env), Impostor()
    with failing_over_to(leader, target) as (c, request):
        eventually(lambda: target.asked == [request + [b"FAILOVER"]], PATIENCE, "it is not asked")
        for _ in range(3):
            equal(c.call("FAILOVER", "ABORT"), Error(MAY_LEAD))
        equal(info(c, "master_failover_state"), "failover-in-progress")
        equal(c.call("SET", "k", "w").code, b"READONLY")
        target.answer = leads
        target.hang_up()
        until(c, "no-failover")
        equal(c.call("ROLE")[:3], [b"slave", b"127.0.0.1", target.port])
        eventually(lambda: "ID changed to " + "b" * 40 in leader.log_text(), PATIENCE)
        equal(target.asked[1:3], [request + [b"FAILOVER"], request])
        equal(c.call("FAILOVER", "ABORT"), Error(b"ERR No failover in progress."))


def test_a_target_that_cannot_lead_now(env):
    """Redis and Cairn say all of these before they look at their role: it will not lead because of
    this request, which was the first."""
    for answer in PREFLIGHT:
        leader, target = cairn(env), Impostor()
        target.answer = answer + b"\r\n"
        with failing_over_to(leader, target) as (c, _):
            until(c, "no-failover")
            equal(c.call("ROLE")[0], b"master")
            equal(c.call("SET", "k", "w"), b"OK")
        leader.stop()


@limit(120)
def test_a_target_that_may_lead_and_does_not_tell(env):
    """Its answer was lost, and what it says to the next request does not tell whether it leads."""
    leader, target = cairn(env), Impostor()
    with failing_over_to(leader, target) as (c, _):
        eventually(lambda: len(target.asked) == 1, PATIENCE, "it is not asked")
        answers = [answer + b"\r\n" for answer in PREFLIGHT]
        target.answer = lambda words: answers.pop() if answers else b""
        target.hang_up()
        eventually(lambda: len(target.asked) == len(PREFLIGHT) + 2, PATIENCE, "it is asked no more")
        check(all(words[2:] == [b"FAILOVER"] for words in target.asked), repr(target.asked))
        equal(info(c, "master_failover_state"), "failover-in-progress")
        equal(c.call("SET", "k", "w").code, b"READONLY")
        equal(c.call("FAILOVER", "ABORT"), Error(MAY_LEAD))
        target.answer = leads
        target.hang_up()
        until(c, "no-failover")
        equal(c.call("ROLE")[:3], [b"slave", b"127.0.0.1", target.port])


def leads_on_when_asked_again(env, answer):
    """The first answer is lost, the second is this one."""
    leader, target = cairn(env), Impostor()
    with failing_over_to(leader, target) as (c, _):
        eventually(lambda: target.asked, PATIENCE, "it is not asked")
        target.answer = answer
        target.hang_up()
        until(c, "no-failover")
        equal(c.call("ROLE")[0], b"master")
        equal(c.call("SET", "k", "w"), b"OK")


def test_a_target_that_follows_another_by_now(env):
    leads_on_when_asked_again(env, b"-ERR PSYNC FAILOVER replid must match my replid.\r\n")


def test_a_target_that_tried_and_follows_still(env):
    leads_on_when_asked_again(env, b"-ERR This replica cannot be promoted, see its log\r\n")


def test_who_asks_another_to_lead_leads_for_nobody(env):
    """Redis drops its role here, too, and hangs in its failover; two could lead."""
    leader, target = cairn(env), Impostor()
    with failing_over_to(leader, target) as (c, request):
        eventually(lambda: target.asked, PATIENCE, "it is not asked")
        with leader.client() as other:
            equal(other.call("PSYNC", *request, "FAILOVER"),
                  Error(b"NOMASTERLINK Can't SYNC while failing over"))
            equal(other.call("REPLICAOF", "NO", "ONE"),
                  Error(b"ERR REPLICAOF not allowed while failing over."))
        equal(info(c, "master_failover_state"), "failover-in-progress")
        equal(c.call("ROLE")[:3], [b"slave", b"127.0.0.1", target.port])
        equal(c.call("FAILOVER", "ABORT", "FORCE"), b"OK")
        equal(c.call("ROLE")[0], b"master")
        equal(c.call("SET", "k", "w"), b"OK")


def test_a_target_that_leads_without_having_been_asked(env):
    """As in Redis: this server leads on."""
    leader, target = cairn(env), Impostor()
    target.answer = ALREADY_LEADS
    with failing_over_to(leader, target) as (c, _):
        until(c, "no-failover")
        equal(c.call("ROLE")[0], b"master")


def test_abort_of_one_that_may_lead(env):
    leader, target = cairn(env), Impostor()
    with failing_over_to(leader, target) as (c, _):
        eventually(lambda: target.asked, PATIENCE, "it is not asked")
        # The link is down, and the answer as unknown as before.
        target.hang_up()
        equal(c.call("FAILOVER", "ABORT"), Error(MAY_LEAD))
        equal(c.call("FAILOVER", "ABORT", "FORCE"), b"OK")
        equal(c.call("ROLE")[0], b"master")
        equal(c.call("SET", "k", "w"), b"OK")
        equal(c.call("FAILOVER", "ABORT", "FORCE"), Error(b"ERR No failover in progress."))


@limit(240)
def test_the_answer_of_a_target_that_leads_is_lost(env):
    for make in (cairn, oracle):
        leader, target = cairn(env), make(env)
        proxy = Proxy(target.port)
        proxy.cut_at = b"+CONTINUE"
        with target.client() as down, leader.client() as up:
            equal(down.call("CONFIG", "SET", "replica-announce-port", proxy.port), b"OK")
            follow(target, leader)
            in_step(leader, target)
            equal(up.call("SET", "k", "v"), b"OK")
            equal(up.call("FAILOVER", "TO", "127.0.0.1", proxy.port), b"OK")
            until(up, "no-failover")
            equal(proxy.cut_at, None, "the answer came at once")
            equal(down.call("ROLE")[0], b"master")
            equal(up.call("ROLE")[:3], [b"slave", b"127.0.0.1", proxy.port])
            equal(down.call("SET", "k", "w"), b"OK")
            in_step(target, leader)
        proxy.close()


def test_refusals(env):
    """Letter for letter what redis-server says."""
    requests = [("FAILOVER",), ("FAILOVER", "ABORT"), ("FAILOVER", "abort", "x"),
                ("FAILOVER", "TIMEOUT"), ("FAILOVER", "TIMEOUT", "0"), ("FAILOVER", "TIMEOUT", "x"),
                ("FAILOVER", "TIMEOUT", "-1"), ("FAILOVER", "TIMEOUT", "5", "TIMEOUT", "5"),
                ("FAILOVER", "TO", "h"), ("FAILOVER", "TO", "h", "x"), ("FAILOVER", "TO", "h", "1"),
                ("FAILOVER", "TO", "h", "1", "FORCE", "FORCE"), ("FAILOVER", "FORCE"),
                ("FAILOVER", "nonsense"), ("PSYNC", "x", "1", "FAILOVER"),
                ("COMMAND", "INFO", "FAILOVER")]
    with_follower = requests + [("FAILOVER", "FORCE", "TIMEOUT", "1"),
                                ("FAILOVER", "TO", "127.0.0.1", "1", "FORCE"),
                                ("FAILOVER", "TO", "127.0.0.1", "1"),
                                ("FAILOVER", "TO", "127.0.0.1", "1", "FORCE", "TIMEOUT", "5")]
    with_follower.remove(("FAILOVER",))
    ours, theirs = cairn(env), oracle(env, repl_diskless_sync_delay=0)
    last, other = cairn(env), oracle(env)
    with ours.client() as a, theirs.client() as b:
        for request in requests:
            equal(a.call(*request), b.call(*request), repr(request))
        follow(last, ours)
        follow(other, theirs)
        in_step(ours, last)
        in_step(theirs, other)
        for request in with_follower:
            equal(a.call(*request), b.call(*request), repr(request))
    # As followers; the link to nobody stays down.
    for server in (last, other):
        with server.client() as c:
            equal(c.call("REPLICAOF", "127.0.0.1", 1), b"OK")
    with last.client() as a, other.client() as b:
        for request in requests:
            equal(a.call(*request), b.call(*request), repr(request))
