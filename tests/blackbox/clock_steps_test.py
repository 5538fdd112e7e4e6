# SPDX-License-Identifier: BSD-3-Clause
"""The machine's clock is set, by hours: what lasts for a while lasts as long as ever."""

import contextlib
import errno
import re
import select
import time

from harness import ONCE, Error, cairn_only, check, equal, eventually, limit
from harness.faulty_disk import FaultyDisk
from harness.stepped_clock import SteppedClock

MATRIX = ONCE

HOUR = 3600
SOME_TURNS_S = 0.5  # of what a worker does every 100 ms


@contextlib.contextmanager
def stepped(env, **directives):
    """A server, a client of it, and its clock."""
    with SteppedClock() as clock:
        server = env.start(environment=clock.environment, **directives)
        yield server, env.client(2, server), clock


def seconds(client):
    return int(client.call("TIME")[0])


@cairn_only("Redis takes such clients for idle")
def test_idle_clients(env):
    with stepped(env, timeout=HOUR // 2) as (server, c, clock):
        idle = env.client(2, server)
        before = seconds(c)
        for step in (HOUR, -3 * HOUR):
            clock.step(step)
            time.sleep(SOME_TURNS_S)
            equal(idle.call("PING"), b"PONG")
            for line in c.call("CLIENT", "LIST").splitlines():
                for field in (b"age", b"idle"):
                    told = int(re.search(b" %s=(-?[0-9]+) " % field, line).group(1))
                    check(0 <= told < HOUR // 2, line)
            told = int(re.search(b"uptime_in_seconds:([0-9]+)", c.call("INFO", "server")).group(1))
            check(told < HOUR // 2, told)
        check(seconds(c) < before - HOUR, "the clock was not set")


@cairn_only("Redis counts in wall time")
def test_a_pause(env):
    with stepped(env) as (server, c, clock):
        writer = env.client(2, server)
        equal(c.call("CLIENT", "PAUSE", HOUR * 1000), b"OK")
        writer.send("SET", "k", "v")
        clock.step(2 * HOUR)
        time.sleep(SOME_TURNS_S)
        equal(select.select([writer.sock], [], [], 0)[0], [], "the pause has ended")
        equal(c.call("CLIENT", "UNPAUSE"), b"OK")
        equal(writer.read(), b"OK")
        equal(c.call("CLIENT", "PAUSE", 50), b"OK")
        clock.step(-2 * HOUR)
        # Or this waits for two hours.
        equal(writer.call("SET", "k", "w"), b"OK")


def wait_for_the_log(env, patience_ms, step):
    """A read of what a broken disk does not let become durable, and the clock is set meanwhile.

    Yields the reader. Where the log had found out before, the write was refused and there is nothing
    to wait for: then there is another round.
    """
    with FaultyDisk() as disk, SteppedClock() as clock:
        environment = dict(disk.environment, **clock.environment)
        environment["LD_PRELOAD"] = ":".join(
            (disk.environment["LD_PRELOAD"], clock.environment["LD_PRELOAD"]))
        server = env.start(environment=environment, appendonly="yes", appendfsync="always",
                           busy_reply_threshold=patience_ms)
        c = env.client(2, server)
        for round_ in range(20):
            key = "k%d" % round_
            disk.fail("sync", errno.EIO, ".aof.lz4")
            writer, reader = env.client(2, server), env.client(2, server)
            writer.send("SET", key, "v")
            eventually(lambda: b"aof_last_write_status:err" in c.call("INFO", "persistence"), 60)
            number = reader.call("CLIENT", "ID")
            reader.send("GET", key)
            eventually(lambda: b"cmd=get" in c.call("CLIENT", "LIST", "ID", number), 60)
            clock.step(step)
            yield reader
            disk.heal()
            written = writer.read()
            eventually(lambda: c.call("SET", "after", 1) == b"OK", 60)
            if not isinstance(written, Error):
                equal(c.call("GET", key), b"v")
                return
        check(False, "the mark met the fault first, twenty times")


@limit(240)
@cairn_only("the log is ours")
def test_a_read_waits_for_a_broken_log_no_longer(env):
    for reader in wait_for_the_log(env, 1000, -2 * HOUR):
        # Or this waits for two hours.
        reply = reader.read()
        # None: the write was refused at once, and nothing is there to wait for.
        check(reply is None or reply.text.startswith(b"MISCONF"), reply)


@limit(240)
@cairn_only("the log is ours")
def test_a_read_waits_for_a_broken_log_as_long_as_ever(env):
    for reader in wait_for_the_log(env, HOUR * 1000, 2 * HOUR):
        time.sleep(SOME_TURNS_S)
        if select.select([reader.sock], [], [], 0)[0]:
            equal(reader.read(), None, "it waits no longer")


def test_a_time_to_live_ends_with_the_clock(env):
    """Which is what it is counted by."""
    with stepped(env) as (_, c, clock):
        equal(c.call("SET", "k", "v", "EX", HOUR), b"OK")
        clock.step(2 * HOUR)
        eventually(lambda: c.call("GET", "k") is None)
