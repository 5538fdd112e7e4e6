# SPDX-License-Identifier: BSD-3-Clause
"""Values of every type and encoding, made by redis-server, and the checksum of their payloads."""

import struct


def _pairs(count, width):
    return [w for i in range(count) for w in ("field%d" % i, "v" * width + str(i))]


SAMPLES = {
    "empty": [("SET", "empty", "")],
    "int8": [("SET", "int8", "12")],
    "int32": [("SET", "int32", "-1234567")],
    "int64": [("SET", "int64", "9223372036854775807")],
    "text": [("SET", "text", "short text")],
    "compressible": [("SET", "compressible", "abc" * 2000)],
    "block": [("SET", "block", bytes(i * i % 251 for i in range(40000)))],
    "list_small": [("RPUSH", "list_small", "a", "1", "-70000", "")],
    "list_nodes": [("RPUSH", "list_nodes") + tuple("item%d" % i * 20 for i in range(300))],
    "list_plain": [("RPUSH", "list_plain", "a", "x" * 20000, "b")],
    "set_ints": [("SADD", "set_ints") + tuple(range(-50, 50))],
    "set_big_ints": [("SADD", "set_big_ints", 1, 1 << 40, -(1 << 60))],
    "set_text": [("SADD", "set_text", "a", "b", "7")],
    "set_table": [("SADD", "set_table") + tuple("m%d" % i for i in range(600))],
    "zset_small": [("ZADD", "zset_small", "1", "a", "2.5", "b", "-inf", "c", "inf", "d")],
    "zset_table": [("ZADD", "zset_table") +
                   tuple(w for i in range(300) for w in (i / 7.0, "m%d" % i))],
    "hash_small": [("HSET", "hash_small") + tuple(_pairs(10, 5))],
    "hash_table": [("HSET", "hash_table") + tuple(_pairs(10, 80))],
    "geo": [("GEOADD", "geo", "13.361389", "38.115556", "Palermo", "15.087269", "37.502669",
             "Catania")],
    "hll": [("PFADD", "hll") + tuple(range(50))],
    "stream": [("XADD", "stream", "1-%d" % i, "f", "v%d" % i) for i in range(1, 250)] +
              [("XDEL", "stream", "1-5"), ("XGROUP", "CREATE", "stream", "g", "0"),
               ("XREADGROUP", "GROUP", "g", "c", "COUNT", "7", "STREAMS", "stream", ">"),
               ("XACK", "stream", "g", "1-2"), ("XGROUP", "CREATECONSUMER", "stream", "g", "d")],
    "stream_empty": [("XGROUP", "CREATE", "stream_empty", "g", "$", "MKSTREAM")],
}


def fill(client):
    """Makes all samples on a redis-server; returns {name: payload}."""
    for commands in SAMPLES.values():
        for command in commands:
            reply = client.call(*command)
            assert not isinstance(reply, Exception) and type(reply).__name__ != "Error", reply
    return {name: client.call("DUMP", name) for name in SAMPLES}


def _table():
    # CRC-64 "Jones", reflected.
    rows = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
        rows.append(crc)
    return rows


TABLE = _table()


def crc64(data):
    crc = 0
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >> 8)
    return crc


def seal(body, version=10):
    """A payload whose version and checksum are right."""
    body = body + struct.pack("<H", version)
    return body + struct.pack("<Q", crc64(body))
