# SPDX-License-Identifier: BSD-3-Clause
"""DUMP and RESTORE: across to redis-server and back, options, errors."""

import time

from harness.checks import check, equal, skip
from harness.dump_samples import OLD_FORMS, SAMPLES, fill, seal
from harness.matrix import ONCE, PROTOCOLS, matrix
from harness.resp import Error

BAD_SUM = Error(b"ERR DUMP payload version or checksum are wrong")
BAD_DATA = Error(b"ERR Bad data format")
TEXT = seal(b"\x00\x04text")


@matrix(ONCE)
def test_values_cross_over_and_back(env):
    oracle = env.oracle_client()
    oracle.call("FLUSHALL")
    payloads = fill(oracle)
    for name in SAMPLES:
        equal(env.c.call("RESTORE", name, 0, payloads[name]), b"OK", name)
        equal(env.c.call("TYPE", name), oracle.call("TYPE", name), name)
        back = env.c.call("DUMP", name)
        check(back[-10:-8] <= b"\x0a\x00", "%s: version %r" % (name, back[-10:-8]))
        equal(oracle.call("RESTORE", name + ":back", 0, back), b"OK", name)
        equal(oracle.call("DEBUG", "DIGEST-VALUE", name + ":back"),
              oracle.call("DEBUG", "DIGEST-VALUE", name), name)
        equal(oracle.call("OBJECT", "ENCODING", name + ":back"),
              oracle.call("OBJECT", "ENCODING", name), name)
        # And what Cairn made of it is the same again.
        equal(env.c.call("RESTORE", name + ":copy", 0, back), b"OK", name)
        equal(env.c.call("DUMP", name + ":copy"), back, name)


@matrix(ONCE)
def test_old_forms_mean_the_same_on_both(env):
    oracle = env.oracle_client()
    oracle.call("FLUSHALL")
    for name, body in OLD_FORMS.items():
        for version in (6, 9):
            for server in (env.c, oracle):
                equal(server.call("RESTORE", name, 0, seal(body, version), "REPLACE"), b"OK", name)
            equal(env.c.call("TYPE", name), oracle.call("TYPE", name), name)
            equal(env.c.call("DEBUG", "DIGEST-VALUE", name),
                  oracle.call("DEBUG", "DIGEST-VALUE", name), name)
            if env.c.call("TYPE", name) != b"list":  # 7.2 calls short ones listpack
                equal(env.c.call("OBJECT", "ENCODING", name),
                      oracle.call("OBJECT", "ENCODING", name), name)
            back = env.c.call("DUMP", name)
            equal(oracle.call("RESTORE", name + ":back", 0, back, "REPLACE"), b"OK", name)
            equal(oracle.call("DEBUG", "DIGEST-VALUE", name + ":back"),
                  oracle.call("DEBUG", "DIGEST-VALUE", name), name)


@matrix(PROTOCOLS)
def test_missing_key(env):
    equal(env.c.call("DUMP", "none"), None)


@matrix(PROTOCOLS)
def test_replace_and_busy(env):
    equal(env.c.call("RESTORE", "k", 0, TEXT), b"OK")
    equal(env.c.call("RESTORE", "k", 0, TEXT), Error(b"BUSYKEY Target key name already exists."))
    # The key is looked for before the payload and the time are looked at.
    equal(env.c.call("RESTORE", "k", "x", "y"), Error(b"BUSYKEY Target key name already exists."))
    equal(env.c.call("RESTORE", "k", 0, seal(b"\x00\x02xy"), "REPLACE"), b"OK")
    equal(env.c.call("DUMP", "k"), seal(b"\x00\x02xy"))


@matrix(PROTOCOLS)
def test_errors(env):
    call = env.c.call
    equal(call("RESTORE", "k", -1, TEXT), Error(b"ERR Invalid TTL value, must be >= 0"))
    equal(call("RESTORE", "k", "x", TEXT), Error(b"ERR value is not an integer or out of range"))
    equal(call("RESTORE", "k", 0, TEXT, "FOO"), Error(b"ERR syntax error"))
    equal(call("RESTORE", "k", 0, TEXT, "IDLETIME"), Error(b"ERR syntax error"))
    equal(call("RESTORE", "k", 0, TEXT, "IDLETIME", -1),
          Error(b"ERR Invalid IDLETIME value, must be >= 0"))
    equal(call("RESTORE", "k", 0, TEXT, "FREQ", 256),
          Error(b"ERR Invalid FREQ value, must be >= 0 and <= 255"))
    equal(call("RESTORE", "k", 0, TEXT, "FREQ", 1, "IDLETIME", 1), Error(b"ERR syntax error"))
    equal(call("RESTORE", "k", 0, ""), BAD_SUM)
    equal(call("RESTORE", "k", 0, TEXT[:-1] + b"\x00"), BAD_SUM)
    equal(call("RESTORE", "k", 0, seal(b"\x00\x04text", 9999)), BAD_SUM)
    equal(call("RESTORE", "k", 0, seal(b"\x63\x04text")), BAD_DATA)
    equal(call("RESTORE", "k", 0, seal(b"\x00\x05text")), BAD_DATA)
    equal(call("RESTORE", "k", 0, seal(b"\x02\x00")), BAD_DATA)  # a set without members
    equal(call("EXISTS", "k"), 0)


@matrix(PROTOCOLS)
def test_expiry(env):
    call = env.c.call
    equal(call("RESTORE", "a", 100000, TEXT), b"OK")
    check(40000 < call("PTTL", "a") <= 100000)
    when = int(time.time() * 1000) + 90000
    equal(call("RESTORE", "a", when, TEXT, "ABSTTL", "REPLACE"), b"OK")
    check(30000 < call("PTTL", "a") <= 90000)
    # A time in the past: nothing is made, and what was there goes.
    equal(call("RESTORE", "b", 1, TEXT, "ABSTTL"), b"OK")
    equal(call("EXISTS", "b"), 0)
    equal(call("RESTORE", "a", 1, TEXT, "ABSTTL", "REPLACE"), b"OK")
    equal(call("EXISTS", "a"), 0)


@matrix(PROTOCOLS)
def test_idle_time(env):
    equal(env.c.call("RESTORE", "k", 0, TEXT, "IDLETIME", 1000), b"OK")
    idle = env.c.call("OBJECT", "IDLETIME", "k")
    if isinstance(idle, Error) and b"unknown command" in idle.text:
        skip("the server has no OBJECT yet")
    check(1000 <= idle <= 1060)


@matrix(ONCE)
def test_asking(env):
    equal(env.c.call("RESTORE-ASKING", "k", 0, TEXT), b"OK")
    equal(env.c.call("DUMP", "k"), TEXT)
