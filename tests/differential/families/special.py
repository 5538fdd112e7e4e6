# SPDX-License-Identifier: BSD-3-Clause
"""Streams, bitmaps, HyperLogLogs, geo, SORT, DUMP and RESTORE."""

from differential.templates import Family

STREAM = """
6 XADD k ~( [NOMKSTREAM] [MAXLEN count|MAXLEN = count|MINID sid|MAXLEN '~' count] )~ sid_rising {m v}+
1 XADD k sid {m v}+
  XLEN k
2 XRANGE k sbound sbound [COUNT count]
2 XREVRANGE k sbound sbound [COUNT count]
2 XDEL k sid+
  XTRIM k {MAXLEN|MINID} {count|sid}
0.5 XTRIM k {MAXLEN|MINID} '~' {count|sid} [LIMIT count]
  XREAD [COUNT count] streams
  XSETID k sid_rising [ENTRIESADDED entries MAXDELETEDID sid]
4 XGROUP CREATE k group {0|0|sid|$} ~( [MKSTREAM] [ENTRIESREAD entries] )~
0.3 XGROUP DESTROY k group
  XGROUP CREATECONSUMER k group consumer
0.5 XGROUP DELCONSUMER k group consumer
0.5 XGROUP SETID k group {sid|0|$} [ENTRIESREAD entries]
6 XREADGROUP GROUP group consumer [COUNT count] streams_group
  XREADGROUP GROUP group consumer ~( [COUNT count] [NOACK] )~ streams_group
2 XACK k group sid+
  XPENDING k group
  XPENDING k group sbound sbound count consumer?
2 XCLAIM k group consumer 0 sid+ ~( [FORCE] [JUSTID] [RETRYCOUNT count] )~
2 XAUTOCLAIM k group consumer 0 {sid|0-0} ~( [COUNT count] [JUSTID] )~
  XINFO STREAM k [FULL [COUNT count]]
  XINFO GROUPS k
0.5 XINFO CONSUMERS k group
0.2 XINFO NOSUCH k
"""

BITMAP = """
4 SETBIT k offset bit
3 GETBIT k offset
  SET k v
2 BITCOUNT k [idx idx [BYTE|BIT|FOO]]
2 BITPOS k bit [idx [idx [BYTE|BIT]]]
  BITOP {AND|OR|XOR|FOO} k k+
  BITOP NOT k k k?
2 BITFIELD k {GET bittype bitoff|SET bittype bitoff int|INCRBY bittype bitoff int}+
2 BITFIELD k [OVERFLOW {WRAP|SAT|FAIL|FOO}] {SET bittype bitoff int|INCRBY bittype bitoff int}+
  BITFIELD_RO k {GET bittype bitoff}+
0.2 BITFIELD_RO k SET u8 0 1
  APPEND k v
  SETRANGE k count v
  STRLEN k
"""

HLL = """
4 PFADD k m*
1 PFADD k many:m
3 PFCOUNT k+
2 PFMERGE k k*
  GET k
  PFDEBUG ENCODING k
0.3 PFDEBUG {TODENSE|DECODE|GETREG|FOO} k
0.2 SET k v
"""

GEO = """
4 GEOADD k ~( [NX|XX] [CH] )~ {lon lat m}+
2 GEODIST k m m [unit]
2 GEOPOS k m*
2 GEOHASH k m*
2 GEOSEARCH k {FROMMEMBER m|FROMLONLAT lon lat} {BYRADIUS radius unit|BYBOX radius radius unit} ~( [ASC|DESC] [WITHCOORD] [WITHDIST] [WITHHASH] )~
  GEOSEARCH k {FROMMEMBER m|FROMLONLAT lon lat} BYRADIUS radius unit ASC COUNT count [ANY]
  GEOSEARCHSTORE k k FROMLONLAT lon lat BYBOX radius radius unit [STOREDIST]
  GEORADIUS k lon lat radius unit ~( {ASC|DESC} [WITHCOORD] [WITHDIST] [COUNT count] )~
  GEORADIUS_RO k lon lat radius unit {ASC|DESC}
  GEORADIUSBYMEMBER k m radius unit ~( {ASC|DESC} [WITHDIST] )~
0.5 GEORADIUSBYMEMBER_RO k m radius unit ASC
0.5 GEORADIUS k lon lat radius unit {STORE|STOREDIST} k
  ZREM k m
"""

SORT = """
  RPUSH k:list many:int
  SADD k:set int+
2 SORT {k:list|k:set|k:zset} ~( {ALPHA|ASC|DESC ALPHA} [LIMIT idx idx] )~
2 SORT k:list ~( [ALPHA] [DESC] [LIMIT idx idx] )~
  SORT k:list ~( BY {'string:*'|'hash:*->m1'|nosort|'string:*->x'} ALPHA [GET '#'] )~
  SORT k:list ALPHA GET {'string:*'|'hash:*->m1'|'#'|'*'} [GET '#']
  SORT k:list ALPHA STORE k:list
  SORT_RO k:list ALPHA [LIMIT idx idx]
0.3 SORT_RO k:list STORE k:list
  SET k:string int
  HSET k:hash m int
"""

DUMP = """
3 DUMP any
  RESTORE any {0|ttlms} digest_payload [REPLACE]
0.5 DEBUG DIGEST-VALUE any+
"""

FAMILIES = [
    Family("stream", "XADD", "stream", STREAM, 1.5),
    Family("bitmap", "SETBIT", "bitmap", BITMAP, 1.0),
    Family("hll", "PFADD", "hll", HLL, 0.6),
    Family("geo", "GEOADD", "geo", GEO, 0.7),
    Family("sort", "SORT", "list", SORT, 0.6),
    Family("dump", "DUMP", "string", DUMP, 0.3),
]
