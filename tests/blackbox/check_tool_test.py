# SPDX-License-Identifier: BSD-3-Clause
"""cairn-check on folders that are none, in use, or damaged: what it says, and what it repairs."""

import os

from harness import ONCE, cairn_only, check, equal, eventually
from harness import replication
from harness.journal_folder import check_tool, folder, lsn, refused, restored

MATRIX = ONCE


@cairn_only("the tool is ours")
def test_the_folder_around_the_journal_is_no_journal(env):
    server = env.start()
    with server.client() as c:
        equal(c.call("SET", "a", 1), b"OK")
    server.stop()
    out = os.path.join(server.folder, "out")
    for command in (["verify"], ["list"], ["points"], ["cat"], ["repair"], ["repair", "--yes"],
                    ["export", "--rdb", out], ["export", "--aof", out]):
        done = check_tool(command[0], server.folder, *command[1:])
        equal(done.returncode, 4, repr(done))
        equal(done.stdout, b"", command)
        check(b"there is one in %s" % folder(server).encode() in done.stderr, repr(done))
        check(not os.path.exists(os.path.join(server.folder, "cairn.lock")), command)
    equal(check_tool("nonsense", folder(server)).returncode, 3)


@cairn_only("the tool is ours")
def test_the_tool_looks_while_a_server_writes_and_rewrites(env):
    server = env.start(appendfsync="always")
    load = replication.Load(server.port)
    with server.client() as c:
        for i in range(6):
            load.reach(200)
            c.call("BGREWRITEAOF")
            for command in ("verify", "list"):
                done = check_tool(command, folder(server))
                check(done.returncode in (0, 1), "%s: %r" % (command, done))
            done = check_tool("export", folder(server), "--aof",
                              os.path.join(server.folder, "export-%d.aof" % i))
            equal(done.returncode, 0, done.stderr)
    load.stop()


@cairn_only("the tool is ours")
def test_a_segment_lost_before_the_base_costs_what_it_led_to(env):
    server = env.start(journal_retention_time=1000)
    with server.client() as c:
        for i in range(3):
            c.call("SET", "key", i)
            c.call("BGREWRITEAOF")
            eventually(lambda i=i: b"aof_rewrites:%d\r\n" % (i + 1) in c.call("INFO", "persistence"), 60)
        c.call("SET", "last", 1)
    server.stop()
    first = min(name for name in os.listdir(folder(server)) if name.endswith(".aof.lz4"))
    os.unlink(os.path.join(folder(server), first))
    for command in ("verify", "list"):
        done = check_tool(command, folder(server))
        equal(done.returncode, 2, command)
        check(b"lost: " in done.stderr and first.encode() in done.stderr, done.stderr)
    server.start()
    with server.client() as c:
        equal(c.pipeline([("GET", "key"), ("GET", "last")]), [b"2", b"1"])
    check("A part of the journal is lost" in server.log_text(), "nobody is told")
    server.stop()
    equal(check_tool("verify", folder(server)).returncode, 0)


def snapshots(server):
    """The names of its snapshots in the journal's folder, oldest first."""
    return sorted(name for name in os.listdir(folder(server)) if name.endswith(".rdb.lz4"))


def lengths(path):
    return {name: os.path.getsize(os.path.join(path, name)) for name in os.listdir(path)
            if name != "cairn.lock"}


def cut_in_half(path):
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) // 2)


@cairn_only("repair is ours")
def test_a_damaged_base_gives_way_to_an_older_one(env):
    for damage, names in ((cut_in_half, 1), (os.remove, 1), (cut_in_half, 2)):
        server = env.start(journal_retention_time=3600, save="")
        c = env.client(2, server)
        for i in range(2):
            equal(c.call("RPUSH", "l", i), i + 1)
            equal(c.call("SAVE"), b"OK")
        early, early_digest = lsn(c), c.call("DEBUG", "DIGEST")
        equal(c.call("SET", "after", 1), b"OK")
        wanted = c.call("DEBUG", "DIGEST")
        server.stop()
        bad = snapshots(server)[-names:]
        for name in bad:
            damage(os.path.join(folder(server), name))
        output = refused(server)
        check("run cairn-check verify" in output and "repair" in output, output)
        equal(check_tool("verify", folder(server)).returncode, 2)
        before = sorted(os.listdir(folder(server)))
        said = check_tool("repair", folder(server)).stdout.decode()
        for name in bad:
            check("drops " + name in said, said)
        check("nothing was changed" in said and "is whole" not in said, said)
        equal(sorted(os.listdir(folder(server))), before)
        done = check_tool("repair", folder(server), "--yes")
        equal(done.returncode, 0, repr(done))
        equal(check_tool("verify", folder(server)).returncode, 0)
        check(not set(bad) & set(snapshots(server)), snapshots(server))
        server.start()
        with server.client() as c:
            equal(c.call("DEBUG", "DIGEST"), wanted, "nothing is lost")
        with restored(server, early) as c:
            equal(c.call("DEBUG", "DIGEST"), early_digest)


@cairn_only("repair is ours")
def test_a_damaged_base_alone_is_beyond_repair(env):
    server = env.start(save="")
    c = env.client(2, server)
    equal(c.call("SET", "a", 1), b"OK")
    equal(c.call("SAVE"), b"OK")
    server.stop()
    cut_in_half(os.path.join(folder(server), snapshots(server)[0]))
    before = lengths(folder(server))
    for options in ((), ("--yes",)):
        done = check_tool("repair", folder(server), *options)
        equal(done.returncode, 2, repr(done))
        check(b"has to come from a backup" in done.stderr, repr(done))
    equal(lengths(folder(server)), before, "something was changed")
