#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How long it takes until keys that expire at one moment are gone, and what others notice of it.

One worker thread. From the moment on DBSIZE is asked every 20 ms, and another client sends PING after
PING; prints the time until only the keys without a time are left, and the median, 99th percentile and longest of the PINGs
meanwhile, for Cairn and for the machine's redis-server.

    utils/bench/mass_expiry.py [--keys 300000] [--servers cairn,redis]
"""
import argparse
import threading
import time

from bench import Server, cairn, free_port, redis
from stall import Client


def fill(client, keys, at_ms):
    """Beside them as many keys as these that stay."""
    step = 500
    for start in range(0, keys, step):
        for n in range(start, start + step):
            client.send("SET", "due:%d" % n, "value:%d" % n, "PXAT", at_ms)
            client.send("SET", "stays:%d" % n, "value:%d" % n)
        for _ in range(2 * step):
            client.line_of()


class LineClient(Client):
    """One that reads ahead: many short replies."""

    def __init__(self, port):
        super().__init__(port)
        self.reader = self.socket.makefile("rb")

    def line_of(self):
        return self.reader.readline()


def measure(server, keys):
    client, pinger = LineClient(server.port), LineClient(server.port)
    at_ms = int(time.time() * 1000) + 4000 + keys // 20
    fill(client, keys, at_ms)
    waits, stop = [], threading.Event()

    def ping():
        while not stop.is_set():
            start = time.perf_counter()
            pinger.send("PING")
            pinger.line_of()
            waits.append(time.perf_counter() - start)
            time.sleep(0.0005)

    time.sleep(max(0, at_ms / 1000 - time.time()))
    thread = threading.Thread(target=ping)
    thread.start()
    start = time.perf_counter()
    while True:
        client.send("DBSIZE")
        if int(client.line_of()[1:]) <= keys:
            break
        time.sleep(0.02)
    elapsed = time.perf_counter() - start
    stop.set()
    thread.join()
    waits.sort()
    return elapsed, waits[len(waits) // 2], waits[len(waits) * 99 // 100], waits[-1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys", type=int, default=300_000)
    parser.add_argument("--servers", default="cairn,redis")
    options = parser.parse_args()
    print("| server | until all are gone, s | PING median ms | p99 ms | longest ms |")
    print("| --- | --- | --- | --- | --- |")
    for name, command in (("cairn", cairn()), ("redis", redis())):
        if name not in options.servers.split(","):
            continue
        server = Server(name, command, free_port())
        try:
            elapsed, median, p99, longest = measure(server, options.keys)
        finally:
            server.stop()
        print("| %s | %.2f | %.2f | %.2f | %.2f |" % (
            name, elapsed, median * 1e3, p99 * 1e3, longest * 1e3), flush=True)


if __name__ == "__main__":
    main()
