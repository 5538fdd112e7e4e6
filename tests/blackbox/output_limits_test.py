# SPDX-License-Identifier: BSD-3-Clause
"""client-output-buffer-limit: who reads too slowly is closed, and counted."""

import time

from harness.checks import check, equal, eventually, info
from harness.matrix import PROTOCOLS, THREADS, cairn_only, matrix


def disconnections(client):
    return int(info(client, "client_output_buffer_limit_disconnections", "stats"))


def subscriber(env):
    client = env.client()
    client.send("SUBSCRIBE", "c")
    client.read_any()
    return client


def present(client, ident):
    return b"id=%d " % ident in client.call("CLIENT", "LIST")


@cairn_only("the count in INFO came with 7.2")
@matrix(THREADS)
def test_hard_limit_of_subscribers(env):
    env.config(client_output_buffer_limit="pubsub 1mb 0 0")
    before = disconnections(env.c)
    slow = env.client()
    ident = slow.call("CLIENT", "ID")
    slow.send("SUBSCRIBE", "c")
    slow.read_any()
    payload = b"x" * 100000
    # Far more than the kernel's buffers take.
    for _ in range(400):
        env.c.call("PUBLISH", "c", payload)
        if not present(env.c, ident):
            break
    eventually(lambda: not present(env.c, ident))
    eventually(lambda: disconnections(env.c) == before + 1)
    eventually(lambda: any(
        "Client id=%d " % ident in line and
        "scheduled to be closed ASAP for overcoming of output buffer limits." in line
        for line in env.server.log_text().splitlines()))
    # Others are not concerned.
    quick = subscriber(env)
    equal(env.c.call("PUBLISH", "c", payload), 1)
    equal(quick.read_any()[0][2], payload)


@matrix(PROTOCOLS)
def test_one_message_above_the_limit(env):
    env.config(client_output_buffer_limit="pubsub 64kb 0 0")
    client = subscriber(env)
    equal(env.c.call("PUBLISH", "c", b"x" * 10000), 1)
    equal(client.read_any()[0][2], b"x" * 10000)
    equal(env.c.call("PUBLISH", "c", b"x" * 100000), 1)
    check(client.closed_by_server())


@matrix(THREADS)
def test_soft_limit_needs_its_seconds(env):
    env.config(client_output_buffer_limit="pubsub 0 100kb 1")
    slow = env.client()
    ident = slow.call("CLIENT", "ID")
    slow.send("SUBSCRIBE", "c")
    slow.read_any()
    begin = time.monotonic()
    for _ in range(100):
        env.c.call("PUBLISH", "c", b"x" * 200000)
    eventually(lambda: not present(env.c, ident), 10)
    check(time.monotonic() - begin > 1.0, "closed too early")


@matrix(THREADS)
def test_normal_clients(env):
    equal(env.c.call("CONFIG", "GET", "client-output-buffer-limit")[1],
          b"normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60")
    env.c.call("SET", "big", b"x" * 2000000)
    reader = env.client()
    equal(len(reader.call("GET", "big")), 2000000)
    env.config(client_output_buffer_limit="normal 1mb 0 0")
    reader.send("GET", "big")
    check(reader.closed_by_server())
    # Reading it in small pieces is fine.
    check(len(env.client().call("GETRANGE", "big", 0, 500000)) == 500001)


@cairn_only("Redis has it since 8.0")
def test_names_can_be_kept_out_of_messages(env):
    env.c.call("SET", "big", b"x" * 2000000)
    env.config(client_output_buffer_limit="normal 1mb 0 0", hide_user_data_from_log="yes")
    reader = env.client()
    ident = reader.call("CLIENT", "ID")
    reader.call("CLIENT", "SETNAME", "my-name")
    reader.send("GET", "big")
    check(reader.closed_by_server())

    def logged():
        return [line for line in env.server.log_text().splitlines(True)
                if "Client id=%d " % ident in line and line.endswith("\n")]
    line = eventually(logged)[0]
    check("name=*redacted* " in line and "user=*redacted* " in line, line)
    check("my-name" not in line, line)
