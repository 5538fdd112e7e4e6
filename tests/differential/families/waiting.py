# SPDX-License-Identifier: BSD-3-Clause
"""Commands that wait, and those that tell the ones who wait: with one connection nobody is served.

Outside MULTI they time out after a millisecond; inside it they are answered at once.
"""

from differential.templates import Family

BLOCKING = """
2 BLPOP k+ block_s
2 BRPOP k+ block_s
2 BLMOVE k k {LEFT|RIGHT} {LEFT|RIGHT|FOO} block_s
  BRPOPLPUSH k k block_s
2 BLMPOP block_s nkeys {LEFT|RIGHT} [COUNT count]
  BZPOPMIN k:zset+ block_s
  BZPOPMAX k:zset+ block_s
  BZMPOP block_s nkeys:zset {MIN|MAX} [COUNT count]
  XREAD [COUNT count] BLOCK block_ms streams
  XREADGROUP GROUP group consumer [COUNT count] BLOCK block_ms streams_group
6 RPUSH k v+
3 ZADD k:zset score m
3 XADD k:stream sid_rising m v
"""

PUBSUB = """
  PUBLISH word v
  SPUBLISH word v
  PUBSUB CHANNELS [pattern]
  PUBSUB NUMSUB word*
  PUBSUB NUMPAT
  PUBSUB SHARDCHANNELS [pattern]
  PUBSUB SHARDNUMSUB word*
0.3 PUBSUB {NOSUCH|HELP|CHANNELS word word}
"""

FAMILIES = [
    Family("blocking", "BLPOP", "list", BLOCKING, 0.3),
    Family("pubsub", "PUBLISH", "string", PUBSUB, 0.1),
]
