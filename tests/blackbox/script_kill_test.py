# SPDX-License-Identifier: BSD-3-Clause
"""SCRIPT KILL and FUNCTION KILL of scripts that have written: nothing of them is left, or they
cannot be killed. Redis 7.0 never kills a script that has written."""

import threading
import time

from harness.checks import check, equal, eventually
from harness.matrix import THREADS, cairn_only, limit, matrix
from harness.resp import Error

KILLED = b"ERR Script killed by user with SCRIPT KILL..."
UNKILLABLE = Error(b"UNKILLABLE Sorry the script already executed write commands against the "
                   b"dataset. You can either wait the script termination or kill the server in a "
                   b"hard way using the SHUTDOWN NOSAVE command.")
FOREVER = " while true do end"
ON_PURPOSE = "redis-server never kills a script that has written"

# One of each type, some with a time to live.
PREPARE = (("SET", "text", "before"), ("SET", "number", "17"), ("SET", "lasting", "v", "EX", "9000"),
           ("SET", "gone", "v"), ("HSET", "hash", "f", "1", "g", "2"),
           ("HSET", "fields", "f", "1", "g", "2"), ("HEXPIRE", "fields", "9000", "FIELDS", "1", "g"),
           ("RPUSH", "list", "a", "b"),
           ("SADD", "set", "1", "2", "x"), ("ZADD", "zset", "1", "a", "2", "b"),
           ("XADD", "stream", "1-1", "f", "v"), ("XGROUP", "CREATE", "stream", "g", "0"),
           ("SELECT", "3"), ("SET", "other", "elsewhere"), ("SELECT", "0"))
CHANGES = """
redis.call('append', 'text', '-after') redis.call('incr', 'number') redis.call('persist', 'lasting')
redis.call('del', 'gone') redis.call('hpexpire', 'fields', 60000, 'FIELDS', 1, 'f')
redis.call('hset', 'hash', 'f', '2', 'h', '3') redis.call('expire', 'hash', 5)
redis.call('del', 'list') redis.call('lpush', 'list', 'z') redis.call('sadd', 'set', 'y')
redis.call('zadd', 'zset', 5, 'a') redis.call('xadd', 'stream', '*', 'f', 'w')
redis.call('xreadgroup', 'GROUP', 'g', 'c', 'STREAMS', 'stream', '>')
redis.call('set', 'fresh', '1') redis.call('rename', 'fresh', 'fresher')
redis.call('sunionstore', 'dest', 'set') redis.call('rpush', 'queue', 'job')
redis.call('publish', 'news', 'what never happened')
redis.call('select', '3') redis.call('set', 'other', 'changed') redis.call('select', '0')
"""


def start(env, **directives):
    server = env.start(**{"busy_reply_threshold": "50", **directives})
    return server, env.client(server=server)


def until_busy(client):
    eventually(lambda: getattr(client.call("PING"), "code", b"") == b"BUSY", 10, "nobody says BUSY")


def digest(client):
    return client.call("DEBUG", "DIGEST")


def blocked(env, server, *command):
    """A client that waits by a blocking command."""
    client, other = env.client(server=server), env.client(server=server)
    number = client.call("CLIENT", "ID")
    client.send(*command)
    eventually(lambda: b" flags=b" in other.call("CLIENT", "LIST", "ID", number))
    return client


def kill(env, server, runner, *request, how="SCRIPT"):
    """Runs a script that does not end, and kills it; what its client hears."""
    other = env.client(server=server)
    runner.send(*request)
    until_busy(other)
    equal(other.call(how, "KILL"), b"OK")
    reply = runner.read()
    check(isinstance(reply, Error) and KILLED in reply.text, repr(reply))


@matrix(THREADS)
@cairn_only(ON_PURPOSE)
def test_nothing_is_left_of_it(env):
    server, runner = start(env, appendonly="yes", enable_debug_command="yes",
                           notify_keyspace_events="KEA")
    runner.pipeline(PREPARE)
    before, ttl = digest(runner), runner.call("EXPIRETIME", "lasting")
    changes = as_dict_of_info(runner)["rdb_changes_since_last_save"]
    events, news = env.client(server=server), env.client(server=server)
    equal(events.call("PSUBSCRIBE", "__key*__:*")[2], 1)
    equal(news.call("SUBSCRIBE", "news")[2], 1)
    watcher = env.client(server=server)
    for key in ("text", "list", "fresh", "dest"):
        equal(watcher.call("WATCH", key), b"OK")
    waiting = blocked(env, server, "BLPOP", "queue", "0")
    for script in (CHANGES + FOREVER,
                   "for i = 1, 200 do " + CHANGES + " end" + FOREVER,
                   "while true do pcall(function() " + CHANGES + " end) end"):
        kill(env, server, runner, "EVAL", script, 0)
        equal(digest(runner), before)
        equal(runner.call("EXPIRETIME", "lasting"), ttl)
        equal(runner.call("EXISTS", "fresh", "fresher", "dest", "queue"), 0)
    equal(as_dict_of_info(runner)["rdb_changes_since_last_save"], changes)
    # Those who watch or listen learn of the next change only.
    equal(watcher.pipeline([("MULTI",), ("GET", "text"), ("EXEC",)]),
          [b"OK", b"QUEUED", [b"before"]])
    runner.call("PUBLISH", "news", "real")
    equal(news.read(), [b"message", b"news", b"real"])
    runner.call("SET", "marker", "1")
    equal(events.read()[-1], b"set")
    runner.call("RPUSH", "queue", "real")
    equal(waiting.read(), [b"queue", b"real"])
    before = digest(runner)
    server.stop()
    server.start()
    with server.client() as client:
        equal(digest(client), before)


def as_dict_of_info(client):
    lines = client.call("INFO", "persistence").decode().split("\r\n")
    return dict(line.split(":", 1) for line in lines if ":" in line)


@matrix(THREADS)
@cairn_only(ON_PURPOSE)
def test_one_with_declared_keys(env):
    server, runner = start(env)
    runner.call("SET", "k", "before")
    # At first it has only the lock of its key; then it runs again, under All.
    script = "redis.call('append', KEYS[1], 'x')" + FOREVER
    for _ in range(2):
        kill(env, server, runner, "EVAL", script, 1, "k")
        equal(runner.call("GET", "k"), b"before")


@matrix(THREADS)
@cairn_only(ON_PURPOSE)
def test_a_watch_that_other_changes_have_ended_stays_ended(env):
    server, runner = start(env)
    watcher = env.client(server=server)
    watcher.pipeline([("WATCH", "a", "b"), ("WATCH", "c")])
    runner.call("SET", "a", "changed")
    kill(env, server, runner, "EVAL", "redis.call('set', 'b', 1) redis.call('set', 'c', 1)" + FOREVER,
         0)
    equal(watcher.pipeline([("MULTI",), ("PING",), ("EXEC",)]), [b"OK", b"QUEUED", None])
    # And one that lives through a script that ends by itself is ended by it.
    watcher.call("WATCH", "b")
    runner.call("EVAL", "redis.call('set', 'b', 1)", 0)
    equal(watcher.pipeline([("MULTI",), ("PING",), ("EXEC",)]), [b"OK", b"QUEUED", None])
    # What it only tried to change is no change.
    runner.call("SADD", "s", "m")
    watcher.call("WATCH", "s")
    runner.call("EVAL", "redis.call('sadd', 's', 'm')", 0)
    equal(watcher.pipeline([("MULTI",), ("PING",), ("EXEC",)]), [b"OK", b"QUEUED", [b"PONG"]])


@matrix(((3, 1), (3, 4)))
@cairn_only(ON_PURPOSE)
def test_caches_are_told_of_nothing_and_of_the_next_change(env):
    server, runner = start(env)
    runner.call("SET", "k", "v")
    cache, broad = env.client(server=server), env.client(server=server)
    cache.call("CLIENT", "TRACKING", "ON")
    broad.call("CLIENT", "TRACKING", "ON", "BCAST")
    equal(cache.call("GET", "k"), b"v")
    kill(env, server, runner, "EVAL", "redis.call('set', 'k', 'w') redis.call('set', 'k', 'x')" +
         FOREVER, 0)
    for client in (cache, broad):
        for _ in range(3):
            client.call("PING")
        check(not client.pushes and client.nothing_to_read(0.05))
    runner.call("SET", "k", "w")
    for client in (cache, broad):
        equal(client.read_push(), [b"invalidate", [b"k"]])


@matrix(THREADS)
@cairn_only(ON_PURPOSE)
def test_functions(env):
    server, runner = start(env)
    runner.call("FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('loop', function(keys) "
                "redis.call('set', keys[1], 'v')" + FOREVER + " end)")
    for keys in (("k",), ("k", "l")):
        kill(env, server, runner, "FCALL", "loop", len(keys), *keys, how="FUNCTION")
        equal(runner.call("EXISTS", "k"), 0)


@matrix(THREADS)
@cairn_only(ON_PURPOSE)
def test_of_a_transaction_the_script_alone_is_taken_back(env):
    server, runner = start(env, appendonly="yes")
    other = env.client(server=server)
    runner.call("RPUSH", "list", "before")
    waiting = blocked(env, server, "BLPOP", "queue", "queue2", "0")
    runner.pipeline([("MULTI",), ("INCR", "n"), ("SELECT", "1"), ("INCR", "m"), ("SELECT", "0"),
                     ("RPUSH", "list", "first"),
                     ("EVAL", "return redis.call('incrby', 'n', 10)", 0),
                     ("EVAL", "redis.call('incrby', 'n', 100) redis.call('rpush', 'list', 'lost') "
                      "redis.call('rpush', 'queue', 'lost') redis.call('select', 2) "
                      "redis.call('set', 'lost', 1)" + FOREVER, 0),
                     ("INCR", "n"), ("RPUSH", "queue2", "job")])
    runner.send("EXEC")
    until_busy(other)
    equal(other.call("SCRIPT", "KILL"), b"OK")
    replies = runner.read()
    check(isinstance(replies[6], Error) and KILLED in replies[6].text, repr(replies))
    equal(replies[:6] + replies[7:], [1, b"OK", 1, b"OK", 2, 11, 12, 1])
    equal(waiting.read(), [b"queue2", b"job"])

    def look(client):
        return client.pipeline([("GET", "n"), ("LRANGE", "list", "0", "-1"),
                                ("EXISTS", "queue", "queue2"), ("SELECT", "1"), ("GET", "m"),
                                ("SELECT", "2"), ("DBSIZE",), ("SELECT", "0")])
    found = look(runner)
    equal(found, [b"12", [b"before", b"first"], 0, b"OK", b"1", b"OK", 0, b"OK"])
    server.stop()
    server.start()
    with server.client() as client:
        equal(look(client), found)


@matrix(THREADS)
@cairn_only("redis-server says so of every script that has written")
def test_what_cannot_be_taken_back_cannot_be_killed(env):
    server, runner = start(env, appendonly="yes")
    other = env.client(server=server)
    runner.call("RPUSH", "large", *range(5000))
    runner.call("SET", "text", "x" * 20000)
    # They end by themselves, so that what they wrote can be looked for.
    wait = """ local function now() local t = redis.call('time') return t[1] * 1000 + t[2] / 1000 end
              local from = now() while redis.call('exists', 'end') == 0 and now() < from + ARGV[1] do end
              return redis.call('incr', 'ended')"""

    def refused(script, ms):
        """Whether it was asked to end while it ran; what it returned."""
        runner.send("EVAL", script + wait, 0, ms)
        eventually(lambda: getattr(other.call("PING"), "code", b"") == b"BUSY" or
                   not runner.nothing_to_read(0.001), 10, "nobody says BUSY")
        said = [other.call("SCRIPT", "KILL"), other.call("FUNCTION", "KILL")]
        returned = runner.read()
        if any(answer.code == b"NOTBUSY" for answer in said):
            return False, returned
        equal(said, [UNKILLABLE, UNKILLABLE])
        return True, returned

    ended = 0
    for n, script in enumerate((
            "redis.call('rpush', 'large', 'x')", "redis.call('append', 'text', 'x')",
            "for i = 1, 1000 do redis.call('set', 'key:' .. i, i) end",
            "redis.call('set', 'k', 1) redis.call('flushdb')",
            "redis.call('set', 'k', 1) redis.call('swapdb', 0, 1) redis.call('swapdb', 0, 1)")):
        for ms in (400, 2000, 10000):  # longer, where the machine is too slow to ask meanwhile
            in_time, returned = refused(script, ms)
            ended = 1 if "flushdb" in script else ended + 1
            equal(returned, ended)
            if in_time:
                break
        check(in_time, "it was over each time")
        equal(runner.call("EXISTS", "large"), 1 if n < 3 else 0)


@limit(120)
@matrix(THREADS)
@cairn_only(ON_PURPOSE)
def test_a_server_that_ends_does_not_wait_for_it(env):
    runs = (("EVAL", "redis.call('set', 'k', 'after')" + FOREVER, 0),
            ("FCALL", "loop", 0), ("EVAL", FOREVER, 0))
    for number, (journal, run) in enumerate((j, r) for j in ("yes", "no") for r in runs):
        server, runner = start(env, appendonly=journal, save="3600 1")
        other = env.client(server=server)
        runner.call("SET", "k", "before")
        runner.call("FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('loop', function() "
                    "redis.call('set', 'k', 'after')" + FOREVER + " end)")
        runner.send(*run)
        until_busy(other)
        server.stop()  # by SIGTERM, with a last snapshot where there is no log
        server.start()
        with server.client() as client:
            equal(client.call("GET", "k"), b"before", "%d: %r" % (number, run))


@matrix(THREADS)
@cairn_only(ON_PURPOSE)
def test_with_writers_beside_it(env):
    """Others move sums about while scripts that would spoil them are killed."""
    accounts, start_sum = 8, 1000
    server, runner = start(env, appendonly="yes", notify_keyspace_events="KEA")
    for n in range(accounts):
        runner.call("SET", "account:%d" % n, start_sum)
    stop, failures, moved = threading.Event(), [], [0] * 4

    def move(worker, client):
        try:
            n = worker
            while not stop.is_set():
                a, b = n % accounts, (n * 3 + 1) % accounts
                n += 1
                if a == b:
                    continue
                requests = [("MULTI",), ("DECRBY", "account:%d" % a, 1),
                            ("INCRBY", "account:%d" % b, 1), ("INCR", "moved:%d" % worker), ("EXEC",)]
                if n % 2:
                    requests = [("EVAL", "redis.call('decrby', KEYS[1], 1) "
                                 "redis.call('incrby', KEYS[2], 1) return redis.call('incr', KEYS[3])",
                                 3, "account:%d" % a, "account:%d" % b, "moved:%d" % worker)]
                last = client.pipeline(requests)[-1]
                if isinstance(last, Error):
                    check(last.code in (b"BUSY", b"EXECABORT"), repr(last))
                else:
                    moved[worker] += 1
        except Exception as failure:  # pylint: disable=broad-except
            failures.append(failure)

    threads = [threading.Thread(target=move, args=(n, env.client(server=server))) for n in range(4)]
    for thread in threads:
        thread.start()
    spoil = ("for i = 0, %d do redis.call('incrby', 'account:' .. i, 5) "
             "redis.call('set', 'spoilt:' .. i, 1) end" % (accounts - 1))
    try:
        for n in range(4 if env.slow else 10):
            kill(env, server, runner, "EVAL", spoil + FOREVER + " -- %d" % n, n % 2 * 2,
                 *["account:0", "account:1"][:n % 2 * 2])
            sums = runner.call("MGET", *["account:%d" % a for a in range(accounts)])
            equal(sum(int(s) for s in sums), accounts * start_sum)
            equal(runner.call("KEYS", "spoilt:*"), [])
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    check(not failures, repr(failures))

    def look(client):
        sums = client.call("MGET", *["account:%d" % a for a in range(accounts)])
        equal(sum(int(s) for s in sums), accounts * start_sum)
        equal([int(v or 0) for v in client.call("MGET", *["moved:%d" % n for n in range(4)])], moved)
        return sums
    sums = look(runner)
    server.stop()
    server.start()
    with server.client() as client:
        equal(look(client), sums)


@matrix(THREADS)
@cairn_only(ON_PURPOSE)
def test_a_kill_at_the_very_end_is_kept_or_refused(env):
    """Whoever was told that the script is killed finds nothing of it; else all of it is there."""
    server, runner = start(env, busy_reply_threshold="20")
    other = env.client(server=server)
    for number in range(30):
        runner.send("EVAL", "redis.call('set', KEYS[1], 1) local t = redis.call('time') "
                    "local stop = t[1] * 1000000 + t[2] + 60000 "
                    "repeat t = redis.call('time') until t[1] * 1000000 + t[2] > stop return 'OK'",
                    1, "order:%d" % number)
        time.sleep(0.045 + 0.001 * number)
        killed = other.call("SCRIPT", "KILL") == b"OK"
        reply = runner.read()
        equal(reply != b"OK", killed, repr(reply))
        equal(other.call("EXISTS", "order:%d" % number), 0 if killed else 1)


@matrix(THREADS)
@cairn_only(ON_PURPOSE)
def test_sigterm_beside_a_snapshot_that_waits_for_the_script(env):
    for save in ("", "3600 1000000"):
        server, runner = start(env, save=save, enable_debug_command="yes")
        other = env.client(server=server)
        equal(runner.call("DEBUG", "POPULATE", 200000), b"OK")
        for request in (("BGSAVE",), ("EVAL", "redis.call('set', 'k', 1)" + FOREVER, 0)):
            runner.send(*request)
        until_busy(other)
        equal(server.stop(seconds=60), 0)
