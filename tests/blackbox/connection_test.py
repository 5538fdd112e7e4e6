# SPDX-License-Identifier: BSD-3-Clause
"""Passwords, limits, and what CLIENT can ask of connections."""

import re
import socket
import time

from harness import (ONCE, PROTOCOLS, Error, cairn_only, check, equal, eventually, matrix)

MATRIX = PROTOCOLS


def fields(line):
    return dict(part.split(b"=", 1) for part in line.strip().split(b" "))


def list_of(client, *arguments):
    return [fields(line) for line in client.call("CLIENT", "LIST", *arguments).splitlines()]


@matrix(ONCE)
def test_requirepass(env):
    server = env.start(requirepass="secret word")
    c = env.client(2, server, password=None)
    equal(c.call("GET", "a"), Error(b"NOAUTH Authentication required."))
    equal(c.call("AUTH", "wrong"),
          Error(b"WRONGPASS invalid username-password pair or user is disabled."))
    equal(c.call("HELLO", "3").code, b"NOAUTH")
    equal(c.call("AUTH", "secret word"), b"OK")
    equal(c.call("SET", "a", 1), b"OK")
    other = env.client(2, server, password=None)
    equal(other.call("AUTH", "default", "secret word"), b"OK")
    third = env.client(2, server, password=None)
    reply = third.call("HELLO", "3", "AUTH", "default", "secret word", "SETNAME", "n")
    check(isinstance(reply, dict), "HELLO AUTH: %r" % (reply,))
    equal(third.call("CLIENT", "GETNAME"), b"n")


@matrix(ONCE)
def test_auth_and_commands_in_one_pipeline(env):
    server = env.start(requirepass="pw")
    c = env.client(2, server, password=None)
    replies = c.pipeline([("GET", "a"), ("AUTH", "pw"), ("SET", "a", "1"), ("GET", "a")])
    equal(replies[0].code, b"NOAUTH")
    equal(replies[1:], [b"OK", b"OK", b"1"])


@matrix(ONCE)
def test_unauthenticated_clients_may_not_send_much(env):
    server = env.start(requirepass="pw")
    for data in (b"*100\r\n", b"*1\r\n$100000\r\n"):
        c = env.client(2, server, password=None)
        c.send_raw(data)
        check(c.read_until_closed().startswith(b"-ERR Protocol error: unauthenticated"), repr(data))


@matrix(ONCE)
def test_auth_without_a_password_set(env):
    equal(env.c.call("AUTH", "x").text[:60],
          b"ERR AUTH <password> called without any password configured fo"[:60])


@matrix(ONCE)
def test_password_changed_at_run_time(env):
    server = env.start()
    c = env.client(2, server)
    equal(c.call("CONFIG", "SET", "requirepass", "new"), b"OK")
    equal(env.client(2, server).call("PING").code, b"NOAUTH")
    equal(c.call("PING"), b"PONG", "who was in stays in")
    equal(c.call("CONFIG", "SET", "requirepass", ""), b"OK")
    equal(env.client(2, server).call("PING"), b"PONG")


def alone(client):
    """Waits until the server has seen the connections that were before go."""
    eventually(lambda: b"connected_clients:1\r\n" in client.call("INFO", "clients"))


@matrix(ONCE)
def test_maxclients(env):
    server = env.start(maxclients=10)
    clients = [env.client(2, server)]
    alone(clients[0])
    clients += [env.client(2, server) for _ in range(9)]
    for client in clients:
        equal(client.call("PING"), b"PONG")
    late = env.client(2, server)
    equal(late.read_until_closed(), b"-ERR max number of clients reached\r\n")
    clients[0].call("QUIT")
    clients[0].close()
    eventually(lambda: not isinstance(try_ping(env, server), Exception), note="no room again")


@matrix(ONCE)
def test_maxclients_of_many_who_come_at_once(env):
    server = env.start(maxclients=10)
    for _ in range(5):
        sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(60)]
        for s in sockets:
            s.settimeout(60)
            s.sendall(b"PING\r\n")
        first = [s.recv(1) for s in sockets]
        check(first.count(b"+") <= 10, "%d were let in" % first.count(b"+"))
        for s in sockets:
            s.close()
        eventually(lambda: not isinstance(try_ping(env, server), Exception), note="no room again")


def try_ping(env, server):
    try:
        return env.client(2, server).call("PING") == b"PONG" or ValueError()
    except (EOFError, OSError) as error:
        return error


def test_names_and_ids(env):
    a = env.client()
    first = a.call("CLIENT", "ID")
    b = env.client()  # after the first was answered: two at once may be accepted in any order
    check(b.call("CLIENT", "ID") > first > 0, "ids rise")
    equal(a.call("CLIENT", "GETNAME"), None)
    equal(a.call("CLIENT", "SETNAME", "worker:1"), b"OK")
    equal(a.call("CLIENT", "GETNAME"), b"worker:1")
    equal(a.call("CLIENT", "SETNAME", "a b").code, b"ERR")
    equal(a.call("CLIENT", "SETNAME", ""), b"OK")
    equal(a.call("CLIENT", "GETNAME"), None)


def test_client_list_and_info(env):
    a, b = env.client(), env.client()
    a.call("CLIENT", "SETNAME", "lister")
    b.call("CLIENT", "SETNAME", "other")
    b.call("SELECT", 2)
    mine = fields(a.call("CLIENT", "INFO"))
    equal(mine[b"name"], b"lister")
    equal(mine[b"cmd"], b"client|info")
    equal(mine[b"resp"] if b"resp" in mine else b"%d" % env.protocol, b"%d" % env.protocol)
    seen = {line[b"name"]: line for line in list_of(a)}
    equal(seen[b"other"][b"db"], b"2")
    equal(seen[b"other"][b"cmd"], b"select")
    only = list_of(a, "ID", b.call("CLIENT", "ID"))
    equal([line[b"name"] for line in only], [b"other"])
    check(re.match(rb"127\.0\.0\.1:\d+$", mine[b"addr"]), "addr is %r" % mine[b"addr"])


def test_client_kill(env):
    a, b, c = env.client(), env.client(), env.client()
    number = b.call("CLIENT", "ID")
    equal(a.call("CLIENT", "KILL", "ID", number), 1)
    check(b.closed_by_server(), "a killed client is closed")
    equal(a.call("CLIENT", "KILL", "ID", number), 0)
    address = fields(c.call("CLIENT", "INFO"))[b"addr"]
    equal(a.call("CLIENT", "KILL", address), b"OK")
    check(c.closed_by_server(), "a client killed by address is closed")
    equal(a.call("CLIENT", "KILL", "1.2.3.4:5"), Error(b"ERR No such client"))
    equal(a.call("CLIENT", "KILL", "ID", "abc").code, b"ERR")
    equal(a.call("PING"), b"PONG")


def test_a_client_is_killed_once(env):
    a, b = env.client(), env.client()
    kill = ("CLIENT", "KILL", "ID", b.call("CLIENT", "ID"))
    equal(a.pipeline([("MULTI",), kill, kill, ("EXEC",)])[-1], [1, 0])


def test_client_kill_of_oneself(env):
    c = env.client()
    equal(c.call("CLIENT", "KILL", "ID", c.call("CLIENT", "ID"), "SKIPME", "no"), 1)
    check(c.closed_by_server(), "the reply comes, then the end")


def test_client_reply(env):
    c = env.c
    c.send("CLIENT", "REPLY", "OFF")
    c.send("SET", "a", 1)
    c.send("NOSUCH")
    c.send("CLIENT", "REPLY", "ON")
    equal(c.read(), b"OK", "only the reply of ON arrives")
    c.send("CLIENT", "REPLY", "SKIP")
    c.send("SET", "a", 2)
    c.send("GET", "a")
    equal(c.read(), b"2")


def test_client_pause_write(env):
    writer, reader, boss = env.client(), env.client(), env.client()
    reader.call("SET", "a", 1)
    equal(boss.call("CLIENT", "PAUSE", 100000, "WRITE"), b"OK")
    writer.send("SET", "a", 2)
    equal(reader.call("GET", "a"), b"1")
    check(writer.nothing_to_read(0.15), "a paused write is answered")
    equal(boss.call("CLIENT", "UNPAUSE"), b"OK")
    equal(writer.read(), b"OK")
    equal(reader.call("GET", "a"), b"2")


def test_read_only_scripts_run_while_writes_are_paused(env):
    writer, reader, boss = env.client(), env.client(), env.client()
    library = (b"#!lua name=lib\nredis.register_function{function_name='look', flags={'no-writes'}, "
               b"callback=function(keys) return redis.call('GET', keys[1]) end}")
    equal(boss.call("FUNCTION", "LOAD", library), b"lib")
    reader.call("SET", "a", 1)
    equal(boss.call("CLIENT", "PAUSE", 100000, "WRITE"), b"OK")
    writer.send("EVAL", "return redis.call('GET', KEYS[1])", 1, "a")
    equal(reader.call("EVAL_RO", "return redis.call('GET', KEYS[1])", 1, "a"), b"1")
    equal(reader.call("FCALL_RO", "look", 1, "a"), b"1")
    check(writer.nothing_to_read(0.15), "a script that may write is answered")
    equal(boss.call("CLIENT", "UNPAUSE"), b"OK")
    equal(writer.read(), b"1")
    boss.call("FUNCTION", "FLUSH")


def test_scripts_that_say_they_only_read_run_while_writes_are_paused(env):
    reader, boss = env.client(), env.client()
    reads = "#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])"
    library = (b"#!lua name=lib\n"
               b"local function get(keys) return redis.call('GET', keys[1]) end\n"
               b"redis.register_function{function_name='look', flags={'no-writes'}, callback=get}\n"
               b"redis.register_function('may_write', get)")
    equal(boss.call("FUNCTION", "LOAD", library), b"lib")
    sha = boss.call("SCRIPT", "LOAD", reads)
    reader.call("SET", "a", 1)
    waiting = []
    queued = {flags: env.client() for flags in ("#!lua flags=no-writes\n", "#!lua\n")}
    for flags, c in queued.items():
        equal(c.call("MULTI"), b"OK")
        equal(c.call("EVAL", flags + "return 5", 0), b"QUEUED")
        equal(c.call("FCALL", "look", 1, "a"), b"QUEUED")
    equal(boss.call("CLIENT", "PAUSE", 100000, "WRITE"), b"OK")
    for call in (("EVAL", reads, 1, "a"), ("EVALSHA", sha, 1, "a"), ("EVALSHA", sha.upper(), 1, "a"),
                 ("FCALL", "look", 1, "a"), ("FCALL", "LOOK", 1, "a")):
        equal(reader.call(*call), b"1", repr(call))
    refused = reader.call("EVAL", "#!lua flags=no-writes\nreturn redis.call('PUBLISH', 'c', 'm')", 0)
    check(isinstance(refused, Error), "a message, which followers get, is sent: " + repr(refused))
    for call in (("EVAL", "#!lua\nreturn '1'", 0), ("EVAL", "return '1'", 0),
                 ("FCALL", "may_write", 1, "a")):
        waiting.append(env.client())
        waiting[-1].send(*call)
    for c in queued.values():
        c.send("EXEC")
    equal(queued["#!lua flags=no-writes\n"].read(), [5, b"1"])
    for c in waiting + [queued["#!lua\n"]]:
        check(c.nothing_to_read(0.05), "a script that may write is answered")
    equal(boss.call("CLIENT", "UNPAUSE"), b"OK")
    for c in waiting:
        equal(c.read(), b"1")
    equal(queued["#!lua\n"].read(), [5, b"1"])
    boss.call("FUNCTION", "FLUSH")


def test_too_many_arguments_of_a_subcommand(env):
    for call in (("CLIENT", "UNBLOCK", 1, "ERROR", "x"), ("client", "unblock", "x", "TIMEOUT", 1),
                 ("CLIENT", "PAUSE", 1, "WRITE", "x"), ("client", "pause", "x", "ALL", "x"),
                 ("SLOWLOG", "GET", 1, 2), ("slowlog", "get", 1, 2, 3)):
        equal(env.c.call(*call),
              Error(("ERR unknown subcommand or wrong number of arguments for '%s'. Try %s HELP." %
                     (call[1], call[0].upper())).encode()))


def test_the_keys_of_commands_that_may_have_none(env):
    no_keys = Error(b"ERR The command has no key arguments")
    for command in ("GETKEYS", "GETKEYSANDFLAGS"):
        for call in (("SPUBLISH", "c", "m"), ("SSUBSCRIBE", "c"),
                     ("SUNSUBSCRIBE", "c"), ("PING", "x")):
            equal(env.c.call("COMMAND", command, *call), no_keys, repr(call))
        for name in ("EVAL", "EVAL_RO", "EVALSHA", "FCALL", "FCALL_RO"):
            for count in ("-1", "0", "2", "x"):
                equal(env.c.call("COMMAND", command, name, "s", count, "a"), [], name + count)
        equal(env.c.call("COMMAND", command, "ZUNION", "-1", "a"),
              Error(b"ERR Invalid arguments specified for command"))
    equal(env.c.call("COMMAND", "GETKEYS", "EVAL", "s", 1, "a", "b"), [b"a"])


def test_client_pause_all_ends_by_itself(env):
    other, boss = env.client(), env.client()
    other.call("PING")
    begin = time.monotonic()
    equal(boss.call("CLIENT", "PAUSE", 200), b"OK")
    equal(other.call("PING"), b"PONG")
    check(0.15 < time.monotonic() - begin, "the pause took %f s" % (time.monotonic() - begin))


def test_client_no_evict_and_no_touch(env):
    equal(env.c.call("CLIENT", "NO-EVICT", "on"), b"OK")
    equal(env.c.call("CLIENT", "NO-EVICT", "off"), b"OK")
    equal(env.c.call("CLIENT", "NO-EVICT", "maybe"), Error(b"ERR syntax error"))


@cairn_only("CLIENT SETINFO and NO-TOUCH came with 7.2")
def test_client_setinfo(env):
    c = env.c
    equal(c.call("CLIENT", "SETINFO", "LIB-NAME", "mylib"), b"OK")
    equal(c.call("CLIENT", "SETINFO", "LIB-VER", "1.2"), b"OK")
    mine = fields(c.call("CLIENT", "INFO"))
    equal((mine[b"lib-name"], mine[b"lib-ver"]), (b"mylib", b"1.2"))
    equal(c.call("CLIENT", "SETINFO", "foo", "bar").code, b"ERR")
    equal(c.call("CLIENT", "SETINFO", "LIB-NAME", "a b").code, b"ERR")
    equal(c.call("CLIENT", "NO-TOUCH", "on"), b"OK")


def test_client_unblock_of_nobody(env):
    equal(env.c.call("CLIENT", "UNBLOCK", 999999), 0)


@matrix(ONCE)
def test_idle_clients_time_out(env):
    server = env.start()
    c, other = env.client(2, server), env.client(2, server)
    equal(c.call("PING"), b"PONG")
    equal(other.call("CONFIG", "SET", "timeout", "1"), b"OK")
    check(c.closed_by_server(), "an idle client stays")


@matrix(ONCE)
def test_query_buffer_limit(env):
    env.config(client_query_buffer_limit="1mb")
    c = env.client()
    try:
        c.send_raw(b"*2\r\n$4\r\nECHO\r\n$3000000\r\n" + b"x" * 3000000)
    except OSError:
        pass
    check(c.closed_by_server(), "the limit does not hold")


@matrix(ONCE)
def test_proto_max_bulk_len(env):
    env.config(proto_max_bulk_len="1mb")
    c = env.client()
    c.send_raw(b"*2\r\n$4\r\nECHO\r\n$2000000\r\n")
    equal(c.read_until_closed(), b"-ERR Protocol error: invalid bulk length\r\n")
