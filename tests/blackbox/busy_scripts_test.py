# SPDX-License-Identifier: BSD-3-Clause
"""Scripts beyond busy-reply-threshold: what others hear, and how such a script is ended."""

import os
import signal
import socket

from harness.checks import as_dict, check, equal, eventually
from harness.journal_folder import folder
from harness.matrix import THREADS, cairn_only, matrix
from harness.resp import Error, encode
from harness.server import oracle_binary

BUSY = Error(b"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN "
             b"NOSAVE.")
BUSY_FUNCTION = Error(b"BUSY Redis is busy running a script. You can only call FUNCTION KILL or "
                      b"SHUTDOWN NOSAVE.")
KILLED = b"ERR Script killed by user with SCRIPT KILL..."
FOREVER = "while true do end"


def start(env, **directives):
    """A server of its own with a low threshold, and a client each for the script and for others."""
    server = env.start(**{"busy_reply_threshold": "100", **directives})
    return server, env.client(server=server)


def interview(env, **directives):
    """What a server says while scripts of several kinds are busy in it."""
    server, runner = start(env, **directives)
    other = env.client(server=server)
    said = []

    def ask(*requests):
        for request in requests:
            said.append((request, other.call(*request)))

    runner.call("FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('loop', function() " +
                FOREVER + " end)")
    runner.send("EVAL", FOREVER, 0)
    until_busy(other)
    ask(("GET", "k"), ("SET", "k"), ("NOSUCH", "x"), ("EVAL", "return 1", 0), ("CONFIG", "GET", "x"),
        ("FUNCTION", "STATS"), ("FUNCTION", "KILL"), ("FUNCTION", "LIST"), ("SCRIPT", "FLUSH"),
        ("SCRIPT", "EXISTS", "x"), ("SHUTDOWN",), ("SHUTDOWN", "SAVE"), ("SHUTDOWN", "ABORT"),
        ("SHUTDOWN", "x"), ("INFO",), ("CLIENT", "ID"), ("COMMAND", "COUNT"), ("SUBSCRIBE", "c"),
        ("AUTH", "x"), ("WATCH", "k"), ("UNWATCH",), ("EXEC",), ("DISCARD",),
        ("MULTI",), ("PING",), ("EXEC",), ("MULTI",), ("MULTI",), ("SCRIPT", "KILL"), ("DISCARD",),
        ("MULTI",), ("EXEC",), ("PUBLISH", "c", "m"), ("HELLO", "9"), ("RESET",), ("ECHO", "x"),
        ("SCRIPT", "KILL"))
    said.append(runner.read())
    ask(("SCRIPT", "KILL"), ("FUNCTION", "KILL"), ("PING",))
    runner.send("FCALL", "loop", 1, "key", "arg")
    until_busy(other, BUSY_FUNCTION)
    ask(("GET", "k"), ("SHUTDOWN",), ("SCRIPT", "KILL"), ("FUNCTION", "KILL"))
    said.append(runner.read())
    runner.call("MULTI")
    runner.call("INCR", "n")
    runner.call("EVAL", FOREVER, 0)
    runner.call("INCR", "n")
    runner.send("EXEC")
    until_busy(other)
    ask(("SCRIPT", "KILL"),)
    said.append(runner.read())
    # What Cairn cannot take back, or it would kill it.
    runner.send("EVAL", "redis.call('set','k','v') redis.call('flushall') " + FOREVER, 0)
    until_busy(other)
    ask(("SCRIPT", "KILL"), ("FUNCTION", "KILL"), ("GET", "k"), ("SHUTDOWN",))
    other.send("SHUTDOWN", "NOSAVE")
    eventually(lambda: not server.alive(), 20, "the server lives on")
    return said


@matrix(THREADS)
def test_everything_is_answered_as_by_the_oracle(env):
    for ours, theirs in zip(interview(env), interview(env, binary=oracle_binary())):
        equal(ours, theirs)


def others_of(env, server):
    """Enough connections that every worker has some."""
    return [env.client(server=server) for _ in range(8)]


def until_busy(client, wanted=BUSY):
    eventually(lambda: client.call("PING") == wanted, 10, "nobody says BUSY")


@matrix(THREADS)
def test_everybody_is_told_and_the_script_can_be_killed(env):
    server, runner = start(env)
    others = others_of(env, server)
    others[0].call("SET", "k", "v")
    for script in (FOREVER, "while true do pcall(function() while true do end end) end",
                   "local t={} for i=1,100 do t[i]=i end "
                   "table.sort(t,function(a,b) while true do end end)",
                   "string.gsub('x','x',function() while true do end end)",
                   "coroutine.wrap(function() while true do end end)()",
                   "load(os.clock)", "pcall(load,os.clock)",
                   "load(function() return ' ' end)",
                   "while true do redis.call('get','k') end",
                   "while true do pcall(redis.call,'get','k') redis.pcall('nosuch') end"):
        runner.send("EVAL", script, 0)
        for client in others:
            until_busy(client)
            equal(client.call("GET", "k"), BUSY)
            equal(client.call("EVAL", "return 1", 0), BUSY)
            client.call("MULTI")
            equal(client.call("PING"), BUSY)
            equal(client.call("EXEC"), Error(b"EXECABORT Transaction discarded because of: " +
                                             BUSY.text))
        equal(others[3].call("SCRIPT", "KILL"), b"OK")
        reply = runner.read()
        check(isinstance(reply, Error) and KILLED in reply.text, repr(reply))
        for client in others:
            equal(client.call("PING"), b"PONG")
            equal(client.call("GET", "k"), b"v")
        equal(runner.call("EVAL", "return redis.call('get','k')", 0), b"v")
        equal(runner.call("SCRIPT", "KILL"),
              Error(b"NOTBUSY No scripts in execution right now."))


@matrix(THREADS)
def test_a_long_script_ends_by_itself_and_is_seen_whole(env):
    server, runner = start(env)
    others = others_of(env, server)
    script = """redis.call('set','first','1')
                local function now() local t = redis.call('time') return t[1] * 1000 + t[2] / 1000 end
                local from = now()
                while now() < from + ARGV[1] do end
                redis.call('set','last','2') return 7"""

    def was_seen(ms):
        runner.send("EVAL", script, 0, ms)
        # Requests that wait behind it in the same read come after it.
        runner.send("GET", "last")
        seen = eventually(lambda: others[0].call("PING") == BUSY and "busy" or
                          not runner.nothing_to_read(0.001) and "over")
        equal(runner.read(), 7)
        equal(runner.read(), b"2")
        return seen == "busy"
    # Longer, where the machine is too slow to look while it runs.
    check(any(was_seen(ms) for ms in (700, 3000, 12000)), "nobody says BUSY")
    for client in others:
        equal(client.call("MGET", "first", "last"), [b"1", b"2"])


@matrix(THREADS)
def test_functions(env):
    server, runner = start(env)
    others = others_of(env, server)
    runner.call("FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('loop', function() " +
                FOREVER + " end)")
    runner.send("FCALL", "loop", 1, "key", "arg")
    for client in others:
        until_busy(client, BUSY_FUNCTION)
        equal(client.call("SCRIPT", "KILL"), BUSY_FUNCTION)
        running = as_dict(as_dict(client.call("FUNCTION", "STATS"))[b"running_script"])
        equal(running[b"name"], b"loop")
        equal(running[b"command"], [b"FCALL", b"loop", b"1", b"key", b"arg"])
        check(running[b"duration_ms"] >= 100, repr(running))
    equal(others[0].call("FUNCTION", "KILL"), b"OK")
    check(KILLED in runner.read().text)


@matrix(THREADS)
def test_its_client_may_leave(env):
    server, runner = start(env)
    other = env.client(server=server)
    runner.send("EVAL", FOREVER, 0)
    until_busy(other)
    runner.sock.shutdown(socket.SHUT_RDWR)
    runner.close()
    equal(other.call("PING"), BUSY)
    equal(other.call("SCRIPT", "KILL"), b"OK")
    eventually(lambda: other.call("PING") == b"PONG", 10)
    equal(env.client(server=server).call("EVAL", "return 7", 0), 7)


@matrix(THREADS)
def test_two_at_once_take_turns(env):
    server, first = start(env)
    second, other = env.client(server=server), env.client(server=server)
    first.send("EVAL", FOREVER, 0)
    until_busy(other)
    equal(second.call("EVAL", FOREVER, 0), BUSY)
    equal(other.call("SCRIPT", "KILL"), b"OK")
    check(KILLED in first.read().text)
    second.send("EVAL", FOREVER, 0)
    until_busy(other)
    equal(other.call("SCRIPT", "KILL"), b"OK")
    check(KILLED in second.read().text)


@matrix(THREADS)
def test_a_watch_of_that_time_fails(env):
    server, runner = start(env)
    other = env.client(server=server)
    runner.send("EVAL", FOREVER, 0)
    until_busy(other)
    equal(other.call("WATCH", "k"), b"OK")
    equal(other.call("SCRIPT", "KILL"), b"OK")
    runner.read()
    equal(other.call("MULTI"), b"OK")
    equal(other.call("SET", "k", "v"), b"QUEUED")
    # Nobody knows whether the script would have changed the key.
    equal(other.call("EXEC"), None)
    equal(other.pipeline([("MULTI",), ("SET", "k", "v"), ("EXEC",)]), [b"OK", b"QUEUED", [b"OK"]])


@matrix(THREADS)
def test_new_connections_are_told_and_may_authenticate(env):
    server, runner = start(env, requirepass="secret")
    runner.send("EVAL", FOREVER, 0)
    for _ in range(6):
        client = env.client(server=server)  # which says AUTH
        until_busy(client)
        equal(client.call("GET", "k"), BUSY)
    equal(client.call("SCRIPT", "KILL"), b"OK")
    check(KILLED in runner.read().text)


@matrix(THREADS)
def test_messages_reach_subscribers_meanwhile_and_pipelines_keep_their_order(env):
    server, runner = start(env)
    other, subscriber = env.client(server=server), env.client(server=server)
    subscriber.call("SUBSCRIBE", "c")
    runner.pipeline([("SET", "a", "1"), ("PUBLISH", "c", "m")])
    for request in (("GET", "a"), ("EVAL", FOREVER, 0), ("GET", "a"), ("INCR", "a")):
        runner.send(*request)
    equal(runner.read(), b"1")
    until_busy(other)
    equal(subscriber.read(), [b"message", b"c", b"m"])
    equal(other.pipeline([("GET", "a"), ("MULTI",), ("DISCARD",), ("SCRIPT", "KILL")]),
          [BUSY, b"OK", b"OK", b"OK"])
    check(KILLED in runner.read().text)
    equal(runner.read(), b"1")
    equal(runner.read(), 2)


def is_logged(server, text):
    """Whether the log's files hold it; so short a group is not compressed."""
    for name in os.listdir(folder(server)):
        try:
            with open(os.path.join(folder(server), name), "rb") as file:
                if text in file.read():
                    return True
        except FileNotFoundError:  # removed or renamed meanwhile
            continue
    return False


@cairn_only("reads the files of its log")
@matrix(THREADS)
def test_what_was_written_before_a_script_is_logged_meanwhile(env):
    for policy in ("always", "everysec"):
        server, runner = start(env, appendonly="yes", appendfsync=policy)
        other = env.client(server=server)
        # In one read, so that the thread's turn does not end before the script.
        runner.send_raw(encode("SET", "k", "written-before") + encode("EVAL", FOREVER, 0))
        until_busy(other)
        eventually(lambda: is_logged(server, b"written-before"), 60, "it waits for the script")
        equal(runner.read(), b"OK")
        equal(other.call("SCRIPT", "KILL"), b"OK")
        check(KILLED in runner.read().text)


@matrix(THREADS)
def test_a_threshold_of_zero_never_says_busy(env):
    server, runner = start(env)
    other = env.client(server=server)
    equal(runner.call("CONFIG", "SET", "lua-time-limit", "0"), b"OK")
    runner.send("EVAL", "local t = redis.call('time') local from = t[1] * 1000 + t[2] / 1000 "
                "repeat t = redis.call('time') until t[1] * 1000 + t[2] / 1000 > from + 300", 0)
    equal(other.call("PING"), b"PONG")
    equal(runner.read(), None)


def end_in_the_middle(env, how, **directives):
    server, runner = start(env, **directives)
    other = env.client(server=server)
    equal(runner.call("SET", "k", "before"), b"OK")
    runner.send("EVAL", "redis.call('set','k','v') redis.call('set','l','v') " + FOREVER, 0)
    until_busy(other)
    how(server, other)
    eventually(lambda: not server.alive(), 20, "the server lives on")
    return server


@matrix(THREADS)
def test_what_a_script_has_written_is_gone_if_the_server_ends_before_it(env):
    ends = (lambda server, other: other.send("SHUTDOWN", "NOSAVE"),
            lambda server, other: os.kill(server.pid, signal.SIGTERM))
    for end in ends:
        server = end_in_the_middle(env, end, appendonly="yes", appendfsync="everysec")
        server.start()
        with server.client() as client:
            equal(client.call("GET", "k"), b"before")
            equal(client.call("EXISTS", "l"), 0)


@matrix(THREADS)
def test_a_script_goes_on_though_its_client_was_closed_for_its_output(env):
    server, other = start(env, client_output_buffer_limit="normal 1mb 0 0")
    other.call("SET", "big", "x" * (8 << 20))
    eventually(lambda: other.call("INFO", "clients").count(b"connected_clients:1\r\n"))
    # On another worker, where nobody else gives the script its turns.
    with env.client(server=server) as runner:
        runner.send_raw(b"".join(encode("GET", "big") for _ in range(4)) +
                        encode("EVAL", "local n = redis.call('time') local until_s = n[1] + 2 "
                               "repeat n = redis.call('time') until n[1] + 0 > until_s "
                               "redis.call('set', 'done', 1)", 0))
        eventually(lambda: other.call("GET", "done") == b"1", 60, "the script was left alone")
