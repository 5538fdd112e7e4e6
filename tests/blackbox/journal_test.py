# SPDX-License-Identifier: BSD-3-Clause
"""The journal folder as operators meet it: who may use it, and what is in it."""

import os
import shutil
import subprocess

from harness import (ONCE, cairn_only, check, check_binary, equal, matrix, server_binary,
                     skip)

MATRIX = ONCE


def journal_folder(server):
    return os.path.join(server.folder, "appendonlydir")


def second_start(server, *arguments):
    """Tries to start another server in the folder of this one; it must end by itself."""
    done = subprocess.run([server_binary(), "--dir", server.folder, "--port", "0", "--unixsocket",
                           os.path.join(server.folder, "second.sock"), *arguments],
                          capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@cairn_only("the lock is ours")
def test_two_servers_never_share_a_folder(env):
    server = env.start()
    c = env.client(2, server)
    c.call("SET", "a", 1)
    status, text = second_start(server)
    equal(status, 1, text)
    refusal = [line for line in text.splitlines() if "is in use" in line]
    equal(len(refusal), 1, "one clear line: " + text)
    check(journal_folder(server) in refusal[0], "the folder is named: " + refusal[0])
    check("process %d" % server.pid in refusal[0], "the owner is named: " + refusal[0])
    equal(c.call("GET", "a"), b"1", "the first goes on")


@cairn_only("the lock is ours")
def test_the_lock_ends_with_its_owner(env):
    server = env.start(appendfsync="always")
    env.client(2, server).call("SET", "a", 1)
    server.restart(crash=True)
    equal(env.client(2, server).call("GET", "a"), b"1", "after kill -9")
    server.restart()
    equal(env.client(2, server).call("GET", "a"), b"1", "after a clean end")


@cairn_only("its own log")
def test_what_rests_on_unlogged_changes_is_passed_over(env):
    server = env.start(appendfsync="always")
    server.refusals_expected = True
    c = env.client(2, server)
    equal(c.call("RPUSH", "l", "a", "b"), 2)
    equal(c.call("EVAL", "redis.set_repl(redis.REPL_NONE) redis.call('DEL', KEYS[1]) "
                 "return redis.call('SET', KEYS[1], 'abc')", 1, "l"), b"OK")
    equal(c.call("APPEND", "l", "d"), 4)
    for request in (("MULTI",), ("SET", "before", "1"), ("APPEND", "l", "e"), ("SET", "after", "2")):
        c.call(*request)
    equal(c.call("EXEC"), [b"OK", 5, b"OK"])
    for crash in (True, False):
        server.restart(crash)
        c = env.client(2, server)
        equal(c.call("LRANGE", "l", 0, -1), [b"a", b"b"])
        equal(c.call("MGET", "before", "after"), [b"1", b"2"])
    refused = [line for line in server.log_text().splitlines() if "passed over" in line]
    equal(len(refused), 2)
    check("2 commands of the log failed" in refused[0] and "append failed: -WRONGTYPE" in refused[0],
          refused[0])


@cairn_only("the tool is ours")
def test_what_the_tool_cannot_read_or_write_is_an_error(env):
    tool = check_binary()
    server = env.start()
    env.client(2, server).call("SET", "a", 1)
    server.stop()
    nowhere = subprocess.run([tool, "verify", os.path.join(server.folder, "nowhere")],
                             capture_output=True, text=True, timeout=60, check=False)
    equal(nowhere.returncode, 4, nowhere.stdout + nowhere.stderr)
    check("no journal in" in nowhere.stderr, nowhere.stderr)
    with open("/dev/full", "w", encoding="utf-8") as full:
        cut = subprocess.run([tool, "cat", journal_folder(server)], stdout=full,
                             stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    equal(cut.returncode, 4, cut.stderr)
    check("No space left on device" in cut.stderr, cut.stderr)


@cairn_only("the tool is ours")
def test_repair_respects_the_lock(env):
    tool = check_binary()
    server = env.start()
    env.client(2, server).call("SET", "a", 1)
    repair = [tool, "repair", journal_folder(server), "--yes"]
    # What a look would take for damage may be what is being written.
    for command in (repair, repair[:-1]):
        beside = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        equal(beside.returncode, 4, beside.stdout + beside.stderr)
        equal(beside.stdout, "")
        check("is in use" in beside.stderr, "the reason: " + beside.stderr)
    server.stop()
    alone = subprocess.run(repair, capture_output=True, text=True, timeout=60, check=False)
    equal(alone.returncode, 0, alone.stdout + alone.stderr)


@cairn_only("the tool is ours")
def test_repair_takes_no_unreadable_file_for_a_damaged_one(env):
    tool = check_binary()
    server = env.start()
    env.client(2, server).call("SET", "a", 1)
    server.stop()
    folder = journal_folder(server)

    def files():
        found = {}
        for name in os.listdir(folder):
            if name != "cairn.lock":
                with open(os.path.join(folder, name), "rb") as file:
                    found[name] = file.read()
        return found
    before = files()
    segment = os.path.join(folder, next(name for name in before if name.endswith(".lz4")))
    # Opens, but every read fails, as on a bad disk.
    os.rename(segment, segment + ".aside")
    os.mkdir(segment)
    done = subprocess.run([tool, "repair", folder, "--yes"], capture_output=True, text=True,
                          timeout=60, check=False)
    check(done.returncode != 0 and "Is a directory" in done.stdout + done.stderr,
          done.stdout + done.stderr)
    os.rmdir(segment)
    os.rename(segment + ".aside", segment)
    equal(files(), before)


@cairn_only("our segments")
def test_lz4_opens_a_segment(env):
    if not shutil.which("lz4"):
        skip("no lz4 on this machine")
    server = env.start()
    c = env.client(2, server)
    c.call("SET", "a", "1")
    c.call("SELECT", 3)
    c.call("SET", "b", "2")
    server.stop()
    text = b""
    for name in sorted(os.listdir(journal_folder(server))):
        if name.endswith(".lz4"):
            path = os.path.join(journal_folder(server), name)
            text += subprocess.run(["lz4", "-dc", path], capture_output=True, timeout=60,
                                   check=True).stdout
    check(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n" in text, "the first write: %r" % text)
    check(text.index(b"$6\r\nSELECT\r\n$1\r\n3\r\n") < text.index(b"$1\r\nb\r\n"),
          "SELECT stands before the write in database 3: %r" % text)


@cairn_only("our segments")
def test_lz4_opens_a_segment_in_use_with_its_tail(env):
    if not shutil.which("lz4"):
        skip("no lz4 on this machine")
    tool = check_binary()
    server = env.start(appendfsync="always")
    c = env.client(2, server)
    folder = journal_folder(server)
    name = max(name for name in os.listdir(folder) if name.endswith(".aof.lz4"))
    path = os.path.join(folder, name)
    sizes = set()
    for i in range(200):
        c.call("SET", "key", "value-%d" % i)
        if i < 180:
            continue
        printed = subprocess.run(["lz4", "-dc", path], capture_output=True, timeout=60, check=True)
        check(printed.stdout.endswith(b"value-%d\r\n" % i), printed.stdout[-100:])
        equal(printed.stderr, b"")
        sizes.add(os.path.getsize(path))
    equal(len(sizes), 1, "the file is made longer ahead of what is written")
    server.kill()
    done = subprocess.run([tool, "verify", folder], capture_output=True, text=True, timeout=60,
                          check=False)
    equal(done.returncode, 0, done.stdout + done.stderr)
    check("cut" not in done.stdout, done.stdout)
    server.start()
    equal(env.client(2, server).call("GET", "key"), b"value-199")
    server.stop()
    # What is complete has no tail: it ends with its index.
    for name in os.listdir(folder):
        if name.endswith(".aof.lz4") and os.path.join(folder, name) != path:
            with open(os.path.join(folder, name), "rb") as file:
                equal(file.read()[-4:], b"CIDX")
