# SPDX-License-Identifier: BSD-3-Clause
"""How a server ends that has followers: writes wait until these have everything, or until the time
is up; SHUTDOWN NOW does not wait, SHUTDOWN ABORT makes the server go on."""

import signal

from harness import ONCE, check, equal, eventually
from harness.checks import skip
from harness.replication import PATIENCE, cairn, follow, freeze, in_step, thaw
from harness.resp import Error
from harness.server import server_binary, slow_build

MATRIX = ONCE
FAILED = Error(b"ERR Errors trying to SHUTDOWN. Check logs.")


def with_frozen_follower(env, **directives):
    """A leader whose follower stands still and lacks a write."""
    leader, follower = cairn(env, **directives), cairn(env)
    follow(follower, leader)
    in_step(leader, follower)
    freeze(follower)
    with leader.client() as client:
        equal(client.call("SET", "last", "write"), b"OK")
    return leader, follower


def is_waiting(client):
    return b"shutdown_in_milliseconds" in client.call("INFO", "server")


def test_abort(env):
    leader, follower = with_frozen_follower(env, shutdown_timeout=1000)
    with leader.client() as a, leader.client() as b, leader.client() as c:
        equal(a.call("SHUTDOWN", "ABORT"), Error(b"ERR No shutdown in progress."))
        a.send("SHUTDOWN")
        eventually(lambda: is_waiting(b), PATIENCE)
        equal(b.call("GET", "last"), b"write", "who only reads is served")
        c.send("SET", "held", "back")
        eventually(lambda: b"blocked_clients:1" in b.call("INFO", "clients"), PATIENCE)
        equal(b.call("GET", "held"), None)
        equal(b.call("SHUTDOWN", "ABORT"), b"OK")
        equal(a.read(), FAILED)
        equal(c.read(), b"OK")
        equal(b.call("GET", "held"), b"back")
        equal(is_waiting(b), False)
        equal(b.call("SHUTDOWN", "ABORT"), Error(b"ERR No shutdown in progress."))
        thaw(follower)
        in_step(leader, follower)


def test_followers_get_all(env):
    leader, follower = with_frozen_follower(env, shutdown_timeout=1000)
    with leader.client() as a, leader.client() as b:
        a.send("SHUTDOWN")
        eventually(lambda: is_waiting(b), PATIENCE)
        thaw(follower)
        check(a.closed_by_server(PATIENCE))
    equal(leader.process.wait(PATIENCE), 0)
    check("1 of 1 replicas are in sync when shutting down." in leader.log_text(), "not in step")
    with follower.client() as client:
        eventually(lambda: client.call("GET", "last") == b"write", PATIENCE)


def test_now_and_timeout(env):
    leader, follower = with_frozen_follower(env, shutdown_timeout=1000)
    with leader.client() as a, leader.client() as b:
        a.send("SHUTDOWN")
        eventually(lambda: is_waiting(b), PATIENCE)
        b.send("SHUTDOWN", "NOW")
        check(b.closed_by_server(PATIENCE))
    equal(leader.process.wait(PATIENCE), 0)
    check("Lagging replica 127.0.0.1:%d reported offset" % follower.port in leader.log_text(),
          "nobody lags")
    thaw(follower)
    other, late = with_frozen_follower(env, shutdown_timeout=1)
    equal(other.stop(), 0)
    check("0 of 1 replicas are in sync when shutting down." in other.log_text(), "it was in step")
    thaw(late)


def test_signals(env):
    leader, follower = with_frozen_follower(env, shutdown_timeout=1000)
    with leader.client() as client:
        leader.process.send_signal(signal.SIGTERM)
        eventually(lambda: is_waiting(client), PATIENCE)
        equal(client.call("SHUTDOWN", "ABORT"), b"OK")
        eventually(lambda: not is_waiting(client), PATIENCE)
    thaw(follower)
    in_step(leader, follower)


def test_a_second_sigint_ends_it_at_once(env):
    if slow_build(server_binary()):
        skip("such an end leaves threads, which sanitizers report")
    leader, follower = with_frozen_follower(env, shutdown_timeout=1000)
    with leader.client() as client:
        leader.process.send_signal(signal.SIGINT)
        eventually(lambda: is_waiting(client), PATIENCE)
        leader.process.send_signal(signal.SIGINT)
        check(client.closed_by_server(PATIENCE))
    equal(leader.process.wait(PATIENCE), 1)
    leader.process = None  # that status was wanted
    check("You insist... exiting now." in leader.log_text(), "no message")
    thaw(follower)


def test_a_script_that_never_ends(env):
    """SHUTDOWN NOSAVE ends the server although a follower lags and a script has all locks."""
    if slow_build(server_binary()):
        skip("such an end leaves threads, which sanitizers report")
    leader, follower = with_frozen_follower(env, shutdown_timeout=1000, busy_reply_threshold=100)
    with leader.client() as a, leader.client() as b:
        a.send("EVAL", "redis.call('SET', 'x', 1) while true do end", 0)
        eventually(lambda: b.call("PING") != b"PONG", PATIENCE)
        b.send("SHUTDOWN", "NOSAVE")
        check(b.closed_by_server(PATIENCE))
    equal(leader.process.wait(PATIENCE), 0)
    thaw(follower)
