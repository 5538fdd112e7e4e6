# SPDX-License-Identifier: BSD-3-Clause
"""What the bench measures: a row a workload, in groups that share a pair of servers."""
from dataclasses import dataclass, field

GROUPS = ("strings", "values", "keys", "commands", "connections", "threads")
BYTES_AT_A_TIME = 8 << 20  # of values under way, so that large ones do not measure the memory


@dataclass
class Row:
    """`load` are options of cairn-load; `aim` is for the CPU time by that of redis-server."""
    title: str
    group: str
    workload: str
    load: dict = field(default_factory=dict)
    aim: float = None
    floor: bool = False  # the bare epoll loop is measured beside it
    stretch: int = 1  # so many times as long: a turn of many connections takes a while

    def options(self, scale):
        """Those of cairn-load; `scale` are the numbers of keys that the run was given."""
        options = {"connections": 50, "pipeline": 16, "keys": scale.keys, **self.load}
        if options["keys"] == "many":
            options["keys"] = scale.many
        return options


def strings():
    for pipeline, aim in ((1, 0.85), (16, 0.40), (64, 0.30)):
        for workload in ("set", "get"):
            yield Row(f"{workload.upper()} -P {pipeline}", "strings", workload,
                      {"pipeline": pipeline}, aim, floor=pipeline == 1)


def values():
    for name, size, keys in (("1 KiB", 1 << 10, 100000), ("16 KiB", 1 << 14, 10000),
                             ("1 MiB", 1 << 20, 100)):
        pipeline = max(1, min(16, BYTES_AT_A_TIME // (50 * size)))
        connections = min(50, BYTES_AT_A_TIME // size)
        for workload in ("set", "get"):
            yield Row(f"{workload.upper()} -P {pipeline}, {name}", "values", workload,
                      {"value": size, "pipeline": pipeline, "connections": connections,
                       "keys": keys})


def keys():
    for distribution in ("uniform", "zipf"):
        yield Row(f"GET -P 16, many keys, {distribution}", "keys", "get",
                  {"keys": "many", "distribution": distribution}, 0.40)
    yield Row("90 % GET, 10 % SET -P 16, many keys, zipf", "keys", "mixed",
              {"keys": "many", "distribution": "zipf"}, 0.40)


def commands():
    for title, workload, more, aim in (
            ("90 % GET, 10 % SET -P 16", "mixed", {}, 0.40),
            ("MGET (10) -P 16", "mget", {}, 0.60),
            ("MSET (10) -P 16", "mset", {}, 0.60),
            ("INCR -P 16", "incr", {}, 0.60),
            ("LPUSH, RPOP -P 16", "lpush-rpop", {}, 0.60),
            ("LRANGE (100) -P 16", "lrange", {}, 0.60),
            ("HSET -P 16", "hset", {}, 0.60),
            ("HGETALL (20) -P 16", "hgetall", {}, 0.60),
            ("SADD -P 16", "sadd", {}, 0.60),
            ("SADD, SPOP -P 16", "sadd-spop", {}, 0.60),
            ("ZADD -P 16", "zadd", {}, 0.60),
            ("ZRANGE (10) -P 16", "zrange", {}, 0.60),
            ("ZRANK -P 16", "zrank", {}, 0.60),
            ("XADD -P 16", "xadd", {}, 0.60),
            ("XADD, XREADGROUP -P 16", "xreadgroup", {}, 0.60),
            ("PFADD -P 16", "pfadd", {}, 0.60),
            ("SETBIT -P 16", "setbit", {}, 0.60),
            ("EVAL (INCR) -P 1", "eval", {"pipeline": 1}, 0.70),
            ("EVAL (INCR) -P 16", "eval", {}, 0.70),
            ("MULTI (10 INCR) -P 1", "multi", {"pipeline": 1}, 0.60),
            ("MULTI (10 INCR) -P 16", "multi", {}, 0.60),
            ("PUBLISH to 100", "publish",
             {"pipeline": 1, "connections": 10, "subscribers": 100}, 0.70)):
        yield Row(title, "commands", workload, more, aim)


def connections():
    for count in (1, 50, 1000, 10000):
        yield Row(f"GET -P 16, {count:,} connection{'s' * (count > 1)}", "connections", "get",
                  {"connections": count}, stretch=3 if count > 1000 else 1)
    yield Row("GET -P 1, 1 connection", "connections", "get", {"connections": 1, "pipeline": 1})


def threads():
    for workload in ("set", "get"):
        yield Row(f"{workload.upper()} -P 16, 2 threads", "threads", workload)


ROWS = [*strings(), *values(), *keys(), *commands(), *connections(), *threads()]

# Ratios of two of our own figures: title, (row, server), (row, server), aim.
OWN_RATIOS = [
    ("SET -P 1 by the bare epoll loop", ("SET -P 1", "cairn"), ("SET -P 1", "floor"), 1.10),
    ("GET -P 1 by the bare epoll loop", ("GET -P 1", "cairn"), ("GET -P 1", "floor"), 1.10),
    ("GET -P 16, 10,000 by 50 connections", ("GET -P 16, 10,000 connections", "cairn"),
     ("GET -P 16, 50 connections", "cairn"), 1.15),
    *[(f"{name} -P 16, 2 threads by {what}", (f"{name} -P 16, 2 threads", "cairn"),
       (f"{name} -P 16, 2 threads", other), aim)
      for name in ("SET", "GET")
      for what, other, aim in (("1", "cairn, 1 thread", 1.10),
                               ("1 beside the load", "cairn, 1 thread, load beside", 1.10))],
]

# Bytes an item: title, workload that makes one with each request, how many of --items, aim.
ITEMS = [
    ("a key, 16+32 bytes", "set", 1, 0.52),
    ("a key, 16+32 bytes, with a TTL", "set-ttl", 1, 0.45),
    ("a field of one hash, 18+32 bytes", "hset", 1, 0.60),
    ("a member of one set, 19 bytes", "sadd", 1, 0.60),
    ("a member of one sorted set, 19 bytes", "zadd", 1, 0.60),
    ("an element of one list, 20 bytes", "rpush", 1, 1.00),
    ("an entry of one stream, 5+18 bytes", "xadd-all", 1, None),
    ("a hash of ten fields, 2+5 bytes each", "hset-small", 0.1, 0.85),
]
