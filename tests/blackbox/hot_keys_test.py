# SPDX-License-Identifier: BSD-3-Clause
"""HOTKEYS, and what redis-cli finds by itself: --hotkeys, --bigkeys, --memkeys."""

import subprocess
import time

from harness import PROTOCOLS, Error, check, equal

MATRIX = PROTOCOLS


def report(c):
    """HOTKEYS GET as a dictionary, its key lists, too."""
    [answer] = c.call("HOTKEYS", "GET")
    fields = answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2]))
    fields = {name.decode(): value for name, value in fields.items()}
    for name, value in fields.items():
        if name.startswith("by-"):
            fields[name] = dict(zip(value[::2], value[1::2]))
    return fields


def fails(c, text, *words):
    answer = c.call("HOTKEYS", "START", *words)
    check(isinstance(answer, Error) and answer.text == b"ERR " + text.encode(), (words, answer))


def test_a_session(env):
    c = env.client(server=env.start())
    equal(c.call("HOTKEYS", "GET"), None)
    equal(c.call("HOTKEYS", "STOP"), None)
    equal(c.call("HOTKEYS", "RESET"), b"OK")
    equal(c.call("HOTKEYS", "START", "METRICS", 2, "CPU", "NET"), b"OK")
    fails(c, "hotkey tracking session already in progress", "METRICS", 1, "CPU")
    equal(c.call("HOTKEYS", "RESET").text,
          "ERR hotkey tracking session in progress, stop tracking first")
    for i in range(20):
        c.call("SET", "hot", "x" * 1000)
        c.call("GET", "cold%d" % i)
        c.call("PING")
    fields = report(c)
    equal(fields["tracking-active"], 1)
    equal(fields["sample-ratio"], 1)
    equal(fields["selected-slots"], [[0, 16383]])
    check(abs(fields["collection-start-time-unix-ms"] / 1000 - time.time()) < 60)
    check(0 <= fields["collection-duration-ms"] < 60_000)
    check(fields["total-cpu-time-user-ms"] + fields["total-cpu-time-sys-ms"] >= 0)
    for metric in "by-cpu-time-us", "by-net-bytes":
        check(len(fields[metric]) == 10, fields[metric])
    equal(next(iter(fields["by-net-bytes"])), b"hot")
    hot = fields["by-net-bytes"][b"hot"]
    check(20 * 1000 < hot < 20 * 1100, hot)
    check(hot < fields["total-net-bytes"] == fields["net-bytes-all-commands-all-slots"])
    check(fields["all-commands-all-slots-us"] >= fields["by-cpu-time-us"].get(b"hot", 0))
    equal(c.call("HOTKEYS", "STOP"), b"OK")
    c.call("SET", "after", "x" * 100_000)
    stopped = report(c)
    equal(stopped["tracking-active"], 0)
    equal(stopped["by-net-bytes"], fields["by-net-bytes"])
    equal(c.call("HOTKEYS", "RESET"), b"OK")
    equal(c.call("HOTKEYS", "GET"), None)


def test_fields_follow_the_metrics(env):
    c = env.c
    for metrics, present in (["CPU"], {"by-cpu-time-us", "total-cpu-time-user-ms",
                                       "total-cpu-time-sys-ms"}), \
                            (["NET"], {"by-net-bytes", "total-net-bytes"}), \
                            (["size"], {"by-size-bytes"}):
        equal(c.call("HOTKEYS", "START", "METRICS", 1, *metrics, "SAMPLE", 7), b"OK")
        equal(c.call("HOTKEYS", "STOP"), b"OK")
        fields = report(c)
        equal(fields["sample-ratio"], 7)
        equal(set(fields) - {
            "tracking-active", "sample-ratio", "selected-slots", "all-commands-all-slots-us",
            "net-bytes-all-commands-all-slots", "collection-start-time-unix-ms",
            "collection-duration-ms"}, present)
    equal(c.call("HOTKEYS", "START", "METRICS", 2, "GPU", "CPU"), b"OK")  # as in Redis
    equal(c.call("HOTKEYS", "STOP"), b"OK")
    equal(c.call("HOTKEYS", "RESET"), b"OK")


def test_what_start_refuses(env):
    c = env.c
    count = "METRICS count must be > 0 and <= 3"
    mismatch = "METRICS count does not match number of metric types provided"
    nothing = "METRICS no valid metrics passed. Supported: CPU|NET|SIZE"
    fails(c, "METRICS parameter is required")
    fails(c, "METRICS parameter is required", "METRICS")
    fails(c, "METRICS parameter is required", "COUNT", 1, "METRICS", 1, "CPU")
    for number in 0, -1, 4, "x":
        fails(c, count, "METRICS", number, "CPU")
    fails(c, mismatch, "METRICS", 2, "CPU")
    fails(c, mismatch, "METRICS", 1)
    fails(c, "syntax error", "METRICS", 1, "CPU", "NET")
    fails(c, nothing, "METRICS", 1, "GPU")
    fails(c, nothing, "METRICS", 2, "GPU", "NYET")
    fails(c, "METRICS CPU defined more than once!", "METRICS", 2, "CPU", "CPU")
    fails(c, "METRICS NET defined more than once!", "METRICS", 2, "NET", "net")
    start = ["METRICS", 1, "CPU"]
    for k in 0, 65, "x":
        fails(c, "COUNT must be between 1 and 64", *start, "COUNT", k)
    for seconds in 0, 1_000_001, "x":
        fails(c, "DURATION must be between 1 and 1000000", *start, "DURATION", seconds)
    for ratio in 0, -1, 2**31, "x":
        fails(c, "SAMPLE ratio must be positive", *start, "SAMPLE", ratio)
    fails(c, "SLOTS parameter cannot be used in non-cluster mode", *start, "SLOTS", 2, 0, 5)
    fails(c, "syntax error", *start, "COUNT")
    fails(c, "syntax error", *start, "NOSUCH", 1)
    equal(c.call("HOTKEYS", "GET"), None)
    check(isinstance(c.call("HOTKEYS", "GET", "x"), Error))
    check(isinstance(c.call("EVAL", "return redis.call('hotkeys', 'get')", 0), Error))


def test_it_ends_by_itself(env):
    c = env.c
    equal(c.call("HOTKEYS", "START", "METRICS", 1, "NET", "DURATION", 1), b"OK")
    deadline = time.time() + 60
    while report(c)["tracking-active"] and time.time() < deadline:
        time.sleep(0.05)
    fields = report(c)
    equal(fields["tracking-active"], 0)
    equal(fields["collection-duration-ms"], 1000)
    equal(c.call("HOTKEYS", "STOP"), None)
    equal(c.call("HOTKEYS", "START", "METRICS", 1, "NET"), b"OK")
    equal(c.call("HOTKEYS", "STOP"), b"OK")
    equal(c.call("HOTKEYS", "RESET"), b"OK")


def test_scripts_and_transactions(env):
    c = env.c
    equal(c.call("HOTKEYS", "START", "METRICS", 2, "NET", "SIZE", "COUNT", 64), b"OK")
    script = "redis.call('set', KEYS[1], ARGV[1]) redis.call('set', KEYS[2], 1)"
    c.call("EVAL", script, 2, "big", "small", "x" * 20_000)
    c.call("MULTI")
    c.call("SET", "queued", "x" * 500)
    c.call("EVAL", script, 2, "inner1", "inner2", "x")
    c.call("EXEC")
    c.call("SET", "gone", "x" * 500)
    c.call("DEL", "gone")
    fields = report(c)
    equal(set(fields["by-net-bytes"]),
          {b"big", b"small", b"queued", b"inner1", b"inner2", b"gone"})
    sizes = fields["by-size-bytes"]
    equal(list(sizes)[:2], [b"big", b"queued"])
    check(20_000 < sizes[b"big"] < 40_000 and b"gone" not in sizes, sizes)
    equal(sizes[b"big"], c.call("MEMORY", "USAGE", "big"))
    equal(c.call("HOTKEYS", "STOP"), b"OK")
    equal(c.call("HOTKEYS", "RESET"), b"OK")


def test_many_keys_from_many_connections(env):
    """Twenty keys take half the bytes; the other half is spread over thousands."""
    c = env.c
    clients = [env.client() for _ in range(4)]
    equal(c.call("HOTKEYS", "START", "METRICS", 2, "CPU", "NET", "COUNT", 20), b"OK")
    for n in range(100):
        for client in clients:
            client.pipeline([("SET", "hot%d" % i, "x") for i in range(20)] +
                            [("SET", "cold%d-%d" % (n, i), "x") for i in range(20)])
    equal(c.call("HOTKEYS", "STOP"), b"OK")
    hot = {b"hot%d" % i for i in range(20)}
    fields = report(c)
    equal(set(fields["by-net-bytes"]), hot)
    for value in fields["by-net-bytes"].values():
        check(value >= 380 * 30, fields["by-net-bytes"])
    equal(c.call("HOTKEYS", "RESET"), b"OK")


def run_cli(server, *words):
    return subprocess.run(["redis-cli", "-p", str(server.port), *words], capture_output=True,
                          text=True, timeout=120, check=True).stdout


def test_redis_cli_finds_keys(env):
    server = env.start(maxmemory_policy="allkeys-lfu")
    c = env.client(server=server)
    for i in range(50):
        c.call("SET", "s%d" % i, "x")
        c.call("RPUSH", "l%d" % i, "x")
    c.call("SET", "longest", "x" * 10_000)
    c.call("RPUSH", "list", *["y"] * 300)
    c.call("HSET", "hash", *["f"] * 20)
    c.call("XADD", "stream", "*", "a", "b")
    for _ in range(2000):
        c.call("GET", "s7")
    out = run_cli(server, "--bigkeys")
    check("""'"longest"' has 10000 bytes""" in out, out)
    check("""'"list"' has 300 items""" in out and """'"hash"' has 1 fields""" in out, out)
    out = run_cli(server, "--memkeys")
    check("""'"longest"' has 1""" in out, out)
    out = run_cli(server, "--hotkeys")
    check("hot key found with counter:" in out and 'keyname: "s7"' in out, out)
