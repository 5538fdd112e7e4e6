# SPDX-License-Identifier: BSD-3-Clause
"""FCALL, FCALL_RO and FUNCTION."""

from harness.checks import as_dict, check, equal
from harness.matrix import ONCE, PROTOCOLS, THREADS, cairn_only, matrix
from harness.resp import Error

ECHO = "#!lua name=mylib\nredis.register_function('f1', function(keys, args) return args[1] end)"


def lib(body, name="lib2"):
    return "#!lua name=%s\n%s" % (name, body)


def register(rest, name="lib2"):
    return lib("redis.register_function" + rest, name)


REQUESTS = [
    ("FUNCTION",), ("FUNCTION", "nosuch"), ("FUNCTION", "LOAD"), ("FUNCTION", "LOAD", "x"),
    ("FCALL", "x", 0), ("FCALL", "x"), ("FCALL", "x", -1), ("FCALL", "x", "a"),
    ("FUNCTION", "LIST"), ("FUNCTION", "STATS"), ("FUNCTION", "DUMP"), ("FUNCTION", "KILL"),
    ("FUNCTION", "RESTORE", "x"), ("FUNCTION", "RESTORE", "x", "y"),
    ("FUNCTION", "RESTORE", "x", "flush", "z"), ("FUNCTION", "DELETE", "x"),
    ("FUNCTION", "LOAD", ECHO), ("FUNCTION", "LOAD", ECHO), ("FUNCTION", "LOAD", "REPLACE", ECHO),
    ("FUNCTION", "LOAD", "foo", ECHO), ("FUNCTION", "STATS"),
    ("FCALL", "f1", 0, "a"), ("FCALL", "F1", 0, "a"), ("FCALL", "f1", "x"), ("FCALL", "f1", -1),
    ("FCALL", "f1", 3, "a"), ("FCALL", "f1", 1, "k", "v"), ("FCALL_RO", "f1", 0, "a"),
    ("FUNCTION", "LIST"), ("FUNCTION", "LIST", "WITHCODE"),
    ("FUNCTION", "LIST", "LIBRARYNAME", "my*"), ("FUNCTION", "LIST", "libraryname", "x*"),
    ("FUNCTION", "LIST", "foo"), ("FUNCTION", "LIST", "LIBRARYNAME"),
    ("FUNCTION", "LIST", "WITHCODE", "WITHCODE"), ("FUNCTION", "DUMP"),
    ("FUNCTION", "LOAD", lib("return 1")), ("FUNCTION", "LOAD", lib("redis.call('ping')")),
    ("FUNCTION", "LOAD", lib("foo()")), ("FUNCTION", "LOAD", lib("x x")),
    ("FUNCTION", "LOAD", lib("x = 1")),
    ("FUNCTION", "LOAD", "#!lua\nreturn 1"), ("FUNCTION", "LOAD", "#!lua name=a-b\nreturn 1"),
    ("FUNCTION", "LOAD", "#!lua name=a name=b\nreturn 1"), ("FUNCTION", "LOAD", "#!lua name=x"),
    ("FUNCTION", "LOAD", "#!lua name=a flags=x\nreturn 1"),
    ("FUNCTION", "LOAD", "#!js name=a\nreturn 1"),
    ("FUNCTION", "LOAD", register("('f1', function() end)")),
    ("FUNCTION", "LOAD", register("('f-1', function() end)")),
    ("FUNCTION", "LOAD", register("('f2')")), ("FUNCTION", "LOAD", register("('f2', 1)")),
    ("FUNCTION", "LOAD", register("({}, function() end)")),
    ("FUNCTION", "LOAD", register("()")), ("FUNCTION", "LOAD", register("(1,2,3)")),
    ("FUNCTION", "LOAD", register("{}")), ("FUNCTION", "LOAD", register("(5)")),
    ("FUNCTION", "LOAD", register("{function_name='f2', callback=1}")),
    ("FUNCTION", "LOAD", register("{function_name={}, callback=function() end}")),
    ("FUNCTION", "LOAD", register("{function_name='f2', callback=function() end, foo=1}")),
    ("FUNCTION", "LOAD", register("{function_name='f2', callback=function() end, 1}")),
    ("FUNCTION", "LOAD", register("{function_name='f2', callback=function() end, flags={'x'}}")),
    ("FUNCTION", "LOAD", register("{function_name='f2', callback=function() end, flags='x'}")),
    ("FUNCTION", "LOAD", register("{function_name='f2', callback=function() end, flags={1}}")),
    ("FUNCTION", "LOAD", register("{callback=function() end}")),
    ("FUNCTION", "LOAD", register("{function_name='f2'}")),
    ("FUNCTION", "LOAD", register("{function_name='f2',description={},callback=function() end}")),
    ("FUNCTION", "LOAD", lib("redis.register_function('f2', function() end) "
                             "redis.register_function('f2', function() end)")),
    ("FUNCTION", "LIST"),
    ("FUNCTION", "LOAD", register("{function_name='f2', description='says', flags={'no-writes'}, "
                                  "callback=function() return redis.call('set','a','b') end}")),
    ("FCALL", "f2", 0), ("FCALL_RO", "f2", 0), ("FUNCTION", "LIST", "LIBRARYNAME", "lib2"),
    ("FUNCTION", "LOAD", register("('f3', function() return KEYS end)", "lib3")),
    ("EVAL", "return #KEYS", 1, "k"), ("FCALL", "f3", 0),
    ("FUNCTION", "LOAD", register("('f4', function(keys,args) error('boom') end)", "lib4")),
    ("FCALL", "f4", 0),
    ("FUNCTION", "LOAD", register("('f5', function(keys,args) "
                                  "redis.register_function('x',function() end) end)", "lib5")),
    ("FCALL", "f5", 0),
    ("FUNCTION", "LOAD", register("('f6', function(keys,args) return "
                                  "{redis.call('incr',keys[1]),args,redis.sha1hex('')} end)",
                                  "lib6")),
    ("FCALL", "f6", 1, "n", "a", "b"),
    ("FUNCTION", "LOAD", lib("local n = 0 redis.register_function('f7', function() "
                             "n = n + 1 return n end)", "lib7")),
    ("FCALL", "f7", 0),
    ("FUNCTION", "LOAD", register("('f8', function() x = 1 end)", "lib8")), ("FCALL", "f8", 0),
    ("FUNCTION", "LOAD", register("('f9', function() return redis.pcall('nosuch') end)", "lib9")),
    ("FCALL", "f9", 0),
    ("FUNCTION", "DELETE", "lib6"), ("FCALL", "f6", 1, "n"), ("FUNCTION", "FLUSH", "foo"),
    ("FUNCTION", "FLUSH", "sync", "x"), ("FUNCTION", "FLUSH", "ASYNC"), ("FUNCTION", "LIST"),
]


# What a library's code may use while it is loaded, its functions afterwards.
LOAD_ENVIRONMENT = [
    "local t = tonumber('1')", "local t = string.upper('a')", "local c = cjson",
    "redis.call('PING')", "redis.foo()", "x = 1", "redis.x = 1", "local g = _G",
    "redis.log(redis.LOG_DEBUG, 'hi')", "redis.setresp(3)", "local t = redis.REDIS_VERSION",
    "local t = redis.REDIS_VERSION_NUM", "local t = redis.LOG_NOTICE", "local t = redis.REPL_ALL",
    "error('boo')", "redis.sha1hex('a')", "redis.error_reply('x')", "local k = KEYS",
    "table.insert(redis, 1)", "setmetatable(redis, {})", "for k, v in pairs(redis) do end",
    "local ok = pcall(redis.log, 1, 'x')", "local s = ('a'):upper()",
    "redis.register_function('a b', function() end)",
]


@matrix(ONCE)
def test_what_is_there_while_a_library_is_loaded(env):
    oracle = env.oracle_client()
    for client in (env.c, oracle):
        client.call("FUNCTION", "FLUSH")
    for code in LOAD_ENVIRONMENT:
        request = ("FUNCTION", "LOAD", "REPLACE", lib(
            code + "\nredis.register_function('f', function() return string.upper('a') .. "
            "cjson.encode({1}) .. tostring(redis.register_function ~= nil) end)"))
        equal(env.c.call(*request), oracle.call(*request), code)
        equal(env.c.call("FCALL", "f", 0), oracle.call("FCALL", "f", 0), code)


@matrix(PROTOCOLS)
def test_requests_are_answered_as_by_the_oracle(env):
    oracle = env.oracle_client(env.protocol)
    for client in (env.c, oracle):
        client.call("FUNCTION", "FLUSH")
    for request in REQUESTS:
        got, wanted = env.c.call(*request), oracle.call(*request)
        if request[:2] == ("FUNCTION", "LIST") and isinstance(wanted, list):
            def by_name(libraries):
                return sorted((as_dict(one) for one in libraries), key=lambda d: d[b"library_name"])
            got, wanted = by_name(got), by_name(wanted)
        equal(got, wanted, repr(request))


@matrix(ONCE)
def test_dumps_cross_over_and_back(env):
    oracle = env.oracle_client()
    big = register("('g', function() return '%s' end)" % ("long " * 500), "biglib")
    for client in (env.c, oracle):
        client.call("FUNCTION", "FLUSH")
        equal(client.call("FUNCTION", "LOAD", big), b"biglib")
        equal(client.call("FUNCTION", "LOAD", ECHO), b"mylib")
    mine, theirs = env.c.call("FUNCTION", "DUMP"), oracle.call("FUNCTION", "DUMP")
    taken = Error(b"ERR Library 'biglib' already exists")
    for client, dump in ((env.c, theirs), (oracle, mine), (env.c, mine)):
        refused = client.call("FUNCTION", "RESTORE", dump)
        check(isinstance(refused, Error) and b"already exists" in refused.text, repr(refused))
        equal(client.call("FUNCTION", "RESTORE", dump, "REPLACE"), b"OK")
        equal(client.call("FUNCTION", "RESTORE", dump, "FLUSH"), b"OK")
        equal(client.call("FCALL", "f1", 0, "x"), b"x")
        equal(len(client.call("FUNCTION", "LIST")), 2)
    equal(env.c.call("FUNCTION", "RESTORE", mine), taken)
    broken = bytearray(mine)
    broken[5] ^= 1
    equal(env.c.call("FUNCTION", "RESTORE", bytes(broken)),
          Error(b"ERR DUMP payload version or checksum are wrong"))


@matrix(THREADS)
def test_a_library_is_seen_by_all_clients_at_once(env):
    clients = [env.client() for _ in range(8)]
    clients[0].call("FUNCTION", "FLUSH")
    for version in range(5):
        code = register("('v', function() return %d end)" % version, "versions")
        equal(clients[version].call("FUNCTION", "LOAD", "REPLACE", code), b"versions")
        for client in clients:
            equal(client.call("FCALL", "v", 0), version)
    clients[1].call("FUNCTION", "DELETE", "versions")
    for client in clients:
        equal(client.call("FCALL", "v", 0), Error(b"ERR Function not found"))


@cairn_only("the oracle's load time-out is its own")
@matrix(ONCE)
def test_a_library_that_never_ends_is_not_loaded(env):
    reply = env.c.call("FUNCTION", "LOAD", lib("while true do end"))
    equal(reply, Error(b"ERR Error registering functions: ERR FUNCTION LOAD timeout"))


@cairn_only("reads Cairn's journal by way of a restart")
@matrix(THREADS)
def test_libraries_survive_a_restart(env):
    server = env.start(appendonly="yes")
    client = env.client(server=server)
    equal(client.call("FUNCTION", "LOAD", ECHO), b"mylib")
    equal(client.call("FUNCTION", "LOAD", register("('gone', function() end)", "gone")), b"gone")
    equal(client.call("FUNCTION", "DELETE", "gone"), b"OK")
    dump = client.call("FUNCTION", "DUMP")
    equal(client.call("FUNCTION", "FLUSH"), b"OK")
    equal(client.call("FUNCTION", "RESTORE", dump), b"OK")
    server.restart()
    client = env.client(server=server)
    equal(client.call("FCALL", "f1", 0, "again"), b"again")
    equal(client.call("FCALL", "gone", 0), Error(b"ERR Function not found"))
