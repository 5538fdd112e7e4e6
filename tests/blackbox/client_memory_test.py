# SPDX-License-Identifier: BSD-3-Clause
"""maxmemory-clients, tot-mem of CLIENT LIST, and messages as JSON."""

import json

from harness import ONCE, cairn_only, equal, eventually, info

MATRIX = ONCE


def fields(line):
    return dict(word.split("=", 1) for word in line.split(" ") if "=" in word)


def listed(c):
    found = {}
    for line in c.call("CLIENT", "LIST").decode().strip().split("\n"):
        entry = fields(line)
        found[int(entry["id"])] = entry
    return found


def is_gone(client):
    try:
        client.call("PING")
        return False
    except (ConnectionError, EOFError, OSError):
        return True


def fill(client, bytes_wanted):
    """Makes the client's own memory on the server grow: a transaction that is not executed."""
    equal(client.call("MULTI"), b"OK")
    client.call("SET", "k", "v" * bytes_wanted)


def test_the_largest_client_goes_first(env):
    server = env.start()
    c = env.client(server=server)
    small, middle, large = (env.client(server=server) for _ in range(3))
    fill(small, 10_000)
    fill(middle, 100_000)
    fill(large, 1_000_000)
    c.call("SET", "kept", "v")
    equal(c.call("CONFIG", "SET", "maxmemory-clients", "600kb"), b"OK")
    # What is there already counts from a client's next request on.
    small.call("GET", "x")
    middle.call("GET", "x")
    try:
        large.call("GET", "x")
    except (ConnectionError, EOFError, OSError):
        pass
    eventually(lambda: is_gone(large))
    eventually(lambda: info(c, "evicted_clients") == "1")
    equal(small.call("DISCARD"), b"OK")
    equal(middle.call("DISCARD"), b"OK")
    equal(c.call("GET", "kept"), b"v")


def test_no_evict_keeps_a_client(env):
    server = env.start(maxmemory_clients="600kb")
    c = env.client(server=server)
    kept, other = env.client(server=server), env.client(server=server)
    equal(kept.call("CLIENT", "NO-EVICT", "on"), b"OK")
    fill(kept, 400_000)
    try:
        fill(other, 300_000)
        other.call("GET", "x")
    except (ConnectionError, EOFError, OSError):
        pass
    eventually(lambda: is_gone(other))
    equal(kept.call("DISCARD"), b"OK")
    eventually(lambda: info(c, "evicted_clients") == "1")
    equal(c.call("CONFIG", "RESETSTAT"), b"OK")
    equal(info(c, "evicted_clients"), "0")


@cairn_only("measured in bytes of Cairn's clients")
def test_a_share_of_maxmemory(env):
    server = env.start(maxmemory="100mb", maxmemory_clients="1%")
    c = env.client(server=server)
    other = env.client(server=server)
    fill(other, 400_000)
    equal(other.call("DISCARD"), b"OK")
    try:
        fill(other, 1_200_000)
        other.call("GET", "x")
    except (ConnectionError, EOFError, OSError):
        pass
    eventually(lambda: is_gone(other))
    eventually(lambda: info(c, "evicted_clients") == "1")


@cairn_only("the parts of tot-mem are Cairn's")
def test_tot_mem_counts_what_a_client_holds(env):
    server = env.start()
    c = env.client(server=server)
    other = env.client(server=server)
    identity = other.call("CLIENT", "ID")

    def has(name, bytes_wanted):
        return int(listed(c)[identity][name]) >= bytes_wanted
    before = int(listed(c)[identity]["tot-mem"])
    fill(other, 50_000)
    # Its own thread says so, perhaps behind its reply.
    eventually(lambda: has("multi-mem", 50_000) and has("tot-mem", before + 50_000))
    equal(other.call("DISCARD"), b"OK")
    eventually(lambda: int(listed(c)[identity]["multi-mem"]) == 0)
    equal(other.call("WATCH", "w" * 1000), b"OK")
    eventually(lambda: has("tot-mem", before + 1000))
    other.send("BLPOP", "l" * 5000, 0)
    eventually(lambda: has("argv-mem", 5000))


@cairn_only("Redis has no log-format json")
def test_messages_as_json(env):
    server = env.start(log_format="json")
    c = env.client(server=server)

    def written():
        """The whole lines: the last one may be in the middle of its write."""
        return [json.loads(line) for line in server.log_text().splitlines(True)
                if line.startswith("{") and line.endswith("\n")]
    eventually(lambda: any(entry["message"].startswith("Ready to accept") for entry in written()))
    equal(sorted(written()[-1]), ["level", "message", "pid", "role", "time"])
    equal(c.call("CONFIG", "SET", "log-format", "legacy"), b"OK")
