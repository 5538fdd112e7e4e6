# SPDX-License-Identifier: BSD-3-Clause
"""python3-redis as a job queue: workers that wait with BLPOP, BLMOVE, BZPOPMIN and XREADGROUP.

The client library is Debian's, which belongs to the system's Python; so the queue runs there, in a
process of its own that prints what it found.
"""

import os
import subprocess

from harness import ONCE, check, equal, limit, skip

MATRIX = ONCE
PYTHON = "/usr/bin/python3"

QUEUE = r'''
import collections, sys, threading, redis
port, jobs = int(sys.argv[1]), 600
done, lock = collections.Counter(), threading.Lock()

def connect():
    return redis.Redis(port=port, decode_responses=True)

def note(job):
    with lock:
        done[job] += 1

def list_worker(number):
    r = connect()
    while True:
        found = r.blpop(["jobs:high", "jobs:low"], timeout=100)
        if found is None or found[1] == "stop":
            return
        note(found[1])

def reliable_worker(number):
    r, mine = connect(), "processing:%d" % number
    while True:
        job = r.blmove("safe", mine, 100, "LEFT", "RIGHT")
        if job is None or job == "stop":
            return
        note(job)
        r.lrem(mine, 1, job)

def priority_worker(number):
    r = connect()
    while True:
        found = r.bzpopmin("ranked", timeout=100)
        if found is None or found[1].startswith("stop"):
            return
        note(found[1])

def stream_worker(number):
    r = connect()
    while True:
        for _, entries in r.xreadgroup("g", "w%d" % number, {"log": ">"}, count=7, block=10000):
            for entry, fields in entries:
                r.xack("log", "g", entry)
                if fields["job"].startswith("stop"):
                    return
                note(fields["job"])

r = connect()
r.xgroup_create("log", "g", mkstream=True)
workers = [threading.Thread(target=kind, args=(n,)) for n, kind in enumerate(
    [list_worker] * 4 + [reliable_worker] * 4 + [priority_worker] * 3 + [stream_worker] * 2)]
for w in workers:
    w.start()
pipe = r.pipeline(transaction=False)
for i in range(jobs):
    pipe.rpush("jobs:high" if i % 3 else "jobs:low", "list%d" % i)
    pipe.rpush("safe", "safe%d" % i)
    pipe.zadd("ranked", {"ranked%d" % i: i})
    pipe.xadd("log", {"job": "log%d" % i})
    if i % 50 == 0:
        pipe.execute()
pipe.execute()
for i in range(4):
    r.rpush("jobs:low", "stop")
    r.rpush("safe", "stop")
for i in range(3):
    r.zadd("ranked", {"stop%d" % i: jobs + i})
for w in workers[:-2]:
    w.join()
while any(w.is_alive() for w in workers):
    r.xadd("log", {"job": "stop"})
    for w in workers:
        w.join(0.05)
for name in ("list", "safe", "ranked", "log"):
    counts = [done["%s%d" % (name, i)] for i in range(jobs)]
    print(name, sum(counts), max(counts))
'''


@limit(300)
def test_job_queues(env):
    if not os.path.exists(PYTHON) or subprocess.run(
            [PYTHON, "-c", "import redis"], stderr=subprocess.DEVNULL, check=False).returncode:
        skip("python3-redis is not installed")
    ended = subprocess.run([PYTHON, "-c", QUEUE, str(env.server.port)], capture_output=True,
                           text=True, timeout=250, check=False, env={"PATH": os.environ["PATH"]})
    check(ended.returncode == 0 and not ended.stderr, ended.stderr[-2000:])
    equal(ended.stdout.encode(), "".join("%s 600 1\n" % name
                                for name in ("list", "safe", "ranked", "log")))
