# SPDX-License-Identifier: BSD-3-Clause
"""Commands that are not drawn, because nobody promises their outcome: each predicate says why.

Templates do not make them, damage does; or a key drawn at random is of the wrong kind.
"""

IDLE_FOR_EVER_MS = 10 ** 15
WAIT_MAX = 1  # milliseconds of XREAD; those that count seconds are given thousandths

HLL_WRITERS = (b"PFADD", b"PFMERGE")
MOVERS = (b"RENAME", b"RENAMENX", b"COPY")
IN_PLACE = (b"APPEND", b"SETRANGE", b"SETBIT", b"BITFIELD", b"BITOP")


def asks_the_clock(name, command):
    """A stream id that the server chooses, or an idle time that may or may not be over."""
    if name == b"XADD":
        return b"*" in command[2:]
    if name in (b"XCLAIM", b"XAUTOCLAIM") and len(command) > 4 and command[4].isdigit():
        return 0 < int(command[4]) < IDLE_FOR_EVER_MS
    return name == b"SLOWLOG" and command[1:2] != [b"HELP"]


def spoils_hll(name, command):
    """What a HyperLogLog does whose bytes someone changed: they stay in keys of their own, hll:*,
    which no command changes in place."""
    hll = [arg.startswith(b"hll:") for arg in command]
    if name in IN_PLACE:
        return any(hll)
    if name in MOVERS:
        return hll[1:3] == [True, False]
    return name in HLL_WRITERS and hll[1:2] == [False]


def newer_syntax(name, command):
    """What 7.0 refuses and later versions take: ZRANK ... WITHSCORE, AGGREGATE COUNT."""
    if name in (b"ZRANK", b"ZREVRANK"):
        return len(command) > 3
    return (b"AGGREGATE", b"COUNT") in zip(command, command[1:])


def chance(name, command):
    """SPOP of less than everything; numbers that compare equal, stored in either order."""
    if name == b"SPOP":
        return command[2:] not in ([b"100000"], [b"abc"])
    return name == b"SORT" and b"STORE" in command and b"ALPHA" not in command


def stored_twice(name, command):
    """Which key GETKEYS names when STORE is the name of the first one."""
    return name == b"COMMAND" and (b"STORE", b"STORE") in zip(command, command[1:])


def waits(name, command):
    """A command that blocks longer than a moment, or for ever: to 7.0 endless is negative."""
    if name in (b"XREAD", b"XREADGROUP"):
        times = [arg for before, arg in zip(command, command[1:]) if before.upper() == b"BLOCK"]
    elif name in (b"BLMPOP", b"BZMPOP"):
        times = command[1:2]
    elif name in (b"BLPOP", b"BRPOP", b"BLMOVE", b"BRPOPLPUSH", b"BZPOPMIN", b"BZPOPMAX"):
        times = command[-1:]
    else:
        return False
    return any(number_in(text) == 0 or number_in(text) > WAIT_MAX for text in times)


def number_in(text):
    """-1 if there is none."""
    try:
        return float(text)
    except ValueError:
        return -1


def watches_unseen(name, command):
    """Changes that those who WATCH the key learn of in Cairn alone: PFDEBUG may make a HyperLogLog
    dense, and BITFIELD makes or lengthens a string though all its operations fail."""
    return name == b"WATCH" and any(arg.startswith((b"hll:", b"bitmap:")) for arg in command)


def no_promise(command):
    name = command[0].upper()
    return any(predicate(name, command) for predicate in
               (asks_the_clock, spoils_hll, newer_syntax, chance, stored_twice, watches_unseen, waits))
