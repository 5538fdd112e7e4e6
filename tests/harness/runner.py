# SPDX-License-Identifier: BSD-3-Clause
"""Runs test files: python3 -m harness.runner FOLDER|FILE... [--filter WORD] [--jobs N]

Each file runs in a process of its own, `jobs` at a time. Its test_* functions get an Env. Servers
are shared by the tests of a file that run with the same number of threads and emptied between
them; one on which a test failed is thrown away. Ends with a line `N passed, N failed`.
"""

import argparse
import fnmatch
import glob
import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

from harness.checks import PATIENCE, Failure, Skip
from harness.matrix import FULL
from harness.server import Server, is_cairn, oracle_binary, server_binary, slow_build


# More than twice what a test waits for one thing, so that it can say itself what did not come true.
HUNG_SECONDS = 150


class Hung(Exception):
    """A test took longer than its limit."""


class Env:
    """What a test function gets: one row of the matrix, a client, servers, a seeded random."""

    def __init__(self, servers, protocol, threads, seed):
        self.servers, self.protocol, self.threads = servers, protocol, threads
        self.rng = random.Random(seed)
        self.is_cairn = is_cairn(server_binary())
        self.slow = slow_build(server_binary())
        self.clients, self.own, self.restore, self.folders = [], [], [], []
        self.first = None

    @property
    def server(self):
        return self.servers.shared(self.threads)

    @property
    def c(self):
        """The test's first connection, in the row's protocol."""
        if self.first is None:
            self.first = self.client()
        return self.first

    def client(self, protocol=None, server=None, **options):
        made = (server or self.server).client(protocol or self.protocol, **options)
        self.clients.append(made)
        return made

    @property
    def oracle(self):
        return self.servers.oracle()

    def oracle_client(self, protocol=None):
        return self.client(protocol, self.oracle)

    def start(self, **directives):
        """A server for this test alone."""
        directives.setdefault("threads", self.threads)
        server = Server(**directives)
        self.own.append(server)
        return server

    def folder(self):
        """A folder for files of this test, gone with it."""
        self.folders.append(tempfile.mkdtemp(prefix="cairn-test-"))
        return self.folders[-1]

    def config(self, **values):
        """CONFIG SET on the shared server until the test ends."""
        for name, value in values.items():
            name = name.replace("_", "-")
            old = self.c.call("CONFIG", "GET", name)
            old = list(old.items())[0] if isinstance(old, dict) else old
            reply = self.c.call("CONFIG", "SET", name, value)
            if reply != b"OK":
                raise Failure("CONFIG SET %s %s: %r" % (name, value, reply))
            self.restore.append((self.server, name, old[1]))

    def finish(self, failed):
        for client in self.clients:
            client.close()
        for server, name, value in self.restore:
            if server.alive() and not failed:
                with server.client() as client:
                    client.call("CONFIG", "SET", name, value)
        problems = [server.problem() for server in self.own]
        for server in self.own:
            if server.alive():
                server.stop()
            problems.append(server.problem())
            server.discard(keep=failed or any(problems))
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)
        return [p for p in problems if p]


class Servers:
    """The servers that the tests of one file share."""

    def __init__(self):
        self.by_threads, self.the_oracle = {}, None

    def shared(self, threads):
        server = self.by_threads.get(threads)
        if server is None or not server.alive():
            server = self.by_threads[threads] = Server(threads=threads)
        return server

    def oracle(self):
        if self.the_oracle is None:
            self.the_oracle = Server(binary=oracle_binary())
        return self.the_oracle

    def empty(self):
        for server in list(self.by_threads.values()) + [self.the_oracle]:
            if server is not None and server.alive():
                with server.client() as client:
                    client.call("FLUSHALL")
                    self.alone(client)

    @staticmethod
    def alone(client):
        """Waits until the server has seen the last test's connections close: it would count their
        subscriptions to the next."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            listed = client.call("CLIENT", "LIST")
            if not isinstance(listed, bytes) or listed.count(b"\n") <= 1:
                return
            time.sleep(0.001)

    def drop(self, threads):
        server = self.by_threads.pop(threads, None)
        if server is not None:
            server.discard(keep=True)
            return server.folder
        return None

    def problem(self, threads):
        server = self.by_threads.get(threads)
        return server.problem() if server is not None else None

    def close(self):
        """Stops all of them; says what was wrong with the last moments of any."""
        problems = []
        for server in list(self.by_threads.values()) + [self.the_oracle]:
            if server is None:
                continue
            try:
                status = server.stop()
                problem = server.problem()
                if problem is None and status not in (0, None):
                    problem = "exit status %s after SIGTERM" % status
            except Exception as failure:  # pylint: disable=broad-except
                problem = str(failure)
            if problem:
                problems.append(problem)
            server.discard(keep=problem is not None)
        return problems


def load(path):
    name = "test_file_" + os.path.basename(path)[:-3]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(module, function):
    rows = getattr(function, "matrix", getattr(module, "MATRIX", FULL))
    if is_cairn(server_binary()):
        return rows
    kept = []  # A stand-in has no worker threads: each protocol once.
    for protocol, _ in rows:
        if (protocol, 1) not in kept:
            kept.append((protocol, 1))
    return kept


def run_one(function, env, seconds):
    def hung(*unused):
        raise Hung("no end after %d s" % seconds)
    signal.signal(signal.SIGALRM, hung)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        function(env)
        return "passed", ""
    except Skip as reason:
        return "skipped", str(reason)
    except Failure:
        return "failed", traceback.format_exc(limit=-3)
    except BaseException as error:  # pylint: disable=broad-except
        if isinstance(error, KeyboardInterrupt):
            raise
        return "failed", traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def run_row(module, function, protocol, threads, servers, seed):
    """One test in one row of the matrix; returns (outcome, note)."""
    if getattr(function, "cairn_only", None) and not is_cairn(server_binary()):
        return "skipped", "only Cairn: " + function.cairn_only
    seconds = max(HUNG_SECONDS, getattr(function, "limit", getattr(module, "LIMIT", 0)))
    env = Env(servers, protocol, threads, seed)
    if env.slow:
        seconds *= 3
    try:
        servers.empty()
    except Exception as error:  # pylint: disable=broad-except
        servers.drop(threads)
        return "failed", "the shared server cannot be emptied: %r" % error
    outcome, note = run_one(function, env, seconds)
    try:
        problems = env.finish(outcome == "failed")
    except Exception as error:  # pylint: disable=broad-except
        problems = [str(error)]
    problem = servers.problem(threads)
    if problem:
        problems.append(problem)
    if problems:
        outcome, note = "failed", "\n".join([note] + problems)
    if outcome == "failed":
        folder = servers.drop(threads)
        note += "\n  seed %d%s" % (seed, "; server folder kept: %s" % folder if folder else "")
    return outcome, note


def run_file(path, pattern, seed):
    """Runs one file's tests and prints a JSON line for each; the child side of main()."""
    module = load(path)
    servers = Servers()
    label = os.path.basename(path)[:-3]
    for name, function in sorted(vars(module).items(), key=lambda kv: _line_of(kv[1])):
        if not name.startswith("test_") or not callable(function):
            continue
        for protocol, threads in rows_of(module, function):
            title = "%s.%s[resp%d,%dt]" % (label, name, protocol, threads)
            if pattern and not fnmatch.fnmatch(title, "*%s*" % pattern.replace("[", "[[]")):
                continue
            print(json.dumps({"start": title}), flush=True)
            begin = time.monotonic()
            outcome, note = run_row(module, function, protocol, threads, servers, seed)
            print(json.dumps({"test": title, "outcome": outcome, "note": note,
                              "seconds": round(time.monotonic() - begin, 2)}), flush=True)
    for problem in servers.close():
        print(json.dumps({"test": label + ".servers_stop_cleanly", "outcome": "failed",
                          "note": problem, "seconds": 0}), flush=True)


def _line_of(value):
    code = getattr(value, "__code__", None)
    return code.co_firstlineno if code else 0


class FileRun:
    """The parent's view of one file's process."""

    def __init__(self, path, args, seed):
        self.path = path
        line = [sys.executable, "-m", "harness.runner", "--child", path, "--seed", str(seed)]
        if args.filter:
            line += ["--filter", args.filter]
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True,
                                        start_new_session=True)
        self.passed = self.failed = self.skipped = 0
        self.lines = []

    def collect(self, verbose):
        """Reads to the end of the process; prints failures and skips."""
        current, begin = None, time.monotonic()
        label = os.path.relpath(self.path)
        for line in self.process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                self.lines.append(line.rstrip())
                continue
            if "start" in event:
                current = event["start"]
                continue
            self._count(event, verbose)
            current = None
        status = self.process.wait()
        if status != 0:
            self.failed += 1
            self.lines.append("FAILED %s: the test process ended with %d in %s" %
                              (label, status, current))
        tail = ", %d skipped" % self.skipped if self.skipped else ""
        self.lines.append("%s: %d passed, %d failed%s (%.1f s)" %
                          (label, self.passed, self.failed, tail, time.monotonic() - begin))

    def _count(self, event, verbose):
        outcome = event["outcome"]
        setattr(self, outcome, getattr(self, outcome) + 1)
        if outcome == "failed":
            self.lines.append("FAILED %s (%.1f s)\n%s" % (event["test"], event["seconds"],
                                                          event["note"]))
        elif outcome == "skipped":
            self.lines.append("skipped %s: %s" % (event["test"], event["note"]))
        elif verbose:
            self.lines.append("passed %s (%.2f s)" % (event["test"], event["seconds"]))


def find_files(targets):
    files = []
    for target in targets:
        if os.path.isdir(target):
            files += sorted(glob.glob(os.path.join(target, "*_test.py")))
        else:
            files.append(target)
    return [os.path.abspath(f) for f in files]


def run_files(files, args, seed):
    """All files, `jobs` at a time (a thread each waits for its process)."""
    from concurrent.futures import ThreadPoolExecutor
    totals = [0, 0, 0]

    def one(path):
        run = FileRun(path, args, seed)
        run.collect(args.verbose)
        print("\n".join(run.lines), flush=True)
        totals[0] += run.passed
        totals[1] += run.failed
        totals[2] += run.skipped

    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(one, files))
    return totals


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--filter", default="")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--child", default="")
    args = parser.parse_args()
    if args.child:
        run_file(args.child, args.filter, args.seed)
        return 0
    passed, failed, skipped = run_files(find_files(args.targets), args, args.seed)
    if skipped:
        print("%d skipped for the reasons above" % skipped)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or (passed == 0 and not args.filter) else 0


if __name__ == "__main__":
    sys.exit(main())
