#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes golden_dumps.h: DUMP payloads of redis-server 7.0, one a type and encoding.

Needs redis-server 7.0 on the path. Payloads in forms that only older servers wrote are put together
here and pass through its RESTORE, which says what they mean.

    make_golden_dumps.py > golden_dumps.h
"""
import socket
import struct
import subprocess
import sys
import tempfile
import time


class Server:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        path = self.folder.name + "/s"
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", path, "--save", "",
             "--enable-debug-command", "yes"],
            cwd=self.folder.name, stdout=subprocess.DEVNULL)
        self.socket = socket.socket(socket.AF_UNIX)
        for _ in range(200):
            try:
                self.socket.connect(path)
                break
            except OSError:
                time.sleep(0.02)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.process.kill()
        self.process.wait()

    def call(self, *arguments):
        request = b"*%d\r\n" % len(arguments)
        for argument in arguments:
            argument = argument if isinstance(argument, bytes) else str(argument).encode()
            request += b"$%d\r\n%s\r\n" % (len(argument), argument)
        self.socket.sendall(request)
        reply = self.reply()
        if isinstance(reply, Exception):
            raise reply
        return reply

    def reply(self):
        line = self.file.readline()[:-2]
        if line[:1] == b"$":
            size = int(line[1:])
            return None if size < 0 else self.file.read(size + 2)[:-2]
        if line[:1] == b"*":
            return [self.reply() for _ in range(int(line[1:]))]
        if line[:1] == b"-":
            return Exception(line.decode())
        return line[1:]


def text(value):
    """One line for any reply: what golden_dumps_test.cc prints of a loaded value."""
    if isinstance(value, list):
        return "[" + ",".join(text(v) for v in value) + "]"
    return value.decode() if isinstance(value, bytes) else "nil"


def pairs(flat):
    return sorted(flat[i].decode() + "=" + flat[i + 1].decode() for i in range(0, len(flat), 2))


def stream_text(call):
    info = call("xinfo", "stream", "k", "full", "count", "0")
    info = {info[i].decode(): info[i + 1] for i in range(0, len(info), 2)}
    parts = ["last " + text(info["last-generated-id"]), "deleted " + text(info["max-deleted-entry-id"]),
             "added " + text(info["entries-added"])]
    for entry in info["entries"]:
        parts.append(text(entry[0]) + " " + " ".join(text(v) for v in entry[1]))
    for group in info["groups"]:
        group = {group[i].decode(): group[i + 1] for i in range(0, len(group), 2)}
        parts.append("group %s at %s read %s" % (text(group["name"]), text(group["last-delivered-id"]),
                                                 text(group["entries-read"])))
        for consumer in group["consumers"]:
            consumer = {consumer[i].decode(): consumer[i + 1] for i in range(0, len(consumer), 2)}
            pending = " ".join("%s*%s" % (text(p[0]), text(p[2])) for p in consumer["pending"])
            parts.append("consumer %s: %s" % (text(consumer["name"]), pending))
    return "; ".join(parts)


def describe(call):
    kind = call("type", "k")
    if kind == b"string":
        return text(call("get", "k"))
    if kind == b"list":
        return text(call("lrange", "k", 0, -1))
    if kind == b"set":
        return ",".join(sorted(text(m) for m in call("smembers", "k")))
    if kind == b"zset":
        return text(call("zrange", "k", 0, -1, "withscores"))
    if kind == b"hash":
        return ",".join(pairs(call("hgetall", "k")))
    return stream_text(call)


def crc64(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
    return crc


def payload(kind, body):
    data = bytes([kind]) + body + struct.pack("<H", 10)
    return data + struct.pack("<Q", crc64(data))


def string(data):
    assert len(data) < 16384
    head = bytes([len(data)]) if len(data) < 64 else struct.pack(">H", 0x4000 | len(data))
    return head + data


def ziplist(elements):
    entries, before = b"", 0
    tail = 10
    for element in elements:
        entry = bytes([before]) if before < 254 else b"\xfe" + struct.pack("<I", before)
        if isinstance(element, int):
            if 0 <= element <= 12:
                entry += bytes([0xF1 + element])
            elif -128 <= element < 128:
                entry += b"\xfe" + struct.pack("<b", element)
            elif -32768 <= element < 32768:
                entry += b"\xc0" + struct.pack("<h", element)
            elif -(1 << 23) <= element < 1 << 23:
                entry += b"\xf0" + struct.pack("<i", element)[:3]
            elif -(1 << 31) <= element < 1 << 31:
                entry += b"\xd0" + struct.pack("<i", element)
            else:
                entry += b"\xe0" + struct.pack("<q", element)
        elif len(element) < 64:
            entry += bytes([len(element)]) + element
        elif len(element) < 16384:
            entry += struct.pack(">H", 0x4000 | len(element)) + element
        else:
            entry += b"\x80" + struct.pack(">I", len(element)) + element
        tail = 10 + len(entries)
        entries += entry
        before = len(entry)
    return struct.pack("<IIH", 11 + len(entries), tail, len(elements)) + entries + b"\xff"


def old_forms():
    numbers = [0, 12, 13, -128, 300, -32768, 40000, -8388608, 1 << 30, -(1 << 40)]
    yield "list_linked", payload(1, b"\x03" + string(b"a") + b"\xc0\x07" + string(b"b" * 70))
    yield "list_ziplist", payload(10, string(ziplist([b"a", b"b" * 300] + numbers + [b"c"])))
    yield "list_quicklist1", payload(14, b"\x02" + string(ziplist([b"a", 5])) +
                                     string(ziplist([b"z" * 64, b""])))
    yield "hash_zipmap", payload(9, string(b"\x02" + b"\x02f1" + b"\x02\x01v1-" +
                                           b"\x02f2" + b"\x03\x00333" + b"\xff"))
    yield "hash_ziplist", payload(13, string(ziplist([b"f1", b"v1", b"f2", 22])))
    yield "zset_ziplist", payload(12, string(ziplist([b"a", 1, b"b", b"2.5", b"c", b"inf"])))
    yield "zset_text_scores", payload(3, b"\x03" + string(b"a") + string(b"1.5") + string(b"b") +
                                      b"\xff" + string(b"c") + b"\xfe")


def build_stream(call):
    for i in range(6):
        call("xadd", "k", "%d-%d" % (1000 + i, i), "f", i, "g", "v" * i)
    call("xadd", "k", "2000-1", "other", "field")
    call("xdel", "k", "1002-2")
    call("xgroup", "create", "k", "g1", "0")
    call("xgroup", "create", "k", "g2", "1003-3")
    call("xreadgroup", "group", "g1", "alice", "count", "3", "streams", "k", ">")
    call("xreadgroup", "group", "g1", "bob", "count", "2", "streams", "k", ">")
    call("xack", "k", "g1", "1000-0")
    call("xgroup", "createconsumer", "k", "g2", "carol")


def new_forms(call):
    long_text = "".join(chr(48 + (i * i * 7 + i // 3) % 42) for i in range(70))
    yield "string_text", [("set", "k", "hello")]
    yield "string_int8", [("set", "k", "-5")]
    yield "string_int16", [("set", "k", "1234")]
    yield "string_int32", [("set", "k", "-12345678")]
    yield "string_int64", [("set", "k", "123456789012")]
    yield "string_lzf", [("set", "k", "abcd" * 50)]
    yield "string_empty", [("set", "k", "")]
    yield "string_length14", [("set", "k", long_text)]
    yield "list_quicklist2", [("rpush", "k", "a", "b", "17", "-100000", "x" * 70)]
    call("config", "set", "list-max-listpack-size", "2")
    yield "list_nodes", [("rpush", "k") + tuple(str(i) * 3 for i in range(7))]
    call("config", "set", "list-max-listpack-size", "-2")
    call("debug", "quicklist-packed-threshold", "20b")
    yield "list_plain", [("rpush", "k", "a", "p" * 30, "b")]
    call("debug", "quicklist-packed-threshold", "0b")
    yield "set_intset16", [("sadd", "k", 1, 2, -3)]
    yield "set_intset64", [("sadd", "k", 1, 1 << 40, -3)]
    yield "set_hashtable", [("sadd", "k", "a", "b", "7")]
    yield "zset_listpack", [("zadd", "k", "1", "a", "2.5", "b", "-inf", "c", "4096.25", "d")]
    call("config", "set", "zset-max-listpack-entries", "2")
    yield "zset_skiplist", [("zadd", "k", "1", "a", "2.5", "b", "-inf", "c", "inf", "d")]
    call("config", "set", "zset-max-listpack-entries", "128")
    yield "hash_listpack", [("hset", "k", "f1", "v1", "f2", "22", "33", "x" * 40)]
    call("config", "set", "hash-max-listpack-entries", "1")
    yield "hash_hashtable", [("hset", "k", "f1", "v1", "f2", "22", "33", "x" * 40)]
    call("config", "set", "hash-max-listpack-entries", "128")
    yield "stream", build_stream
    yield "stream_empty", [("xgroup", "create", "k", "g", "$", "mkstream")]


def main():
    server = Server()
    call = server.call
    rows = []
    try:
        for name, commands in new_forms(call):
            call("del", "k")
            if callable(commands):
                commands(call)
            else:
                for command in commands:
                    call(*command)
            rows.append((name, describe(call), call("dump", "k")))
        for name, data in old_forms():
            call("del", "k")
            call("restore", "k", "0", data)
            rows.append((name, describe(call), data))
    finally:
        server.close()
    print("""// SPDX-License-Identifier: BSD-3-Clause
//
// Made by make_golden_dumps.py with redis-server 7.0: name, meaning, payload in hexadecimal.
#pragma once

struct GoldenDump {
  const char* name;
  const char* meaning;
  const char* payload;
};

constexpr GoldenDump kGoldenDumps[] = {""")
    for name, meaning, data in rows:
        digits = data.hex()
        lines = "\n".join('     "%s"' % digits[i:i + 90] for i in range(0, len(digits), 90))
        meaning = "\n".join('     "%s"' % meaning[i:i + 90] for i in range(0, len(meaning), 90)) or '     ""'
        print('    {"%s",\n%s,\n%s},' % (name, meaning, lines))
    print("};")


if __name__ == "__main__":
    sys.exit(main())
