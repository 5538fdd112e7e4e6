#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Trains the server of `make pgo`: the bench's workloads, each for a while, with and without a log.

An instrumented server writes its profile when it ends, so it is asked to end and waited for.
"""
from common import Server, cairn, load
from rows import ROWS

GROUPS = ("strings", "values", "commands")
REQUESTS, BYTES_MAX = 60_000, 256 << 20  # of a row
KEYS = 20_000


def train(server):
    for row in ROWS:
        if row.group not in GROUPS:
            continue
        options = {"connections": 50, "pipeline": 16, "keys": KEYS, **row.load}
        requests = min(REQUESTS, BYTES_MAX // options.get("value", 32))
        load(server, row.workload, cores=None, requests=requests, fill=True, **options)
        server.call("FLUSHALL")


def main():
    for log in ("no", "yes"):
        with Server("training", cairn("--appendonly", log)) as server:
            train(server)
            server.stop()


if __name__ == "__main__":
    main()
