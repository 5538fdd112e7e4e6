# SPDX-License-Identifier: BSD-3-Clause
"""A disk that breaks and heals beside the writers."""

import errno
import random
import threading
import time

from harness.faulty_disk import FaultyDisk

# What breaks: operation, error, part of the path.
FAULTS = (
    ("pwrite", errno.EIO, ".aof.lz4"), ("pwrite", errno.ENOSPC, ".aof.lz4"),
    ("half", errno.ENOSPC, ".aof.lz4"), ("sync", errno.EIO, ".aof.lz4"),
    ("open", errno.ENOSPC, "appendonlydir"), ("rename", errno.EIO, "manifest"),
    ("syncdir", errno.EIO, "appendonlydir"), ("sync", errno.EIO, "manifest"),
    ("unlink", errno.EIO, "appendonlydir"), ("pwrite", errno.ENOSPC, ".rdb.lz4"),
    ("sync", errno.EIO, ".rdb.lz4"), ("rename", errno.EIO, ".rdb.lz4"),
    ("link", errno.EXDEV, "backup"), ("pwrite", errno.ENOSPC, "backup"),
)


class Faults(threading.Thread):
    """Breaks something for a moment, again and again, until stop()."""

    def __init__(self, disk: FaultyDisk, seed):
        super().__init__(daemon=True)
        self.disk, self.rng = disk, random.Random(seed)
        self.over = threading.Event()

    def run(self):
        while not self.over.is_set():
            for fault in self.rng.sample(FAULTS, self.rng.choice((1, 1, 2))):
                self.disk.fail(*fault, percent=self.rng.choice((100, 100, 50, 5)))
            self.over.wait(self.rng.choice((0.005, 0.05, 0.3)))
            self.disk.heal()
            self.over.wait(self.rng.choice((0.05, 0.3, 1.2)))

    def stop(self):
        """The disk is whole again."""
        self.over.set()
        self.join()
        self.disk.heal()


def pause(rng):
    """How long a round with faults lasts: a failed log is tried again every second."""
    time.sleep(rng.choice((0.3, 1.5, 3)) * (0.5 + rng.random()))
