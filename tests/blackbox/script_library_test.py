# SPDX-License-Identifier: BSD-3-Clause
"""What scripts see, reply for reply as redis-server answers: conversions, errors, libraries.

Each line of SAME is a script that both servers run, after the same few keys were made. Where 7.4
differs from the oracle's 7.0, the script stands in OTHER with its answer.
"""

import random

from harness.checks import check, equal
from harness.matrix import ONCE, PROTOCOLS, matrix
from harness.resp import Error

SAME = r"""
return 1
return 3.99
return -3.99
return 1e300
return -1e300
return 'text'
return ''
return nil
return true
return false
return
return {}
return {1,2,{3,'four'},nil,5}
return {1,2.5,false,true}
return {ok='fine'}
return {ok='a\r\nb'}
return {ok=1}
return {ok='a\0b'}
return {err='E a\0b'}
return {err='E a\r\n'}
return {err='',ok='x'}
return {big_number='1\0002'}
return redis.error_reply('E a\0b')
return redis.error_reply('\0b')
return redis.error_reply('\r\nabc\r\n')
return redis.error_reply('E \r\nabc\r\n')
return redis.error_reply('E ')
return redis.error_reply(' ')
return redis.error_reply('-')
return redis.status_reply('a\0b')
error('E a\0b')
return {err='abc'}
return {err='ABC def'}
return {err='ABC\ndef'}
return {double=3.5}
return {double=1/0}
return {double='x'}
return {map={a=1}}
return {map={a={map={b=2}}}}
return {map={}}
return {set={a=true}}
return {set={}}
return {big_number='123'}
return {verbatim_string={string='a',format='txt'}}
return {verbatim_string={string='a'}}
return {verbatim_string={string='a',format='x'}}
return {verbatim_string={string='',format=''}}
return {verbatim_string={string='a',format='long'}}
return {verbatim_string={string='a',format='a\0bc'}}
return {verbatim_string={string='a',format='\r\nx'}}
return {verbatim_string={string='a',format=1}}
return {{ok='x'},{err='E y'},{double=1}}
return function() end
return print
return foo
return pcall(function() return foo end)
foo=1
KEYS={}
redis.call=nil
redis.foo='x'
string.x=1
getmetatable('').__index=1
rawset(_G,'x',1)
rawset(redis,'x',1)
setmetatable(_G,{})
return rawget(_G,'foo')
return type(rawget(_G,'redis'))
return setmetatable({},{__index=function(t,k) return k end}).abc
return setmetatable(setmetatable({},{__metatable=1}),{})
return setmetatable(1,{})
return setmetatable({},1)
return getmetatable(setmetatable({},{__metatable='locked'}))
local t={} for k,v in pairs({a=1}) do t[#t+1]=k..v end return t
return pairs(nil)
return pairs('x')
return type(next)
local n=0 for k,v in pairs(redis) do n=n+1 end return n > 10
local n=0 for k,v in pairs(_G) do n=n+1 end return n > 20
return redis.call('nosuch')
return redis.call('get')
return redis.call()
return redis.call({})
return redis.call('get',nil)
return redis.call('get',true)
return redis.call('get',{})
return redis.pcall()
return redis.pcall({})
return redis.pcall('get')
return redis.pcall('nosuch')
return redis.pcall('incr')
return redis.call('eval','return 1','0')
return redis.call('multi')
return redis.call('watch','x')
return redis.call('config','get','x')
return redis.call('config')
return redis.call('lpush','a')
return redis.call('lpush','str','a')
return redis.pcall('lpush','str','a')
return redis.call('incr','str')
return redis.pcall('incr','str')
return redis.pcall('incr','str').err
return redis.pcall('incr','str').ignore_error_stats_update
local e = redis.pcall('nosuch') return tostring(e.ignore_error_stats_update)
local ok,e = pcall(redis.call,'incr','str') return {tostring(ok),type(e),e}
local ok,e = pcall(redis.call,'nosuch','a') return {tostring(ok),type(e),e}
local ok,e = pcall(function() local x = nil; return x.y end) return e
local ok,e = pcall(function() error({code=5}) end) return {type(e),e.code}
local ok,e = pcall(function() error({err='a b'}) end) return {type(e),e}
return {select('#',pcall(error,{code=5})),select('#',pcall(error,{err='a'})),select('#',pcall(error,'a'))}
local ok,e,x = pcall(error,{err={1}}) return {tostring(ok),type(e),x}
local ok,e = pcall(error) return {tostring(ok),tostring(e)}
local ok,a,b,c = pcall(function(...) return ... end,1,nil,3) return {tostring(ok),a,tostring(b),c}
local ok,e = xpcall(function() error('x') end, function(m) return 'handled '..m end) return e
local ok,e = xpcall(function() redis.call('incr','str') end, function(m) return m end) return e.err
error('x')
error('x',0)
error('x',2)
error('')
error(5)
error(nil)
error(true)
error()
error('a\nb')
error({err='My Err'})
error({err='Single'})
error(redis.error_reply('abc'))
return error
local function f() error('deep') end f()
local function f() redis.call('incr','str') end f()
local a = nil; return a.b
return nosuch.b
return 'a' .. nil
return 1 + {}
return 1 + 'a'
return {} < {}
return #nil
return redis.call('time')[1] > 0
local f = 5; f()
return redis.error_reply('abc')
return redis.error_reply('-abc def')
return redis.error_reply('abc def')
return redis.error_reply('abc def\r\n')
return redis.error_reply()
return redis.error_reply(1)
return redis.error_reply('a','b')
return redis.status_reply('abc')
return redis.status_reply('a','b')
return redis.status_reply(1)
return redis.status_reply()
return redis.sha1hex()
return redis.sha1hex('')
return redis.sha1hex('abc')
return redis.sha1hex(1)
return redis.sha1hex('a','b')
return redis.log()
return redis.log('a','b')
return redis.log(9,'b')
return redis.log(-1,'b')
return redis.log(redis.LOG_DEBUG,'from a test',1)
return redis.setresp()
redis.setresp(4)
redis.setresp('x')
redis.setresp(2.7) redis.setresp('3') return redis.call('hgetall','hash')
redis.setresp(1.9)
redis.setresp(3) return redis.call('hgetall','hash')
redis.setresp(3) return redis.call('hgetall','hash').map.f
redis.setresp(3) return redis.call('get','none')
redis.setresp(3) return tostring(redis.call('get','none'))
redis.setresp(3) return redis.call('smembers','set')
redis.setresp(3) return redis.call('zscore','zset','m')
redis.setresp(3) return redis.call('zscore','zset','m').double
redis.setresp(3) return redis.call('zrange','zset',0,-1,'withscores')
redis.setresp(3) return true
redis.setresp(3) return false
redis.setresp(3) return {true,false}
redis.setresp(3) redis.setresp(2) return redis.call('hgetall','hash')
redis.setresp(3) return redis.call('debug','protocol','verbatim')
return redis.call('hgetall','hash')
return redis.call('smembers','set')
return redis.call('zscore','zset','m')
return redis.call('zrange','zset',0,-1,'withscores')
return redis.call('lrange','list',0,-1)
return redis.call('lrange','none',0,-1)
return redis.call('get','none')
return tostring(redis.call('get','none'))
return redis.call('set','x',5)
return redis.call('set','x',5).ok
return redis.call('set','str','v','nx')
return redis.call('ping')
return redis.call('echo','a\0b')
return redis.call('exists','str','none')
return redis.call('type','hash')
return redis.call('type','hash').ok
return redis.call('sort','list','alpha')
return redis.call('object','encoding','list') ~= nil
return redis.call('object','nosuch')
return redis.call('select',3)
redis.call('select',3) redis.call('set','other','v') return redis.call('dbsize')
return redis.call('select',99)
return redis.call('getrange','str',0,1)
return redis.call('mget','str','none','hash')
return redis.call('scan',0,'count',1000)[1]
return redis.call('set','x',1e15) and redis.call('get','x')
return redis.call('set','x',100) and redis.call('get','x')
return redis.call('set','x',-1.5) and redis.call('get','x')
return redis.call('incrby','n',3)
return redis.call('INCRBY','n',3)
return redis.call('lpush','l',1,2,3)
return redis.call('xadd','st','1-1','f','v')
return redis.call('xrange','xs','-','+')
return redis.set_repl()
redis.set_repl(99)
redis.set_repl(4)
return redis.set_repl(redis.REPL_ALL)
return tostring(redis.replicate_commands())
return redis.acl_check_cmd()
return redis.acl_check_cmd('nosuch')
return redis.acl_check_cmd({})
return redis.acl_check_cmd('set','a','b')
return redis.REPL_SLAVE..redis.REPL_REPLICA..redis.REPL_ALL..redis.REPL_AOF..redis.REPL_NONE
return redis.LOG_DEBUG..redis.LOG_VERBOSE..redis.LOG_NOTICE..redis.LOG_WARNING
return tostring(redis.breakpoint())
return redis.debug('a')
return type(pcall)
return _VERSION
return #KEYS + #ARGV
return select('#', redis.call('get','none'))
x x
if 1 then
return ]]
for i=1,3 do end return i
return loadstring(string.dump(function() return 1 end))()
return loadstring('return 5')()
return loadstring('x x')
return select(2, loadstring('x x', '@name'))
return load('return 1')
return load(function() return nil end) ~= nil
local n=0 return load(function() n=n+1 return ({'return',' 7'})[n] end)()
return {load(function() return {} end)}
return select(2,load(function() return {} end))
return select(2,load(function() error('in the reader') end))
return select(2,load(function() error({err='a table'}) end)).err
return select(2,load(function() return 'x x ' end))
return select(2,load(function() return 'x x ' end,'=named'))
local n=0 return {type(load(function() n=n+1 return 'x x ' end)),n}
local n=0 return load(function() n=n+1 return n==1 and 'return 1' or n==2 and 2 or nil end)()
local n=0 return load(function() n=n+1 return n==1 and 'return 1' or '' end)()
return load(function() return '' end)==nil
return select(2,load(function() return redis.call('incr','str') end)).err
local c=string.dump(function() return 1 end) return {load(function() local x=c c=nil return x end)}
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

# script -> what Cairn answers, and why.
OTHER = [
    # 7.4 writes numbers as short as they read back the same.
    ("return redis.call('set','x',0.1) and redis.call('get','x')", b"0.1"),
    ("return redis.call('set','x',1e20) and redis.call('get','x')", b"1e+20"),
    # 7.0 ends here.
    ("error({})", None),
    ("return redis.REDIS_VERSION", b"7.4.2"),
    ("return redis.REDIS_VERSION_NUM", 0x070402),
    ("return type(os.clock())", b"number"),
    ("local n=0 for k in pairs(os) do n=n+1 end return n", 1),
]


def fill(client):
    client.call("FLUSHALL")
    client.call("SET", "str", "value")
    client.call("HSET", "hash", "f", "v")
    client.call("SADD", "set", "m")
    client.call("ZADD", "zset", "1.5", "m")
    client.call("RPUSH", "list", "b", "a", "c")
    client.call("XADD", "xs", "1-1", "f", "v")


@matrix(PROTOCOLS)
def test_scripts_answer_as_the_oracle(env):
    oracle = env.oracle_client(env.protocol)
    fill(env.c)
    fill(oracle)
    wrong = []
    for script in filter(None, SAME.split("\n")):
        got, wanted = env.c.call("EVAL", script, 0), oracle.call("EVAL", script, 0)
        if got != wanted or type(got) is not type(wanted):
            wrong.append("%s\n    got    %r\n    wanted %r" % (script, got, wanted))
    check(not wrong, "%d scripts differ:\n  %s" % (len(wrong), "\n  ".join(wrong)))


@matrix(ONCE)
def test_scripts_that_differ_by_version(env):
    for script, wanted in OTHER:
        got = env.c.call("EVAL", script, 0)
        if wanted is None:
            check(isinstance(got, Error) and got.text.startswith(b"ERR unknown error"), repr(got))
        else:
            equal(got, wanted, script)


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
