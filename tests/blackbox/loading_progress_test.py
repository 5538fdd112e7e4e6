# SPDX-License-Identifier: BSD-3-Clause
"""How far a load is: a line drawn over itself on a terminal, and nothing of that in a file."""

import os
import pty
import re
import signal
import subprocess

from harness import ONCE, cairn_only, check, equal, eventually, limit, server_binary

MATRIX = ONCE
DRAWN = re.compile(rb"\r\x1b\[KLoading the (\w+): ([\d.]+)% of ([\d.]+) MiB"
                   rb"(?:, ([\d.]+) MiB/s, (\d+) s left)?\r")


def start(folder, output):
    return subprocess.Popen([server_binary(), "--dir", folder, "--port", "0", "--unixsocket",
                             os.path.join(folder, "socket"), "--appendonly", "yes"],
                            stdout=output, stderr=subprocess.STDOUT)


def contents(path):
    with open(path, "rb") as file:
        return file.read()


def said_on_a_terminal(folder):
    """All that a start, which ends as soon as it is ready, says on a terminal."""
    terminal, side = pty.openpty()
    process = start(folder, side)
    os.close(side)
    said, asked = b"", False
    try:
        while True:
            try:
                more = os.read(terminal, 65536)
            except OSError:  # the other side is closed
                break
            if not more:
                break
            said += more
            if not asked and b"Ready to accept connections" in said:
                process.send_signal(signal.SIGTERM)
                asked = True
        check(asked, "it was never ready: %r" % said[-2000:])
        equal(process.wait(timeout=120), 0)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    return said


@limit(180)
@cairn_only("the line is ours")
def test_progress_on_a_terminal(env):
    server = env.start(appendonly="yes")
    with server.client() as c:
        for kind in range(2):
            for i in range(12):
                equal(c.call("SET", "k%d:%d" % (kind, i), os.urandom(1 << 20)), "OK")
            if kind == 0:
                check(b"started" in c.call("BGREWRITEAOF"), "no rewrite")
                eventually(lambda: b"aof_rewrite_in_progress:0" in c.call("INFO", "persistence")
                           and b"aof_base_size:0" not in c.call("INFO", "persistence"), 60)
    server.stop()
    said = said_on_a_terminal(server.folder)
    lines = [(what, float(percent), float(total))
             for what, percent, total, _, _ in DRAWN.findall(said)]
    for kind in (b"snapshot", b"journal"):
        of_kind = [line for line in lines if line[0] == kind]
        check(of_kind, "nothing of the %s: %r" % (kind, said[:2000]))
        percents = [line[1] for line in of_kind]
        equal(percents, sorted(percents))
        check(0 <= percents[0] and percents[-1] <= 100, percents)
        for _, _, total in of_kind:
            check(11.5 < total < 13, total)
    # What was drawn is gone before the next message, which has a line of its own.
    gone = rb"Loading the snapshot: [^\r]*\r\r\x1b\[K\d+:M [^\r]*DB loaded from disk"
    check(re.search(gone, said), said[-2000:])
    with open(os.path.join(server.folder, "file"), "w+b") as file:
        process = start(server.folder, file)
        try:
            path = os.path.join(server.folder, "file")
            eventually(lambda: b"Ready to accept" in contents(path), 120, "not ready")
            process.send_signal(signal.SIGTERM)
            equal(process.wait(timeout=120), 0)
        finally:
            process.kill()
            process.wait()
        text = contents(path)
        check(b"\r" not in text and b"\x1b" not in text, text[:2000])
