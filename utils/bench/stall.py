#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How long a client waits while a collection of many elements is deleted or overwritten.

One worker thread; one client deletes, another sends PING after PING. Prints for each type the
time of the DEL itself and the longest PING from then until the memory is free again, for Cairn and
for the machine's redis-server. On a busy machine the scheduler shows in these figures too.

    utils/bench/stall.py [--elements 10000000] [--only set]
"""
import argparse
import socket
import threading
import time

from bench import Server, cairn, free_port, redis


class Client:
    """Just enough RESP: sends bytes, reads that many bytes of reply."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, *words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self.socket.sendall(b"*%d\r\n" % len(words)
                            + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words))

    def line(self):
        text = b""
        while not text.endswith(b"\r\n"):
            text += self.socket.recv(1 if text else 4096)
        return text


def fill(client, kind, elements):
    step = 1000
    for start in range(0, elements, step):
        numbers = range(start, start + step)
        if kind == "hash":
            client.send("HSET", "big", *(w for n in numbers for w in (b"f%d" % n, b"v%d" % n)))
        elif kind == "zset":
            client.send("ZADD", "big", *(w for n in numbers for w in (n, b"m%d" % n)))
        else:
            client.send({"set": "SADD", "list": "RPUSH"}[kind], "big",
                        *(b"element:%d" % n for n in numbers))
        client.line()


def measure(server, kind, elements):
    """(milliseconds of DEL, longest PING in milliseconds)"""
    client, pinger = Client(server.port), Client(server.port)
    fill(client, kind, elements)
    longest, stop = [0.0], threading.Event()

    def ping():
        while not stop.is_set():
            start = time.perf_counter()
            pinger.send("PING")
            pinger.line()
            longest[0] = max(longest[0], time.perf_counter() - start)

    thread = threading.Thread(target=ping)
    thread.start()
    time.sleep(0.2)
    longest[0] = 0.0
    start = time.perf_counter()
    client.send("DEL", "big")
    client.line()
    deleted = time.perf_counter() - start
    while "lazyfree_pending_objects:0" not in server.call("INFO", "memory"):
        time.sleep(0.01)
    stop.set()
    thread.join()
    return deleted * 1e3, longest[0] * 1e3


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--elements", type=int, default=10_000_000)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    print("| type | elements | DEL cairn ms | PING cairn ms | DEL redis ms | PING redis ms |")
    print("| --- | --- | --- | --- | --- | --- |")
    for kind in ("set", "hash", "zset", "list"):
        if options.only not in kind:
            continue
        row = []
        for name, command in (("cairn", cairn()), ("redis", redis())):
            server = Server(name, command, free_port())
            try:
                row += measure(server, kind, options.elements)
            finally:
                server.stop()
        print("| {} | {:,} | {:.2f} | {:.2f} | {:.2f} | {:.2f} |".format(
            kind, options.elements, *row), flush=True)


if __name__ == "__main__":
    main()
