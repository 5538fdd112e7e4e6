# SPDX-License-Identifier: BSD-3-Clause
"""Mutated DUMP payloads through RESTORE:

    python3 -m fuzz.restore_fuzz [--count N] [--seed S] [--jobs N] [--seconds N]

Run from tests/, best with CAIRN_SERVER naming a build with sanitizers. Payloads of every type come
from redis-server; bytes are flipped, cut out, doubled, and set to lengths that lie; version and
checksum are made right again. Whatever the server takes is then read, changed, dumped and restored
once more. It must neither die nor print a sanitizer's report. Each job has a server and a seed of
its own; a job that runs out of time ends early and says how far it came.
"""

import argparse
import multiprocessing
import random
import sys
import time

from harness.dump_samples import fill, seal
from harness.server import Server, oracle_binary, server_binary

BATCH = 100
NUMBERS = [b"\x00", b"\x3f", b"\x7f\xff", b"\x80\xff\xff\xff\xff", b"\x80\x7f\xff\xff\xff",
           b"\x81" + b"\xff" * 8, b"\x81\x7f" + b"\xff" * 7, b"\x81\x80" + bytes(7),
           b"\xc0\xff", b"\xc1", b"\xc2", b"\xc3\x05\x05", b"\xfe", b"\xff"]
# What shows that a value is sound: the whole of it is read and moved about.
READS = [
    ("DUMP", "k"), ("OBJECT", "ENCODING", "k"), ("MEMORY", "USAGE", "k", "SAMPLES", "0"),
    ("DEBUG", "DIGEST-VALUE", "k"), ("GET", "k"), ("APPEND", "k", "x"), ("PFCOUNT", "k"),
    ("LRANGE", "k", "0", "-1"), ("LINSERT", "k", "BEFORE", "a", "b"), ("LSET", "k", "1", "new"),
    ("LTRIM", "k", "1", "-2"), ("SMEMBERS", "k"), ("SADD", "k", "one", "7"), ("SPOP", "k", "2"),
    ("ZRANGE", "k", "0", "-1", "WITHSCORES"), ("ZADD", "k", "1.5", "new"), ("ZPOPMIN", "k", "2"),
    ("ZRANGEBYSCORE", "k", "-inf", "inf"), ("GEOPOS", "k", "Palermo"), ("HGETALL", "k"),
    ("GEOSEARCH", "k", "FROMLONLAT", "15", "37", "BYRADIUS", "20000", "km", "WITHDIST"),
    ("HSET", "k", "field3", "new"), ("HDEL", "k", "field4"), ("XRANGE", "k", "-", "+"),
    ("XREVRANGE", "k", "+", "-"), ("XINFO", "STREAM", "k", "FULL", "COUNT", "0"),
    ("XINFO", "GROUPS", "k"), ("XPENDING", "k", "g", "-", "+", "10"),
    ("XADD", "k", "*", "f", "v"), ("XDEL", "k", "1-7"),
    ("XREADGROUP", "GROUP", "g", "c", "COUNT", "3", "STREAMS", "k", ">"),
    ("XAUTOCLAIM", "k", "g", "c", "0", "0"), ("XTRIM", "k", "MAXLEN", "3"), ("DUMP", "k"),
]


def mutate(rng, body):
    body = bytearray(body)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(body)) if rng.random() < 0.7 else rng.randrange(min(len(body), 24))
        kind = rng.randrange(6)
        if kind == 0:
            body[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            body[at] = rng.randrange(256)
        elif kind == 2:
            number = rng.choice(NUMBERS)
            body[at:at + rng.choice((0, 1, len(number)))] = number
        elif kind == 3:
            del body[at:at + rng.randrange(1, 5)]
        elif kind == 4:
            body[at:at] = body[at:at + rng.randrange(1, 16)]
        else:
            del body[at:]
        if not body:
            body = bytearray(b"\x00")
    if rng.random() < 0.05:
        body[0] = rng.randrange(24)
    return bytes(body)


def samples():
    """The bodies that are mutated: payloads without version and checksum."""
    oracle = Server(binary=oracle_binary())
    with oracle.client() as client:
        # Large samples teach nothing that small ones do not.
        bodies = [p[:-10] for p in fill(client).values() if len(p) < 6000]
    oracle.stop()
    oracle.discard()
    return bodies


def exercise(client, taken):
    """Reads and changes each value that was taken; returns a payload that misbehaves, or None."""
    commands = []
    for payload in taken:
        commands.append(("RESTORE", "k", "0", payload, "REPLACE"))
        commands.extend(READS)
    replies = client.pipeline(commands)
    dumps = replies[1::len(READS) + 1]
    again = client.pipeline([("RESTORE", "k", "0", d, "REPLACE") for d in dumps])
    for payload, reply in zip(taken, again):
        if reply != b"OK":
            return payload
    return None


def run_job(job):
    """One server and its share of the payloads: (problem or None, payloads, taken)."""
    bodies, count, seed, seconds = job
    rng = random.Random(seed)
    server = Server(threads=1)
    client = server.client()
    done = taken = 0
    problem = None
    sent = []
    deadline = time.monotonic() + seconds
    try:
        while done < count and problem is None and time.monotonic() < deadline:
            sent = [seal(mutate(rng, rng.choice(bodies)), rng.choice((10, 11, 12)))
                    for _ in range(min(BATCH, count - done))]
            replies = client.pipeline([("RESTORE", "k", "0", p, "REPLACE") for p in sent])
            done += len(sent)
            sent = [p for p, reply in zip(sent, replies) if reply == b"OK"]
            taken += len(sent)
            refused = exercise(client, sent)
            if refused is not None:
                problem = "its own dump is refused: %r" % refused
    except (OSError, EOFError) as error:
        problem = "the server is gone: %r; one of %r" % (error, sent)
    if problem is None:
        server.stop()
    problem = "\n".join(filter(None, (problem, server.problem()))) or None
    server.discard(keep=problem is not None)
    return problem, done, taken


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3600)
    args = parser.parse_args()
    print("%s, seed %d" % (server_binary(), args.seed), flush=True)
    bodies = samples()
    share = -(-args.count // args.jobs)
    jobs = [(bodies, share, args.seed + i, args.seconds) for i in range(args.jobs)]
    with multiprocessing.Pool(args.jobs) as pool:
        results = pool.map(run_job, jobs)
    print("%d payloads, %d taken" % (sum(r[1] for r in results), sum(r[2] for r in results)))
    problems = [r[0] for r in results if r[0]]
    for problem in problems:
        print(problem)
    print("%d passed, %d failed" % (len(results) - len(problems), len(problems)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
