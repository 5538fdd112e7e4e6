# SPDX-License-Identifier: BSD-3-Clause
"""What scripts reply and see of Redis, as redis-server answers: conversions, errors, loading.

Each line of SAME is a script that both servers run. Where 7.4 differs from the oracle's 7.0, the
script stands in OTHER with its answer.
"""

from harness.checks import check, equal
from harness.matrix import ONCE, PROTOCOLS, matrix
from harness.resp import Error
from harness.scripts import same_as_the_oracle

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


@matrix(PROTOCOLS)
def test_scripts_answer_as_the_oracle(env):
    same_as_the_oracle(env, SAME)


@matrix(ONCE)
def test_scripts_that_differ_by_version(env):
    for script, wanted in OTHER:
        got = env.c.call("EVAL", script, 0)
        if wanted is None:
            check(isinstance(got, Error) and got.text.startswith(b"ERR unknown error"), repr(got))
        else:
            equal(got, wanted, script)
