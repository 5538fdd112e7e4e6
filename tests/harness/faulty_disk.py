# SPDX-License-Identifier: BSD-3-Clause
"""A disk that fails on demand under a real server: faulty_disk.c.

    disk = FaultyDisk()
    server = Server(environment=disk.environment, ...)
    disk.fail("sync", errno.EIO, "appendonlydir")   ...   disk.heal()
"""

import os

from harness.preloaded import Preloaded
from harness.replication import info


class FaultyDisk(Preloaded):
    """One set of rules, which end with close()."""

    def __init__(self):
        super().__init__("faulty_disk", "rules")
        self.rules = []
        self.heal()

    def fail(self, operation, error, path, percent=100):
        """From now on; see faulty_disk.c."""
        self.rules.append("%s %d %d %s" % (operation, error, percent, path))
        self._write()

    def stall(self, path):
        """Writes to such files wait, and who opens one for that, until it is healed."""
        self.fail("stall", 1, path)

    def stall_syncs(self):
        """All syncs wait, until it is healed."""
        self.fail("stallsync", 1, "/")

    def heal(self):
        """No faults any more."""
        self.rules = []
        self._write()

    def _write(self):
        with open(self.told + ".new", "w", encoding="utf-8") as out:
            out.write("\n".join(self.rules))
        os.rename(self.told + ".new", self.told)


class Machine:
    """A server of a test on such a disk, and a client of it: `with Machine(env, ...) as m`."""

    def __init__(self, env, **directives):
        self.env, self.disk = env, FaultyDisk()
        self.server = env.start(environment=self.disk.environment, **directives)
        self.c = env.client(2, self.server)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.disk.close()

    def info(self, name, section="persistence"):
        return info(self.c, name, section)
