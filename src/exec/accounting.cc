// SPDX-License-Identifier: BSD-3-Clause
//
// The end of a command that cost much, or that is looked at as all are; see accounting.h.
#include "exec/accounting.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "exec/audit_log.h"
#include "exec/executor.h"
#include "exec/hot_keys.h"
#include "exec/monitoring.h"

namespace cairn {

void CostBounds::Read(const Config& config, bool all) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  const double ticks_per_us = TicksPerMicrosecond();
  const auto ticks = [&](int64_t us) {
    return static_cast<uint64_t>(std::min(static_cast<double>(us) * ticks_per_us, 1e18));
  };
  const auto bytes = [](int64_t bound) {
    return bound < 0 ? kNever : static_cast<uint64_t>(bound);
  };
  uint64_t least = kNever;
  if (config.slowlog_log_slower_than() >= 0) least = ticks(config.slowlog_log_slower_than());
  constexpr int64_t kMsMax = int64_t{1} << 50;  // in microseconds it still fits
  const int64_t latency_ms = std::min(config.latency_monitor_threshold(), kMsMax);
  if (latency_ms > 0) least = std::min(least, ticks(latency_ms * 1000));
  ticks_.store(all ? 0 : least, kRelaxed);
  request_bytes_.store(bytes(config.commandlog_request_larger_than()), kRelaxed);
  reply_bytes_.store(bytes(config.commandlog_reply_larger_than()), kRelaxed);
}

void Executor::NoteCost(ClientRecord& record, const Command& command, Arguments arguments,
                        const CallCost& cost, std::string_view error, const char* event) {
  const Config& config = engine_.config;
  const auto us = static_cast<int64_t>(static_cast<double>(cost.ticks) / ticks_per_us_);
  const int64_t now_s = engine_.clock.WallMs() / 1000;
  engine_.latency.AddIfSlow(event != nullptr    ? event
                            : command.Is(kFast) ? "fast-command"
                                                : "command",
                            us, now_s);
  if (Audited()) Audit(record, command, arguments, cost, error);
  if (engine_.hot_keys->on()) NoteHotKeys(command, arguments, cost);
  if (command.Is(kSkipSlowlog)) return;
  const auto log = [&](CommandLogType type, int64_t spent, int64_t bound, int64_t entries_max) {
    if (bound < 0 || spent < bound) return;
    CommandLogEntry entry{
        0, now_s, spent, CommandLog::Shorten(Redacted(command, arguments)), record.address, ""};
    {
      std::lock_guard guard(record.mutex);
      entry.client_name = record.name;
    }
    engine_.command_log.Add(type, std::move(entry), static_cast<size_t>(entries_max));
  };
  log(CommandLogType::kSlow, us, config.slowlog_log_slower_than(), config.slowlog_max_len());
  log(CommandLogType::kLargeRequest, static_cast<int64_t>(cost.request_bytes),
      config.commandlog_request_larger_than(), config.commandlog_large_request_max_len());
  log(CommandLogType::kLargeReply, static_cast<int64_t>(cost.reply_bytes),
      config.commandlog_reply_larger_than(), config.commandlog_large_reply_max_len());
}

namespace {

// Calls tell(event) with who the client is; the texts of the event live so long.
template <typename Tell>
void WithSpeaker(const ClientRecord& record, const Tell& tell) {
  AuditEvent event;
  event.client_id = record.id;
  event.address = record.address;
  std::string user;
  {
    std::lock_guard guard(record.mutex);
    user = record.user;
  }
  event.user = user;
  tell(event);
}

}  // namespace

void AuditCall(Engine& engine, const ClientRecord& record, const Command& command,
               Arguments arguments, int db, int64_t duration_us, std::string_view outcome) {
  KeySink keys;  // a served client's: this thread's own may be in use
  WithSpeaker(record, [&](AuditEvent& event) {
    event.command = &command;
    event.db = db;
    event.duration_us = duration_us;
    event.outcome = outcome;
    if (ExtractKeys(command, arguments, keys)) {
      for (const KeyReference& key : keys.keys())
        if ((key.flags & kNotKey) == 0)
          event.keys.push_back(arguments[static_cast<size_t>(key.position)]);
    }
    engine.audit->Add(event);
  });
}

void AuditSettings(Engine& engine, const ClientRecord& record,
                   const std::vector<std::string_view>& options) {
  WithSpeaker(record, [&](AuditEvent& event) { engine.audit->AddSettings(event, options); });
}

void Executor::Audit(ClientRecord& record, const Command& command, Arguments arguments,
                     const CallCost& cost, std::string_view error) {
  const auto us = static_cast<int64_t>(static_cast<double>(cost.ticks) / ticks_per_us_);
  AuditCall(engine_, record, command, arguments, cost.db, us, error);
}

void Executor::NoteHotKeys(const Command& command, Arguments arguments, const CallCost& cost) {
  KeySink keys;
  if (!ExtractKeys(command, arguments, keys)) return;
  std::vector<std::string_view> names;
  for (const KeyReference& key : keys.keys())
    if ((key.flags & kNotKey) == 0) names.push_back(arguments[static_cast<size_t>(key.position)]);
  HotKeys& hot_keys = *engine_.hot_keys;
  const HotKeys::Noted noted = hot_keys.Note(slot_, clock_ms_, cost, names, random_);
  if (noted.sizes) {
    for (const std::string_view name : names) NoteSize(cost.db, name);
  }
  // It asks the system for figures, which nobody does under a shard's lock.
  if (!noted.over || unit_.active()) return;
  hot_keys.Expire(clock_ms_);
  engine_.ReadCostBounds();
}

// Under the lock of the key's shard, which is taken for it where no unit is open (any more).
void Executor::NoteSize(int db, std::string_view key) {
  constexpr size_t kSamples = 5;  // as MEMORY USAGE
  const uint64_t hash = HashBytes(key);
  const int shard = ShardOf(hash);
  const bool own_unit = !unit_.active();
  if (own_unit) {
    if (!engine_.keyspace.gate().inside(slot_) ||
        !unit_.TryBeginInShard(shard, clock_ms_, CurrentExpiryMode()))
      return;
  } else if (!unit_.Holds(shard)) {
    return;
  }
  size_t bytes = 0;
  if (KeyTable* table = engine_.keyspace.PeekTable(shard, db)) {
    const Entry* entry = table->entries.Find(
        hash, [key](const Entry* candidate) { return candidate->key() == key; });
    if (entry != nullptr) bytes = entry->MemoryUsage(kSamples);
  }
  engine_.hot_keys->NoteSize(slot_, key, bytes, ReadTicks());
  if (own_unit) unit_.End();
}

}  // namespace cairn
