// SPDX-License-Identifier: BSD-3-Clause
#include "exec/member_positions.h"

#include <initializer_list>

namespace cairn {

MemberPositions::MemberPositions(const Registry& registry) : positions_(registry.all().size()) {
  const auto set = [&](int8_t position, std::initializer_list<const char*> names) {
    for (const char* name : names) {
      // A renamed command, or one that this registry (a test's) lacks, does without.
      if (const Command* command = registry.Find(name))
        positions_[static_cast<size_t>(command->id)] = position;
    }
  };
  set(2, {"hset", "hsetnx", "hget", "hdel", "hexists", "hstrlen", "hincrby", "hincrbyfloat",
          "hmset", "hmget", "sadd", "srem", "sismember", "smismember", "zscore", "zmscore",
          "zrank", "zrevrank", "zrem", "geopos"});
  // Behind its score, and that behind options.
  set(kLast, {"zadd", "zincrby", "geoadd"});
}

}  // namespace cairn
