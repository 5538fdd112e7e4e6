# SPDX-License-Identifier: BSD-3-Clause
"""What a round left in the journal is the data that it left in memory.

DEBUG LOADAOF replays the journal: every key, deadline, stream group and pending entry has to be as
it was. And the segments, through `lz4 -dc`, load in redis-server with the same DEBUG DIGEST.
"""

import glob
import os
import subprocess

from differential.families.programs import inner_command
from harness.server import Server, oracle_binary

# As in Redis the journal does not tell when a consumer was last seen, nor how often it asked for
# what is pending already, which counts as a delivery.
NOT_JOURNALED = (b"seen-time", b"active-time", b"idle", b"inactive")
LAYOUT = (b"radix-tree-keys", b"radix-tree-nodes")


def rereads(command):
    """XREADGROUP from an id on, instead of what is new."""
    command = inner_command(command)
    if command[0].upper() != b"XREADGROUP" or b"STREAMS" not in command:
        return False
    names_and_ids = command[command.index(b"STREAMS") + 1:]
    return any(text != b">" for text in names_and_ids[len(names_and_ids) // 2:])


def settled(report, deliveries):
    """XINFO STREAM FULL without what a replay may change."""
    if isinstance(report, list) and len(report) % 2 == 0 and \
            all(isinstance(name, bytes) for name in report[::2]):
        report = dict(zip(report[::2], report[1::2]))
    if isinstance(report, dict):
        return {name: _pending(value, deliveries) if name == b"pending" else
                settled(value, deliveries) for name, value in report.items()
                if name not in NOT_JOURNALED and name not in LAYOUT}
    return [settled(v, deliveries) for v in report] if isinstance(report, list) else report


def _pending(entries, deliveries):
    """[id, consumer, time, count] each, or without the consumer."""
    return entries if deliveries else [entry[:-2] for entry in entries]


def describe(client, deliveries=True, databases=3):
    """{(db, key): all that is known of it}"""
    found = {}
    for db in range(databases):
        client.call("SELECT", db)
        for key in client.call("KEYS", "*"):
            kind = client.call("TYPE", key)
            found[db, key] = [kind, client.call("DEBUG", "DIGEST-VALUE", key),
                              client.call("PEXPIRETIME", key)]
            if kind == b"stream":
                report = client.call("XINFO", "STREAM", key, "FULL", "COUNT", 0)
                found[db, key].append(settled(report, deliveries))
    return found


def differences(before, after):
    return ["%r was %r, is %r" % (key, before.get(key), after.get(key))
            for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]


def check_replay(pair, history):
    """DEBUG LOADAOF changes nothing; returns what it did change."""
    client = pair.clients[0]
    deliveries = not any(map(rereads, history))
    before, digest = describe(client, deliveries), client.call("DEBUG", "DIGEST")
    reply = client.call("DEBUG", "LOADAOF")
    if reply != b"OK":
        return ["DEBUG LOADAOF: %r" % reply]
    problems = differences(before, describe(client, deliveries))
    if not problems and client.call("DEBUG", "DIGEST") != digest:
        problems = ["DEBUG DIGEST was %r, is %r" % (digest, client.call("DEBUG", "DIGEST"))]
    return problems


def check_stock_load(pair, settings):
    """redis-server with the same thresholds loads the segments; the server is started again."""
    server = pair.servers[0]
    wanted = pair.clients[0].call("DEBUG", "DIGEST")
    pair.clients[0].close()
    server.stop()
    options = {name.decode(): value.decode() for name, value in settings}
    oracle = Server(binary=oracle_binary(), wait=False, appendonly="yes", **options)
    try:
        with open(os.path.join(oracle.folder, "appendonly.aof"), "wb") as out:
            for segment in sorted(glob.glob(os.path.join(server.folder, "appendonlydir",
                                                         "*.aof.lz4"))):
                subprocess.run(["lz4", "-dc", segment], stdout=out, check=True)
        oracle.start()
        with oracle.client() as client:
            found = client.call("DEBUG", "DIGEST")
            theirs = describe(client) if found != wanted else {}
    finally:
        oracle.discard()
    server.directives.update(options)
    server.start()
    with server.client() as client:
        again = client.call("DEBUG", "DIGEST")
        problems = differences(describe(client), theirs) if found != wanted else []
    if again != wanted:
        problems.append("a restart changed the data: %r was %r" % (again, wanted))
    return problems
