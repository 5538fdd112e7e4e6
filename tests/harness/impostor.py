# SPDX-License-Identifier: BSD-3-Clause
"""A leader that says what a test wants it to say."""

import socket
import threading

from harness.checks import PATIENCE, eventually


class Impostor:
    """A leader that says yes, but to PSYNC `answer`, or what `answer(words)` returns."""

    def __init__(self):
        self.answer = b""
        self.asked = []  # the words of each PSYNC
        self.unanswered = []  # the words of a PSYNC each that met silence
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            connection = self.listener.accept()[0]
            try:
                with connection:
                    self.connection = connection
                    self.serve(connection)
            except OSError:
                pass

    def serve(self, connection):
        requests = connection.makefile("rb")
        while True:
            head = requests.readline()
            if not head:
                return
            if head == b"\n":  # that it is loading still
                continue
            parts = [requests.read(int(requests.readline()[1:]) + 2)[:-2]
                     for _ in range(int(head[1:]))]
            answer = b"+OK\r\n"
            if parts[0] == b"PSYNC":
                self.asked.append(parts[1:])
                answer = self.answer(parts[1:]) if callable(self.answer) else self.answer
            if not answer:
                self.unanswered.append(parts[1:])
            connection.sendall(answer)

    def hang_up(self):
        """Ends the connection there is; the next is served as ever."""
        self.connection.shutdown(socket.SHUT_RDWR)

    def fall_silent(self, before=0):
        """Until more than `before` PSYNCs were not answered. Returns the words of the last."""
        self.answer = b""
        eventually(lambda: len(self.unanswered) > before, PATIENCE, "it asks no more")
        return self.unanswered[-1]


def resp(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)
