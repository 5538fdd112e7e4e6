# SPDX-License-Identifier: BSD-3-Clause
"""Leaders and followers: full and partial synchronization between Cairn and redis-server in every
combination, with digests compared; links and processes that end in the middle."""

import os
import random
import shutil
import subprocess

from harness import ONCE, check, equal, eventually, limit
from harness.dump_samples import fill
from harness.proxy import Proxy
from harness.replication import (PATIENCE, Load, cairn, follow, frozen, in_step, info, oracle)
from harness.resp import Error
from harness.server import Server, oracle_binary

MATRIX = ONCE


def under_load(env, leader, make_follower):
    with leader.client() as c:
        fill(c)
        c.call("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function(k, a) "
               "return redis.call('set', k[1], a[1]) end)")
    load = Load(leader.port).reach(2000)
    follower = make_follower()
    follow(follower, leader)
    load.reach(2000)
    with leader.client() as c:
        c.call("SWAPDB", 0, 1)
        c.call("FCALL", "f", 1, "by function", "x")
    with follower.client() as c:
        eventually(lambda: info(c, "master_link_status") == "up", PATIENCE, "the link stays down")
    load.reach(4000).stop()
    in_step(leader, follower)
    with follower.client() as c:
        check(c.call("SET", "x", "y").code == b"READONLY" or
              c.call("SET", "x", "y").code == "READONLY", "a follower takes writes")
    return follower


@limit(180)
def test_redis_follows_cairn(env):
    leader = cairn(env)
    under_load(env, leader, lambda: oracle(env))


@limit(180)
def test_redis_follows_cairn_without_a_journal(env):
    leader = cairn(env, appendonly="no", save="")
    under_load(env, leader, lambda: oracle(env))


@limit(180)
def test_cairn_follows_redis(env):
    leader = oracle(env, repl_diskless_sync_delay=0)
    follower = under_load(env, leader, lambda: cairn(env))
    # What it has applied is in its own journal, at the leader's offset.
    leader.stop()
    with follower.client() as c:
        # Its last words are part of the stream, too.
        eventually(lambda: info(c, "master_link_status") == "down", PATIENCE)
        digest, offset = c.call("DEBUG", "DIGEST"), info(c, "slave_repl_offset")
    # As a follower still: a leader would delete what is past its time.
    follower.directives["replicaof"] = ["127.0.0.1", leader.port]
    follower.restart()
    with follower.client() as c:
        equal(c.call("DEBUG", "DIGEST"), digest)
        equal(info(c, "master_repl_offset"), offset)


@limit(180)
def test_cairn_follows_redis_that_sends_a_file(env):
    leader = oracle(env, repl_diskless_sync="no")
    under_load(env, leader, lambda: cairn(env, appendonly="no", save=""))


@limit(180)
def test_cairn_follows_cairn_and_redis_follows_the_follower(env):
    leader = cairn(env)
    middle = under_load(env, leader, lambda: cairn(env))
    last = oracle(env)
    load = Load(leader.port, seed=2).reach(1000)
    follow(last, middle)
    load.reach(2000).stop()
    in_step(leader, middle)
    in_step(middle, last)


@limit(60)
def test_promotion_and_the_way_back(env):
    """A redis-server is replaced by Cairn without a stop, and the other way round."""
    # No PING may come between what is compared and the promotion.
    old = oracle(env, repl_diskless_sync_delay=0, repl_ping_replica_period=3600)
    new = cairn(env)
    with old.client() as a, new.client() as b:
        a.call("SET", "k", "v")
        follow(new, old)
        in_step(old, new)
        id_before = info(b, "master_replid")
        equal(b.call("REPLICAOF", "NO", "ONE"), b"OK")
        equal(b.call("ROLE")[0], b"master")
        check(info(b, "master_replid") != id_before, "the id is the old leader's")
        equal(info(b, "master_replid2"), id_before)
        equal(b.call("SET", "k", "w"), b"OK")
        # The old leader asks with its own id, at an offset that the new one has: no full sync.
        follow(old, new)
        in_step(new, old)
        check("Successful partial resynchronization" in old.log_text(), old.log_text()[-2000:])
        equal(a.call("GET", "k"), b"w")


@limit(120)
def test_partial_resync_from_disk(env):
    """Far more than the memory keeps is written while the link is cut."""
    leader, follower = cairn(env), cairn(env)
    with leader.client() as up, follower.client() as down:
        up.call("SET", "k", "v")
        follow(follower, leader)
        in_step(leader, follower)
        equal(down.call("REPLICAOF", "127.0.0.1", 1), b"OK")
        for start in range(0, 6000, 500):
            up.pipeline([("SET", "big:%d" % i, os.urandom(1000)) for i in range(start, start + 500)])
        syncs = leader.log_text().count("Full resync requested")
        follow(follower, leader)
        in_step(leader, follower)
        equal(leader.log_text().count("Full resync requested"), syncs)
        check("Successful partial resynchronization" in follower.log_text(), "a full sync")


@limit(120)
def test_restarts_continue(env):
    """Clean restarts of either side, and an unclean one of the follower, need no full sync; an
    unclean one of the leader draws a new id."""
    leader, follower = cairn(env), cairn(env)
    leader.directives["port"] = leader.port
    follow(follower, leader)
    with leader.client() as up:
        up.pipeline([("SET", "k:%d" % i, i) for i in range(1000)])
        up.call("SELECT", 5)
        up.call("SET", "in five", 1)
    in_step(leader, follower)
    syncs = leader.log_text().count("Full resync requested")
    with leader.client() as up:
        first_id = info(up, "master_replid")
    leader.restart()
    with leader.client() as up:
        equal(info(up, "master_replid"), first_id)
        up.call("SET", "after", 1)
    in_step(leader, follower)
    follower.directives["replicaof"] = ["127.0.0.1", leader.port]
    for crash, elsewhere in ((False, False), (True, False), (True, True)):
        if elsewhere:
            # Whom it finds first, if it finds anybody, is not the one who knows its data.
            follower.directives["replicaof"] = ["127.0.0.1", 1]
        follower.restart(crash=crash)
        if elsewhere:
            follow(follower, leader)
        with leader.client() as up:
            up.call("SELECT", 5)
            up.call("SET", "more %s %s" % (crash, elsewhere), 1)
        in_step(leader, follower)
    equal(leader.log_text().count("Full resync requested"), syncs)
    leader.restart(crash=True)
    with leader.client() as up:
        check(info(up, "master_replid") != first_id, "an unclean start kept the id")
        equal(info(up, "master_replid2"), first_id)
        up.call("SET", "x", "y")
    in_step(leader, follower)


@limit(120)
def test_a_follower_that_loads_its_own_data_again(env):
    """What comes from the leader meanwhile is not lost, and nothing has to be sent anew."""
    leader, follower = cairn(env), cairn(env)
    follow(follower, leader)
    load = Load(leader.port, writers=1).reach(1000)
    in_sync = lambda: "Finished with success" in follower.log_text()
    eventually(in_sync, PATIENCE, "no full sync")
    with follower.client() as c:
        for _ in range(10):
            for what in ("RELOAD", "LOADAOF"):
                equal(c.call("DEBUG", what), b"OK")
                load.reach(100)
                with leader.client() as up:
                    up.call("BGREWRITEAOF")  # or one is under way
    load.stop()
    in_step(leader, follower)
    equal(leader.log_text().count("Full resync requested"), 1)


@limit(120)
def test_a_follower_that_loads_two_things_at_once(env):
    """Its own data and its leader's never mix: the one comes before the other."""
    leader, follower = cairn(env), cairn(env)
    with leader.client() as up, follower.client() as c, follower.client() as other:
        up.pipeline([("SET", "theirs:%d" % i, "x" * 100) for i in range(20000)])
        for turn in range(8):
            equal(other.call("SET", "own", turn), b"OK")
            equal(other.call("REPLICAOF", "127.0.0.1", leader.port), b"OK")
            for _ in range(4):
                reply = c.call("DEBUG", "RELOAD")
                check(reply == b"OK" or isinstance(reply, Error), repr(reply))
            in_step(leader, follower)
            equal(other.call("REPLICAOF", "NO", "ONE"), b"OK")
            eventually(lambda: info(other, "role") == "master", PATIENCE)


@limit(60)
def test_other_data_under_the_same_id(env):
    """A copy of the leader's folder goes on under its id, and with other data than the leader."""
    leader, follower = cairn(env, repl_ping_replica_period=3600), cairn(env)
    leader.directives["port"] = leader.port
    follow(follower, leader)
    with leader.client() as up:
        up.call("SET", "k", "before")
    in_step(leader, follower)
    leader.stop()
    copied = env.folder() + "/copy"
    shutil.copytree(leader.folder, copied)
    leader.start()
    with leader.client() as up:
        up.call("SET", "k", "one")
    in_step(leader, follower)
    leader.stop()
    twin = Server(folder=copied, repl_ping_replica_period=3600)
    env.own.append(twin)
    with twin.client() as up:
        for i in range(50):
            up.call("SET", "k", "two")
    follow(follower, twin)
    in_step(twin, follower)
    check("has other data than this log" in twin.log_text(), twin.log_text()[-2000:])


@limit(120)
def test_who_keeps_too_much_is_dropped(env):
    """A follower that reads nothing keeps no more of the log than repl-retention-max-bytes."""
    leader = cairn(env, journal_segment_size="1mb", repl_timeout=3600)  # not for its silence
    follower = cairn(env)
    follow(follower, leader)
    in_step(leader, follower)
    with frozen(follower), leader.client() as up:
        # More than the kernel and the window to a connection take.
        for start in range(0, 40000, 1000):
            up.pipeline([("SET", "k:%d" % i, os.urandom(1000)) for i in range(start, start + 1000)])
        equal(up.call("CONFIG", "SET", "repl-retention-max-bytes", "1mb"), b"OK")

        def dropped():
            # At a compaction; one may be under way already.
            up.call("BGREWRITEAOF")
            return "keeps more of the log than repl-retention-max-bytes allows" in leader.log_text()
        eventually(dropped, PATIENCE)
        eventually(lambda: info(up, "connected_slaves") == "0", PATIENCE)
        equal(up.call("CONFIG", "SET", "repl-retention-max-bytes", 0), b"OK")
    in_step(leader, follower)
    equal(leader.log_text().count("Full resync requested"), 2)


@limit(60)
def test_the_log_of_nobody_goes_after_its_ttl(env):
    leader, follower = cairn(env, journal_segment_size="1mb", repl_backlog_size="512mb"), cairn(env)
    follow(follower, leader)
    in_step(leader, follower)
    first = lambda c: int(info(c, "repl_backlog_first_byte_offset"))
    with leader.client() as up:
        for start in range(0, 4000, 1000):
            up.pipeline([("SET", "k:%d" % i, os.urandom(1000)) for i in range(start, start + 1000)])
        in_step(leader, follower)
        before = first(up)
        follower.stop()
        eventually(lambda: info(up, "connected_slaves") == "0", PATIENCE)
        equal(up.call("CONFIG", "SET", "repl-backlog-ttl", 1), b"OK")

        def gone():
            # What stays is decided when the log is compacted.
            up.call("BGREWRITEAOF")
            return first(up) > before
        eventually(gone, PATIENCE, "all of the log is still there")


def test_redis_cli_modes(env):
    server = cairn(env)
    with server.client() as c:
        fill(c)
        digest = c.call("DEBUG", "DIGEST")
    folder = server.folder
    subprocess.run(["redis-cli", "-p", str(server.port), "--rdb", folder + "/cli.rdb"], check=True,
                   timeout=60, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    reader = Server(oracle_binary(), wait=False, appendonly="no", dbfilename="cli.rdb", dir=folder)
    env.own.append(reader.start())
    with reader.client() as c:
        equal(c.call("DEBUG", "DIGEST"), digest)
    # --functions-rdb: no key is in it.
    with server.client() as c:
        c.call("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() "
               "return 7 end)")
    subprocess.run(["redis-cli", "-p", str(server.port), "--functions-rdb",
                    folder + "/functions.rdb"], check=True, timeout=60,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    reader = Server(oracle_binary(), wait=False, appendonly="no", dbfilename="functions.rdb",
                    dir=folder)
    env.own.append(reader.start())
    with reader.client() as c:
        equal(c.call("DBSIZE"), 0)
        equal(c.call("FCALL", "f", 0), 7)
    # --replica prints the stream, and wants nothing of what was before.
    said = open(folder + "/said", "wb")
    shown = subprocess.Popen(["redis-cli", "-p", str(server.port), "--replica"],
                             stdout=subprocess.PIPE, stderr=said)
    try:
        with server.client() as c:
            eventually(lambda: "state=online" in (info(c, "slave0") or ""), PATIENCE,
                       "redis-cli does not follow")
            c.call("SET", "key of the stream", "1")
        for line in shown.stdout:
            if b"key of the stream" in line:
                break
        else:
            check(False, "the stream did not show the command")
        with open(folder + "/said", "rb") as file:
            check(b"rdb-filter-only error" not in file.read(), "it got all there is")
    finally:
        shown.kill()
        shown.wait()
        said.close()


SECRET = "nobody may read this on a disk"


def open_files(server):
    """Files of the server that hold the secret in the clear."""
    found = []
    for folder, _, names in os.walk(server.folder):
        for name in names:
            try:
                with open(os.path.join(folder, name), "rb") as file:
                    if SECRET.encode() in file.read():
                        found.append(name)
            except FileNotFoundError:
                pass  # of a log that goes on: a segment that nobody needs any more
    return found


@limit(180)
def test_encrypted_files(env):
    """Leader and follower keep all that is theirs encrypted, each with keys of its own, and a
    redis-server can be on either side."""
    def encrypted(name, **directives):
        path = os.path.join(env.folder(), name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("%s %s\n" % (name, os.urandom(32).hex()))
        return cairn(env, encryption_key_file=path, **directives)

    first = oracle(env, repl_diskless_sync_delay=0)
    with first.client() as c:
        fill(c)
        c.pipeline([("SET", "k:%d" % i, SECRET + "x" * 3000) for i in range(2000)])
    middle, last, memory = (encrypted("middle"), encrypted("last"),
                            encrypted("memory", appendonly="no", save=""))
    plain = oracle(env)
    follow(middle, first)
    in_step(first, middle)
    for server in (last, memory, plain):
        follow(server, middle)
        in_step(middle, server)
    with first.client() as c:
        c.pipeline([("SET", "l:%d" % i, SECRET) for i in range(2000)])
    for server in (middle, last, memory, plain):
        in_step(first, server)
    for server in (middle, last, memory):
        equal(open_files(server), [])
    # What was received is what a start finds.
    last.directives["replicaof"] = ["127.0.0.1", middle.port]
    last.restart(crash=True)
    in_step(middle, last)
    equal(last.log_text().count("Full resync from master"), 1)


def test_a_stream_that_cannot_be_applied_is_given_up(env):
    """A follower whose data differs does not go on: it takes everything anew."""
    leader, follower = oracle(env, repl_diskless_sync_delay=0), cairn(env)
    with leader.client() as up, follower.client() as down:
        up.call("SET", "k", "v")
        follow(follower, leader)
        in_step(leader, follower)
        # Database 20 exists at the leader only.
        more = oracle(env, databases=32, repl_diskless_sync_delay=0)
        with more.client() as c:
            c.call("SET", "x", "y")
            follow(follower, more)
            in_step(more, follower)
            c.call("SELECT", 20)
            c.call("SET", "far", "away")
            eventually(lambda: "A full resynchronization is needed" in follower.log_text(), PATIENCE)
            # Nor can its snapshot be loaded: nothing is served that is half of it.
            eventually(lambda: "snapshot cannot be loaded" in follower.log_text(), PATIENCE)
            equal(info(down, "master_link_status"), "down")
            eventually(lambda: down.call("DBSIZE") == 0, PATIENCE)


@limit(180)
def test_cut_links(env):
    """However often the link is cut, at whatever byte: nothing is missing, nothing comes twice."""
    leader, follower = cairn(env), cairn(env)
    proxy = Proxy(leader.port)
    try:
        load = Load(leader.port, writers=1, seed=7).reach(500)
        follow(follower, proxy)
        rng = random.Random(11)
        with follower.client() as c:
            for _ in range(8):
                eventually(lambda: info(c, "master_link_status") == "up", PATIENCE)
                # The next connection ends after so many bytes, in the middle of anything.
                proxy.limit = rng.choice((1, 60, 200, 3000, 40000))
                before = proxy.accepted
                proxy.cut()
                eventually(lambda: proxy.accepted > before, PATIENCE, "no other connection")
                load.reach(300)
                proxy.limit = None
                proxy.cut()
        load.stop()
        in_step(leader, follower)
    finally:
        proxy.close()


@limit(120)
def test_full_syncs_that_break_off(env):
    """Whoever is killed, the other goes on with what it had, and the next try succeeds."""
    leader, follower = cairn(env), cairn(env)
    leader.directives["port"] = leader.port
    follower.directives["port"] = follower.port
    proxy = Proxy(leader.port)
    try:
        with follower.client() as c:
            equal(c.call("SET", "mine", "until then"), b"OK")
            equal(c.call("WAITAOF", 1, 0, 0)[0], 1)
        with leader.client() as c:
            c.pipeline([("SET", "k:%d" % i, os.urandom(2000)) for i in range(2000)])
            equal(c.call("WAITAOF", 1, 0, 0)[0], 1)
        proxy.limit = 1 << 20
        follow(follower, proxy)
        eventually(lambda: proxy.passed >= 1 << 20, PATIENCE, "no full sync")
        with follower.client() as c:
            equal(c.call("GET", "mine"), b"until then")
        follower.directives["replicaof"] = ["127.0.0.1", proxy.port]
        passed = proxy.passed
        eventually(lambda: proxy.passed > passed, PATIENCE, "no second try")
        follower.restart(crash=True)
        with follower.client() as c:
            equal(c.call("GET", "mine"), b"until then")
        leader.restart(crash=True)
        proxy.limit = None
        proxy.cut()
        in_step(leader, follower)
        with follower.client() as c:
            equal(c.call("GET", "mine"), None)
    finally:
        proxy.close()
