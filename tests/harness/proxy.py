# SPDX-License-Identifier: BSD-3-Clause
"""A TCP proxy inside the test, whose connections can be cut, slowed, stopped or starved."""

import select
import socket
import threading
import time


class Proxy:
    """Listens on a loopback port and passes bytes on to another. `limit` bytes a connection pass
    from the target, then it is cut; None: no limit. `rate`: bytes a second from the target.
    `cut_at`: the first bytes from the target with this in them are dropped, the connection cut."""

    def __init__(self, target):
        self.target, self.limit, self.rate = target, None, None
        self.cut_at = None
        self.held = ()
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

    def hold(self):
        """Nothing passes any more on the connections there are; new ones are as ever."""
        self.held = tuple(self.pairs)

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
                    while pair in self.held and not self.stopping:
                        time.sleep(0.01)
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    if end is far and left is not None:
                        data = data[:left]
                        left -= len(data)
                    if end is far and self.cut_at is not None and self.cut_at in data:
                        self.cut_at = None
                        return
                    if end is far and self.rate is not None:
                        time.sleep(len(data) / self.rate)
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
