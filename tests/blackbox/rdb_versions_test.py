# SPDX-License-Identifier: BSD-3-Clause
"""A start on snapshots that redis-server 7.0 writes no more, or not yet, or that are broken."""

import struct

from harness import ONCE, check, equal
from harness.dump_samples import OLD_FORMS, crc64
from harness.matrix import cairn_only
from harness.server import refusal, with_files

MATRIX = ONCE

FAR = 4102444800000  # the year 2100
LIBRARY = ("#!lua name=imported\n"
           "redis.register_function('twice', function(keys, args) return 2 * args[1] end)")

# Records of RDB files, by hand: what redis-server 7.0 does not write any more, or not yet.


def text(string):
    return struct.pack(">H", 0x4000 | len(string)) + string


def key(name, kind, body):
    return bytes([kind]) + text(name) + body


def string(name, value):
    return key(name, 0, text(value))


def rdb(version, *records, magic=b"REDIS%04d"):
    body = magic % version + b"".join(records) + b"\xff"
    return body + (struct.pack("<Q", crc64(body)) if version >= 5 else b"")


SELECT, AUX, RESIZE, MS, SECONDS = b"\xfe", b"\xfa", b"\xfb", b"\xfc", b"\xfd"
MODULE_ID = b"\x81" + struct.pack(">Q", 0x7f5c_a1b2_c3d4_e401)
MODULE_DATA = (b"\x02\x05" b"\x01\x2a" b"\x03\x00\x00\x80\x3f" b"\x04\x00\x00\x00\x00\x00\x00\xf0\x3f"
               b"\x05" + text(b"blob") + b"\x00")


def load(env, content, **directives):
    server = with_files({"dump.rdb": content}, **directives)
    server.start()
    return server, env.client(2, server)


@cairn_only("redis-server with a journal does not look at dump.rdb")
def test_snapshots_of_every_version(env):
    for version in list(range(1, 15)) + [80]:
        magic = b"VALKEY%03d" if version == 80 else b"REDIS%04d"
        records = [SELECT + b"\x00", string(b"plain", b"v")]
        records += [SECONDS + struct.pack("<i", 2**31 - 1) + string(b"seconds", b"s"),
                    SECONDS + struct.pack("<i", 1) + string(b"expired", b"s")]
        if version >= 3:
            records.append(MS + struct.pack("<q", FAR + 5) + string(b"ms", b"m"))
        if version >= 7:
            records[:0] = [AUX + text(b"redis-ver") + text(b"3.2.1"), RESIZE + b"\x05\x02"]
        if version >= 9:
            records += [b"\xf8\x05" + string(b"idle", b"i"), b"\xf9\xff" + string(b"often", b"f"),
                        b"\xf7" + MODULE_ID + b"\x02\x01" + MODULE_DATA,
                        key(b"module", 7, MODULE_ID + MODULE_DATA)]
        if version >= 10:
            records[:0] = [b"\xf5" + text(LIBRARY.encode())]
        if version >= 12:
            records.append(b"\xf4\x01\x01\x00")
        for number, (name, body) in enumerate(OLD_FORMS.items()):
            records.append(key(b"old%d" % number, body[0], body[1:]))
        records += [SELECT + b"\x03", string(b"three", b"3")]
        server, c = load(env, rdb(version, *records, magic=magic))
        with server:
            equal(c.call("MGET", "plain", "seconds", "expired"), [b"v", b"s", None], version)
            equal(c.call("EXPIRETIME", "seconds"), 2**31 - 1)
            equal(c.call("EXISTS", *("old%d" % i for i in range(len(OLD_FORMS)))), len(OLD_FORMS))
            if version >= 3:
                equal(c.call("PEXPIRETIME", "ms"), FAR + 5)
            if version >= 9:
                equal(c.call("EXISTS", "idle", "often", "module"), 2)
                check("Data of the module '" in server.log_text(), server.log_text())
                check("Key of the module '" in server.log_text(), server.log_text())
                check("1 keys of the file were skipped" in server.log_text(), server.log_text())
            if version >= 10:
                equal(c.call("FCALL", "twice", 0, 4), 8)
            c.call("SELECT", 3)
            equal(c.call("GET", "three"), b"3")


@cairn_only("redis-server 7.0 does not know these")
def test_what_newer_servers_write(env):
    stamp = struct.pack("<q", FAR)
    meta = b"\xf3\x01" + b"\x01\x02\x03\x04" + MODULE_DATA
    group = text(b"g") + b"\x05\x02\x02"
    ids = [struct.pack(">QQ", 5, n) for n in (1, 2)]
    pending = b"\x02" + b"".join(i + struct.pack("<q", 7) + b"\x01" for i in ids)
    consumer = b"\x01" + text(b"c") + struct.pack("<qq", 1, 2) + b"\x01" + ids[0]
    stream = b"\x00\x00\x05\x02\x00\x00\x00\x00\x02\x01" + group + pending + consumer + b"\x01" + ids[1]
    producers = b"\x40\x64\x40\x64\x01" + text(b"p") + b"\x01" + text(b"m") + b"\x05\x01\x01\x00"
    server, c = load(env, rdb(
        14, SELECT + b"\x00", meta, string(b"with metadata", b"v"),
        MS + stamp + meta + string(b"both", b"v"),
        key(b"times", 24, struct.pack("<q", FAR) + b"\x02\x01" + text(b"f") + text(b"v") + b"\x00" +
            text(b"g") + text(b"w")),
        key(b"stream", 27, stream + producers)))
    with server:
        equal(c.call("MGET", "with metadata", "both"), [b"v", b"v"])
        equal(c.call("PEXPIRETIME", "both"), FAR)
        equal(c.call("HPEXPIRETIME", "times", "FIELDS", 2, "f", "g"), [FAR, -1])
        equal([entry[:2] for entry in c.call("XPENDING", "stream", "g", "-", "+", 9)],
              [[b"5-1", b"c"], [b"5-2", b""]])
        check("What modules keep beside keys" in server.log_text(), server.log_text())
    hash_2 = b"\x02" + text(b"f") + text(b"v") + stamp + text(b"g") + text(b"w") + b"\xff" * 8
    server, c = load(env, rdb(80, SELECT + b"\x00", b"\xf3" + text(b"job") + b"\x01\x05\x09",
                              key(b"hash", 22, hash_2), magic=b"VALKEY%03d"))
    with server:
        equal(c.call("HPEXPIRETIME", "hash", "FIELDS", 2, "f", "g"), [FAR, -1])


@cairn_only("redis-server with a journal does not look at dump.rdb")
def test_snapshots_that_are_refused_and_why(env):
    cases = {
        "a later version": (rdb(15, string(b"k", b"v")), "can't handle RDB format version 15"),
        "a version of nobody's": (b"REDIS0099" + b"x" * 20, "can't handle RDB format version 99"),
        "a later Valkey": (rdb(81, magic=b"VALKEY%03d"), "can't handle RDB format version 81"),
        "an array of Redis 8.8": (rdb(14, key(b"k", 28, b"\x00")), "offset 10: a record or value of"),
        "no end mark": (rdb(4, string(b"k", b"v"))[:-1], "offset 16: the file ends without its end"),
        "a database too many": (rdb(9, SELECT + b"\x40\x63"), "database 99 is beyond the 16"),
        "a key twice": (rdb(9, string(b"k", b"v"), string(b"k", b"w")), "key 'k' is there twice"),
        "a value too long": (rdb(9, key(b"k", 0, b"\x81\x7f" + b"\xff" * 7)), "offset"),
        "a module of 4.0's candidates": (rdb(8, key(b"k", 6, b"\x01")), "value of a module"),
        "not an RDB": (b"<html>" * 20, "not an RDB file"),
    }
    for name, (content, wanted) in cases.items():
        with with_files({"dump.rdb": content}) as server:
            said = refusal(server)
            check(wanted in said and "dump.rdb: offset" in said, "%s: %s" % (name, said))
