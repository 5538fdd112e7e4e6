# SPDX-License-Identifier: BSD-3-Clause
"""The two servers side by side: the same bytes to both, both their replies back."""

import itertools
import re

from harness.resp import encode, split_replies
from harness.server import Server, oracle_binary, server_binary

SENTINELS = itertools.count(1)

# Small thresholds and large ones: conversions happen early in some rounds, never in others.
THRESHOLDS = {
    b"hash-max-listpack-entries": (b"4", b"512"),
    b"hash-max-listpack-value": (b"16", b"64"),
    b"zset-max-listpack-entries": (b"4", b"128"),
    b"zset-max-listpack-value": (b"16", b"64"),
    b"set-max-intset-entries": (b"4", b"512"),
    b"list-max-listpack-size": (b"-2", b"3"),
    b"list-compress-depth": (b"0", b"1"),
    b"hll-sparse-max-bytes": (b"100", b"3000"),
    b"stream-node-max-entries": (b"3", b"100"),
}


class Died(Exception):
    """A server closed its connection in the middle of a batch."""


class Pair:
    """Cairn first, the oracle second, wherever two of anything are listed."""

    def __init__(self, threads):
        self.servers = [Server(binary=server_binary(), threads=threads),
                        Server(binary=oracle_binary(), hz=500)]  # Ends waits in time.
        self.clients = []
        self.known = [self._commands(server) for server in self.servers]
        self.thresholds = self._common_thresholds()

    def close(self, keep=False):
        problems = []
        for server in self.servers:
            if server.alive():
                server.stop()
            problem = server.problem()
            if problem:
                problems.append(problem)
            server.discard(keep=keep or problem is not None)
        return problems

    def _commands(self, server):
        with server.client() as client:
            reply = client.call("COMMAND", "LIST")
            if isinstance(reply, list):
                return {name.upper() for name in reply}
            return {entry[0].upper() for entry in client.call("COMMAND")}

    def docs(self):
        """The oracle's COMMAND DOCS."""
        with self.servers[1].client(3) as client:
            return client.call("COMMAND", "DOCS")

    def _common_thresholds(self):
        common = []
        clients = [server.client() for server in self.servers]
        for name, values in THRESHOLDS.items():
            if all(c.call("CONFIG", "SET", name, values[-1]) == b"OK" for c in clients):
                common.append(name)
        for client in clients:
            client.close()
        return common

    def connect(self, protocol):
        """Fresh connections, empty servers: how every round begins."""
        for client in self.clients:
            client.close()
        for server in self.servers:
            if not server.alive():
                server.start()
        self.clients = [server.client(protocol) for server in self.servers]
        # When the active cycle meets an expired key is chance: both leave it to look-ups.
        for client in self.clients:
            reply = client.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
            if reply != b"OK":
                raise RuntimeError("active expiry cannot be switched off: %r" % reply)
        self.exchange([[b"FLUSHALL"]] + [flush for flush in ([b"SCRIPT", b"FLUSH"],
                                                             [b"FUNCTION", b"FLUSH"])
                                         if flush[0] in self.known[0]])

    def exchange(self, commands):
        """Returns the bytes that each server sent for these commands."""
        token = b"end of batch %d" % next(SENTINELS)
        data = b"".join(_encode(c) for c in commands) + encode("ECHO", token)
        tail = b"$%d\r\n%b\r\n" % (len(token), token)
        for client in self.clients:
            client.send_raw(data)
        out = []
        for client, server in zip(self.clients, self.servers):
            try:
                out.append(client.read_raw_until(tail)[:-len(tail)])
            except (EOFError, OSError) as error:
                raise Died("%s: %r\n%s" % (server.binary, error, server.log_text()[-4000:]))
        return out

    def call(self, *command):
        """One command to both; the two (value, raw) pairs."""
        return [split_replies(raw)[0] for raw in self.exchange([list(command)])]

    # The data itself

    def digests(self):
        return [reply[0] for reply in self.call(b"DEBUG", b"DIGEST")]

    def differing_keys(self):
        """(db, key) of all keys whose digests differ."""
        out = []
        for db in range(3):
            self.call(b"SELECT", b"%d" % db)
            keys = [set(reply[0]) for reply in self.call(b"KEYS", b"*")]
            for key in sorted(keys[0] | keys[1]):
                mine, theirs = self.call(b"DEBUG", b"DIGEST-VALUE", key)
                ttl = self.call(b"PTTL", key)
                has_ttl = [reply[0] >= 0 for reply in ttl]
                if mine[1] != theirs[1] or has_ttl[0] != has_ttl[1]:
                    out.append((db, key))
        return out

    def cross_restore(self):
        """DUMP of each key on one side, RESTORE on the other; returns what went wrong."""
        problems = []
        for db in range(2):
            self.call(b"SELECT", b"%d" % db)
            keys = self.call(b"KEYS", b"*")[1][0]
            for key in keys:
                problems += self._cross_restore_key(key)
        return problems

    def _cross_restore_key(self, key):
        name = b"cross restored"
        problems = []
        dumps = [client.call("DUMP", key) for client in self.clients]
        # A deadline, not a TTL: the largest one plus the time that passed is refused.
        deadline = max(0, self.clients[1].call("PEXPIRETIME", key))
        for at, client in enumerate(self.clients):
            payload = dumps[1 - at]
            if not isinstance(payload, bytes):
                problems.append("DUMP %r gives %r" % (key, payload))
                continue
            reply = client.call("RESTORE", name, deadline, payload, "REPLACE", "ABSTTL")
            if reply != b"OK":
                problems.append("RESTORE of %r's %s of %r gives %r: %r" % (
                    self.servers[1 - at].binary, client.call("TYPE", key), key, reply,
                    payload[:200]))
                continue
            both = client.call("DEBUG", "DIGEST-VALUE", key, name)
            if both[0] != both[1]:
                # A minus zero does not survive in a listpack, wherever the payload comes from.
                client.call("RESTORE", name, deadline, dumps[at], "REPLACE", "ABSTTL")
                both[0] = client.call("DEBUG", "DIGEST-VALUE", name)[0]
            if both[0] != both[1]:
                problems.append("%r restored in %s has another digest" % (
                    key, self.servers[at].binary))
            client.call("DEL", name)
        return problems


def _encode(command):
    parts = [b"*%d\r\n" % len(command)]
    for arg in command:
        parts.append(b"$%d\r\n%b\r\n" % (len(arg), arg))
    return b"".join(parts)


def printable(command, width=160):
    """A command as one could type it into redis-cli."""
    out = []
    for arg in command:
        text = arg.decode("latin-1")
        if re.fullmatch(r"[!#-&(-~]+", text):
            out.append(text)
        else:
            out.append('"%s"' % "".join(
                c if " " <= c <= "~" and c not in '"\\' else "\\x%02x" % ord(c) for c in text))
    line = " ".join(out)
    return line if len(line) <= width else line[:width] + "... (%d bytes)" % len(line)
