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
    "hll_dense": [("PFADD", "hll_dense") + tuple(range(i, i + 500)) for i in range(0, 10000, 500)],
    "bitmap": [("SETBIT", "bitmap", 100000, 1), ("SETBIT", "bitmap", 7, 1)],
    "set_int_table": [("SADD", "set_int_table") + tuple(range(0, 7000, 10))],
    "zset_ties": [("ZADD", "zset_ties") +
                  tuple(w for i in range(300) for w in (i // 100, "m%d" % i))],
    "hash_ints": [("HSET", "hash_ints", "1", "-1", "70000", "5000000000", "", "")],
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


def _string(text):
    return bytes([len(text)]) + text


def _ziplist(*items):
    """A ziplist of short strings, as Redis wrote them before 7.0."""
    entries, before = b"", 0
    for item in items:
        entry = bytes([before, len(item)]) + item
        tail, before = 10 + len(entries), len(entry)
        entries += entry
    return struct.pack("<IIH", 11 + len(entries), tail, len(items)) + entries + b"\xff"


# Forms that only servers older than 7.0 wrote, and that RESTORE still meets.
OLD_FORMS = {
    "list of strings": b"\x01\x03" + _string(b"a") + _string(b"bb") + _string(b""),
    "sorted set, scores as text": (b"\x03\x02" + _string(b"a") + b"\x031.5" + _string(b"b") +
                                   b"\xfe"),
    "hash in a zipmap": b"\x09" + _string(b"\x02\x01f\x02\x00v1\x01g\x00\x00\xff"),
    "list in a ziplist": b"\x0a" + _string(_ziplist(b"a", b"bb", b"ccc")),
    "intset": b"\x0b" + _string(struct.pack("<IIhhh", 2, 3, -5, 1, 300)),
    "sorted set in a ziplist": b"\x0c" + _string(_ziplist(b"a", b"1", b"b", b"2.5")),
    "hash in a ziplist": b"\x0d" + _string(_ziplist(b"f", b"v", b"g", b"w")),
    "list of ziplists": b"\x0e\x02" + _string(_ziplist(b"a", b"b")) + _string(_ziplist(b"c")),
}


def seal(body, version=10):
    """A payload whose version and checksum are right."""
    body = body + struct.pack("<H", version)
    return body + struct.pack("<Q", crc64(body))
