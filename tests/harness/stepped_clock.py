# SPDX-License-Identifier: BSD-3-Clause
"""A wall clock that somebody sets, under a real server: stepped_clock.c.

    clock = SteppedClock()
    server = Server(environment=clock.environment, ...)
    clock.step(3600)
"""

import struct

from harness.preloaded import Preloaded


class SteppedClock(Preloaded):
    """Removed with its folder by close()."""

    def __init__(self):
        super().__init__("stepped_clock", "seconds")
        self.seconds = 0
        with open(self.told, "wb") as out:
            out.write(struct.pack("=q", 0))

    def step(self, seconds):
        """Forward, or back; at once for all that run."""
        self.seconds += seconds
        with open(self.told, "r+b") as out:
            out.write(struct.pack("=q", self.seconds))
