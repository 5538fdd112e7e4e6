# SPDX-License-Identifier: BSD-3-Clause
"""Client-side caching: CLIENT TRACKING and its relatives, and who is told what, when."""

from harness.checks import check, equal, eventually, members, pass_time, start_blocked
from harness.matrix import FULL, cairn_only, matrix
from harness.resp import Error, Push

MATRIX = ((3, 1), (3, 4))


def told(client):
    """The keys of the next invalidation; None: everything."""
    push = client.read_push()
    equal(push[0], b"invalidate")
    return push[1]


def quiet(client, other):
    """True if nothing is on its way to the client: whatever was would have come by now."""
    for _ in range(3):
        client.call("PING")
        other.call("PING")
    return not client.pushes and client.nothing_to_read(0.05)


def test_reads_are_remembered_once(env):
    c, w = env.c, env.client()
    equal(c.call("CLIENT", "TRACKING", "ON"), b"OK")
    c.call("GET", "missing")
    c.call("MGET", "a", "b")
    w.call("SET", "missing", "1")
    equal(told(c), [b"missing"])
    w.call("SET", "missing", "2")  # not read again, so not told again
    w.call("MSET", "a", "1", "b", "2", "other", "3")
    members([told(c), told(c)], [[b"a"], [b"b"]])
    check(quiet(c, w))
    c.call("GET", "a")
    c.call("SET", "a", "mine")
    equal(told(c), [b"a"])
    # Writing alone is not reading.
    c.call("SET", "a", "mine")
    check(quiet(c, w))


def test_every_kind_of_change(env):
    c, w = env.c, env.client()
    c.call("CLIENT", "TRACKING", "ON")
    w.pipeline([("RPUSH", "l", "a", "b"), ("HSET", "h", "f", "1"), ("SADD", "s", "a"),
                ("ZADD", "z", "1", "a"), ("SET", "str", "1"), ("XADD", "x", "1-1", "f", "v")])
    for read, write, key in (
            (("LRANGE", "l", 0, -1), ("LPOP", "l"), b"l"),
            (("HGETALL", "h"), ("HINCRBY", "h", "f", 1), b"h"),
            (("SMEMBERS", "s"), ("SREM", "s", "a"), b"s"),
            (("ZRANGE", "z", 0, -1), ("ZINCRBY", "z", 1, "a"), b"z"),
            (("GET", "str"), ("EXPIRE", "str", 100), b"str"),
            (("GET", "str"), ("RENAME", "str", "str2"), b"str"),
            (("GET", "str2"), ("SELECT", "0"), None),
            (("XRANGE", "x", "-", "+"), ("XADD", "x", "2-1", "f", "v"), b"x"),
            (("TYPE", "x"), ("DEL", "x"), b"x")):
        c.call(*read)
        w.call(*write)
        if key is not None:
            equal(told(c), [key], "%r" % (write,))


def test_what_was_read_before_tracking_ended_is_forgotten_with_its_change(env):
    c, w = env.c, env.client()
    c.call("CLIENT", "TRACKING", "ON")
    c.pipeline([("GET", "a"), ("GET", "b"), ("CLIENT", "TRACKING", "OFF")])
    w.pipeline([("SET", "a", "1"), ("FLUSHALL",)])
    c.call("CLIENT", "TRACKING", "ON")
    w.pipeline([("SET", "a", "1"), ("SET", "b", "1")])
    check(quiet(c, w))


def test_a_key_that_expires_under_noloop(env):
    """Who meets it is who changes it; but not where changes are broadcast."""
    w = env.client()
    w.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    try:
        for options, hears in (((), False), (("BCAST",), True)):
            c = env.client()
            # Read while it lives, met again when its time is over.
            c.call("CLIENT", "TRACKING", "ON", "NOLOOP", *options)
            told_of = 0
            while w.call("SET", "k", "v", "PX", 200) != b"OK" or c.call("GET", "k") != b"v":
                told_of += 1  # on a machine that slow: the next SET changes what was read
            for _ in range(0 if hears else told_of):
                equal(told(c), [b"k"])
            if hears:
                # What SET is broadcast by comes from another thread, perhaps behind GET's reply.
                w.call("SET", "fence", "1")
                while not c.pushes or b"fence" not in c.pushes[-1][1]:  # perhaps with k
                    c.pushes.append(c.read_any()[0])
            pass_time(w, 250)
            check(hears or quiet(c, w))
            c.pushes.clear()
            equal(c.call("GET", "k"), None)
            if hears:
                while not c.pushes or c.pushes[-1] != [b"invalidate", [b"k"]]:
                    c.pushes.append(c.read_any()[0])
                c.pushes.clear()
            check(quiet(c, w), "%r" % (options,))
    finally:
        w.call("DEBUG", "SET-ACTIVE-EXPIRE", "1")


def test_a_flush_in_a_transaction_forgets_what_was_read_before_it(env):
    c, w = env.c, env.client()
    c.call("CLIENT", "TRACKING", "ON")
    c.pipeline([("GET", "a"), ("GET", "b")])
    w.pipeline([("MULTI",), ("SET", "b", "1"), ("FLUSHALL",), ("SET", "a", "1"), ("EXEC",)])
    equal(told(c), [b"b"])
    equal(told(c), None)
    check(quiet(c, w))


@cairn_only("7.0 takes a key that two clients change in one turn for the first one's")
def test_noloop_where_a_push_serves_a_waiter(env):
    waiter, c, w = env.client(), env.c, env.client()
    for client in (waiter, c, w):
        client.call("CLIENT", "TRACKING", "ON", "BCAST", "NOLOOP", "PREFIX", "l")
    start_blocked(env, "BLMOVE", "l1", "l2", "LEFT", "RIGHT", 0, client=waiter)
    w.call("RPUSH", "l1", "e")
    equal(waiter.read(), b"e")
    equal(told(waiter), [b"l1"])  # what it has moved itself it knows
    equal(sorted(told(w)), [b"l1", b"l2"])
    heard = told(c)
    if heard == [b"l1"]:  # its worker had a turn between the push and what that served
        heard = told(c)
    equal(sorted(heard), [b"l1", b"l2"])
    check(quiet(waiter, w) and quiet(w, c))


def test_what_a_client_reads_after_waiting_is_remembered(env):
    reader, w = env.client(), env.client()
    reader.call("CLIENT", "TRACKING", "ON")
    start_blocked(env, "XREAD", "BLOCK", 0, "STREAMS", "x", "y", "$", "$", client=reader)
    w.call("XADD", "x", "1-1", "f", "v")
    equal(reader.read(), {b"x": [[b"1-1", [b"f", b"v"]]]})
    equal(told(reader), [b"x"])  # noted by the first look, which found nothing
    w.call("XADD", "x", "2-1", "f", "v")
    equal(told(reader), [b"x"])
    w.call("XADD", "x", "3-1", "f", "v")  # not read again, so not told again
    w.call("XADD", "y", "1-1", "f", "v")
    equal(told(reader), [b"y"])
    check(quiet(reader, w))


def test_expiry_and_eviction_of_entries(env):
    c, w = env.c, env.client()
    equal(c.call("CLIENT", "TRACKING", "ON"), b"OK")
    # Read while it lives, however long its 30 ms take to come to the reader.
    equal(c.pipeline([("MULTI",), ("SET", "k", "v", "PX", 30), ("GET", "k"), ("EXEC",)])[-1],
          [b"OK", b"v"])
    equal(told(c), [b"k"])
    env.config(tracking_table_max_keys=20)
    c.pipeline([("GET", "key:%d" % i) for i in range(100)])
    keys = {told(c)[0] for _ in range(80)}
    equal(len(keys), 80)
    eventually(lambda: b"tracking_total_keys:20\r\n" in w.call("INFO", "stats"))


def test_flush_tells_everybody(env):
    c, w = env.c, env.client()
    c.call("CLIENT", "TRACKING", "ON")
    c.call("GET", "k")
    for command in (("FLUSHDB",), ("FLUSHALL",)):
        equal(w.call(*command), b"OK")
        equal(told(c), None)
    w.call("SET", "k", "v")
    check(quiet(c, w))


def test_own_invalidation_follows_the_whole_exec(env):
    c = env.c
    c.call("CLIENT", "TRACKING", "ON")
    for command in (("MULTI",), ("GET", "q"), ("SET", "q", "1"), ("GET", "q")):
        c.call(*command)
    c.send("EXEC")
    equal([c.read_any()[0], c.read_any()[0]],
          [[None, b"OK", b"1"], [b"invalidate", [b"q"]]])
    # The second GET was remembered: it came after the change.
    c.call("SET", "q", "2")
    equal(told(c), [b"q"])


def test_noloop(env):
    c, w = env.c, env.client()
    c.call("CLIENT", "TRACKING", "ON", "NOLOOP")
    c.call("GET", "k")
    c.call("SET", "k", "1")
    check(quiet(c, w))
    c.call("GET", "k")
    w.call("SET", "k", "2")
    equal(told(c), [b"k"])
    # Read behind its own write, in one transaction: still remembered.
    for command in (("MULTI",), ("SET", "k", "3"), ("GET", "k"), ("EXEC",)):
        c.call(*command)
    w.call("SET", "k", "4")
    equal(told(c), [b"k"])


def test_optin_and_optout(env):
    c, w = env.c, env.client()
    c.call("CLIENT", "TRACKING", "ON", "OPTIN")
    c.call("GET", "a")
    equal(c.call("CLIENT", "CACHING", "YES"), b"OK")
    c.call("GET", "b")
    c.call("GET", "c")
    c.call("CLIENT", "CACHING", "YES")
    for command in (("MULTI",), ("GET", "d"), ("GET", "e"), ("EXEC",)):
        c.call(*command)
    for key in "abcde":
        w.call("SET", key, "1")
    equal([told(c) for _ in range(3)], [[b"b"], [b"d"], [b"e"]])
    check(quiet(c, w))
    c.call("CLIENT", "TRACKING", "OFF")
    c.call("CLIENT", "TRACKING", "ON", "OPTOUT")
    equal(c.call("CLIENT", "CACHING", "NO"), b"OK")
    c.call("GET", "a")
    c.call("GET", "b")
    for key in "ab":
        w.call("SET", key, "1")
    equal(told(c), [b"b"])
    check(quiet(c, w))


def test_bcast(env):
    c, w = env.c, env.client()
    c.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "a", "PREFIX", "b")
    other = env.client()
    other.call("CLIENT", "TRACKING", "ON", "BCAST", "NOLOOP")
    w.call("MSET", "a2", "1", "a1", "1", "b1", "1", "c1", "1")
    equal([told(c), told(c)], [[b"a1", b"a2"], [b"b1"]])
    equal(told(other), [b"a1", b"a2", b"b1", b"c1"])
    other.call("SET", "a3", "1")
    equal(told(c), [b"a3"])
    check(quiet(other, w))
    info = w.call("INFO", "stats")
    check(b"tracking_total_prefixes:3\r\n" in info, info)
    w.call("FLUSHALL")
    equal([told(c), told(other)], [None, None])


def test_a_broadcast_comes_before_what_is_asked_after_the_write(env):
    reader, writer = env.c, env.client()
    reader.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "k")
    # All workers are kept busy for a while, so that the message and the question wait together.
    busy = [env.client() for _ in range(4)]
    for i, client in enumerate(busy):
        client.call("RPUSH", "busy%d" % i, *range(1000 if env.slow else 20000))
    for round_ in range(60):
        for i, client in enumerate(busy):
            client.send("SORT", "busy%d" % i, "DESC", "LIMIT", 0, 0)
        equal(writer.call("SET", "k", round_), b"OK")
        reader.send("PING")
        equal(reader.read_any()[0], [b"invalidate", [b"k"]], "round %d" % round_)
        equal(reader.read(), b"PONG")
        for client in busy:
            equal(client.read(), [])


@matrix(FULL)
def test_redirect_to_a_resp2_subscriber(env):
    sink = env.client(protocol=2)
    ident = sink.call("CLIENT", "ID")
    c, w = env.c, env.client()
    equal(c.call("CLIENT", "TRACKING", "ON", "REDIRECT", ident), b"OK")
    equal(c.call("CLIENT", "GETREDIR"), ident)
    # Not subscribed to anything: the messages are lost.
    c.call("GET", "k")
    w.call("SET", "k", "0")
    for _ in range(3):
        sink.call("PING")
    sink.send("SUBSCRIBE", "__redis__:invalidate")
    equal(sink.read(), [b"subscribe", b"__redis__:invalidate", 1])
    c.call("GET", "k")
    w.call("SET", "k", "1")
    equal(sink.read(), [b"message", b"__redis__:invalidate", [b"k"]])
    w.call("FLUSHALL")
    equal(sink.read(), [b"message", b"__redis__:invalidate", None])
    c.call("GET", "k")
    sink.close()
    eventually(lambda: len(w.call("CLIENT", "LIST").splitlines()) == 2)
    w.call("SET", "k", "2")
    if env.protocol == 3:
        equal(c.read_push(), [b"tracking-redir-broken", ident])
    eventually(lambda: b"flags=tR " in c.call("CLIENT", "INFO"))


def info_of(client):
    got = client.call("CLIENT", "TRACKINGINFO")
    return got if isinstance(got, dict) else dict(zip(got[::2], got[1::2]))


@matrix(FULL)
def test_what_is_told_about_tracking(env):
    c = env.c
    equal(info_of(c), {b"flags": [b"off"], b"redirect": -1, b"prefixes": []})
    equal(c.call("CLIENT", "GETREDIR"), -1)
    c.call("CLIENT", "TRACKING", "ON", "OPTIN", "NOLOOP")
    c.call("CLIENT", "CACHING", "YES")
    equal(info_of(c), {b"flags": [b"on", b"optin", b"caching-yes", b"noloop"], b"redirect": 0,
                       b"prefixes": []})
    check(b" flags=t " in c.call("CLIENT", "INFO") and b" redir=0 " in c.call("CLIENT", "INFO"))
    c.call("PING")
    equal(info_of(c)[b"flags"], [b"on", b"optin", b"noloop"])
    c.call("CLIENT", "TRACKING", "OFF")
    c.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "b", "PREFIX", "a")
    c.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "c")
    equal(info_of(c), {b"flags": [b"on", b"bcast"], b"redirect": 0,
                       b"prefixes": [b"a", b"b", b"c"]})
    check(b"tracking_clients:1\r\n" in c.call("INFO", "clients"))
    c.call("RESET")
    c.protocol = 2
    equal(info_of(c)[b"flags"], [b"off"])


@matrix(FULL)
def test_errors(env):
    def refused(*words):
        return env.c.call("CLIENT", *words)
    mode = (b"ERR You can't switch %s before disabling tracking for this client, and then "
            b"re-enabling it with a different mode.")
    overlap = b"ERR Prefix '%s' overlaps with %s prefix '%s'. Prefixes for a single client must " \
              b"not overlap."
    equal(refused("TRACKING", "ON", "PREFIX", "a"),
          Error(b"ERR PREFIX option requires BCAST mode to be enabled"))
    equal(refused("TRACKING", "ON", "BCAST", "OPTIN"),
          Error(b"ERR OPTIN and OPTOUT are not compatible with BCAST"))
    equal(refused("TRACKING", "ON", "OPTIN", "OPTOUT"),
          Error(b"ERR You can't specify both OPTIN mode and OPTOUT mode"))
    equal(refused("TRACKING", "ON", "REDIRECT", 123456),
          Error(b"ERR The client ID you want redirect to does not exist"))
    equal(refused("TRACKING", "ON", "REDIRECT", "x"),
          Error(b"ERR value is not an integer or out of range"))
    for words in (("ON", "REDIRECT"), ("MAYBE",), ("ON", "WHAT")):
        equal(refused("TRACKING", *words), Error(b"ERR syntax error"))
    equal(refused("CACHING", "YES"),
          Error(b"ERR CLIENT CACHING can be called only when the client is in tracking mode with "
                b"OPTIN or OPTOUT mode enabled"))
    equal(refused("TRACKING", "ON", "BCAST", "PREFIX", "a", "PREFIX", "ab"),
          Error(overlap % (b"a", b"another provided", b"ab")))
    refused("TRACKING", "ON", "BCAST", "PREFIX", "a")
    equal(refused("TRACKING", "ON", "BCAST", "PREFIX", "aa"),
          Error(overlap % (b"aa", b"an existing", b"a")))
    equal(refused("TRACKING", "ON"), Error(mode % b"BCAST mode on/off"))
    equal(refused("TRACKING", "OFF"), b"OK")
    refused("TRACKING", "ON", "OPTIN")
    equal(refused("TRACKING", "ON", "OPTOUT"), Error(mode % b"OPTIN/OPTOUT mode"))
    equal(refused("CACHING", "NO"),
          Error(b"ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."))
    equal(refused("CACHING", "MAYBE"), Error(b"ERR syntax error"))


@cairn_only("Redis does not tell caches about SWAPDB")
def test_swapdb_invalidates_everything(env):
    c, w = env.c, env.client()
    c.call("CLIENT", "TRACKING", "ON")
    c.call("GET", "k")
    w.call("SWAPDB", 0, 1)
    equal(told(c), None)


def test_a_cache_never_stays_stale(env):
    """A client that caches what it reads and drops what it is told sees every final value."""
    c = env.c
    c.call("CLIENT", "TRACKING", "ON")
    writers = [env.client() for _ in range(3)]
    cache = {}

    def drop(push):
        for key in push[1]:
            cache.pop(key, None)

    for round_ in range(200):
        for writer in writers:
            writer.send("SET", "k%d" % env.rng.randrange(5), round_)
        for _ in range(3):
            key = b"k%d" % env.rng.randrange(5)
            if key in cache:
                continue
            c.send("GET", key)
            while True:
                value, _ = c.read_any()
                if not isinstance(value, Push):
                    break
                drop(value)
            cache[key] = value
        for writer in writers:
            writer.read()

    def fresh():
        c.call("PING")
        while c.pushes:
            drop(c.pushes.pop(0))
        return all(value == writers[0].call("GET", key) for key, value in cache.items())
    eventually(fresh, note="stale: %r" % cache)


def test_a_script_reads_for_its_caller(env):
    c, w = env.c, env.client()
    c.call("CLIENT", "TRACKING", "ON")
    equal(c.call("EVAL", "return redis.call('get', KEYS[1])", 1, "k"), None)
    w.call("SET", "other", "1")
    w.call("SET", "k", "1")
    equal(told(c), [b"k"])
    check(quiet(c, w))
