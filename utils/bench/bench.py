#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Cairn beside the redis-server of this machine, in one run, interleaved A B A B.

One worker thread is pinned to the first core, redis-benchmark runs on the others. For each
workload it reports the server's CPU time a request (/proc/PID/stat), the throughput and the
ratio of both to redis-server's, medians over the rounds; then memory a key and the rate of
appendfsync always. Prints a Markdown table and writes it to build/bench.md and build/bench.csv.

    utils/bench/bench.py [--rounds 3] [--requests 400000] [--only TEXT] [--keys 1000000]
"""
import argparse
import csv
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from publish import cost

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A server pinned to one core, stopped by its process id."""

    def __init__(self, name, command, port):
        self.name, self.port = name, port
        self.dir = tempfile.mkdtemp(prefix="cairn-bench-")
        self.process = subprocess.Popen(
            ["taskset", "-c", "0"] + command(port, self.dir),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(name + " did not start")

    def cpu(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def rss(self):
        text = open(f"/proc/{self.process.pid}/status").read()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) * 1024

    def call(self, *words):
        out = subprocess.run(["redis-cli", "-p", str(self.port), *words], capture_output=True)
        return out.stdout.decode().strip()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def cairn(*more):
    return lambda port, d: [os.path.join(ROOT, "build/cairn-server"), "--port", str(port), "--dir",
                            d, "--threads", "1", "--appendonly", "no", "--save", "", *more]


def redis(*more):
    return lambda port, d: ["redis-server", "--port", str(port), "--dir", d, "--save", "", *more]


def floor(port, d):
    return [os.path.join(ROOT, "build/echo-floor"), str(port)]


def load(server, requests, words):
    """Runs redis-benchmark; returns (CPU microseconds a request, requests a second)."""
    cores = ",".join(str(c) for c in range(1, os.cpu_count())) or "0"
    before, start = server.cpu(), time.time()
    subprocess.run(["taskset", "-c", cores, "redis-benchmark", "-p", str(server.port), "-q", "-n",
                    str(requests), *words], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    elapsed = time.time() - start
    return (server.cpu() - before) * 1e6 / requests, requests / elapsed


INCR_SCRIPT = ["EVAL", "return redis.call('INCR', KEYS[1])", "1", "script:__rand_int__"]

# name, preparation (redis-cli words or benchmark words), benchmark words, share of --requests
WORKLOADS = [
    ("SET -P 16", None, ["-t", "set", "-P", "16", "-d", "32", "-r", "100000"], 4),
    ("GET -P 16", None, ["-t", "get", "-P", "16", "-d", "32", "-r", "100000"], 4),
    ("INCR -P 16", None, ["-t", "incr", "-P", "16", "-r", "100000"], 4),
    ("MSET (10) -P 16", None, ["-t", "mset", "-P", "16", "-r", "100000"], 1),
    ("SET", None, ["-t", "set", "-d", "32", "-r", "100000"], 1),
    ("GET", None, ["-t", "get", "-d", "32", "-r", "100000"], 1),
    ("LPUSH -P 16", None, ["-t", "lpush", "-P", "16"], 4),
    ("RPOP -P 16", None, ["-t", "rpop", "-P", "16"], 4),
    ("LRANGE_100 -P 16", None, ["-t", "lrange_100", "-P", "16"], 0.25),
    ("SADD -P 16", None, ["-t", "sadd", "-P", "16", "-r", "1000000"], 4),
    ("SPOP -P 16", None, ["-t", "spop", "-P", "16", "-r", "1000000"], 4),
    ("HSET -P 16", None, ["-t", "hset", "-P", "16", "-r", "1000000"], 4),
    ("HGETALL (20) -P 16", ["HSET", "h20"] + [w for i in range(20) for w in (f"field{i}", f"value{i}")],
     ["-P", "16", "HGETALL", "h20"], 1),
    ("ZADD -P 16", None, ["-t", "zadd", "-P", "16", "-r", "1000000"], 4),
    ("ZRANGE 0 9 -P 16", None, ["-P", "16", "ZRANGE", "myzset", "500", "509"], 2),
    ("ZRANK -P 16", None, ["-P", "16", "-r", "1000000", "ZRANK", "myzset", "element:__rand_int__"], 2),
    ("XADD -P 16", None, ["-P", "16", "XADD", "mystream", "*", "field", "value"], 2),
    ("PFADD -P 16", None, ["-P", "16", "-r", "1000000", "PFADD", "hll", "e__rand_int__"], 2),
    ("EVAL (INCR)", None, ["-r", "100000", *INCR_SCRIPT], 0.5),
    ("EVAL (INCR) -P 16", None, ["-P", "16", "-r", "100000", *INCR_SCRIPT], 2),
    ("SETBIT -P 16", None, ["-P", "16", "-r", "1000", "SETBIT", "bits:__rand_int__", "77", "1"], 2),
]


def compare(rows, options):
    names = {"cairn": cairn(), "redis": redis()}
    servers = {n: Server(n, c, free_port()) for n, c in names.items()}
    base = Server("floor", floor, free_port())
    try:
        for title, prepare, words, share in WORKLOADS:
            if options.only and options.only.lower() not in title.lower():
                continue
            if prepare:
                for server in servers.values():
                    server.call(*prepare)
            requests = int(options.requests * share)
            figures = {n: [] for n in servers}
            for _ in range(options.rounds):
                for name, server in servers.items():
                    figures[name].append(load(server, requests, words))
            cpu = {n: statistics.median(f[0] for f in fs) for n, fs in figures.items()}
            rate = {n: statistics.median(f[1] for f in fs) for n, fs in figures.items()}
            row = {"workload": title, "cairn_us": cpu["cairn"], "redis_us": cpu["redis"],
                   "cpu_ratio": cpu["cairn"] / cpu["redis"], "cairn_per_s": rate["cairn"],
                   "redis_per_s": rate["redis"]}
            if title in ("SET", "GET"):
                row["floor_us"] = load(base, requests, words)[0]
            rows.append(row)
            print(f"{title}: cairn {cpu['cairn']:.2f} us, redis {cpu['redis']:.2f} us, "
                  f"ratio {row['cpu_ratio']:.2f}"
                  + (f", floor {row['floor_us']:.2f} us" if "floor_us" in row else ""), flush=True)
    finally:
        for server in (*servers.values(), base):
            server.stop()


def fill(server, keys):
    """`keys` string keys of 16 bytes with values of 32 bytes, through redis-cli --pipe."""
    pipe = subprocess.Popen(["redis-cli", "-p", str(server.port), "--pipe"],
                            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    value = b"v" * 32
    batch = []
    for i in range(keys):
        batch.append(b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$32\r\n%b\r\n" % (i, value))
        if len(batch) == 1000:
            pipe.stdin.write(b"".join(batch))
            batch.clear()
    pipe.stdin.write(b"".join(batch))
    pipe.stdin.close()
    pipe.wait()


def memory(rows, options):
    used = {}
    for name, command in (("cairn", cairn()), ("redis", redis())):
        server = Server(name, command, free_port())
        try:
            before = server.rss()
            fill(server, options.keys)
            used[name] = (server.rss() - before) / options.keys
        finally:
            server.stop()
    rows.append({"workload": f"bytes a key, {options.keys} keys of 16+32", "cairn_us": used["cairn"],
                 "redis_us": used["redis"], "cpu_ratio": used["cairn"] / used["redis"]})
    print(f"bytes a key: cairn {used['cairn']:.1f}, redis {used['redis']:.1f}, "
          f"ratio {used['cairn'] / used['redis']:.2f}", flush=True)


def always(rows, options):
    rate = {}
    for name, command in (("cairn", cairn("--appendonly", "yes", "--appendfsync", "always")),
                          ("redis", redis("--appendonly", "yes", "--appendfsync", "always"))):
        server = Server(name, command, free_port())
        try:
            rate[name] = statistics.median(
                load(server, 20000, ["-t", "set", "-c", "50", "-d", "32", "-r", "100000"])[1]
                for _ in range(options.rounds))
        finally:
            server.stop()
    rows.append({"workload": "appendfsync always, 50 clients, SETs a second",
                 "cairn_per_s": rate["cairn"], "redis_per_s": rate["redis"],
                 "cpu_ratio": rate["redis"] / rate["cairn"]})
    print(f"always: cairn {rate['cairn']:.0f}/s, redis {rate['redis']:.0f}/s", flush=True)


def run_transactions(server, count, pipeline, clients=20):
    """CPU microseconds of a MULTI with ten INCR, each in one write with `pipeline - 1` others."""
    incr = b"".join(b"*2\r\n$4\r\nINCR\r\n$6\r\nmulti%d\r\n" % i for i in range(10))
    request = b"*1\r\n$5\r\nMULTI\r\n" + incr + b"*1\r\n$4\r\nEXEC\r\n"
    lines = pipeline * (1 + 10 + 1 + 10)
    sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(clients)]
    before, done = server.cpu(), 0
    while done < count:
        for s in sockets:
            s.sendall(request * pipeline)
        for s in sockets:
            got = 0
            while got < lines:
                got += s.recv(1 << 18).count(b"\n")
        done += pipeline * clients
    for s in sockets:
        s.close()
    return (server.cpu() - before) * 1e6 / done


def transactions(rows, options):
    servers = {n: Server(n, c, free_port()) for n, c in (("cairn", cairn()), ("redis", redis()))}
    try:
        for title, pipeline in (("MULTI (10 INCR)", 1), ("MULTI (10 INCR) -P 16", 16)):
            figures = {n: [] for n in servers}
            for _ in range(options.rounds):
                for name, server in servers.items():
                    figures[name].append(run_transactions(server, options.requests // 8, pipeline))
            ours, theirs = (statistics.median(figures[n]) for n in servers)
            rows.append({"workload": title, "cairn_us": ours, "redis_us": theirs,
                         "cpu_ratio": ours / theirs})
            print(f"{title}: cairn {ours:.2f} us, redis {theirs:.2f} us, ratio {ours / theirs:.2f}",
                  flush=True)
    finally:
        for server in servers.values():
            server.stop()


def publish(rows, options):
    figures = {}
    for name, command in (("cairn", cairn()), ("redis", redis())):
        server = Server(name, command, free_port())
        try:
            runs = [cost(server, options.requests // 20, load) for _ in range(options.rounds)]
            figures[name] = [statistics.median(run[i] for run in runs) for i in (0, 1)]
        finally:
            server.stop()
    (ours, our_rate), (theirs, their_rate) = figures["cairn"], figures["redis"]
    rows.append({"workload": "PUBLISH to 100 subscribers", "cairn_us": ours, "redis_us": theirs,
                 "cpu_ratio": ours / theirs, "cairn_per_s": our_rate, "redis_per_s": their_rate})
    print(f"PUBLISH to 100: cairn {ours:.2f} us, redis {theirs:.2f} us, ratio {ours / theirs:.2f}",
          flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=400000)
    parser.add_argument("--keys", type=int, default=1000000)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    subprocess.run(["g++", "-O2", "-std=c++20", "-o", os.path.join(ROOT, "build/echo-floor"),
                    os.path.join(ROOT, "utils/bench/echo_floor.cc")], check=True)
    rows = []
    compare(rows, options)
    if not options.only or options.only == "multi":
        transactions(rows, options)
    if not options.only or options.only == "publish":
        publish(rows, options)
    if not options.only or options.only == "memory":
        memory(rows, options)
    if not options.only or options.only == "always":
        always(rows, options)
    fields = ["workload", "cairn_us", "redis_us", "cpu_ratio", "floor_us", "cairn_per_s", "redis_per_s"]
    with open(os.path.join(ROOT, "build/bench.csv"), "w") as out:
        writer = csv.DictWriter(out, fields)
        writer.writeheader()
        writer.writerows(rows)
    lines = ["| workload | cairn us | redis us | ratio | cairn/s | redis/s |",
             "| --- | --- | --- | --- | --- | --- |"]
    for r in rows:
        lines.append("| {} | {} | {} | {:.2f} | {} | {} |".format(
            r["workload"], f"{r['cairn_us']:.2f}" if "cairn_us" in r else "",
            f"{r['redis_us']:.2f}" if "redis_us" in r else "", r["cpu_ratio"],
            f"{r['cairn_per_s']:.0f}" if "cairn_per_s" in r else "",
            f"{r['redis_per_s']:.0f}" if "redis_per_s" in r else ""))
    table = "\n".join(lines)
    with open(os.path.join(ROOT, "build/bench.md"), "w") as out:
        out.write(table + "\n")
    print(table)


if __name__ == "__main__":
    sys.exit(main())
