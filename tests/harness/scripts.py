# SPDX-License-Identifier: BSD-3-Clause
"""Scripts that both servers run, reply for reply."""

from harness.checks import check


def fill(client):
    client.call("FLUSHALL")
    client.call("SET", "str", "value")
    client.call("HSET", "hash", "f", "v")
    client.call("SADD", "set", "m")
    client.call("ZADD", "zset", "1.5", "m")
    client.call("RPUSH", "list", "b", "a", "c")
    client.call("XADD", "xs", "1-1", "f", "v")


def same_as_the_oracle(env, scripts):
    """Each line of `scripts`, after the same few keys were made."""
    oracle = env.oracle_client(env.protocol)
    fill(env.c)
    fill(oracle)
    wrong = []
    for script in filter(None, scripts.split("\n")):
        got, wanted = env.c.call("EVAL", script, 0), oracle.call("EVAL", script, 0)
        if got != wanted or type(got) is not type(wanted):
            wrong.append("%s\n    got    %r\n    wanted %r" % (script, got, wanted))
    check(not wrong, "%d scripts differ:\n  %s" % (len(wrong), "\n  ".join(wrong)))
