# SPDX-License-Identifier: BSD-3-Clause
"""Descriptors: clients get as many as the system allows and leave some to the server; a server that
has none left goes on."""

import os
import re
import resource

from harness import ONCE, Error, cairn_only, check, equal, eventually, skip

MATRIX = ONCE

TOO_MANY = 4_000_000_000  # no system opens so many files


def files_limit(server):
    return resource.prlimit(server.pid, resource.RLIMIT_NOFILE)[0]


@cairn_only("it keeps another reserve, and tries each number of files below the one it wants")
def test_maxclients_is_what_the_system_allows(env):
    server = env.start(maxclients=TOO_MANY)
    c = env.client(server=server)
    fit = int(c.call("CONFIG", "GET", "maxclients")[1])
    check(fit < TOO_MANY)
    check(fit < files_limit(server), "some are the server's own")
    for line in ("You requested maxclients of %d requiring at least " % TOO_MANY,
                 "Server can't set maximum open files to ",
                 "maxclients has been reduced to %d to compensate for low ulimit. " % fit):
        check(line in server.log_text(), line)
    reply = c.call("CONFIG", "SET", "maxclients", TOO_MANY)
    check(isinstance(reply, Error))
    check(re.fullmatch(rb"ERR CONFIG SET failed \(possibly related to argument 'maxclients'\) - The "
                       rb"operating system is not able to handle the specified number of clients, "
                       rb"try with %d" % fit, reply.text), reply)
    equal(c.call("CONFIG", "GET", "maxclients")[1], b"%d" % fit)
    equal(c.call("CONFIG", "SET", "maxclients", 50), b"OK")
    equal(c.call("CONFIG", "GET", "maxclients")[1], b"50")


@cairn_only("it asks for 32 more files than clients")
def test_the_limit_of_files_is_raised_for_the_clients_asked_for(env):
    server = env.start(maxclients=100)
    c = env.client(server=server)
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1000:
        skip("only %d descriptors allowed" % hard)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (300, hard))
    equal(c.call("CONFIG", "SET", "maxclients", 500), b"OK")
    check(500 < files_limit(server) <= 1000)


@cairn_only("the message is ours")
def test_a_server_without_a_free_descriptor_follows_and_migrates_later(env):
    leader = env.start()
    server = env.start()
    c = env.client(server=server)
    equal(c.call("SET", "k", "v"), b"OK")
    limits = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    # What is new must have a number below the limit, and these three are taken, whatever else the
    # server opens and closes meanwhile.
    check({"0", "1", "2"} <= set(os.listdir("/proc/%d/fd" % server.pid)))
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    reply = c.call("MIGRATE", "127.0.0.1", leader.port, "k", 0, 60000)
    check(isinstance(reply, Error) and reply.text.startswith(b"IOERR"), reply)
    equal(c.call("REPLICAOF", "127.0.0.1", leader.port), b"OK")
    eventually(lambda: "Too many open files" in server.log_text())
    equal(c.call("GET", "k"), b"v")
    # Given up while it has nothing to be woken by.
    equal(c.call("REPLICAOF", "127.0.0.1", 1), b"OK")
    equal(c.call("REPLICAOF", "127.0.0.1", leader.port), b"OK")
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, limits)
    eventually(lambda: b"master_link_status:up" in c.call("INFO", "replication"), 60)
    equal(env.client(server=leader).call("SET", "new", "v"), b"OK")
    eventually(lambda: c.call("GET", "new") == b"v", 60)
