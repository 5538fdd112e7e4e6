# SPDX-License-Identifier: BSD-3-Clause
"""Runs a comparison script beside a Cairn and a redis-server with their defaults:

    python3 -m harness.with_servers tests/facts.py

The script gets HOST:PORT of both and prints `N passed, N failed` itself.
"""

import subprocess
import sys

from harness.server import Server, oracle_binary


def main():
    cairn = Server()
    oracle = Server(binary=oracle_binary())
    addresses = ["127.0.0.1:%d" % server.port for server in (cairn, oracle)]
    status = subprocess.run([sys.executable, *sys.argv[1:], *addresses], check=False).returncode
    oracle.stop()
    stopped = cairn.stop()
    problem = cairn.problem() or (stopped and "exit status %d" % stopped)
    if problem:
        print(problem)
    for server in (cairn, oracle):
        server.discard(keep=bool(problem))
    return 1 if status or problem else 0


if __name__ == "__main__":
    sys.exit(main())
