# SPDX-License-Identifier: BSD-3-Clause
"""The audit log: what stands in it, its rules, its rotation and its chain."""

import json
import os
import re
import resource
import signal
import subprocess

from harness import ONCE, cairn_only, check, check_binary, equal, eventually

MATRIX = ONCE


def cairn_check(*arguments):
    return subprocess.run([check_binary(), *arguments], capture_output=True, text=True)


def lines(path):
    """The whole lines: the last one may be in the middle of its write."""
    with open(path, encoding="ascii") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def commands(path):
    return [event for event in lines(path) if event["event"] == "command"]


def last_keys(path):
    """None too while there is no file: a rotation is under way."""
    try:
        found = lines(path)
    except FileNotFoundError:
        return None
    return found[-1].get("keys") if found else None


def wait_for(path, count):
    """The whole file once it has so many lines."""
    eventually(lambda: os.path.exists(path) and len(lines(path)) >= count)
    return lines(path)


def start(env, **directives):
    path = os.path.join(env.folder(), "audit.log")
    server = env.start(audit_log=path, **directives)
    return server, env.client(server=server), path


@cairn_only("Redis has no audit log")
def test_events_name_keys_and_outcomes_but_no_values(env):
    server, c, path = start(env)
    c.call("SET", "key\xff\"", "secret-value")
    c.call("LPUSH", "key\xff\"", "secret-value")
    c.call("MSET", "a", "secret-value", "b", "secret-value")
    c.call("CONFIG", "SET", "requirepass", "secret-value")
    c.call("AUTH", "secret-valuf")
    c.call("SELECT", 3)
    c.call("EVAL", "return redis.call('SET', KEYS[1], 'secret-value')", 1, "scripted")
    c.call("MULTI")
    c.call("GET", "queued")
    c.call("EXEC")
    c.call("ACL", "SETUSER", "bob", "on", "nopass", "+get", "~x")
    bob = env.client(server=server)
    bob.call("AUTH", "bob", "any")
    bob.call("SET", "x", "secret-value")
    bob.call("GET", "y")
    eventually(lambda: any(e["outcome"] == "NOPERM" and e["keys"] == ["y"] for e in lines(path)))
    with open(path, encoding="ascii") as file:
        check("secret" not in file.read())
    found = [(e["user"], e["db"], e["cmd"], e["keys"], e["outcome"]) for e in commands(path)]
    for want in (("default", 0, "set", ["key\u00c3\u00bf\""], "ok"),
                 ("default", 0, "lpush", ["key\u00c3\u00bf\""], "WRONGTYPE"),
                 ("default", 0, "mset", ["a", "b"], "ok"),
                 ("default", 0, "config|set", [], "ok"),
                 ("default", 0, "auth", [], "WRONGPASS"),
                 ("default", 3, "eval", ["scripted"], "ok"),
                 ("default", 3, "set", ["scripted"], "ok"),
                 ("default", 3, "get", ["queued"], "ok"),
                 ("bob", 0, "set", ["x"], "NOPERM"),
                 ("bob", 0, "get", ["y"], "NOPERM")):
        check(want in found, "%r is not in %r" % (want, found))
    first = lines(path)[0]
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"]), first)
    check(first["addr"].startswith("127.0.0.1:") and first["id"] > 0 and first["seq"] == 1, first)
    equal(cairn_check("audit", path).returncode, 0)


@cairn_only("Redis has no audit log")
def test_rules(env):
    _, c, path = start(env, audit_log_rules="user:d* @write ~secret:*; config")
    c.call("SET", "open:1", "v")
    c.call("GET", "secret:1")
    c.call("SET", "secret:1", "v")
    c.call("CONFIG", "GET", "port")
    c.call("MSET", "open:2", "v", "secret:2", "v")
    found = [(e["cmd"], e["keys"]) for e in wait_for(path, 3)]
    equal(found, [("set", ["secret:1"]), ("config|get", []), ("mset", ["open:2", "secret:2"])])
    for bad in ("@nosuch", "nosuchcommand"):
        check(b"no such" in c.call("CONFIG", "SET", "audit-log-rules", bad).text)
    equal(c.call("CONFIG", "SET", "audit-log-rules", "user:nobody"), b"OK")
    c.call("SET", "secret:1", "v")
    equal(c.call("CONFIG", "SET", "audit-log-rules", ""), b"OK")
    c.call("GET", "last")
    eventually(lambda: last_keys(path) == ["last"])
    # CONFIG SET is judged by the rules it leaves behind.
    equal([(e["cmd"], e["outcome"]) for e in commands(path)][3:],
          [("config|set", "ERR"), ("config|set", "ERR"), ("config|set", "ok"), ("get", "ok")])


@cairn_only("Redis has no audit log")
def test_it_is_switched_and_counted(env):
    server = env.start()
    c = env.client(server=server)
    path = os.path.join(env.folder(), "audit.log")
    check("audit_log_events" not in c.call("INFO", "stats").decode())
    check(b"audit.log" in c.call("CONFIG", "SET", "audit-log", "/nonexistent/audit.log").text)
    equal(c.call("CONFIG", "SET", "audit-log", path), b"OK")
    c.call("SET", "k", "v")
    wait_for(path, 2)
    eventually(lambda: "audit_log_events:" in c.call("INFO", "stats").decode())
    check("audit_log_dropped:0\r\n" in c.call("INFO", "stats").decode())
    equal(c.call("CONFIG", "SET", "audit-log", ""), b"OK")
    c.call("SET", "silent", "v")
    equal(c.call("CONFIG", "SET", "audit-log", path), b"OK")
    c.call("SET", "loud", "v")
    eventually(lambda: any(e["keys"] == ["loud"] for e in commands(path)))
    check(not any(e["keys"] == ["silent"] for e in commands(path)))
    # Who turned it off stands in it, though the command itself came to its end behind that.
    off = [e for e in lines(path) if e["event"] == "settings"]
    equal([(e["user"], e["options"]) for e in off], [("default", ["audit-log"])])
    # So does who gave it other rules, whatever these say.
    equal(c.call("CONFIG", "SET", "AUDIT-LOG-RULES", "user:nobody", "hz", 11), b"OK")
    eventually(lambda: lines(path)[-1].get("options") == ["AUDIT-LOG-RULES"])
    equal(cairn_check("audit", path).returncode, 0)  # the chain goes on


@cairn_only("Redis has no audit log")
def test_what_scripts_and_transactions_do_and_may_not(env):
    server, c, path = start(env, busy_reply_threshold=50)
    c.call("ACL", "SETUSER", "ann", "on", "nopass", "+@all", "-incr", "~a*")
    ann = env.client(server=server)
    ann.call("AUTH", "ann", "any")
    client = ann.call("CLIENT", "ID")
    ann.call("EVAL", "redis.call('SET', KEYS[1], 1) redis.pcall('GET', 'b') "
                     "redis.pcall('INCR', 'a')", 1, "a")
    ann.call("MULTI")
    ann.call("SET", "a2", 1)
    c.call("ACL", "SETUSER", "ann", "-set")
    ann.call("EXEC")
    wanted = [("eval", ["a"], "ok"), ("set", ["a"], "ok"), ("get", ["b"], "NOPERM"),
              ("incr", ["a"], "NOPERM"), ("set", ["a2"], "NOPERM"), ("exec", [], "NOPERM")]
    # What a server busy with a script lets in or not.
    other = env.client(server=server)
    other.call("AUTH", "ann", "any")
    ann.send("EVAL", "while true do end", 0)
    eventually(lambda: str(other.call("GET", "a3")).find("BUSY") >= 0)
    equal(other.call("SCRIPT", "KILL"), b"OK")
    check(b"killed" in ann.read().text)
    wanted += [("get", ["a3"], "BUSY"), ("script|kill", [], "ok"), ("eval", [], "ERR")]
    eventually(lambda: all(
        any((e["user"], e["cmd"], e["keys"], e["outcome"]) == ("ann", *want)
            for e in commands(path)) for want in wanted), 10,
        "not all of %r" % (wanted,))
    scripted = [e for e in commands(path) if e["cmd"] in ("set", "incr") and e["keys"] == ["a"]]
    equal({(e["id"], e["addr"].split(":")[0]) for e in scripted}, {(client, "127.0.0.1")})


@cairn_only("Redis has no audit log")
def test_a_call_without_its_arguments(env):
    """Its keys are not looked for where no arguments are."""
    server, c, path = start(env, requirepass="secret")
    stranger = env.client(server=server, password=None)
    for words in (("SORT",), ("SORT_RO",), ("GEORADIUS",), ("GEORADIUSBYMEMBER", "k"),
                  ("MIGRATE",), ("XREAD",), ("XREADGROUP",), ("EVAL",), ("GET",)):
        check(b"wrong number of arguments" in stranger.call(*words).text, words)
    c.call("GET", "last")
    eventually(lambda: last_keys(path) == ["last"])
    equal([e["keys"] for e in commands(path) if e["cmd"].startswith("sort")], [[], []])


@cairn_only("Redis has no audit log")
def test_rotation(env):
    server, c, path = start(env)
    for i in range(20):
        c.call("SET", "before:%d" % i, "v")
    wait_for(path, 20)
    os.rename(path, path + ".moved")
    os.kill(server.pid, signal.SIGHUP)
    eventually(lambda: os.path.exists(path))
    c.call("SET", "after", "v")
    eventually(lambda: last_keys(path) == ["after"])
    equal(cairn_check("audit", path + ".moved", path).returncode, 0)
    equal(c.call("CONFIG", "SET", "audit-log-max-size", 4000, "audit-log-max-files", 3), b"OK")
    for i in range(100):
        c.call("SET", "sized:%d" % i, "v")
    eventually(lambda: last_keys(path) == ["sized:99"])
    files = sorted(name for name in os.listdir(os.path.dirname(path)) if name[-1].isdigit())
    equal(files, ["audit.log.1", "audit.log.2", "audit.log.3"])
    check(all(os.path.getsize(path + "." + n) < 4600 for n in "123"))
    found = cairn_check("audit", *(path + "." + n for n in "321"), path)
    equal(found.returncode, 0, found.stderr)


@cairn_only("Redis has no audit log")
def test_a_changed_line_is_found_and_a_torn_one_is_cut(env):
    server, c, path = start(env)
    for i in range(10):
        c.call("SET", "k:%d" % i, "v")
    eventually(lambda: last_keys(path) == ["k:9"])
    server.kill()
    with open(path, "rb") as file:
        whole = file.read()
    forged = path + ".forged"
    with open(forged, "wb") as file:
        file.write(whole.replace(b'"k:4"', b'"k:5"', 1))
    found = cairn_check("audit", forged)
    equal(found.returncode, 2)
    check(re.search(r"forged, line \d+: its hash is another one", found.stderr), found.stderr)
    with open(path, "ab") as file:
        file.write(b'{"seq":11,"ti')
    equal(cairn_check("audit", path).returncode, 1)
    server.restart()
    c = env.client(server=server)
    c.call("SET", "k:again", "v")
    eventually(lambda: last_keys(path) == ["k:again"])
    equal(cairn_check("audit", path).returncode, 0)


@cairn_only("Redis has no audit log")
def test_what_is_no_command_leaves_no_line(env):
    _, c, path = start(env)
    equal(c.call("my-secret", "k").text.split(b",")[0], b"ERR unknown command 'my-secret'")
    equal(c.call("CLIENT", "my-secret").code, b"ERR")
    equal(c.call("GET").code, b"ERR")  # one of a wrong shape leaves one
    eventually(lambda: any(event["cmd"] == "get" for event in commands(path)))
    with open(path, encoding="ascii") as file:
        check("my-secret" not in file.read())


@cairn_only("Redis has no audit log")
def test_what_is_no_audit_log_is_told_from_a_torn_one(env):
    server, c, path = start(env)
    c.call("SET", "k", "v")
    eventually(lambda: last_keys(path) == ["k"])
    server.stop()
    with open(path, "rb") as file:
        whole = file.read()
    other = path + ".other"
    for content, status, words in ((b"", 0, "no line"), (b"\n", 2, "line 1: it is not a line"),
                                   (b"garbage", 2, "line 1: it is not a line"),
                                   (b"garbage\n", 2, "line 1: it is not a line"),
                                   (os.urandom(1 << 16).replace(b"\n", b"x"), 2, "line 1: "),
                                   (whole + b"garbage", 2, "is not a line"),
                                   (whole + b"{", 1, "torn"), (whole[:-1], 1, "torn"),
                                   (whole + b'{"seq":', 1, "torn"), (whole, 0, "lines 1 to ")):
        with open(other, "wb") as file:
            file.write(content)
        found = cairn_check("audit", other)
        equal(found.returncode, status, repr(content[:20]))
        check(words in found.stdout + found.stderr, found.stdout + found.stderr)
    equal(cairn_check("audit", path + ".none").returncode, 4)
    equal(cairn_check("audit", os.path.dirname(path)).returncode, 4, "a folder")
    equal(cairn_check("audit").returncode, 3)


@cairn_only("Redis has no audit log")
def test_a_file_that_cannot_grow_loses_nothing(env):
    server, c, path = start(env, appendonly="no")
    size_max = 4000
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size_max, resource.RLIM_INFINITY))
    for i in range(100):
        c.call("SET", "k:%d" % i, "v")

    def stat(name):
        return int(re.search(r"audit_log_%s:(\d+)" % name, c.call("INFO", "stats").decode())[1])
    eventually(lambda: stat("write_errors") > 0)
    check(os.path.getsize(path) <= size_max)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE,
                     (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    c.call("SET", "last", "v")
    eventually(lambda: last_keys(path) == ["last"], 20)
    equal(sum(e["cmd"] == "set" for e in lines(path)), 101)
    equal(stat("dropped"), 0)
    equal(cairn_check("audit", path).returncode, 0)
