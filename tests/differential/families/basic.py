# SPDX-License-Identifier: BSD-3-Clause
"""Strings, keys and expiry, and what a connection asks about itself.

A number in front of a template is its weight (1 unless given).
"""

from differential.templates import Family

STRINGS = """
4 SET k v
3 SET k v ~( [NX|XX] [GET] [EX ttl|PX ttlms|EXAT set_at|PXAT set_atms|KEEPTTL] )~
  SET k v v?
4 GET k
  GETDEL k
  GETSET k v
2 GETEX k [EX ttl|PX ttlms|EXAT at|PXAT atms|PERSIST]
  GETEX k ~( [EX ttl] [PERSIST] )~
  SETNX k v
  SETEX k ttl v
  PSETEX k ttlms v
2 APPEND k v
  STRLEN k
2 GETRANGE k idx idx
  SUBSTR k idx idx
2 SETRANGE k {count|count|int} v
0.3 SETRANGE k 100000 v
2 INCR k
  DECR k
2 INCRBY k int
2 DECRBY k int
2 INCRBYFLOAT k float
2 MSET {k v}+
  MSETNX {k v}+
2 MGET k+
  MGET any+
  MSET {any v}+
1 SET k int
0.5 SET k word
  LCS k k ~( [LEN] [IDX] [MINMATCHLEN count] [WITHMATCHLEN] )~
"""

KEYS = """
2 DEL any+
  UNLINK any+
2 EXISTS any+
  TOUCH any+
2 TYPE any
2 RENAME any any
2 RENAMENX any any
2 COPY any any ~( [DB {0|1|2|16|-1|abc}] [REPLACE] )~
  MOVE any {0|1|2|16|abc}
2 EXPIRE any ttl [NX|XX|GT|LT]
2 PEXPIRE any ttlms [NX|XX|GT|LT]
2 EXPIREAT any at [NX|XX|GT|LT]
2 PEXPIREAT any atms [NX|XX|GT|LT]
  EXPIRE any ttl {NX|XX|GT|LT}+
  PERSIST any
2 TTL any
  PTTL any
2 EXPIRETIME any
  PEXPIRETIME any
2 OBJECT ENCODING any
  OBJECT REFCOUNT any
0.3 OBJECT FREQ any
0.3 OBJECT IDLETIME any
0.3 OBJECT NOSUCH any
  DBSIZE
0.4 KEYS {pattern|'*'}
0.3 SCAN 0 COUNT 100000 [MATCH pattern] [TYPE {string|list|hash|zset|set|stream|foo}]
0.2 SCAN {abc|1.5|18446744073709551616} COUNT {0|-1|abc|10}
0.3 RANDOMKEY
  SELECT {0|0|0|1|2|16|-1|abc}
0.1 SWAPDB {0|1|2|16|abc} {0|1|2|17}
0.05 FLUSHDB [ASYNC|SYNC|foo]
0.02 FLUSHALL [ASYNC|SYNC]
"""

CONNECTION = """
  PING v?
  ECHO v
  DEBUG DIGEST-VALUE any+
0.1 OBJECT HELP v?
0.1 CLIENT HELP v?
0.1 CONFIG HELP v?
0.1 COMMAND HELP v?
0.1 DEBUG HELP v?
0.1 MEMORY HELP v?
0.1 MODULE HELP v?
0.1 SLOWLOG HELP v?
0.1 XINFO HELP v?
0.1 XGROUP HELP v?
0.3 COMMAND COUNT x
  COMMAND GETKEYS {GET k|MSET k v k v|SET k v|SORT k STORE k|NOSUCH k|PING|GET}
0.5 COMMAND GETKEYSANDFLAGS {GET k|MSET k v k v|COPY k k|DEL k k}
0.5 CLIENT {GETNAME|SETNAME word|SETNAME v|NO-EVICT on|NO-EVICT foo|REPLY foo|NOSUCH}
0.3 CLUSTER {INFO|SLOTS|KEYSLOT k|NOSUCH}
0.2 READONLY
0.2 READWRITE
0.2 ASKING
0.3 MEMORY {NOSUCH|USAGE|USAGE k SAMPLES abc|USAGE nokey}
0.2 MODULE LIST
0.3 NOSUCHCOMMAND v*
0.3 GETT k
0.3 DEBUG {NOSUCH|OBJECT nokey}
0.2 DEBUG PROTOCOL {string|integer|null|attrib|array|set|map|verbatim|true|false|bignum|double|foo}
0.2 CONFIG {GET nosuchoption|SET nosuchoption 1|SET timeout abc|NOSUCH|GET|SET timeout}
0.2 AUTH word word?
0.2 HELLO {1|4|abc|2 SETNAME|2 AUTH word|2 FOO}
0.2 UNWATCH
0.2 DISCARD
0.2 EXEC
"""

FAMILIES = [
    Family("strings", "GET", "string", STRINGS, 3.0),
    Family("keys", "DEL", "string", KEYS, 2.0),
    Family("connection", "PING", "string", CONNECTION, 0.4),
]
