# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of connections when users change, and ACL commands with files inside EXEC."""

import os

from harness import (ONCE, PROTOCOLS, Error, Server, cairn_only, check, equal, eventually, matrix)

MATRIX = PROTOCOLS


def subscriber(env, name, *commands, server=None, protocol=None):
    client = env.client(protocol, server)
    equal(client.call("AUTH", name, "pw"), b"OK")
    client.id = client.call("CLIENT", "ID")
    for command in commands:
        client.send(*command)
        for name in command[1:]:
            got = client.read_any()[0]
            check(not isinstance(got, Error), repr(got))
            equal(list(got)[:2], [command[0].lower().encode(), name.encode()])
    return client


def there(env, client, c=None):
    return (c or env.c).call("CLIENT", "LIST", "ID", client.id) != b""


def test_channels_lost_by_setuser(env):
    c = env.c
    c.call("ACL", "SETUSER", "sue", "reset", "on", ">pw", "+@all", "~*", "&news.*", "&shard", "&w*")
    keeps = [subscriber(env, "sue", ("SUBSCRIBE", "news.a", "news.b")),
             subscriber(env, "sue", ("SSUBSCRIBE", "shard")), subscriber(env, "sue")]
    loses = [subscriber(env, "sue", ("SUBSCRIBE", "news.c", "west")),
             subscriber(env, "sue", ("PSUBSCRIBE", "w*"))]
    other = env.client()
    other.id = other.call("CLIENT", "ID")
    other.send("SUBSCRIBE", "west")
    other.read_any()
    # More than before, and what has nothing to do with channels: nobody is closed.
    equal(c.call("ACL", "SETUSER", "sue", "&more", "-get"), b"OK")
    equal(c.call("PUBLISH", "west", "1"), 3)
    equal(list(loses[0].read_any()[0]), [b"message", b"west", b"1"])
    equal(c.call("ACL", "SETUSER", "sue", "resetchannels", "&news.*", "&shard"), b"OK")
    for client in loses:
        eventually(lambda client=client: not there(env, client))
    check(all(there(env, client) for client in keeps + [other]), "the others stay")
    equal(c.call("PUBLISH", "west", "2"), 1)
    equal(c.call("PUBLISH", "news.a", "3"), 1)
    equal(list(keeps[0].read_any()[0]), [b"message", b"news.a", b"3"])
    # Shard channels, and a pattern that is allowed only letter for letter.
    equal(c.call("ACL", "SETUSER", "sue", "resetchannels", "&news.?"), b"OK")
    eventually(lambda: not there(env, keeps[1]))
    check(there(env, keeps[0]), "news.? matches too")
    equal(c.call("ACL", "DELUSER", "sue"), 1)
    for client in keeps:
        eventually(lambda client=client: not there(env, client))


@cairn_only("7.0 closes the caller before it is answered")
@matrix(((3, 1), (3, 4)))
def test_the_caller_is_closed_after_its_reply(env):
    env.c.call("ACL", "SETUSER", "sam", "on", ">pw", "+@all", "~*", "&a")
    sam = subscriber(env, "sam", ("SUBSCRIBE", "a"), protocol=3)
    equal(sam.call("ACL", "SETUSER", "sam", "resetchannels"), b"OK")
    eventually(lambda: not there(env, sam))
    env.c.call("ACL", "DELUSER", "sam")


@matrix(ONCE)
def test_kill_by_user(env):
    for name in ("kim", "lea"):
        env.c.call("ACL", "SETUSER", name, "on", ">pw", "+@all", "~*", "&*")
    kim, lea = subscriber(env, "kim"), subscriber(env, "lea")
    equal(env.c.call("CLIENT", "KILL", "USER", "nobody"), Error(b"ERR No such user 'nobody'"))
    equal(env.c.call("CLIENT", "KILL", "USER", "kim"), 1)
    eventually(lambda: not there(env, kim))
    check(there(env, lea), "another user's client was closed")
    env.c.call("ACL", "DELUSER", "kim", "lea")


@cairn_only("7.0 closes every connection at ACL LOAD")
@matrix(ONCE)
def test_load_closes_who_lost_something(env):
    path = "/tmp/cairn-acl-sessions-%d-%d.acl" % (os.getpid(), env.rng.getrandbits(30))
    lines = ["user default on nopass ~* &* +@all", "user ann on >pw ~* &a &b +@all",
             "user bob on >pw ~* &* +@all"]

    def write(*now):
        with open(path, "w") as out:
            out.write("\n".join(now) + "\n")
    try:
        write(*lines)
        server = Server(threads=env.threads, aclfile=path)
        env.own.append(server)
        c = env.client(2, server)
        ann_a = subscriber(env, "ann", ("SUBSCRIBE", "a"), server=server)
        ann_b = subscriber(env, "ann", ("SUBSCRIBE", "b"), server=server)
        bob = subscriber(env, "bob", server=server)
        write(lines[0], "user ann on >pw ~* &a +@all -get", lines[2] + " -set")
        equal(c.call("ACL", "LOAD"), b"OK")
        eventually(lambda: not there(env, ann_b, c))
        check(there(env, ann_a, c), "still allowed")
        check(isinstance(bob.call("SET", "k", "v"), Error), "the new rules are in force")
        write(lines[0])
        # Inside EXEC the file is read when the locks are gone; the replies keep their places.
        for command in (("MULTI",), ("SET", "k", "v"), ("ACL", "LOAD"), ("GET", "k"), ("ACL", "SAVE"),
                        ("CONFIG", "REWRITE"), ("INCR", "n"), ("ACL", "LOAD"), ("LRANGE", "l", 0, -1)):
            c.call(*command)
        replies = c.call("EXEC")
        check(isinstance(replies[4], Error), "there is no configuration file")
        equal(replies[:4] + replies[5:], [b"OK", b"OK", b"v", b"OK", 1, b"OK", []])
        equal(c.call("ACL", "USERS"), [b"default"])  # LOAD, SAVE and LOAD came in this order
        check(not isinstance(c.call("PING"), Error), "in step")
    finally:
        os.unlink(path)
