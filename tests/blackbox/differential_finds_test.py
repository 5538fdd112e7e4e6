# SPDX-License-Identifier: BSD-3-Clause
"""What the differential test found, each in its shortest form."""

from harness.checks import equal
from harness.matrix import ONCE, matrix
from harness.resp import Error


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
