// SPDX-License-Identifier: BSD-3-Clause
#include "exec/client_text.h"

#include <stdio.h>

namespace cairn {

std::string_view ClientType(const ClientRecord& record) {
  const uint32_t flags = record.flags.load(std::memory_order_relaxed);
  if (flags & kClientReplica) return "replica";
  if (flags & kClientPubsub) return "pubsub";
  return "normal";
}

std::string DescribeClient(const ClientRecord& record, const Registry& registry, int64_t now_ms,
                           bool hide_names) {
  const std::string hidden = "*redacted*";
  constexpr auto kRelaxed = std::memory_order_relaxed;
  const uint32_t flags = record.flags.load(kRelaxed);
  std::string letters;
  if (flags & kClientReplica) letters += 'S';
  if (flags & kClientMonitor) letters += 'O';
  if (flags & kClientPubsub) letters += 'P';
  const int multi = record.multi.load(kRelaxed);
  if (multi >= 0) letters += 'x';
  if (flags & kClientBlocked) letters += 'b';
  if (flags & kClientTracking) letters += 't';
  if (flags & kClientTrackingBroken) letters += 'R';
  if (flags & kClientTrackingBcast) letters += 'B';
  if (flags & kClientDirtyCas) letters += 'd';
  if (record.closing.load(kRelaxed)) letters += 'c';
  if (flags & kClientUnix) letters += 'U';
  if (flags & kClientNoEvict) letters += 'e';
  if (flags & kClientNoTouch) letters += 'T';
  if (letters.empty()) letters = "N";
  const int command = record.last_command.load(kRelaxed);
  const std::string command_name =
      command < 0 ? "NULL" : registry.all()[static_cast<size_t>(command)]->full_name;
  const size_t query = record.query_bytes.load(kRelaxed);
  const size_t capacity = record.query_capacity.load(kRelaxed);
  const size_t output = record.output_memory.load(kRelaxed);
  char numbers[512];
  snprintf(numbers, sizeof numbers,
           " age=%lld idle=%lld flags=%s db=%d sub=%d psub=%d ssub=%d multi=%d watch=%d qbuf=%zu "
           "qbuf-free=%zu argv-mem=%zu multi-mem=%lld rbs=%zu rbp=%zu obl=0 oll=%d omem=%zu "
           "tot-mem=%zu events=r cmd=%s",
           static_cast<long long>((now_ms - record.created_ms) / 1000),
           static_cast<long long>((now_ms - record.last_active_ms.load(kRelaxed)) / 1000),
           letters.c_str(), record.db.load(kRelaxed), record.subscriptions.load(kRelaxed),
           record.pattern_subscriptions.load(kRelaxed), record.shard_subscriptions.load(kRelaxed),
           multi, record.watches.load(kRelaxed), query, capacity > query ? capacity - query : 0,
           static_cast<size_t>(record.argument_bytes.load(kRelaxed)),
           static_cast<long long>(record.multi_bytes.load(kRelaxed)), output, output,
           output > 0 ? 1 : 0, output, static_cast<size_t>(record.MemoryBytes()),
           command_name.c_str());
  std::lock_guard guard(record.mutex);
  return "id=" + std::to_string(record.id) + " addr=" + record.address +
         " laddr=" + record.local_address + " fd=" + std::to_string(record.fd) +
         " name=" + (hide_names ? hidden : record.name) + numbers +
         " user=" + (hide_names ? hidden : record.user) + " redir=" +
         std::to_string(record.redirect.load(kRelaxed)) + " resp=" +
         std::to_string(record.resp.load(kRelaxed)) + " lib-name=" + record.library_name +
         " lib-ver=" + record.library_version;
}

}  // namespace cairn
