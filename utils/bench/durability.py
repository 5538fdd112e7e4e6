#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What durability costs, Cairn beside the redis-server of this machine in one run.

    utils/bench/durability.py [--keys 1000000] [--only snapshot,load,journal,everysec,always,encrypted]

  snapshot  BGSAVE of keys of 16 bytes with values of 100 (half of it random), its memory beside the
            data set, and p99.9 of a steady client at rest and while it runs
  load      a start on that snapshot
  journal   a start on a log of the same SETs without a base
  everysec  CPU time of a SET -P 16 with appendonly no and with everysec
  always    SETs a second of 50 clients under appendfsync always
  encrypted the same as everysec and a BGSAVE with encryption-key-file, which redis-server has not

Neither server is pinned and Cairn has two threads. Times by the clock say little on a machine that
does something else; beside them stands the CPU time of the process and its children, which says how
much work it was. Prints a Markdown table; also build/durability.md.
"""
import argparse
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

import bench

KEY, VALUE_BYTES, BATCH = "key:%012d", 100, 1000


def command(name, *more):
    if name == "redis":
        return bench.redis("--enable-debug-command", "yes", *more)
    return lambda port, d: [os.path.join(bench.ROOT, "build/cairn-server"), "--port", str(port),
                            "--dir", d, "--threads", "2", "--save", "", *more]


class Server:
    """A server on a folder that stays between starts."""

    def __init__(self, name, *more):
        self.name, self.more = name, more
        self.dir = tempfile.mkdtemp(prefix="cairn-durability-")
        self.start()

    def start(self):
        """Starts and returns the seconds until it answers with data."""
        self.port = bench.free_port()
        begin = time.time()
        self.process = subprocess.Popen(command(self.name, *self.more)(self.port, self.dir),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                if self.ask("PING") == b"+PONG":
                    return time.time() - begin
            except OSError:
                pass
            if self.process.poll() is not None:
                raise RuntimeError(self.name + " ended")
            time.sleep(0.005)

    cpu = bench.Server.cpu

    def cpu_with_children(self):
        """CPU time of the process and of children that have ended."""
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return sum(int(field) for field in fields[11:15]) / bench.TICK

    def save(self):
        """A BGSAVE to its end; its seconds, and those of the CPU."""
        begin, cpu = time.time(), self.cpu_with_children()
        self.ask("BGSAVE")
        while self.info("rdb_bgsave_in_progress") != "0":
            time.sleep(0.005)
        return time.time() - begin, self.cpu_with_children() - cpu

    def ask(self, *words):
        with socket.create_connection(("127.0.0.1", self.port), 60) as s:
            s.sendall(encode(words))
            stream = s.makefile("rb")
            line = stream.readline().rstrip()
            if line[:1] == b"$" and line != b"$-1":
                return stream.read(int(line[1:]))
            return line

    def info(self, field):
        found = re.search(field.encode() + rb":([^\r]*)", self.ask("INFO", "everything"))
        return found.group(1).decode() if found else None

    def memory(self, what):
        text = open(f"/proc/{self.process.pid}/status").read()
        return int(re.search(what + r":\s+(\d+)", text).group(1)) * 1024

    def stop(self, sig=15):
        self.process.send_signal(sig)
        self.process.wait()

    def discard(self):
        self.stop(9)
        subprocess.run(["rm", "-rf", self.dir], check=False)


def encode(words):
    out = b"*%d\r\n" % len(words)
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        out += b"$%d\r\n%s\r\n" % (len(word), word)
    return out


def fill(server, keys):
    """All keys once, pipelined."""
    rng = random.Random(1)
    with socket.create_connection(("127.0.0.1", server.port)) as s:
        stream = s.makefile("rb")
        for first in range(0, keys, BATCH):
            count = min(BATCH, keys - first)
            noise = rng.randbytes(count * 25).hex()
            s.sendall(b"".join(encode(("SET", KEY % (first + i), noise[i * 50:i * 50 + 50] * 2))
                               for i in range(count)))
            for _ in range(count):
                stream.readline()


class Steady(threading.Thread):
    """GETs and SETs of one client at a fixed pace; how long each took, in ms."""

    def __init__(self, server, keys, per_second=2000):
        super().__init__(daemon=True)
        self.server, self.keys, self.pause = server, keys, 1 / per_second
        self.times, self.over = [], False

    def run(self):
        rng = random.Random(2)
        with socket.create_connection(("127.0.0.1", self.server.port)) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            due = time.perf_counter()
            while not self.over:
                key = KEY % rng.randrange(self.keys)
                request = encode(("GET", key) if rng.random() < 0.5
                                 else ("SET", key, "x" * VALUE_BYTES))
                # From when it was due: a pause of the server counts for all that waited.
                s.sendall(request)
                reply = s.recv(65536)
                while not reply.endswith(b"\n"):
                    reply += s.recv(65536)
                now = time.perf_counter()
                self.times.append((now - due) * 1000)
                due += self.pause
                if due > now:
                    time.sleep(due - now)

    def p999(self):
        return sorted(self.times)[int(len(self.times) * 0.999)]


def steady(server, keys, body):
    """p99.9 of the steady client while body() runs."""
    client = Steady(server, keys)
    client.start()
    body()
    client.over = True
    client.join()
    return client.p999()


def snapshot(server, keys, figures):
    figures["p99.9 at rest, ms"] = steady(server, keys, lambda: time.sleep(3))
    before = server.memory("VmRSS")
    with open(f"/proc/{server.process.pid}/clear_refs", "w") as f:
        f.write("5")  # VmHWM begins anew
    figures["p99.9 during BGSAVE, ms"] = steady(server, keys, server.save)
    extra = server.memory("VmHWM") - before
    extra += int(server.info("rdb_last_cow_size") or 0)
    figures["memory during BGSAVE, % of the data"] = 100 * extra / int(server.info("used_memory"))
    runs = [server.save() for _ in range(3)]
    figures["BGSAVE, s"] = min(run[0] for run in runs)
    figures["BGSAVE, CPU s"] = min(run[1] for run in runs)


def everysec(figures, name, requests):
    words = ["-t", "set", "-P", "16", "-c", "16", "-d", "100", "-r", "100000"]
    cost = {}
    for mode in ("no", "everysec"):
        more = ["--appendonly", "no"] if mode == "no" else ["--appendonly", "yes",
                                                            "--appendfsync", "everysec"]
        server = Server(name, *more, "--auto-aof-rewrite-percentage", "0")
        cost[mode] = min(bench.load(server, requests, words)[0] for _ in range(3))
        server.discard()
    figures["CPU us a SET -P 16, no log"] = cost["no"]
    figures["CPU us a SET -P 16, everysec"] = cost["everysec"]


def encrypted(figures, keys):
    with tempfile.NamedTemporaryFile("w", suffix=".keys") as ring:
        ring.write("bench " + os.urandom(32).hex() + "\n")
        ring.flush()
        words = ["-t", "set", "-P", "16", "-c", "16", "-d", "100", "-r", "100000"]
        for name, more in (("plain", []), ("encrypted", ["--encryption-key-file", ring.name])):
            server = Server("cairn", "--appendonly", "yes", "--auto-aof-rewrite-percentage", "0",
                            *more)
            figures["CPU us a SET -P 16, " + name] = min(bench.load(server, keys, words)[0]
                                                         for _ in range(3))
            fill(server, keys)
            figures["BGSAVE, CPU s, " + name] = min(server.save()[1] for _ in range(3))
            server.discard()


def always(figures, servers):
    rates = {name: [] for name in servers}
    for _ in range(5):
        for name, server in servers.items():
            words = ["-t", "set", "-c", "50", "-d", "32", "-r", "100000"]
            rates[name].append(bench.load(server, 20000, words)[1])
    for name, all_rates in rates.items():
        figures[name]["SETs a second, always, 50 clients"] = sorted(all_rates)[2]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys", type=int, default=1000000)
    parser.add_argument("--only", default="snapshot,load,journal,everysec,always,encrypted")
    options = parser.parse_args()
    wanted = options.only.split(",")
    figures = {"cairn": {}, "redis": {}}
    for name, row in figures.items():
        if "snapshot" in wanted or "load" in wanted:
            # Cairn without a journal writes what Redis reads; dump.rdb is loaded by both.
            server = Server(name, "--appendonly", "yes" if name == "cairn" else "no")
            fill(server, options.keys)
            snapshot(server, options.keys, row)
            server.stop()
            if "load" in wanted:
                row["start on the snapshot, s"] = server.start()
                row["start on the snapshot, CPU s"] = server.cpu()
            server.discard()
        if "journal" in wanted:
            server = Server(name, "--appendonly", "yes", "--auto-aof-rewrite-percentage", "0")
            fill(server, options.keys)
            server.stop()
            row["start on the log, s"] = server.start()
            row["start on the log, CPU s"] = server.cpu()
            server.discard()
        if "everysec" in wanted:
            everysec(row, name, options.keys)
    if "always" in wanted:
        servers = {n: Server(n, "--appendonly", "yes", "--appendfsync", "always") for n in figures}
        always(figures, servers)
        for server in servers.values():
            server.discard()
    if "encrypted" in wanted:
        encrypted(figures["cairn"], options.keys)
    lines = [f"{options.keys} keys of 16+100 bytes; load average "
             f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", "",
             "| figure | cairn | redis | cairn / redis |", "| --- | --- | --- | --- |"]
    for figure, ours in figures["cairn"].items():
        theirs = figures["redis"].get(figure)
        compared = f"{theirs:.2f} | {ours / (theirs or 1):.2f}" if theirs is not None else "- | -"
        lines.append(f"| {figure} | {ours:.2f} | {compared} |")
    table = "\n".join(lines)
    with open(os.path.join(bench.ROOT, "build/durability.md"), "w") as out:
        out.write(table + "\n")
    print(table)


if __name__ == "__main__":
    sys.exit(main())
