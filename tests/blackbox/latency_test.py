# SPDX-License-Identifier: BSD-3-Clause
"""LATENCY, INFO latencystats, COMMANDLOG and SLOWLOG."""

import re
import time

from harness import PROTOCOLS, Error, as_dict, cairn_only, check, equal

MATRIX = PROTOCOLS

NAP = 0.012  # of DEBUG SLEEP
# Anything may take ten milliseconds where other processes run. Not so long, hardly.
THRESHOLD_MS, LONG_NAP = 1500, 1.6


def start(env, **directives):
    server = env.start(enable_debug_command="yes", **directives)
    return server, env.client(server=server)


def test_events_are_recorded_above_the_threshold(env):
    # One thread, so that nobody else waits for the sleeper; no log, whose disk may be slow, too.
    _, c = start(env, threads=1, appendonly="no")
    equal(c.call("DEBUG", "SLEEP", NAP), b"OK")
    equal(c.call("LATENCY", "LATEST"), [])
    check(b"isabled" in c.call("LATENCY", "DOCTOR"))
    equal(c.call("CONFIG", "SET", "latency-monitor-threshold", THRESHOLD_MS), b"OK")
    equal(c.call("DEBUG", "SLEEP", LONG_NAP), b"OK")
    [[name, when, latest, worst]] = c.call("LATENCY", "LATEST")
    equal(name, b"command")
    # A nap of 1.6 s, counted in ticks of a rate that was measured.
    check(abs(when - time.time()) < 60 and 1580 <= latest <= worst, (when, latest, worst))
    history = c.call("LATENCY", "HISTORY", "command")
    equal(history[-1], [when, latest])
    equal(c.call("LATENCY", "HISTORY", "nosuch"), [])
    equal(c.call("LATENCY", "GRAPH", "nosuch").text,
          "ERR No samples available for event 'nosuch'")
    graph = c.call("LATENCY", "GRAPH", "command").decode().split("\n")
    equal(graph[0], "command - high %d ms, low %d ms (all time high %d ms)"
          % (latest, latest, worst))
    equal(graph[1], "-" * 80)
    report = c.call("LATENCY", "DOCTOR").decode()
    check("1. command: 1 latency spikes (average %dms, mean deviation 0ms" % latest in report,
          report)
    equal(c.call("LATENCY", "RESET", "command", "nosuch"), 1)
    equal(c.call("LATENCY", "RESET"), 0)
    equal(c.call("LATENCY", "LATEST"), [])


def test_a_served_wait_is_an_event_of_its_own(env):
    _, c = start(env, appendonly="no", latency_monitor_threshold=THRESHOLD_MS)
    equal(c.call("BLPOP", "list", LONG_NAP), None)
    equal(c.call("LATENCY", "LATEST"), [])  # what it waited is not latency


def usec(pairs):
    return {pairs[i]: pairs[i + 1] for i in range(0, len(pairs), 2)} if isinstance(
        pairs, list) else pairs


def test_histogram(env):
    _, c = start(env)
    equal(c.call("CONFIG", "RESETSTAT"), b"OK")
    for _ in range(3):
        c.call("DEBUG", "SLEEP", NAP)
    c.call("SET", "k", "v")
    c.call("CONFIG", "SET", "timeout", 0)
    found = as_dict(c.call("LATENCY", "HISTOGRAM", "DEBUG", "config", "nosuch"))
    equal(sorted(found), [b"config|resetstat", b"config|set", b"debug"])
    entry = as_dict(found[b"debug"])
    equal(entry[b"calls"], 3)
    steps = usec(entry[b"histogram_usec"])
    check(min(steps) >= 16908 and max(steps.values()) == 3, steps)
    equal(sorted(steps.values()), list(steps.values()))
    check(b"set" in as_dict(c.call("LATENCY", "HISTOGRAM")))
    equal(c.call("CONFIG", "SET", "latency-tracking", "no"), b"OK")
    c.call("CONFIG", "RESETSTAT")
    c.call("SET", "k", "v")
    equal(len(c.call("LATENCY", "HISTOGRAM", "set")), 0)


def latencystats(c):
    lines = c.call("INFO", "latencystats").decode().split("\r\n")
    equal(lines[0], "# Latencystats")
    return dict(line.split(":", 1) for line in lines[1:] if line)


def test_info_latencystats(env):
    _, c = start(env)
    c.call("DEBUG", "SLEEP", NAP)
    shown = latencystats(c)["latency_percentiles_usec_debug"]
    match = re.fullmatch(r"p50=(\d+\.\d{3}),p99=(\d+\.\d{3}),p99\.9=(\d+\.\d{3})", shown)
    check(match and float(match[1]) >= 12000, shown)
    c.call("CONFIG", "SET", "latency-tracking-info-percentiles", "100 0 33.25")
    check(re.fullmatch(r"p100=[\d.]+,p0=[\d.]+,p33\.25=[\d.]+",
                       latencystats(c)["latency_percentiles_usec_debug"]))
    c.call("CONFIG", "SET", "latency-tracking-info-percentiles", "")
    equal(latencystats(c)["latency_percentiles_usec_debug"], "")
    c.call("CONFIG", "SET", "latency-tracking", "no")
    equal(latencystats(c), {})
    c.call("CONFIG", "SET", "latency-tracking", "yes")
    c.call("CONFIG", "RESETSTAT")
    check("latency_percentiles_usec_debug" not in latencystats(c))
    everything = c.call("INFO", "everything").decode()
    check("# Latencystats\r\n" in everything and "# Commandstats\r\n" in everything)
    check("# Latencystats" not in c.call("INFO").decode())


@cairn_only("Redis has SLOWLOG alone")
def test_commandlog_sizes(env):
    _, c = start(env, commandlog_request_larger_than=10000, commandlog_reply_larger_than=20000)
    for kind in ("large-request", "large-reply"):
        equal(c.call("COMMANDLOG", "LEN", kind), 0)
    c.call("CLIENT", "SETNAME", "me")
    c.call("SET", "k", "v" * 15000)
    c.call("APPEND", "k", "v" * 6000)
    equal(len(c.call("GET", "k")), 21000)
    c.call("GETRANGE", "k", 0, 9999)
    [request] = c.call("COMMANDLOG", "GET", -1, "large-request")
    equal(request[3][:2], [b"SET", b"k"])
    equal(request[3][2], b"v" * 128 + b"... (14872 more bytes)")
    check(15000 < request[2] < 15100 and abs(request[1] - time.time()) < 60, request)
    equal(request[5], b"me")
    [reply] = c.call("COMMANDLOG", "GET", 10, "LARGE-REPLY")
    equal(reply[3], [b"GET", b"k"])
    check(21000 < reply[2] < 21100, reply)
    c.call("MULTI")
    c.call("GET", "k")
    c.call("EXEC")
    logged = [entry[3][0] for entry in c.call("COMMANDLOG", "GET", -1, "large-reply")]
    equal(logged, [b"EXEC", b"GET", b"GET"] if logged[0] == b"EXEC" else [b"GET", b"GET"])
    equal(c.call("COMMANDLOG", "RESET", "large-reply"), b"OK")
    equal(c.call("COMMANDLOG", "LEN", "large-reply"), 0)
    equal(c.call("COMMANDLOG", "LEN", "large-request"), 1)


@cairn_only("Redis has SLOWLOG alone")
def test_commandlog_and_slowlog_share_the_slow_ones(env):
    _, c = start(env, commandlog_execution_slower_than=0, commandlog_slow_execution_max_len=3)
    equal(as_dict(c.call("CONFIG", "GET", "slowlog-max-len")), {b"slowlog-max-len": b"3"})
    for i in range(5):
        c.call("SET", "k", i)
    equal(c.call("SLOWLOG", "LEN"), 3)
    equal(c.call("COMMANDLOG", "LEN", "slow"), 3)
    [slow] = c.call("COMMANDLOG", "GET", 1, "slow")
    check(slow[2] < 10_000_000 and len(slow) == 6)
    equal(c.call("SLOWLOG", "RESET"), b"OK")
    text = "ERR type should be one of the following: slow, large-request, large-reply"
    for request in (("LEN", "x"), ("RESET", "x"), ("GET", 1, "x")):
        equal(c.call("COMMANDLOG", *request).text, text)
    equal(c.call("COMMANDLOG", "GET", -2, "slow").text,
          "ERR count should be greater than or equal to -1")
    check(isinstance(c.call("COMMANDLOG", "GET", "slow"), Error))
    check(c.call("COMMANDLOG", "HELP")[0].startswith(b"COMMANDLOG <subcommand>"))
