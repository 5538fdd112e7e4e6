# SPDX-License-Identifier: BSD-3-Clause
"""Replication over bad links and on bad machines: slow links, connections that hang, full disks,
clocks that are hours apart. A small library in front of the C library's calls makes the latter two."""

import os
import shutil
import subprocess
import time

from harness import ONCE, check, equal, eventually, limit, server_binary, skip, slow_build
from harness.proxy import Proxy
from harness.replication import PATIENCE, Load, cairn, follow, in_step, info

MATRIX = ONCE

LIBRARY = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static int full(int fd) {
  const char* flag = getenv("DISK_FULL");
  struct stat file;
  if (fd <= 2 || flag == NULL || access(flag, F_OK) != 0) return 0;
  if (fstat(fd, &file) != 0 || !S_ISREG(file.st_mode)) return 0;
  errno = ENOSPC;
  return 1;
}
ssize_t write(int fd, const void* data, size_t n) {
  return full(fd) ? -1 : syscall(SYS_write, fd, data, n);
}
ssize_t pwrite(int fd, const void* data, size_t n, off_t at) {
  return full(fd) ? -1 : syscall(SYS_pwrite64, fd, data, n, at);
}
ssize_t pwrite64(int fd, const void* data, size_t n, off_t at) { return pwrite(fd, data, n, at); }
int clock_gettime(clockid_t clock, struct timespec* now) {
  const char *ahead = getenv("CLOCK_AHEAD_S"), *jump = getenv("CLOCK_JUMP");
  int result = (int)syscall(SYS_clock_gettime, clock, now);
  if (result != 0 || clock != CLOCK_REALTIME) return result;
  if (ahead != NULL) now->tv_sec += atoi(ahead);
  if (jump != NULL && access(jump, F_OK) == 0) now->tv_sec += 36000;
  return result;
}
"""


def library(env):
    if shutil.which("gcc") is None:
        skip("there is no gcc to build the library with")
    if slow_build(server_binary()):
        skip("the sanitizers' runtime wants to be the first library")
    folder = env.folder()
    source, built = folder + "/fault.c", folder + "/fault.so"
    with open(source, "w", encoding="utf-8") as file:
        file.write(LIBRARY)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", built, source], check=True)
    return built


def fill(leader, count, size=1000):
    with leader.client() as c:
        for start in range(0, count, 500):
            c.pipeline([("SET", "k:%d" % i, os.urandom(size))
                        for i in range(start, min(count, start + 500))])


@limit(180)
def test_a_slow_link(env):
    """A full sync takes its time, and so does the stream behind it, while far more is written than
    any buffer holds: it never begins anew."""
    leader, follower = cairn(env), cairn(env)
    proxy = Proxy(leader.port)
    try:
        fill(leader, 4000)
        proxy.rate = 2 << 20
        follow(follower, proxy)
        with leader.client() as c:
            eventually(lambda: c.call("INFO", "replication").count(b"state=") == 1, PATIENCE)
            fill(leader, 16000)
            load = Load(leader.port, writers=1).reach(1000)
            load.stop()
        proxy.rate = 50 << 20
        in_step(leader, follower)
        equal(leader.log_text().count("Full resync requested"), 1)
    finally:
        proxy.close()


@limit(120)
def test_a_link_that_hangs(env):
    """The follower gives it up and connects again, while its leader still believes in the first."""
    leader, follower = cairn(env, repl_timeout=60), cairn(env, repl_timeout=3)
    proxy = Proxy(leader.port)
    try:
        follow(follower, proxy)
        in_step(leader, follower)
        proxy.hold()
        before = proxy.accepted
        fill(leader, 100)
        eventually(lambda: proxy.accepted > before, PATIENCE, "it does not connect again")
        with follower.client() as c:
            eventually(lambda: info(c, "master_link_status") == "up", PATIENCE)
        in_step(leader, follower)
        with leader.client() as c:
            # The one that is silent goes in time.
            c.call("CONFIG", "SET", "repl-timeout", 2)
            eventually(lambda: info(c, "connected_slaves") == "1", PATIENCE)
        in_step(leader, follower)
        equal(leader.log_text().count("Full resync requested"), 1)
    finally:
        proxy.close()


@limit(180)
def test_a_full_disk_of_the_follower(env):
    flag = env.folder() + "/full"
    built = library(env)
    leader = cairn(env)
    follower = env.start(environment={"LD_PRELOAD": built, "DISK_FULL": flag})

    def set_full(full):
        open(flag, "w", encoding="utf-8").close() if full else os.unlink(flag)

    with follower.client() as c:
        c.call("SET", "mine", "until then")
        fill(leader, 100)
        # In a full sync: nothing of the old data is lost, and the next try succeeds.
        set_full(True)
        follow(follower, leader)
        eventually(lambda: "No space left on device" in follower.log_text(), PATIENCE)
        equal(c.call("GET", "mine"), b"until then")
        set_full(False)
        in_step(leader, follower)
        # In the stream: the leader goes on, and the follower when it can.
        set_full(True)
        fill(leader, 5000)
        eventually(lambda: "The journal failed" in follower.log_text(), PATIENCE)
        with leader.client() as up:
            equal(up.call("SET", "goes", "on"), b"OK")
        set_full(False)
        in_step(leader, follower)


@limit(180)
def test_a_clock_that_is_set(env):
    """Nobody was silent for ten hours because the leader's clock is set ten hours ahead, nor is it
    ten hours too early to notice after it is set back."""
    flag = env.folder() + "/ahead"
    leader = env.start(environment={"LD_PRELOAD": library(env), "CLOCK_JUMP": flag},
                       min_replicas_to_write=1, min_replicas_max_lag=600)
    follower = cairn(env)
    follow(follower, leader)
    in_step(leader, follower)
    with leader.client() as up:
        eventually(lambda: up.call("SET", "k", "v") == b"OK", PATIENCE)
        real = int(up.call("TIME")[0])
        for turn in range(10):
            if turn % 2 == 0:
                open(flag, "w", encoding="utf-8").close()
            else:
                os.unlink(flag)
            eventually(lambda: (int(up.call("TIME")[0]) - real > 30000) == (turn % 2 == 0), PATIENCE)
            for _ in range(20):
                equal(up.call("SET", "k", turn), b"OK")
                check(0 <= int(info(up, "slave0").rsplit("lag=", 1)[1]) < PATIENCE, "a lag of hours")
                time.sleep(0.01)
    in_step(leader, follower)
    check("has timed out" not in leader.log_text(), "it was dropped")


@limit(180)
def test_clocks_apart(env):
    """What is past its time is what the leader says, whatever time it is at the follower."""
    built = library(env)
    leader = cairn(env)
    for hours in (-5, 5):
        follower = env.start(environment={"LD_PRELOAD": built, "CLOCK_AHEAD_S": str(hours * 3600)})
        follow(follower, leader)
        load = Load(leader.port, writers=1, seed=hours).reach(2000)
        load.stop()
        with leader.client() as up, follower.client() as down:
            up.call("SET", "for an hour", "v", "EX", 3600)
            up.call("SET", "short", "v", "PX", 1)
            eventually(lambda: up.call("EXISTS", "short") == 0, PATIENCE)
            in_step(leader, follower)
            ours = int(up.call("TIME")[0])
            check(abs(int(down.call("TIME")[0]) - ours - hours * 3600) < 600, "the clocks agree")
            # Redis's followers, too, hide by their own clock and keep what they hide.
            equal(down.call("GET", "for an hour"), None if hours > 0 else b"v")
            equal(up.call("GET", "for an hour"), b"v")
            check(0 <= int(info(up, "slave0").rsplit("lag=", 1)[1]) < PATIENCE, "a lag of hours")
        in_step(leader, follower)
        follower.stop()
