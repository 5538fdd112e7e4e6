# SPDX-License-Identifier: BSD-3-Clause
"""What the differential test found, each in its shortest form."""

from harness.checks import check, equal
from harness.matrix import ONCE, PROTOCOLS, matrix
from harness.resp import Error, Push


@matrix(ONCE)
def test_largest_deadline_is_rounded_without_overflow(env):
    equal(env.c.call("SET", "k", "v", "PXAT", "9223372036854775807"), b"OK")
    equal(env.c.call("EXPIRETIME", "k"), 9223372036854776)
    equal(env.c.call("PEXPIRETIME", "k"), 9223372036854775807)


@matrix(ONCE)
def test_scan_of_an_empty_type_finds_nothing(env):
    env.c.call("SET", "k", "v")
    equal(env.c.call("SCAN", "0", "COUNT", "1000", "TYPE", ""), [b"0", []])
    equal(env.c.call("SCAN", "0", "COUNT", "1000", "TYPE", "STRING"), [b"0", [b"k"]])


@matrix(ONCE)
def test_swapdb_index_beyond_32_bits_is_none(env):
    equal(env.c.call("SWAPDB", "9223372036854775807", "1"), Error(b"ERR invalid first DB index"))
    equal(env.c.call("SWAPDB", "1", "-2147483649"), Error(b"ERR invalid second DB index"))
    equal(env.c.call("SWAPDB", "1", "2147483647"), Error(b"ERR DB index is out of range"))


@matrix(ONCE)
def test_zrange_takes_rev_once(env):
    env.c.call("ZADD", "z", 1, "a", 2, "b")
    equal(env.c.call("ZRANGE", "z", 0, -1, "REV"), [b"b", b"a"])
    equal(env.c.call("ZRANGE", "z", 0, -1, "REV", "REV"), Error(b"ERR syntax error"))


@matrix(ONCE)
def test_digest_of_the_largest_stream_id(env):
    oracle = env.oracle_client()
    oracle.call("FLUSHALL")
    digests = []
    for client in (env.c, oracle):
        client.call("XADD", "s", "18446744073709551615-18446744073709551614", "f", "v")
        digests.append(client.call("DEBUG", "DIGEST-VALUE", "s"))
    equal(digests[0], digests[1])


@matrix(ONCE)
def test_xgroup_options_given_twice(env):
    wrong = b"ERR unknown subcommand or wrong number of arguments for '%s'. Try XGROUP HELP."
    create = ["XGROUP", "CREATE", "s", "g", "0", "MKSTREAM"]
    equal(env.c.call(*create, "MKSTREAM", "ENTRIESREAD", "4"), Error(wrong % b"CREATE"))
    equal(env.c.call("EXISTS", "s"), 0)
    equal(env.c.call(*create, "MKSTREAM"), b"OK")
    equal(env.c.call("XGROUP", "SETID", "s", "g", "0", "ENTRIESREAD", "1", "ENTRIESREAD", "2"),
          Error(wrong % b"SETID"))


@matrix(ONCE)
def test_debug_shows_expired_keys_and_leaves_them(env):
    env.c.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    env.c.call("SET", "k", "v", "PXAT", "1")
    nothing = b"0" * 40
    for _ in range(2):
        equal(env.c.call("DEBUG", "DIGEST-VALUE", "k") == [nothing], False)
    equal(env.c.call("DBSIZE"), 1)
    equal(env.c.call("GET", "k"), None)
    equal(env.c.call("DEBUG", "DIGEST-VALUE", "k"), [nothing])


@matrix(ONCE)
def test_debug_help_takes_no_argument(env):
    equal(env.c.call("DEBUG", "HELP", "x"),
          Error(b"ERR unknown subcommand or wrong number of arguments for 'HELP'. Try DEBUG HELP."))
    equal(env.c.call("DEBUG", "HELP")[-1], b"    Prints this help.")


@matrix(ONCE)
def test_a_set_in_lua_has_a_member_called_nan(env):
    env.c.call("SADD", "s", "nan", "inf", "1")
    script = "redis.setresp(3) return redis.call('SMEMBERS', KEYS[1])"
    equal(sorted(env.c.call("EVAL", script, 1, "s")), [b"1", b"inf", b"nan"])


@matrix(ONCE)
def test_line_ends_at_the_end_of_an_error_go(env):
    equal(env.c.call("FUNCTION", "LOAD", "REPLACE", "#!lua name=six\n", "x"),
          Error(b"ERR Unknown option given: #!lua name=six"))


@matrix(ONCE)
def test_blocking_multi_pops_look_at_the_timeout_last(env):
    wrong = Error(b"ERR count should be greater than 0")
    equal(env.c.call("BLMPOP", "abc", 1, "k", "LEFT", "COUNT", 0), wrong)
    equal(env.c.call("BZMPOP", "abc", 1, "k", "MIN", "COUNT", 0), wrong)
    wrong = Error(b"ERR timeout is not a float or out of range")
    equal(env.c.call("BLMPOP", "abc", 1, "k", "LEFT", "COUNT", 1), wrong)
    equal(env.c.call("BZMPOP", "abc", 1, "k", "MIN", "COUNT", 1), wrong)


@matrix(ONCE)
def test_counters_of_stream_groups_wrap_around(env):
    oracle = env.oracle_client()
    oracle.call("FLUSHALL")
    for added, read in ((2**63 - 1, 2**63 - 1), (2**63 - 1, 1), (4, 2**63 - 1), (4, -1)):
        for client in (env.c, oracle):
            client.call("DEL", "s")
            for n in range(1, 5):
                client.call("XADD", "s", "%d-1" % n, "f", "v")
            client.call("XSETID", "s", "4-1", "ENTRIESADDED", added, "MAXDELETEDID", "0-0")
            client.call("XGROUP", "CREATE", "s", "g", "1-1", "ENTRIESREAD", read)
        for _ in range(3):
            equal(env.c.call("XREADGROUP", "GROUP", "g", "c", "COUNT", 1, "STREAMS", "s", ">"),
                  oracle.call("XREADGROUP", "GROUP", "g", "c", "COUNT", 1, "STREAMS", "s", ">"))
            equal(env.c.call("XINFO", "GROUPS", "s"), oracle.call("XINFO", "GROUPS", "s"))


@matrix(ONCE)
def test_a_stream_whose_last_id_went_back_behind_a_deleted_entry(env):
    oracle = env.oracle_client()
    oracle.call("FLUSHALL")
    for client in (env.c, oracle):
        for entry in ("5-0", "6-0", "7-0", "8-0"):
            client.call("XADD", "s", entry, "f", entry)
        equal(client.call("XDEL", "s", "7-0", "8-0"), 2)
        equal(client.call("XSETID", "s", "6-5", "ENTRIESADDED", "9", "MAXDELETEDID", "1-0"), b"OK")
        for entry in ("6-7", "7-5"):
            equal(client.call("XADD", "s", entry, "f", entry), entry.encode())
    payload = oracle.call("DUMP", "s")
    equal(env.c.call("DUMP", "s"), payload)
    equal(env.c.call("RESTORE", "copy", 0, payload), b"OK")
    oracle.call("RESTORE", "copy", 0, payload)
    for key in ("s", "copy"):
        for ends in (("6-7", "6-7"), ("-", "+"), ("6-1", "7-1"), ("7-0", "7-5")):
            equal(env.c.call("XRANGE", key, *ends), oracle.call("XRANGE", key, *ends), ends)
            back = (key, ends[1], ends[0])
            equal(env.c.call("XREVRANGE", *back), oracle.call("XREVRANGE", *back), back)
        read = ("XREAD", "STREAMS", key, "6-0")
        equal(env.c.call(*read), oracle.call(*read))
        for client in (env.c, oracle):
            equal(client.call("XDEL", key, "8-0", "6-7", "7-5"), 2)
        equal(env.c.call("DEBUG", "DIGEST-VALUE", key), oracle.call("DEBUG", "DIGEST-VALUE", key))


@matrix(ONCE)
def test_wrapped_counters_of_a_stream_are_replayed(env):
    most = "9223372036854775807"
    for entry in ("1-0", "2-0", "3-0"):
        env.c.call("XADD", "s", entry, "f", "v")
    env.c.call("XDEL", "s", "1-0")
    env.c.call("XGROUP", "CREATE", "s", "g", "2-0", "ENTRIESREAD", most)
    env.c.call("XSETID", "s", "3-0", "ENTRIESADDED", most, "MAXDELETEDID", "1-0")
    for entry in ("4-0", "5-0"):
        env.c.call("XADD", "s", entry, "f", "v")
    check(env.c.call("XREADGROUP", "GROUP", "g", "c", "COUNT", 1, "STREAMS", "s", ">"), "no entry")
    equal(env.c.call("XTRIM", "s", "MAXLEN", 3, "ACKED"), 1)
    before = env.c.call("XINFO", "GROUPS", "s"), env.c.call("XINFO", "STREAM", "s")
    equal(before[0][0][-3], -2**63)
    equal(env.c.call("DEBUG", "LOADAOF"), b"OK")
    after = env.c.call("XINFO", "GROUPS", "s"), env.c.call("XINFO", "STREAM", "s")
    equal(after, before)


@matrix(ONCE)
def test_geosearch_takes_the_last_of_what_is_said_twice(env):
    env.c.call("GEOADD", "g", 10, 40, "a", 11, 41, "b")
    near, far = ("BYRADIUS", 1, "km"), ("BYRADIUS", 1000, "km")
    wrong = Error(b"ERR syntax error")
    for key, found in (("g", [[b"b"], [b"a", b"b"]]), ("none", [[], []])):
        search = ("GEOSEARCH", key)
        equal(env.c.call(*search, "FROMMEMBER", "a", "FROMMEMBER", "b", *near), found[0])
        equal(env.c.call(*search, "FROMLONLAT", 10, 40, "FROMLONLAT", 11, 41, *near), found[0])
        equal(env.c.call(*search, "FROMLONLAT", 10, 40, *near, *far, "ASC"), found[1])
        equal(env.c.call(*search, "FROMLONLAT", 11, 41, "BYBOX", 900, 900, "km",
                         "BYBOX", 1, 1, "km"), found[0])
        equal(env.c.call(*search, "FROMLONLAT", 10, 40, *near, "BYBOX", 1, 1, "km"), wrong)
        equal(env.c.call(*search, "FROMLONLAT", 10, 40, "BYBOX", 1, 1, "km", *near), wrong)
        equal(env.c.call(*search, "FROMMEMBER", "a", "FROMLONLAT", 10, 40, *near), wrong)
        equal(env.c.call(*search, "FROMLONLAT", 10, 40, "FROMMEMBER", "a", *near), wrong)


@matrix(PROTOCOLS)
def test_debug_protocol_push_is_followed_by_a_reply(env):
    equal(env.c.call("DEBUG", "PROTOCOL", "nosuch"),
          Error(b"ERR Wrong protocol type name. Please use one of the following: string|integer|"
                b"double|bignum|null|array|set|map|attrib|push|verbatim|true|false"))
    env.c.send("DEBUG", "PROTOCOL", "push")
    if env.c.protocol == 2:
        equal(env.c.read(), Error(b"ERR RESP2 is not supported by this command"))
        return
    push = env.c.read_any()[0]
    check(isinstance(push, Push), push)
    equal(list(push), [b"server-cpu-usage", 42])
    equal(env.c.read(), b"Some real reply following the push reply")


@matrix(ONCE)
def test_a_title_of_blanks_is_none(env):
    wrong = Error(b"ERR CONFIG SET failed (possibly related to argument 'proc-title-template') - "
                  b"template format is invalid or contains unknown variables")
    for blank in ("", " ", "   "):
        equal(env.c.call("CONFIG", "SET", "proc-title-template", blank), wrong)
