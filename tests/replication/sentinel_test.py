# SPDX-License-Identifier: BSD-3-Clause
"""Debian's redis-sentinel and Cairn: one leader, two followers, three sentinels; the leader is
killed, then frozen. Takes tens of seconds, so it is part of `make test-long`."""

import contextlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from harness import ONCE, Client, cairn_only, check, equal, eventually, limit
from harness.server import Server, free_port

MATRIX = ONCE
PATIENCE = 90
# Sentinel sends a server that it has just come to follow its first PING after a second, and counts
# its silence from before that: with a second here it takes each new leader, redis-server's too, for
# down at that moment, and deposes it if a second Sentinel looks in the same tenth of a second.
DOWN_AFTER_MS = 2000


def info(server, name):
    """A line of INFO, on a connection of its own: Sentinel kills clients at a role change."""
    try:
        with server.client() as c:
            for line in c.call("INFO", "replication").decode().splitlines():
                if line.startswith(name + ":"):
                    return line.split(":", 1)[1]
    except (OSError, EOFError, AttributeError):
        pass
    return None


def make(env, leader=None, directives=()):
    server = Server(wait=False)
    server.config_file = server.folder + "/cairn.conf"
    port = free_port()
    with open(server.config_file, "w") as conf:
        conf.write("port %d\ndir %s\nbind 127.0.0.1\nenable-debug-command yes\n" %
                   (port, server.folder))
        conf.writelines(line + "\n" for line in directives)
        if leader:
            conf.write("replicaof 127.0.0.1 %d\n" % leader.port)
    # What Sentinel rewrites must not be overruled by the command line.
    server.directives = {"threads": 2, "port": port}
    env.own.append(server)
    return server.start()


class Sentinel:
    def __init__(self, leader):
        self.folder, self.port = tempfile.mkdtemp(prefix="cairn-sentinel-"), free_port()
        with open(self.folder + "/sentinel.conf", "w") as conf:
            conf.write("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor cairn 127.0.0.1 %d 2\n"
                       "sentinel down-after-milliseconds cairn %d\n"
                       "sentinel failover-timeout cairn 6000\n" %
                       (self.port, self.folder, leader.port, DOWN_AFTER_MS))
        with open(self.folder + "/log", "w") as log:
            self.process = subprocess.Popen(["redis-sentinel", self.folder + "/sentinel.conf"],
                                            stdout=log, stderr=log)

    def log_text(self):
        with open(self.folder + "/log", errors="replace") as log:
            return log.read()

    def told_leader(self):
        """The port of whom it sends clients to."""
        with Client(self.port, timeout=20) as c:
            return int(c.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "cairn")[1])

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def write(server, key):
    """True once the write is on a follower, too."""
    try:
        with server.client() as c:
            return c.call("SET", key, key) == b"OK" and c.call("WAIT", 1, 5000) >= 1
    except (OSError, EOFError):
        return False


def replaced(servers, victim):
    """The server that leads instead of the victim."""
    rest = [s for s in servers if s is not victim]

    def leader():
        found = [s for s in rest if info(s, "role") == "master"]
        return found[0] if len(found) == 1 else None

    return eventually(leader, PATIENCE, "nobody was promoted")


def joined(follower, leader):
    return (info(follower, "role") == "slave" and
            info(follower, "master_port") == str(leader.port) and
            info(follower, "master_link_status") == "up")


def same_data(servers):
    def digests():
        found = set()
        for server in servers:
            with server.client() as c:
                found.add(c.call("DEBUG", "DIGEST"))
        return len(found) == 1
    eventually(digests, PATIENCE, "the data differs")


def explain(servers, sentinels):
    """What everybody saw, for whoever reads of the failure: servers keep their folders."""
    for server in servers:
        print("%d in %s: role %s, leader %s, link %s" % (
            server.port, server.folder, info(server, "role"), info(server, "master_port"),
            info(server, "master_link_status")))
    for sentinel in sentinels:
        print("sentinel %d:" % sentinel.port)
        print("".join("  " + line + "\n" for line in sentinel.log_text().splitlines()[-60:]))


@contextlib.contextmanager
def managed(env, directives=()):
    """A leader and two followers under three sentinels that know all of them."""
    first = make(env, directives=directives)
    servers = [first] + [make(env, first, directives) for _ in range(2)]
    sentinels = [Sentinel(first) for _ in range(3)]
    try:
        eventually(lambda: all(info(s, "master_link_status") == "up" for s in servers[1:]), PATIENCE)
        # Two followers and two other sentinels are known once each has said hello.
        eventually(lambda: all("+sentinel" in s.log_text() and s.log_text().count("+slave ") >= 2
                               for s in sentinels), PATIENCE, "the sentinels do not meet")
        yield servers, sentinels
    except BaseException:
        explain(servers, sentinels)
        raise
    finally:
        for sentinel in sentinels:
            sentinel.stop()


def settled(servers, sentinels):
    """The one that leads, once all sentinels say so and all others follow it."""
    leaders = [s for s in servers if info(s, "role") == "master"]
    if len(leaders) != 1:
        return None
    leader = leaders[0]
    agreed = (all(s.told_leader() == leader.port for s in sentinels) and
              all(joined(s, leader) for s in servers if s is not leader))
    return leader if agreed else None


def depose(servers, sentinels, victim, how, before_return=lambda leader: None):
    """Kills or freezes the leader, and has it back as a follower. Whom it follows is said by who
    leads in the end: where processes wait a second for the processor, Sentinel takes that for
    another failure."""
    begun = time.monotonic()
    victim.process.send_signal(how)
    leader = replaced(servers, victim)
    print("promoted after %.1f s" % (time.monotonic() - begun))
    before_return(leader)
    if how == signal.SIGKILL:
        victim.process.wait()
        victim.start()
    else:
        victim.process.send_signal(signal.SIGCONT)
    begun = time.monotonic()
    leader = eventually(lambda: settled(servers, sentinels), 2 * PATIENCE,
                        "the old leader does not come back")
    print("settled after %.1f s" % (time.monotonic() - begun))
    return leader


@limit(600)
@cairn_only("of Cairn under Sentinel")
def test_killed_and_frozen(env):
    with managed(env) as (servers, sentinels):
        leader = servers[0]
        eventually(lambda: write(leader, "before"), PATIENCE)
        for how in (signal.SIGKILL, signal.SIGSTOP):
            victim = leader
            leader = depose(servers, sentinels, victim, how, lambda promoted: eventually(
                lambda: write(promoted, "after %d" % how), PATIENCE))
            same_data(servers)
            with leader.client() as c:
                equal(c.call("GET", "before"), b"before")
                equal(c.call("GET", "after %d" % how), b"after %d" % how)
            # What Sentinel wrote into the files is what a restart would find.
            eventually(lambda: all("replicaof 127.0.0.1 %d" % leader.port in
                                   open(s.config_file).read() for s in servers if s is not leader),
                       PATIENCE, "no CONFIG REWRITE")
            check("replicaof 127.0.0.1" not in open(leader.config_file).read(),
                  "the new leader's file says that it follows")


class Writers:
    """Each writes keys of its own to whichever server takes them, and notes what was answered."""

    def __init__(self, servers, count=4):
        self.ports = [server.port for server in servers]
        self.answered, self.stopping = [[] for _ in range(count)], False
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True)
                        for i in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self, writer):
        number = at = 0
        while not self.stopping:
            at = (at + 1) % len(self.ports)
            try:
                # A frozen leader says nothing at all.
                with Client(self.ports[at], timeout=3) as client:
                    while not self.stopping:
                        number += 1
                        key = "w:%d:%d" % (writer, number)
                        if client.call("SET", key, number) != b"OK":
                            break
                        self.answered[writer].append(key)
            except (OSError, EOFError):
                pass
            time.sleep(0.05)

    def count(self):
        return sum(map(len, self.answered))

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()


ROUNDS = 20


@limit(3600)
@cairn_only("min-replicas-durable is ours")
def test_nothing_answered_is_lost(env):
    """min-replicas-durable on all: whichever follower is promoted, it has what was answered."""
    directives = ("appendfsync always", "min-replicas-durable 2")
    with managed(env, directives) as (servers, sentinels):
        leader, writers = servers[0], Writers(servers)
        try:
            for number in range(ROUNDS):
                before = writers.count()
                eventually(lambda: writers.count() > before + 200, PATIENCE, "no progress")
                leader = depose(servers, sentinels, leader,
                                (signal.SIGKILL, signal.SIGSTOP)[number % 2])
                answered = [key for keys in writers.answered for key in list(keys)]
                with leader.client() as c:
                    there = c.pipeline([("EXISTS", key) for key in answered])
                lost = [key for key, found in zip(answered, there) if found != 1]
                equal(lost, [], "round %d, %d answered" % (number, len(answered)))
        finally:
            writers.stop()
        print("%d answered in %d rounds, none lost" % (writers.count(), ROUNDS))
        same_data(servers)
