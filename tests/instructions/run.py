#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Instructions a request, counted by callgrind: they repeat where times on a shared machine do not.

    python3 -m instructions.run [--profile] [NAME ...]

Runs the optimised server (CAIRN_SERVER) under valgrind, sends each workload of bounds.txt on one
connection, sixteen requests a read, and compares what the server executed between a read's arrival
and its replies being complete (Client::OnData and all below it, no system calls, no timers) with
the bound noted there. More than 10 % above a bound fails: make the code faster, or, where the work
is worth it, write the new figure with the change that causes it. --profile prints where a
workload's instructions go; names pick workloads.

ECHO marks a workload's begin and end: callgrind dumps its counters, and zeroes them, whenever that
command's handler is entered. So nothing has to attach to the server.
"""

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from harness.server import flatten, free_port, server_binary

SLACK = 0.10
BATCH = 16
BATCHES = 250
START_SECONDS = 120
KEYS = 1000
COUNTED = "cairn::Client::OnData(*"
MARKED = "*::Echo(cairn::Context&)*"
BOUNDS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bounds.txt")

# name, request (or the commands of one); %k is one of KEYS keys, %i a rising number: so every run
# does the same work.
WORKLOADS = {
    "GET": ["GET", "string:%k"],
    "SET": ["SET", "string:%k", "v" * 32],
    "SET-new": ["SET", "fresh:%i", "v" * 32],
    "INCR": ["INCR", "counter:%k"],
    "LPUSH": ["LPUSH", "list", "element:%i"],
    "RPOP": ["RPOP", "list"],
    "SADD": ["SADD", "set", "member:%i"],
    "SPOP": ["SPOP", "set"],
    "HSET": ["HSET", "hash", "field:%i", "value"],
    "ZADD": ["ZADD", "zset", "%i", "member:%i"],
    "ZRANGE": ["ZRANGE", "zset", "500", "509"],
    "XADD": ["XADD", "stream", "*", "field", "value"],
    "PFADD": ["PFADD", "hll", "e%i"],
    "SETBIT": ["SETBIT", "bits:%k", "77", "1"],
    "PING": ["PING"],
    "EVAL": ["EVAL", "return redis.call('INCR', KEYS[1])", "1", "counter:%k"],
    # Without keys it takes all locks, and what it changes is remembered while it runs.
    "EVAL-all": ["EVAL", "return redis.call('INCR', ARGV[1])", "0", "counter:%k"],
    "EVAL-hash": ["EVAL", "return redis.call('HINCRBY', ARGV[1], 'n', 1)", "0", "hash:%k"],
    "EVAL-10": ["EVAL", "for i = 1, 10 do redis.call('SET', ARGV[1] .. i, 'v') end", "0",
                "string:%k"],
    "MULTI10": [["MULTI"], *[["INCR", "counter:%k"]] * 10, ["EXEC"]],
}
# What has to be there before a workload: that of another one, once for each of its own requests.
PREPARED_BY = {"GET": "SET", "RPOP": "LPUSH", "SPOP": "SADD", "ZRANGE": "ZADD"}


def encode(words, number):
    if isinstance(words[0], list):
        return b"".join(encode(command, number + i) for i, command in enumerate(words))
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        # 389 has no factor in common with KEYS: all keys come, in an order that is not theirs.
        text = word.replace("%k", "%06d" % (number * 389 % KEYS)).replace("%i", "%d" % number)
        out.append(b"$%d\r\n%s\r\n" % (len(text), text.encode()))
    return b"".join(out)


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), START_SECONDS)
        self.file = self.socket.makefile("rb")

    def reply(self):
        line = self.file.readline()
        if not line or line[:1] == b"-":
            raise SystemExit("unexpected reply: %r" % line)
        if line[:1] == b"$" and line[1:2] != b"-":
            self.file.read(int(line[1:]) + 2)
        elif line[:1] == b"*":
            for _ in range(int(line[1:])):
                self.reply()

    def says_that_it_loads(self):
        self.socket.sendall(encode(["PING"], 0))
        return self.file.readline().startswith(b"-LOADING")

    def send(self, words, first, batches):
        for batch in range(batches):
            at = first + batch * BATCH
            self.socket.sendall(b"".join(encode(words, at + i) for i in range(BATCH)))
            for _ in range(BATCH * (len(words) if isinstance(words[0], list) else 1)):
                self.reply()


def start(binary, folder):
    port = free_port()
    directives = {"port": port, "bind": "127.0.0.1", "dir": folder, "threads": 1,
                  "appendonly": "no", "save": "", "hz": 1}
    process = subprocess.Popen(
        ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=" + COUNTED,
         "--dump-before=" + MARKED, "--vgdb=no",
         "--callgrind-out-file=" + os.path.join(folder, "callgrind"),
         binary, *flatten(directives)],
        stdout=open(os.path.join(folder, "log"), "w"), stderr=subprocess.STDOUT)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            connection = Connection(port)
            while connection.says_that_it_loads():
                time.sleep(0.05)
            return process, connection
        except OSError:
            time.sleep(0.05)
    process.kill()
    raise SystemExit("the server did not start:\n" + open(os.path.join(folder, "log")).read())


def dump(connection, folder):
    """Ends the counting so far; the file that has it."""
    connection.socket.sendall(encode(["ECHO", "mark"], 0))
    connection.reply()
    numbers = [int(name.split(".")[1]) for name in os.listdir(folder)
               if re.match(r"callgrind\.\d+$", name)]
    if not numbers:
        raise SystemExit("callgrind knows no function " + MARKED)
    return os.path.join(folder, "callgrind.%d" % max(numbers))


def measure(connection, folder, name):
    """Instructions a request, and the file with the profile."""
    words, warm = WORKLOADS[name], KEYS // BATCH + 1  # every key and every buffer is there
    if name in PREPARED_BY:
        connection.send(WORKLOADS[PREPARED_BY[name]], 0, warm + BATCHES)
    connection.send(words, 0, warm)
    dump(connection, folder)
    connection.send(words, warm * BATCH, BATCHES)
    path = dump(connection, folder)
    total = int(re.search(r"^(?:totals|summary): (\d+)", open(path).read(), re.M).group(1))
    return total / (BATCH * BATCHES), path


def print_profile(path):
    """Exclusive figures by function, and by the file of what was inlined into it."""
    names, counts, function, source, called = {}, {}, "", "", False
    for line in open(path):
        match = re.match(r"(fn|fl|fi|fe|cfn|cfl|cfi)=(\(\d+\))(?: (.*))?$", line)
        if match:
            kind, number, name = match.groups()
            key = (kind.endswith("fn"), number)
            if name:
                names[key] = name
            if kind == "fn":
                function = names[key]
            elif kind in ("fl", "fi", "fe"):
                source = os.path.basename(names[key])
        elif line.startswith("calls="):
            called = True
        elif match := re.match(r"[+*-]?\d* ?(\d+)$", line):
            if not called:
                at = counts.setdefault(function, {})
                at[source] = at.get(source, 0) + int(match.group(1))
            called = False
    for function, parts in sorted(counts.items(), key=lambda item: -sum(item[1].values()))[:40]:
        shown = "  ".join("%s %.0f" % (source, count / (BATCH * BATCHES))
                          for source, count in sorted(parts.items(), key=lambda part: -part[1])[:6]
                          if count >= BATCH * BATCHES)
        print("  %7.1f  %-60s %s" % (sum(parts.values()) / (BATCH * BATCHES),
                                     function.replace("cairn::", "")[:60], shown))


def read_bounds():
    bounds = {}
    for line in open(BOUNDS):
        words = line.split("#")[0].split()
        if words:
            bounds[words[0]] = int(words[1])
    return bounds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    bounds = read_bounds()
    names = options.names or list(bounds)
    folder = tempfile.mkdtemp(prefix="cairn-instructions-")
    process, connection = start(server_binary(), folder)
    failed = 0
    try:
        for name in names:
            count, path = measure(connection, folder, name)
            bound = bounds.get(name, 0)
            wrong = bound and count > bound * (1 + SLACK)
            failed += bool(wrong)
            print("%-8s %6.0f instructions a request, bound %s%s"
                  % (name, count, bound or "none", "  TOO MANY" if wrong else ""), flush=True)
            if options.profile:
                print_profile(path)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)
    print("%d passed, %d failed" % (len(names) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
