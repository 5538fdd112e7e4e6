// SPDX-License-Identifier: BSD-3-Clause
//
// Rows of commands on one collection: what they will look for in it is fetched under the lock of
// the first one, as looking into a value takes its key's lock.
#include "base/hash.h"
#include "exec/executor.h"
#include "types/hash.h"
#include "types/set.h"
#include "types/sorted_set.h"

namespace cairn {

void Executor::FindRows(std::span<Prepared> chunk) {
  const auto same = [](const Prepared& a, const Prepared& b) {
    return a.key.data() != nullptr && b.key.data() != nullptr && a.hash == b.hash && a.key == b.key;
  };
  for (size_t first = 0, i = 1; i < chunk.size(); ++i) {
    if (!same(chunk[first], chunk[i])) {
      first = i;
    } else if (members_.Names(*chunk[i].command)) {
      chunk[first].row = static_cast<uint32_t>(i - first + 1);
    }
  }
}

void Executor::PrefetchMembers(int db, const Request* requests, std::span<const Prepared> row) {
  KeyTable* table = engine_.keyspace.PeekTable(ShardOf(row[0].hash), db);
  if (table == nullptr) return;
  Entry* entry = table->entries.Find(row[0].hash, [&](const Entry* candidate) {
    return candidate->KeyIs(row[0].key);
  });
  if (entry == nullptr || entry->is_string()) return;
  if (entry->encoding() != Encoding::kHashtable && entry->encoding() != Encoding::kSkiplist) return;
  uint64_t hashes[kChunk];
  size_t count = 0;
  for (size_t i = 0; i < row.size(); ++i)
    if (const std::string_view* member = members_.Find(*row[i].command, requests[i].args))
      hashes[count++] = HashBytes(*member);
  const std::span<const uint64_t> all(hashes, count);
  switch (entry->type()) {
    case Type::kHash: return entry->object<Hash>().FetchAhead(all);
    case Type::kSet: return entry->object<Set>().FetchAhead(all);
    case Type::kSortedSet: return entry->object<SortedSet>().FetchAhead(all);
    default: return;
  }
}

}  // namespace cairn
