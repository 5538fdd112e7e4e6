// SPDX-License-Identifier: BSD-3-Clause
#include "server/metrics_text.h"

#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <map>
#include <span>
#include <utility>

namespace cairn {
namespace {

using Fields = std::map<std::string, std::string, std::less<>>;

struct Row {
  const char* field;  // of INFO
  const char* name;   // behind "redis_"
  const char* type;
  const char* help;
};

// clang-format off: a row reads better as one line.
constexpr Row kRows[] = {
    {"uptime_in_seconds", "uptime_in_seconds", "gauge", "Seconds since the start"},
    {"connected_clients", "connected_clients", "gauge", "Connections of clients"},
    {"blocked_clients", "blocked_clients", "gauge", "Clients that wait in a blocking command"},
    {"tracking_clients", "tracking_clients", "gauge", "Clients that keep a cache of their own"},
    {"maxclients", "max_clients", "gauge", "Connections that are allowed"},
    {"used_memory", "memory_used_bytes", "gauge", "Bytes allocated"},
    {"used_memory_rss", "memory_used_rss_bytes", "gauge", "Bytes of memory that the system gave"},
    {"used_memory_peak", "memory_used_peak_bytes", "gauge", "Most bytes ever allocated"},
    {"maxmemory", "memory_max_bytes", "gauge", "The limit maxmemory; 0: none"},
    {"mem_fragmentation_ratio", "mem_fragmentation_ratio", "gauge",
     "Memory of the system by bytes allocated"},
    {"total_system_memory", "total_system_memory_bytes", "gauge", "Memory of the machine"},
    {"total_connections_received", "connections_received_total", "counter", "Connections accepted"},
    {"rejected_connections", "rejected_connections_total", "counter", "Connections refused"},
    {"total_commands_processed", "commands_processed_total", "counter", "Commands run"},
    {"total_net_input_bytes", "net_input_bytes_total", "counter", "Bytes received"},
    {"total_net_output_bytes", "net_output_bytes_total", "counter", "Bytes sent"},
    {"expired_keys", "expired_keys_total", "counter", "Keys that expired"},
    {"evicted_keys", "evicted_keys_total", "counter", "Keys evicted for want of memory"},
    {"keyspace_hits", "keyspace_hits_total", "counter", "Look-ups that found their key"},
    {"keyspace_misses", "keyspace_misses_total", "counter", "Look-ups that did not"},
    {"pubsub_channels", "pubsub_channels", "gauge", "Channels with subscribers"},
    {"pubsub_patterns", "pubsub_patterns", "gauge", "Patterns with subscribers"},
    {"total_error_replies", "error_replies_total", "counter", "Errors replied"},
    {"acl_access_denied_auth", "acl_access_denied_auth_total", "counter", "Logins refused"},
    {"acl_access_denied_cmd", "acl_access_denied_cmd_total", "counter",
     "Commands refused to their users"},
    {"acl_access_denied_key", "acl_access_denied_key_total", "counter", "Keys refused to users"},
    {"tls_handshakes_failed", "tls_handshakes_failed_total", "counter",
     "TLS handshakes that came to nothing"},
    {"loading", "loading_dump_file", "gauge", "1 while data is loaded at the start"},
    {"rdb_changes_since_last_save", "rdb_changes_since_last_save", "gauge",
     "Changes since the last snapshot"},
    {"rdb_bgsave_in_progress", "rdb_bgsave_in_progress", "gauge", "1 while a snapshot is written"},
    {"rdb_last_save_time", "rdb_last_save_timestamp_seconds", "gauge",
     "When the last snapshot was complete"},
    {"rdb_last_bgsave_status", "rdb_last_bgsave_status", "gauge",
     "1 if the last snapshot went well"},
    {"aof_enabled", "aof_enabled", "gauge", "1 if there is a journal"},
    {"aof_rewrite_in_progress", "aof_rewrite_in_progress", "gauge",
     "1 while the journal is compacted"},
    {"aof_last_bgrewrite_status", "aof_last_bgrewrite_status", "gauge",
     "1 if the last compaction went well"},
    {"aof_last_write_status", "aof_last_write_status", "gauge",
     "1 while the journal can be written"},
    {"connected_slaves", "connected_slaves", "gauge", "Followers connected"},
    {"master_repl_offset", "master_repl_offset", "gauge", "End of the journal's stream"},
    {"used_cpu_sys", "cpu_sys_seconds_total", "counter", "Processor time in the system"},
    {"used_cpu_user", "cpu_user_seconds_total", "counter", "Processor time in the server"},
};
// clang-format on

// The fields of "calls=1,usec=20" and the like.
Fields SplitValues(std::string_view text) {
  Fields values;
  while (!text.empty()) {
    const size_t end = std::min(text.find(','), text.size());
    const std::string_view pair = text.substr(0, end);
    const size_t equals = pair.find('=');
    if (equals != std::string_view::npos)
      values.emplace(pair.substr(0, equals), pair.substr(equals + 1));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return values;
}

class Writer {
 public:
  explicit Writer(std::string_view info) {
    while (!info.empty()) {
      const size_t end = std::min(info.find("\r\n"), info.size());
      const std::string_view line = info.substr(0, end);
      info.remove_prefix(std::min(end + 2, info.size()));
      const size_t colon = line.find(':');
      if (line.starts_with('#') || colon == std::string_view::npos) continue;
      fields_.emplace(line.substr(0, colon), line.substr(colon + 1));
    }
  }

  std::string Write() {
    Family("up", "gauge", "1: the server answers");
    out_ += "redis_up 1\n";
    WriteInstance();
    for (const Row& row : kRows) {
      const std::string* value = Find(row.field);
      if (value == nullptr) continue;
      Family(row.name, row.type, row.help);
      const bool status = *value == "ok" || *value == "err";
      Sample(row.name, "", status ? (*value == "ok" ? "1" : "0") : *value);
    }
    WriteEach("db", "db", kDatabases);
    WriteEach("cmdstat_", "cmd", kCommands);
    WriteEach("errorstat_", "err", kErrors);
    return std::move(out_);
  }

 private:
  // A value of a field that stands once for each database, command or error.
  struct Part {
    const char* key;
    const char* name;
    const char* type;
    const char* help;
    double scale;
  };
  static constexpr Part kDatabases[] = {
      {"keys", "db_keys", "gauge", "Keys of a database", 1},
      {"expires", "db_keys_expiring", "gauge", "Keys of a database that expire", 1},
      {"avg_ttl", "db_avg_ttl_seconds", "gauge", "Mean time to live of those", 1e-3}};
  static constexpr Part kCommands[] = {
      {"calls", "commands_total", "counter", "Calls of a command", 1},
      {"usec", "commands_duration_seconds_total", "counter", "Time spent in a command", 1e-6},
      {"rejected_calls", "commands_rejected_calls_total", "counter", "Calls refused unrun", 1},
      {"failed_calls", "commands_failed_calls_total", "counter", "Calls that replied an error", 1}};
  static constexpr Part kErrors[] = {
      {"count", "errors_total", "counter", "Errors replied, by their code", 1}};

  const std::string* Find(std::string_view field) const {
    auto found = fields_.find(field);
    return found == fields_.end() ? nullptr : &found->second;
  }

  void Family(const char* name, const char* type, const char* help) {
    out_ += std::string("# HELP redis_") + name + " " + help + "\n";
    out_ += std::string("# TYPE redis_") + name + " " + type + "\n";
  }
  void Sample(const char* name, const std::string& labels, const std::string& value) {
    out_ += std::string("redis_") + name + labels + " " + value + "\n";
  }

  // Prometheus refuses all of a scrape that has one byte which is no UTF-8: others than printable
  // ASCII become \xNN.
  static std::string Label(std::string_view name, std::string_view value) {
    std::string text = std::string(name) + "=\"";
    for (char c : value) {
      if (c < ' ' || c > '~') {
        char hex[8];
        snprintf(hex, sizeof hex, "\\\\x%02x", static_cast<unsigned char>(c));
        text += hex;
        continue;
      }
      if (c == '\\' || c == '"') text += '\\';
      text += c;
    }
    return text + "\"";
  }

  void WriteInstance() {
    std::string labels;
    for (const char* field : {"redis_version", "cairn_version", "redis_mode", "os", "role",
                              "run_id", "maxmemory_policy"}) {
      if (const std::string* value = Find(field))
        labels += (labels.empty() ? "" : ",") + Label(field, *value);
    }
    Family("instance_info", "gauge", "What this server is");
    Sample("instance_info", "{" + labels + "}", "1");
  }

  // Fields that begin with `prefix`; for databases a number has to follow.
  void WriteEach(std::string_view prefix, std::string_view label, std::span<const Part> parts) {
    for (const Part& part : parts) {
      bool first = true;
      for (const auto& [field, text] : fields_) {
        if (!field.starts_with(prefix) || field.size() == prefix.size()) continue;
        const bool database = prefix == "db";
        if (database && (field[2] < '0' || field[2] > '9')) continue;
        const Fields values = SplitValues(text);
        auto value = values.find(part.key);
        if (value == values.end()) continue;
        if (std::exchange(first, false)) Family(part.name, part.type, part.help);
        const std::string_view shown =
            database ? std::string_view(field) : std::string_view(field).substr(prefix.size());
        Sample(part.name, "{" + Label(label, shown) + "}", Scaled(value->second, part.scale));
      }
    }
  }

  static std::string Scaled(const std::string& text, double scale) {
    if (scale == 1) return text;
    char buffer[64];
    snprintf(buffer, sizeof buffer, "%.9g", strtod(text.c_str(), nullptr) * scale);
    return buffer;
  }

  Fields fields_;
  std::string out_;
};

}  // namespace

std::string MetricsText(std::string_view info) {
  return Writer(info).Write();
}

}  // namespace cairn
