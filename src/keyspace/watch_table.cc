// SPDX-License-Identifier: BSD-3-Clause
#include "keyspace/watch_table.h"

#include <algorithm>

#include "base/bytes.h"

namespace cairn {

std::string WatchTable::NameOf(int db, std::string_view key) {
  std::string name(sizeof db, '\0');
  StoreLe(name.data(), db);
  return name.append(key);
}

int WatchTable::DbOf(const std::string& name) { return LoadLe<int>(name.data()); }

void WatchTable::MarkAll(const States& states) {
  for (const auto& state : states) state->dirty.store(true, std::memory_order_release);
}

void WatchTable::Sweep() {
  for (auto it = keys_.begin(); it != keys_.end();) {
    std::erase_if(it->second, [](const auto& s) { return s->dead.load(std::memory_order_relaxed); });
    it = it->second.empty() ? keys_.erase(it) : std::next(it);
  }
  sweep_at_ = std::max<size_t>(64, keys_.size() * 2);
}

void WatchTable::Add(int db, std::string_view key, std::shared_ptr<WatchState> state) {
  if (keys_.size() >= sweep_at_) Sweep();
  States& states = keys_[NameOf(db, key)];
  std::erase_if(states, [](const auto& s) { return s->dead.load(std::memory_order_relaxed); });
  states.push_back(std::move(state));
}

void WatchTable::Touch(int db, std::string_view key) {
  auto found = keys_.find(NameOf(db, key));
  if (found == keys_.end()) return;
  MarkAll(found->second);
  keys_.erase(found);
}

}  // namespace cairn
