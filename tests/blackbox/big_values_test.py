# SPDX-License-Identifier: BSD-3-Clause
"""Values that are received where they will lie: however their requests come, and what becomes of
them when nobody takes them."""

import threading

from harness import ONCE, THREADS, Error, check, equal, eventually, matrix
from harness.checks import skip
from harness.resp import encode

MATRIX = THREADS
WRONGTYPE = Error(b"WRONGTYPE Operation against a key holding the wrong kind of value")
BIG = 300_000


def value_of(letter, size=BIG):
    """Bytes that tell where they were cut or mixed up."""
    return b"".join(b"%s%07d" % (letter, i) for i in range(size // 8 + 1))[:size]


def buffered(env, client_id):
    """Bytes that the server holds of a request that is not complete; None: no such client."""
    for line in env.c.call("CLIENT", "LIST", "ID", client_id).split(b"\n"):
        for field in line.split():
            if field.startswith(b"qbuf="):
                return int(field[5:])
    return None


def send_in_pieces(env, client, client_id, *pieces):
    """Each piece is read by itself: none of them but the last completes the request."""
    sent = 0
    for piece in pieces[:-1]:
        client.send_raw(piece)
        sent += len(piece)
        eventually(lambda: buffered(env, client_id) == sent, 30, "the piece was not read")
    client.send_raw(pieces[-1])


def test_any_cut(env):
    value = value_of(b"a")
    client = env.client()
    client_id = client.call("CLIENT", "ID")
    for options in ((), ("EX", 100), ("PXAT", 33000000000000, "NX", "GET")):
        text = encode("SET", "key", value, *options)
        begin = text.index(value)
        end = begin + len(value)
        cuts = [1, begin - 3, begin - 1, begin, begin + 1, begin + 100, begin + 40_000,
                begin + 250_000, end - 1, end, end + 1, len(text) - 1]
        cuts += range(end + 2, len(text) - 1, 3)
        for cut in sorted(set(cuts)):
            if cut == len(text):
                continue
            env.c.call("DEL", "key")
            send_in_pieces(env, client, client_id, text[:cut], text[cut:])
            equal(client.read(), None if "GET" in options else b"OK", "cut at %d" % cut)
            equal(env.c.call("GET", "key"), value, "cut at %d" % cut)
        cuts = (7, begin + 20_000, begin + 20_001, end - 2, end + 1)
        pieces = [text[a:b] for a, b in zip((0, *cuts), (*cuts, len(text)))]
        env.c.call("DEL", "key")
        send_in_pieces(env, client, client_id, *[p for p in pieces if p])
        equal(client.read(), None if "GET" in options else b"OK")
        equal(env.c.call("GET", "key"), value)


def test_pipelines(env):
    for i in range(40):
        value = value_of(b"abcdefgh"[i % 8:i % 8 + 1], (10, 20_000, 33_000, 70_000, 1 << 20)[i % 5])
        key = "k%d" % (i % 7)
        commands = [("SET", key, value), ("STRLEN", key), ("APPEND", key, "tail"),
                    ("GETSET", key, value[::-1]), ("SET", "other", "small"), ("GET", key)]
        equal(env.c.pipeline(commands),
              [b"OK", len(value), len(value) + 4, value + b"tail", b"OK", value[::-1]])


def test_several_in_one_request(env):
    values = [value_of(bytes([97 + i]), size) for i, size in enumerate((BIG, 40_000, 1 << 20, 5))]
    pairs = [part for i, value in enumerate(values) for part in ("k%d" % i, value)]
    equal(env.c.call("MSET", *pairs), b"OK")
    equal(env.c.call("MGET", "k0", "k1", "k2", "k3"), values)
    equal(env.c.call("RPUSH", "list", *values), 4)
    equal(env.c.call("LRANGE", "list", 0, -1), values)
    equal(env.c.call("HSET", "hash", "f", values[2], "g", values[0]), 2)
    equal(env.c.call("HMGET", "hash", "f", "g"), [values[2], values[0]])
    equal(env.c.call("SET", values[1], values[2]), b"OK")
    equal(env.c.call("GET", values[1]), values[2])


def test_cut_connections_leave_nothing(env):
    value = value_of(b"c", 8 << 20)
    text = encode("SET", "key", value)

    def used():
        info = env.c.call("INFO", "memory").split(b"\r\n")
        return int([line for line in info if line.startswith(b"used_memory:")][0][12:])

    before = used()
    for part in (20, 100_000, 5_000_000, len(text) - 1):
        client = env.client()
        client_id = client.call("CLIENT", "ID")
        client.send_raw(text[:part])
        eventually(lambda: buffered(env, client_id) == part, 30)
        client.close()
        eventually(lambda: buffered(env, client_id) is None, 30)
    equal(env.c.call("EXISTS", "key"), 0)
    if not env.slow:  # a sanitizer's allocator keeps what is freed
        eventually(lambda: used() < before + (4 << 20), 30, "memory is not given back")


def test_what_does_not_take_it(env):
    c, value = env.c, value_of(b"v")
    c.call("RPUSH", "list", "x")
    c.call("SET", "string", "s")
    equal(c.call("GETSET", "list", value), WRONGTYPE)
    equal(c.call("SET", "list", value, "GET"), WRONGTYPE)
    equal(c.call("APPEND", "list", value), WRONGTYPE)
    equal(c.call("SET", "string", value, "NX"), None)
    equal(c.call("SETNX", "string", value), 0)
    equal(c.call("MSETNX", "new", value, "string", "x"), 0)
    equal(c.call("SET", "none", value, "XX"), None)
    check(isinstance(c.call("SET", "string", value, "EX", "x"), Error), "EX takes x")
    check(isinstance(c.call("NOSUCH", value), Error), "there is no such command")
    equal(c.call("ECHO", value), value)
    equal(c.call("MGET", "string", "new", "none"), [b"s", None, None])
    equal(c.call("LRANGE", "list", 0, -1), [b"x"])


def test_transactions(env):
    c, first, second = env.c, value_of(b"f"), value_of(b"s", 1 << 20)
    equal(c.call("MULTI"), b"OK")
    for command in (("SET", "a", first), ("GETSET", "a", second), ("SET", "b", first, "EX", 100),
                    ("APPEND", "b", "x"), ("LPUSH", "a", first), ("STRLEN", "a")):
        equal(c.call(*command), b"QUEUED")
    equal(c.call("EXEC"), [b"OK", first, b"OK", BIG + 1, WRONGTYPE, 1 << 20])
    equal(c.call("MGET", "a", "b"), [second, first + b"x"])
    equal(c.call("MULTI"), b"OK")
    equal(c.call("SET", "a", first), b"QUEUED")
    equal(c.call("DISCARD"), b"OK")
    equal(c.call("GET", "a"), second)


def test_transaction_whose_watched_key_changed(env):
    c, value = env.c, value_of(b"w")
    equal(c.call("WATCH", "a"), b"OK")
    equal(c.call("MULTI"), b"OK")
    equal(c.call("SET", "a", value), b"QUEUED")
    equal(env.client().call("SET", "a", "other"), b"OK")
    equal(c.call("EXEC"), None)
    equal(c.call("GET", "a"), b"other")


def test_scripts(env):
    c, value = env.c, value_of(b"l")
    script = "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('STRLEN', KEYS[1])"
    equal(c.call("EVAL", script, 1, "k", value), BIG)
    equal(c.call("GET", "k"), value)
    equal(c.call("MULTI"), b"OK")
    equal(c.call("EVAL", script, 1, "k", value[::-1]), b"QUEUED")
    equal(c.call("SET", "other", value), b"QUEUED")
    equal(c.call("EXEC"), [BIG, b"OK"])
    equal(c.call("MGET", "k", "other"), [value[::-1], value])


@matrix(ONCE)
def test_paused_clients(env):
    server = env.start(threads=1)
    other, client, value = server.client(), server.client(), value_of(b"p", 1 << 20)
    client_id = client.call("CLIENT", "ID")
    equal(other.call("CLIENT", "PAUSE", 600_000, "WRITE"), b"OK")
    client.send_raw(encode("SET", "k", value, "EX", 100) + encode("GET", "k"))

    def kept():
        listed = other.call("CLIENT", "LIST", "ID", client_id)
        return int(listed.split(b" qbuf=")[1].split()[0]) > len(value)

    eventually(kept, 30, "the request is not kept")
    equal(other.call("EXISTS", "k"), 0)
    equal(other.call("CLIENT", "UNPAUSE"), b"OK")
    equal(client.read(), b"OK")
    equal(client.read(), value)
    eventually(lambda: b" qbuf=0 " in other.call("CLIENT", "LIST", "ID", client_id), 30)


@matrix(ONCE)
def test_the_log_has_them(env):
    server = env.start(appendonly="yes", appendfsync="always", threads=4)
    c = server.client()
    values = {b"set": value_of(b"a"), b"ex": value_of(b"b", 1 << 20), b"getset": value_of(b"c"),
              b"exec": value_of(b"d", 3 << 20), b"append": value_of(b"e") + b"x",
              b"psetex": value_of(b"f", 2 << 20), b"keepttl": value_of(b"g"),
              b"gone": value_of(b"h"), b"exec ex": value_of(b"i", 40_000)}
    equal(c.call("SET", "set", values[b"set"]), b"OK")
    equal(c.call("SET", "ex", values[b"ex"], "EX", 10_000), b"OK")
    equal(c.call("GETSET", "getset", values[b"getset"]), None)
    equal(c.call("MULTI"), b"OK")
    equal(c.call("SET", "exec", values[b"exec"]), b"QUEUED")
    equal(c.call("INCR", "counter"), b"QUEUED")
    equal(c.call("SET", "exec ex", values[b"exec ex"], "EX", 10_000), b"QUEUED")
    equal(c.call("RPUSH", "list", "small", values[b"psetex"], "small"), b"QUEUED")
    equal(c.call("EXEC"), [b"OK", 1, b"OK", 3])
    equal(c.call("PSETEX", "psetex", 10_000_000, values[b"psetex"]), b"OK")
    equal(c.call("SET", "keepttl", "v", "EX", 10_000), b"OK")
    equal(c.call("SET", "keepttl", values[b"keepttl"], "KEEPTTL", "GET"), b"v")
    equal(c.call("SET", "gone", "v", "PX", 1), b"OK")
    eventually(lambda: c.call("EXISTS", "gone") == 0)
    equal(c.call("SET", "gone", values[b"gone"], "PX", 10_000_000), b"OK")
    equal(c.call("APPEND", "append", values[b"append"][:-1]), BIG)
    equal(c.call("APPEND", "append", "x"), BIG + 1)
    server.restart(crash=True)
    c = server.client()
    for key, value in values.items():
        equal(c.call("GET", key), value, key.decode())
    for key in ("ex", "psetex", "keepttl", "gone", "exec ex"):
        check(c.call("TTL", key) > 0, "the expiry of %s is gone" % key)
    equal(c.call("LRANGE", "list", 0, -1), [b"small", values[b"psetex"], b"small"])


@matrix(THREADS)
def test_many_clients_on_few_keys(env):
    """Values change hands between threads while they are taken over, edited and sent."""
    failures = []

    def work(number):
        client = env.client()
        letter = bytes([97 + number])
        values = [value_of(letter, size) for size in (40_000, 200_000, 700_000)]
        for i in range(40):
            key = "k%d" % (i % 3)
            commands = [("SET", key, values[i % 3]), ("GET", key), ("APPEND", key, "+"),
                        ("GETSET", key, values[(i + 1) % 3]), ("DEL", "k%d" % ((i + 1) % 3)),
                        ("SETRANGE", key, 5, "---")]
            replies = client.pipeline(commands)
            failures.extend(r for r in replies if isinstance(r, Error))
            for got in (replies[1], replies[3]):
                # Of one writer, but for what others did to it since.
                if got is not None and len(got) > 100:
                    body = got[8:].rstrip(b"+")
                    whole = value_of(got[:1] if got[:1] in b"abcd" else b"a", len(body) + 8)
                    if body != whole[8:]:
                        failures.append((number, i, got[:20], len(got)))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(failures, [])


@matrix(THREADS)
def test_storm_under_maxmemory(env):
    if b"mem_allocator:libc" in env.c.call("INFO", "memory"):
        skip("this build cannot tell its memory in time")
    env.config(**{"maxmemory": "40mb", "maxmemory-policy": "allkeys-lru"})
    failures = []

    def write(number):
        client = env.client()
        for i in range(25):
            value = bytes([97 + number]) * (100_000 + (i * 7919 + number * 104_729) % 40 * 100_000)
            reply = client.call("SET", "key:%d:%d" % (number, i), value)
            if reply != b"OK":
                failures.append(reply)

    threads = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(failures, [])
    check(env.c.call("DBSIZE") > 0, "nothing is left")
