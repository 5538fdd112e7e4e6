# SPDX-License-Identifier: BSD-3-Clause
"""The folder of a server's journal, as operators see it: by the tool and by starts refused."""
import os
import subprocess

from .checks import equal, info
from .server import check_binary, server_binary


def folder(server):
    return os.path.join(server.folder, "appendonlydir")


def check_tool(*arguments, environment=None):
    return subprocess.run([check_binary(), *arguments], capture_output=True, timeout=60, check=False,
                          env=dict(os.environ, **(environment or {})))


def lsn(c):
    return int(info(c, "journal_lsn"))


def refused(server, *arguments):
    """Starts once more in the server's folder; it must end by itself. Returns its output."""
    done = subprocess.run([server_binary(), "--dir", server.folder, "--port", "0", "--unixsocket",
                           os.path.join(server.folder, "refused.sock"), *arguments],
                          capture_output=True, text=True, timeout=60, check=False)
    equal(done.returncode, 1, done.stdout + done.stderr)
    return done.stdout + done.stderr


def restored(server, target):
    """The server again, on the same folder, restored to the target."""
    server.stop()
    server.directives["restore-to"] = str(target)
    server.start()
    del server.directives["restore-to"]
    return server.client()
