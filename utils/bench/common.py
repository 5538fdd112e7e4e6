# SPDX-License-Identifier: BSD-3-Clause
"""What the measurements of this folder share: servers, their clients and the load generator."""
import json
import os
import re
import resource
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CAIRN = os.environ.get("CAIRN_SERVER", os.path.join(ROOT, "build", "cairn-server"))
LOAD = os.environ.get("CAIRN_LOAD", os.path.join(ROOT, "build", "cairn-load"))
FLOOR = os.path.join(os.path.dirname(LOAD), "echo-floor")
TICK = os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))
# The servers' core, and those of the load. On a machine with a single core they share it.
SERVER_CORES, LOAD_CORES = CORES[:1], CORES[1:] or CORES
START_SECONDS = 600  # for a log of ten million keys on a busy machine; one that ends is noticed
# Ten thousand connections; children inherit it.
OPEN_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(frozen=True)
class Product:
    """A server's binary; called with options it gives the command for a port and a folder."""
    binary: str
    is_cairn: bool

    def __call__(self, *more, threads=1):
        own = ("--threads", str(threads), "--appendonly", "no")
        others = ("--io-threads", str(threads)) if threads > 1 else ()
        rest = [*(own if self.is_cairn else others), *more]
        return lambda port, folder: [self.binary, "--port", str(port), "--dir", folder,
                                     "--save", "", *rest]


cairn, redis = Product(CAIRN, True), Product("redis-server", False)


def floor(port, _):
    return [FLOOR, str(port)]


def worded(words):
    """The command of somebody who takes no options of ours."""
    return lambda port, folder: [word.format(port=port, dir=folder) for word in words]


def peers():
    """What the environment's PEERS names, as name -> Product, or -> command.

    A word is NAME=BINARY, for a server that takes the options of redis-server (or is Cairn), or
    "NAME=BINARY WORDS" with {port} and {dir} in the words, which gets no others.
    """
    found = {}
    for word in shlex.split(os.environ.get("PEERS", "")):
        name, command = word.split("=", 1)
        if "{port}" in command:
            found[name] = worded(shlex.split(command))
        else:
            found[name] = Product(command, os.path.basename(command) == "cairn-server")
    return found


def products():
    """All that take options, ours and redis-server first."""
    return {"cairn": cairn, "redis": redis,
            **{name: peer for name, peer in peers().items() if isinstance(peer, Product)}}


def commands(*more):
    """name -> command of all servers with these options, where they take any; ours first."""
    found = {"cairn": cairn, "redis": redis, **peers()}
    return {name: server(*more) if isinstance(server, Product) else server
            for name, server in found.items()}


def encode(words):
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        out.append(b"$%d\r\n%b\r\n" % (len(word), word))
    return b"".join(out)


class Client:
    """Just enough RESP: requests may be sent ahead of their replies."""

    def __init__(self, port, seconds=60):
        self.socket = socket.create_connection(("127.0.0.1", port), seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()

    def send(self, *words):
        self.socket.sendall(encode(words))

    def reply(self):
        line = self.stream.readline()
        if not line.endswith(b"\n"):
            raise OSError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b"$":
            return None if rest == b"-1" else self.stream.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.reply() for _ in range(int(rest))]
        return int(rest) if kind == b":" else rest

    def call(self, *words):
        self.send(*words)
        return self.reply()


class Server:
    """A server on a folder that stays between starts, stopped by its process id."""

    def __init__(self, name, command, cores=None, load_cores=LOAD_CORES):
        self.name, self.command, self.cores = name, command, cores
        self.load_cores = load_cores
        self.folder = tempfile.mkdtemp(prefix="cairn-bench-")
        self.start()

    def start(self):
        """Starts it and returns the seconds until it answers."""
        self.port = free_port()
        words = self.command(self.port, self.folder)
        if self.cores:
            words = ["taskset", "-c", ",".join(map(str, self.cores)), *words]
        begin = time.time()
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while time.time() < begin + START_SECONDS and self.process.poll() is None:
            try:
                self.call("PING")
                return time.time() - begin
            except (OSError, RuntimeError):  # not there yet; still loading
                time.sleep(0.005)
        self.discard()
        raise RuntimeError(f"{self.name} did not start: {shlex.join(words)}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.discard()

    def call(self, *words):
        with Client(self.port) as client:
            return client.call(*words)

    def info(self, field):
        found = re.search(field.encode() + rb":([^\r]*)", self.call("INFO", "everything"))
        return found.group(1).decode() if found else None

    def memory(self, what="VmRSS"):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(what + r":\s+(\d+)", status.read()).group(1)) * 1024

    def cpu(self, children=False):
        """CPU seconds of the process, threads that have ended too; and of children that have."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return sum(int(field) for field in fields[11:15 if children else 13]) / TICK

    def save(self):
        """A BGSAVE to its end: its seconds, and those of the CPU."""
        begin, cpu = time.time(), self.cpu(children=True)
        with Client(self.port) as client:
            client.call("BGSAVE")
            while b"rdb_bgsave_in_progress:0" not in (info := client.call("INFO", "persistence")):
                time.sleep(0.002)
        if b"rdb_last_bgsave_status:ok" not in info:
            raise RuntimeError(f"{self.name}: BGSAVE failed")
        return time.time() - begin, self.cpu(children=True) - cpu

    def stop(self, patience=120):
        self.process.terminate()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def discard(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def load_command(server, workload, options, cores):
    words = [LOAD, "--port", str(server.port), "--cpu-of", str(server.process.pid)]
    words += ["--command" if " " in workload else "--workload", workload]
    for name, value in options.items():
        if value is True:
            words.append("--" + name)
        elif value is not False and value is not None:
            words += ["--" + name, str(value)]
    return ["taskset", "-c", ",".join(map(str, cores)), *words] if cores else words


def load(server, workload, cores=LOAD_CORES, **options):
    """Runs cairn-load and returns what it prints; options by their names."""
    done = subprocess.run(load_command(server, workload, options, cores), capture_output=True,
                          text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{server.name}, {workload}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def load_some(counted, server, workload, seconds, **options):
    """As load; for longer if nothing was `counted`, as on a crowded machine or a slow disk."""
    for longer in (1, 5, 25):
        run = load(server, workload, seconds=seconds * longer, **options)
        if run[counted]:
            return run
        options.pop("fill", None)
    raise RuntimeError(f"{server.name}, {workload}: no request was answered")


def fill(server, workload, count, **options):
    """The workload's requests for the keys 0 to count - 1, each once."""
    return load(server, workload, requests=count, keys=count, distribution="sequential",
                connections=8, pipeline=64, **options)


class Beside:
    """A steady load while something else happens: `with Beside(...) as b: ...`, then b.figures.

    Open loop, so that a pause of the server counts for all requests that were due in it. Its
    thread gets its core at once, as that of a client with a machine of its own: on two cores what
    was measured else was mostly the load's own waiting.
    """

    def __init__(self, server, workload="ping", rate=1000, **options):
        options = {"connections": 1, "rate": rate, "seconds": 100000, "warmup": 0,
                   "real-time": True, **options}
        self.words = load_command(server, workload, options, LOAD_CORES)
        self.figures = None

    def __enter__(self):
        self.process = subprocess.Popen(self.words, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        # Once it has threads it sends, and knows what to do when it is told to end.
        tasks = f"/proc/{self.process.pid}/task"
        while self.process.poll() is None and len(os.listdir(tasks)) < 2:
            time.sleep(0.002)
        return self

    def __exit__(self, *_):
        self.process.terminate()  # it ends its window and prints
        out, errors = self.process.communicate()
        if self.process.returncode != 0:
            raise RuntimeError(errors.strip())
        self.figures = json.loads(out)
