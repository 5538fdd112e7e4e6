# SPDX-License-Identifier: BSD-3-Clause
"""What clients of leaders and followers may do, wait for and hear."""

import os
import select

from harness import ONCE, check, equal, eventually, limit
from harness.proxy import Proxy
from harness.replication import PATIENCE, cairn, follow, frozen, in_step, info, oracle, thaw
from harness.resp import Error, encode, parse

MATRIX = ONCE


def test_wait(env):
    leader, follower = cairn(env), cairn(env)
    with leader.client() as c:
        equal(c.call("WAIT", 1, 1), 0)
        follow(follower, leader)
        in_step(leader, follower)
        for i in range(20):
            c.call("SET", "k", i)
            equal(c.call("WAIT", 1, 0), 1)
        c.call("SET", "k", "last")
        equal(c.call("WAITAOF", 1, 1, 0), [1, 1])
        equal(c.call("WAIT", 2, 1), 1)
        # More than one waits at a time, and one that nobody can answer goes on waiting.
        with leader.client() as d:
            d.call("SET", "j", 1)
            d.send("WAIT", 1, 0)
            c.call("SET", "k", 2)
            equal(c.call("WAIT", 1, 0), 1)
            equal(d.read(), 1)


def test_min_replicas(env):
    leader, follower = cairn(env), cairn(env)
    with leader.client() as c:
        equal(c.call("CONFIG", "SET", "min-replicas-to-write", 1), b"OK")
        refused = Error(b"NOREPLICAS Not enough good replicas to write.")
        eventually(lambda: c.call("SET", "k", "v") == refused, PATIENCE)
        equal(c.call("GET", "k"), b"v" if c.call("EXISTS", "k") else None)
        follow(follower, leader)
        eventually(lambda: c.call("SET", "k", "v") == b"OK", PATIENCE)
        equal(info(c, "min_slaves_good_slaves"), "1")


def test_stale_data(env):
    leader, follower = cairn(env), cairn(env, replica_serve_stale_data="no")
    with leader.client() as up, follower.client() as down:
        up.call("SET", "k", "v")
        follow(follower, leader)
        in_step(leader, follower)
        eventually(lambda: down.call("GET", "k") == b"v", PATIENCE)
        leader.kill()
        stale = Error(b"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to "
                      b"'no'.")
        eventually(lambda: down.call("GET", "k") == stale, PATIENCE)
        equal(down.call("REPLICAOF", "NO", "ONE"), b"OK")
        equal(down.call("GET", "k"), b"v")


def test_scripts_where_data_is_stale(env):
    """What may run, and how the rest is refused, as redis-server does it."""
    requests = [("SET", "k", "v"), ("PUBLISH", "a", "b"), ("EVAL_RO", "return 1", 0)]
    calls = ("redis.call('GET', 'k')", "redis.pcall('GET', 'k')", "redis.call('SET', 'k', 'v')",
             "redis.call('ECHO', 'x')", "redis.call('PUBLISH', 'a', 'b')", "redis.call('nosuch')",
             "redis.call('GET')", "redis.call('CONFIG', 'GET', 'port')", "1")
    for flags in ("", "#!lua\n", "#!lua flags=no-writes\n", "#!lua flags=allow-stale\n",
                  "#!lua flags=allow-stale,no-writes\n"):
        requests += [("EVAL", "%sreturn %s" % (flags, call), 0) for call in calls]
    library = "#!lua name=l\n" + "".join(
        "redis.register_function{function_name='f%d', flags={%s}, callback=function() return %s "
        "end}\n" % (number, flags, call) for number, (flags, call) in enumerate(
            (flags, call) for flags in ("", "'no-writes'", "'allow-stale','no-writes'")
            for call in calls))
    requests += [(name, "f%d" % i, 0) for name in ("FCALL", "FCALL_RO") for i in range(3 * len(calls))]
    replies = []
    for server in (cairn(env, replica_serve_stale_data="no"),
                   oracle(env, replica_serve_stale_data="no")):
        with server.client() as c:
            equal(c.call("FUNCTION", "LOAD", library), b"l")
            equal(c.call("REPLICAOF", "127.0.0.1", 1), b"OK")
            eventually(lambda: getattr(c.call("GET", "k"), "code", None) == b"MASTERDOWN", PATIENCE)
            replies.append([c.call(*request) for request in requests])
            equal([c.call("MULTI"), c.call("EVAL", "return 1", 0)], [b"OK", b"QUEUED"])
            replies[-1].append(c.call("EXEC"))
    for request, ours, theirs in zip(requests + ["EXEC"], *replies):
        equal(ours, theirs, repr(request))


def test_password(env):
    leader = cairn(env, requirepass="secret")
    follower = cairn(env)
    with follower.client() as down:
        equal(down.call("REPLICAOF", "127.0.0.1", leader.port), b"OK")
        eventually(lambda: "NOAUTH" in follower.log_text(), PATIENCE, "let in without a password")
        equal(info(down, "master_link_status"), "down")
        equal(down.call("CONFIG", "SET", "masterauth", "secret"), b"OK")
        eventually(lambda: info(down, "master_link_status") == "up", PATIENCE)


def test_messages_reach_the_followers(env):
    leader, follower = cairn(env), cairn(env)
    follow(follower, leader)
    in_step(leader, follower)
    with leader.client() as up, follower.client() as down:
        equal(down.call("SUBSCRIBE", "channel"), [b"subscribe", b"channel", 1])
        up.call("PUBLISH", "channel", "hello")
        equal(down.read(), [b"message", b"channel", b"hello"])
        up.pipeline([("MULTI",), ("SET", "k", "v"), ("PUBLISH", "channel", "inside"), ("EXEC",)])
        equal(down.read(), [b"message", b"channel", b"inside"])
    in_step(leader, follower)


def test_blocked_clients_hear_of_the_role(env):
    leader, follower = cairn(env), cairn(env)
    with follower.client() as waits:
        waits.send("BLPOP", "list", 0)
        with follower.client() as c:
            eventually(lambda: b"blocked_clients:1" in c.call("INFO", "clients"), PATIENCE)
        follow(follower, leader)
        equal(waits.read(), Error(b"UNBLOCKED force unblock from blocking operation, instance state "
                                  b"changed (master -> replica?)"))


def test_expiry_is_the_leaders(env):
    """A follower hides what is past its time, and deletes it only when the leader says so."""
    leader, follower = cairn(env), cairn(env)
    with leader.client() as up, follower.client() as down:
        equal(up.call("DEBUG", "SET-ACTIVE-EXPIRE", 0), b"OK")
        follow(follower, leader)
        in_step(leader, follower)
        up.call("SET", "k", 10, "PX", 1)
        up.call("HSET", "h", "f", "v")
        up.call("PEXPIRE", "h", 1)
        eventually(lambda: down.call("DBSIZE") == 2, PATIENCE)
        eventually(lambda: down.call("GET", "k") is None and down.call("EXISTS", "h") == 0, PATIENCE)
        equal(down.call("DBSIZE"), 2)
        equal(up.call("GET", "k"), None)
        eventually(lambda: down.call("DBSIZE") == 1, PATIENCE)
        up.call("EXISTS", "h")
        in_step(leader, follower)


def test_refusals(env):
    server = cairn(env)
    c = env.client(2, server)
    equal(c.call("REPLICAOF", "host", "x"), Error(b"ERR Invalid master port"))
    equal(c.call("REPLCONF", "listening-port"), Error(b"ERR syntax error"))
    equal(c.call("REPLCONF", "no-such", "x"), Error(b"ERR Unrecognized REPLCONF option: no-such"))
    equal(c.call("REPLCONF", "listening-port", "123"), b"OK")
    equal(c.call("REPLCONF", "ip-address", "h" * 255), b"OK")
    equal(c.call("REPLCONF", "ip-address", "h" * 256),
          Error(b"ERR REPLCONF ip-address provided by replica instance is too long: 256 bytes"))
    equal(c.call("REPLCONF", "rdb-only", "x"),
          Error(b"ERR value is not an integer or out of range"))
    equal(c.call("REPLCONF", "rdb-filter-only", "functions x"),
          Error(b"ERR Unsupported rdb-filter-only option: x"))
    equal(c.call("REPLICAOF", "NO", "ONE"), b"OK")
    equal(c.call("ROLE"), [b"master", 0, []])
    c.call("REPLICAOF", "127.0.0.1", 1)
    equal(c.call("ROLE")[:3], [b"slave", b"127.0.0.1", 1])
    equal(c.call("REPLICAOF", "127.0.0.1", 1), b"OK Already connected to specified master")
    equal(c.call("PSYNC", "?", "-1"),
          Error(b"NOMASTERLINK Can't SYNC while not connected with my master"))
    equal(c.call("EVAL", "return redis.call('set','k','v')", 0).code, c.call("SET", "k", "v").code)
    equal(c.call("CONFIG", "GET", "replicaof"), [b"replicaof", b"127.0.0.1 1"])


def heard(client):
    """All that it is sent until its connection ends."""
    data = b""
    while True:
        piece = client.sock.recv(1 << 16)
        if not piece:
            return data
        data += piece


def test_a_follower_that_would_be_answered(env):
    """A reply would stand in the midst of the stream: as in Redis, its connection ends."""
    server = cairn(env, repl_ping_replica_period=3600)
    asks = encode("REPLCONF", "GETACK", "*")  # WAIT does
    with server.client() as c:
        equal(c.call("SET", "k", "v"), b"OK")
        stream, offset = info(c, "master_replid"), int(info(c, "master_repl_offset"))
        for words in (("GET", "k"), ("REPLCONF", "capa", "eof"), ("NONSENSE",),
                      ("BLPOP", "none", 0), ("SUBSCRIBE", "channel"), ("MONITOR",), ("QUIT",),
                      ("RESET",), ("MULTI",), ("WAIT", 2, 1), ("EVAL", "while true do end", 0),
                      ("REPLICAOF", "NO", "ONE"), b"*1\r\n$no\r\n"):
            request = words if isinstance(words, bytes) else encode(*words)
            with server.client() as follower:
                equal(follower.call("PSYNC", stream, offset + 1), b"CONTINUE", repr(words))
                follower.send_raw(encode("REPLCONF", "ACK", offset) + request)
                equal(heard(follower).replace(asks, b""), b"", repr(words))
            with server.client() as follower:  # all in one piece
                follower.send_raw(encode("PSYNC", stream, offset + 1) + request)
                check(heard(follower).replace(asks, b"") in (b"", b"+CONTINUE\r\n"), repr(words))
    check("Replica generated a reply, disconnecting it: id=" in server.log_text(), "not logged")


def test_a_follower_that_would_hear_more_than_the_stream(env):
    """Of what it asked for earlier, or without wanting replies."""
    server = cairn(env, repl_ping_replica_period=3600)
    with server.client() as c:
        equal(c.call("SET", "k", "v"), b"OK")
        stream, offset = info(c, "master_replid"), int(info(c, "master_repl_offset"))
        follow_now = ("PSYNC", stream, offset + 1)
        for requests in ([("HELLO", 3), ("SUBSCRIBE", "channel"), follow_now],
                         [("HELLO", 3), ("CLIENT", "TRACKING", "ON"), ("GET", "k"), follow_now],
                         [("MONITOR",), follow_now],
                         [("CLIENT", "REPLY", "OFF"), follow_now, ("MONITOR",)]):
            with server.client() as follower:
                follower.send_raw(b"".join(encode(*words) for words in requests))
                data = []

                def ended():
                    check(isinstance(c.call("PUBLISH", "channel", "m"), int), "PUBLISH is refused")
                    equal(c.call("SET", "k", "w"), b"OK")
                    while select.select([follower.sock], [], [], 0)[0]:
                        data.append(follower.sock.recv(1 << 16))
                        if not data[-1]:
                            return True
                    return False
                eventually(ended, PATIENCE, repr(requests))
                # Those who monitored may not have come as far.
                stream_bytes = b"".join(data).partition(b"+CONTINUE\r\n")[2]
                while stream_bytes:
                    words, end = parse(stream_bytes)
                    check(isinstance(words, list) and
                          words[0] in (b"SELECT", b"PUBLISH", b"SET"), repr((requests, words)))
                    stream_bytes = stream_bytes[end:]


def test_a_follower_touches_no_keys(env):
    """As in Redis: what it sends it may want no replies to."""
    server = cairn(env)
    with server.client() as c, server.client() as follower:
        equal(c.call("RPUSH", "l", "a"), 1)
        stream, offset = info(c, "master_replid"), int(info(c, "master_repl_offset"))
        equal(follower.call("PSYNC", stream, offset + 1), b"CONTINUE")
        # Its only ACK is heard once it is online, which it is told before it is so.
        eventually(lambda: "state=online" in (info(c, "slave0") or ""), PATIENCE, "not online")
        for words in (("CLIENT", "REPLY", "OFF"), ("SET", "k", "v"), ("LPOP", "l"),
                      ("BLPOP", "l", 0), ("EVAL", "redis.call('set', KEYS[1], 'v')", 1, "k"),
                      ("MULTI",), ("SET", "k", "v"), ("EXEC",), ("FUNCTION", "FLUSH"),
                      ("FLUSHALL",), ("REPLCONF", "ACK", offset + 1000)):
            follower.send(*words)
        eventually(lambda: "offset=%d," % (offset + 1000) in (info(c, "slave0") or ""), PATIENCE)
        equal(c.call("LRANGE", "l", 0, -1), [b"a"])
        equal(c.call("EXISTS", "k"), 0)


def test_a_pause_is_for_clients(env):
    leader, follower = cairn(env), cairn(env)
    follow(follower, leader)
    in_step(leader, follower)
    with leader.client() as c, leader.client() as other, frozen(follower):
        equal(c.call("SET", "k", "v"), b"OK")
        c.send("WAIT", 1, 0)
        eventually(lambda: b"cmd=wait" in other.call("CLIENT", "LIST"), PATIENCE)
        # For longer than c waits for its reply.
        equal(other.call("CLIENT", "PAUSE", 10 * 1000 * PATIENCE, "ALL"), b"OK")
        thaw(follower)
        equal(c.read(), 1)
        equal(other.call("CLIENT", "UNPAUSE"), b"OK")


@limit(120)
def test_limits_that_are_too_small_for_a_piece(env):
    """A follower is given what its limits allow, and no less than it needs to come forward."""
    for limits, rate in (("replica 1 0 0", None), ("replica 0 1 1", 4 << 20)):
        leader, follower = cairn(env, client_output_buffer_limit=limits.split()), cairn(env)
        proxy = Proxy(leader.port)
        proxy.rate = rate
        with leader.client() as up, follower.client() as down:
            for turn in range(2):
                for start in range(0, 10000, 1000):
                    up.pipeline([("SET", "%d:%d" % (turn, i), os.urandom(1000))
                                 for i in range(start, start + 1000)])
                equal(down.call("REPLICAOF", "127.0.0.1", proxy.port)[:2], b"OK")
                in_step(leader, follower)
        equal(leader.log_text().count("Full resync requested"), 1)
        proxy.close()
