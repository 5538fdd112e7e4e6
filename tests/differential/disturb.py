# SPDX-License-Identifier: BSD-3-Clause
"""Stops now one server, now the other, for a moment, at random times (`--disturb`).

No verdict of the differential test may depend on the clock or on load: this shows it. SIGSTOP in
the middle of a batch is what an overloaded machine does to a process, only worse.
"""

import random
import signal
import threading

STOP_S = 0.3
BETWEEN_MAX_S = 0.6


class Disturber:
    """A thread with a randomness of its own: what it does is no part of a round."""

    def __init__(self, servers):
        self.servers = servers
        self.done = threading.Event()
        self.stops = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def close(self):
        self.done.set()
        self.thread.join()

    def _run(self):
        rng = random.Random()
        while not self.done.wait(rng.random() * BETWEEN_MAX_S):
            process = rng.choice(self.servers).process
            if process is None or process.poll() is not None:
                continue
            process.send_signal(signal.SIGSTOP)
            self.done.wait(STOP_S)
            process.send_signal(signal.SIGCONT)
            self.stops += 1
