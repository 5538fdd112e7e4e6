# SPDX-License-Identifier: BSD-3-Clause
"""The harness of Cairn's tests: a raw RESP client, servers as processes, a small runner.

A test file imports what it needs from here and nothing else; see README.md.
"""

from harness.checks import (Failure, Skip, as_dict, as_pairs, check, equal, eventually, info,
                            is_blocked, members, near, pass_time, skip, start_blocked)
from harness.matrix import FULL, ONCE, PROTOCOLS, THREADS, cairn_only, limit, matrix
from harness.resp import (Client, Error, Push, Simple, Verbatim, encode, parse,
                          split_replies)
from harness.server import (Server, StartFailure, check_binary, oracle_binary, server_binary,
                            slow_build)

__all__ = [
    "FULL", "ONCE", "PROTOCOLS", "THREADS", "Client", "Error", "Failure", "Push", "Server",
    "Simple", "Skip", "StartFailure", "Verbatim", "as_dict", "as_pairs", "cairn_only", "check",
    "check_binary", "encode", "equal", "eventually", "info", "is_blocked", "limit", "matrix",
    "members", "near", "oracle_binary", "parse", "pass_time", "server_binary", "skip",
    "slow_build", "split_replies", "start_blocked",
]
