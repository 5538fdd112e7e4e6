# SPDX-License-Identifier: BSD-3-Clause
"""Under `appendfsync always` nobody hears of a change that is not durable: not who sent it, not who
reads it, not the client that a BLPOP serves, no subscriber, no client-side cache.

The disk holds all syncs until it is released. Under `everysec` the same steps are seen at once,
disk or no disk, which shows that the test can tell.
"""

from harness import ONCE, cairn_only, check, equal, eventually, limit, matrix
from harness.faulty_disk import Machine

MATRIX = ONCE


class Scene(Machine):
    """A server with a disk that can be held, and everybody who could hear of a write too early."""

    def __init__(self, env, policy):
        super().__init__(env, appendonly="yes", appendfsync=policy, notify_keyspace_events="KEA")
        server, self.writer = self.server, env.client(2, self.server)
        self.served, self.moved = env.client(2, server), env.client(2, server)
        self.served.send("BLPOP", "jobs", 0)
        self.moved.send("BLMOVE", "src", "dst", "LEFT", "LEFT", 0)
        eventually(lambda: b"blocked_clients:2\r" in self.c.call("INFO", "clients"))
        self.subscriber = env.client(2, server)
        self.subscriber.call("SUBSCRIBE", "news")
        self.events = env.client(2, server)
        self.events.call("PSUBSCRIBE", "__keyevent@0__:*")
        self.cacher = env.client(3, server)
        equal(self.cacher.call("CLIENT", "TRACKING", "ON"), b"OK")
        self.c.call("SET", "cached", "old")
        equal(self.cacher.call("GET", "cached"), b"old")
        eventually(lambda: not self.events.nothing_to_read(0.01))
        self.events.read_any()
        self.reader, self.scripter = env.client(2, server), env.client(2, server)

    def write(self):
        """Everything that somebody hears of; the writer's replies are not read."""
        self.disk.stall_syncs()
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


@cairn_only("redis-server syncs on its only thread")
@limit(60)
@matrix(ONCE)
def test_nobody_hears_of_what_is_not_durable(env):
    with Scene(env, "always") as scene:
        scene.write()
        writers = {"the writer": scene.writer, "the scripts' client": scene.scripter}
        for name, client in {**scene.witnesses(), **writers}.items():
            check(client.nothing_to_read(0.1), name + " heard too early")
        scene.read_until_held()
        scene.disk.heal()
        equal([scene.writer.read() for _ in range(4)], [1, 1, b"OK", 1])
        equal([scene.scripter.read() for _ in range(4)], [1, b"OK", b"QUEUED", [2]])
        equal(scene.served.read(), [b"jobs", b"job"])
        equal(scene.moved.read(), b"element")
        equal(list(scene.subscriber.read()), [b"message", b"news", b"the cache is new"])
        equal(list(scene.cacher.read_push()), [b"invalidate", [b"cached"]])
        check(scene.reader.read() in (b"old", b"new"), "the reader is answered")

        # Given up and taken again: what is written from here on is held as before.
        for policy in ("everysec", "always"):
            equal(scene.c.call("CONFIG", "SET", "appendfsync", policy), b"OK")
        scene.disk.stall_syncs()
        scene.writer.send("SET", "again", 1)
        check(scene.writer.nothing_to_read(0.1), "held no more after everysec and always")
        scene.disk.heal()
        equal(scene.writer.read(), b"OK")

    with Scene(env, "everysec") as scene:
        scene.write()
        for name, client in scene.witnesses().items():
            eventually(lambda c=client: not c.nothing_to_read(0.01), note=name + " heard nothing")
        equal([scene.writer.read() for _ in range(4)], [1, 1, b"OK", 1])
        equal([scene.scripter.read() for _ in range(4)], [1, b"OK", b"QUEUED", [2]])
