# SPDX-License-Identifier: BSD-3-Clause
"""When two replies that differ in their bytes still agree, and why: with rules.py the code of
differences.md, whose entries are named by their numbers in [brackets].

Cairn is held to Redis 7.4, the oracle is 7.0.15. Here are the differences of errors and of newer
versions, for which the kind of reply may be another, and EXEC, whose replies are compared each by
the rule of its command.
"""

import re

from differential.families.programs import inner_command
from differential.rules import RULES, help_text, no_rule
from harness.resp import Error, Simple


# [6] Texts that changed after 7.0

RENAMED_ERRORS = [
    # (pattern of 7.0, pattern of 7.4); applied to the oracle's text
    (r"^ERR Unbalanced XREAD list of streams: .* must be specified\.",
     "ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be "
     "specified."),
]
RENAMED_FOR_GROUPS = [
    (r"^ERR Unbalanced XREAD list of streams: .* must be specified\.",
     "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be "
     "specified."),
]


def newer_text(text, command):
    special = RENAMED_FOR_GROUPS if command[0].upper() == b"XREADGROUP" else []
    for pattern, replacement in special + RENAMED_ERRORS:
        text = re.sub(pattern, replacement, text)
    return text


def text_behind_nul(mine, theirs):
    """[12] redis-server cuts an argument that it quotes at its first NUL; Cairn does not."""
    return b"\x00" in mine and theirs in (mine.split(b"\x00")[0], re.sub(rb"\x00[^']*", b"", mine))


class Context:
    """What the comparison remembers: the commands queued in MULTI, all names of the round."""

    def __init__(self):
        self.queued = None
        self.seen = set()

    def note(self, batch):
        """Called with all that is sent, before the replies are compared."""
        self.seen.update(inner_command(command)[0].upper() for command in batch)

    def follow(self, command, reply):
        """Keeps up with MULTI; returns the queued commands when `reply` is that of EXEC."""
        name = command[0].upper()
        if self.queued is not None and reply == b"QUEUED" and isinstance(reply, Simple):
            self.queued.append(command)
        elif name == b"MULTI" and reply == b"OK":
            self.queued = []
        elif name in (b"EXEC", b"DISCARD") and not isinstance(reply, Error):
            queued, self.queued = self.queued, None
            return queued if name == b"EXEC" and isinstance(reply, list) else None
        elif name == b"EXEC" and reply.text.startswith(b"EXECABORT"):
            self.queued = None
        return None


def last_entry(command, theirs):
    """The id + of XREAD (and its error in XREADGROUP) came with 7.4."""
    return (command[0].upper() in (b"XREAD", b"XREADGROUP") and b"+" in command and
            isinstance(theirs, Error) and theirs.text.startswith(b"ERR Invalid stream ID"))


# [9] Since 7.2 bad arguments are an error even where 7.0 had its answer without looking at them.
CHECKED_FIRST = (b"BITCOUNT", b"BITPOS")
ARGUMENT_ERRORS = (b"ERR syntax error", b"ERR value is not an integer or out of range")


def checked_first(command, mine, theirs):
    return (command[0].upper() in CHECKED_FIRST and isinstance(mine, Error) and
            mine.text.startswith(ARGUMENT_ERRORS) and
            (theirs in (0, -1) or isinstance(theirs, Error) and theirs.code == b"WRONGTYPE"))


def lowest_rank(command, mine):
    """[9] Since 7.2 a RANK that cannot be negated is an error."""
    return (command[0].upper() == b"LPOS" and b"-9223372036854775808" in command and
            isinstance(mine, Error) and b"must between" in mine.text)


def stricter_cursor(command, mine):
    """[14] 7.0 reads a cursor with strtoul: nothing, a sign or a NUL pass; not so since 7.2."""
    at = {b"SCAN": 1, b"SSCAN": 2, b"HSCAN": 2, b"ZSCAN": 2}.get(command[0].upper(), 0)
    return (at and len(command) > at and not command[at].isdigit() and
            isinstance(mine, Error) and mine.text.startswith(b"ERR invalid cursor"))


def strtod(text):
    text = text.split(b"\0")[0].strip() or b"0"
    return float.fromhex(text.decode()) if b"x" in text.lower() else float(text)


def stale_range_error(command, mine, theirs):
    """[11] 7.0's SORT refuses numbers after some earlier number, of any command, overflowed."""
    if command[0].upper() not in (b"SORT", b"SORT_RO") or not isinstance(mine, list) or \
            not isinstance(theirs, Error) or b"converted into double" not in theirs.text:
        return False
    words = [word.upper() for word in command[2:]]
    if b"BY" in words or b"GET" in words:
        return True
    numbers = [strtod(element) for element in mine]
    return numbers == sorted(numbers, reverse=b"DESC" in words)


def newer_rule(command, mine, theirs):
    """Differences for which the kind of reply may be another."""
    return (last_entry(command, theirs) or lowest_rank(command, mine) or
            checked_first(command, mine, theirs) or
            stricter_cursor(command, mine) or stale_range_error(command, mine, theirs))


def differ(command, mine, theirs, context):
    """None, or why these two replies (value, raw bytes) to one command do not agree."""
    queued = context.follow(command, theirs[0])
    if mine[1] == theirs[1]:
        return None
    command = inner_command(command)
    if newer_rule(command, mine[0], theirs[0]):
        return None
    if mine[1][:1] != theirs[1][:1]:
        return "replies of different kinds"
    if queued is not None:
        if not isinstance(mine[0], list) or len(mine[0]) != len(theirs[0]):
            return "EXEC has another number of replies"
        for inner, one, other in zip(queued, mine[0], theirs[0]):
            problem = differ_value(inner, one, other, context)
            if problem:
                return "inside EXEC, %s: %s" % (inner[0].decode("latin-1"), problem)
        return None
    if identical(mine[0], theirs[0]) and command[0].upper() not in RULES:
        return "the same value in other bytes"  # A number written another way, say.
    return differ_value(command, mine[0], theirs[0], context)


def identical(one, other):
    """Equal in value and kind, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(identical, one, other))
    if isinstance(one, dict):
        return identical(list(one.items()), list(other.items()))
    return one == other or one != one and other != other


def differ_value(command, one, other, context):
    command = inner_command(command)
    if identical(one, other) or newer_rule(command, one, other):
        return None
    if isinstance(one, Error) and isinstance(other, Error):
        if one.text == newer_text(other.text.decode("latin-1"), command).encode("latin-1"):
            return None
        if text_behind_nul(one.text, other.text):
            return None
        return "the errors differ"
    handler = RULES.get(command[0].upper(), no_rule)
    try:
        if command[1:2] and command[1].upper() == b"HELP":
            return help_text(command, one, other, context)
        return handler(command, one, other, context)
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        return "the replies differ (and the rule failed: %r)" % error
