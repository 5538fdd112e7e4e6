# SPDX-License-Identifier: BSD-3-Clause
"""Power cuts under a real server: power_cut.c keeps what is durable.

    power = PowerCut()
    server = Server(environment=power.environment, appendonly="yes", ...)
    ...   server.kill()   power.cut(journal_folder, rng)   server.start()
"""

import collections
import os

from harness.preloaded import Preloaded

SECTOR_BYTES = 512

# A write or sync of a file, `begin` and `end` as time.monotonic() has them.
Call = collections.namedtuple("Call", "what begin end path")


class PowerCut(Preloaded):
    """The disk of one server. Removed with its folder by close()."""

    def __init__(self):
        super().__init__("power_cut", "")

    def _path(self, name):
        return os.path.join(self.folder, str(name))

    def hold_syncs(self, hold):
        """They hang, or go on."""
        if hold:
            with open(self._path("hold"), "w"):
                pass
        elif os.path.exists(self._path("hold")):
            os.unlink(self._path("hold"))

    def calls(self):
        """All writes and syncs of the journal's files that have ended since the last cut."""
        try:
            with open(self._path("times")) as times:
                lines = [line.split(" ", 3) for line in times.read().splitlines(True)]
        except FileNotFoundError:
            return []
        # The last line of a killed process may be torn.
        return [Call(what, int(begin) / 1e9, int(end) / 1e9, path.rstrip("\n"))
                for what, begin, end, path in (l for l in lines if len(l) == 4)
                if path.endswith("\n")]

    def cut(self, folder, rng):
        """Of what no sync had covered a random part of the sectors stays; the server is dead."""
        for entry in os.scandir(folder):
            if not entry.is_file(follow_symlinks=False) or entry.name == "cairn.lock":
                continue
            durable = b""
            if os.path.exists(self._path(entry.inode())):
                with open(self._path(entry.inode()), "rb") as file:
                    durable = file.read()
            with open(entry.path, "rb") as file:
                left = lose_sectors(durable, file.read(), rng)
            for path in (entry.path, self._path(entry.inode())):
                with open(path, "wb") as file:  # the same inode
                    file.write(left)
        self.hold_syncs(False)
        if os.path.exists(self._path("times")):
            os.unlink(self._path("times"))


def lose_sectors(durable, now, rng):
    """What is there when some of the sectors that a file has `now` had reached the disk."""
    left = bytearray(durable)
    for at in range(0, len(now), SECTOR_BYTES):
        sector = now[at:at + SECTOR_BYTES]
        if left[at:at + len(sector)] == sector or rng.random() < 0.5:
            continue
        if len(left) < at:
            left.extend(bytes(at - len(left)))
        left[at:at + len(sector)] = sector
    return bytes(left)
