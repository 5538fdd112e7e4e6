# SPDX-License-Identifier: BSD-3-Clause
"""Users: what ACL answers, what rules allow, how refusals are worded, files of users."""

import os

from harness import (ONCE, PROTOCOLS, Error, Server, as_dict, cairn_only, check, equal, eventually,
                     matrix, members)

MATRIX = PROTOCOLS

HASH = b"30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4"  # of "pw"


def login(env, name, password="pw", server=None):
    client = env.client(env.protocol, server) if server else env.client(env.protocol)
    equal(client.call("AUTH", name, password), b"OK")
    return client


def text_of(reply):
    check(isinstance(reply, Error), "no error but %r" % (reply,))
    return reply.text


@cairn_only("the wording of 7.2 and later")
def test_rules_allow_and_refuse(env):
    c = env.c
    equal(c.call("ACL", "SETUSER", "ann", "on", ">pw", "+@read", "+set", "~a*", "%R~r*"), b"OK")
    ann = login(env, "ann")
    equal(ann.call("SET", "a1", "x"), b"OK")
    equal(ann.call("GET", "r1"), None)
    equal(text_of(ann.call("SET", "r1", "x")), b"NOPERM No permissions to access a key")
    equal(text_of(ann.call("DEL", "a1")),
          b"NOPERM User ann has no permissions to run the 'del' command")
    equal(text_of(ann.call("CONFIG", "GET", "x")),
          b"NOPERM User ann has no permissions to run the 'config|get' command")
    equal(text_of(ann.call("MGET", "a1", "zz")), b"NOPERM No permissions to access a key")
    # In force at once for a session that is there already.
    equal(c.call("ACL", "SETUSER", "ann", "-get"), b"OK")
    equal(text_of(ann.call("GET", "a1")),
          b"NOPERM User ann has no permissions to run the 'get' command")
    equal(c.call("ACL", "DELUSER", "ann"), 1)
    eventually(lambda: b"user=ann" not in c.call("CLIENT", "LIST"))


@cairn_only("the wording of 7.2 and later")
def test_databases(env):
    c = env.c
    c.call("ACL", "SETUSER", "dora", "on", ">pw", "+@all", "~*", "db=1,2")
    dora = login(env, "dora")
    equal(text_of(dora.call("GET", "a")), b"NOPERM No permissions to access a database")
    equal(dora.call("SELECT", "1"), b"OK")
    equal(dora.call("SET", "a", "x"), b"OK")
    equal(dora.call("COPY", "a", "b", "DB", "2"), 1)
    equal(text_of(dora.call("COPY", "a", "b", "DB", "3")),
          b"NOPERM No permissions to access a database")
    equal(text_of(dora.call("MOVE", "a", "0")), b"NOPERM No permissions to access a database")
    equal(text_of(dora.call("SELECT", "0")), b"NOPERM No permissions to access a database")
    equal(text_of(dora.call("FLUSHALL")), b"NOPERM No permissions to access a database")
    equal(dora.call("FLUSHDB"), b"OK")
    equal(dict(zip(*[iter(c.call("ACL", "GETUSER", "dora"))] * 2))[b"databases"]
          if env.protocol == 2 else c.call("ACL", "GETUSER", "dora")[b"databases"], b"db=1,2")
    c.call("ACL", "DELUSER", "dora")


def test_exec_asks_again(env):
    c = env.c
    c.call("ACL", "SETUSER", "eve", "reset", "on", ">pw", "+@all", "~*")
    eve = login(env, "eve")
    eve.call("MULTI")
    equal(eve.call("SET", "a", "1"), b"QUEUED")
    equal(eve.call("GET", "a"), b"QUEUED")
    c.call("ACL", "SETUSER", "eve", "-set")
    replies = eve.call("EXEC")
    equal(replies[0].text[:29], b"NOPERM ACLs rules changed bet")
    check(replies[0].text.endswith(b"no permission to execute the command or subcommand"), "reason")
    equal(replies[1], None)
    entry = as_dict(c.call("ACL", "LOG", 1)[0])
    equal((entry[b"context"], entry[b"reason"], entry[b"object"], entry[b"username"]),
          (b"multi", b"command", b"set", b"eve"))
    c.call("ACL", "DELUSER", "eve")


@cairn_only("the wording of 7.0 is another")
def test_scripts_and_channels(env):
    c = env.c
    c.call("ACL", "SETUSER", "sam", "reset", "on", ">pw", "+@all", "~a*", "&news*")
    sam = login(env, "sam")
    equal(sam.call("EVAL", "return redis.call('SET', 'a', 'x')", 0), b"OK")
    equal(text_of(sam.call("EVAL", "return redis.pcall('SET', 'b', 'x')", 0)),
          b"ERR ACL failure in script: No permissions to access a key")
    check(b"ACL failure in script: No permissions to access a key" in
          text_of(sam.call("EVAL", "return redis.call('GET', 'b')", 0)), "call raises")
    equal(sam.call("EVAL", "return {redis.acl_check_cmd('GET', 'a') and 1 or 0,"
                   " redis.acl_check_cmd('GET', 'b') and 1 or 0}", 0), [1, 0])
    equal(as_dict(c.call("ACL", "LOG", 1)[0])[b"context"], b"lua")
    equal(sam.call("PUBLISH", "news1", "x"), 0)
    equal(text_of(sam.call("PUBLISH", "other", "x")), b"NOPERM No permissions to access a channel")
    equal(text_of(sam.call("SUBSCRIBE", "news1", "other")),
          b"NOPERM No permissions to access a channel")
    # A pattern is allowed only if it is one of the user's own.
    equal(text_of(sam.call("PSUBSCRIBE", "news1*")), b"NOPERM No permissions to access a channel")
    if env.protocol == 2:
        equal(sam.call("PSUBSCRIBE", "news*")[2], 1)
    c.call("ACL", "DELUSER", "sam")


def test_patterns_of_sort(env):
    c = env.c
    c.call("RPUSH", "alist", 2, 1)
    c.call("SET", "secret1", "x")
    by = Error(b"ERR BY option of SORT denied due to insufficient ACL permissions.")
    get = Error(b"ERR GET option of SORT denied due to insufficient ACL permissions.")
    for rules in (["~a*"], ["%W~*", "~a*"], ["-@all", "(~a* +@all)", "(~* +get)"]):
        c.call("ACL", "SETUSER", "ida", "reset", "on", ">pw", "+@all", *rules)
        ida = login(env, "ida")
        for sort in ("SORT", "SORT_RO"):
            equal(ida.call(sort, "alist"), [b"1", b"2"])
            equal(ida.call(sort, "alist", "BY", "nosort"), [b"2", b"1"])
            equal(ida.call(sort, "alist", "BY", "secret*"), by)
            equal(ida.call(sort, "alist", "BY", "nosort", "GET", "secret*"), get)
            equal(ida.call(sort, "alist", "GET", "#"), get)
        equal(ida.call("EVAL", "return redis.pcall('SORT','alist','GET','secret*')", 1, "alist"), get)
        equal(ida.call("MULTI"), b"OK")
        ida.call("SORT", "alist", "GET", "secret*")
        equal(ida.call("EXEC"), [get])
    for rules in (["allkeys"], ["%R~*"], ["-@all", "(%R~* +sort)"]):
        c.call("ACL", "SETUSER", "ida", "reset", "on", ">pw", "+@all", *rules)
        equal(login(env, "ida").call("SORT", "alist", "GET", "secret*"), [b"x", None])
    c.call("ACL", "DELUSER", "ida")


def test_log(env):
    c = env.c
    equal(c.call("ACL", "LOG", "RESET"), b"OK")
    other = env.client(env.protocol)
    for _ in range(3):
        equal(other.call("AUTH", "nobody", "pw").code, b"WRONGPASS")
    c.call("ACL", "SETUSER", "lou", "reset", "on", ">pw", "+get", "~a*")
    lou = login(env, "lou")
    lou.call("GET", "zz")
    lou.call("SET", "a", "x")
    entries = [as_dict(entry) for entry in c.call("ACL", "LOG")]
    equal([(e[b"reason"], e[b"object"], e[b"count"], e[b"username"]) for e in entries],
          [(b"command", b"set", 1, b"lou"), (b"key", b"zz", 1, b"lou"),
           (b"auth", b"AUTH", 3, b"nobody")])
    equal([e[b"context"] for e in entries], [b"toplevel"] * 3)
    equal(len(c.call("ACL", "LOG", 1)), 1)
    equal(c.call("ACL", "LOG", "RESET"), b"OK")
    equal(c.call("ACL", "LOG"), [])
    # Whatever clients send, an entry stays small.
    lou.call("GET", "z" * 5_000_000)
    lou.call("GET", "z" * 5_000_001)
    env.client(env.protocol).call("AUTH", "u" * 10_000, "pw")
    entries = [as_dict(entry) for entry in c.call("ACL", "LOG")]
    equal([(e[b"reason"], e[b"object"], e[b"count"], e[b"username"]) for e in entries],
          [(b"auth", b"AUTH", 1, b"u" * 1024), (b"key", b"z" * 1024, 2, b"lou")])
    equal(c.call("ACL", "LOG", "RESET"), b"OK")
    c.call("ACL", "DELUSER", "lou")


@cairn_only("7.4 shows sanitize-payload and the operator's rules")
def test_list_getuser(env):
    c = env.c
    c.call("ACL", "SETUSER", "gil", "on", ">pw", "%R~a*", "%RW~b*", "+@read", "+get", "-get",
           "+config|get", "(~c* +@all", "-get)")
    equal([line for line in c.call("ACL", "LIST") if line.startswith(b"user gil ")],
          [b"user gil on sanitize-payload #" + HASH + b" %R~a* ~b* resetchannels -@all +@read "
           b"-get +config|get (~c* resetchannels +@all -get)"])
    user = as_dict(c.call("ACL", "GETUSER", "gil"))
    equal(sorted(user[b"flags"]), [b"on", b"sanitize-payload"])
    equal(user[b"passwords"], [HASH])
    equal(user[b"keys"], b"%R~a* ~b*")
    equal(as_dict(user[b"selectors"][0]),
          {b"commands": b"+@all -get", b"keys": b"~c*", b"channels": b""})
    equal(c.call("ACL", "GETUSER", "nobody"), None)
    equal(c.call("ACL", "DRYRUN", "gil", "GET", "zz"),
          b"User gil has no permissions to run the 'get' command")
    equal(c.call("ACL", "DRYRUN", "gil", "STRLEN", "zz"),
          b"User gil has no permissions to access the 'zz' key")
    equal(c.call("ACL", "DRYRUN", "gil", "STRLEN", "a1"), b"OK")
    equal(c.call("ACL", "DELUSER", "gil", "nobody"), 1)


def test_errors(env):
    c = env.c
    modifier = b"ERR Error in ACL SETUSER modifier '"
    unknown = b"': Unknown command or category name in ACL"
    for words, want in (
            (["+@foo"], modifier + b"+@foo" + unknown),
            (["+foo|bar"], modifier + b"+foo|bar" + unknown),
            (["-select|0"], modifier + b"-select|0" + unknown),
            (["+config|get|x"], modifier + b"+config|get|x': Allowing first-arg of a subcommand is "
             b"not supported"),
            (["foo"], modifier + b"foo': Syntax error"),
            (["%X~a"], modifier + b"%X~a': Syntax error"),
            (["~*", "~a"], modifier + b"~a': Adding a pattern after the * pattern (or the 'allkeys'"
             b" flag) is not valid and does not have any effect. Try 'resetkeys' to start with an "
             b"empty list of patterns"),
            (["#abc"], modifier + b"#abc': The password hash must be exactly 64 characters and "
             b"contain only lowercase hexadecimal characters"),
            (["<abc"], modifier + b"<abc': The password you are trying to remove from the user does"
             b" not exist"),
            (["on", "(~a", "+get"], b"ERR Unmatched parenthesis in acl selector starting at "
             b"'(~a'.")):
        equal(text_of(c.call("ACL", "SETUSER", "err", *words)), want)
    equal(c.call("ACL", "GETUSER", "err"), None)
    equal(text_of(c.call("ACL", "SETUSER", "a b")),
          b"ERR Usernames can't contain spaces or null characters")
    equal(text_of(c.call("ACL", "DELUSER", "default")),
          b"ERR The 'default' user cannot be removed")
    equal(text_of(c.call("ACL", "CAT", "foo")), b"ERR Unknown category 'foo'")
    equal(text_of(c.call("ACL", "DRYRUN", "nobody", "GET", "a")), b"ERR User 'nobody' not found")
    equal(text_of(c.call("ACL", "DRYRUN", "default", "nosuch")), b"ERR Command 'nosuch' not found")
    equal(len(c.call("ACL", "GENPASS")), 64)
    equal(len(c.call("ACL", "GENPASS", 5)), 2)
    check(b"get" in c.call("ACL", "CAT", "read"), "GET does not read")
    check(text_of(c.call("ACL", "LOAD")).startswith(b"ERR This Redis instance is not conf"), "LOAD")


@matrix(ONCE)
def test_default_user_and_requirepass(env):
    server = Server(threads=env.threads, requirepass="pw")
    server.password = None  # no logging in by itself
    env.own.append(server)
    c = env.client(2, server)
    equal(c.call("GET", "a").code, b"NOAUTH")
    equal(c.call("AUTH", "bad").code, b"WRONGPASS")
    equal(c.call("AUTH", "pw"), b"OK")
    equal(c.call("CONFIG", "SET", "requirepass", "new"), b"OK")
    equal(c.call("GET", "a"), None)  # who is in stays in
    equal(env.client(2, server).call("AUTH", "default", "new"), b"OK")
    equal(c.call("ACL", "SETUSER", "default", "nopass"), b"OK")
    equal(env.client(2, server).call("GET", "a"), None)
    equal(c.call("ACL", "SETUSER", "default", "off"), b"OK")
    equal(env.client(2, server).call("GET", "a").code, b"NOAUTH")


@matrix(ONCE)
def test_aclfile(env):
    path = "/tmp/cairn-test-%d.acl" % env.rng.getrandbits(60)
    with open(path, "w") as out:
        out.write("user default on nopass ~* &* +@all\nuser ann on >pw ~a* +get\n")
    try:
        server = Server(threads=env.threads, aclfile=path)
        env.own.append(server)
        c = env.client(2, server)
        ann = login(env, "ann", server=server)
        equal(ann.call("GET", "a"), None)
        c.call("ACL", "SETUSER", "bob", "on", ">pw", "+get", "~*")
        equal(c.call("ACL", "SAVE"), b"OK")
        saved = open(path).read()
        check("pw" not in saved and HASH.decode() in saved, "passwords in clear")
        with open(path, "w") as out:
            out.write("user default on nopass ~* &* +@all\nuser bob on >pw ~b* +get\nbad line\n")
        check(b"should start with user keyword" in text_of(c.call("ACL", "LOAD")), "LOAD")
        check(b"ann" in c.call("ACL", "USERS"), "a bad file changed the users")
        with open(path, "w") as out:
            out.write(saved.replace("user ann", "# user ann"))
        equal(c.call("ACL", "LOAD"), b"OK")
        equal(c.call("ACL", "USERS"), [b"bob", b"default"])
        eventually(lambda: b"user=ann" not in c.call("CLIENT", "LIST"), 60)
    finally:
        os.unlink(path)


@matrix(ONCE)
def test_files_that_are_saved_at_once_are_whole(env):
    path = os.path.join(env.folder(), "users.acl")
    with open(path, "w") as out:
        out.write("user default on nopass ~* &* +@all\n")
    server = Server(threads=4, aclfile=path)
    env.own.append(server)
    clients = [env.client(2, server) for _ in range(8)]
    for i in range(40):
        equal(clients[0].call("ACL", "SETUSER", "user%d" % i, "on", "~x"), b"OK")
        for c in clients:
            c.send("ACL", "SAVE")
        for c in clients:
            equal(c.read(), b"OK")
        with open(path) as saved:
            equal(saved.read().count("\n"), i + 2)


@matrix(ONCE)
def test_users_in_the_configuration(env):
    path = "/tmp/cairn-test-%d.conf" % env.rng.getrandbits(60)
    with open(path, "w") as out:
        out.write("# users\nuser ann on >pw ~a* +get\n")
    try:
        server = Server(config_file=path, threads=env.threads)
        env.own.append(server)
        c = env.client(2, server)
        equal(login(env, "ann", server=server).call("GET", "a"), None)
        equal(c.call("ACL", "SETUSER", "bob", "on", ">pw"), b"OK")
        equal(c.call("CONFIG", "REWRITE"), b"OK")
        lines = open(path).read().splitlines()
        check("# users" in lines, "a comment is gone")
        check(any(line.startswith("user bob on ") for line in lines), "bob is not written")
        check(not any(">pw" in line for line in lines), "a password in clear")
        # Words are read back as they were, quotes and all.
        for name, rule in (("quoted", '~"a"'), ("odd", "~it's\\x"), ("channel", '&"\\x62"')):
            equal(c.call("ACL", "SETUSER", name, "on", "nopass", rule, "(~k' +get)"), b"OK")
        before = c.call("ACL", "LIST")
        equal(c.call("CONFIG", "REWRITE"), b"OK")
        server.restart()
        equal(sorted(env.client(2, server).call("ACL", "LIST")), sorted(before))
    finally:
        os.unlink(path)


@cairn_only("redis-server gives the password back only where requirepass had set it")
@matrix(ONCE)
def test_configuration_leaves_passwords_of_acl_alone(env):
    server = env.start()
    c = env.client(2, server)
    equal(c.call("ACL", "SETUSER", "default", "resetpass", ">secret"), b"OK")
    users = c.call("ACL", "LIST")
    equal(c.call("CONFIG", "SET", "acl-pubsub-default", "resetchannels"), b"OK")
    equal(c.call("ACL", "LIST"), users)
    # Not in force for a moment, where something else refuses.
    check(isinstance(c.call("CONFIG", "SET", "requirepass", "x", "bind", "203.0.113.1"), Error),
          "an address of nobody is bound")
    equal(c.call("ACL", "LIST"), users)
    equal(c.call("CONFIG", "GET", "requirepass"), [b"requirepass", b""])
    equal(text_of(env.client(2, server).call("GET", "k")), b"NOAUTH Authentication required.")
    equal(c.call("CONFIG", "SET", "requirepass", "x"), b"OK")
    equal(env.client(2, server).call("AUTH", "x"), b"OK")


@cairn_only("redis-server takes the password back, not the rules that ACL SETUSER gave")
@matrix(ONCE)
def test_a_log_that_cannot_begin_leaves_the_default_user_as_it_was(env):
    server = env.start(appendonly="no")
    c = env.client(2, server)
    equal(c.call("ACL", "SETUSER", "default", "resetpass", ">one", ">two", "resetkeys", "~app:*",
                 "resetchannels", "&news", "(~read:* +get)"), b"OK")
    users = c.call("ACL", "LIST")
    with open(os.path.join(server.folder, "appendonlydir"), "w", encoding="ascii"):
        pass
    for words in (("requirepass", "x", "appendonly", "yes"), ("appendonly", "yes")):
        reply = c.call("CONFIG", "SET", *words)
        check(text_of(reply).startswith(b"ERR CONFIG SET failed"), repr(reply))
        equal(c.call("ACL", "LIST"), users)
        equal(c.call("CONFIG", "GET", "requirepass"), [b"requirepass", b""])
    newcomer = env.client(2, server)
    equal(text_of(newcomer.call("AUTH", "x")).split()[0], b"WRONGPASS")
    equal(newcomer.call("AUTH", "two"), b"OK")
    equal(newcomer.call("SET", "app:k", "v"), b"OK")
    equal(text_of(newcomer.call("SET", "k", "v")).split()[0], b"NOPERM")


@cairn_only("in Redis what a transaction still holds goes on as the default user")
def test_a_deleted_user_may_do_nothing_more(env):
    c, other = env.client(), env.client()
    equal(c.call("ACL", "SETUSER", "gone", "on", "nopass", "+@all", "~*"), b"OK")
    equal(other.call("AUTH", "gone", "any"), b"OK")
    equal(other.call("MULTI"), b"OK")
    for words in (("SET", "a", "1"), ("ACL", "DELUSER", "gone"), ("SET", "b", "2")):
        equal(other.call(*words), b"QUEUED")
    replies = other.call("EXEC")
    equal(replies[:2], [b"OK", 1])
    equal(replies[2].code, "NOPERM")
    check(other.closed_by_server(), "the connection of a deleted user stays")
    equal(c.call("EXISTS", "a", "b"), 1)


def test_what_a_call_does_with_its_key_decides(env):
    """SET without GET only writes, BITFIELD with nothing but GET only reads."""
    c = env.client()
    c.call("ACL", "SETUSER", "half", "on", ">pw", "%W~w", "%R~r", "+@all")
    user = login(env, "half")
    equal(user.call("SET", "w", 1), b"OK")
    equal(user.call("SET", "w", 1, "XX", "EX", 100), b"OK")
    equal(user.call("BITFIELD", "r", "GET", "u8", 0, "OVERFLOW", "SAT", "GET", "u8", 0), [0, 0])
    for words in (("SET", "w", 1, "GET"), ("SET", "r", 1), ("BITFIELD", "w", "GET", "u8", 0),
                  ("BITFIELD", "r", "SET", "u8", 0, 1), ("BITFIELD", "w", "INCRBY", "u8", 0, 1)):
        equal(user.call(*words).code, "NOPERM", words)
    members(c.call("COMMAND", "GETKEYSANDFLAGS", "SET", "k", "v")[0][1], [b"OW", b"update"])
    members(c.call("COMMAND", "GETKEYSANDFLAGS", "BITFIELD", "k", "GET", "u8", 0)[0][1],
            [b"RO", b"access"])
    c.call("ACL", "DELUSER", "half")
