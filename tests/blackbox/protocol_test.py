# SPDX-License-Identifier: BSD-3-Clause
"""The wire: inline requests, cuts at any byte, pipelines, big arguments, protocol errors, HELLO."""

import os
import stat

from harness import (FULL, PROTOCOLS, Error, as_dict, check, encode, equal, matrix)

MATRIX = FULL


def both_until_closed(env, data):
    """What Cairn and redis-server send for these bytes before they close the connection."""
    out = []
    for client in (env.client(2), env.oracle_client(2)):
        client.send_raw(data)
        out.append(client.read_until_closed())
    return out


@matrix(PROTOCOLS)
def test_inline_requests(env):
    c = env.c
    c.send_raw(b"PING\r\nset a 1\r\n\r\n  get   a  \nECHO \"x y\\n\\x41\"\r\nECHO 'it\\'s'\r\n")
    equal([c.read() for _ in range(5)], [b"PONG", b"OK", b"1", b"x y\nA", b"it's"])


def test_a_request_cut_at_every_byte(env):
    c = env.c
    data = encode("SET", "key", "v\r\n\x00w") + encode("GET", "key") + b"PING\r\n"
    for cut in range(1, len(data)):
        c.send_raw(data[:cut])
        c.send_raw(data[cut:])
        equal([c.read() for _ in range(3)], [b"OK", b"v\r\n\x00w", b"PONG"], "cut at %d" % cut)


def test_states_that_change_within_one_read(env):
    """Commands of one key take a short way through the pipeline; not where a state forbids it."""
    c = env.client(2)
    env.client(2).call("ACL", "SETUSER", "reader", "on", ">pw", "+@all", "~*", "&*")
    data = [("SET", "k", "1"), ("MULTI",), ("INCR", "k"), ("GET", "k"), ("EXEC",), ("GET", "k"),
            ("CLIENT", "REPLY", "SKIP"), ("INCR", "k"), ("INCR", "k"),
            ("CLIENT", "REPLY", "OFF"), ("INCR", "k"), ("CLIENT", "REPLY", "ON"), ("GET", "k"),
            ("GET",), ("ACL", "SETUSER", "reader", "-incr"), ("AUTH", "reader", "pw"),
            ("INCR", "k"), ("GET", "k"), ("SUBSCRIBE", "channel"), ("GET", "k")]
    c.send_raw(b"".join(encode(*words) for words in data))
    equal([c.read() for _ in range(6)], [b"OK", b"OK", b"QUEUED", b"QUEUED", [2, b"2"], b"2"])
    equal([c.read() for _ in range(3)], [4, b"OK", b"5"])
    check(isinstance(c.read(), Error), "GET without a key is refused")
    equal([c.read() for _ in range(2)], [b"OK", b"OK"])
    check("NOPERM" in str(c.read()), "INCR by a user who may not")
    equal(c.read(), b"5")
    equal(c.read(), [b"subscribe", b"channel", 1])
    check("Can't execute 'get'" in str(c.read()), "GET while subscribed")


def test_one_byte_at_a_time(env):
    c = env.c
    for byte in encode("SET", "k", "v") + encode("GET", "k"):
        c.send_raw(bytes([byte]))
    equal([c.read(), c.read()], [b"OK", b"v"])


def test_deep_pipeline_keeps_order(env):
    c = env.c
    equal(c.pipeline([("INCR", "n")] * 10000), list(range(1, 10001)))


def test_pipeline_with_errors_inside(env):
    replies = env.c.pipeline([("SET", "a", "x"), ("INCR", "a"), ("NOSUCH",), ("GET", "a")])
    equal(replies[0], b"OK")
    equal(replies[1], Error(b"ERR value is not an integer or out of range"))
    equal(replies[2].code, b"ERR")
    equal(replies[3], b"x")


def test_big_arguments(env):
    c = env.c
    for size in (16383, 16384, 65536, 1 << 20, 5_000_000):
        value = env.rng.randbytes(1000) * (size // 1000) + b"x" * (size % 1000)
        equal(c.call("SET", "big", value), b"OK")
        check(c.call("GET", "big") == value, "a value of %d bytes came back changed" % size)
    equal(c.call("STRLEN", "big"), 5_000_000)


def test_many_big_replies_in_one_pipeline(env):
    c = env.c
    c.call("SET", "big", b"z" * 200_000)
    replies = c.pipeline([("GET", "big")] * 60)
    check(all(len(r) == 200_000 for r in replies), "a reply is cut")


def test_many_arguments(env):
    c = env.c
    pairs = [x for i in range(20000) for x in ("k%d" % i, i)]
    equal(c.call("MSET", *pairs), b"OK")
    equal(c.call("MGET", *pairs[::2]), [b"%d" % i for i in range(20000)])
    equal(c.call("DEL", *pairs[::2]), 20000)


@matrix(PROTOCOLS)
def test_null_and_empty_requests_are_skipped(env):
    c = env.c
    c.send_raw(b"*0\r\n*-1\r\n\r\n" + encode("PING"))
    equal(c.read(), b"PONG")


@matrix(((2, 4),))
def test_protocol_errors_are_those_of_redis(env):
    for data in (b"*3\r\n$3\r\nSET\r\nfoo\r\n", b"*abc\r\n", b"*2147483648\r\n", b"*1\r\n$-5\r\n",
                 b"*1\r\n$abc\r\n", b"*1\r\n:5\r\n", b"*1\r\n$536870913\r\n", b"*99999999999\r\n",
                 b"\"unbalanced\r\n", b"SET 'a\r\n", b"*2\r\n$3\r\nGET\r\n*1\r\n",
                 encode("SET", "a", "1") + encode("GET", "a") + b"*1\r\n+x\r\n"):
        mine, theirs = both_until_closed(env, data)
        equal(mine, theirs, repr(data[:60]))


@matrix(((2, 4),))
def test_too_long_lines_close_the_connection(env):
    for data in (b"x" * 70000, b"*" + b"1" * 70000, b"*1\r\n$" + b"1" * 70000):
        mine, theirs = both_until_closed(env, data)
        equal(mine, theirs, repr(data[:10]))


@matrix(((2, 4),))
def test_http_is_shown_the_door(env):
    for data in (b"POST / HTTP/1.1\r\nX: y\r\n\r\n", b"Host: localhost\r\n"):
        c = env.client(2)
        c.send_raw(data)
        check(c.closed_by_server(), "the connection stays open after %r" % data)


def test_hello(env):
    c = env.client(2)
    reply = c.call("HELLO")
    check(isinstance(reply, list), "HELLO in RESP2 is a flat array")
    facts = as_dict(reply)
    equal(facts[b"server"], b"redis")
    equal(facts[b"proto"], 2)
    equal(facts[b"mode"], b"standalone")
    equal(facts[b"role"], b"master")
    equal(facts[b"modules"], [])
    check(isinstance(facts[b"id"], int), "id is a number")
    reply = c.call("HELLO", 3)
    check(isinstance(reply, dict), "HELLO 3 answers with a map")
    equal(reply[b"proto"], 3)
    equal(c.call("GET", "nokey"), None)
    equal(c.last_raw, b"_\r\n")
    c.call("HELLO", 2)
    equal(c.raw("GET", "nokey"), b"$-1\r\n")
    equal(c.call("HELLO", 4), Error(b"NOPROTO unsupported protocol version"))
    equal(c.call("HELLO", "x"), Error(b"ERR Protocol version is not an integer or out of range"))
    equal(as_dict(c.call("HELLO", 2, "SETNAME", "me"))[b"proto"], 2)
    equal(c.call("CLIENT", "GETNAME"), b"me")


def test_select_is_of_the_connection(env):
    a, b = env.client(), env.client()
    equal(a.call("SELECT", 3), b"OK")
    a.call("SET", "k", "three")
    equal(b.call("GET", "k"), None)
    b.call("SELECT", 3)
    equal(b.call("GET", "k"), b"three")
    equal(a.call("SELECT", 16), Error(b"ERR DB index is out of range"))
    equal(a.call("SELECT", -1), Error(b"ERR DB index is out of range"))
    equal(a.call("GET", "k"), b"three")


def test_quit_answers_and_closes(env):
    c = env.client()
    c.send_raw(encode("SET", "a", 1) + encode("QUIT") + encode("SET", "a", 2))
    equal([c.read(), c.read()], [b"OK", b"OK"])
    check(c.closed_by_server(), "QUIT leaves the connection open")
    equal(env.c.call("GET", "a"), b"1", "what follows QUIT is not run")


def test_reset(env):
    c = env.client()
    c.call("CLIENT", "SETNAME", "x")
    c.call("SELECT", 5)
    c.call("MULTI")
    equal(c.call("RESET"), b"RESET")
    equal(c.call("CLIENT", "GETNAME"), None)
    equal(c.last_raw, b"$-1\r\n", "RESET goes back to RESP2")
    equal(c.call("EXEC"), Error(b"ERR EXEC without MULTI"))
    c.call("SET", "k", 1)
    equal(env.client().call("EXISTS", "k"), 1, "RESET selects database 0")


def test_commands_are_not_case_sensitive(env):
    equal(env.c.call("sEt", "a", 1), b"OK")
    equal(env.c.call("gEt", "a"), b"1")


def test_unknown_commands(env):
    equal(env.c.call("NOSUCH", "a", "b"),
          Error(b"ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' "))
    equal(env.c.call("GET"), Error(b"ERR wrong number of arguments for 'get' command"))
    equal(env.c.call("CLIENT", "NOSUCH"),
          Error(b"ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP."))


def test_many_connections_at_once(env):
    clients = [env.client() for _ in range(200)]
    for i, client in enumerate(clients):
        client.send("INCR", "n")
    equal(sorted(client.read() for client in clients), list(range(1, 201)))


def test_a_client_that_leaves_in_the_middle(env):
    for data in (b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100\r\nxxx", encode("GET", "a") * 50):
        client = env.client()
        client.send_raw(data)
        client.close()
    equal(env.c.call("PING"), b"PONG")
    equal(env.c.call("EXISTS", "a"), 0)


def test_a_slow_reader_blocks_nobody(env):
    slow = env.client()
    env.c.call("SET", "big", b"q" * 100_000)
    slow.send_raw(encode("GET", "big") * 100)  # ten megabytes that are not read
    others = [env.client() for _ in range(8)]
    for _ in range(20):
        for other in others:
            equal(other.call("INCR", "n") > 0, True)
    for _ in range(100):
        check(len(slow.read()) == 100_000, "a late reply is cut")


@matrix(((2, 1), (2, 4)))
def test_unix_socket(env):
    server = env.start(unixsocket="/tmp/cairn-test-%d.sock" % env.rng.getrandbits(60),
                       unixsocketperm="700")
    path = server.directives["unixsocket"]
    equal(stat.S_IMODE(os.stat(path).st_mode), 0o700)
    from harness import Client
    with Client(path=path) as c:
        equal(c.call("SET", "a", 1), b"OK")
    with server.client() as c:
        equal(c.call("GET", "a"), b"1")
