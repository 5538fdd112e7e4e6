#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compares a running Cairn's CONFIG GET * with a running redis-server's.

usage: tests/config_names.py HOST:PORT ORACLE_HOST:PORT

Every name that the oracle knows must be there, with the same value unless it is listed below.
Both servers should run with their defaults. Prints mismatches and "N passed, N failed".
"""
import socket
import sys

# Values that belong to the process under test, not to the defaults.
OF_THIS_PROCESS = {
    "port", "dir", "pidfile", "logfile", "bind", "unixsocket", "save", "daemonize", "loglevel",
    "protected-mode", "databases", "enable-debug-command", "enable-protected-configs", "maxclients",
    "dbfilename", "supervised",
}
# Defaults in which Cairn differs, and why.
OTHER_DEFAULT = {
    "appendonly": "the journal is what Cairn is for",
    "syslog-ident": "its own name",
}


def config(address):
    """CONFIG GET * as a dictionary."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        stream = connection.makefile("rwb")
        stream.write(b"*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$1\r\n*\r\n")
        stream.flush()
        head = stream.readline()
        if head[:1] != b"*":
            sys.exit("CONFIG GET: " + head.decode().strip())
        words = []
        for _ in range(int(head[1:])):
            length = int(stream.readline()[1:])
            words.append(stream.read(length + 2)[:-2].decode())
    return dict(zip(words[::2], words[1::2]))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    ours, theirs = config(sys.argv[1]), config(sys.argv[2])
    passed = failed = 0
    for name, value in sorted(theirs.items()):
        if name not in ours:
            print(f"missing: {name}")
        elif (name not in OF_THIS_PROCESS and name not in OTHER_DEFAULT and ours[name] != value):
            print(f"{name}: {ours[name]!r}, the oracle has {value!r}")
        else:
            passed += 1
            continue
        failed += 1
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
