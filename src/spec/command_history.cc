// SPDX-License-Identifier: BSD-3-Clause
#include "spec/command_history.h"

#include <algorithm>
#include <functional>

namespace cairn {
namespace {

// Sorted by name, then by version.
constexpr CommandChange kChanges[] = {
    {"acl|getuser", "6.2.0", "Shows patterns of channels."},
    {"acl|getuser", "7.0.0", "Shows selectors; patterns of keys and channels read as rules."},
    {"acl|setuser", "6.2.0", "New: patterns of channels."},
    {"acl|setuser", "7.0.0", "New: selectors, and keys that may only be read or written."},
    {"auth", "6.0.0", "New: a user's name before the password."},
    {"bgsave", "3.2.2", "New: `SCHEDULE`."},
    {"bitcount", "7.0.0", "New: `BYTE` and `BIT`."},
    {"bitop", "8.2.0", "New: `DIFF`, `DIFF1`, `ANDOR` and `ONE`."},
    {"bitpos", "7.0.0", "New: `BYTE` and `BIT`."},
    {"blpop", "6.0.0", "A timeout may have a fraction."},
    {"brpop", "6.0.0", "A timeout may have a fraction."},
    {"brpoplpush", "6.0.0", "A timeout may have a fraction."},
    {"bzpopmax", "6.0.0", "A timeout may have a fraction."},
    {"bzpopmin", "6.0.0", "A timeout may have a fraction."},
    {"client|kill", "2.8.12", "Filters by name and value."},
    {"client|kill", "2.8.12", "New: `ID`."},
    {"client|kill", "3.2.0", "New: `master` as a `TYPE`."},
    {"client|kill", "5.0.0", "`TYPE` knows `replica`; `slave` means the same."},
    {"client|kill", "6.2.0", "New: `LADDR`."},
    {"client|kill", "7.4.0", "New: `MAXAGE`."},
    {"client|list", "2.8.12", "New: field `id`."},
    {"client|list", "5.0.0", "New: filter `TYPE`."},
    {"client|list", "6.0.0", "New: field `user`."},
    {"client|list", "6.2.0",
     "New: fields `argv-mem`, `tot-mem`, `laddr` and `redir`, filter `ID`."},
    {"client|list", "7.0.0", "New: fields `resp`, `multi-mem`, `rbs` and `rbp`."},
    {"client|list", "7.0.3", "New: field `ssub`."},
    {"client|pause", "6.2.0", "New: a mode, `WRITE` or `ALL`."},
    {"cluster|meet", "4.0.0", "New: a port for the bus."},
    {"cluster|slots", "4.0.0", "Shows the ids of nodes."},
    {"cluster|slots", "7.0.0", "Shows more about a node's network."},
    {"command|info", "7.0.0", "Without names: all commands."},
    {"config|get", "7.0.0", "Several patterns at once."},
    {"config|set", "7.0.0", "Several directives at once."},
    {"exists", "3.0.3", "Several keys at once."},
    {"expire", "7.0.0", "New: `NX`, `XX`, `GT` and `LT`."},
    {"expireat", "7.0.0", "New: `NX`, `XX`, `GT` and `LT`."},
    {"flushall", "4.0.0", "New: `ASYNC`."},
    {"flushall", "6.2.0", "New: `SYNC`."},
    {"flushdb", "4.0.0", "New: `ASYNC`."},
    {"flushdb", "6.2.0", "New: `SYNC`."},
    {"geoadd", "6.2.0", "New: `CH`, `NX` and `XX`."},
    {"georadius", "6.2.0", "New: `ANY` beside `COUNT`."},
    {"georadius", "7.0.0", "Units in upper case, too."},
    {"georadius_ro", "6.2.0", "New: `ANY` beside `COUNT`."},
    {"georadiusbymember", "7.0.0", "Units in upper case, too."},
    {"geosearch", "7.0.0", "Units in upper case, too."},
    {"geosearchstore", "7.0.0", "Units in upper case, too."},
    {"hdel", "2.4.0", "Several fields at once."},
    {"hello", "6.2.0", "Without a version: answers what the connection speaks."},
    {"hscan", "7.4.0", "New: `NOVALUES`."},
    {"hset", "4.0.0", "Several fields with their values at once."},
    {"info", "7.0.0", "Several sections at once."},
    {"lpop", "6.2.0", "New: a count."},
    {"lpush", "2.4.0", "Several elements at once."},
    {"lpushx", "4.0.0", "Several elements at once."},
    {"migrate", "3.0.0", "New: `COPY` and `REPLACE`."},
    {"migrate", "3.0.6", "New: `KEYS`."},
    {"migrate", "4.0.7", "New: `AUTH`."},
    {"migrate", "6.0.0", "New: `AUTH2`."},
    {"pexpire", "7.0.0", "New: `NX`, `XX`, `GT` and `LT`."},
    {"pexpireat", "7.0.0", "New: `NX`, `XX`, `GT` and `LT`."},
    {"pttl", "2.8.0", "A key that does not exist answers -2."},
    {"renamenx", "3.2.0", "Both names may be the same."},
    {"restore", "3.0.0", "New: `REPLACE`."},
    {"restore", "5.0.0", "New: `ABSTTL`."},
    {"restore", "5.0.0", "New: `IDLETIME` and `FREQ`."},
    {"restore-asking", "3.0.0", "New: `REPLACE`."},
    {"restore-asking", "5.0.0", "New: `ABSTTL`."},
    {"restore-asking", "5.0.0", "New: `IDLETIME` and `FREQ`."},
    {"rpop", "6.2.0", "New: a count."},
    {"rpush", "2.4.0", "Several elements at once."},
    {"rpushx", "4.0.0", "Several elements at once."},
    {"sadd", "2.4.0", "Several members at once."},
    {"scan", "6.0.0", "New: `TYPE`."},
    {"script|flush", "6.2.0", "New: `ASYNC` and `SYNC`."},
    {"set", "2.6.12", "New: `EX`, `PX`, `NX` and `XX`."},
    {"set", "6.0.0", "New: `KEEPTTL`."},
    {"set", "6.2.0", "New: `GET`, `EXAT` and `PXAT`."},
    {"set", "7.0.0", "`NX` and `GET` go together."},
    {"set", "8.4.0", "New: `IFEQ`, `IFNE`, `IFDEQ` and `IFDNE`."},
    {"shutdown", "7.0.0", "New: `NOW`, `FORCE` and `ABORT`."},
    {"slowlog|get", "4.0.0", "Shows the client's address and name."},
    {"spop", "3.2.0", "New: a count."},
    {"srandmember", "2.6.0", "New: a count."},
    {"srem", "2.4.0", "Several members at once."},
    {"ttl", "2.8.0", "A key that does not exist answers -2."},
    {"xadd", "6.2.0", "New: `NOMKSTREAM`, `MINID` and `LIMIT`."},
    {"xadd", "7.0.0", "Ids of the form `<ms>-*`."},
    {"xadd", "8.2.0", "New: `KEEPREF`, `DELREF` and `ACKED`."},
    {"xautoclaim", "7.0.0", "Answers the ids, too, that it dropped as deleted."},
    {"xgroup|create", "7.0.0", "New: `ENTRIESREAD`."},
    {"xgroup|setid", "7.0.0", "New: `ENTRIESREAD`."},
    {"xinfo|groups", "7.0.0", "New: fields `entries-read` and `lag`."},
    {"xinfo|stream", "6.0.0", "New: `FULL`."},
    {"xinfo|stream", "7.0.0",
     "New: fields `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, "
     "`entries-read` and `lag`."},
    {"xpending", "6.2.0", "New: `IDLE`, and exclusive bounds."},
    {"xrange", "6.2.0", "Bounds may be exclusive."},
    {"xrevrange", "6.2.0", "Bounds may be exclusive."},
    {"xsetid", "7.0.0", "New: `ENTRIESADDED` and `MAXDELETEDID`."},
    {"xtrim", "6.2.0", "New: `MINID` and `LIMIT`."},
    {"xtrim", "8.2.0", "New: `KEEPREF`, `DELREF` and `ACKED`."},
    {"zadd", "2.4.0", "Several members at once."},
    {"zadd", "3.0.2", "New: `XX`, `NX`, `CH` and `INCR`."},
    {"zadd", "6.2.0", "New: `GT` and `LT`."},
    {"zrange", "6.2.0", "New: `REV`, `BYSCORE`, `BYLEX` and `LIMIT`."},
    {"zrangebyscore", "2.0.0", "New: `WITHSCORES`."},
    {"zrank", "7.2.0", "New: `WITHSCORE`."},
    {"zrem", "2.4.0", "Several members at once."},
    {"zrevrangebyscore", "2.1.6", "Bounds may be exclusive."},
    {"zrevrank", "7.2.0", "New: `WITHSCORE`."},
};

// Sorted by name.
constexpr CommandStanding kStandings[] = {
    {"brpoplpush", "6.2.0", "`BLMOVE` from `RIGHT` to `LEFT`"},
    {"cluster|slaves", "5.0.0", "`CLUSTER REPLICAS`"},
    {"cluster|slots", "7.0.0", "`CLUSTER SHARDS`"},
    {"debug", nullptr, nullptr},
    {"georadius", "6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` by `BYRADIUS`"},
    {"georadius_ro", "6.2.0", "`GEOSEARCH` by `BYRADIUS`"},
    {"georadiusbymember", "6.2.0",
     "`GEOSEARCH` and `GEOSEARCHSTORE` by `BYRADIUS` and `FROMMEMBER`"},
    {"georadiusbymember_ro", "6.2.0", "`GEOSEARCH` by `BYRADIUS` and `FROMMEMBER`"},
    {"getset", "6.2.0", "`SET` with `GET`"},
    {"hmset", "4.0.0", "`HSET`"},
    {"pfdebug", nullptr, nullptr},
    {"pfselftest", nullptr, nullptr},
    {"replconf", nullptr, nullptr},
    {"restore-asking", nullptr, nullptr},
    {"rpoplpush", "6.2.0", "`LMOVE` from `RIGHT` to `LEFT`"},
    {"slaveof", "5.0.0", "`REPLICAOF`"},
    {"substr", "2.0.0", "`GETRANGE`"},
    {"zrangebylex", "6.2.0", "`ZRANGE` with `BYLEX`"},
    {"zrangebyscore", "6.2.0", "`ZRANGE` with `BYSCORE`"},
    {"zrevrange", "6.2.0", "`ZRANGE` with `REV`"},
    {"zrevrangebylex", "6.2.0", "`ZRANGE` with `REV` and `BYLEX`"},
    {"zrevrangebyscore", "6.2.0", "`ZRANGE` with `REV` and `BYSCORE`"},
};

template <typename Row>
constexpr bool ByName(const Row& a, const Row& b) {
  return std::string_view(a.name) < b.name;
}
static_assert(std::ranges::is_sorted(kChanges, ByName<CommandChange>));
static_assert(std::ranges::is_sorted(kStandings, ByName<CommandStanding>));

template <typename Row>
std::span<const Row> RowsOf(std::span<const Row> rows, std::string_view name) {
  const auto found = std::ranges::equal_range(
      rows, name, std::less<>(), [](const Row& row) { return std::string_view(row.name); });
  return {found.begin(), found.end()};
}

}  // namespace

std::span<const CommandChange> FindCommandHistory(std::string_view full_name) {
  return RowsOf<CommandChange>(kChanges, full_name);
}

const CommandStanding* FindCommandStanding(std::string_view full_name) {
  const auto found = RowsOf<CommandStanding>(kStandings, full_name);
  return found.empty() ? nullptr : &found.front();
}

}  // namespace cairn
