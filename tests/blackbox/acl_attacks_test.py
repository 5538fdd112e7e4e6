# SPDX-License-Identifier: BSD-3-Clause
"""Ways round the rules of users, and round what keeps passwords out of sight."""

import os

from harness import ONCE, PROTOCOLS, cairn_only, check, equal, matrix

MATRIX = PROTOCOLS


def login(env, name, server=None):
    client = env.client(env.protocol, server) if server else env.client(env.protocol)
    equal(client.call("AUTH", name, "any"), b"OK")
    return client


@cairn_only("redis-server reads keys where its specification looks for them")
def test_keyword_as_a_name(env):
    """A group or a consumer may be called STREAMS: the keys still stand behind the keyword."""
    c = env.c
    equal(c.call("XGROUP", "CREATE", "s", "streams", "0", "MKSTREAM"), b"OK")
    equal(c.call("XADD", "s", "1-1", "f", "v"), b"1-1")
    wanted = [[b"s", [[b"1-1", [b"f", b"v"]]]]]
    for words in (("NOACK", "GROUP", "streams", "c"), ("COUNT", 1, "GROUP", "streams", "streams"),
                  ("BLOCK", 1, "GROUP", "streams", "Streams", "COUNT", 5)):
        c.call("XGROUP", "SETID", "s", "streams", "0")
        words = ("XREADGROUP", *words, "STREAMS", "s", ">")
        equal(c.call("COMMAND", "GETKEYS", *words), [b"s"])
        reply = c.call(*words)
        equal(list(map(list, reply.items())) if isinstance(reply, dict) else reply, wanted)
    c.call("ACL", "SETUSER", "ann", "on", "nopass", "+@all", "~c", "~STREAMS")
    ann = login(env, "ann")
    equal(ann.call("XREADGROUP", "COUNT", 1, "GROUP", "streams", "c", "STREAMS", "s", ">").code,
          "NOPERM")
    c.call("ACL", "DELUSER", "ann")
    c.call("DEL", "s")


def test_a_script_asks_about_calls_that_lack_arguments(env):
    c = env.c
    c.call("ACL", "SETUSER", "ann", "on", "nopass", "+@all", "-swapdb", "~a")
    ann = login(env, "ann")
    for name in ("sort", "sort_ro", "geosearchstore", "migrate", "select", "move", "eval",
                 "xreadgroup", "publish", "get"):
        reply = ann.call("EVAL", "return {redis.acl_check_cmd(ARGV[1])}", 0, name)
        check(reply in ([1], [None], []), "%s: %r" % (name, reply))
    equal(ann.call("EVAL", "return {tostring(redis.acl_check_cmd('swapdb'))}", 0), [b"false"])
    c.call("ACL", "DELUSER", "ann")


@cairn_only("rules about databases are Valkey's")
def test_what_names_keys_looks_into_its_database(env):
    c = env.c
    c.call("ACL", "SETUSER", "ann", "on", "nopass", "+@all", "~*", "db=1")
    ann = login(env, "ann")
    for words in (("WATCH", "k"), ("EVAL", "return 1", 1, "k"), ("GET", "k")):
        equal(ann.call(*words).text, b"NOPERM No permissions to access a database", words)
    equal(ann.call("EVAL", "return 1", 0), 1)
    equal(ann.call("SELECT", 1), b"OK")
    equal(ann.call("WATCH", "k"), b"OK")
    equal(ann.call("EVAL", "return 1", 1, "k"), 1)
    c.call("ACL", "DELUSER", "ann")


@cairn_only("redis-server takes the empty name")
def test_a_name_that_could_not_be_read_back(env):
    equal(env.c.call("ACL", "SETUSER", "", "on", "nopass").text,
          b"ERR Usernames can't contain spaces or null characters")


@matrix(ONCE)
def test_rules_go_by_the_names_that_commands_had(env):
    path = os.path.join(env.folder(), "test.conf")
    with open(path, "w", encoding="ascii") as out:
        out.write('rename-command CONFIG ""\nrename-command GET FETCH\n'
                  'user ann on nopass ~* +get +set|a -config\n')
    server = env.start(config_file=path)
    c, ann = env.client(server=server), login(env, "ann", server)
    equal(ann.call("FETCH", "k"), None)
    check(b"+get" in c.call("ACL", "LIST")[0])
    equal(c.call("ACL", "SETUSER", "ann", "-get"), b"OK")
    equal(ann.call("FETCH", "k").code, "NOPERM")
    check(b"unknown command" in c.call("CONFIG", "GET", "x").text)


@cairn_only("what redis-server hides depends on where the words stand")
def test_no_password_is_shown_whatever_others_are_called(env):
    c, monitor = env.client(), env.client()
    env.config(slowlog_log_slower_than=0)
    equal(monitor.call("MONITOR"), b"OK")
    hello = ("HELLO", env.protocol, "SETNAME", "auth", "AUTH", "default", "se-cret")
    c.call(*hello)
    c.call("HELLO", "AUTH", "default", "se-cret")
    c.call("MIGRATE", "127.0.0.1", 1, "auth2", "auth", 1000, "AUTH", "se-cret")
    c.call("MIGRATE", "127.0.0.1", 1, "k", 0, "AUTH2", "AUTH", "se-cret")
    c.call("MULTI")
    c.call(*hello)
    c.call("EXEC")
    c.call("ECHO", "last")
    seen = b""
    while b"last" not in seen:
        line = monitor.read_any()[0]
        check(b"se-cret" not in line, line)
        seen += line
    check(seen.count(b"redacted") >= 8, seen)
    for entry in c.call("SLOWLOG", "GET", -1):
        check(b"se-cret" not in entry[3], entry)
    env.config(slowlog_log_slower_than=10000)
