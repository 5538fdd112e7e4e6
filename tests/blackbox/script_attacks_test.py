# SPDX-License-Identifier: BSD-3-Clause
"""Scripts that mean harm: the server stays up, the next script finds the world as it was, and the
answers are those of redis-server wherever that survives."""

from harness.checks import check, equal, eventually, skip
from harness.matrix import ONCE, THREADS, limit, matrix
from harness.resp import Error
from harness.server import server_binary

MATRIX = ONCE

# Answered as by the oracle, byte for byte.
AS_THE_ORACLE = [
    "local function f() return 1+f() end return f()",
    "local function f() pcall(f) end f() return 'ok'",
    "local function f() return (string.gsub('a','a',f)) end return f()",
    "local t={} setmetatable(t,{__index=function(t,k) return t[k..'a'] end}) return t.x",
    "local t={} setmetatable(t,{__index=t}) return t.x",
    "return (string.rep('a',1000)):find(string.rep('()',1000))",
    "return {pcall(loadstring,string.rep('(',100000))}",
    "local d=string.dump(function() return 1 end) return {loadstring(d)}",
    "getmetatable('').__index=1",
    "rawset(getmetatable(''),'x',1)",
    "rawset(redis,'call',1)",
    "table.insert(redis,1)",
    "table.insert(_G,'x')",
    "table.insert(string,1,'x')",
    "return table.remove(redis)",
    "setmetatable(redis,{})",
    "setmetatable(_G,{})",
    "x=1",
    "redis=1",
    "_G.x=1",
    "return x",
    "error({err='MY err'})",
    "error(nil)",
    "return setmetatable({},{__index=function() error('x') end})",
    "return unpack({},-2^31,2^31-1)",
    "return unpack({},1,1e8)",
    "return {unpack({1,2,3},2)}",
    "return {unpack({1,2,3},-1,1)}",
    "return unpack(1)",
    "return bit.tohex(-1,2^31)",
    "return bit.tohex(255,-2^31)",
    "return {bit.tohex(255,-4),bit.tohex(255,0),bit.tohex(255,1)}",
    "return {cmsgpack.unpack(string.rep('\\1',1000000))}",
    "return cmsgpack.unpack('\\221\\255\\255\\255\\255')",
    "return cmsgpack.unpack('\\219\\255\\255\\255\\255')",
    "return struct.unpack('c2147483647','a')",
    "return {struct.pack('LLLLL',1/0,-1/0,0/0,2^64,-2^64),struct.pack('LlBi3',2^63,-2^63,-1,1e300)}",
    "return struct.unpack('I4c0',string.char(255,255,255,127)..'abc')",
    "return cjson.decode(string.rep('[',100000))",
    "local t={} t[1]=t return cjson.encode(t)",
    "cjson.decode_max_depth(1000000) "
    "local r={pcall(cjson.decode,string.rep('[',1000000))} cjson.decode_max_depth(1000) return r",
    "return string.format('%99999d',1)",
    "coroutine.yield(1)",
    "return {xpcall(function() error('a') end, function(e) return e..'b',1 end)}",
    "return {xpcall(function() return 1,nil,3 end, function() end)}",
    "return {xpcall(function(...) return select('#',...) end, error, 1, 2)}",
    "return {xpcall(function() error() end, function(...) return select('#',...) end)}",
    "return {xpcall(function() error('a') end, function(e) error('b') end)}",
    "local n=0 local a,b=xpcall(function() error('a') end, "
    "function(e) n=n+1 if n<4 then error(e..n) end return e end) return {a,b,n}",
    "return {xpcall(function() error('a') end, nil)}",
    "return {xpcall(function() error('a') end, {})}",
    "return {xpcall(function() error('a') end, tostring)}",
    "return {xpcall(function() error({err='a',x=1}) end, function(e) return e.x end)}",
    "return {xpcall(nil, function(e) return e end)}",
    "return {xpcall(function() return 1 end)}",
    "return {pcall(xpcall)}",
    "return {xpcall(function() return nil+1 end, function(e) error(e,2) end)}",
    "local function f() return 1+f() end "
    "return {xpcall(f, function(e) return #e<200 and e or #e end)}",
    "local n=0 local function f() n=n+1 return xpcall(f, function(e) return e end) end "
    "local r={f()} return {n,#r,tostring(r[#r])}",
    "return {xpcall(function() return xpcall(function() error('a',0) end, function(e) "
    "error(e..'b',0) end) end, function(e) return e..'c' end)}",
    "return {xpcall(coroutine.wrap(function() error('a') end), function(e) return 'h '..e end)}",
    # What guards stand before goes on as it did.
    "return {pcall(coroutine.wrap(function() error('boo') end))}",
    "return {pcall(coroutine.wrap(function() error({err='E'}) end))}",
    "local f=coroutine.wrap(function() return 1 end) f() f()",
    "local f=coroutine.wrap(function(a,b) local c=coroutine.yield(a+b) return c,7 end) "
    "local x=f(1,2) local y,z=f(5) return {x,y,z}",
    "local c=coroutine.create(function(a,b) local c=coroutine.yield(a+b) return c,7 end) "
    "local _,x=coroutine.resume(c,1,2) local _,y,z=coroutine.resume(c,5) "
    "local a,b=coroutine.resume(c) return {x,y,z,tostring(a),b}",
    "return coroutine.wrap(1)",
    "return coroutine.resume(1)",
    "return string.find({},'a')",
    "return ('x'):find({})",
    "return ('x'):find('%')",
    "return ('x'):find(1)",
    "return {('key=value'):match('(%w+)=(%w+)')}",
    "local s='' for a in ('a1b2'):gmatch('%d') do s=s..a end return s",
    "return {('hello'):gsub('l',{l='L'})}",
    "return ('x'):gsub('x')",
    "return string.rep({},2)",
    "return {string.find(string.rep('*',6000),string.rep('*',6000),1,true)}",
    "return {('a*'):find('*',1,true)}",
    "local t={} t[1]=t t[2]=t return cjson.encode(t)",
    "local t={} t[2147483647]=1 return cjson.encode(t)",
    "local t={} t[1000]=1 cjson.encode_sparse_array(true) local r=cjson.encode(t) "
    "cjson.encode_sparse_array(false) return r",
    "return cjson.encode()",
    "return cjson.encode(1,2)",
    "return cjson.encode(redis.call)",
    "return cjson.encode({[{}]=1})",
    "return cjson.decode({})",
    "return cjson.decode('{')",
    "local c=cjson.new() c.encode_max_depth(1) "
    "return {c.encode({1,'\\0'}),#c.encode({('x'):rep(2^21)}),c.decode('[1]')[1],cjson.encode({{1}})}",
    "return #cjson.encode({('x'):rep(2^21)}) + #cjson.encode({('x'):rep(2^21)})",
    "local t={} t[1]=t t[2]=t return #cmsgpack.pack(t)",
    "return cmsgpack.pack(('a'):rep(70000),1,{1,2,{3}},{a={}})",
    "return cmsgpack.pack()",
    "return redis.error_reply('-A b\\r\\n')",
    "return {('ab'):rep(3),('ab'):rep(0),('ab'):rep(-1),('ab'):rep(1),(''):rep(5),('abc'):rep(7)}",
    "return ('x'):rep()",
    "local t={1} table.insert(t,2) table.insert(t,1,0) return t",
    "return table.insert(1,2)",
    "return table.insert({})",
    "return table.insert({},{},1)",
    "return table.insert({},1,2,3)",
    "local t={1} table.insert(t,-5,7) table.insert(t,9,8) return {t[-5],t[1],t[9],#t}",
    "local n=0 for k in pairs(redis) do n=n+1 end return n>10",
    "return type(next(redis))",
    "return next({},'nokey')",
    "return next(1)",
    "local t={} for k,v in next,{a=1} do t[1]=k t[2]=v end return t",
    # Large texts of few values.
    "return #cjson.decode('[\"'..('x'):rep(3e7)..'\"]')[1]",
    "return #cjson.decode('['..('1234567890,'):rep(25e5)..'0]')",
]

BOMB = "local t={1,1,1,1} for i=1,40 do t={t,t,t,t} end "

# Redis dies or hangs of these.
OUR_OWN = [
    ("return (string.rep('a',300000)):find(string.rep('a?',300000)..'b')", "pattern too complex"),
    ("return string.match('a',string.rep('a*',300000)..'b')", "pattern too complex"),
    ("return string.gsub('a',string.rep('a-',300000)..'b','')", "pattern too complex"),
    ("for x in string.gmatch('a',string.rep('a+',300000)..'b') do end", "pattern too complex"),
    ("return #string.rep('x',1e9)", "resulting string too large"),
    ("return #('abc'):rep(2^31-1)", "resulting string too large"),
    # A table that stands in a value very many times, or in itself.
    (BOMB + "return cmsgpack.pack(t)", "not enough memory"),
    (BOMB + "return cjson.encode(t)", "not enough memory"),
    (BOMB + "return cjson.new().encode(t)", "not enough memory"),
    (BOMB + "return t", "reply is too large"),
    ("local t={} t[1]=t t[2]=t return t", "reply is too large"),
    ("local t={} t.map={a=t,b=t} for i=1,50 do t={map={a=t,b=t}} end return t",
     "reply is too large"),
    ("local s=('x'):rep(2^27) return cjson.encode({s,s,s})", "not enough memory"),
    ("local t={} t[2147483647]=1 local c=cjson.new() c.encode_sparse_array(false,0,0) "
     "return c.encode(t)", "not enough memory"),
    ("return cjson.decode('[' .. ('0,'):rep(2^24) .. '0]')", "not enough memory"),
    ("return cjson.decode('[' .. ('[],'):rep(2^23) .. '[]]')", "not enough memory"),
    ("return cjson.decode('[' .. ('{\"\":0},'):rep(2^22) .. '0]')", "not enough memory"),
    ("table.insert({},-2^31,1)", "position too far"),
    ("table.insert({},2^31,1)", "position too far"),
    ("error({})", "unknown error"),
    ("error(setmetatable({},{__index=function() error('x') end}))", "unknown error"),
    ("error(_G)", "unknown error"),
    ("error(redis)", "unknown error"),
    ("local _,t=pairs(redis) t.call=1", "Attempt to modify a readonly table"),
    ("local _,t=pairs(_G) t.x=1", "Attempt to modify a readonly table"),
    ("local _,t=pairs(string) rawset(t,'rep',1)", "Attempt to modify a readonly table"),
]


def test_answers_as_by_the_oracle(env):
    oracle = env.oracle_client()
    for script in AS_THE_ORACLE:
        equal(env.c.call("EVAL", script, 0), oracle.call("EVAL", script, 0), script)


@limit(120)
def test_what_redis_does_not_survive(env):
    for script, text in OUR_OWN:
        reply = env.c.call("EVAL", script, 0)
        check(isinstance(reply, Error) and text in str(reply), (script, reply))
        equal(env.c.call("EVAL", "return redis.call('PING').ok .. ('a'):rep(2)", 0), b"PONGaa")
    for name in ("source", "line", "x"):
        reply = env.c.call("EVAL", "return " + name, 0)
        check(isinstance(reply, Error) and "nonexistent global" in str(reply), (name, reply))


def fills_memory():
    """A minute of the thread sanitizer's time, for what one thread does with one Lua state."""
    if "/thread/" in server_binary():
        skip("the address sanitizer sees what happens when a script fills memory")


@limit(120)
def test_memory_has_a_bound(env):
    """A script that fills memory is told so, its next one has room again."""
    fills_memory()
    server = env.start()
    c = server.client()
    reply = c.call("EVAL", "local t={} for i=1,1e9 do t[i]=string.rep('x',2^26)..i end", 0)
    check(isinstance(reply, Error) and "not enough memory" in str(reply), reply)
    equal(c.call("EVAL", "local ok,e=pcall(function() local s='x' for i=1,40 do s=s..s end end) "
                         "return {ok,e}", 0), [None, b"not enough memory"])
    equal(c.call("EVAL", "return #string.rep('x',1000000)", 0), 1000000)
    used = c.call("INFO", "memory").decode().split("used_memory:")[1].split()[0]
    check(int(used) < 300 << 20, used)


@limit(120)
def test_what_lua_is_refused_leaves_nothing_behind(env):
    """Functions of ours that fail because Lua's memory is full give back what they hold."""
    fills_memory()
    server = env.start()
    c = server.client()
    fill = "local a={} for i=1,7 do a[i]=string.rep('x',2^27-i) end local s=a[1] "
    for call in ("cmsgpack.pack,s,s", "redis.error_reply,s", "redis.status_reply,s..s",
                 "cjson.encode,s", "cjson.decode,s"):
        c.call("EVAL", fill + "for i=1,10 do pcall(" + call + ") end", 0)
    equal(c.call("EVAL", "return #string.rep('x',1000000)", 0), 1000000)
    used = c.call("INFO", "memory").decode().split("used_memory:")[1].split()[0]
    check(int(used) < 300 << 20, used)


@limit(60)
def test_the_lines_of_a_script_in_the_log_have_a_bound(env):
    server = env.start()
    c = server.client()
    equal(c.call("EVAL", "local s=string.rep('x',10000) for i=1,5000 do redis.log(3,s) end "
                         "return 1", 0), 1)
    equal(c.call("EVAL", "redis.log(3,'the next one writes again') return 1", 0), 1)
    text = server.log_text()
    check(1 << 20 < text.count("x") < 32 << 20, len(text))
    check("the next one writes again" in text)


@limit(60)
@matrix(THREADS)
def test_no_coroutine_keeps_a_script_alive(env):
    """Each coroutine has a hook of its own: whoever resumed one is told that the script ends."""
    server = env.start(busy_reply_threshold=50)
    for script in (
            "while true do pcall(coroutine.wrap(function() while true do end end)) end",
            "local function f(n) while true do pcall(coroutine.wrap(function() "
            "if n<8 then f(n+1) end while true do end end)) end end f(1)",
            "while true do coroutine.resume(coroutine.create(function() for i=1,90000 do end end)) end",
            "local f=coroutine.wrap(function() while true do coroutine.yield() end end) "
            "while true do f() end"):
        victim, other = server.client(), server.client()
        victim.send("EVAL", script, 0)
        eventually(lambda: isinstance(other.call("PING"), Error))
        equal(other.call("SCRIPT", "KILL"), b"OK")
        reply = victim.read()
        check(isinstance(reply, Error) and "Script killed by user" in str(reply), (script, reply))
        equal(other.call("PING"), b"PONG")
        equal(other.call("EVAL", "return coroutine.wrap(function() return 1 end)()", 0), 1)


LOOP = "while true do end "
SPIN = "function() " + LOOP + "end"


@limit(120)
@matrix(THREADS)
def test_nothing_that_catches_errors_keeps_a_script_alive(env):
    """Handlers and callbacks which catch the error that ends a script, and loop on. Each is begun
    under a key's lock alone, which it retreats from, and again under all of them."""
    server = env.start(busy_reply_threshold=50)
    for script in (
            "return {xpcall(" + SPIN + ", " + SPIN + ")}",
            "while true do xpcall(" + SPIN + ", " + SPIN + ") end",
            "xpcall(function() xpcall(" + SPIN + ", " + SPIN + ") " + LOOP + "end, " + SPIN + ")",
            "xpcall(function() pcall(" + SPIN + ") " + LOOP + "end, " + SPIN + ")",
            "pcall(function() xpcall(" + SPIN + ", " + SPIN + ") " + LOOP + "end) " + LOOP,
            "xpcall(function() error('x') end, function() pcall(" + SPIN + ") " + LOOP + "end)",
            "xpcall(function() error('x') end, function() xpcall(" + SPIN + ", " + SPIN + ") end)",
            "local function h() " + LOOP + "end xpcall(coroutine.wrap(" + SPIN + "), h)",
            "coroutine.wrap(function() xpcall(" + SPIN + ", " + SPIN + ") end)() " + LOOP,
            "local c=coroutine.create(function() xpcall(" + SPIN + ", " + SPIN + ") end) "
            "coroutine.resume(c) " + LOOP,
            "local t={} for i=1,100 do t[i]=i end table.sort(t, function() xpcall(" + SPIN + ", " +
            SPIN + ") end)",
            "string.gsub(('x'):rep(100),'x',function() xpcall(" + SPIN + ", " + SPIN + ") end)",
            # Functions of the library only, for a very long time, once it has to end.
            "string.gsub(('x'):rep(2^26),'.',setmetatable({},{__index=pcall,__call=" + SPIN + "}))",
            "local t=setmetatable({},{__index=" + SPIN + "}) xpcall(function() return t.x end, " +
            SPIN + ")",
            "local t=setmetatable({},{__tostring=" + SPIN + "}) xpcall(function() tostring(t) end, " +
            SPIN + ")",
            "local t=setmetatable({},{__gc=" + SPIN + "}) t=nil collectgarbage() xpcall(" + SPIN +
            ", " + SPIN + ")",
            "load(function() xpcall(" + SPIN + ", " + SPIN + ") end) " + LOOP,
            "xpcall(function() while true do redis.call('get',KEYS[1]) end end, " + SPIN + ")",
            "xpcall(function() for i=1,300 do redis.pcall('get','other'..i) end " + LOOP + "end, " +
            SPIN + ")"):
        victim, other = server.client(), server.client()
        victim.send("EVAL", script, 1, "k")
        eventually(lambda: isinstance(other.call("PING"), Error), note=script)
        equal(other.call("SCRIPT", "KILL"), b"OK")
        reply = victim.read()
        check(isinstance(reply, Error) and "Script killed by user" in str(reply), (script, reply))
        equal(other.call("SET", "k", "v"), b"OK")
        equal(victim.call("EVAL", "return {xpcall(function() error('a',0) end, "
                                  "function(e) return e..'b' end)}", 0), [None, b"ab"])


def test_a_coroutine_that_was_ended_harms_no_later_script(env):
    """A library keeps it; whoever resumes it later hears that it is dead, and can catch that."""
    server = env.start(busy_reply_threshold=50)
    victim, other = server.client(), server.client()
    equal(victim.call("FUNCTION", "LOAD", "#!lua name=l\nlocal c,w\n"
                      "redis.register_function('first', function() "
                      "c=coroutine.create(" + SPIN + ") coroutine.resume(c) end) "
                      "redis.register_function('then', function() "
                      "local a,b=coroutine.resume(c) local d,e=pcall(coroutine.resume,c) "
                      "local f,g=xpcall(function() local x,y=coroutine.resume(c) error(y,0) end, "
                      "function(e) return 'h '..e end) return {tostring(a),b,tostring(e),g} end)"),
          b"l")
    victim.send("FCALL", "first", 0)
    eventually(lambda: isinstance(other.call("PING"), Error))
    equal(other.call("FUNCTION", "KILL"), b"OK")
    check(isinstance(victim.read(), Error), "it ended")
    dead = b"cannot resume dead coroutine"
    equal(victim.call("FCALL", "then", 0), [b"false", dead, b"false", b"h " + dead])


@limit(60)
def test_a_script_that_is_slow_in_library_functions_can_be_killed(env):
    server = env.start(busy_reply_threshold=50)
    victim, other = server.client(), server.client()
    victim.send("EVAL", "while true do local s=string.rep('x',100000) end", 0)
    eventually(lambda: isinstance(other.call("PING"), Error))
    equal(other.call("SCRIPT", "KILL"), b"OK")
    check(isinstance(victim.read(), Error), "it ended")
    equal(other.call("PING"), b"PONG")
