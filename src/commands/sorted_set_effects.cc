// SPDX-License-Identifier: BSD-3-Clause
#include "commands/sorted_set_effects.h"

#include <string>
#include <vector>

#include "base/numbers.h"
#include "exec/context.h"
#include "types/sorted_set.h"

namespace cairn {

void SendStoredSortedSet(Context& ctx, std::string_view key) {
  constexpr size_t kMembersAnEffect = 1024;
  ctx.Effect({"DEL", key});
  const Entry* entry = ctx.Find(key, Context::Touch::kNo);
  if (entry == nullptr) return;
  const SortedSet& stored = const_cast<Entry*>(entry)->object<SortedSet>();
  for (auto it = stored.Iterate(); it.Valid();) {
    std::vector<std::string> words = {"ZADD", std::string(key)};
    for (size_t i = 0; i < kMembersAnEffect && it.Valid(); ++i, it.Next()) {
      words.push_back(ToString(it.score()));
      words.emplace_back(it.member());
    }
    ctx.Effect(std::vector<std::string_view>(words.begin(), words.end()));
  }
}

}  // namespace cairn
