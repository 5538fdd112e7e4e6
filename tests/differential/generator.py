# SPDX-License-Identifier: BSD-3-Clause
"""What random commands are made of: keys, values, times, ids.

templates.py puts them together. A method returns bytes, or a list of bytes that stands for several
arguments.

Ranges by name are only defined where all scores are equal: they have keys of their own, `lex`, one
of which is never a sorted set.

Nothing here depends on the clock, however late one of the two servers runs a command:

1. A deadline is long gone or hours away.
2. No relative TTL is drawn twice in a round, and any two differ by hours: otherwise EXPIRE ... GT
   would see in one server, but not in the other, that a millisecond passed.
3. Active expiry is off (pair.py). SET with a deadline in the past leaves a key that is expired but
   still there: such `lingering` keys are only made in half of the rounds, and those draw neither
   DBSIZE, which counts them, nor RANDOMKEY and SCAN, where redis-server deletes those it meets.
4. Stream ids are always given, and idle times of XCLAIM and XAUTOCLAIM are nothing or for ever:
   promises.py lists what is not drawn.
"""

import random
import struct

KINDS = ("string", "hash", "list", "set", "zset", "stream", "bitmap", "hll", "geo")
KEYS_PER_KIND = 6

EDGE_INTS = [b"0", b"-0", b"00", b"+1", b" 1", b"1 ", b"1.0", b"1e3", b"0x10", b"", b"abc",
             b"2147483647", b"-2147483648", b"4294967296", b"9223372036854775807",
             b"-9223372036854775808", b"9223372036854775808", b"-9223372036854775809",
             b"18446744073709551615", b"18446744073709551616", b"99999999999999999999999"]
EDGE_FLOATS = [b"inf", b"-inf", b"+inf", b"nan", b"-nan", b"Infinity", b"1e400", b"-1e400",
               b"1e308", b"1.7976931348623157e308", b"5e-324", b"1e-400", b"0x1p3", b"0x10", b"",
               b" 1", b"1 ", b"abc", b"1.5abc", b"--1", b".5", b"5.", b"+3", b"1e5", b"-0", b"-0.0",
               b"9007199254740993", b"1e17", b"123456789012345678", b"3.0e3", b"1e21", b"1e-7"]
# As deadlines, without those that are legal relative TTLs (rule 2) or come true in 2038.
EDGE_TIMES = [n for n in EDGE_INTS if n not in (b"2147483647", b"4294967296")]
JUNK = [b"", b"abc", b"-1", b"0", b"9223372036854775807", b"99999999999999999999", b"1.5", b"nan",
        b"\x00\xff", b"NX", b"*", b"$", b"WITHSCORES", b"LIMIT", b"GET", b"COUNT"]


LIBRARIES = (
    b"#!lua name=one\nredis.register_function('set_it', function(keys, args) "
    b"return redis.call('SET', keys[1], args[1] or 'x') end)",
    b"#!lua name=two\nredis.register_function{function_name='get_it', flags={'no-writes'}, "
    b"callback=function(keys, args) return redis.call('GET', keys[1]) end}",
    b"#!lua name=two\nlocal n = 3\nredis.register_function('many', function(keys, args) "
    b"for i = 1, n do redis.call('RPUSH', keys[1], args[1] or i) end return {n, #keys, #args} end)\n"
    b"redis.register_function('fails', function(keys) return redis.call('INCR', keys[1], 1) end)",
    b"#!lua name=one\nredis.register_function('many', function() return 1 end)",
    b"#!lua name=three\nredis.call('PING')",
    b"#!lua name=four\nthis is not Lua",
    b"#!lua\nreturn 1", b"#!python name=five\n", b"no shebang", b"#!lua name=six\n",
)

class Generator:
    """Draws commands; all randomness comes from one seeded source."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.r = self.rng.random
        self.kind = "string"
        # Some rounds work on few elements, some on many: every encoding is met.
        self.spread = self.pick((6, 30, 300, 3000))
        self.big = self.pick((0.0, 0.002, 0.02))
        self.lingering = self.r() < 0.5
        self.rereads = self.r() < 0.5
        self.ttls = set()

    # Choosing

    def pick(self, seq):
        return seq[int(self.r() * len(seq))]

    def below(self, n):
        return int(self.r() * n)

    def repeat(self, least, most):
        n = least
        while n < most and self.r() < 0.5:
            n += 1
        return n

    # Keys

    def k(self, kind=None):
        """A key of the family's kind; now and then one of another kind, or an odd one."""
        p = self.r()
        if kind == "lex":
            return b"lex:%d" % self.below(3) if p < 0.95 else b"lex:string"
        if p < 0.03:
            kind = self.pick(KINDS)
        elif p < 0.04:
            return self.pick((b"", b"\x00bin\xff\r\n", b"{tag}key", b"no such key"))
        kind = kind or self.kind
        return b"%s:%d" % (kind.encode(), self.below(KEYS_PER_KIND))

    def any(self):
        return self.k(self.pick(KINDS))

    def nkeys(self, kind=None):
        """numkeys key [key ...], sometimes with the wrong number."""
        keys = [self.k(kind) for _ in range(self.repeat(1, 5))]
        count = len(keys)
        if self.r() < 0.02:
            count += self.pick((-1, 1, -10, 1 << 40))
        return [b"%d" % count] + keys

    # Values

    def v(self):
        p = self.r()
        if p < 0.45:
            return b"value%d" % self.below(self.spread)
        if p < 0.65:
            return b"%d" % (self.below(2000) - 1000)
        if p < 0.70:
            return self.pick(EDGE_INTS)
        if p < 0.74:
            return self.pick(EDGE_FLOATS)
        if p < 0.80:
            return self.rng.randbytes(self.below(12))
        if p < 0.90:
            return b"x" * self.pick((0, 1, 11, 12, 20, 21, 43, 44, 45, 46, 63, 64, 65))
        if p < 1 - self.big:
            return b"y%d" % self.below(1 << 30) * self.below(8)
        return b"big" * self.pick((100, 1000, 1366, 3000, 6000, 9000))

    def m(self):
        """A member or field: from a range, so that commands meet the same ones again."""
        p = self.r()
        if p < 0.75:
            return b"m%d" % self.below(self.spread)
        if p < 0.92:
            return b"%d" % (self.below(self.spread) - self.spread // 3)
        if p < 0.96:
            return self.pick((b"", b"n\x00l", b"\xff\xfe\r\n", b"x" * 64, b"x" * 65, b"a b", b"01"))
        return self.v()

    def many(self, what):
        """A long run of elements in one command."""
        draw = getattr(self, what)
        return [draw() for _ in range(self.pick((5, 20, 60, 150)))]

    def many2(self, first, second):
        one, two = getattr(self, first), getattr(self, second)
        out = []
        for _ in range(self.pick((5, 20, 60, 150))):
            out += [one(), two()]
        return out

    def int(self):
        return self.pick(EDGE_INTS) if self.r() < 0.12 else b"%d" % (self.below(40) - 15)

    def idx(self):
        p = self.r()
        if p < 0.04:
            return self.pick(EDGE_INTS)
        if p < 0.3:
            return b"%d" % (self.below(self.spread * 2) - self.spread)
        return self.pick((b"0", b"1", b"2", b"3", b"5", b"10", b"-1", b"-2", b"-3", b"-10"))

    def count(self):
        return self.pick(EDGE_INTS) if self.r() < 0.05 else b"%d" % self.below(12)

    def entries(self):
        """Of a stream ever added or read: redis-server lets these wrap around to below zero."""
        return self.pick((b"-1", b"-2", b"abc", b"4611686018427387904")) if self.r() < 0.05 \
            else b"%d" % self.below(12)

    def randcount(self):
        """For *RAND*: minus two milliards would be answered with as many elements."""
        return self.pick((b"0", b"1", b"3", b"-1", b"-5", b"10", b"9223372036854775807", b"abc",
                          b"-9223372036854775808", b"1.5"))

    def float(self):
        p = self.r()
        if p < 0.12:
            return self.pick(EDGE_FLOATS)
        if p < 0.5:
            return b"%d" % (self.below(200) - 100)
        if p < 0.8:
            return b"%.3f" % (self.r() * 200 - 100)
        return b"%r" % (self.r() * 10 ** self.below(20)) if p < 0.9 else b"%.2e" % (self.r() * 1e9)

    def score(self):
        """As float(), but no minus zero, which a listpack cannot hold. Whether a new sorted set
        starts as one is not the same in 7.0 and 7.2."""
        text = self.float()
        try:
            return text if float(text) else b"0"
        except ValueError:
            return text

    def pattern(self):
        return self.pick((b"*", b"*1*", b"m?", b"value[0-9]", b"[^m]*", b"\\*", b"", b"m1*", b"*:1",
                          b"[a-", b"**", b"h?sh:*", b"nothing"))

    def word(self):
        return self.pick((b"abc", b"ohmytext", b"mynewtext", b"", b"foo", b"bar"))

    # Times: far away, or long past

    def far_s(self):
        """Seconds, some hours to thirty years, that no other TTL of the round is near to."""
        while True:
            seconds = 10000 * (1 + self.below(100000))
            if seconds not in self.ttls:
                self.ttls.add(seconds)
                return seconds

    def ttl(self):
        if self.r() < 0.1:
            return self.pick(EDGE_TIMES)
        return b"%d" % self.far_s() if self.r() < 0.6 else self.pick((b"-1", b"-100", b"0"))

    def ttlms(self):
        if self.r() < 0.1:
            return self.pick(EDGE_TIMES)
        return b"%d000" % self.far_s() if self.r() < 0.6 else self.pick((b"-1", b"-100", b"0"))

    def at(self):
        return self.pick(EDGE_TIMES) if self.r() < 0.1 else \
            self.pick((b"4000000000", b"5000000000", b"1", b"1000000000", b"-5", b"0"))

    def atms(self):
        return self.pick(EDGE_TIMES) if self.r() < 0.1 else \
            self.pick((b"4000000000000", b"5000000000001", b"1", b"1000000000000", b"-5"))

    def set_at(self):
        """For SET, which does not delete a key whose deadline is in the past (rule 3)."""
        return self.at() if self.lingering else self.pick((b"4000000000", b"5000000000", b"-5", b"abc"))

    def set_atms(self):
        return self.atms() if self.lingering else \
            self.pick((b"4000000000000", b"5000000000001", b"9223372036854775807", b"-5", b"abc"))

    def block_s(self):
        """How long to wait where nobody else serves the pipeline: hardly; never 0, for ever."""
        return self.pick((b"0.001", b"0.001", b"1e-3", b"0.002") if self.r() < 0.9 else
                         (b"abc", b"-1", b"", b"nan", b"-0.5"))

    def block_ms(self):
        return b"1" if self.r() < 0.9 else self.pick((b"abc", b"-1", b"", b"1.5", b"-0"))

    # Sorted sets and geo

    def score_bound(self):
        p = self.r()
        if p < 0.15:
            return self.pick((b"-inf", b"+inf", b"inf"))
        return (b"(" if p < 0.4 else b"") + self.float()

    def lex_bound(self):
        p = self.r()
        if p < 0.2:
            return self.pick((b"-", b"+"))
        if p < 0.23:
            return self.pick((b"", b"m1", b"(", b"["))
        return (b"(" if p < 0.5 else b"[") + self.m()

    def lon(self):
        return self.pick((b"181", b"-181", b"abc", b"nan")) if self.r() < 0.02 else \
            b"%.6f" % (self.r() * 20 + 5)

    def lat(self):
        return self.pick((b"86", b"-86", b"", b"inf")) if self.r() < 0.02 else \
            b"%.6f" % (self.r() * 20 + 35)

    def unit(self):
        return self.pick((b"m", b"km", b"mi", b"ft", b"KM", b"parsec"
                          if self.r() < 0.1 else b"m"))

    def radius(self):
        return self.pick((b"100", b"1000", b"500.5", b"10000", b"0", b"-1", b"abc")
                         if self.r() < 0.3 else (b"200", b"400", b"900"))

    # Bits

    def offset(self):
        p = self.r()
        if p < 0.05:
            return self.pick((b"-1", b"4294967296", b"abc", b"", b"9223372036854775807"))
        return b"%d" % (self.below(200) if p < 0.9 else self.below(40000))

    def bit(self):
        return self.pick((b"0", b"1", b"1", b"0", b"2") if self.r() < 0.1 else (b"0", b"1"))

    def bittype(self):
        return self.pick((b"u8", b"i8", b"u1", b"i64", b"u63", b"i5", b"u16", b"i32", b"u32", b"u64",
                          b"i65", b"x8", b"u0") if self.r() < 0.2 else
                         (b"u8", b"i8", b"u4", b"i16", b"u63", b"i64"))

    def bitoff(self):
        return (b"#" if self.r() < 0.3 else b"") + b"%d" % self.below(120)

    # Streams: ids are always given, never taken from the clock

    def sid(self):
        p = self.r()
        if p < 0.05:
            return self.pick((b"0-0", b"abc", b"-1-1", b"1-", b"18446744073709551615-1", b"-", b"+",
                              b"1-2-3", b"$"))
        if p < 0.15:
            return b"%d" % self.below(80)
        return b"%d-%d" % (self.below(80), self.below(5))

    def sid_rising(self):
        """An id that mostly grows, so that most XADDs succeed."""
        self.last_id = getattr(self, "last_id", 0) + self.below(3)
        if self.r() < 0.05:
            return b"%d-*" % (self.last_id + 1)
        return b"%d-%d" % (self.last_id, self.below(100))

    def sbound(self):
        return self.pick((b"-", b"+")) if self.r() < 0.4 else \
            (b"(" if self.r() < 0.15 else b"") + self.sid()

    def group(self):
        return self.pick((b"g1", b"g2", b"g1") if self.r() < 0.9 else (b"nogroup", b""))

    def consumer(self):
        return self.pick((b"alice", b"bob", b"carol"))

    def streams(self):
        """STREAMS key [key ...] id [id ...]"""
        n = self.repeat(1, 3)
        return [b"STREAMS"] + [self.k("stream") for _ in range(n)] + \
            [self.sid() for _ in range(n - (self.r() < 0.02))]

    def streams_group(self):
        n = self.repeat(1, 3)
        return [b"STREAMS"] + [self.k("stream") for _ in range(n)] + \
            [self.sid() if self.rereads and self.r() < 0.2 else b">" for _ in range(n)]

    def digest_payload(self):
        """Bytes that RESTORE has to refuse."""
        return self.rng.randbytes(self.below(20)) + struct.pack("<HQ", self.below(12), 12345)

    # Functions

    def library(self):
        return self.pick(LIBRARIES)

    # Damage

    def damage(self, command):
        """One argument dropped, doubled, added or replaced."""
        p = self.r()
        n = len(command)
        if n > 1 and command[1].startswith(b"lex:"):
            return command  # All its scores have to stay equal.
        if p < 0.3 and n > 1:
            del command[1 + self.below(n - 1)]
        elif p < 0.5:
            command.append(self.pick(JUNK))
        elif p < 0.6 and n > 1:
            command = command[:1 + self.below(n - 1)]
        elif p < 0.7 and n > 1:
            at = 1 + self.below(n - 1)
            command.insert(at, command[at])
        elif n > 1:
            command[1 + self.below(n - 1)] = self.pick(JUNK)
        return command
