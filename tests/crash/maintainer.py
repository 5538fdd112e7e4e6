# SPDX-License-Identifier: BSD-3-Clause
"""What an operator's scripts do beside the writers: compact, save, copy.

A backup is judged without knowing the instant it is of: what MULTI and MSET wrote together must be
there together, and a backup that was answered must be complete.
"""

import os
import random
import shutil
import subprocess
import threading

from harness.resp import Error
from harness.server import Server

MARK = "backup-unfinished"


class Maintainer(threading.Thread):
    """BGREWRITEAOF, BGSAVE and BACKUP TO, in random order, until the server is gone."""

    def __init__(self, server, seed, may_fail=False):
        super().__init__(daemon=True)
        self.server, self.rng, self.may_fail = server, random.Random(seed), may_fail
        self.client = server.client()
        self.client.sock.settimeout(60)
        self.asked, self.answered = [], {}
        self.problem = None

    def run(self):
        try:
            while True:
                pick = self.rng.random()
                if pick < 0.4:
                    self.client.call("BGREWRITEAOF")
                elif pick < 0.6:
                    self.client.call("BGSAVE", "SCHEDULE")
                else:
                    self.backup("backup-%d" % len(self.asked))
        except (OSError, EOFError):
            pass

    def backup(self, name):
        self.asked.append(name)
        reply = self.client.call("BACKUP", "TO", name)
        if isinstance(reply, Error) and self.may_fail:
            return
        if isinstance(reply, Error):
            self.problem = "BACKUP: %r" % reply
            raise EOFError
        self.answered[name] = {reply[i].decode(): reply[i + 1] for i in range(0, len(reply), 2)}


def start_on(server, path):
    """The status and output of a server of the same kind that ends by itself, None if it starts."""
    try:
        done = subprocess.run([server.binary, "--dir", path, "--port", "0", "--unixsocket",
                               os.path.join(path, "s"), "--save", ""],
                              capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        return None


def whole(server, path, writers, report):
    """What is wrong with the data of a finished backup."""
    there = Server(binary=server.binary, wait=False, appendonly="yes")
    try:
        shutil.copytree(path, there.folder, dirs_exist_ok=True)
        there.start()
        with there.client() as client:
            if report is not None and client.call("DBSIZE") != report["keys"]:
                return ["%s: %s keys, %s said" % (path, client.call("DBSIZE"), report["keys"])]
            for writer in writers:
                one, two = (client.call("GET", writer.label + k) for k in (":one", ":two"))
                x, y = (int(client.call("GET", writer.label + k) or 0) for k in (":x", ":y"))
                text = (client.call("GET", writer.label + ":text") or b"").count(b".")
                if one != two or x != y + 2 * text:
                    return ["%s: half a transaction: %r %r, %d %d %d" % (path, one, two, x, y, text)]
        return []
    finally:
        there.discard()


def check_backups(server, maintainer, writers):
    """Problems of the round's backups; removes them."""
    problems = [maintainer.problem] if maintainer.problem else []
    finished = []
    for name in maintainer.asked:
        path = os.path.join(server.folder, name)
        if not os.path.isdir(path) or not os.listdir(path):
            if name in maintainer.answered:
                problems.append("%s was answered and is not there" % name)
        elif os.path.exists(os.path.join(path, MARK)):
            status = start_on(server, path)
            if status is None or status[0] == 0 or "was never finished" not in status[1]:
                problems.append("%s is unfinished and not refused: %r" % (name, status))
        else:
            finished.append(name)
    # The last ones are of most interest: the kill may have met them.
    for name in finished[-2:]:
        problems += whole(server, os.path.join(server.folder, name), writers,
                          maintainer.answered.get(name))
    for name in maintainer.asked:
        shutil.rmtree(os.path.join(server.folder, name), ignore_errors=True)
    return problems
