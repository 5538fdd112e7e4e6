# SPDX-License-Identifier: BSD-3-Clause
"""Over which {protocol} x {threads} a test runs, and its other marks.

A file sets MATRIX = FULL (the default), PROTOCOLS, THREADS or ONCE; a function overrides it with
@matrix(...). A stand-in without worker threads runs the one-thread rows only.
"""

FULL = tuple((p, t) for t in (1, 4) for p in (2, 3))
PROTOCOLS = ((2, 4), (3, 4))
THREADS = ((2, 1), (2, 4))
ONCE = ((2, 4),)


def matrix(rows):
    def mark(function):
        function.matrix = rows
        return function
    return mark


def limit(seconds):
    """The time after which a test counts as hung, if 150 s are too few (more under sanitizers)."""
    def mark(function):
        function.limit = seconds
        return function
    return mark


def cairn_only(reason):
    """A test of what redis-server 7.0 has not or does otherwise."""
    def mark(function):
        function.cairn_only = reason
        return function
    return mark
