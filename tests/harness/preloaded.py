# SPDX-License-Identifier: BSD-3-Clause
"""Libraries that LD_PRELOAD puts before the C library under a real server, to do as a test says.

    class Disk(Preloaded):
        def __init__(self):
            super().__init__("disk", "rules")   # disk.c reads the file that $DISK names
    server = Server(environment=Disk().environment, ...)

They are compiled into build/preloaded/, under names that tell of what: once for all processes and
runs. Where there can be none (no compiler; a sanitizer whose runtime wants to be the first library,
which only the thread sanitizer's can be here) the test is skipped.
"""

import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile

from harness.checks import skip
from harness.server import ROOT, server_binary, slow_build

SOURCES = os.path.dirname(os.path.abspath(__file__))
BUILT = os.path.join(ROOT, "build", "preloaded")
# Functions are defined here that _FORTIFY_SOURCE has in line.
FLAGS = ["-x", "c", "-shared", "-fPIC", "-O1", "-Wall", "-U_FORTIFY_SOURCE"]


class Preloaded:
    """The library of one server, and a folder in which the test tells it what to do."""

    def __init__(self, name, told):
        """`told` is the file whose path the library gets, "" for the folder."""
        first, built = sanitizer_first(), library(name)
        self.folder = tempfile.mkdtemp(prefix="cairn-%s-" % name.replace("_", "-"))
        self.told = os.path.join(self.folder, told) if told else self.folder
        # LD_PRELOAD takes no path with a blank or a colon in it, as a checkout's may be.
        link = os.path.join(self.folder, name + ".so")
        os.symlink(built, link)
        self.environment = {"LD_PRELOAD": first + link, name.upper(): self.told}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Removes the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


@functools.lru_cache(maxsize=None)
def sanitizer_first():
    """What LD_PRELOAD begins with: the runtime of the server's thread sanitizer, if it has one."""
    if not slow_build(server_binary()):
        return ""
    listed = subprocess.run(["ldd", server_binary()], capture_output=True, check=True).stdout
    found = re.search(rb"libtsan\.so\S* => (\S+)", listed)
    if found is None:
        skip("the sanitizers' runtime wants to be the first library")
    return found.group(1).decode() + ":"


@functools.lru_cache(maxsize=None)
def library(name):
    """The path of what NAME.c was compiled to. Other processes may ask for it at the same time."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("g++")
    if compiler is None:
        skip("there is no C compiler to build the library with")
    source = os.path.join(SOURCES, name + ".c")
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True).stdout
    made_of = hashlib.sha256(repr([compiler, version, FLAGS]).encode())
    for path in (source, os.path.join(SOURCES, "preloaded.h")):
        with open(path, "rb") as file:
            made_of.update(file.read())
    path = os.path.join(BUILT, "%s-%s.so" % (name, made_of.hexdigest()[:16]))
    if not os.path.exists(path):
        os.makedirs(BUILT, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILT) as own:
            made = os.path.join(own, name + ".so")
            subprocess.run([compiler, *FLAGS, "-o", made, source, "-ldl", "-lpthread"], check=True)
            os.rename(made, path)  # whole, whoever else makes one
    return path
