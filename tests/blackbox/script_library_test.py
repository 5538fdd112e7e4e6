# SPDX-License-Identifier: BSD-3-Clause
"""The libraries that scripts have, reply for reply as redis-server answers: Lua's own, bit, cjson,
cmsgpack, struct; and random values through them.
"""

import random

from harness.checks import equal
from harness.matrix import ONCE, PROTOCOLS, matrix
from harness.resp import Error
from harness.scripts import same_as_the_oracle

SAME = r"""
return string.format('%5.2f|%d|%s|%q|%x',3.14159,42,'s','a\n"',255)
return ('x'):rep(5) .. ('abc'):upper() .. #'abc' .. ('abc'):sub(2,3)
return string.gsub('hello world','o','0')
return {string.find('hello','l')}
return {string.byte('abc',1,-1)}
return {string.match('key=val','(%w+)=(%w+)')}
local t={} for w in string.gmatch('a b c','%a') do t[#t+1]=w end return t
local t={} for w in string.gfind('a b c','%a') do t[#t+1]=w end return t
local t={3,1,2} table.sort(t) return t
local t={3,1,2} table.sort(t,function(a,b) return a>b end) return t
local t={1,2} table.insert(t,3) table.insert(t,1,0) table.remove(t) return t
return table.concat({1,2,3},',')
return table.concat({1,{},3},',')
return table.getn({1,2})
return table.maxn({1,2,nil,4})
return table.setn({},1)
local t={} table.foreach({a=1},function(k,v) t[#t+1]=k end) return t
local t={} table.foreachi({'x','y'},function(k,v) t[#t+1]=k..v end) return t
return {unpack({1,2,3})}
return {unpack({1,2,3},2)}
return {math.floor(3.7),math.ceil(3.2),math.max(1,5,3),math.min(2,1),math.abs(-4)}
return {math.fmod(7,3),math.mod(7,3),math.sqrt(16),math.pow(2,10),math.huge > 1}
return tostring(math.pi)
return math.random() < 1
return math.random(5) <= 5
return math.randomseed(5)
math.randomseed(7) return {math.random(1000000),tostring(math.random()),math.random(-5,5)}
math.randomseed(-3.7) local t={} for i=1,50 do t[i]=math.random(2147483647) end return t
math.randomseed(2^31) return math.random(1000000)
return tostring(1e15)..tostring(2^53)..tostring(0.1)..tostring(1e100)
return tostring(1/0)..tostring(-1/0)
return 0x10
return tonumber('0x10')
return tonumber('10',2)
return tostring(tonumber('z'))
return tonumber('1e3')
return bit.band(0xff,0x0f)
return bit.bor(1,2,4)
return bit.bxor(5,3)
return bit.bnot(0)
return bit.lshift(1,31)
return bit.rshift(-1,28)
return bit.arshift(-256,4)
return bit.rol(0x12345678,12)
return bit.ror(0x12345678,12)
return bit.bswap(0x12345678)
return bit.tobit(0xffffffff)
return bit.tohex(255)
return bit.tohex(255,4)
return bit.tohex(-1,-8)
return coroutine.wrap(function() coroutine.yield(1) end)()
return coroutine.wrap(function() return redis.call('ping') end)()
local co = coroutine.create(function(a) local b = coroutine.yield(a+1) return b*2 end) local _,x = coroutine.resume(co,1) local _,y = coroutine.resume(co,10) return {x,y,coroutine.status(co)}
local co = coroutine.create(function() error('in co') end) return {select(2,coroutine.resume(co))}
return coroutine.status(coroutine.create(function() end))
return collectgarbage('count') > 0
return gcinfo() > 0
return collectgarbage('nosuch')
return assert(false,'no')
return assert(nil)
return assert(1,2)
return rawequal(redis,redis)
return tostring(nil)..tostring(true)
local t={} t[1]=t return #t
return ipairs(nil)
return select(-1,1,2,3)
return select(0)
return tostring()
return cjson.encode({1,2,3})
return cjson.encode({a=1})
return cjson.encode({})
return cjson.encode('a"b\\c/d\n\t\1')
return cjson.encode(1)
return cjson.encode(1.5)
return cjson.encode(1e100)
return cjson.encode(0.1)
return cjson.encode(123456789012345678)
return cjson.encode(true)
return cjson.encode(nil)
return cjson.encode(cjson.null)
return cjson.encode({1,nil,3})
return cjson.encode({[1]=1,[1000]=2})
return cjson.encode({[1]=1,[5]=2})
return cjson.encode({[1.5]=2})
return cjson.encode({[{}]=2})
return cjson.encode(1/0)
return cjson.encode(function() end)
return cjson.encode({x=print})
return cjson.encode()
return cjson.encode(1,2)
return cjson.decode('[1,2,{"a":null}]')
return cjson.decode('{"a":[1,"x",true]}').a
return tostring(cjson.decode('null'))
return cjson.decode('null') == cjson.null
return cjson.decode('"\\u00e9\\ud83d\\ude00"')
return cjson.decode('1e3')
return cjson.decode('-0.5')*2
return cjson.decode('')
return cjson.decode('{')
return cjson.decode('[1,]')
return cjson.decode('{"a"}')
return cjson.decode('nul')
return cjson.decode('"\\x"')
return cjson.decode('[1] x')
return cjson.decode('0x10')
return cjson.decode()
return cjson.decode({})
local t=1 for i=1,1001 do t={t} end return cjson.encode(t)
local s = string.rep('[',1001) return cjson.decode(s)
return #cjson.encode(cjson.decode('[]'))
return cjson.encode(cjson.decode('[]'))
return cjson.encode(cjson.decode('{}'))
return cjson.encode(cjson.decode('[[],{}]'))
return type(cjson.new())
return cjson._NAME
return cjson.encode_max_depth(1000)
return cjson.decode_max_depth(1000)
return cjson.encode_number_precision(14)
return cjson.encode_keep_buffer(true)
return tostring(cjson.encode_invalid_numbers(false))
return {cjson.encode_sparse_array(false,2,10)}
return cmsgpack.pack(1)
return cmsgpack.pack(1,2,3)
return cmsgpack.pack()
return cmsgpack.pack(nil)
return cmsgpack.pack(true,false)
return cmsgpack.pack('abc')
return cmsgpack.pack(string.rep('x',40))
return cmsgpack.pack(string.rep('x',300))
return cmsgpack.pack(string.rep('x',70000))
return cmsgpack.pack({1,2,3})
return cmsgpack.pack({})
return cmsgpack.pack({a=1})
return cmsgpack.pack({[1]=1,[3]=2})
return cmsgpack.pack({[0]=1})
return cmsgpack.pack({[1.5]=1})
return cmsgpack.pack({{{}}})
return cmsgpack.pack(0,127,128,255,256,65535,65536,4294967295,4294967296)
return cmsgpack.pack(-1,-32,-33,-128,-129,-32768,-32769,-2147483648,-2147483649)
return cmsgpack.pack(1.5,0.1,1/0,-1/0,1e300,2^63,-(2^63),2^62)
return cmsgpack.pack(print)
return cmsgpack.pack(function() end)
local t={} for i=1,20 do t[i]=i end return cmsgpack.pack(t)
local t={} for i=1,70000 do t[i]=1 end return #cmsgpack.pack(t)
local t={} for i=1,20 do t={t} end return cmsgpack.pack(t)
return cmsgpack.unpack(cmsgpack.pack({1,'a',{b=2}}))
return {cmsgpack.unpack(cmsgpack.pack(1,2,3))}
return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3))}
return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3),1)}
return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3),2)}
return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3),3)}
return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3),4)}
return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3),-1)}
return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3),2)}
return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3),0)}
return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3),9)}
return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3),-1)}
return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3),1,1)}
return {cmsgpack.unpack_limit('x')}
return cmsgpack.unpack('')
return cmsgpack.unpack()
return cmsgpack.unpack('\146\1')
return cmsgpack.unpack('\193')
return cmsgpack.unpack('\217\5ab')
return cmsgpack.unpack('\205\1')
return cmsgpack.unpack('\202\63\192\0\0')*2
return cmsgpack.unpack('\203\63\248\0\0\0\0\0\0')*2
return cmsgpack.unpack('\223\0\0\0\1\1\2')[1]
return cmsgpack.unpack('\220\0\2\1\2')
return cmsgpack.unpack('\211\255\255\255\255\255\255\255\255')
return cmsgpack.unpack('\129')
return struct.pack('HH',1,2)
return struct.pack('>I2','513')
return struct.pack('<i4',-2)
return struct.pack('>l',-2)
return struct.pack('b',300)
return struct.pack('i16',5)
return struct.pack('>i16',-5)
return struct.pack('i33',5)
return struct.pack('i99999999999',5)
return struct.pack('s','abc')
return struct.pack('c2','abc')
return struct.pack('c0','abc')
return struct.pack('c4','abc')
return struct.pack('fd',1.5,-2.25)
return struct.pack('>fd',1.5,-2.25)
return struct.pack('bxb',1,2)
return struct.pack('!8bi8',1,2)
return struct.pack('!4bi8',1,2)
return struct.pack('!3b',1)
return struct.pack('!bd',1,2)
return struct.pack('z',1)
return struct.pack('b')
return struct.pack('b','x')
return struct.pack('b b > h',1,2,3)
return struct.pack('')
return struct.pack()
return struct.pack('T',7)
return struct.pack('B',2^53)
return struct.pack('I8',2^63)
return {struct.unpack('HH',struct.pack('HH',1,2))}
return {struct.unpack('>hHlL',struct.pack('>hHlL',-1,65535,-1,5))}
return {struct.unpack('s',"abc\0def")}
return {struct.unpack('s','abc')}
return {struct.unpack('c2','abc')}
return {struct.unpack('bc0',"\3abcd")}
return {struct.unpack('c0','abc')}
return {struct.unpack('bc0',"\9abc")}
return {struct.unpack('dc0b',struct.pack('dc1b',-0.5,'a',7))}
return {struct.unpack('dc0b',struct.pack('dc1b',-1,'a',7))}
return {struct.unpack('dc0b',struct.pack('dc1b',1.9,'a',7))}
return {struct.unpack('dc0b',struct.pack('dc1b',0/0,'a',7))}
return {struct.unpack('dc0b',struct.pack('dc1b',2^70,'a',7))}
return {struct.unpack('dc0b',struct.pack('dc1b',2^63,'a',7))}
return {struct.unpack('dc0b',struct.pack('dc1b',-2^70,'a',7))}
return {struct.unpack('h','a')}
return {struct.unpack('b','abc',2)}
return {struct.unpack('b','abc',4)}
return {struct.unpack('b','abc',0)}
return {struct.unpack('b','abc',-1)}
return {struct.unpack('!8bi8',struct.pack('!8bi8',1,2))}
return {struct.unpack('i3',struct.pack('i3',-70000))}
return {struct.unpack('x','')}
return {struct.unpack('q','x')}
return struct.size('bhilfd')
return struct.size('!8bhilfd')
return struct.size('c10')
return struct.size('s')
return struct.size('c0')
return struct.size('z')
return struct.size('>i3<b')
"""


@matrix(PROTOCOLS)
def test_scripts_answer_as_the_oracle(env):
    same_as_the_oracle(env, SAME)


def random_value(rng, depth=0):
    """A Lua expression of a random value."""
    kind = rng.randrange(8 if depth < 4 else 5)
    if kind == 0:
        return str(rng.choice([0, 1, -1, 127, 128, -33, 2**31, 2**53, rng.randrange(-10**9, 10**9)]))
    if kind == 1:
        return repr(rng.choice([0.5, -1.25, 1e-7, 1e21, rng.random()]))
    if kind == 2:
        return rng.choice(["true", "false"])
    if kind in (3, 4):
        return "'%s'" % "".join("\\%03d" % rng.randrange(256) for _ in range(rng.randrange(40)))
    if kind in (5, 6):
        return "{%s}" % ",".join(random_value(rng, depth + 1) for _ in range(rng.randrange(20)))
    # One key at most: the order of more is the implementation's.
    return "{['k%d']=%s}" % (rng.randrange(5), random_value(rng, depth + 1))


@matrix(ONCE)
def test_random_values_through_the_codecs(env):
    rng = random.Random(20240611)
    oracle = env.oracle_client()
    for _ in range(300):
        value = random_value(rng)
        for script in ("return cmsgpack.pack(%s)", "return cmsgpack.unpack(cmsgpack.pack(%s))",
                       "return {cmsgpack.unpack_limit(cmsgpack.pack(%s, 1), 1)}", "return %s",
                       "return cmsgpack.pack(cjson.decode(cjson.encode({%s})))"):
            equal(env.c.call("EVAL", script % value, 0), oracle.call("EVAL", script % value, 0),
                  script % value)


@matrix(ONCE)
def test_random_structures(env):
    rng = random.Random(977)
    oracle = env.oracle_client()
    for _ in range(400):
        options = [rng.choice("bBhHlLTiIfdsx><! ") + rng.choice(["", "", "3", "8"])
                   for _ in range(rng.randrange(1, 8))]
        fmt = "".join(o if o[0] in "iI!" else o[0] for o in options)
        values = ",".join("'text%d'" % i if o[0] == "s" else str(rng.randrange(-200, 70000))
                          for i, o in enumerate(options) if o[0] not in "x><! ")
        script = "local s = struct.pack('%s'%s) return {s, struct.unpack('%s', s)}" % (
            fmt, "," + values if values else "", fmt)
        equal(env.c.call("EVAL", script, 0), oracle.call("EVAL", script, 0), script)
        script = "return struct.size('%s')" % fmt
        equal(env.c.call("EVAL", script, 0), oracle.call("EVAL", script, 0), script)
        data = bytes(rng.randrange(256) for _ in range(rng.randrange(30)))
        script = "return {struct.unpack('%s', ARGV[1])}" % fmt
        equal(env.c.call("EVAL", script, 0, data), oracle.call("EVAL", script, 0, data), script)
        script = "return {cmsgpack.unpack(ARGV[1])}"
        got, wanted = env.c.call("EVAL", script, 0, data), oracle.call("EVAL", script, 0, data)
        equal(isinstance(got, Error), isinstance(wanted, Error), repr(data))
