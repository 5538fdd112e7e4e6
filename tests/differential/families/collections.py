# SPDX-License-Identifier: BSD-3-Clause
"""Hashes, lists, sets and sorted sets."""

from differential.templates import Family

HASH = """
5 HSET k {m v}+
1 HSET k many2:m:v
  HMSET k {m v}+
  HSETNX k m v
3 HGET k m
2 HMGET k m+
2 HDEL k m+
0.3 HDEL k many:m
2 HEXISTS k m
2 HLEN k
  HSTRLEN k m
0.5 HGETALL k
0.5 HKEYS k
0.5 HVALS k
2 HINCRBY k m int
2 HINCRBYFLOAT k m float
0.5 HSCAN k 0 COUNT 100000 [MATCH pattern]
0.5 HRANDFIELD k [randcount [WITHVALUES]]
0.3 HRANDFIELD k 100000 WITHVALUES
0.3 HSET k m
"""

LIST = """
4 RPUSH k v+
3 LPUSH k v+
1 RPUSH k many:v
  LPUSHX k v+
  RPUSHX k v+
3 LPOP k [count]
3 RPOP k [count]
2 LLEN k
3 LINDEX k idx
3 LRANGE k idx idx
2 LSET k idx v
2 LINSERT k {BEFORE|AFTER|before|FOO} v v
2 LREM k {idx|0|1|-1} v
1 LTRIM k idx idx
2 LMOVE k k {LEFT|RIGHT} {LEFT|RIGHT|FOO}
  RPOPLPUSH k k
2 LPOS k v ~( [RANK idx] [COUNT count] [MAXLEN count] )~
  LMPOP nkeys {LEFT|RIGHT} [COUNT count]
"""

SET = """
4 SADD k m+
2 SADD k int+
1 SADD k many:m
2 SREM k m+
0.4 SREM k many:m
2 SCARD k
2 SISMEMBER k m
2 SMISMEMBER k m+
0.5 SMEMBERS k
  SMOVE k k m
  SINTER k+
0.5 SUNION k+
  SDIFF k+
  SINTERSTORE k k+
  SUNIONSTORE k k+
  SDIFFSTORE k k+
2 SINTERCARD nkeys [LIMIT count]
0.5 SSCAN k 0 COUNT 100000 [MATCH pattern]
0.5 SRANDMEMBER k [randcount]
0.3 SRANDMEMBER k 100000
0.2 SPOP k 100000
0.2 SPOP k abc
"""

ZSET = """
5 ZADD k ~( [NX|XX] [GT|LT] [CH] )~ {score m}+
1 ZADD k many2:score:m
  ZADD k ~( [NX|XX|GT] INCR )~ score m
2 ZINCRBY k score m
2 ZREM k m+
  ZCARD k
2 ZSCORE k m
  ZMSCORE k m+
2 ZRANK k m
  ZREVRANK k m
2 ZCOUNT k score_bound score_bound
  ZLEXCOUNT k:lex lex_bound lex_bound
3 ZRANGE k idx idx [WITHSCORES]
2 ZRANGE k score_bound score_bound BYSCORE ~( [REV] [LIMIT idx idx] [WITHSCORES] )~
2 ZRANGE k:lex lex_bound lex_bound BYLEX ~( [REV] [LIMIT idx idx] )~
  ZRANGE k idx idx ~( [REV] [BYSCORE] [LIMIT count count] [WITHSCORES] )~
  ZRANGESTORE k k {idx idx|score_bound score_bound BYSCORE} [REV]
0.5 ZRANGESTORE k k:lex lex_bound lex_bound BYLEX
2 ZADD k:lex {0 m}+
0.2 SET 'lex:string' v
0.3 ZREM k:lex m
  ZRANGE k:lex {idx idx|lex_bound lex_bound BYLEX [REV]} [WITHSCORES]
  ZREVRANGE k idx idx [WITHSCORES]
2 ZRANGEBYSCORE k score_bound score_bound ~( [WITHSCORES] [LIMIT idx idx] )~
  ZREVRANGEBYSCORE k score_bound score_bound ~( [WITHSCORES] [LIMIT idx idx] )~
  ZRANGEBYLEX k:lex lex_bound lex_bound [LIMIT idx idx]
  ZREVRANGEBYLEX k:lex lex_bound lex_bound [LIMIT idx idx]
0.6 ZREMRANGEBYRANK k idx idx
0.6 ZREMRANGEBYSCORE k score_bound score_bound
0.6 ZREMRANGEBYLEX k:lex lex_bound lex_bound
  ZPOPMIN k [count]
  ZPOPMAX k [count]
  ZMPOP nkeys {MIN|MAX} [COUNT count]
  ZUNION nkeys ~( [WEIGHTS float+] [AGGREGATE {SUM|MIN|MAX|FOO}] [WITHSCORES] )~
  ZINTER nkeys ~( [WEIGHTS float+] [AGGREGATE {SUM|MIN|MAX}] [WITHSCORES] )~
  ZDIFF nkeys [WITHSCORES]
  ZUNIONSTORE k nkeys ~( [WEIGHTS float+] [AGGREGATE {SUM|MIN|MAX}] )~
  ZINTERSTORE k nkeys ~( [WEIGHTS float+] [AGGREGATE {SUM|MIN|MAX}] )~
  ZDIFFSTORE k nkeys
0.4 ZUNIONSTORE k {2 k:set k|1 k:set}
  ZINTERCARD nkeys [LIMIT count]
0.5 ZSCAN k 0 COUNT 100000 [MATCH pattern]
0.5 ZRANDMEMBER k [randcount [WITHSCORES]]
0.3 ZRANDMEMBER k 100000 WITHSCORES
"""

FAMILIES = [
    Family("hash", "HSET", "hash", HASH, 1.5),
    Family("list", "RPUSH", "list", LIST, 1.5),
    Family("set", "SADD", "set", SET, 1.5),
    Family("zset", "ZADD", "zset", ZSET, 2.0),
]
