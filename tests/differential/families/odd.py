# SPDX-License-Identifier: BSD-3-Clause
"""Odd arguments for every command that both servers have.

The other families know what a command is for; this one reads its syntax from the oracle's COMMAND
DOCS and puts into each place what nobody would: numbers in other spellings, beyond every limit,
options twice, in another order, in mixed case, without their values, very long words. About half
of the arguments are of the kind that the place wants, so that what stands behind them is looked at.
"""

import re

from differential.generator import EDGE_FLOATS, EDGE_INTS, EDGE_TIMES, KINDS
from differential.promises import no_promise
from differential.templates import SEES_LINGERING, Family

KIND_OF_GROUP = {b"string": "string", b"hash": "hash", b"list": "list", b"set": "set",
                 b"sorted-set": "zset", b"stream": "stream", b"bitmap": "bitmap",
                 b"hyperloglog": "hll", b"geo": "geo"}

# No positive numbers that would be short TTLs wherever they land: see generator.py, rule 2.
WORDS = [b"", b"\x00", b"\xff\xfe", b"-0", b"+1", b" 1", b"1 ", b"0x10", b"1.0", b"1e3", b"01",
         b"nan", b"-inf", b"1e400", b"9223372036854775808", b"-9223372036854775808", b"-1", b"0",
         b"*", b"[", b"(", b"\\", b"%s", b"\r\n", b"\"", b"#", b"$", b"+", b"-", b">", b"x" * 70,
         b"x" * 5000]
OPTIONS = b"""ABSTTL AGGREGATE ALPHA ANY ASC ASYNC BIT BLOCK BY BYBOX BYLEX BYRADIUS BYSCORE BYTE CH
COUNT DB DESC ENTRIESREAD EX EXAT FORCE FREQ FROMLONLAT FROMMEMBER GET GT IDLETIME IDX INCR JUSTID
KEEPTTL LEFT LEN LIMIT LT MATCH MAX MAXLEN MIN MINID MINMATCHLEN MKSTREAM NOACK NOMKSTREAM NX
OVERFLOW PERSIST PX PXAT RANK REPLACE REV RIGHT STORE STOREDIST STREAMS SUM SYNC TYPE WEIGHTS
WITHCOORD WITHDIST WITHHASH WITHMATCHLEN WITHSCORES WITHVALUES XX""".split()

# These change the connection or the server, wait, say what only one of the two can say, or take
# a second (PFSELFTEST); other families draw some of them.
LEFT_OUT = set(b"""AUTH BGREWRITEAOF BGSAVE DEBUG EVAL EVALSHA EVALSHA_RO EVAL_RO FAILOVER FUNCTION
HELLO INFO LASTSAVE LOLWUT MEMORY MIGRATE MODULE MONITOR MULTI PFSELFTEST PSUBSCRIBE PSYNC
PUNSUBSCRIBE QUIT RANDOMKEY REPLCONF REPLICAOF RESET ROLE SAVE SHUTDOWN SLAVEOF SLOWLOG SSUBSCRIBE
SUBSCRIBE SUNSUBSCRIBE SWAPDB SYNC TIME UNSUBSCRIBE WAIT WATCH""".split())
# Of these only what follows.
SOME_OF = {
    b"ACL": (b"DELUSER", b"DRYRUN", b"WHOAMI"),
    b"CLIENT": (b"CACHING", b"GETNAME", b"GETREDIR", b"NO-EVICT", b"SETNAME", b"TRACKINGINFO",
                b"UNBLOCK"),
    b"COMMAND": (b"GETKEYS", b"GETKEYSANDFLAGS"),
    b"CONFIG": (b"GET", b"RESETSTAT"),
    b"LATENCY": (b"GRAPH", b"HISTORY", b"LATEST", b"RESET"),
    b"SCRIPT": (b"EXISTS", b"FLUSH", b"LOAD"),
}

FLUSHES = (b"FLUSHALL", b"FLUSHDB")


class Place:
    """One argument of COMMAND DOCS."""

    def __init__(self, about):
        self.name = about[b"name"]
        self.type = about[b"type"]
        self.token = about.get(b"token")
        self.flags = {bytes(flag) for flag in about.get(b"flags", ())}
        self.inner = [Place(as_map(one)) for one in about.get(b"arguments", ())]


def as_map(flat):
    return flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2]))


class Syntax:
    """What one command, or subcommand, takes."""

    def __init__(self, name, about):
        self.words = name.upper().split(b"|")
        self.kind = KIND_OF_GROUP.get(about[b"group"])
        self.places = [Place(as_map(one)) for one in about.get(b"arguments", ())]

    def draw(self, gen):
        gen.kind = self.kind or gen.pick(KINDS)
        pieces = [piece for place in self.places for piece in _draw_place(gen, place)]
        if gen.r() < 0.15 and len(pieces) > 2:  # Options in another order.
            head = gen.below(min(3, len(pieces)))
            tail = pieces[head:]
            gen.rng.shuffle(tail)
            pieces = pieces[:head] + tail
        if gen.r() < 0.1 and pieces:
            pieces.append(gen.pick(pieces))
        if gen.r() < 0.1:
            pieces.insert(gen.below(len(pieces) + 1), [_odd_option(gen)])
        arguments = [word for piece in pieces for word in piece]
        if gen.r() < 0.15 and arguments:
            arguments[gen.below(len(arguments))] = gen.pick(WORDS)
        if gen.r() < 0.1 and arguments:
            del arguments[gen.below(len(arguments))]
        if gen.r() < 0.1 and len(arguments) > 1:  # One key, member or number twice.
            arguments[gen.below(len(arguments))] = gen.pick(arguments)
        return _cased(gen, self.words) + arguments


def _cased(gen, words):
    return [word.swapcase() if gen.r() < 0.05 else word for word in words]


def _odd_option(gen):
    option = gen.pick(OPTIONS)
    return gen.pick((option, option, option.lower(), option.title(), option + b" ", option[:-1]))


def _draw_place(gen, place):
    """Pieces: what belongs together stays together when they are put into another order."""
    if b"optional" in place.flags and gen.r() < 0.55:
        return []
    times = 1
    if b"multiple" in place.flags:
        times = gen.repeat(1, 4) if gen.r() < 0.97 else 60
    pieces = []
    for n in range(times):
        words = []
        if place.token is not None and (n == 0 or b"multiple_token" in place.flags):
            if place.token or gen.r() < 0.8:
                words += _cased(gen, [place.token])
        words += _draw_one(gen, place)
        pieces.append(words)
    if b"multiple" in place.flags:
        pieces = [[word for piece in pieces for word in piece]]
    return pieces


def _draw_one(gen, place):
    if place.type == b"pure-token":
        return []  # Its token is all of it.
    if place.type == b"oneof":
        return [word for piece in _draw_place(gen, gen.pick(place.inner)) for word in piece]
    if place.type == b"block":
        words = [_draw_place(gen, inner) for inner in place.inner]
        return [word for pieces in words for piece in pieces for word in piece]
    return [_value(gen, place)]


def _value(gen, place):
    name, kind = place.name, place.type
    if kind == b"key":
        return gen.k() if gen.r() < 0.85 else gen.any()
    if kind == b"unix-time" or name in (b"seconds", b"milliseconds", b"ttl"):
        return _time(gen, name)
    if kind == b"double":
        return _double(gen, name)
    if kind == b"integer":
        return _integer(gen, name)
    if kind == b"pattern":
        return gen.pattern()
    return _word(gen, name)


def _time(gen, name):
    if gen.r() < 0.5:
        return gen.pick(EDGE_TIMES)
    return gen.ttlms() if b"milli" in name else gen.at() if b"unix" in name else gen.ttl()


def _double(gen, name):
    if name == b"timeout":
        return gen.block_s()
    if name in (b"longitude", b"latitude"):
        return gen.lon() if gen.r() < 0.7 else gen.pick(EDGE_FLOATS)
    return gen.pick(EDGE_FLOATS) if gen.r() < 0.4 else gen.score()


def _integer(gen, name):
    if name == b"numkeys":
        return gen.pick((b"1", b"2", b"1", b"3", b"4")) if gen.r() < 0.8 else gen.pick(EDGE_INTS)
    if name == b"offset":
        return gen.offset()
    if name in (b"index", b"destination-db", b"db"):
        return gen.pick((b"0", b"0", b"1", b"2", b"16", b"-1"))
    return gen.pick(EDGE_INTS) if gen.r() < 0.4 else gen.idx()


def _word(gen, name):
    if name in (b"member", b"field", b"element", b"pivot"):
        return gen.m()
    if name in (b"id", b"start", b"end", b"threshold", b"id-or-$", b"last-id", b"lastid",
                b"max-deleted-id") and gen.kind == "stream":
        return gen.pick((gen.sid, gen.sbound, gen.sid_rising))()
    if name == b"group":
        return gen.group()
    if name == b"consumer":
        return gen.consumer()
    if name in (b"min", b"max", b"start", b"stop"):
        return gen.pick((gen.score_bound, gen.lex_bound, gen.idx))()
    if name == b"encoding":
        return gen.bittype()
    if name == b"offset":
        return gen.bitoff()
    if name == b"serialized-value":
        return gen.digest_payload()
    return gen.v() if gen.r() < 0.8 else gen.pick(WORDS)


def _with_lex_keys(gen, command):
    """Ranges by name are promised where all scores are equal."""
    words = [word.upper() for word in command]
    if b"LEX" in words[0] or b"BYLEX" in words:
        at = 2 if words[0] == b"ZRANGESTORE" else 1
        if len(command) > at:
            command[at] = gen.k("lex")
    return command


# What may not be drawn: predicates of the name and what stands behind it, as in promises.py.

INTEGER = re.compile(rb"-?[0-9]+")
MINUS_ZERO = re.compile(rb"\s*-[0.]*(e.*)?\s*|-0x0*|-1e-400")
TTL_MIN_S = 10000  # as Generator.far_s
GROWN_MAX = 400000
SAMPLES_MAX = 1000


def _number(word):
    """As the servers read it; None where they refuse."""
    if not INTEGER.fullmatch(word):
        return None
    number = int(word)
    return number if -1 << 63 <= number < 1 << 63 else None


def _is_within(least, word, most):
    number = _number(word)
    return number is not None and least < number < most


def _after(command, *options):
    """The words that stand behind one of the options."""
    return [word for before, word in zip(command, command[1:]) if before.upper() in options]


def short_ttl(name, command):
    seconds, milliseconds = _after(command, b"EX"), _after(command, b"PX")
    if name in (b"EXPIRE", b"SETEX"):
        seconds += command[2:3]
    elif name in (b"PEXPIRE", b"PSETEX"):
        milliseconds += command[2:3]
    return (any(_is_within(0, word, TTL_MIN_S) for word in seconds) or
            any(_is_within(0, word, TTL_MIN_S * 1000) for word in milliseconds))


def set_in_the_past(name, command):
    """Leaves a key that is expired and there: generator.py, rule 3."""
    return name == b"SET" and (
        any(_is_within(0, word, 3 * 10 ** 9) for word in _after(command, b"EXAT")) or
        any(_is_within(0, word, 3 * 10 ** 12) for word in _after(command, b"PXAT")))


def minus_zero_score(name, command):
    return name in (b"ZADD", b"ZINCRBY") and any(map(MINUS_ZERO.fullmatch, command))


def too_much(name, command):
    """Strings of half a gigabyte, millions of samples."""
    if name in (b"SETRANGE", b"SETBIT", b"BITFIELD"):
        return any(_is_within(GROWN_MAX, word.lstrip(b"#"), 1 << 33) for word in command)
    return name.endswith((b"RANDFIELD", b"RANDMEMBER")) and \
        any(_is_within(-1 << 62, word, -SAMPLES_MAX) for word in command)


def looks_at_idle_times(name, command):
    return name == b"XPENDING" and \
        any(_is_within(0, word, 1 << 63) for word in _after(command, b"IDLE"))


def out_of_bounds(gen, command):
    predicates = [short_ttl, minus_zero_score, too_much, looks_at_idle_times]
    if not gen.lingering:
        predicates.append(set_in_the_past)
    name = command[0].upper()
    return any(predicate(name, command) for predicate in predicates)


class OddFamily(Family):
    """Has no templates: what it draws, the oracle's COMMAND DOCS say."""

    def __init__(self):
        super().__init__("odd", "GET", "string", "", 2.0)
        self.syntaxes = []  # Those that take more are there more often.

    def learn(self, pair):
        for name, about in sorted(pair.docs().items()):
            name, about = name.upper(), as_map(about)
            if name not in pair.known[0] or name in LEFT_OUT:
                continue
            inner = as_map(about.get(b"subcommands", {})) or {name: about}
            for sub, one in sorted(inner.items()):
                syntax = Syntax(sub, as_map(one))
                if name in SOME_OF and syntax.words[1] not in SOME_OF[name]:
                    continue
                self.syntaxes += [syntax] * (1 + len(syntax.places))

    def draw(self, gen):
        while True:
            syntax = gen.pick(self.syntaxes)
            name = syntax.words[0]
            if name in FLUSHES and gen.r() < 0.9 or gen.lingering and name in SEES_LINGERING:
                continue
            command = _with_lex_keys(gen, syntax.draw(gen))
            if not no_promise(command) and not out_of_bounds(gen, command):
                return command


FAMILIES = [OddFamily()]
