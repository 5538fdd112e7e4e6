# SPDX-License-Identifier: BSD-3-Clause
"""What streams got after Redis 7.0, from its documentation: XDELEX, XACKDEL, KEEPREF, DELREF and
ACKED (8.2), XREADGROUP CLAIM (8.4), XNACK (8.8)."""

from harness.checks import as_dict, check, equal, start_blocked
from harness.matrix import PROTOCOLS, cairn_only
from harness.resp import Error

MATRIX = PROTOCOLS
NEWER = cairn_only("redis-server 7.0 does not know it")
COUNT_MAX = 2**63 - 1


def fill(env, entries, *groups, delivered=0):
    """Entries 1-0, 2-0 ..., of which `delivered` are pending for alice in each group."""
    for i in range(1, entries + 1):
        env.c.call("XADD", "s", "%d-0" % i, "f", "v%d" % i)
    for group in groups:
        env.c.call("XGROUP", "CREATE", "s", group, "0")
        if delivered:
            env.c.call("XREADGROUP", "GROUP", group, "alice", "COUNT", delivered, "STREAMS", "s", ">")


def ids(env):
    return [entry[0] for entry in env.c.call("XRANGE", "s", "-", "+")]


def pending(env, group="g"):
    """Id, consumer and number of deliveries of what is pending."""
    return [(row[0], row[1], row[3]) for row in env.c.call("XPENDING", "s", group, "-", "+", 100)]


def replays(env):
    """The journal leads to the same dataset, and the same counters."""
    def state():
        info = as_dict(env.c.call("XINFO", "STREAM", "s"))
        counters = [info[name] for name in (b"last-generated-id", b"max-deleted-entry-id",
                                            b"entries-added", b"recorded-first-entry-id")]
        groups = [as_dict(group) for group in env.c.call("XINFO", "GROUPS", "s")]
        return env.c.call("DEBUG", "DIGEST"), pending(env), counters, groups

    before = state()
    equal(env.c.call("DEBUG", "LOADAOF"), "OK")
    equal(state(), before)


@NEWER
def test_xdelex(env):
    call = env.c.call
    fill(env, 4, "g", delivered=2)
    equal(call("XDELEX", "s", "IDS", 2, "1-0", "9-0"), [1, -1])
    equal(pending(env), [(b"1-0", b"alice", 1), (b"2-0", b"alice", 1)])
    equal(call("XDELEX", "s", "DELREF", "IDS", 1, "2-0"), [1])
    equal(pending(env), [(b"1-0", b"alice", 1)])
    # Neither pending nor read by every group.
    equal(call("XDELEX", "s", "ACKED", "IDS", 1, "3-0"), [2])
    call("XREADGROUP", "GROUP", "g", "alice", "STREAMS", "s", ">")
    equal(call("XDELEX", "s", "ACKED", "IDS", 1, "3-0"), [2])
    call("XACK", "s", "g", "3-0")
    equal(call("XDELEX", "s", "ACKED", "IDS", 1, "3-0"), [1])
    equal(ids(env), [b"4-0"])
    equal(call("XDELEX", "none", "IDS", 2, "1-0", "2-0"), [-1, -1])
    replays(env)


@NEWER
def test_lists_of_ids(env):
    fill(env, 1, "g")
    for words in (("XDELEX", "s"), ("XACKDEL", "s", "g")):
        equal(env.c.call(*words, "IDS", 0, "1-0"),
              Error(b"ERR Number of IDs must be a positive integer"))
        equal(env.c.call(*words, "IDS", 2, "1-0"),
              Error(b"ERR The `numids` parameter must match the number of arguments"))
        equal(env.c.call(*words, "FOO", "IDS", 1, "1-0"), Error(b"ERR syntax error"))
        equal(env.c.call(*words, "IDS", 1, "x"),
              Error(b"ERR Invalid stream ID specified as stream command argument"))


@NEWER
def test_xackdel(env):
    call = env.c.call
    fill(env, 4, "g", "h", delivered=3)
    equal(call("XACKDEL", "s", "g", "IDS", 2, "1-0", "4-0"), [1, -1])
    equal(pending(env, "h")[0], (b"1-0", b"alice", 1))
    equal(call("XACKDEL", "s", "g", "ACKED", "IDS", 1, "2-0"), [2])
    equal(call("XACKDEL", "s", "h", "ACKED", "IDS", 1, "2-0"), [1])
    equal(call("XACKDEL", "s", "g", "DELREF", "IDS", 1, "3-0"), [1])
    equal(pending(env, "h"), [(b"1-0", b"alice", 1)])
    equal(ids(env), [b"4-0"])
    equal(call("XACKDEL", "s", "none", "IDS", 1, "4-0"), [-1])
    equal(call("XACKDEL", "none", "g", "IDS", 1, "4-0"), [-1])
    replays(env)


@NEWER
def test_trimming_and_references(env):
    call = env.c.call
    fill(env, 6, "g", delivered=4)
    equal(call("XTRIM", "s", "MAXLEN", 5, "KEEPREF"), 1)
    equal(len(pending(env)), 4)
    equal(call("XTRIM", "s", "MAXLEN", "=", 4, "DELREF"), 1)
    equal([row[0] for row in pending(env)], [b"1-0", b"3-0", b"4-0"])
    call("XACK", "s", "g", "3-0")
    equal(call("XTRIM", "s", "MINID", "6-0", "ACKED"), 1)
    equal(ids(env), [b"4-0", b"5-0", b"6-0"])
    equal(call("XADD", "s", "DELREF", "MAXLEN", 2, "7-0", "f", "v"), "7-0")
    equal(ids(env), [b"6-0", b"7-0"])
    equal([row[0] for row in pending(env)], [b"1-0"])
    equal(call("XADD", "s", "KEEPREF", "8-0", "f", "v"), "8-0")
    replays(env)


@NEWER
def test_trimming_the_acknowledged_deletes_no_id(env):
    # XDEL is how it is recorded, but unlike an XDEL it leaves max-deleted-entry-id alone.
    call = env.c.call
    fill(env, 3, "g", delivered=3)
    call("XACK", "s", "g", "1-0", "3-0")
    equal(call("XTRIM", "s", "MAXLEN", "=", 0, "ACKED"), 2)
    equal(as_dict(call("XINFO", "STREAM", "s"))[b"max-deleted-entry-id"], b"0-0")
    replays(env)
    call("XDEL", "s", "2-0")
    equal(call("XSETID", "s", "9-0", "ENTRIESADDED", 9, "MAXDELETEDID", "0-0"), "OK")
    equal(as_dict(call("XINFO", "STREAM", "s"))[b"max-deleted-entry-id"], b"2-0")
    replays(env)


@NEWER
def test_trimming_the_acknowledged_where_a_deleted_id_lies_behind_the_last(env):
    # No XSETID can say so: what is recorded must not try.
    call = env.c.call
    for words in (("XGROUP", "CREATE", "s", "g", "9-0", "MKSTREAM"), ("XADD", "s", "5-0", "f", "v"),
                  ("XDEL", "s", "5-0"), ("XSETID", "s", "1-0"), ("XADD", "s", "2-0", "f", "v"),
                  ("XADD", "s", "3-0", "f", "v")):
        call(*words)
    equal(call("XTRIM", "s", "MAXLEN", 1, "ACKED"), 1)
    equal(as_dict(call("XINFO", "STREAM", "s"))[b"max-deleted-entry-id"], b"5-0")
    equal(call("XADD", "s", "MAXLEN", 1, "ACKED", "4-0", "f", "v"), "4-0")
    replays(env)


@NEWER
def test_trimming_where_deleted_ids_lie_behind_live_ones(env):
    # The first nodes end with such ids. They went as a whole, by an approximate threshold; the
    # exact one that is recorded lies before those ids.
    call = env.c.call
    env.config(stream_node_max_entries=2)
    call("XGROUP", "CREATE", "s", "g", 0, "MKSTREAM")
    for node, last in (1, 90), (2, 80), (3, 70):
        call("XADD", "s", "%d-0" % node, "f", "v")
        call("XADD", "s", "%d-0" % last, "f", "v")
        call("XDEL", "s", "%d-0" % last)
        call("XSETID", "s", "%d-0" % node)
    call("XADD", "s", "75-0", "f", "v")
    call("XADD", "s", "96-0", "f", "v")
    equal(call("XTRIM", "s", "MINID", "~", "95-0"), 3)
    equal(ids(env), [b"75-0", b"96-0"])
    replays(env)


@NEWER
def test_reading_what_others_have_had_too_long(env):
    call = env.c.call
    fill(env, 3, "g", delivered=1)
    reply = as_dict(call("XREADGROUP", "GROUP", "g", "bob", "COUNT", 2, "CLAIM", 0, "STREAMS", "s",
                         ">"))[b"s"]
    equal([entry[0] for entry in reply], [b"1-0", b"2-0"])
    check(reply[0][2] >= 0)
    equal([entry[3] for entry in reply], [1, 0])
    equal(reply[1][1:], [[b"f", b"v2"], 0, 0])
    equal(pending(env), [(b"1-0", b"bob", 2), (b"2-0", b"bob", 1)])
    # Not idle for long enough; an id reads the history, whatever CLAIM says.
    reply = call("XREADGROUP", "GROUP", "g", "carol", "CLAIM", 10**9, "STREAMS", "s", ">")
    equal([entry[0] for entry in as_dict(reply)[b"s"]], [b"3-0"])
    replays(env)
    reply = call("XREADGROUP", "GROUP", "g", "carol", "CLAIM", 0, "STREAMS", "s", "0")
    equal(as_dict(reply)[b"s"], [[b"3-0", [b"f", b"v3"]]])
    equal(call("XREADGROUP", "GROUP", "g", "bob", "CLAIM", "x", "STREAMS", "s", ">"),
          Error(b"ERR min-idle-time is not an integer"))
    equal(call("XREADGROUP", "GROUP", "g", "bob", "CLAIM", -1, "STREAMS", "s", ">"),
          Error(b"ERR min-idle-time must be a positive integer"))


@NEWER
def test_waiting_for_what_others_have_had_too_long(env):
    call = env.c.call
    fill(env, 2, "g", delivered=1)
    call("XREADGROUP", "GROUP", "g", "alice", "STREAMS", "s", ">")

    def read(*words):
        return ("XREADGROUP", "GROUP", "g", *words, "STREAMS", "s", ">")

    # Nobody changes the stream: time passes.
    client = env.client()
    client.send(*read("bob", "BLOCK", 0, "COUNT", 1, "CLAIM", 300))
    reply = as_dict(client.read())[b"s"]
    equal([reply[0][0], reply[0][3]], [b"1-0", 1])
    check(reply[0][2] >= 300)
    replays(env)
    # Its own time is up before that.
    equal(call(*read("bob", "BLOCK", 50, "CLAIM", 10**9)), None)
    # Given back: at once, and a new delivery as ever.
    client = start_blocked(env, *read("carol", "BLOCK", 0, "CLAIM", 10**9))
    call("XNACK", "s", "g", "FAIL", "IDS", 1, "2-0")
    equal([entry[0] for entry in as_dict(client.read())[b"s"]], [b"2-0"])
    client = start_blocked(env, *read("carol", "BLOCK", 0, "CLAIM", 10**9))
    call("XADD", "s", "3-0", "f", "v")
    equal([entry[0] for entry in as_dict(client.read())[b"s"]], [b"3-0"])
    # Nothing is pending: what bob is given now is carol's soon.
    call("XACK", "s", "g", "1-0", "2-0", "3-0")
    client = start_blocked(env, *read("carol", "BLOCK", 0, "CLAIM", 100))
    call("MULTI")
    call("XADD", "s", "4-0", "f", "v")
    call(*read("bob"))
    call("EXEC")
    reply = as_dict(client.read())[b"s"]
    equal([reply[0][0], reply[0][3]], [b"4-0", 1])
    replays(env)


@NEWER
def test_xnack_gives_back(env):
    call = env.c.call
    fill(env, 4, "g", delivered=3)
    equal(call("XNACK", "s", "g", "SILENT", "IDS", 2, "1-0", "4-0"), 1)
    equal(call("XNACK", "s", "g", "FAIL", "IDS", 1, "2-0"), 1)
    equal(call("XNACK", "s", "g", "FATAL", "IDS", 1, "3-0"), 1)
    equal(call("XPENDING", "s", "g", "-", "+", 10),
          [[b"1-0", b"", -1, 0], [b"2-0", b"", -1, 1], [b"3-0", b"", -1, COUNT_MAX]])
    # Nothing is undone below zero.
    equal(call("XNACK", "s", "g", "SILENT", "IDS", 1, "1-0"), 1)
    equal(pending(env)[0], (b"1-0", b"", 0))
    replays(env)
    payload = call("DUMP", "s")
    equal(call("RESTORE", "t", 0, payload), "OK")
    equal(call("XPENDING", "t", "g", "-", "+", 10), call("XPENDING", "s", "g", "-", "+", 10))


@NEWER
def test_nobody_is_no_consumer(env):
    call = env.c.call
    fill(env, 3, "g", delivered=3)
    equal(len(as_dict(as_dict(call("XINFO", "STREAM", "s", "FULL"))[b"groups"][0])), 7)
    call("XNACK", "s", "g", "FAIL", "IDS", 2, "1-0", "2-0")

    def shown():
        group = as_dict(as_dict(call("XINFO", "STREAM", "s", "FULL"))[b"groups"][0])
        equal([group[b"pel-count"], group[b"nacked-count"]], [3, 2])
        equal([row[1] for row in group[b"pending"]], [b"", b"", b"alice"])
        equal([as_dict(one)[b"name"] for one in group[b"consumers"]], [b"alice"])
        equal([as_dict(one)[b"name"] for one in call("XINFO", "CONSUMERS", "s", "g")], [b"alice"])
        equal(as_dict(call("XINFO", "GROUPS", "s")[0])[b"consumers"], 1)
        equal(call("XPENDING", "s", "g"), [3, b"1-0", b"3-0", [[b"alice", b"1"]]])
        equal(call("XGROUP", "DELCONSUMER", "s", "g", ""), 0)

    shown()
    replays(env)
    shown()
    call("RESTORE", "t", 0, call("DUMP", "s"))
    call("RENAME", "t", "s")
    shown()
    # A consumer that has no name is one like others.
    equal(call("XGROUP", "CREATECONSUMER", "s", "g", ""), 1)
    equal(call("XGROUP", "CREATECONSUMER", "s", "g", ""), 0)
    equal(len(call("XINFO", "CONSUMERS", "s", "g")), 2)
    equal(call("XGROUP", "DELCONSUMER", "s", "g", ""), 2)


@NEWER
def test_what_was_given_back_is_claimed_at_once(env):
    call = env.c.call
    fill(env, 3, "g", delivered=3)
    call("XNACK", "s", "g", "FATAL", "IDS", 1, "3-0")
    reply = call("XREADGROUP", "GROUP", "g", "bob", "CLAIM", 10**9, "STREAMS", "s", ">")
    equal([entry[0] for entry in as_dict(reply)[b"s"]], [b"3-0"])
    equal(pending(env)[2], (b"3-0", b"bob", COUNT_MAX))
    call("XNACK", "s", "g", "FAIL", "IDS", 1, "1-0")
    equal(call("XCLAIM", "s", "g", "bob", 10**9, "1-0", "2-0", "JUSTID"), [b"1-0"])
    call("XNACK", "s", "g", "FAIL", "IDS", 1, "2-0", "RETRYCOUNT", 7)
    equal(call("XAUTOCLAIM", "s", "g", "bob", 10**9, "0", "JUSTID")[1], [b"2-0"])
    equal(pending(env), [(b"1-0", b"bob", 1), (b"2-0", b"bob", 7), (b"3-0", b"bob", COUNT_MAX)])
    equal(call("XACK", "s", "g", "1-0"), 1)
    replays(env)


@NEWER
def test_xnack_options(env):
    call = env.c.call
    fill(env, 3, "g", delivered=1)
    equal(call("XNACK", "s", "g", "FATAL", "IDS", 1, "1-0", "RETRYCOUNT", 5), 1)
    equal(call("XNACK", "s", "g", "SILENT", "IDS", 2, "2-0", "9-0", "FORCE"), 1)
    equal(call("XNACK", "s", "g", "FAIL", "IDS", 1, "3-0", "FORCE", "RETRYCOUNT", 3), 1)
    equal(pending(env), [(b"1-0", b"", 5), (b"2-0", b"", 0), (b"3-0", b"", 3)])
    # What is no longer in the stream cannot be given to anybody.
    call("XDEL", "s", "1-0")
    equal(call("XNACK", "s", "g", "FAIL", "IDS", 1, "1-0"), 0)
    replays(env)


@NEWER
def test_xnack_errors(env):
    call = env.c.call
    fill(env, 1, "g", delivered=1)
    equal(call("XNACK", "s", "g", "FOO", "IDS", 1, "1-0"),
          Error(b"ERR mode must be SILENT, FAIL, or FATAL"))
    for count in ("0", "x", "-1"):
        equal(call("XNACK", "s", "g", "FAIL", "IDS", count, "1-0"),
              Error(b"ERR numids must be a positive integer"))
    equal(call("XNACK", "s", "g", "FAIL", "IDS", 2, "1-0"),
          Error(b"ERR number of IDs doesn't match numids"))
    equal(call("XNACK", "s", "g", "FAIL", "IDS", 1, "1-0", "FOO"),
          Error(b"ERR Unrecognized XNACK option 'FOO'"))
    equal(call("XNACK", "s", "g", "FAIL", "IDS", 1, "1-0", "RETRYCOUNT", -1),
          Error(b"ERR Invalid RETRYCOUNT value, must be >= 0"))
    equal(call("XNACK", "s", "g", "FAIL", "FORCE", "RETRYCOUNT", 1),
          Error(b"ERR syntax error, expected IDS keyword"))
    equal(call("XNACK", "s", "none", "FAIL", "IDS", 1, "1-0"),
          Error(b"NOGROUP No such key 's' or consumer group 'none'"))
    equal(call("XNACK", "none", "g", "FAIL", "IDS", 1, "1-0"),
          Error(b"NOGROUP No such key 'none' or consumer group 'g'"))
    equal(pending(env), [(b"1-0", b"alice", 1)])
