#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What more cores than this machine has would bring, by workload, and what is full first.

    utils/bench/model.py [--line NS] [--far NS] [--cores 1,2,4,8,16,32,64] [--alone]
                         [--looks]

A closed queueing network, solved exactly (mean value analysis): each core runs one request after the
other. A request costs its CPU time as measured with one thread; what of it runs under a shard's lock
waits its turn there, and is longer by the cache lines that another core had last (LINES of them,
each with a chance of 1 - 1/cores). A write takes room in the log while it holds that lock: one word
for all cores, so one line's way from core to core a write, one after the other. Above eight cores
those of a group, eight that are near to each other, do so together (src/journal/buffer.h): the line's
way is one for all who have joined while the first of them waited for it; --alone is without that.
With --looks each turn of a thread also looks at that word, as it did to see whether the log's writer
is to be woken: one way of the line more for a turn, of as many requests as come at a time. It waits
for nobody (the processor goes on meanwhile: see told2 and looked2 of model-costs), but others wait
for the line. (Now it knows from its own record; what it compares that with changes a few hundred
times a second.) The log's writer thread is one more station, of a core of its own.

Not in it: the kernel's own locks, memory bandwidth, the network card, and that cores of another
socket or chiplet are farther: --far is the line's cost from the ninth core on, three times --line
unless told, which is an assumption and no measurement. Without --line, build/model-costs measures it.
"""
import argparse
import json
import os
import subprocess

from common import ROOT

SHARDS = 128
# What two threads cost more than one in FIGURES.md, in lines: those of the lock and of the entry's
# clock, say. Bucket and key are shared by readers without moving.
LINES = 2
WRITER_NS = 40  # of the log's writer, a record of 64 bytes; src/journal/README.md
NEAR_CORES = 8
# A record's part of joining and being told, besides the lines of the list and of the answer: what
# build/model-costs calls joined less what it calls append.
JOIN_NS, JOIN_LINES = 15, 2
MANY_KEYS, EXPONENT = 10_000_000, 0.99

# name, CPU us a request with one thread, us of it under the lock, share of requests that go to the
# hottest shard, record in the log, requests that come at a time. Measured as FIGURES.md says.
UNIFORM = 1 / SHARDS


def hottest_key():
    """Zipf's first rank."""
    tail = (MANY_KEYS ** (1 - EXPONENT) - 1) / (1 - EXPONENT)
    return 1 / (tail + 0.58)


ZIPF = hottest_key() + (1 - hottest_key()) / SHARDS
WORKLOADS = [
    ("GET, uniform", 0.63, 0.156, UNIFORM, False, 16),
    ("GET, Zipf", 0.63, 0.156, ZIPF, False, 16),
    ("SET, uniform, no log", 0.64, 0.137, UNIFORM, False, 16),
    ("SET, uniform, log", 0.79, 0.137, UNIFORM, True, 16),
    ("SET, Zipf, log", 0.79, 0.137, ZIPF, True, 16),
    ("SET -P 1, uniform, log", 6.1, 0.137, UNIFORM, True, 1),
    ("INCR of one key", 0.75, 0.196, 1, False, 16),
    ("LPUSH, RPOP of one list", 0.61, 0.145, 1, False, 16),
    ("ZADD to one sorted set", 1.68, 0.980, 1, False, 16),
]


def rate_of(cores, free_ns, held_ns, hottest):
    """Requests a nanosecond, by exact mean value analysis of the shards."""
    stations = [(hottest, 1)]  # visits a request, how many there are alike
    if hottest < 1:
        stations.append(((1 - hottest) / (SHARDS - 1), SHARDS - 1))
    queues = [0.0] * len(stations)
    for customers in range(1, cores + 1):
        waits = [held_ns * (1 + queue) for queue in queues]
        cycle = free_ns + sum(visits * wait * alike
                              for (visits, alike), wait in zip(stations, waits))
        rate = customers / cycle
        queues = [rate * visits * wait for (visits, _), wait in zip(stations, waits)]
    return rate


def in_the_tail(rate, tail_ns, groups, members, looks):
    """How long one who takes room waits for the line and has it, and for how many he takes it."""
    together = 1.0
    for _ in range(50):
        busy = min(rate * (1 / together + looks) * tail_ns, 0.999)
        others = groups * members if looks else 0  # who look
        wait = min(tail_ns / (1 - busy), (groups + others) * tail_ns)
        joined = min(members, 1 + rate / groups * wait) if members > 1 else 1
        together = (together + joined) / 2
    return wait, together


def predict(cores, workload, near_ns, far_ns, alone, looking):
    """Requests a second and what is full: (name, share of the time it is busy)."""
    _, cpu_us, held_us, hottest, logged, at_a_time = workload
    looks = 1 / at_a_time if logged and looking else 0
    line_ns = near_ns if cores <= NEAR_CORES else far_ns
    moved = 1 - 1 / cores
    tail_ns = 2 + line_ns * moved if logged else 0
    held_ns, free_ns = held_us * 1000 + LINES * line_ns * moved, (cpu_us - held_us) * 1000
    joined = logged and cores > NEAR_CORES and not alone
    groups, members = (cores / NEAR_CORES, NEAR_CORES) if joined else (cores, 1)
    joining_ns = JOIN_NS + JOIN_LINES * near_ns if joined else 0
    low, high = 0.0, cores / (free_ns + held_ns)
    for _ in range(50):  # how long a writer waits for the tail depends on the rate, and back
        assumed = (low + high) / 2
        in_tail = in_the_tail(assumed, tail_ns, groups, members, looks)[0] if logged else 0
        rate = rate_of(cores, free_ns, held_ns + joining_ns + in_tail, hottest)
        low, high = (assumed, high) if rate > assumed else (low, assumed)
    rate = low
    if logged:
        rate = min(rate, 1 / WRITER_NS)
        _, together = in_the_tail(rate, tail_ns, groups, members, looks)
    full = {"cores": rate * (free_ns + held_ns) / cores,
            "the hottest shard": rate * hottest * (held_ns + joining_ns + tail_ns)}
    if logged:
        full.update({"the log's tail": rate * (1 / together + looks) * tail_ns,
                     "the log's writer": rate * WRITER_NS})
    if joined:
        full["a group's list"] = rate / groups * near_ns
    return rate * 1e9, max(full.items(), key=lambda item: item[1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--line", type=float)
    parser.add_argument("--far", type=float)
    parser.add_argument("--cores", default="1,2,4,8,16,32,64")
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--looks", action="store_true")
    options = parser.parse_args()
    if options.line is None:
        costs = subprocess.run([os.path.join(ROOT, "build", "model-costs")], capture_output=True,
                               check=True)
        options.line = json.loads(costs.stdout)["line"]
    far = options.far or 3 * options.line
    counts = [int(cores) for cores in options.cores.split(",")]
    print(f"a line from core to core: {options.line:.0f} ns, from the ninth core on {far:.0f}\n")
    print("| million requests a second, cores: | " + " | ".join(map(str, counts)) + " | full first |")
    print("| --- |" + " --- |" * (len(counts) + 1))
    for workload in WORKLOADS:
        cells, first = [workload[0]], ""
        for cores in counts:
            rate, (name, busy) = predict(cores, workload, options.line, far, options.alone,
                                         options.looks)
            cells.append(f"{rate / 1e6:.1f}")
            if not first and cores > 1 and name != "cores" and busy > 0.8:
                first = f"{name}, at {cores} cores"
        print("| " + " | ".join([*cells, first or "nothing"]) + " |")


if __name__ == "__main__":
    main()
