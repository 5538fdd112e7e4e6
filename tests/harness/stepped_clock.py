# SPDX-License-Identifier: BSD-3-Clause
"""A wall clock that somebody sets, under a real server: stepped_clock.c, compiled once a process.

    clock = SteppedClock()
    server = Server(environment=clock.environment, ...)
    clock.step(3600)

Not with the sanitizers, whose runtime wants to be the first library.
"""

import os
import shutil
import struct
import subprocess
import tempfile

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stepped_clock.c")


class SteppedClock:
    """Removed with its folder by close()."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="cairn-clock-")
        library = os.path.join(self.folder, "stepped_clock.so")
        compiler = shutil.which("cc") or shutil.which("gcc") or "g++"
        subprocess.run([compiler, "-x", "c", "-shared", "-fPIC", "-O1", "-o", library, SOURCE],
                       check=True)
        self.path = os.path.join(self.folder, "seconds")
        self.environment = {"LD_PRELOAD": library, "STEPPED_CLOCK": self.path}
        self.seconds = 0
        with open(self.path, "wb") as out:
            out.write(struct.pack("=q", 0))

    def step(self, seconds):
        """Forward, or back; at once for all that run."""
        self.seconds += seconds
        with open(self.path, "r+b") as out:
            out.write(struct.pack("=q", self.seconds))

    def close(self):
        """Removes the files."""
        shutil.rmtree(self.folder, ignore_errors=True)
