# SPDX-License-Identifier: BSD-3-Clause
"""Transactions, scripts and functions: commands that hold commands."""

import hashlib

from differential.templates import Family
from differential.promises import no_promise

# Stray ones; whole MULTI ... EXEC blocks of other families' commands are made in rounds.py.
TRANSACTIONS = """
2 WATCH any+
  UNWATCH
  EXEC
  DISCARD
"""

SCRIPTS = (
    "return redis.call('GET',KEYS[1])",
    "return redis.call('SET',KEYS[1],ARGV[1])",
    "return {1,2,3.7,'four',{5,'six',false,true},nil,7}",
    "return redis.pcall('INCR',KEYS[1])",
    "return redis.call('INCR',KEYS[1])",
    "return {ok='FINE'}",
    "return {err='MY error text'}",
    "return redis.error_reply('MYERR was asked for')",
    "return redis.status_reply('HELLO')",
    "local r=redis.pcall('LPUSH',KEYS[1],'x') if type(r)=='table' then return r.err end return r",
    "return tostring(ARGV[1])..tostring(#KEYS)",
    "return redis.call('LRANGE',KEYS[1],0,-1)",
    "return redis.call('TYPE',KEYS[1])",
    "return redis.call('NOSUCH')",
    "return redis.pcall('SET','x')",
    "return cjson.encode({1,2,'x',cjson.null,true})",
    "return cjson.decode('[1,2.5,\"a\",null,{\"x\":1}]')",
    "return redis.sha1hex(ARGV[1] or '')",
    "return {cmsgpack.unpack(cmsgpack.pack(1,'a',{1,2,3}))}",
    "return bit.band(0xff,tonumber(ARGV[1]) or 3)",
    "return {struct.unpack('>I2h',struct.pack('>I2h',1000,-5))}",
    "return tonumber(ARGV[1])",
    "return 'x",
    "error('plain')",
    "return math.floor(3.99)",
    "return {double=3.5}",
    "redis.setresp(3) return redis.call('HLEN',KEYS[1])",
    "redis.setresp(3) return {map={a=1}}",
    "return #redis.call('KEYS','*')>=0",
    "for i=1,10 do redis.call('RPUSH',KEYS[1],i) end return redis.call('LLEN',KEYS[1])",
)


# Scripts that run the command in their arguments: rounds.py hands them those of other families.
PASS_ON = (
    b"return redis.call(unpack(ARGV))",
    b"return redis.pcall(unpack(ARGV))",
    b"redis.setresp(3) return redis.call(unpack(ARGV))",
)

# Their maps, handed on by a script that speaks RESP3, come in the order of a hash table.
MAPS = (b"XINFO", b"XREAD", b"XREADGROUP", b"LCS", b"CONFIG", b"COMMAND")

# Since 7.2 scripts may call these, and XREAD with BLOCK; none waits then.
NOT_IN_7_0 = (b"BLPOP", b"BRPOP", b"BLMOVE", b"BRPOPLPUSH", b"BZPOPMIN", b"BZPOPMAX")


def in_script(gen, command):
    """The same command out of a script, where that is the same in all versions."""
    if command[0].upper() in NOT_IN_7_0 or b"BLOCK" in [word.upper() for word in command]:
        return command
    script = gen.pick(PASS_ON[:2] if command[0].upper() in MAPS else PASS_ON)
    return [b"EVAL", script, b"0"] + command


def inner_command(command):
    """The command that a script of PASS_ON runs, else the command itself."""
    if len(command) > 3 and command[0] == b"EVAL" and command[1] in PASS_ON:
        return command[3:]
    return command


class ScriptFamily(Family):
    """EVAL of a fixed list of scripts with random keys and arguments."""

    def __init__(self):
        super().__init__("scripts", "EVAL", "string", "EVAL word nkeys", 0.4)

    def draw(self, gen):
        while True:
            command = self._draw(gen)
            if gen.r() < 0.02:
                command = gen.damage(command)
            if not no_promise(command):
                return command

    def _draw(self, gen):
        gen.kind = gen.pick(("string", "list", "hash"))
        script = gen.pick(SCRIPTS).encode()
        sha = hashlib.sha1(script).hexdigest().encode()
        if gen.r() < 0.1:
            return gen.pick(([b"SCRIPT", b"LOAD", script], [b"SCRIPT", b"EXISTS", sha, b"abc"],
                             [b"SCRIPT", b"EXISTS", sha], [b"SCRIPT", b"FLUSH"]))
        arguments = [b"1", gen.k(), gen.v()]
        if gen.r() < 0.2:
            return [gen.pick((b"EVALSHA", b"EVALSHA", b"EVALSHA_RO")), sha] + arguments
        return [b"EVAL" if gen.r() < 0.9 else b"EVAL_RO", script] + arguments


FUNCTIONS = """
3 FUNCTION LOAD [REPLACE] library
2 FUNCTION LOAD REPLACE library
0.5 FUNCTION DELETE {one|two|none}
  FUNCTION LIST [LIBRARYNAME {one|two|'t*'|none}] [WITHCODE]
0.2 FUNCTION FLUSH [ASYNC|SYNC|foo]
0.3 FUNCTION {STATS|KILL|NOSUCH|HELP}
0.3 FUNCTION RESTORE digest_payload [APPEND|REPLACE|FLUSH|foo]
8 FCALL {set_it|get_it|'many'|none|fails} 1 k v
3 FCALL_RO {set_it|get_it|'many'|none|fails} 1 k v
  FCALL get_it nkeys
"""

FAMILIES = [
    Family("transactions", "MULTI", "string", TRANSACTIONS, 0.3),
    ScriptFamily(),
    Family("functions", "FCALL", "string", FUNCTIONS, 0.2),
]
