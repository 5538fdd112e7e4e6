# SPDX-License-Identifier: BSD-3-Clause
"""A disk that fails on demand under a real server: faulty_disk.c, compiled once a process.

    disk = FaultyDisk()
    server = Server(environment=disk.environment, ...)
    disk.fail("sync", errno.EIO, "appendonlydir")   ...   disk.heal()

Not with the sanitizers, whose runtime wants to be the first library.
"""

import os
import shutil
import subprocess
import tempfile

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "faulty_disk.c")


class FaultyDisk:
    """One set of rules. Removed with its folder by close()."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="cairn-disk-")
        library = os.path.join(self.folder, "faulty_disk.so")
        compiler = shutil.which("cc") or shutil.which("gcc") or "g++"
        subprocess.run([compiler, "-x", "c", "-shared", "-fPIC", "-O1", "-o", library, SOURCE,
                        "-ldl"], check=True)
        self.rules_path = os.path.join(self.folder, "rules")
        self.environment = {"LD_PRELOAD": library, "FAULTY_DISK": self.rules_path}
        self.rules = []
        self.heal()

    def fail(self, operation, error, path, percent=100):
        """From now on; see faulty_disk.c."""
        self.rules.append("%s %d %d %s" % (operation, error, percent, path))
        self._write()

    def stall(self, path):
        """Writes to such files wait, until it is healed."""
        self.fail("stall", 1, path)

    def heal(self):
        """No faults any more."""
        self.rules = []
        self._write()

    def _write(self):
        with open(self.rules_path + ".new", "w") as out:
            out.write("\n".join(self.rules))
        os.rename(self.rules_path + ".new", self.rules_path)

    def close(self):
        """Removes the files."""
        shutil.rmtree(self.folder, ignore_errors=True)
