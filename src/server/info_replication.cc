// SPDX-License-Identifier: BSD-3-Clause
#include "server/info_replication.h"

#include "exec/engine.h"
#include "exec/replication_control.h"
#include "journal/journal.h"

namespace cairn {
namespace {

class Lines {
 public:
  void Text(const char* name, const std::string& value) {
    text_.append(name).append(":").append(value).append("\r\n");
  }
  void Number(const char* name, int64_t value) { Text(name, std::to_string(value)); }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

void WriteLink(Lines* lines, const Engine& engine, const LinkFacts& link, uint64_t offset) {
  lines->Text("master_host", link.host);
  lines->Number("master_port", link.port);
  lines->Text("master_link_status", link.up ? "up" : "down");
  lines->Number("master_last_io_seconds_ago", link.last_io_s);
  lines->Number("master_sync_in_progress", link.syncing);
  lines->Number("slave_read_repl_offset", static_cast<int64_t>(offset));
  lines->Number("slave_repl_offset", static_cast<int64_t>(offset));
  if (link.syncing) {
    const uint64_t left =
        link.sync_total_bytes - std::min(link.sync_total_bytes, link.sync_read_bytes);
    lines->Number("master_sync_total_bytes", static_cast<int64_t>(link.sync_total_bytes));
    lines->Number("master_sync_read_bytes", static_cast<int64_t>(link.sync_read_bytes));
    lines->Number("master_sync_left_bytes", static_cast<int64_t>(left));
    lines->Number("master_sync_last_io_seconds_ago", link.last_io_s);
  }
  if (!link.up) lines->Number("master_link_down_since_seconds", link.down_since_s);
  lines->Number("slave_priority", engine.config.replica_priority());
  lines->Number("slave_read_only", 1);
  lines->Number("replica_announced", engine.config.replica_announced());
}

}  // namespace

std::string ReplicationInfo(Engine& engine) {
  ReplicationControl& replication = *engine.replication;
  const StreamFacts stream = replication.Stream();
  Lines lines;
  const LinkFacts link = replication.Link();
  const bool follower = engine.modes.Has(kModeFollower) || link.follower;
  lines.Text("role", follower ? "slave" : "master");
  if (follower) WriteLink(&lines, engine, link, stream.offset);
  const std::vector<FollowerFacts> followers = replication.Followers();
  lines.Number("connected_slaves", static_cast<int64_t>(followers.size()));
  const Config& config = engine.config;
  if (config.min_replicas_to_write() > 0 && config.min_replicas_max_lag() > 0) {
    int64_t good = 0;
    for (const FollowerFacts& one : followers)
      good += std::string_view(one.state) == "online" && one.lag_s <= config.min_replicas_max_lag();
    lines.Number("min_slaves_good_slaves", good);
  }
  if (config.min_replicas_durable() > 0) {
    int64_t good = 0;
    for (const FollowerFacts& one : followers) good += one.keeps_log;
    lines.Number("min_replicas_durable_good", good);
  }
  for (size_t i = 0; i < followers.size(); ++i) {
    const FollowerFacts& one = followers[i];
    lines.Text(("slave" + std::to_string(i)).c_str(),
               "ip=" + one.address + ",port=" + std::to_string(one.port) + ",state=" + one.state +
                   ",offset=" + std::to_string(one.acknowledged) +
                   ",lag=" + std::to_string(one.lag_s));
  }
  lines.Text("master_failover_state", engine.replication->FailoverStateName());
  lines.Text("master_replid", stream.id);
  lines.Text("master_replid2", stream.second_id.empty() ? std::string(40, '0') : stream.second_id);
  lines.Number("master_repl_offset", static_cast<int64_t>(stream.offset));
  lines.Number("second_repl_offset", stream.second_offset);
  // The log is what Redis calls the backlog.
  uint64_t first = stream.offset;
  if (engine.journal != nullptr) {
    const Manifest manifest = engine.journal->manifest();
    if (!manifest.segments.empty()) first = manifest.segments.front().first_lsn;
  }
  lines.Number("repl_backlog_active", engine.journal != nullptr);
  lines.Number("repl_backlog_size", config.repl_backlog_size());
  lines.Number("repl_backlog_first_byte_offset",
               engine.journal == nullptr ? 0 : static_cast<int64_t>(first) + 1);
  lines.Number("repl_backlog_histlen", static_cast<int64_t>(stream.offset - first));
  return lines.Take();
}

}  // namespace cairn
