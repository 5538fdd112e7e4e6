# SPDX-License-Identifier: BSD-3-Clause
"""A raw RESP2/RESP3 client that hides nothing.

It sends bytes and hands back both the value and the very bytes of each reply, so that a test can
compare two servers to the byte. Values:

  +text  Simple (a bytes)         -text  Error (with .text)     :n     int
  $bulk  bytes                    _ or $-1 or *-1  None         ,1.5   float
  #t     bool                     (n     int                    =txt:  Verbatim (a bytes)
  *n     list                     ~n     Set (a list)           >n     Push (a list)
  %n     dict (or a list of pairs where a key cannot be hashed)

Errors are values, never exceptions. A push that arrives among replies is put aside in `pushes`.
"""

import socket
import time

from harness.checks import PATIENCE


class Simple(bytes):
    """A status reply such as +OK; equal to its text as bytes."""


class Verbatim(bytes):
    """A verbatim string; `.kind` is its three-letter format."""
    kind = b""


class Set(list):
    """A RESP3 set, in the order in which it came."""


class Push(list):
    """A RESP3 push message."""


class Error:
    """An error reply. `.text` is everything after the minus sign, `.code` its first word."""

    def __init__(self, text):
        self.text = text

    @property
    def code(self):
        return self.text.split(b" ", 1)[0]

    def __eq__(self, other):
        if isinstance(other, Error):
            return self.text == other.text
        if isinstance(other, str):
            return self.text == other.encode()
        return self.text == other

    def __hash__(self):
        return hash(self.text)

    def __repr__(self):
        return "Error(%s)" % self.text.decode("latin-1")


class Incomplete(Exception):
    """The buffer ends before the reply does."""


class ProtocolError(Exception):
    """The server sent something that is not RESP."""


def _hashable(value):
    return tuple(_hashable(v) for v in value) if isinstance(value, list) else value


def _aggregate(buf, pos, count):
    items = []
    for _ in range(count):
        value, pos = parse(buf, pos)
        items.append(value)
    return items, pos


def _pairs(buf, pos, count):
    items, pos = _aggregate(buf, pos, 2 * count)
    try:
        return dict(zip((_hashable(k) for k in items[::2]), items[1::2])), pos
    except TypeError:
        return [list(p) for p in zip(items[::2], items[1::2])], pos


def _bulk(buf, start, length):
    stop = start + length
    if len(buf) < stop + 2:
        raise Incomplete
    if buf[stop:stop + 2] != b"\r\n":
        raise ProtocolError("a bulk of %d bytes does not end with CRLF" % length)
    return bytes(buf[start:stop]), stop + 2


def parse(buf, pos=0):
    """Returns (value, position behind it); raises Incomplete when bytes are missing."""
    end = buf.find(b"\r\n", pos)
    if end < 0:
        raise Incomplete
    kind, line, pos = buf[pos:pos + 1], bytes(buf[pos + 1:end]), end + 2
    if kind == b"$":
        return (None, pos) if line == b"-1" else _bulk(buf, pos, int(line))
    if kind == b"+":
        return Simple(line), pos
    if kind == b":":
        return int(line), pos
    if kind == b"(":  # A script may say anything for a number.
        return (int(line) if line.lstrip(b"-").isdigit() else Simple(line)), pos
    if kind == b"-":
        return Error(line), pos
    if kind == b"*":
        return (None, pos) if line == b"-1" else _aggregate(buf, pos, int(line))
    if kind == b"%":
        return _pairs(buf, pos, int(line))
    if kind == b"~":
        items, pos = _aggregate(buf, pos, int(line))
        return Set(items), pos
    if kind == b">":
        items, pos = _aggregate(buf, pos, int(line))
        return Push(items), pos
    if kind == b",":
        return float(line), pos
    if kind == b"#" and line in (b"t", b"f"):
        return line == b"t", pos
    if kind == b"_" and not line:
        return None, pos
    if kind == b"!":
        text, pos = _bulk(buf, pos, int(line))
        return Error(text), pos
    if kind == b"=":
        text, pos = _bulk(buf, pos, int(line))
        value = Verbatim(text[4:])
        value.kind = text[:3]
        return value, pos
    if kind == b"|":  # An attribute stands before the reply that it describes.
        _, pos = _pairs(buf, pos, int(line))
        return parse(buf, pos)
    raise ProtocolError("not a reply: %r" % bytes(buf[max(0, end - 60):end]))


def split_replies(raw):
    """Cuts bytes that hold whole replies into a list of (value, raw bytes)."""
    out, pos = [], 0
    while pos < len(raw):
        value, end = parse(raw, pos)
        out.append((value, raw[pos:end]))
        pos = end
    return out


def to_bytes(arg):
    if isinstance(arg, bytes):
        return arg
    if isinstance(arg, str):
        return arg.encode()
    if isinstance(arg, (bytearray, memoryview)):
        return bytes(arg)
    return repr(arg).encode() if isinstance(arg, float) else str(arg).encode()


def encode(*args):
    """One request as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        arg = to_bytes(arg)
        parts.append(b"$%d\r\n%b\r\n" % (len(arg), arg))
    return b"".join(parts)


class Client:
    """One connection. Not for use from two threads at once."""

    def __init__(self, port=None, host="127.0.0.1", path=None, protocol=2, timeout=PATIENCE,
                 password=None, sock=None):
        if sock is not None:
            self.sock = sock
        elif path is not None:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(timeout)
            self.sock.connect(path)
        else:
            self.sock = socket.create_connection((host, port), timeout)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.timeout = timeout
        self.buf = bytearray()
        self.pos = 0
        self.pushes = []
        self.last_raw = b""
        self.protocol = protocol
        if password is not None:
            self.call("AUTH", password)
        if protocol == 3:
            reply = self.call("HELLO", "3")
            if isinstance(reply, Error):
                raise ProtocolError("HELLO 3: %r" % reply)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.sock.close()

    # Sending

    def send(self, *args):
        self.sock.sendall(encode(*args))

    def send_raw(self, data):
        self.sock.sendall(data)

    # Receiving

    def _fill(self):
        chunk = self.sock.recv(1 << 18)
        if not chunk:
            raise EOFError("the server closed the connection")
        self.buf += chunk

    def read_any(self):
        """The next reply or push, as (value, raw bytes)."""
        while True:
            try:
                value, end = parse(self.buf, self.pos)
                break
            except Incomplete:
                self._fill()
        raw = bytes(self.buf[self.pos:end])
        self.pos = end
        if self.pos > 1 << 16 or self.pos == len(self.buf):
            del self.buf[:self.pos]
            self.pos = 0
        return value, raw

    def read(self):
        """The next reply; pushes on the way go to `pushes`."""
        while True:
            value, raw = self.read_any()
            if isinstance(value, Push):
                self.pushes.append(value)
                continue
            self.last_raw = raw
            return value

    def read_push(self, timeout=None):
        """The next push message, taken from those put aside first."""
        if self.pushes:
            return self.pushes.pop(0)
        self.sock.settimeout(self.timeout if timeout is None else timeout)
        try:
            value, _ = self.read_any()
        finally:
            self.sock.settimeout(self.timeout)
        if not isinstance(value, Push):
            raise ProtocolError("wanted a push, got %r" % (value,))
        return value

    def read_raw_until(self, tail):
        """Everything the server sends up to and with `tail`, unparsed."""
        while True:
            if self.buf.endswith(tail):
                raw = bytes(self.buf[self.pos:])
                self.buf.clear()
                self.pos = 0
                return raw
            self._fill()

    def read_until_closed(self):
        """Everything the server still sends before it closes the connection."""
        try:
            while True:
                self._fill()
        except (EOFError, ConnectionResetError):
            pass
        raw = bytes(self.buf[self.pos:])
        self.buf.clear()
        self.pos = 0
        return raw

    def nothing_to_read(self, seconds=0.1):
        """True if the server sends nothing for this long."""
        if self.pos < len(self.buf):
            return False
        self.sock.settimeout(seconds)
        try:
            self._fill()
            return False
        except (TimeoutError, socket.timeout):
            return True
        finally:
            self.sock.settimeout(self.timeout)

    # Both at once

    def call(self, *args):
        self.send(*args)
        return self.read()

    def raw(self, *args):
        """The reply's very bytes."""
        self.send(*args)
        self.read()
        return self.last_raw

    def pipeline(self, commands):
        """Sends all commands in one go and returns their replies."""
        self.sock.settimeout(self.timeout)
        data = b"".join(encode(*c) for c in commands)
        if len(data) < 1 << 20:
            self.sock.sendall(data)
            return [self.read() for _ in commands]
        out = []  # A big batch is cut, or both ends could wait for each other to read.
        for start in range(0, len(commands), 500):
            part = commands[start:start + 500]
            self.sock.sendall(b"".join(encode(*c) for c in part))
            out.extend(self.read() for _ in part)
        return out

    def closed_by_server(self, seconds=PATIENCE):
        """True once the server has closed the connection (unread bytes are dropped)."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.sock.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                if not self.sock.recv(1 << 16):
                    return True
            except (TimeoutError, socket.timeout):
                return False
            except OSError:
                return True
        return False
