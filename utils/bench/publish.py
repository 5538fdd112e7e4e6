#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""PUBLISH to many subscribers: what it costs, and how long it keeps others waiting.

`cost` (a row of bench.py) is the server's CPU a PUBLISH to 100 subscribers. Run by itself it also
measures, with 10,000 subscribers on one channel, how long PUBLISH takes to be answered and how long
another client's PING waits at most meanwhile: Cairn with one and two threads, and redis-server.

    utils/bench/publish.py [--subscribers 10000] [--messages 50] [--requests 20000]
"""
import argparse
import os
import resource
import select
import signal
import socket
import threading
import time

CHANNEL = "news"


class Subscribers:
    """A process with this many connections that reads and forgets what they get."""

    def __init__(self, port, count):
        ready, told = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self.listen(port, count, told)
        os.close(told)
        if os.read(ready, 1) != b"r":
            raise RuntimeError("the subscribers did not connect")
        os.close(ready)

    @staticmethod
    def listen(port, count, told):
        cores = set(range(1, os.cpu_count()))
        if cores:
            os.sched_setaffinity(0, cores)
        poll, sockets = select.epoll(), {}
        for _ in range(count):
            s = socket.create_connection(("127.0.0.1", port))
            s.sendall(b"*2\r\n$9\r\nSUBSCRIBE\r\n$%d\r\n%s\r\n" % (len(CHANNEL), CHANNEL.encode()))
            s.recv(1000)
            sockets[s.fileno()] = s
            poll.register(s, select.EPOLLIN)
        os.write(told, b"r")
        while True:
            for fd, _ in poll.poll():
                sockets[fd].recv(1 << 16)

    def stop(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def cost(server, requests, load):
    """(CPU microseconds a PUBLISH to 100 subscribers, PUBLISHes a second)"""
    subscribers = Subscribers(server.port, 100)
    try:
        return load(server, requests, ["-c", "10", "PUBLISH", CHANNEL, "x" * 32])
    finally:
        subscribers.stop()


def stall(server, subscribers, messages):
    """(median and longest milliseconds of a PUBLISH, longest of a PING meanwhile)"""
    from stall import Client
    crowd = Subscribers(server.port, subscribers)
    try:
        client, pinger = Client(server.port), Client(server.port)
        longest, over = [0.0], threading.Event()

        def ping():
            while not over.is_set():
                start = time.perf_counter()
                pinger.send("PING")
                pinger.line()
                longest[0] = max(longest[0], time.perf_counter() - start)

        thread = threading.Thread(target=ping)
        thread.start()
        times = []
        for _ in range(messages):
            start = time.perf_counter()
            client.send("PUBLISH", CHANNEL, "x" * 32)
            client.line()
            times.append(time.perf_counter() - start)
        over.set()
        thread.join()
        return sorted(times)[len(times) // 2] * 1e3, max(times) * 1e3, longest[0] * 1e3
    finally:
        crowd.stop()


def main():
    from bench import Server, cairn, free_port, load, redis
    parser = argparse.ArgumentParser()
    parser.add_argument("--subscribers", type=int, default=10000)
    parser.add_argument("--messages", type=int, default=50)
    parser.add_argument("--requests", type=int, default=20000)
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, options.subscribers + 500)), hard))
    crowd = ["--maxclients", str(options.subscribers + 100)]
    for name, command, pinned in (("cairn, 1 thread", cairn(*crowd), True),
                                  ("cairn, 2 threads", cairn("--threads", "2", *crowd), False),
                                  ("redis", redis(*crowd), True)):
        server = Server(name, command, free_port())
        try:
            if not pinned:
                os.sched_setaffinity(server.process.pid, range(os.cpu_count()))
            microseconds, rate = cost(server, options.requests, load)
            print(f"{name}: {microseconds:.1f} us CPU a PUBLISH to 100 subscribers, {rate:.0f}/s")
            figures = stall(server, options.subscribers, options.messages)
            print("%s: to %d subscribers: PUBLISH %.1f ms (longest %.1f), longest PING %.1f ms"
                  % (name, options.subscribers, *figures), flush=True)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
