# SPDX-License-Identifier: BSD-3-Clause
"""cairn-check on folders that are none, in use, or damaged: what it says, and what it repairs."""

import errno
import os
import re
import shutil
import subprocess
import tempfile

from harness import ONCE, cairn_only, check, equal, eventually
from harness import replication
from harness.faulty_disk import FaultyDisk
from harness.journal_folder import check_tool, folder, lsn, refused, restored
from harness.server import StartFailure, check_binary

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
    equal(check_tool("cat", folder(server), "--from", "2", "--to", "1").returncode, 3)


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
    for command in ("verify", "list", "points"):
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


def flip(path):
    with open(path, "r+b") as file:
        at = os.path.getsize(path) * 3 // 4
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def lose_the_index(path):
    """Its blocks are all there."""
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) - 10)


def append_junk(path):
    with open(path, "ab") as file:
        file.write(b"junk" * 100)


def segment_names(path):
    return sorted(name for name in os.listdir(path) if name.endswith(".aof.lz4"))


def repaired(env, journal, name, damage):
    """Of a copy of the journal in which `damage` was done to a file: what repair said, the list
    that a server then has, and whether its first point is still there."""
    with tempfile.TemporaryDirectory() as work:
        copy = os.path.join(work, "appendonlydir")
        shutil.copytree(journal, copy)
        damage(os.path.join(copy, name))
        equal(check_tool("verify", copy).returncode, 2, name)
        before = lengths(copy)
        dry = check_tool("repair", copy)
        equal(dry.returncode, 0, repr(dry))
        check(b"nothing was changed" in dry.stdout, dry.stdout)
        equal(lengths(copy), before)
        done = check_tool("repair", copy, "--yes")
        equal(done.returncode, 0, repr(done))
        # What it would do is what it did.
        equal(done.stdout.split(b"originals are in")[0],
              dry.stdout.split(b"nothing was changed")[0])
        for path in (copy, os.path.join(copy, "damaged-1")):
            for kept in segment_names(path):
                before.pop(kept, None)
        equal([lost for lost in before if lost.endswith(".aof.lz4")], [], "files are gone")
        verified = check_tool("verify", copy)
        equal(verified.returncode, 0, repr(verified))
        server = env.start(dir=work, save="", journal_retention_time=3600)
        with server.client() as c:
            found = [int(item) for item in c.call("LRANGE", "l", 0, -1)]
            equal(c.call("RPUSH", "l", "more"), len(found) + 1)
        server.stop()
        return done.stdout.decode(), found, check_tool("points", copy).stdout.decode()


def save(server, c):
    """A base, and a segment that begins at it. One that is made too late does so only if nobody has
    written since."""
    def begun():
        with open(os.path.join(folder(server), "manifest"), encoding="ascii") as manifest:
            return re.search("(?m)^segment open [0-9]+ [0-9]+ %d " % base, manifest.read())

    equal(c.call("SAVE"), b"OK")
    base = lsn(c)
    eventually(begun, note="no segment begins at the base")


def with_history(env):
    """The folder and the end of a log of 300 elements of a list, 100 of them behind its base."""
    server = env.start(appendfsync="always", save="", journal_retention_time=3600)
    with server.client() as c:
        for i in range(300):
            equal(c.call("RPUSH", "l", i), i + 1)
            if i in (99, 199):
                save(server, c)
        end = lsn(c)
    server.stop()
    equal(len(segment_names(folder(server))), 3)
    return folder(server), end


@cairn_only("the tool is ours")
def test_a_start_keeps_what_has_another_length_and_all_of_its_blocks(env):
    journal, _ = with_history(env)
    for damage in (lose_the_index, append_junk):
        with tempfile.TemporaryDirectory() as work:
            copy = os.path.join(work, "appendonlydir")
            shutil.copytree(journal, copy)
            damage(os.path.join(copy, segment_names(copy)[0]))
            for command in ("verify", "list", "points"):
                done = check_tool(command, copy)
                equal(done.returncode, 2, command)
                check(b"nothing is lost: " in done.stderr and
                      b"all its blocks are there" in done.stderr, done.stderr)
            server = env.start(dir=work, save="", journal_retention_time=3600)
            with server.client() as c:
                equal(c.call("LLEN", "l"), 300)
            check("Nothing of the journal is lost" in server.log_text(), "nobody is told")
            server.stop()
            equal(check_tool("verify", copy).returncode, 0)
            points = check_tool("points", copy).stdout
            check(b"LSN 0 to" in points, points)


@cairn_only("the tool is ours")
def test_what_cannot_be_read_now_is_not_lost(env):
    journal, end = with_history(env)
    disk = FaultyDisk()
    try:
        with tempfile.TemporaryDirectory() as work:
            copy = os.path.join(work, "appendonlydir")
            shutil.copytree(journal, copy)
            first = segment_names(copy)[0]
            append_junk(os.path.join(copy, first))
            disk.fail("pread", errno.EIO, first)
            for command in ("verify", "list", "points", "repair"):
                done = check_tool(command, copy, environment=disk.environment)
                equal(done.returncode, 4, command)
                check(first.encode() in done.stderr and b"lost" not in done.stderr, done.stderr)
            server = env.start(dir=work, save="", journal_retention_time=3600,
                               environment=disk.environment)
            with server.client() as c:
                equal(c.call("LLEN", "l"), 300)
            check("A part of the journal cannot be read" in server.log_text(), "nobody is told")
            check("is lost" not in server.log_text(), "it is not")
            server.stop()
            disk.heal()
            done = check_tool("points", copy)
            equal(done.returncode, 2, done.stderr)
            check(b"nothing is lost: " in done.stderr and b"LSN 0 to" in done.stdout, repr(done))
            # Behind the base it is needed, and a start refuses as long as it is so.
            last = segment_names(journal)[-1]
            disk.fail("pread", errno.EIO, last)
            try:
                env.start(dir=os.path.dirname(journal), save="", environment=disk.environment)
            except StartFailure as failure:
                check("Input/output error" in str(failure) and last in str(failure), failure)
            else:
                check(False, "it has started")
            disk.heal()
            server = env.start(dir=os.path.dirname(journal), save="", journal_retention_time=3600)
            with server.client() as c:
                equal(lsn(c), end)
                equal(c.call("LLEN", "l"), 300)
            server.stop()
    finally:
        disk.close()


@cairn_only("repair is ours")
def test_every_damage_of_the_log_is_repaired(env):
    journal, end = with_history(env)
    names = segment_names(journal)
    for name in names:
        behind_the_base = name == names[-1]
        for damage in (flip, cut_in_half, os.remove, lose_the_index, append_junk):
            said, found, points = repaired(env, journal, name, damage)
            note = "%s of %s: %s" % (damage.__name__, name, said)
            equal(found, list(range(len(found))), note)
            check("damage: " in said, note)
            loses = re.search("that loses LSN ([0-9]+) to ([0-9]+)(, written from .* to .*)?; "
                              "([0-9]+) commands of it are whole", said)
            if not behind_the_base or damage in (lose_the_index, append_junk):
                equal((len(found), loses), (300, None), note)
                # Only what it led to is gone, and nothing where all blocks are there.
                equal("LSN 0 to" not in points,
                      not behind_the_base and damage not in (lose_the_index, append_junk),
                      note + points)
                continue
            check(200 <= len(found) < 300, note)
            check(loses is not None and loses.group(3), note)
            equal(int(loses.group(2)), end, note)
            if damage is flip:  # one block, of one command at most: one client waited for each
                check(300 - len(found) - int(loses.group(4)) in (0, 1), note)


@cairn_only("repair is ours")
def test_a_log_that_was_not_shut_down_is_repaired(env):
    server = env.start(appendfsync="always", save="")
    with server.client() as c:
        for i in range(100):
            equal(c.call("RPUSH", "l", i), i + 1)
            if i == 20:
                save(server, c)
    server.kill()
    live = segment_names(folder(server))[-1]

    def flip_in_its_blocks(path):
        with open(path, "r+b") as file:
            used = len(file.read().rstrip(b"\0"))
            file.seek(used // 2)
            file.write(b"XX")

    said, found, _ = repaired(env, folder(server), live, flip_in_its_blocks)
    equal(found, list(range(len(found))), said)
    check(20 < len(found) < 100, said)
    check("that loses LSN" in said, said)


@cairn_only("the tool is ours")
def test_cat_says_when_a_rewrite_deletes_what_comes_next(env):
    # always: what a slow disk lets pile up would be one segment.
    server = env.start(journal_segment_size="1mb", repl_backlog_size="16kb", save="",
                       appendfsync="always", auto_aof_rewrite_percentage=0)
    with server.client() as c:
        # A segment ends where it is full and the next one has been made, which takes its time.
        def some_more():
            for i in range(20):
                equal(c.call("SET", "k%d" % i, os.urandom(200_000)), b"OK")
            return len(segment_names(folder(server))) > 4
        eventually(some_more)
        cat = subprocess.Popen([check_binary(), "cat", folder(server)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, bufsize=0)
        begin = cat.stdout.read(1000)
        oldest = segment_names(folder(server))[0]
        equal(c.call("BGREWRITEAOF"), b"Background append only file rewriting started")
        eventually(lambda: b"aof_rewrites:1\r\n" in c.call("INFO", "persistence") and
                   oldest not in segment_names(folder(server)))
        rest, said = cat.communicate(timeout=60)
        equal(cat.returncode, 4, said)
        check(b"a rewrite has deleted the log up to LSN" in said, said)
        check(b"printed is what was before LSN %d" % len(begin + rest) in said, said)
        # A look at what is there now begins there.
        again = check_tool("cat", folder(server))
        equal(again.returncode, 0, again.stderr)
