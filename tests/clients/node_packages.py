# SPDX-License-Identifier: BSD-3-Clause
"""The client libraries of node.js: fetched by npm at the versions of package-lock.json.

They lie in build/clients and stay there; npm is asked again only when the lock file changes. A
machine whose npm reaches no registry skips these tests with npm's reason; any other failure of npm
fails them.
"""

import fcntl
import functools
import os
import re
import shutil
import subprocess

from harness import Failure, Skip, check, skip

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "clients")

# The registry cannot be reached, does not answer, or has not got (or lends not) the package.
UNREACHABLE = re.compile(
    r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ERR_SOCKET_TIMEOUT|ENETUNREACH"
    r"|EHOSTUNREACH|ENOTCACHED|EPIPE|E4\d\d|E5\d\d|ETARGET|UNABLE_TO_[A-Z_]+|[A-Z_]*CERT[A-Z_]*)\b")

PATIENCE_S = 150


def _read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _install():
    """Fills FOLDER by npm; raises Skip or Failure."""
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(os.path.join(HERE, name), os.path.join(FOLDER, name))
    # Not `npm ci`, which wants to know optional packages for every platform.
    line = ["npm", "install", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund",
            "--no-progress", "--fetch-timeout=20000", "--fetch-retries=2",
            "--fetch-retry-factor=2", "--fetch-retry-mintimeout=1000"]
    try:
        ended = subprocess.run(line, cwd=FOLDER, capture_output=True, text=True, check=False,
                               stdin=subprocess.DEVNULL, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        skip("npm got no answer from its registry in %d s" % PATIENCE_S)
    if ended.returncode == 0:
        return
    reason = UNREACHABLE.search(ended.stderr)
    if reason:
        skip("npm cannot fetch the client libraries: " + reason.group())
    raise Failure("npm install ended with %d\n%s" % (ended.returncode, ended.stderr[:3000]))


@functools.cache
def _missing():
    """Installs what is not there; why that cannot be, or None. Asks npm once."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "nodejs and npm are not installed"
    os.makedirs(FOLDER, exist_ok=True)
    stamp = os.path.join(FOLDER, "installed-lock.json")
    with open(os.path.join(FOLDER, ".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = _read(os.path.join(HERE, "package-lock.json"))
        if _read(stamp) != wanted:
            try:
                _install()
            except Skip as reason:
                return str(reason)
            with open(stamp, "w", encoding="utf-8") as file:
                file.write(wanted)
    return None


def packages():
    """The folder of the installed libraries, for NODE_PATH."""
    reason = _missing()
    if reason:
        skip(reason)
    return os.path.join(FOLDER, "node_modules")


def run_node(env, script, seconds):
    """Runs one of this folder's scripts against the test's server; node:test says what failed."""
    environment = {"PATH": os.environ["PATH"], "HOME": FOLDER, "NODE_PATH": packages(),
                   "NO_COLOR": "1", "SLOW": "1" if env.slow else ""}
    process = subprocess.Popen(["node", os.path.join(HERE, script), str(env.server.port)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, env=environment)
    try:
        output, _ = process.communicate(timeout=seconds)
    except BaseException as problem:
        process.kill()
        output, _ = process.communicate()
        if isinstance(problem, subprocess.TimeoutExpired):
            raise Failure("%s: no end after %d s\n%s" % (script, seconds, output[-4000:])) from None
        raise
    passed = re.search(r"^\S* ?pass (\d+)$", output, re.MULTILINE)
    first = re.search(r"^(not ok|\u2716)", output, re.MULTILINE)
    shown = output[first.start():][:6000] if first else output[-6000:]
    check(process.returncode == 0 and passed and int(passed.group(1)) > 0,
          "%s ended with %d\n%s" % (script, process.returncode, shown))
