# SPDX-License-Identifier: BSD-3-Clause
"""Pub/sub: replies, messages, the subscriber mode of RESP2, counts, order, races."""

import threading

from harness.checks import check, equal, eventually, members
from harness.matrix import FULL, PROTOCOLS, cairn_only, limit, matrix
from harness.resp import Error, Push

NOT_HERE = (b"ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
            b"are allowed in this context")


def take(client):
    """The next message or reply, whatever its kind."""
    return client.pushes.pop(0) if client.pushes else client.read_any()[0]


def ask(client, *args, replies=1):
    client.send(*args)
    return [take(client) for _ in range(replies)]


def subscribe(client, *names, command="SUBSCRIBE"):
    return ask(client, command, *names, replies=len(names))


@matrix(FULL)
def test_confirmations(env):
    c = env.c
    got = subscribe(c, "a", "b", "a")
    equal(got, [[b"subscribe", b"a", 1], [b"subscribe", b"b", 2], [b"subscribe", b"a", 2]])
    check(all(isinstance(v, Push) == (env.protocol == 3) for v in got))
    equal(subscribe(c, "p*", command="PSUBSCRIBE"), [[b"psubscribe", b"p*", 3]])
    # Shard channels are counted apart.
    equal(subscribe(c, "s", command="SSUBSCRIBE"), [[b"ssubscribe", b"s", 1]])
    equal(ask(c, "UNSUBSCRIBE", "none"), [[b"unsubscribe", b"none", 3]])
    members(ask(c, "UNSUBSCRIBE", replies=2)[:1][0][:1], [b"unsubscribe"])
    equal(ask(c, "UNSUBSCRIBE"), [[b"unsubscribe", None, 1]])
    equal(ask(c, "PUNSUBSCRIBE", "p*"), [[b"punsubscribe", b"p*", 0]])
    equal(ask(c, "PUNSUBSCRIBE"), [[b"punsubscribe", None, 0]])
    equal(ask(c, "SUNSUBSCRIBE"), [[b"sunsubscribe", b"s", 0]])
    equal(ask(c, "SUNSUBSCRIBE"), [[b"sunsubscribe", None, 0]])
    equal(c.call("GET", "x"), None)


@matrix(FULL)
def test_messages(env):
    c, p = env.c, env.client()
    subscribe(c, "news", "")
    subscribe(c, "n*", "?ews", command="PSUBSCRIBE")
    subscribe(c, "news", command="SSUBSCRIBE")
    equal(p.call("PUBLISH", "news", "hello"), 3)
    first = take(c)
    equal(first, [b"message", b"news", b"hello"])
    check(isinstance(first, Push) == (env.protocol == 3))
    members([take(c), take(c)], [[b"pmessage", b"n*", b"news", b"hello"],
                                 [b"pmessage", b"?ews", b"news", b"hello"]])
    equal(p.call("SPUBLISH", "news", "x"), 1)
    equal(take(c), [b"smessage", b"news", b"x"])
    equal(p.call("PUBLISH", "", ""), 1)
    equal(take(c), [b"message", b"", b""])
    big = b"\x00\r\n" * 100000
    equal(p.call("PUBLISH", "news", big), 3)
    equal(take(c), [b"message", b"news", big])
    for _ in range(2):
        equal(take(c)[3], big)
    equal(p.call("PUBLISH", "elsewhere", "x"), 0)
    equal(p.call("SPUBLISH", "elsewhere", "x"), 0)


@matrix(FULL)
def test_subscriber_mode(env):
    c = env.c
    subscribe(c, "a")
    if env.protocol == 3:
        equal(c.call("PING"), b"PONG")
        equal(c.call("SET", "k", "v"), b"OK")
        equal(c.call("MULTI"), b"OK")
        equal(c.call("DISCARD"), b"OK")
    else:
        equal(c.call("PING"), [b"pong", b""])
        equal(c.call("PING", "hi"), [b"pong", b"hi"])
        equal(c.call("GET", "k"), Error(NOT_HERE % b"get"))
        equal(c.call("CLIENT", "INFO"), Error(NOT_HERE % b"client|info"))
        equal(c.call("HELLO", 3), Error(NOT_HERE % b"hello"))
        equal(c.call("EXEC"), Error(b"EXECABORT Transaction discarded because of: " +
                                    (NOT_HERE % b"exec")[4:]))
    equal(c.call("RESET"), b"RESET")
    equal(c.call("PING"), b"PONG")
    equal(c.call("PUBSUB", "NUMSUB", "a"), [b"a", 0])
    subscribe(c, "a")
    equal(c.call("QUIT"), b"OK")
    check(c.closed_by_server())


@matrix(FULL)
def test_inside_multi(env):
    c = env.c
    for command in (("MULTI",), ("SUBSCRIBE", "a", "b"), ("SSUBSCRIBE", "a"), ("GET", "x")):
        c.send(*command)
        take(c)
    c.send("EXEC")
    # Both servers write the confirmations where the commands stand, more of them than elements.
    head = b">3\r\n" if env.protocol == 3 else b"*3\r\n"
    null = b"_\r\n" if env.protocol == 3 else b"$-1\r\n"
    wanted = (b"*3\r\n" + head + b"$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n" + head +
              b"$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"
              b"-ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client\r\n" + null)
    equal(c.read_raw_until(null), wanted)


@cairn_only("7.0 puts messages to oneself before and inside replies; 7.2 behind them")
@matrix([(3, 1), (3, 4)])
def test_own_messages_follow_the_reply(env):
    c = env.c
    subscribe(c, "a")
    c.send("PUBLISH", "a", "1")
    equal([c.read_any()[0], c.read_any()[0]], [1, [b"message", b"a", b"1"]])
    for command in (("MULTI",), ("PUBLISH", "a", "2"), ("SET", "k", "v"), ("PUBLISH", "a", "3")):
        c.send(*command)
        c.read()
    c.send("EXEC")
    equal([c.read_any()[0] for _ in range(3)],
          [[1, b"OK", 1], [b"message", b"a", b"2"], [b"message", b"a", b"3"]])


@matrix(FULL)
def test_reply_off_silences_replies_not_messages(env):
    c = env.c
    c.send("CLIENT", "REPLY", "OFF")
    equal(subscribe(c, "a"), [[b"subscribe", b"a", 1]])
    equal(env.client().call("PUBLISH", "a", "x"), 1)
    equal(take(c), [b"message", b"a", b"x"])


@matrix(PROTOCOLS)
def test_introspection(env):
    c, p = env.c, env.client()
    subscribe(c, "aa", "ab", "b")
    subscribe(c, "x*", "y*", command="PSUBSCRIBE")
    subscribe(c, "sa", command="SSUBSCRIBE")
    other = env.client()
    subscribe(other, "aa")
    subscribe(other, "x*", command="PSUBSCRIBE")
    members(p.call("PUBSUB", "CHANNELS"), ["aa", "ab", "b"])
    members(p.call("PUBSUB", "CHANNELS", "a*"), ["aa", "ab"])
    equal(p.call("PUBSUB", "NUMSUB", "aa", "none", "b"), [b"aa", 2, b"none", 0, b"b", 1])
    equal(p.call("PUBSUB", "NUMSUB"), [])
    equal(p.call("PUBSUB", "NUMPAT"), 2)
    equal(p.call("PUBSUB", "SHARDCHANNELS"), [b"sa"])
    equal(p.call("PUBSUB", "SHARDCHANNELS", "z*"), [])
    equal(p.call("PUBSUB", "SHARDNUMSUB", "sa", "aa"), [b"sa", 1, b"aa", 0])
    equal(p.call("PUBSUB", "CHANNELS", "a", "b"),
          Error(b"ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. "
                b"Try PUBSUB HELP."))
    equal(p.call("PUBSUB", "FOO"), Error(b"ERR unknown subcommand 'FOO'. Try PUBSUB HELP."))
    listed = p.call("CLIENT", "LIST", "TYPE", "pubsub").decode().splitlines()
    equal(len(listed), 2)
    check(any(" sub=3 psub=2 ssub=1 " in line and " flags=P " in line for line in listed), listed)
    info = p.call("INFO", "stats")
    check(b"pubsub_channels:3\r\n" in info and b"pubsub_patterns:2\r\n" in info, info)
    other.close()
    eventually(lambda: p.call("PUBSUB", "NUMSUB", "aa") == [b"aa", 1])
    eventually(lambda: p.call("CLIENT", "LIST", "TYPE", "pubsub").count(b"\n") == 1)
    equal(p.call("CLIENT", "KILL", "TYPE", "pubsub"), 1)
    eventually(lambda: p.call("PUBSUB", "CHANNELS") == [])
    eventually(lambda: p.call("PUBSUB", "NUMPAT") == 0)


@matrix(FULL)
def test_order_of_one_publisher(env):
    """Messages of one connection come in order, over channels and patterns of many workers."""
    publisher = env.client()
    readers = [env.client() for _ in range(6)]
    for reader in readers:
        subscribe(reader, "c0", "c1", "c2")
    subscribe(readers[0], "c*", command="PSUBSCRIBE")
    count = 300
    publisher.pipeline([("PUBLISH", "c%d" % (i % 3), i) for i in range(count)])
    for reader in readers[1:]:
        equal([int(take(reader)[2]) for _ in range(count)], list(range(count)))
    got = [take(readers[0]) for _ in range(2 * count)]
    equal([int(m[-1]) for m in got if m[0] == b"message"], list(range(count)))
    equal([int(m[-1]) for m in got if m[0] == b"pmessage"], list(range(count)))


@limit(60)
@matrix([(2, 1), (2, 4)])
def test_nothing_follows_unsubscribe(env):
    """Publishers never pause while subscribers come and go: no message after the confirmation."""
    stop = threading.Event()
    failures = []

    def publish(client):
        number = 0
        while not stop.is_set():
            client.pipeline([("PUBLISH", "hot", number + i) for i in range(32)])
            number += 32

    def fickle(client):
        try:
            for round_ in range(150):
                name = ("SUBSCRIBE", "UNSUBSCRIBE") if round_ % 2 else ("PSUBSCRIBE",
                                                                       "PUNSUBSCRIBE")
                client.send(name[0], "hot")
                equal(client.read()[:2], [name[0].lower().encode(), b"hot"])
                for _ in range(round_ % 5):
                    client.read()
                client.send(name[1], "hot")
                while True:
                    got = client.read()
                    if got[0] == name[1].lower().encode():
                        break
                    equal(got[0], b"message" if round_ % 2 else b"pmessage")
                # In RESP2 a late message would be taken for this reply.
                equal(client.call("ECHO", "now"), b"now")
        except BaseException as error:  # pylint: disable=broad-except
            failures.append(error)

    publishers = [threading.Thread(target=publish, args=(env.client(),)) for _ in range(2)]
    subscribers = [threading.Thread(target=fickle, args=(env.client(),)) for _ in range(4)]
    for thread in publishers + subscribers:
        thread.start()
    for thread in subscribers:
        thread.join()
    stop.set()
    for thread in publishers:
        thread.join()
    check(not failures, failures)


@cairn_only("redis-server 7.0 has no classes o and c")
@matrix(FULL)
def test_events_of_overwritten_keys(env):
    """The classes `o` and `c` of Redis 8.2: before the event of SET and the STORE commands, behind
    that of RENAME, COPY and RESTORE; never for commands that edit a value."""
    c, reader = env.client(), env.client()
    env.config(notify_keyspace_events="KAoc")
    subscribe(reader, "__keyspace@0__:k", command="PSUBSCRIBE")

    def events(*commands):
        for command in commands:
            reply = c.call(*command)
            check(not isinstance(reply, Error), (command, reply))
        c.call("PUBLISH", "__keyspace@0__:k", "end")
        got = []
        while True:
            got.append(take(reader)[3].decode())
            if got[-1] == "end":
                return got[:-1]

    equal(events(["SET", "k", "1"]), ["set"])
    equal(events(["SET", "k", "2"]), ["overwritten", "set"])
    equal(events(["SET", "k", "text"]), ["overwritten", "set"])
    equal(events(["SET", "k", "t", "EX", "1000"]), ["overwritten", "set", "expire"])
    equal(events(["MSET", "k", "a", "other", "b"]), ["overwritten", "set"])
    equal(events(["GETSET", "k", "a"]), ["overwritten", "set"])
    equal(events(["APPEND", "k", "b"], ["SETRANGE", "k", "0", "c"]), ["append", "setrange"])
    equal(events(["DEL", "k"], ["INCRBYFLOAT", "k", "1.5"], ["INCRBYFLOAT", "k", "1"]),
          ["del", "incrbyfloat", "incrbyfloat"])
    equal(events(["DEL", "k"], ["RPUSH", "k", "1", "2"], ["SET", "k", "s"]),
          ["del", "rpush", "overwritten", "type_changed", "set"])
    equal(events(["SADD", "set", "1"], ["SUNIONSTORE", "k", "set"]),
          ["overwritten", "type_changed", "sunionstore"])
    equal(events(["SUNIONSTORE", "k", "set"]), ["overwritten", "sunionstore"])
    equal(events(["SORT", "set", "STORE", "k"]), ["overwritten", "type_changed", "sortstore"])
    equal(events(["SET", "s", "x"], ["BITOP", "NOT", "k", "s"]),
          ["overwritten", "type_changed", "set"])
    equal(events(["RPUSH", "list", "1"], ["RENAME", "list", "k"]),
          ["rename_to", "overwritten", "type_changed"])
    equal(events(["COPY", "s", "k", "REPLACE"]), ["copy_to", "overwritten", "type_changed"])
    equal(events(["COPY", "s", "k", "REPLACE"]), ["copy_to", "overwritten"])
    dump = c.call("DUMP", "set")
    equal(events(["RESTORE", "k", "0", dump, "REPLACE"]),
          ["restore", "overwritten", "type_changed"])
    env.config(notify_keyspace_events="KA")
    equal(events(["SET", "k", "1"]), ["set"])
    env.config(notify_keyspace_events="Kc")
    equal(events(["SET", "k", "1"], ["DEL", "k"], ["SADD", "k", "1"], ["SET", "k", "1"]),
          ["type_changed"])
