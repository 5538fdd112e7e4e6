# SPDX-License-Identifier: BSD-3-Clause
"""EVAL, EVALSHA, their read-only forms and SCRIPT: what they do to data and to each other."""

import hashlib
import threading

from harness.checks import check, equal, eventually
from harness.matrix import ONCE, PROTOCOLS, THREADS, cairn_only, matrix
from harness.resp import Error

NOSCRIPT = Error(b"NOSCRIPT No matching script. Please use EVAL.")


def sha(script):
    return hashlib.sha1(script.encode()).hexdigest()


@matrix(PROTOCOLS)
def test_requests_are_answered_as_by_the_oracle(env):
    oracle = env.oracle_client(env.protocol)
    requests = [
        ("EVAL", "return 1"), ("EVAL", "return 1", "x"), ("EVAL", "return 1", -1),
        ("EVAL", "return 1", 1), ("EVAL", "return 1", 5, "a"),
        ("EVAL", "return {KEYS,ARGV,#KEYS,#ARGV}", 2, "k1", "k2", "a1", "a2", "a3"),
        ("EVAL", "return KEYS[3]", 2, "k1", "k2"),
        ("EVALSHA", "abc", 0), ("EVALSHA", "0" * 40, 0), ("EVALSHA", "0" * 40, "x"),
        ("EVALSHA_RO", "abc", 0), ("EVALSHA", "0" * 40),
        ("EVAL_RO", "return redis.call('set','a','b')", 0),
        ("EVAL_RO", "return redis.call('get','a')", 0),
        ("EVAL_RO", "return redis.pcall('set','a','b')", 0),
        ("EVAL_RO", "return redis.call('publish','a','b')", 0),
        ("EVAL_RO", "return redis.call('pfcount','a')", 0),
        ("SCRIPT",), ("SCRIPT", "nosuch"), ("SCRIPT", "LOAD"), ("SCRIPT", "LOAD", "return 1"),
        ("SCRIPT", "LOAD", "x x"), ("SCRIPT", "EXISTS"),
        ("SCRIPT", "EXISTS", sha("return 1"), "abc", sha("return 1").upper()),
        ("EVALSHA", sha("return 1"), 0), ("EVALSHA", sha("return 1").upper(), 0),
        ("SCRIPT", "FLUSH", "foo"), ("SCRIPT", "FLUSH", "sync", "x"), ("SCRIPT", "FLUSH"),
        ("SCRIPT", "FLUSH", "async"), ("SCRIPT", "FLUSH", "SYNC"),
        ("SCRIPT", "EXISTS", sha("return 1")), ("EVALSHA", sha("return 1"), 0),
        ("SCRIPT", "KILL"), ("SCRIPT", "DEBUG", "no"), ("SCRIPT", "DEBUG", "foo"),
        ("EVAL", "#!lua\nreturn 1", 0),
        ("EVAL", "#!lua flags=no-writes\nreturn redis.call('set','a',1)", 0),
        ("EVAL", "#!lua flags=no-writes,allow-stale\nreturn 1", 0),
        ("EVAL", "#!lua flags=foo\nreturn 1", 0), ("EVAL", "#!lua name=foo\nreturn 1", 0),
        ("EVAL", "#!lua foo=foo\nreturn 1", 0), ("EVAL", "#!js\nreturn 1", 0),
        ("EVAL", "#!lua", 0), ("EVAL", "#!lua flags=\nreturn 1", 0),
        ("EVAL", "#!lua flags=no-writes,,allow-oom\nreturn 1", 0),
        ("EVAL", "#!lua  flags=no-writes\nreturn 1", 0),
        ("EVAL", "#!lua \nreturn foo", 0), ("EVAL", "#!\nreturn foo", 0),
        ("EVAL_RO", "#!lua\nreturn 1", 0), ("EVAL_RO", "#!lua flags=no-writes\nreturn 1", 0),
        ("EVAL", "#!lua flags=no-cluster\nreturn 1", 0),
        ("EVAL", "\n\nerror('third line')", 0),
    ]
    for request in requests:
        equal(env.c.call(*request), oracle.call(*request), repr(request))


@matrix(THREADS)
def test_a_script_loaded_by_one_client_is_known_to_all(env):
    clients = [env.client() for _ in range(8)]
    name = clients[0].call("SCRIPT", "LOAD", "return {KEYS[1],ARGV[1]}")
    for client in clients:
        equal(client.call("EVALSHA", name, 1, "k", "v"), [b"k", b"v"])
        equal(client.call("SCRIPT", "EXISTS", name), [1])
    equal(clients[3].call("SCRIPT", "FLUSH"), b"OK")
    for client in clients:
        equal(client.call("EVALSHA", name, 1, "k", "v"), NOSCRIPT)
        equal(client.call("EVAL", "return 5", 0), 5)


@cairn_only("of Valkey 8; the debugger is refused")
@matrix(ONCE)
def test_show_and_debug(env):
    name = env.c.call("SCRIPT", "LOAD", "return 42")
    equal(env.c.call("SCRIPT", "SHOW", name), b"return 42")
    equal(env.c.call("SCRIPT", "SHOW", "abc"), NOSCRIPT)
    equal(env.c.call("SCRIPT", "DEBUG", "YES"), Error(b"ERR Cairn has no debugger for scripts"))


@cairn_only("since 7.4")
@matrix(ONCE)
def test_scripts_of_eval_are_evicted_and_loaded_ones_are_not(env):
    kept = env.c.call("SCRIPT", "LOAD", "return 'kept'")
    env.c.call("EVAL", "return 'first'", 0)
    for i in range(600):
        equal(env.c.call("EVAL", "return %d" % i, 0), i)
    equal(env.c.call("SCRIPT", "EXISTS", kept, sha("return 'first'"), sha("return 599")),
          [1, 0, 1])
    equal(env.c.call("EVALSHA", sha("return 'first'"), 0), NOSCRIPT)
    equal(env.c.call("EVAL", "return 'first'", 0), b"first")
    equal(env.c.call("EVALSHA", sha("return 'first'"), 0), b"first")


@matrix(THREADS)
def test_undeclared_keys(env):
    script = """for i=1,50 do redis.call('incrby','any:'..i,i) end
                return redis.call('get','any:'..ARGV[1])"""
    equal(env.c.call("EVAL", script, 0, 7), b"7")
    equal(env.c.call("EVAL", script, 1, "any:1", 8), b"16")


@matrix(ONCE)
def test_select_and_setresp_end_with_the_script(env):
    equal(env.c.call("EVAL", "redis.call('select',3) redis.call('set','k','in 3') redis.setresp(3)",
                     0), None)
    equal(env.c.call("GET", "k"), None)
    equal(env.c.call("EVAL", "return redis.call('get','k')", 0), None)
    env.c.call("HSET", "h", "f", "v")
    equal(env.c.call("EVAL", "return redis.call('hgetall','h')", 0), [b"f", b"v"])
    env.c.call("SELECT", 3)
    equal(env.c.call("EVAL", "return redis.call('get','k')", 0), b"in 3")


@matrix(PROTOCOLS)
def test_inside_a_transaction(env):
    name = env.c.call("SCRIPT", "LOAD", "return redis.call('incr',KEYS[1])")
    env.c.call("MULTI")
    env.c.call("SET", "n", 5)
    env.c.call("EVALSHA", name, 1, "n")
    env.c.call("EVAL", "return redis.call('incr','undeclared')", 0)
    env.c.call("EVAL", "return redis.call('lpush','n','x')", 0)
    env.c.call("GET", "n")
    reply = env.c.call("EXEC")
    equal(reply[:3] + reply[4:], [b"OK", 6, 1, b"6"])
    check(reply[3].text.startswith(b"WRONGTYPE "), repr(reply[3]))


@matrix(ONCE)
def test_watch_sees_what_a_script_changed(env):
    other = env.client()
    env.c.call("WATCH", "w")
    other.call("EVAL", "redis.call('set','w','changed')", 0)
    env.c.call("MULTI")
    env.c.call("PING")
    equal(env.c.call("EXEC"), None)


@matrix(ONCE)
def test_what_was_written_before_an_error_stays(env):
    reply = env.c.call("EVAL", "redis.call('set','a','1') redis.call('lpush','a','x')", 0)
    check(reply.text.startswith(b"WRONGTYPE"), repr(reply))
    equal(env.c.call("GET", "a"), b"1")


@matrix(ONCE)
def test_time_stands_still(env):
    script = """redis.call('set','k','v','px',1)
                local n = 0 for i=1,3000000 do n = n + i end
                return {redis.call('get','k'), redis.call('exists','k')}"""
    equal(env.c.call("EVAL", script, 0), [b"v", 1])


@cairn_only("since 7.2 scripts may call them")
@matrix(ONCE)
def test_blocking_commands_do_not_block(env):
    for call in ("'blpop','l',0", "'brpop','l',0", "'blmove','l','m','left','right',0",
                 "'bzpopmin','z',0", "'blmpop',0,1,'l','left'"):
        equal(env.c.call("EVAL", "return redis.call(%s)" % call, 0), None, call)
    env.c.call("RPUSH", "l", "a")
    equal(env.c.call("EVAL", "return redis.call('blpop','l',0)", 0), [b"l", b"a"])
    equal(env.c.call("EVAL", "return redis.call('xread','block',0,'streams','s','0')", 0), None)
    env.c.call("XADD", "s", "1-1", "f", "v")
    equal(env.c.call("EVAL", "return redis.call('xread','block',0,'streams','s','0')", 0),
          [[b"s", [[b"1-1", [b"f", b"v"]]]]])


@matrix(ONCE)
def test_out_of_memory(env):
    env.config(maxmemory="1")
    wanted = b"OOM command not allowed when used memory > 'maxmemory'."

    def refused():
        reply = env.c.call("SET", "probe", "y")
        return isinstance(reply, Error) and reply.code == b"OOM"

    eventually(refused)
    reply = env.c.call("EVAL", "return redis.call('set','x','y')", 0)
    check(reply.text.startswith(wanted), repr(reply))
    equal(env.c.call("EVAL", "return redis.call('get','x')", 0), None)
    equal(env.c.call("EVAL", "return redis.call('del','x')", 0), 0)
    equal(env.c.call("EVAL", "#!lua flags=allow-oom\nreturn redis.call('set','x','y')", 0), b"OK")
    equal(env.c.call("EVAL", "#!lua\nreturn 1", 0),
          Error(b"OOM allow-oom flag is not set on the script, can not run it when used memory > "
                b"'maxmemory'"))
    equal(env.c.call("EVAL", "#!lua flags=no-writes\nreturn 1", 0), 1)
    # Once it has written it goes through with it.
    equal(env.c.call("EVAL", "redis.call('del','x') return redis.call('set','x','z')", 0), b"OK")


@matrix(THREADS)
def test_scripts_are_atomic_among_plain_writers(env):
    script = """local a = tonumber(redis.call('get','a') or 0)
                local b = tonumber(redis.call('get','b') or 0)
                redis.call('set','a',a+1) redis.call('set','b',b+1)
                return a - b"""
    differences, rounds = [], 300

    def run(client):
        for _ in range(rounds):
            differences.append(client.call("EVAL", script, 0))
            client.call("INCR", "other")

    threads = [threading.Thread(target=run, args=(env.client(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(set(differences), {0})
    equal(env.c.call("MGET", "a", "b", "other"), [b"1200"] * 3)


@cairn_only("reads Cairn's journal by way of a restart")
@matrix(THREADS)
def test_effects_survive_a_restart(env):
    server = env.start(appendonly="yes", appendfsync="always")
    client = env.client(server=server)
    client.call("EVAL", """redis.call('set','k',math.random()) redis.call('select',2)
                           redis.call('rpush','l',1,2,3) redis.call('spop','nothing')
                           redis.call('set','t','v','ex',1000)
                           redis.call('sadd','s',1,2,3,4,5) redis.call('spop','s')""", 0)
    client.call("EVAL", "redis.set_repl(redis.REPL_NONE) redis.call('set','volatile','v') "
                        "redis.set_repl(redis.REPL_ALL) redis.call('set','kept','v')", 0)
    client.call("EVAL", "return redis.call('incr','n')", 0)
    client.call("DEL", "volatile")
    before = client.call("DEBUG", "DIGEST")
    server.restart()
    client = env.client(server=server)
    equal(client.call("DEBUG", "DIGEST"), before)
    equal(client.call("GET", "n"), b"1")


@matrix(ONCE)
def test_statistics_count_the_commands_of_scripts(env):
    env.c.call("CONFIG", "RESETSTAT")
    env.c.call("EVAL", "redis.call('set','k','v') redis.pcall('lpush','k','v') return 1", 0)
    info = env.c.call("INFO", "everything").decode()
    check("cmdstat_set:calls=1," in info, info)
    check("cmdstat_eval:calls=1," in info, info)
    check("errorstat_WRONGTYPE:count=1" in info, info)


@matrix(THREADS)
def test_a_signal_ends_a_script_that_never_ends(env):
    server = env.start()
    client = env.client(server=server)
    client.call("SET", "k", "v")
    client.send("EVAL", "while true do pcall(function() while true do end end) end", 0)
    equal(server.stop(), 0)


@matrix(THREADS)
def test_a_script_serves_clients_that_wait(env):
    waiter = env.client()
    waiter.send("BLPOP", "queue", 0)
    eventually(lambda: b"blocked_clients:1" in env.c.call("INFO", "clients"))
    # Served when the script is over: it sees what it pushed itself.
    equal(env.c.call("EVAL", "redis.call('rpush','queue','a','b') return redis.call('llen','queue')",
                     0), 2)
    equal(waiter.read(), [b"queue", b"a"])
    equal(env.c.call("LRANGE", "queue", 0, -1), [b"b"])


@cairn_only("evicted_scripts is of 7.4")
@matrix(ONCE)
def test_info_counts_scripts_and_functions(env):
    server = env.start()
    client = env.client(server=server)
    for i in range(510):
        client.call("EVAL", "return %d" % i, 0)
    client.call("FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('f', function() end)")
    info = client.call("INFO", "everything").decode()
    for line in ("number_of_cached_scripts:500", "evicted_scripts:10", "number_of_functions:1",
                 "number_of_libraries:1"):
        check(line + "\r\n" in info, line)
