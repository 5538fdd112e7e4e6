# SPDX-License-Identifier: BSD-3-Clause
"""Assertions with messages that show both sides, and views that RESP2 and RESP3 share."""

import time

# What has to come true in the end gets this long: a machine may be slow, loaded, or both. Nothing
# is lost by more, as who waits goes on at once when it has come true.
PATIENCE = 60


class Failure(AssertionError):
    """A check that did not hold."""


class Skip(Exception):
    """A test that cannot run here; its reason is printed."""


def skip(reason):
    raise Skip(reason)


def check(condition, message="condition is false"):
    if not condition:
        raise Failure(message)


def _show(value):
    text = repr(value)
    return text if len(text) < 600 else text[:600] + "... (%d characters)" % len(text)


def equal(got, wanted, note=""):
    if isinstance(wanted, str) and not isinstance(got, str):
        wanted = wanted.encode()
    if got != wanted or (got is None) != (wanted is None):
        raise Failure("%sgot    %s\n  wanted %s" % (note and note + "\n  ", _show(got),
                                                    _show(wanted)))


def near(got, wanted, tolerance, note=""):
    if not isinstance(got, (int, float)) or abs(got - wanted) > tolerance:
        raise Failure("%s: got %r, wanted %r within %r" % (note, got, wanted, tolerance))


def members(got, wanted, note=""):
    """Equal without regard to order."""
    wanted = [w.encode() if isinstance(w, str) else w for w in wanted]
    equal(sorted(got), sorted(wanted), note)


def eventually(condition, seconds=PATIENCE, note="never came true"):
    """Polls until `condition()` is true and returns its value. The seconds are patience, not a
    promise: less than PATIENCE is as much."""
    seconds = max(seconds, PATIENCE)
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure("after %.1f s: %s" % (seconds, note))
        time.sleep(0.01)


def pass_time(client, ms):
    """Waits until the server's own clock has gone on by this much."""
    def now():
        seconds, micros = client.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    start = now()
    eventually(lambda: now() > start + ms, PATIENCE + ms / 1000,
               "the server's clock stands still")


def info(client, name, *sections):
    """A line of INFO, as text; None where there is none."""
    for line in client.call("INFO", *sections).decode().splitlines():
        if line.startswith(name + ":"):
            return line.split(":", 1)[1]
    return None


def as_pairs(reply):
    """A map as a list of pairs, whether it came as a RESP3 map or a flat RESP2 array."""
    if isinstance(reply, dict):
        return list(reply.items())
    if reply and isinstance(reply[0], list):
        return [tuple(p) for p in reply]
    return list(zip(reply[::2], reply[1::2]))


def as_dict(reply):
    return dict(as_pairs(reply))


def start_blocked(env, *command, client=None):
    """Sends a blocking command on a connection of its own, waits until it blocks, returns that
    connection; its id is `.id`."""
    client = client or env.client()
    client.id = client.call("CLIENT", "ID")
    client.send(*command)
    eventually(lambda: is_blocked(env, client), note="%r never blocked" % (command,))
    return client


def is_blocked(env, client):
    line = env.c.call("CLIENT", "LIST", "ID", client.id)
    flags = line.split(b" flags=", 1)[1].split(b" ", 1)[0] if b" flags=" in line else b""
    return b"b" in flags
