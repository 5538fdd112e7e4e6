# SPDX-License-Identifier: BSD-3-Clause
"""ioredis, node-redis and BullMQ, as their users use them."""

from clients.node_packages import run_node
from harness import ONCE, limit

MATRIX = ONCE


@limit(420)
def test_ioredis(env):
    run_node(env, "ioredis.js", 250)


@limit(420)
def test_node_redis(env):
    run_node(env, "node_redis.js", 250)


@limit(420)
def test_bullmq(env):
    run_node(env, "bullmq.js", 250)
