# SPDX-License-Identifier: BSD-3-Clause
"""Bad input: crowds of half-open connections, enormous counts, arguments without end. The server
stays up, its memory bounded, and honest clients are served meanwhile.
"""

import re
import resource
import socket

from harness import ONCE, cairn_only, check, equal, eventually, limit, skip, slow_build

MATRIX = ONCE


def used_memory(client):
    return int(re.search(rb"used_memory:(\d+)", client.call("INFO", "memory")).group(1))


def clients(client):
    return int(re.search(rb"connected_clients:(\d+)", client.call("INFO", "clients")).group(1))


@limit(120)
def test_ten_thousand_half_open_connections(env):
    """Each has sent the beginning of a request and no more."""
    wanted = 10000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted + 500:
        skip("only %d descriptors allowed" % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted + 500, hard))
    server = env.start(maxclients=wanted + 20)
    beginnings = (b"", b"*", b"*3\r\n$3\r\nSE", b"*1000\r\n$1\r\nx\r\n", b"$5\r\n", b"GET key",
                  b"*2\r\n$3\r\nGET\r\n$100000000\r\nabc")
    with server.client() as honest:
        before = used_memory(honest)
        crowd = []
        for i in range(wanted):
            sock = socket.create_connection(("127.0.0.1", server.port), 60)
            sock.sendall(beginnings[i % len(beginnings)])
            crowd.append(sock)
            if i % 1000 == 0:
                equal(honest.call("SET", "key", i), b"OK")
        eventually(lambda: clients(honest) > wanted * 0.8, 60)  # "$5" is an error and goes
        equal(honest.call("GET", "key"), b"9000")
        grown = used_memory(honest) - before
        check(grown < 300 * 2**20, "%d bytes for %d connections" % (grown, wanted))
        # Byte by byte they come on, and go.
        for sock in crowd[::100]:
            try:
                sock.sendall(b"\r")
            except OSError:
                pass
        equal(honest.call("PING"), b"PONG")
        for sock in crowd:
            sock.close()
        eventually(lambda: clients(honest) == 1, 60, "connections that were closed are still there")


def answer(server, data):
    """What the server says to raw bytes until it closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), 60) as sock:
        sock.sendall(data)
        text = b""
        try:
            while chunk := sock.recv(65536):
                text += chunk
        except ConnectionResetError:
            pass
        return text


def test_huge_counts_before_and_after_auth(env):
    server = env.start(requirepass="secret")
    auth = b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n"
    with server.client() as honest:
        before = used_memory(honest)
        unauthenticated = ((b"*11\r\n", b"unauthenticated multibulk length"),
                           (b"*1000000\r\n", b"unauthenticated multibulk length"),
                           (b"*2\r\n$16385\r\n", b"unauthenticated bulk length"),
                           (b"*99999999999999999999\r\n", b"invalid multibulk length"))
        for data, error in unauthenticated:
            equal(answer(server, data), b"-ERR Protocol error: " + error + b"\r\n")
        for data, error in ((b"*2147483648\r\n", b"invalid multibulk length"),
                            (b"*2\r\n$536870913\r\n", b"invalid bulk length"),
                            (b"*2\r\n$-1\r\n", b"invalid bulk length")):
            equal(answer(server, auth + data), b"+OK\r\n-ERR Protocol error: " + error + b"\r\n")
        # Announced, never sent: nothing is set aside for it.
        held = []
        for data in (b"*2147483647\r\n", b"*2\r\n$3\r\nGET\r\n$536870912\r\n", b"*1000000\r\n$1\r\n"):
            for _ in range(20):
                sock = socket.create_connection(("127.0.0.1", server.port), 60)
                sock.sendall(auth + data)
                equal(sock.recv(100), b"+OK\r\n")
                held.append(sock)
        grown = used_memory(honest) - before
        check(grown < 100 * 2**20, "%d bytes for what was only announced" % grown)
        equal(honest.call("PING"), b"PONG")
        for sock in held:
            sock.close()


@limit(120)
@cairn_only("redis-server does so since 7.4.3")
def test_a_stranger_who_reads_no_replies(env):
    """Errors are all he gets, and no more of them than fit into little."""
    server = env.start(requirepass="secret")
    with server.client() as honest, socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.settimeout(60)
        requests = b"PING\r\n" * 100_000
        try:
            for _ in range(1000):
                sock.sendall(requests)
            check(False, "34 bytes for each of 100 million requests were kept")
        except TimeoutError:
            check(False, "he is neither served nor closed")
        except OSError:
            pass
        eventually(lambda: clients(honest) == 1)
        if not slow_build(server.binary):  # those keep for a while what is free
            check(used_memory(honest) < 50 * 2**20)
    # Who reads is answered, however many they are, and may log in behind them.
    with socket.create_connection(("127.0.0.1", server.port), 60) as sock:
        sock.sendall(b"PING\r\n" * 2000 + b"AUTH secret\r\n" + b"PING\r\n" * 2000)
        wanted = b"-NOAUTH Authentication required.\r\n" * 2000 + b"+OK\r\n" + b"+PONG\r\n" * 2000
        text = b""
        while len(text) < len(wanted) and (chunk := sock.recv(65536)):
            text += chunk
        equal(text, wanted)


@limit(120)
def test_a_million_arguments(env):
    server = env.start()
    count = 1_000_000
    with server.client() as c, server.client() as honest:
        pairs = b"".join(b"$7\r\n%07d\r\n$1\r\nv\r\n" % i for i in range(count // 2))
        c.send_raw(b"*%d\r\n$4\r\nMSET\r\n" % (count + 1) + pairs)
        equal(honest.call("PING"), b"PONG")
        equal(c.read(), b"OK")
        equal(c.call("DBSIZE"), count // 2)
        c.send_raw(b"*%d\r\n" % count + b"$4\r\nNOPE\r\n" * count)
        check(c.read().text.startswith(b"ERR unknown command 'NOPE'"))
        equal(honest.call("GET", "0000001"), b"v")


@cairn_only("how much room it makes is redis-server's own matter")
def test_one_element_a_hundred_thousand_times(env):
    """Room is made for as many elements as there are words, and given back."""
    call, count = env.c.call, 100_000
    equal(call("SADD", "set", *["x"] * count), 1)
    equal(call("HSET", "hash", *["x", "v"] * count), 1)
    equal(call("HSETEX", "hashes", "FIELDS", count, *["x", "v"] * count), 1)
    equal(call("ZADD", "zset", *[1, "x"] * count), 1)
    equal(call("GEOADD", "places", *[1, 2, "x"] * count), 1)
    for key in ("set", "hash", "hashes", "zset", "places"):
        used = call("MEMORY", "USAGE", key)
        check(used < 2000, "%s: %d bytes" % (key, used))
    equal(call("SRANDMEMBER", "set", -3), [b"x"] * 3)
    equal(call("HRANDFIELD", "hash", -3), [b"x"] * 3)


@cairn_only("Redis's own file is Redis's own matter")
def test_debians_redis_conf_starts_the_server_unchanged(env):
    """Each directive is honoured, or named in one warning; only where to listen and to write is
    ours, as its folders belong to another user."""
    path = "/etc/redis/redis.conf"
    try:
        with open(path) as file:
            text = file.read()
    except OSError as error:
        skip("no %s: %s" % (path, error))
    folder = env.folder()
    server = env.start(config_file=path, logfile=folder + "/messages", pidfile=folder + "/pid",
                       daemonize="no")
    with server.client() as c:
        equal(c.call("SET", "a", "b"), b"OK")
        for line in text.splitlines():
            words = line.split()
            if not words or words[0].startswith("#") or len(words) != 2:
                continue
            if words[0] in ("port", "dir", "logfile", "pidfile", "daemonize", "bind"):
                continue
            value = c.call("CONFIG", "GET", words[0])
            check(value, "%s is not known" % words[0])
    with open(folder + "/messages") as messages:
        warnings = [line for line in messages if "no effect in Cairn" in line]
    check(len(warnings) <= 1, warnings)
