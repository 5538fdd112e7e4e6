# SPDX-License-Identifier: BSD-3-Clause
"""Scripts on many threads: what they move about is never seen half-way, doubled or lost."""

import random
import threading

from harness.checks import check, equal
from harness.matrix import THREADS, matrix
from harness.resp import Error

ACCOUNTS = 12
START = 1000
# Takes from the first key and gives to the second; the second may be one it did not declare.
TRANSFER = """local to = KEYS[2] or ARGV[2]
redis.call('decrby', KEYS[1], ARGV[1])
redis.call('rpush', 'log:' .. KEYS[1], ARGV[1])
redis.call('incrby', to, ARGV[1])
return redis.call('get', KEYS[1])"""
DECLARED = """redis.call('decrby', KEYS[1], ARGV[1]) redis.call('incrby', KEYS[2], ARGV[1])
redis.call('hincrby', KEYS[3], 'n', 1) return 1"""
FAILING = """redis.call('incrby', KEYS[1], 1) redis.call('set', 'undeclared:' .. ARGV[1], 1)
redis.call('incrby', KEYS[1], -1) return redis.error_reply('MINE after all')"""


def account(n):
    return "account:%d" % n


def work(env, client, rng, rounds, done):
    for _ in range(rounds):
        a, b = rng.sample(range(ACCOUNTS), 2)
        amount = rng.randint(1, 9)
        kind = rng.randrange(5)
        if kind == 0:
            client.call("EVAL", TRANSFER, 1, account(a), amount, account(b))
            done["logged"] += 1
        elif kind == 1:
            # Another text each time: nothing is known of it.
            client.call("EVAL", TRANSFER + " -- %d" % rng.randrange(200), 1, account(a), amount,
                        account(b))
            done["logged"] += 1
        elif kind == 2:
            client.call("EVAL", DECLARED, 3, account(a), account(b), "counts", amount)
            done["counted"] += 1
        elif kind == 3:
            replies = client.pipeline([
                ("MULTI",), ("INCR", "execs"), ("SELECT", "0"),
                ("EVAL", DECLARED, 3, account(a), account(b), "counts", amount),
                ("EVAL", TRANSFER, 1, account(b), amount, account(a)), ("EXEC",)])
            check(isinstance(replies[-1], list) and len(replies[-1]) == 4, repr(replies))
            for name in ("counted", "logged", "execs"):
                done[name] += 1
        else:
            reply = client.call("EVAL", FAILING + " -- %d" % rng.randrange(50), 1, account(a), b)
            equal(reply, Error(b"MINE after all"))


@matrix(THREADS)
def test_transfers_between_declared_and_undeclared_keys(env):
    server = env.start(appendonly="yes")
    first = env.client(server=server)
    for n in range(ACCOUNTS):
        first.call("SET", account(n), START)
    rounds = 60 if env.slow else 250
    done = [{"logged": 0, "counted": 0, "execs": 0} for _ in range(8)]
    failures = []

    def run(n, client, seed):
        try:
            work(env, client, random.Random(seed), rounds, done[n])
        except Exception as failure:  # pylint: disable=broad-except
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(n, env.client(server=server),
                                                  env.rng.randrange(1 << 30)))
               for n in range(len(done))]
    for thread in threads:
        thread.start()
    watcher = env.client(server=server)
    names = [account(n) for n in range(ACCOUNTS)]
    while any(thread.is_alive() for thread in threads):
        equal(sum(int(v) for v in watcher.call("MGET", *names)), START * ACCOUNTS)
    for thread in threads:
        thread.join()
    equal(failures, [])

    def verify(client):
        equal(sum(int(v) for v in client.call("MGET", *names)), START * ACCOUNTS)
        logged = sum(client.call("LLEN", "log:" + name) for name in names)
        equal(logged, sum(d["logged"] for d in done))
        equal(int(client.call("HGET", "counts", "n") or 0), sum(d["counted"] for d in done))
        equal(int(client.call("GET", "execs") or 0), sum(d["execs"] for d in done))

    verify(first)
    digest = first.call("DEBUG", "DIGEST")
    server.stop()
    server.start()
    with server.client() as client:
        verify(client)
        equal(client.call("DEBUG", "DIGEST"), digest)
