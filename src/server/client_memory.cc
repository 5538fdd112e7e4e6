// SPDX-License-Identifier: BSD-3-Clause
#include "server/client_memory.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <vector>

#include "exec/client_text.h"
#include "server/server.h"

namespace cairn {

int64_t ClientMemory::Limit() const {
  const Config& config = server_.engine().config;
  const int64_t limit = config.maxmemory_clients();
  return limit >= 0 ? limit : config.maxmemory() / 100 * -limit;
}

void ClientMemory::Note(const ClientRecord& record, int64_t* counted) {
  const int64_t limit = Limit();
  if (limit == 0) return Forget(counted);
  const bool counts = (record.flags.load(std::memory_order_relaxed) & kClientReplica) == 0 &&
                      !record.closing.load(std::memory_order_relaxed);
  const int64_t now = counts ? static_cast<int64_t>(record.MemoryBytes()) : 0;
  const int64_t change = now - *counted;
  if (change == 0) return;
  *counted = now;
  const int64_t sum = server_.engine().client_bytes.fetch_add(change) + change;
  if (sum > limit && change > 0) Evict(limit);
}

void ClientMemory::Forget(int64_t* counted) {
  if (*counted == 0) return;
  server_.engine().client_bytes.fetch_sub(*counted);
  *counted = 0;
}

// By what clients themselves say now: of those that another thread is closing already nothing
// counts any more, so two threads do not close twice what is needed.
void ClientMemory::Evict(int64_t limit) {
  struct Candidate {
    std::shared_ptr<ClientRecord> client;
    int64_t bytes;
  };
  std::vector<Candidate> candidates;
  int64_t sum = 0;
  for (auto& client : server_.Clients()) {
    const uint32_t flags = client->flags.load(std::memory_order_relaxed);
    if ((flags & kClientReplica) != 0 || client->closing.load(std::memory_order_relaxed)) continue;
    const auto bytes = static_cast<int64_t>(client->MemoryBytes());
    sum += bytes;
    if ((flags & kClientNoEvict) == 0) candidates.push_back({std::move(client), bytes});
  }
  const auto bucket = [](const Candidate& c) { return std::bit_width(static_cast<uint64_t>(c.bytes)); };
  std::stable_sort(candidates.begin(), candidates.end(),
                   [&](const Candidate& a, const Candidate& b) { return bucket(a) > bucket(b); });
  Engine& engine = server_.engine();
  for (const Candidate& candidate : candidates) {
    if (sum <= limit) return;
    const std::string text =
        DescribeClient(*candidate.client, engine.registry, engine.clock.MonotonicMs(),
                       engine.config.hide_user_data_from_log());
    if (!server_.Kill(candidate.client->id)) continue;
    sum -= candidate.bytes;
    engine.log.Notice("Evicting client: %s", text.c_str());
    engine.evicted_clients.fetch_add(1, std::memory_order_relaxed);
  }
}

}  // namespace cairn
