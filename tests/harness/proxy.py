# SPDX-License-Identifier: BSD-3-Clause
"""A TCP proxy inside the test, whose connections can be cut or starved."""

import select
import socket
import threading


class Proxy:
    """Listens on a loopback port and passes bytes on to another. `limit` bytes a connection pass
    from the target, then it is cut; None: no limit."""

    def __init__(self, target):
        self.target, self.limit = target, None
        self.passed = self.accepted = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.stopping = False
        self.pairs = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def cut(self):
        """Ends all connections there are."""
        for pair in list(self.pairs):
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.stopping = True
        self.cut()
        self.thread.join()
        self.listener.close()

    def run(self):
        while not self.stopping:
            if not select.select([self.listener], [], [], 0.05)[0]:
                continue
            near = self.listener.accept()[0]
            try:
                far = socket.create_connection(("127.0.0.1", self.target), 5)
            except OSError:
                near.close()
                continue
            # Before anybody can see it counted, it is bound to the limit and can be cut.
            self.pairs.append((near, far))
            threading.Thread(target=self.serve, args=(near, far, self.limit), daemon=True).start()
            self.accepted += 1

    def serve(self, near, far, left):
        pair = (near, far)
        try:
            while True:
                for end in select.select(pair, [], [])[0]:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    if end is far and left is not None:
                        data = data[:left]
                        left -= len(data)
                    (near if end is far else far).sendall(data)
                    self.passed += len(data)
                    if left == 0:
                        return
        except OSError:
            pass
        finally:
            self.pairs.remove(pair)
            near.close()
            far.close()
