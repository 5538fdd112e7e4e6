# SPDX-License-Identifier: BSD-3-Clause
"""Server processes for tests: Cairn, a stand-in for it, and the oracle.

CAIRN_SERVER names the binary under test (build/cairn-server unless set). When it names a
redis-server, that stands in: directives only Cairn has are left out, and tests marked
@cairn_only are skipped. ORACLE_SERVER names the oracle (redis-server unless set).

A server listens on a free loopback port, works in a folder of its own under /tmp, and is only ever
stopped through the process that was started here. Its output is in <folder>/log.
"""

import itertools
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from harness.checks import PATIENCE, skip
from harness.resp import Client, Error

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# What a stand-in would refuse to start with.
CAIRN_DIRECTIVES = {"threads", "journal-segment-size"}

SANITIZER_REPORT = re.compile(
    r"WARNING: ThreadSanitizer|ERROR: AddressSanitizer|ERROR: LeakSanitizer|: runtime error: ")


class StartFailure(Exception):
    """The server ended, or never answered, at its start; the text holds its output."""


def server_binary():
    return os.environ.get("CAIRN_SERVER") or os.path.join(ROOT, "build", "cairn-server")


def oracle_binary():
    return os.environ.get("ORACLE_SERVER") or shutil.which("redis-server") or "redis-server"


def check_binary():
    """The cairn-check beside the server under test, else the one of the release build."""
    folder = os.path.dirname(server_binary())
    for path in (os.path.join(folder, "cairn-check"), os.path.join(folder, "..", "cairn-check")):
        if os.path.exists(path):
            return path
    return skip("no cairn-check is built")


def is_cairn(binary):
    return "cairn" in os.path.basename(binary)


def slow_build(binary):
    """True for a sanitizer build, which needs more patience."""
    return any(word in binary for word in ("/thread/", "/address", "/undefined"))


class Ports:
    """Ports below the range from which the kernel takes client ports, of which each process has a
    hundred to itself: what one test has chosen, or comes back to, no other takes meanwhile. Each is
    given once before any is given again."""

    FIRST, COUNT, SLICES = 12000, 100, 200

    def __init__(self):
        self.owner = None

    def _claim(self):
        """A name that the kernel keeps as long as the process lives stands for the slice."""
        for number in random.SystemRandom().sample(range(self.SLICES), self.SLICES):
            self.claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                self.claim.bind("\0cairn-test-ports-%d" % number)
                break
            except OSError:
                self.claim.close()
        first = self.FIRST + number * self.COUNT
        self.ports = itertools.cycle(range(first, first + self.COUNT))
        self.owner = os.getpid()  # last: whoever sees it finds the ports

    def next(self):
        if self.owner != os.getpid():
            self._claim()
        while True:
            port = next(self.ports)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue


PORTS = Ports()


def free_port():
    return PORTS.next()


def flatten(directives):
    """{'save': '', 'bind': ['a', 'b']} -> ['--save', '', '--bind', 'a', 'b']"""
    out = []
    for name, value in directives.items():
        out.append("--" + name)
        values = value if isinstance(value, (list, tuple)) else [value]
        out.extend(str(v) for v in values)
    return out


class Server:
    """One server process and its folder, discarded at the end of a `with`. `directives` are given
    on the command line."""

    def __init__(self, binary=None, threads=4, folder=None, config_file=None, wait=True,
                 environment=None, **directives):
        self.binary = binary or server_binary()
        self.is_cairn = is_cairn(self.binary)
        self.folder = folder or tempfile.mkdtemp(prefix="cairn-test-")
        self.own_folder = folder is None
        self.config_file = config_file
        self.environment = environment or {}
        self.password = directives.get("requirepass")
        self.process = None
        self.port = 0
        self.checked_bytes = 0
        self.refusals_expected = False  # by a start, of commands of its log
        self.directives = {"bind": "127.0.0.1", "dir": self.folder,
                           "enable-debug-command": "yes"}
        if self.is_cairn:
            self.directives["threads"] = threads
        else:
            self.directives["save"] = ""
        for name, value in directives.items():
            name = name.replace("_", "-")
            if self.is_cairn or name not in CAIRN_DIRECTIVES:
                self.directives[name] = value
        if wait:
            self.start()

    @property
    def log_path(self):
        return os.path.join(self.folder, "log")

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def log_text(self):
        try:
            with open(self.log_path, errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    # Starting

    def start(self, patience=None):
        """Starts and waits until it serves; another port is tried if ours was snatched."""
        for attempt in range(5):
            fixed = "port" in self.directives
            self.port = int(self.directives["port"]) if fixed else free_port()
            try:
                return self._start_once(patience)
            except StartFailure as failure:
                snatched = "ddress already in use" in str(failure) or "bind" in str(failure)
                if fixed or not snatched or attempt == 4:
                    raise

    def command_line(self):
        line = [self.binary]
        if self.config_file:
            line.append(self.config_file)
        return line + flatten({"port": self.port, **self.directives})

    def _start_once(self, patience):
        log_start = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        environment = dict(os.environ, **self.environment)
        environment.setdefault("TSAN_OPTIONS", "halt_on_error=0 exitcode=66 history_size=4")
        environment.setdefault("ASAN_OPTIONS", "detect_leaks=1:exitcode=67")
        # Dying at the finding shows which request it was.
        environment.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command_line(), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=self.folder,
                                            env=environment)
        patience = patience or 2 * PATIENCE
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise StartFailure("exit status %s\n%s" %
                                   (self.process.returncode, self.log_text()[log_start:]))
            if self._answers():
                self._check_replay(log_start)
                return self
            time.sleep(0.01)
        self.kill()
        raise StartFailure("no answer for %d s\n%s" % (patience, self.log_text()[log_start:]))

    def _check_replay(self, log_start):
        """What the log holds applies, but where a script kept changes out of it."""
        refused = re.search(".*of the log failed and were passed over.*", self.log_text()[log_start:])
        if refused and not self.refusals_expected:
            self.kill()
            raise StartFailure(refused.group())

    def _answers(self):
        """True when this very process answers, not another one that took the port."""
        try:
            with Client(self.port, timeout=PATIENCE) as client:
                if self.password:
                    client.call("AUTH", self.password)
                reply = client.call("PING")
                if isinstance(reply, Error):  # While it loads, mostly.
                    return False
                info = client.call("INFO", "server")
                found = re.search(rb"process_id:(\d+)", info) if isinstance(info, bytes) else None
                return found is None or int(found.group(1)) == self.process.pid
        except (OSError, EOFError):
            return False

    # Stopping

    def stop(self, sig=signal.SIGTERM, seconds=None):
        """Asks the server to end, checks that it does so cleanly; returns its exit status."""
        if not self.alive():
            return None if self.process is None else self.process.returncode
        self.process.send_signal(sig)
        try:
            return self.process.wait(seconds or 2 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise StartFailure("did not stop on signal %d\n%s" % (sig, self.log_text()[-3000:]))

    def kill(self):
        """kill -9: what a crash of the process leaves behind."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def restart(self, crash=False):
        self.kill() if crash else self.stop()
        self.start()

    def sanitizer_report(self):
        """The text from the first sanitizer report on that was not yet asked for, or None."""
        text = self.log_text()[self.checked_bytes:]
        self.checked_bytes += len(text)
        found = SANITIZER_REPORT.search(text)
        return text[found.start():found.start() + 6000] if found else None

    def problem(self):
        """What is wrong with this server beyond the replies it gave: died, or a report."""
        report = self.sanitizer_report()
        if report:
            return "sanitizer report:\n" + report
        if self.process is not None and self.process.poll() not in (None, 0, -9):
            return "the server ended with status %s:\n%s" % (self.process.returncode,
                                                             self.log_text()[-4000:])
        return None

    def discard(self, keep=False):
        """Ends the process, whatever its state, and removes its folder unless it is to be kept."""
        self.kill()
        if self.own_folder and not keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.discard()

    # Talking

    def client(self, protocol=2, **options):
        options.setdefault("timeout", 2 * PATIENCE if slow_build(self.binary) else PATIENCE)
        if self.password and "password" not in options:
            options["password"] = self.password
        return Client(self.port, protocol=protocol, **options)


def with_files(files, **directives):
    """A server, not started, whose folder holds {path: bytes}."""
    server = Server(wait=False, **directives)
    for path, content in files.items():
        path = os.path.join(server.folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(content)
    return server


def refusal(server):
    """Why the server did not start."""
    try:
        server.start()
    except StartFailure as failure:
        return str(failure)
    raise AssertionError("the server started")
