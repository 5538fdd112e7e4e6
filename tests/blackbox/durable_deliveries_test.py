# SPDX-License-Identifier: BSD-3-Clause
"""Under `appendfsync always` nobody hears of a change that is not durable: not who sent it, not who
reads it, not the client that a BLPOP serves, no subscriber, no client-side cache.

A small library in front of the C library's fdatasync holds the disk for as long as a file exists.
Under `everysec` the same steps are seen at once, disk or no disk, which shows that the test can
tell.
"""

import os
import shutil
import subprocess
import tempfile

from harness import (ONCE, cairn_only, check, equal, eventually, limit, matrix, skip)

MATRIX = ONCE

LIBRARY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
static int held(int fd, const char* name) {
  const char* path = getenv("HOLD_SYNC");
  while (path != NULL && access(path, F_OK) == 0) usleep(1000);
  return ((int (*)(int))dlsym(RTLD_NEXT, name))(fd);
}
int fsync(int fd) { return held(fd, "fsync"); }
int fdatasync(int fd) { return held(fd, "fdatasync"); }
"""


def hold_library(folder):
    source, library = os.path.join(folder, "hold.c"), os.path.join(folder, "hold.so")
    with open(source, "w", encoding="utf-8") as file:
        file.write(LIBRARY)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


class Scene:
    """A server with a disk that can be held, and everybody who could hear of a write too early."""

    def __init__(self, env, folder, library, policy):
        self.hold = os.path.join(folder, "hold-" + policy)
        server = env.start(appendonly="yes", appendfsync=policy, notify_keyspace_events="KEA",
                           environment={"LD_PRELOAD": library, "HOLD_SYNC": self.hold})
        self.control, self.writer = env.client(2, server), env.client(2, server)
        self.served, self.moved = env.client(2, server), env.client(2, server)
        self.served.send("BLPOP", "jobs", 0)
        self.moved.send("BLMOVE", "src", "dst", "LEFT", "LEFT", 0)
        eventually(lambda: b"blocked_clients:2\r" in self.control.call("INFO", "clients"))
        self.subscriber = env.client(2, server)
        self.subscriber.call("SUBSCRIBE", "news")
        self.events = env.client(2, server)
        self.events.call("PSUBSCRIBE", "__keyevent@0__:*")
        self.cacher = env.client(3, server)
        equal(self.cacher.call("CLIENT", "TRACKING", "ON"), b"OK")
        self.control.call("SET", "cached", "old")
        equal(self.cacher.call("GET", "cached"), b"old")
        eventually(lambda: not self.events.nothing_to_read(0.01))
        self.events.read_any()
        self.reader, self.scripter = env.client(2, server), env.client(2, server)

    def write(self):
        """Everything that somebody hears of; the writer's replies are not read."""
        with open(self.hold, "w", encoding="utf-8"):
            pass
        self.writer.send("RPUSH", "jobs", "job")
        self.writer.send("RPUSH", "src", "element")
        self.writer.send("SET", "cached", "new")
        self.writer.send("PUBLISH", "news", "the cache is new")
        self.scripter.send("EVAL", "return redis.call('INCR', KEYS[1])", 1, "counter")
        self.scripter.send("MULTI")
        self.scripter.send("EVAL", "return redis.call('INCR', KEYS[1])", 1, "counter")
        self.scripter.send("EXEC")

    def read_until_held(self):
        """A reader may come before the SET; one that comes after it is not answered."""
        def held():
            self.reader.send("GET", "cached")
            if self.reader.nothing_to_read(0.1):
                return True
            equal(self.reader.read(), b"old")
            return False
        eventually(held, 20, "a reader saw the old value for ever")

    def witnesses(self):
        return {"the client of BLPOP": self.served, "the client of BLMOVE": self.moved,
                "the subscriber": self.subscriber, "the subscriber of events": self.events,
                "the client-side cache": self.cacher}

    def release(self):
        os.unlink(self.hold)


@cairn_only("redis-server syncs on its only thread")
@limit(60)
@matrix(ONCE)
def test_nobody_hears_of_what_is_not_durable(env):
    if env.slow:
        skip("a sanitizer's runtime has to come first")
    if not shutil.which("gcc"):
        skip("no gcc to build the library with")
    folder = tempfile.mkdtemp(prefix="cairn-test-hold-")
    try:
        library = hold_library(folder)
        scene = Scene(env, folder, library, "always")
        scene.write()
        writers = {"the writer": scene.writer, "the scripts' client": scene.scripter}
        for name, client in {**scene.witnesses(), **writers}.items():
            check(client.nothing_to_read(0.1), name + " heard too early")
        scene.read_until_held()
        scene.release()
        equal([scene.writer.read() for _ in range(4)], [1, 1, b"OK", 1])
        equal([scene.scripter.read() for _ in range(4)], [1, b"OK", b"QUEUED", [2]])
        equal(scene.served.read(), [b"jobs", b"job"])
        equal(scene.moved.read(), b"element")
        equal(list(scene.subscriber.read()), [b"message", b"news", b"the cache is new"])
        equal(list(scene.cacher.read_push()), [b"invalidate", [b"cached"]])
        check(scene.reader.read() in (b"old", b"new"), "the reader is answered")

        # Given up and taken again: what is written from here on is held as before.
        for policy in ("everysec", "always"):
            equal(scene.control.call("CONFIG", "SET", "appendfsync", policy), b"OK")
        with open(scene.hold, "w", encoding="utf-8"):
            pass
        scene.writer.send("SET", "again", 1)
        check(scene.writer.nothing_to_read(0.1), "held no more after everysec and always")
        scene.release()
        equal(scene.writer.read(), b"OK")

        scene = Scene(env, folder, library, "everysec")
        scene.write()
        try:
            for name, client in scene.witnesses().items():
                eventually(lambda c=client: not c.nothing_to_read(0.01), 10, name + " heard nothing")
            equal([scene.writer.read() for _ in range(4)], [1, 1, b"OK", 1])
            equal([scene.scripter.read() for _ in range(4)], [1, b"OK", b"QUEUED", [2]])
        finally:
            scene.release()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
