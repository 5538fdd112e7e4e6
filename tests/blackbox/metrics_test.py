# SPDX-License-Identifier: BSD-3-Clause
"""HTTP for those who watch: /metrics in Prometheus's text format, /health, /ready.

The format is checked by a strict parser below, which knows the rules of the linter that our names
might break; and by Debian's promtool where there is one. Its package (prometheus) would bring some
100 MB for this one check, so deps/ does not ask for it.
"""

import re
import shutil
import socket
import subprocess

from harness import ONCE, cairn_only, check, equal, eventually
from harness.server import free_port

MATRIX = ONCE

LABELS = re.compile(r'\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*"(?:,(?=[a-zA-Z_])|(?=\})))*\}')
SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)$')


def ask(port, request):
    """The answer to raw bytes: status, headers, body."""
    with socket.create_connection(("127.0.0.1", port), 60) as sock:
        sock.sendall(request)
        data = b""
        while chunk := sock.recv(65536):
            data += chunk
    head, _, body = data.decode().partition("\r\n\r\n")
    status, *lines = head.split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), body


def get(port, path):
    return ask(port, b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())


def parse(text):
    """{family: (type, {labels: value})}; fails on what Prometheus or its linter would refuse."""
    check(text.endswith("\n"), "the last line is cut")
    families, current = {}, None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            _, _, name, help_text = line.split(" ", 3)
            check(name not in families and help_text, "%s: a second time, or without help" % name)
            # "metric names should not contain abbreviated units", says promtool.
            check(not set(name.split("_")) & {"s", "ms", "sec", "secs", "kb", "mb", "pct"}, name)
            current = name
            families[name] = [None, {}]
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            check(name == current and kind in ("gauge", "counter"), line)
            check((kind == "counter") == name.endswith("_total"), "%s is a %s" % (name, kind))
            families[name][0] = kind
        else:
            found = SAMPLE.match(line)
            check(found is not None, "no sample: %r" % line)
            name, labels, value = found.groups()
            check(name == current and families[name][0], "%s: outside its family" % name)
            check(labels is None or LABELS.fullmatch(labels), line)
            check(labels not in families[name][1], "%s twice" % line)
            families[name][1][labels] = float(value)
    for name, (_, samples) in families.items():
        check(samples, "%s has no sample" % name)
    return families


def start(env, **directives):
    server = env.start(**{"metrics-port": free_port(), **directives})
    server.metrics_port = int(server.directives["metrics-port"])
    return server


@cairn_only("redis-server has no metrics port")
def test_metrics(env):
    server = start(env)
    with server.client() as c:
        for i in range(10):
            c.call("SET", "key-%d" % i, "v")
        c.call("SET", "leaving", "v", "EX", 1000)
        c.call("SELECT", 3)
        c.call("SET", "x", 'quote " and \\')
        c.call("LPUSH", "x", 1)  # WRONGTYPE
        status, headers, body = get(server.metrics_port, "/metrics")
    equal(status, 200)
    equal(headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
    equal(int(headers["Content-Length"]), len(body))
    families = parse(body)
    if promtool := shutil.which("promtool"):
        found = subprocess.run([promtool, "check", "metrics"], input=body, text=True,
                               capture_output=True)
        equal((found.returncode, found.stderr), (0, ""))

    def value(name, labels=None):
        return families["redis_" + name][1][labels]

    equal(value("up"), 1)
    equal(value("db_keys", '{db="db0"}'), 11)
    equal(value("db_keys_expiring", '{db="db0"}'), 1)
    equal(value("db_keys", '{db="db3"}'), 1)
    equal(value("commands_total", '{cmd="set"}'), 12)
    equal(value("commands_failed_calls_total", '{cmd="lpush"}'), 1)
    equal(value("errors_total", '{err="WRONGTYPE"}'), 1)
    check(value("connected_clients") >= 1)
    check(value("memory_used_bytes") > 100000)
    check(value("commands_processed_total") >= 13)
    for name in ("uptime_in_seconds", "memory_max_bytes", "net_input_bytes_total",
                 "keyspace_hits_total", "expired_keys_total", "evicted_keys_total",
                 "cpu_user_seconds_total", "connected_slaves", "aof_last_write_status"):
        check("redis_" + name in families, name + " is missing")
    check('role="master"' in list(families["redis_instance_info"][1])[0])


@cairn_only("redis-server has no metrics port")
def test_errors_that_scripts_word_spoil_no_scrape(env):
    server = start(env)
    with server.client() as c:
        for code in (b"A:count=1,x", b"B\xff\xc3(", b"C\"} 1", b"D#\\", b"A_count=1,x"):
            c.call("EVAL", b"return redis.error_reply(ARGV[1] .. ' x')", 0, code)
        info = c.call("INFO", "errorstats")
        check(b"errorstat_A_count=1,x:count=1\r\n" in info, info)
        families = parse(get(server.metrics_port, "/metrics")[2])
    errors = families["redis_errors_total"][1]
    for label in (r'{err="A_count=1,x"}', r'{err="B\\xff\\xc3("}', r'{err="C\"}"}'):
        check(label in errors, "%s is not in %r" % (label, errors))


@cairn_only("redis-server has no metrics port")
def test_health_ready_and_other_requests(env):
    server = start(env)
    port = server.metrics_port
    equal(get(port, "/health")[::2], (200, "ok\n"))
    equal(get(port, "/ready?verbose")[::2], (200, "ready\n"))
    equal(get(port, "/")[0], 404)
    equal(get(port, "/metricsx")[0], 404)
    equal(ask(port, b"POST /metrics HTTP/1.1\r\n\r\n")[0], 405)
    equal(ask(port, b"HEAD /health HTTP/1.0\r\n\r\n")[::2], (200, ""))
    equal(ask(port, b"GET /" + b"a" * 9000)[0], 431)
    # In pieces, and behind connections that say nothing.
    silent = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(20)]
    with socket.create_connection(("127.0.0.1", port), 60) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /health HTTP/1.1\r\n\r\n":
            sock.sendall(bytes([byte]))
        check(sock.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n"))
    for sock in silent:
        sock.close()
    with server.client() as c:  # nobody of these is a client
        eventually(lambda: c.call("CLIENT", "LIST").count(b"\n") == 1)


@cairn_only("redis-server has no metrics port")
def test_a_busy_script_holds_up_no_worker(env):
    server = start(env, busy_reply_threshold=100)
    with server.client() as c, server.client() as other:
        c.send("EVAL", "while true do end", 0)
        eventually(lambda: str(other.call("PING")).find("BUSY") >= 0)
        for _ in range(8):  # every worker's turn
            equal(get(server.metrics_port, "/metrics")[::2], (503, "busy running a script\n"))
            equal(get(server.metrics_port, "/ready")[::2], (503, "busy running a script\n"))
            equal(get(server.metrics_port, "/health")[0], 200)
        equal(other.call("SCRIPT", "KILL"), b"OK")
        c.read()
        eventually(lambda: get(server.metrics_port, "/metrics")[0] == 200)


@cairn_only("redis-server has no metrics port")
def test_too_many_connections_are_refused(env):
    server = start(env)
    held = [socket.create_connection(("127.0.0.1", server.metrics_port), 60) for _ in range(64)]

    def refused():
        try:
            return get(server.metrics_port, "/health")[0] == 503
        except (OSError, IndexError):  # the refusal may be lost to a reset
            return True

    def full():
        # One of those above may have been refused beside a request that just ended.
        held.append(socket.create_connection(("127.0.0.1", server.metrics_port), 60))
        return refused()
    eventually(full, 30)
    for sock in held:
        sock.close()
    eventually(lambda: not refused(), 30)


@cairn_only("redis-server has no metrics port")
def test_port_is_opened_and_closed_at_run_time(env):
    server = start(env)
    with server.client() as c:
        equal(c.call("CONFIG", "SET", "metrics-port", 0), b"OK")

        def closed():
            try:
                get(server.metrics_port, "/health")
                return False
            except (OSError, IndexError):
                return True
        eventually(closed, 30)
        equal(c.call("CONFIG", "SET", "metrics-port", server.metrics_port), b"OK")
        eventually(lambda: not closed(), 30)
