// SPDX-License-Identifier: BSD-3-Clause
#include "keyspace/wait_table.h"

#include "base/bytes.h"

namespace cairn {
namespace {

std::string NameOf(int db, std::string_view key) {
  std::string name(sizeof db, '\0');
  StoreLe(name.data(), db);
  return name.append(key);
}

}  // namespace

WaitTable::~WaitTable() {
  for (const auto& [name, queue] : queues_) {
    counters_.keys.fetch_sub(1, std::memory_order_relaxed);
    if (queue.on_absence > 0) counters_.keys_on_absence.fetch_sub(1, std::memory_order_relaxed);
  }
}

void WaitTable::Add(int db, std::string_view key, const std::shared_ptr<WaitTicket>& ticket) {
  auto [found, made] = queues_.try_emplace(NameOf(db, key));
  WaitQueue& queue = found->second;
  if (made) counters_.keys.fetch_add(1, std::memory_order_relaxed);
  if (!queue.tickets.emplace(ticket->order(), ticket).second || !ticket->wakes_on_absence()) return;
  if (queue.on_absence++ == 0) counters_.keys_on_absence.fetch_add(1, std::memory_order_relaxed);
}

void WaitTable::Remove(int db, std::string_view key, const WaitTicket& ticket) {
  auto found = queues_.find(NameOf(db, key));
  if (found == queues_.end()) return;
  WaitQueue& queue = found->second;
  if (queue.tickets.erase(ticket.order()) == 0) return;
  if (ticket.wakes_on_absence() && --queue.on_absence == 0)
    counters_.keys_on_absence.fetch_sub(1, std::memory_order_relaxed);
  if (!queue.tickets.empty()) return;
  queues_.erase(found);
  counters_.keys.fetch_sub(1, std::memory_order_relaxed);
}

WaitQueue* WaitTable::Find(int db, std::string_view key) {
  auto found = queues_.find(NameOf(db, key));
  return found == queues_.end() ? nullptr : &found->second;
}

std::vector<std::string> WaitTable::KeysOf(int db) const {
  std::vector<std::string> keys;
  for (const auto& [name, queue] : queues_)
    if (LoadLe<int>(name.data()) == db) keys.push_back(name.substr(sizeof db));
  return keys;
}

}  // namespace cairn
