# SPDX-License-Identifier: BSD-3-Clause
"""What the process tells the system: systemd, the OOM killer; what it says when it crashes."""

import os
import re
import signal
import socket

from harness import (ONCE, Error, Server, check, equal, eventually, matrix, server_binary, skip,
                     slow_build)


def notifications(path):
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(path)
    receiver.settimeout(60)
    return receiver


@matrix(ONCE)
def test_systemd_hears_ready_and_stopping(env):
    for path in (os.path.join(env.server.folder, "notify"), "\0cairn-notify-%d" % os.getpid()):
        with notifications(path) as receiver:
            server = Server(supervised="systemd", daemonize="yes",
                            environment={"NOTIFY_SOCKET": path.replace("\0", "@")})
            env.own.append(server)
            check(b"READY=1" in receiver.recv(1000), "not ready")
            equal(server.client().call("PING"), b"PONG")
            server.stop()
            check(b"STOPPING=1" in receiver.recv(1000), "not stopping")


def title(server):
    with open("/proc/%d/cmdline" % server.pid, "rb") as file:
        return file.read().rstrip(b"\0").decode()


@matrix(ONCE)
def test_the_title_says_what_is_served(env):
    server = env.start(environment={"PADDING": "y" * 2000})
    program = title(server).split(" ")[0]
    check(program.endswith("cairn-server"), program)
    eventually(lambda: title(server) == "%s 127.0.0.1:%d" % (program, server.port))
    with server.client() as c:
        equal(c.call("CONFIG", "SET", "proc-title-template", "{title}{server-mode} p={port} "
                     "t={tls-port} u={unixsocket}{config-file}."), b"OK")
        equal(title(server), "%s p=%d t=0 u=." % (program, server.port))
        # Longer than the arguments were, into the place of the environment.
        long = "x" * 3000
        equal(c.call("CONFIG", "SET", "proc-title-template", long), b"OK")
        check(2000 < len(title(server)) <= 3000 and set(title(server)) == {"x"}, title(server))
        equal(c.call("CONFIG", "SET", "proc-title-template", " {listen-addr} "), b"OK")
        equal(title(server), "127.0.0.1:%d" % server.port)
        check(isinstance(c.call("CONFIG", "SET", "proc-title-template", "{nosuch}"), Error))
    off = env.start(set_proc_title="no")
    check("--port" in title(off), title(off))


def threads(server):
    names = set()
    for task in os.listdir("/proc/%d/task" % server.pid):
        try:
            with open("/proc/%d/task/%s/comm" % (server.pid, task)) as file:
                names.add(file.read().strip())
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            pass
    return names


@matrix(ONCE)
def test_threads_have_names(env):
    wanted = {"worker-0", "worker-3", "journal-write", "journal-sync", "journal-keep",
              "journal-watch", "lazy-free"}
    eventually(lambda: wanted <= threads(env.server), note="a thread has no name")


def oom_score(server):
    with open("/proc/%d/oom_score_adj" % server.pid) as file:
        return int(file.read())


@matrix(ONCE)
def test_oom_score_follows_the_options(env):
    server = env.start()
    base = oom_score(server)
    with server.client() as c:
        equal(c.call("CONFIG", "SET", "oom-score-adj-values", "30 40 50"), b"OK")
        equal(oom_score(server), base)
        equal(c.call("CONFIG", "SET", "oom-score-adj", "relative"), b"OK")
        equal(oom_score(server), min(base + 30, 1000))
        equal(c.call("CONFIG", "SET", "oom-score-adj", "absolute", "oom-score-adj-values",
                     "1000 1000 1000"), b"OK")
        equal(oom_score(server), 1000)
        equal(c.call("CONFIG", "SET", "oom-score-adj", "no"), b"OK")
        equal(oom_score(server), base)


@matrix(ONCE)
def test_a_crash_leaves_a_report(env):
    if slow_build(server_binary()):
        skip("sanitizers report themselves")
    for how, number in (("SEGFAULT", signal.SIGSEGV), ("PANIC", signal.SIGABRT)):
        server = Server(logfile="messages")
        with server.client() as c:
            try:
                c.call("DEBUG", how)
            except (EOFError, OSError):
                pass
        equal(server.process.wait(timeout=60), -number)
        with open(os.path.join(server.folder, "messages")) as file:
            text = file.read()
        check("crashed by signal: %d" % number in text, text)
        # By the name that ps shows, as glibc knows no other.
        check("STACK TRACE" in text and re.search(r"cairn-server.*\(\+0x", text), text)
        check(how != "PANIC" or "check failed" in text, text)
        server.discard()


@matrix(ONCE)
def test_populate(env):
    server = env.start()
    with server.client() as c:
        c.call("SET", "key:3", "mine")
        equal(c.call("DEBUG", "POPULATE", 10), b"OK")
        equal(c.call("DBSIZE"), 10)
        equal(c.call("MGET", "key:0", "key:3"), [b"value:0", b"mine"])
        equal(c.call("DEBUG", "POPULATE", 2, "p", 12), b"OK")
        equal(c.call("GET", "p:1"), b"value:1" + bytes(5))
        equal(c.call("DEBUG", "POPULATE", 2, "q", 3), b"OK")
        equal(c.call("GET", "q:1"), b"val")
        check(isinstance(c.call("DEBUG", "POPULATE", "x"), Error), "a count that is none")
        digest = c.call("DEBUG", "DIGEST")
    server.restart(crash=False)
    with server.client() as c:
        equal(c.call("DEBUG", "DIGEST"), digest)
