# SPDX-License-Identifier: BSD-3-Clause
"""Random programs in Lua, as scripts.py runs them on both servers.

An expression is drawn by the kind of value that is wanted; now and then, on purpose, of another
kind, so that errors are compared as well. A program always ends, soon, with little memory: loops
are counted, texts are short. What depends on a clock, on chance or on an address is not drawn.
"""

NUMBERS = ("0", "1", "2", "3", "-1", "7", "10", "255", "256", "65535", "65536", "2147483647",
           "2147483648", "-2147483648", "-2147483649", "4294967295", "4294967296", "2^53", "2^53+1",
           "2^63", "-2^63", "2^64", "1e15", "1e16", "1e17", "1e100", "-1e100", "1e308*10",
           "-1e308*10", "0.1", "0.5", "1.5", "-1.5", "3.99", "-3.99", "1/3", "123456.789", "1e-5",
           "1e-320", "0x10", "100", "127", "128", "-128", "-129", "32767", "-32769")
STRINGS = ("''", "'a'", "'abc'", "'ABC def'", "'10'", "'0x1f'", "' 7 '", "'1e3'", "'a,b,,c'",
           "'key=val'", "'\\0'", "'a\\0b'", "'\\r\\n'", "'\\255\\254'", "'\\195\\169'", "'\"q\\\\'",
           "'%d'", "'%'", "'-ERR x'", "'x y z'", "'nil'", "'inf'", "'nan'", "'\\127\\1/'",
           "string.rep('x',%d)", "string.rep('ab',%d)", "('0'):rep(%d)")
PATTERNS = ("'a'", "'.'", "'%a+'", "'%d*'", "'(%w+)=(%w+)'", "'^a'", "'b$'", "'[a-c]'", "'[^,]*'",
            "'%s'", "'()'", "'%b()'", "'%f[%w]'", "'(a'", "'a)'", "'['", "'%'", "'x-'", "'%z'",
            "'(.)%1'", "'%2'", "'[%a_][%w_]*'", "'%.'", "'-'", "'*'", "'[]]'", "'[^]]'", "''")
FORMATS = ("%d", "%i", "%5.2f", "%s", "%q", "%x", "%X", "%o", "%e", "%g", "%G", "%c", "%u", "%10s",
           "%-5d|", "%05d", "%+d", "% d", "%#x", "%.3s", "%.0f", "%%", "%.14g", "%.17g", "%5", "%y",
           "%100d", "%.100f", "%")
STRUCTS = ("b", "B", "h", "H", "l", "L", "T", "f", "d", "s", "i", "I", "i1", "i2", "i3", "I4", "i8",
           "I8", "i16", "c1", "c3", "c0", "x", ">", "<", "!", "!2", "!4", "=", " ", "z", "i33")
JSON = ("'[]'", "'{}'", "'[1,2.5,-3e2]'", "'{\"a\":{\"b\":[null,true]}}'", "'\"\\\\u00e9\"'", "'nul'",
        "'[1,]'", "'{\"a\"}'", "' [ 1 ] '", "'\"\\\\ud83d\\\\ude00\"'", "'\"\\\\ud83d\"'", "'1e400'",
        "'-'", "'[1][2]'", "'Infinity'", "'0x1A'", "'\"a\\tb\"'", "'\"\\\\/\\\\b\"'", "'01'", "'nan'",
        "'{\"1\":1,\"2\":2}'", "'{\"a\":1,\"a\":2}'", "'[[[[]]]]'", "'true'", "'\\0'", "'\"x'")
# {k} a key, {v} a text (an argument that is a number goes through text(): 7.0 spells fractions
# otherwise), {i} a whole number. A hash has one field only where its order would show.
COMMANDS = (
    "'GET',{k}", "'SET',{k},{v}", "'SET',{k},{v},'NX','GET'", "'INCR',{k}", "'INCRBYFLOAT',{k},{v}",
    "'INCRBY',{k},{i}", "'APPEND',{k},{v}", "'DEL',{k}", "'EXISTS',{k},{k}", "'TYPE',{k}",
    "'LPUSH',{k},{v},{v}", "'LRANGE',{k},0,-1", "'RPOP',{k},2", "'LLEN',{k}", "'HSET',{k},{v},{v}",
    "'HLEN',{k}", "'HGET',{k},{v}", "'HMGET',{k},{v},{v}", "'HSET','hash','f',{v}",
    "'HGETALL','hash'", "'SADD',{k},{v}", "'SISMEMBER',{k},{v}", "'SMISMEMBER',{k},{v},'a'",
    "'ZADD',{k},{i},{v}", "'ZADD',{k},1,'m',2,'n'", "'ZSCORE',{k},'m'", "'ZRANGE',{k},0,-1",
    "'ZRANGE',{k},0,-1,'WITHSCORES'", "'ZADD',{k},'INCR',{i},'m'", "'MGET',{k},{k}",
    "'MSET',{k},{v},{k},{v}", "'STRLEN',{k}", "'GETRANGE',{k},0,{i}", "'PING'", "'ECHO',{v}",
    "'EXPIRE',{k},100000", "'PERSIST',{k}", "'SETNX',{k},{v}", "'RENAME',{k},{k}", "'SELECT',{v}",
    "'SELECT',1", "'XADD',{k},'*'", "'XLEN',{k}", "'LPOS',{k},{v}", "'NOSUCH',{v}", "'GET'",
    "'LINSERT',{k},'BEFORE',{v},{v}", "'MULTI'", "'SETRANGE',{k},{i},{v}", "'BITCOUNT',{k}",
    "'GETBIT',{k},{i}", "{v}", "{v},{v}", "'SORT',{k},'ALPHA'", "'LSET',{k},{i},{v}", "{k},{v}",
    "'COPY',{k},{k},'DB',1,'REPLACE'", "'MOVE',{k},1", "'LMOVE',{k},{k},'LEFT','RIGHT'")
# What programs begin with. An address would differ.
PRELUDE = ("local plain=tostring local function tostring(v) local k=type(v) if k=='table' or "
           "k=='function' or k=='userdata' or k=='thread' then return k end return plain(v) end "
           "local function text(v) if type(v)=='number' then return string.format('%.14g',v) end "
           "return v end "
           # 7.0 ends at an error that is a table without a text.
           "local function raise(v) if type(v)=='table' then v={err=tostring(v.err)} end error(v) end ")
NAMES = ("a", "b", "c", "t")


class Programs:
    """Draws programs; the same generator of numbers gives the same ones."""

    def __init__(self, rng):
        self.rng = rng
        self.loops = 0

    def pick(self, values):
        return self.rng.choice(values)

    def program(self):
        self.loops = 0
        lines = [self.declaration(name) for name in NAMES]
        if self.rng.random() < 0.25:
            lines.insert(0, "redis.setresp(%s)" % self.pick(("3", "3", "3", "2", self.value(0))))
        lines += [self.statement(2) for _ in range(self.rng.randrange(4))]
        lines.append("return " + self.value(3))
        text = " ".join(lines)
        return PRELUDE + (self.damaged(text) if self.rng.random() < 0.03 else text)

    def declaration(self, name):
        """Most values are caught, or few programs would come to their end."""
        if self.rng.random() < 0.1:
            return "local %s=%s" % (name, self.value(2))
        return "local _,%s=pcall(function() return %s end)" % (name, self.value(2))

    def damaged(self, text):
        at = self.rng.randrange(len(text))
        if self.rng.random() < 0.5:
            return text[:at] + text[at + self.rng.randrange(1, 4):]
        return text[:at] + self.pick(("(", ")", "end", "'", '"', "[[", "]]", "=", " x ", "--", "%",
                                      "..", "\\", "0x", "1e", "do ", "~")) + text[at:]

    # Statements

    def statement(self, depth):
        kind = self.rng.randrange(9) if depth > 0 else 0
        if kind < 3:
            return "%s=%s" % (self.pick(NAMES), self.value(depth))
        if kind == 3:
            return "if %s then %s else %s end" % (self.value(depth), self.statement(depth - 1),
                                                  self.statement(depth - 1))
        if kind == 4:
            self.loops += 1
            if self.loops > 2:
                return "a=%s" % self.value(0)
            return "for i=1,%d do %s end" % (self.rng.randrange(6), self.statement(depth - 1))
        if kind == 5:
            return "if type(t)=='table' then t[%s]=%s end" % (self.value(0), self.value(depth - 1))
        if kind == 6:
            return "if type(t)=='table' then for i,x in ipairs(t) do a=x if i>5 then break end end end"
        if kind == 7:
            return "redis.pcall(%s)" % self.command()
        return "pcall(function() %s end)" % self.statement(depth - 1)

    # Expressions

    def value(self, depth):
        return self.pick((self.number, self.text, self.table, self.anything, self.text, self.table,
                          self.number))(depth)

    def wanted(self, draw, depth):
        """Of the kind that `draw` draws, but for a few."""
        return draw(depth - 1) if self.rng.random() < 0.94 else self.value(min(depth - 1, 1))

    def number(self, depth):
        if depth <= 0:
            return self.pick(NUMBERS) if self.rng.random() < 0.7 else str(self.rng.randrange(100))
        n = lambda: self.wanted(self.number, depth)
        s = lambda: self.wanted(self.text, depth)
        return self.pick((
            lambda: "(%s%s%s)" % (n(), self.pick("+-*/%^"), n()),
            lambda: "math.%s(%s)" % (self.pick(("floor", "ceil", "abs", "sqrt", "exp", "log")), n()),
            lambda: "math.%s(%s,%s)" % (self.pick(("max", "min", "fmod", "pow")), n(), n()),
            lambda: "#%s" % s(),
            lambda: "#%s" % self.wanted(self.table, depth),
            lambda: "tonumber(%s)" % s(),
            lambda: "tonumber(%s,%s)" % (s(), self.pick(("2", "8", "16", "36", "10", "1", "37"))),
            lambda: "bit.%s(%s,%s)" % (self.pick(("band", "bor", "bxor", "lshift", "rshift",
                                                  "arshift", "rol", "ror")), n(), n()),
            lambda: "bit.%s(%s)" % (self.pick(("tobit", "bnot", "bswap")), n()),
            lambda: "string.byte(%s,%s)" % (s(), n()),
            lambda: "struct.size('%s')" % self.struct_format(),
            lambda: "select('#',%s,%s)" % (n(), s()),
            lambda: "table.maxn(%s)" % self.wanted(self.table, depth),
            lambda: "(-%s)" % n(),
        ))()

    def text(self, depth):
        if depth <= 0:
            text = self.pick(STRINGS)
            return text % self.pick((0, 1, 5, 31, 32, 44, 45, 255, 256)) if "%d)" in text else text
        n = lambda: self.wanted(self.number, depth)
        s = lambda: self.wanted(self.text, depth)
        t = lambda: self.wanted(self.table, depth)
        v = lambda: self.value(depth - 1)
        return self.pick((
            lambda: "(%s..%s)" % (s(), s()),
            lambda: "tostring(%s)" % n(),
            lambda: "string.%s(%s)" % (self.pick(("upper", "lower", "reverse")), s()),
            lambda: "string.sub(%s,%s,%s)" % (s(), n(), n()),
            lambda: "string.format('%s%s',%s,%s)" % (self.pick(FORMATS), self.pick(FORMATS),
                                                     v(), v()),
            lambda: "string.gsub(%s,%s,%s)" % (s(), self.pattern(), self.pick(
                (s(), "'%1'", "'<%0>'", "'%9'", "{a='1',b=false}", "function(x) return x..x end"))),
            lambda: "string.match(%s,%s)" % (s(), self.pattern()),
            lambda: "string.char(%s,%s)" % (self.rng.randrange(256), n()),
            lambda: "table.concat(%s,%s)" % (t(), s()),
            lambda: "cjson.encode(%s)" % v(),
            lambda: "cjson.encode(%s)" % t(),
            lambda: "cmsgpack.pack(%s,%s)" % (v(), v()),
            lambda: "struct.pack('%s',%s,%s)" % (self.struct_format(), v(), v()),
            lambda: "bit.tohex(%s,%s)" % (n(), n()),
            lambda: "redis.sha1hex(%s)" % s(),
            lambda: "type(%s)" % v(),
            lambda: "tostring(%s)" % self.pick(("nil", "true", "cjson.null==nil", "a==b", "not a")),
        ))()

    def table(self, depth):
        if depth <= 0:
            return self.pick(("{}", "{1,2,3}", "{'a','b'}", "{1,nil,3}", "{a=1}", "{[1]=1,[3]=3}",
                              "{ok='fine'}", "{err='MY err'}", "{double=1.5}", "{map={a=1}}",
                              "{set={x=true}}", "{big_number='12'}", "{[0]=1}", "{[1.5]=2}",
                              "{verbatim_string={string='a',format='txt'}}", "{cjson.null}",
                              "{err=1}", "{ok={}}", "{double='1'}", "{map=1}", "{1,{2,{3}}}"))
        n = lambda: self.wanted(self.number, depth)
        s = lambda: self.wanted(self.text, depth)
        t = lambda: self.wanted(self.table, depth)
        v = lambda: self.value(depth - 1)
        return self.pick((
            lambda: "{%s}" % ",".join(v() for _ in range(self.rng.randrange(5))),
            lambda: "{[%s]=%s,%s}" % (self.pick((n(), s())), v(), v()),
            lambda: "{%s=%s}" % (self.pick(("ok", "err", "map", "set", "x")), v()),
            lambda: "{big_number=%s}" % self.pick(("'-5'", "12", "'\\r\\n7'", t())),
            lambda: "{double=%s}" % self.pick(("1.5", "-3", "1/0", "0.25", "1e15", "'1.5'", "{}")),
            lambda: "{map={%s=%s}}" % (self.pick(("a", "b", "[1]", "[true]")), v()),
            lambda: "{verbatim_string={string=%s,format=%s}}" % (v(), v()),
            lambda: "cjson.decode(%s)" % self.pick(JSON),
            lambda: "cjson.decode(cjson.encode(%s))" % t(),
            lambda: "{cmsgpack.unpack(cmsgpack.pack(%s,%s))}" % (v(), v()),
            lambda: "{cmsgpack.unpack(%s)}" % s(),
            lambda: "{cmsgpack.unpack_one(cmsgpack.pack(%s,%s),%s)}" % (v(), v(), n()),
            lambda: "{cmsgpack.unpack_limit(cmsgpack.pack(%s,%s),%s,%s)}" % (v(), v(), n(), n()),
            lambda: "{struct.unpack('%s',%s,%s)}" % (self.struct_format(), s(), n()),
            lambda: "(function(f,...) return {pcall(struct.unpack,f,struct.pack(f,...))} end)"
                    "('%s',%s,%s)" % (self.struct_format(), n(), n()),
            lambda: "{string.find(%s,%s,%s)}" % (s(), self.pattern(), n()),
            lambda: "{string.byte(%s,1,-1)}" % s(),
            lambda: "{pcall(redis.call,%s)}" % self.command(),
            lambda: "{unpack(%s,%s,%s)}" % (t(), n(), self.pick(("3", "5", "0", "-1"))),
            lambda: "(function(x) table.sort(x) return x end)(%s)" % t(),
            # One value: two could be a position two billions below the table, where 7.0 moves on.
            lambda: "(function(x) table.insert(x,(%s)) return x end)(%s)" % (v(), t()),
            lambda: "(function(x) table.insert(x,%s,%s) return x end)(%s)" % (
                self.pick(("1", "2", "9")), v(), t()),
            lambda: "(function(x) return {table.remove(x,%s),x} end)(%s)" % (n(), t()),
            lambda: "(function() local r={} for w in string.gmatch(%s,%s) do r[#r+1]=w end "
                    "return r end)()" % (s(), self.pattern()),
            lambda: "{math.modf(%s)}" % n(),
            lambda: "{math.frexp(%s)}" % n(),
            lambda: "{pcall(function() return %s end)}" % v(),
        ))()

    def anything(self, depth):
        v = lambda: self.value(depth - 1)
        if depth <= 0:
            return self.pick(("nil", "true", "false", "cjson.null", "KEYS[1]", "ARGV[1]", "ARGV[2]",
                              "#KEYS", "#ARGV", "KEYS", "ARGV", *NAMES, "foo", "redis.REPL_ALL"))
        return self.pick((
            lambda: "redis.call(%s)" % self.command(),
            lambda: "redis.pcall(%s)" % self.command(),
            lambda: "redis.pcall(%s).err" % self.command(),
            lambda: "redis.status_reply(%s)" % v(),
            lambda: "redis.error_reply(%s)" % v(),
            lambda: "raise(%s)" % v(),
            lambda: "assert(%s,%s)" % (v(), v()),
            lambda: "(%s %s %s)" % (v(), self.pick(("and", "or", "==", "~=")), v()),
            lambda: "(%s%s%s)" % (self.number(depth - 1), self.pick(("<", ">", "<=", ">=")),
                                  self.wanted(self.number, depth)),
            lambda: "(not %s)" % v(),
            lambda: "select(%s,%s,%s)" % (self.number(depth - 1), v(), v()),
            lambda: "rawequal(%s,%s)" % (v(), v()),
            lambda: "rawget(%s,%s)" % (self.wanted(self.table, depth), v()),
            lambda: "next(%s)" % self.wanted(self.table, depth),
            lambda: "select(2,pcall(error,%s))" % v(),
            lambda: "select(2,pcall(function() error(%s,%d) end))" % (v(), self.rng.randrange(3)),
            lambda: "select(2,xpcall(function() return %s end,function(e) return e end))" % v(),
            lambda: "setmetatable({},{__index=function(t,k) return %s end}).x" % v(),
            lambda: "loadstring('return %s')()" % self.pick(("1", "a", "{1,2}", "x.y", "1 1", "(")),
            lambda: "coroutine.wrap(function() coroutine.yield(%s) end)()" % v(),
            lambda: "select(2,coroutine.resume(coroutine.create(function() return %s end)))" % v(),
        ))()

    def pattern(self):
        return self.pick(PATTERNS)

    def struct_format(self):
        return "".join(self.pick(STRUCTS) for _ in range(self.rng.randrange(1, 4)))

    def command(self):
        """The arguments of redis.call."""
        text = self.pick(COMMANDS)
        keys = ("KEYS[1]", "KEYS[2]", "'k'", "'other'", "KEYS[1]")
        while "{k}" in text:
            text = text.replace("{k}", self.pick(keys), 1)
        while "{i}" in text:
            text = text.replace("{i}", self.pick(("0", "1", "-1", "2", "7", "100", "1e3")), 1)
        while "{v}" in text:
            text = text.replace("{v}", "text(%s)" % self.value(self.pick((0, 0, 0, 1))), 1)
        return text
