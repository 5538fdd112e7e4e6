// SPDX-License-Identifier: BSD-3-Clause
//
// Config: the value of every option that Cairn honours, as one plain struct. A field is called
// like its directive, and read by calling it: `config.appendfsync()`, `config.bind()`. Any thread
// may read at any time (setting.h says why that is safe and cheap); only ConfigStore writes.
// Names, bounds, defaults and help stand in options.cc, one row an option.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "config/setting.h"

namespace cairn {

enum class AppendFsync { kNo, kAlways, kEverysec };
enum class MaxmemoryPolicy {
  kVolatileLru,
  kVolatileLfu,
  kVolatileRandom,
  kVolatileTtl,
  kAllkeysLru,
  kAllkeysLfu,
  kAllkeysRandom,
  kNoEviction,
  kVolatileLrm,
  kAllkeysLrm
};
// Who may use a dangerous command: nobody, anybody, or connections from this machine.
enum class ProtectedAction { kNo, kYes, kLocal };
enum class AclPubsubDefault { kResetChannels, kAllChannels };
enum class Supervised { kNo, kAuto, kSystemd, kUpstart };
enum class OomScoreAdj { kNo, kRelative, kAbsolute };
enum class TlsAuthClients { kNo, kYes, kOptional };
// Which part of a client's certificate names its user.
enum class TlsAuthClientsUser { kOff, kCommonName, kUri };

// Bits of shutdown-on-sigint and shutdown-on-sigterm; 0 is "default".
enum ShutdownBits : int64_t {
  kShutdownSave = 1,
  kShutdownNoSave = 2,
  kShutdownNow = 4,
  kShutdownForce = 8
};

// Bits of notify-keyspace-events: the letters of the directive.
enum NotifyBits : int64_t {
  kNotifyKeyspace = 1 << 0,      // K
  kNotifyKeyevent = 1 << 1,      // E
  kNotifyGeneric = 1 << 2,       // g
  kNotifyString = 1 << 3,        // $
  kNotifyList = 1 << 4,          // l
  kNotifySet = 1 << 5,           // s
  kNotifyHash = 1 << 6,          // h
  kNotifyZset = 1 << 7,          // z
  kNotifyExpired = 1 << 8,       // x
  kNotifyEvicted = 1 << 9,       // e
  kNotifyStream = 1 << 10,       // t
  kNotifyKeyMiss = 1 << 11,      // m, not part of A
  kNotifyModule = 1 << 12,       // d
  kNotifyNew = 1 << 13,          // n, not part of A
  kNotifyOverwritten = 1 << 14,  // o, not part of A
  kNotifyTypeChanged = 1 << 15,  // c, not part of A
  kNotifyAll = kNotifyGeneric | kNotifyString | kNotifyList | kNotifySet | kNotifyHash |
               kNotifyZset | kNotifyExpired | kNotifyEvicted | kNotifyStream | kNotifyModule  // A
};

enum class LogFormat { kLegacy, kJson };

struct SavePoint {
  int64_t seconds;
  int64_t changes;
  bool operator==(const SavePoint&) const = default;
};

// A client is closed above `hard_bytes`, or above `soft_bytes` for `soft_seconds`; 0: no limit.
struct BufferLimit {
  int64_t hard_bytes = 0;
  int64_t soft_bytes = 0;
  int64_t soft_seconds = 0;
  bool operator==(const BufferLimit&) const = default;
};
enum class BufferClass { kNormal, kReplica, kPubsub };
using BufferLimits = std::array<BufferLimit, 3>;  // by BufferClass

using Words = std::vector<std::string>;
using WordLines = std::vector<Words>;

struct Config {
  Config();  // every option at its default
  Config(const Config&) = delete;
  Config& operator=(const Config&) = delete;
  ~Config();

  // Network
  Setting<int64_t> port, tcp_backlog, timeout, tcp_keepalive, maxclients, unixsocketperm;
  Setting<int64_t> max_new_connections_per_cycle;
  Setting<bool> protected_mode;
  Shared<Words> bind;
  Shared<std::string> bind_source_addr, unixsocket, requirepass;
  Setting<int64_t> proto_max_bulk_len, client_query_buffer_limit;
  Shared<BufferLimits> client_output_buffer_limit;
  Setting<int64_t> maxmemory_clients;  // bytes, or minus the percentage of maxmemory; 0: no limit

  // Process
  Setting<int64_t> threads;  // 0: one a core
  Setting<bool> daemonize, set_proc_title, crash_log_enabled, syslog_enabled;
  Shared<std::string> pidfile, logfile, dir, proc_title_template, syslog_ident;
  Setting<LogLevel> loglevel;
  Setting<LogFormat> log_format;
  Setting<int64_t> syslog_facility;  // LOG_USER, LOG_LOCAL0, ...
  Setting<Supervised> supervised;
  Setting<OomScoreAdj> oom_score_adj;
  Shared<std::vector<int64_t>> oom_score_adj_values;
  Setting<int64_t> shutdown_timeout, shutdown_on_sigint, shutdown_on_sigterm;
  Setting<int64_t> databases, hz;

  // Journal and snapshots
  Setting<bool> appendonly, aof_load_truncated, restore_keep_expired;
  Setting<AppendFsync> appendfsync;
  Shared<std::string> appendfilename, appenddirname, dbfilename, encryption_key_file,
      backup_dir;
  Setting<int64_t> journal_buffer_size, journal_segment_size, journal_retention_time,
      journal_retention_bytes;
  Setting<int64_t> auto_aof_rewrite_percentage, auto_aof_rewrite_min_size;
  Shared<std::vector<SavePoint>> save;
  Setting<bool> stop_writes_on_bgsave_error, rdbcompression, rdbchecksum;

  // Memory and expiry
  Setting<int64_t> maxmemory, maxmemory_samples, maxmemory_eviction_tenacity;
  Setting<MaxmemoryPolicy> maxmemory_policy;
  Setting<int64_t> lfu_log_factor, lfu_decay_time, active_expire_effort;

  // Encodings (types/thresholds.h)
  Setting<int64_t> hash_max_listpack_entries, hash_max_listpack_value, set_max_intset_entries,
      set_max_listpack_entries, set_max_listpack_value, zset_max_listpack_entries,
      zset_max_listpack_value, list_max_listpack_size, list_compress_depth, hll_sparse_max_bytes,
      stream_node_max_bytes, stream_node_max_entries;

  // Observation
  Setting<int64_t> slowlog_log_slower_than, slowlog_max_len, latency_monitor_threshold;
  Setting<int64_t> commandlog_request_larger_than, commandlog_large_request_max_len,
      commandlog_reply_larger_than, commandlog_large_reply_max_len;
  Shared<std::string> audit_log, audit_log_rules;
  Setting<int64_t> audit_log_max_size, audit_log_max_files;
  Setting<int64_t> metrics_port;
  Shared<Words> metrics_bind;
  Setting<bool> latency_tracking, hide_user_data_from_log;
  Shared<std::vector<double>> latency_tracking_info_percentiles;
  Setting<int64_t> notify_keyspace_events;  // NotifyBits
  Setting<int64_t> tracking_table_max_keys;

  // Scripts and dangerous commands
  Setting<int64_t> busy_reply_threshold;
  Setting<ProtectedAction> enable_debug_command, enable_protected_configs;

  // Users
  Shared<std::string> aclfile;
  Setting<int64_t> acllog_max_len;
  Setting<AclPubsubDefault> acl_pubsub_default;
  Shared<WordLines> renamed_commands;  // {old, new}; new == "" removes the command

  // Replication
  Shared<std::string> replicaof;  // "host port", or "" for a leader
  Shared<std::string> masterauth, masteruser, replica_announce_ip;
  Setting<bool> replica_read_only, replica_serve_stale_data, replica_announced,
      repl_diskless_sync;
  Setting<int64_t> replica_priority, replica_announce_port;
  Setting<int64_t> repl_ping_replica_period, repl_timeout, repl_backlog_size, repl_backlog_ttl;
  Setting<int64_t> min_replicas_to_write, min_replicas_max_lag;
  Setting<int64_t> min_replicas_durable, min_replicas_durable_timeout, repl_retention_max_bytes;
  Setting<bool> cluster_enabled;  // always false

  // TLS
  Setting<int64_t> tls_port, tls_session_cache_size, tls_session_cache_timeout,
      max_new_tls_connections_per_cycle;
  Setting<bool> tls_replication, tls_prefer_server_ciphers, tls_session_caching;
  Setting<TlsAuthClients> tls_auth_clients;
  Setting<TlsAuthClientsUser> tls_auth_clients_user;
  Shared<std::string> tls_cert_file, tls_key_file, tls_key_file_pass, tls_client_cert_file,
      tls_client_key_file, tls_client_key_file_pass, tls_dh_params_file, tls_ca_cert_file,
      tls_ca_cert_dir, tls_protocols, tls_ciphers, tls_ciphersuites;

  // Options without meaning here keep their text, for CONFIG GET: by row of the option table.
  std::unique_ptr<Shared<std::string>[]> inert;
};

}  // namespace cairn
