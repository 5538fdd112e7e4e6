# SPDX-License-Identifier: BSD-3-Clause
"""Rules of named commands: what is compared of two replies whose bytes differ.

Each undoes one difference that differences.md lists under its number in [brackets]; what is left
must be equal. Each returns None when the replies agree, else a text.
"""

import math

from harness.resp import Error, Simple

DIFFERENT = "the replies differ"


def same_kind(mine, theirs):
    return type(mine) is type(theirs)


def deep_sorted(value):
    return sorted(value, key=lambda v: (str(type(v)), repr(v)))


def pairs(value):
    if isinstance(value, dict):
        return sorted(value.items())
    if value and isinstance(value[0], list):
        return sorted(tuple(v) for v in value)
    return sorted(zip(value[::2], value[1::2]))


# [1] Order that no one promises

def unordered(command, mine, theirs, context):
    if isinstance(mine, list) and isinstance(theirs, list) and \
            deep_sorted(mine) == deep_sorted(theirs) and same_kind(mine, theirs):
        return None
    return DIFFERENT


def unordered_pairs(command, mine, theirs, context):
    if same_kind(mine, theirs) and isinstance(mine, (list, dict)) and pairs(mine) == pairs(theirs):
        return None
    return DIFFERENT


def scan_page(command, mine, theirs, context):
    """A whole collection in one page: cursors both 0, the elements the same."""
    if not isinstance(mine, list) or not isinstance(theirs, list):
        return DIFFERENT
    if b"100000" not in command or len(command) > 3 and b"0" not in command[1:3]:
        return None  # A page in the middle: cursors are each server's own.
    if mine[0] != theirs[0]:
        return "the cursors differ"
    if command[0].upper() == b"SCAN" or command[0].upper() == b"SSCAN":
        return None if sorted(mine[1]) == sorted(theirs[1]) else DIFFERENT
    if command[0].upper() == b"ZSCAN":
        return None if canonical_pairs(mine[1]) == canonical_pairs(theirs[1]) else DIFFERENT
    return None if pairs(mine[1]) == pairs(theirs[1]) else DIFFERENT


def canonical_pairs(flat):
    """Members with their scores as numbers. [4]"""
    return sorted((m, float(s)) for m, s in zip(flat[::2], flat[1::2]))


# [2] Chance

def random_choice(command, mine, theirs, context):
    """The same number of elements, each one that the collection has; distinct if count > 0."""
    if mine is None or theirs is None or isinstance(mine, Error) or isinstance(theirs, Error):
        return DIFFERENT
    if isinstance(mine, bytes) and isinstance(theirs, bytes):
        return None
    if not same_kind(mine, theirs) or len(mine) != len(theirs):
        return "another number of elements"
    if b"100000" in command:
        if len(command) > 3:
            if command[0].upper() == b"HRANDFIELD":
                return unordered_pairs(command, mine, theirs, context)
            return None if _scored(mine) == _scored(theirs) else DIFFERENT
        return unordered(command, mine, theirs, context)
    return None


def _scored(value):
    flat = pairs(value)
    if any(isinstance(v, float) for _, v in flat):
        return flat
    try:
        return [(m, float(s)) for m, s in flat]
    except ValueError:
        return flat


def any_key(command, mine, theirs, context):
    return None if (mine is None) == (theirs is None) and same_kind(mine, theirs) else DIFFERENT


# [3] The second server ran some time later: the generator draws no two TTLs that are this close.

LATE_S = 1000
ABSOLUTE_S = 3_500_000_000  # Later deadlines are given as such; those made of TTLs come before.


def clock(command, mine, theirs, context):
    """TTL PTTL EXPIRETIME PEXPIRETIME: a deadline that was given is exact, all else may be late."""
    name = command[0].upper()
    unit = 1000 if name.startswith(b"P") else 1
    if not isinstance(mine, int) or not isinstance(theirs, int) or mine <= 0 or theirs <= 0:
        return DIFFERENT
    if name.endswith(b"TIME") and max(mine, theirs) > ABSOLUTE_S * unit:
        return "the deadlines differ"
    apart = abs(mine - theirs)
    return None if apart <= LATE_S * unit else "times are %d apart" % apart


def idle_time(mine, theirs):
    """OBJECT IDLETIME: of this round, so not long."""
    if isinstance(mine, int) and isinstance(theirs, int) and \
            0 <= mine <= LATE_S and 0 <= theirs <= LATE_S:
        return None
    return DIFFERENT


# [4] 7.2 and later print doubles in the shortest form that reads back

def shortest_double(number):
    """How Redis 7.2 and later print it: integers as such, else the shortest digits."""
    if math.isinf(number):
        return b"inf" if number > 0 else b"-inf"
    if number == int(number) and abs(number) < 2 ** 62:
        return b"-0" if number == 0 and math.copysign(1, number) < 0 else b"%d" % int(number)
    mantissa, exponent = ("%r" % number, 0)
    text = mantissa.lower()
    if "e" in text:
        text, exponent = text.split("e")[0], int(text.split("e")[1])
    sign = "-" if text.startswith("-") else ""
    text = text.lstrip("-")
    whole, _, part = text.partition(".")
    if part == "0":
        part = ""
    digits = (whole + part).lstrip("0") or "0"
    power = exponent - len(part)
    stripped = digits.rstrip("0")
    power += len(digits) - len(stripped)
    digits = stripped
    return (sign + _layout(digits, power)).encode()


def _layout(digits, power):
    """digits * 10**power, laid out as the fpconv algorithm does."""
    count = len(digits)
    first = count + power - 1  # the exponent of the first digit
    if power >= 0 and first < count + 7:
        return digits + "0" * power
    if power < 0 and (power > -7 or abs(first) < 4):
        point = count + power
        if point <= 0:
            return "0." + "0" * -point + digits
        return digits[:point] + "." + digits[point:]
    tail = "." + digits[1:] if count > 1 else ""
    return "%s%se%s%d" % (digits[0], tail, "-" if first < 0 else "+", abs(first))


def doubles(command, mine, theirs, context):
    """Numbers in text agree as numbers, and mine are written as 7.4 writes them."""
    return _doubles(mine, theirs)


def _doubles(mine, theirs):
    if isinstance(mine, float) and isinstance(theirs, float):
        return None if mine == theirs or math.isnan(mine) and math.isnan(theirs) else DIFFERENT
    if not same_kind(mine, theirs):
        return DIFFERENT
    if isinstance(mine, list):
        if len(mine) != len(theirs):
            return DIFFERENT
        for one, other in zip(mine, theirs):
            problem = _doubles(one, other)
            if problem:
                return problem
        return None
    if mine == theirs:
        return None
    if isinstance(mine, bytes) and not isinstance(mine, Simple):
        try:
            if float(mine) != float(theirs):
                return DIFFERENT
        except ValueError:
            return DIFFERENT
        wanted = shortest_double(float(mine))
        return None if mine == wanted else "the double should read %s" % wanted.decode()
    return DIFFERENT


# [5] Encodings that 7.2 brought, and those that a command leaves behind that changed nothing

SORTS = {b"SORT", b"SORT_RO"}
BIT_WRITERS = {b"SETBIT", b"BITFIELD"}


def object_reply(command, mine, theirs, context):
    word = command[1].upper() if len(command) > 1 else b""
    if word == b"IDLETIME":
        return idle_time(mine, theirs)
    if word == b"ENCODING":
        if (theirs, mine) in ((b"quicklist", b"listpack"), (b"hashtable", b"listpack")):
            return None
        # 7.2 counts the arguments of the command that makes a collection, doubles included.
        if theirs in (b"listpack", b"intset") and mine in (b"hashtable", b"skiplist") or \
                (theirs, mine) == (b"intset", b"listpack"):
            return None
        if context.seen & SORTS and (theirs, mine) == (b"skiplist", b"listpack"):
            return None
        if context.seen & BIT_WRITERS and theirs == b"raw" and mine in (b"int", b"embstr"):
            return None
    if word == b"REFCOUNT" and theirs in (2, 2147483647) and mine == 1:
        return None  # [13] A small integer of all keys, or the argument of a command in MULTI.
    return DIFFERENT


def memory_usage(command, mine, theirs, context):
    """[15] The bytes that a key takes are each server's own."""
    usage = len(command) > 1 and command[1].upper() == b"USAGE"
    return None if usage and isinstance(mine, int) and isinstance(theirs, int) else DIFFERENT


# [16] What a server says about itself has tests of its own

def hello(command, mine, theirs, context):
    """All but version and connection id."""
    def rest(reply):
        return {name: value for name, value in pairs(reply) if name not in (b"version", b"id")}
    return None if same_kind(mine, theirs) and rest(mine) == rest(theirs) else DIFFERENT


def command_facts(command, mine, theirs, context):
    """The whole table, or its size; tests/facts.py compares each command."""
    whole = len(command) == 1 or len(command) == 2 and command[1].upper() == b"COUNT"
    return None if whole and same_kind(mine, theirs) else DIFFERENT


def debug_object(command, mine, theirs, context):
    """Where and how long a value is: each server's own. OBJECT compares encodings."""
    shown = len(command) == 3 and command[1].upper() == b"OBJECT" and same_kind(mine, theirs)
    return None if shown and mine[:9] == theirs[:9] == b"Value at:" else DIFFERENT


def help_text(command, mine, theirs, context):
    """[17] The same heading and closing lines."""
    if len(command) == 2 and isinstance(mine, list) and isinstance(theirs, list) and \
            mine[:1] + mine[-2:] == theirs[:1] + theirs[-2:]:
        return None
    return DIFFERENT


def config_values(command, mine, theirs, context):
    """Every option; tests/config_names.py compares the names."""
    whole = len(command) > 2 and command[1].upper() == b"GET" and b"*" in command[2:]
    return None if whole and same_kind(mine, theirs) else DIFFERENT


# [7] DUMP: another RDB version in the footer, another order of elements

def dump_payload(command, mine, theirs, context):
    """Pair.cross_restore looks at what the payloads say."""
    return None if isinstance(mine, bytes) and isinstance(theirs, bytes) else DIFFERENT


# [8] XINFO shows the radix tree's node counts and clock times; XPENDING shows idle times.
# entries-read and lag are counted as in 7.4, which knows better what trimming took away.

CLOCK_FIELDS = (b"radix-tree-keys", b"radix-tree-nodes", b"idle", b"inactive", b"seen-time",
                b"active-time", b"entries-read", b"lag")


def _without(value):
    """A report as plain lists, with the fields that depend on layout or clock taken out."""
    if isinstance(value, dict):
        # Sorted: a script hands its fields on in the order of a hash table.
        value = [x for pair in sorted(value.items()) for x in pair]
    if not isinstance(value, (list, tuple)):
        return value
    out, drop = [], False
    for item in value:
        if drop:
            drop = False
            continue
        if isinstance(item, bytes) and item in CLOCK_FIELDS:
            drop = True
            continue
        item = _without(item)
        if not _idle_consumer(item):
            out.append(item)
    return _without_consumer_count(out)


def _idle_consumer(item):
    """Since 7.2 XREADGROUP, XCLAIM and XAUTOCLAIM make a consumer even if it is given nothing."""
    if not isinstance(item, list) or b"name" not in item or len(item) % 2:
        return False
    names = [name for name in item[::2] if isinstance(name, bytes)]
    fields = dict(zip(names, item[1::2]))
    return (names in ([b"name", b"pending"], [b"name", b"pel-count", b"pending"]) and
            0 in (fields.get(b"pending"), fields.get(b"pel-count")))


def _without_consumer_count(report):
    if b"consumers" in report:
        at = report.index(b"consumers") + 1
        if isinstance(report[at], int):
            return report[:at - 1] + report[at + 1:]
    return report


def create_consumer(command, mine, theirs, context):
    """Made already by a read or a claim that found nothing: see _idle_consumer."""
    made = len(command) > 1 and command[1].upper() == b"CREATECONSUMER"
    return None if made and (mine, theirs) == (0, 1) else DIFFERENT


def pending(command, mine, theirs, context):
    def bare(reply):
        if isinstance(reply, list):
            return [e[:2] + e[3:] if isinstance(e, list) and len(e) == 4 and
                    isinstance(e[2], int) else e for e in reply]
        return reply
    return None if bare(mine) == bare(theirs) else DIFFERENT


def full_stream(command, mine, theirs, context):
    """XINFO STREAM FULL also carries delivery times inside its pending lists."""
    def scrub(value):
        if isinstance(value, list):
            return [scrub(v) for v in value]
        return 0 if isinstance(value, int) and value > 10 ** 11 else value
    return None if scrub(_without(mine)) == scrub(_without(theirs)) else DIFFERENT


def sort_ties(command, mine, theirs, context):
    """[10] Elements that compare equal, and a set BY nosort, come in the order of a hash table."""
    words = [word.upper() for word in command[2:]]
    if not isinstance(mine, list) or not isinstance(theirs, list) or len(mine) != len(theirs):
        return DIFFERENT
    if b"BY" in words:
        if b"LIMIT" in words:
            return None
        return unordered(command, mine, theirs, context)
    if b"ALPHA" not in words or b"STORE" in words:
        return DIFFERENT
    if b"GET" in words:
        return unordered(command, mine, theirs, context)
    if b"LIMIT" not in words and deep_sorted(mine) != deep_sorted(theirs):
        return DIFFERENT
    compared = [[element.split(b"\0")[0] for element in reply] for reply in (mine, theirs)]
    return None if compared[0] == compared[1] else DIFFERENT


def functions(command, mine, theirs, context):
    """LIST: libraries come in the order of a hash table, and so do the functions of each."""
    def sorted_deep(value):
        if isinstance(value, dict):
            value = [item for pair in value.items() for item in pair]
        return deep_sorted([sorted_deep(v) for v in value]) if isinstance(value, list) else value
    listed = command[1:2] and command[1].upper() == b"LIST"
    return None if listed and sorted_deep(mine) == sorted_deep(theirs) else DIFFERENT


def no_rule(command, mine, theirs, context):
    return DIFFERENT


RULES = {}


def rule(function, names):
    for name in names.split():
        RULES[name.encode()] = function


rule(unordered, "SMEMBERS SINTER SUNION SDIFF KEYS HKEYS HVALS")
rule(unordered_pairs, "HGETALL")
rule(scan_page, "SCAN SSCAN HSCAN ZSCAN")
rule(random_choice, "SRANDMEMBER HRANDFIELD ZRANDMEMBER SPOP")
rule(any_key, "RANDOMKEY")
rule(memory_usage, "MEMORY")
rule(functions, "FUNCTION")
rule(hello, "HELLO")
rule(debug_object, "DEBUG")
rule(command_facts, "COMMAND")
rule(config_values, "CONFIG")
rule(clock, "TTL PTTL EXPIRETIME PEXPIRETIME")
rule(object_reply, "OBJECT")
rule(dump_payload, "DUMP")
rule(full_stream, "XINFO")
rule(create_consumer, "XGROUP")
rule(pending, "XPENDING")
rule(sort_ties, "SORT SORT_RO")
rule(doubles, "ZADD ZINCRBY ZSCORE ZMSCORE ZRANGE ZREVRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE ZPOPMIN "
              "ZPOPMAX ZMPOP BZPOPMIN BZPOPMAX BZMPOP ZUNION ZINTER ZDIFF GEODIST GEOPOS GEOSEARCH "
              "GEORADIUS GEORADIUS_RO GEORADIUSBYMEMBER GEORADIUSBYMEMBER_RO")
