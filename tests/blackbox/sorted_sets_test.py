# SPDX-License-Identifier: BSD-3-Clause
"""Sorted sets: what the differential test does not reach."""

from harness import PROTOCOLS, Error, equal

MATRIX = PROTOCOLS


def test_zincrby_takes_the_options_of_zadd(env):
    c = env.c
    equal(c.call("ZINCRBY", "k", "NX", "m"), Error(b"ERR syntax error"))
    equal(c.call("ZINCRBY", "k", "abc", "m"), Error(b"ERR value is not a valid float"))
    equal(c.call("EXISTS", "k"), 0)
    equal(float(c.call("ZINCRBY", "k", 2, "m")), 2.0)
