# SPDX-License-Identifier: BSD-3-Clause
"""CONFIG SET of port, bind and tcp-keepalive: what the server listens on changes while it runs."""

import socket

from harness import ONCE, Error, as_dict, cairn_only, check, equal, eventually, matrix
from harness.resp import Client
from harness.server import free_port

UNABLE = b"ERR CONFIG SET failed (possibly related to argument '%s') - "


def refused(port, address="127.0.0.1"):
    try:
        socket.create_connection((address, port), timeout=5).close()
        return False
    except ConnectionRefusedError:
        return True


@matrix(ONCE)
def test_port_changes(env):
    server = env.start()
    old, new = server.port, free_port()
    with Client(old) as c:
        equal(c.call("CONFIG", "SET", "port", new), b"OK")
        with Client(new) as other:
            equal(other.call("CONFIG", "GET", "port"), [b"port", str(new).encode()])
        eventually(lambda: refused(old), note="the old port still answers")
        equal(c.call("PING"), b"PONG")  # who is there stays
        equal(c.call("CONFIG", "SET", "port", old), b"OK")
    with Client(old) as c:
        equal(c.call("PING"), b"PONG")


@matrix(ONCE)
def test_port_in_use_leaves_all_as_it_was(env):
    server = env.start()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with Client(server.port) as c:
            reply = c.call("CONFIG", "SET", "timeout", 77, "port", taken.getsockname()[1])
            equal(reply, Error(UNABLE % b"port" +
                               b"Unable to listen on this port. Check server logs."))
            equal(as_dict(c.call("CONFIG", "GET", "port", "timeout")),
                  {b"port": str(server.port).encode(), b"timeout": b"0"})
    with Client(server.port) as c:
        equal(c.call("PING"), b"PONG")


@matrix(ONCE)
def test_bind_changes_to_an_address_that_covers_the_old_one(env):
    server = env.start()
    with Client(server.port) as c:
        for bind in ("* -::*", "127.0.0.1", "127.0.0.1 127.0.0.2", "127.0.0.2 127.0.0.1"):
            equal(c.call("CONFIG", "SET", "bind", bind), b"OK")
            with Client(server.port) as other:
                equal(other.call("CONFIG", "GET", "bind"), [b"bind", bind.encode()])
        equal(c.call("CONFIG", "SET", "bind", "127.0.0.1"), b"OK")
        eventually(lambda: refused(server.port, "127.0.0.2"), note="127.0.0.2 still answers")
        reply = c.call("CONFIG", "SET", "bind", "127.0.0.3 192.0.2.1")
        equal(reply, Error(UNABLE % b"bind" + b"Failed to bind to specified addresses."))
    with Client(server.port) as c:
        equal(c.call("CONFIG", "GET", "bind"), [b"bind", b"127.0.0.1"])
    check(refused(server.port, "127.0.0.3"), "127.0.0.3 answers after a refused change")


@cairn_only("Redis has it since 7.2")
@matrix(ONCE)
def test_connections_taken_in_a_row(env):
    """However few are taken at once, all get their turn."""
    for count in (1, 1000):
        env.config(max_new_connections_per_cycle=count)
        crowd = [env.client() for _ in range(50)]
        for client in crowd:
            client.send("PING")
        for client in crowd:
            equal(client.read(), b"PONG")
