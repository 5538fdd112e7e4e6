# SPDX-License-Identifier: BSD-3-Clause
"""Transactions and scripts: commands that hold commands."""

from differential.generator import Family

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


class ScriptFamily(Family):
    """EVAL of a fixed list of scripts with random keys and arguments."""

    def __init__(self):
        super().__init__("scripts", "EVAL", "string", "EVAL word nkeys", 0.4)

    def draw(self, gen):
        gen.kind = gen.pick(("string", "list", "hash"))
        script = gen.pick(SCRIPTS).encode()
        name = b"EVAL" if gen.r() < 0.9 else b"EVAL_RO"
        command = [name, script, b"1", gen.k(), gen.v()]
        return gen.damage(command) if gen.r() < 0.02 else command


FAMILIES = [
    Family("transactions", "MULTI", "string", TRANSACTIONS, 0.3),
    ScriptFamily(),
]
