// SPDX-License-Identifier: BSD-3-Clause
//
// The rows of the option table, grouped and ordered like conf/cairn.conf (a test compares the
// two). What the columns mean is in options.h; how kinds parse is in option_values.cc.
#include "config/options.h"

#include <syslog.h>

#include <climits>
#include <map>

#include "base/numbers.h"

namespace cairn {
namespace {

constexpr int64_t kMax = INT64_MAX;
constexpr int64_t kSecondsMax = INT64_MAX / 1000;  // times that are counted in milliseconds
// A database costs 1 KiB before it holds a key, and walks over all of them have to end.
constexpr int64_t kDatabasesMax = 1'000'000;
// Lengths of keys and elements are counted in 32 bits, and their blocks are a little longer.
constexpr int64_t kBulkBytesMax = (int64_t{1} << 32) - (1 << 20);

template <auto Field>
constexpr OptionCell (*CellOf())(Config&) {
  if constexpr (std::is_same_v<decltype(Field), std::nullptr_t>) {
    return nullptr;
  } else if constexpr (std::is_base_of_v<NumberCell,
                                         std::remove_reference_t<decltype(std::declval<Config>().*
                                                                          Field)>>) {
    return [](Config& c) { return OptionCell(static_cast<NumberCell*>(&(c.*Field))); };
  } else {
    return [](Config& c) { return OptionCell(&(c.*Field)); };
  }
}

// One short constructor a kind, so that a row states only what its kind needs.
template <auto F = nullptr>
constexpr Option Bool(const char* name, const char* fallback, uint8_t flags, const char* help,
                      const char* alias = nullptr) {
  return {name, alias, OptionKind::kBool, flags, CellOf<F>(), fallback, 0, 1, {}, help};
}
template <auto F = nullptr>
constexpr Option Integer(const char* name, int64_t min, int64_t max, const char* fallback,
                         uint8_t flags, const char* help, const char* alias = nullptr) {
  return {name, alias, OptionKind::kInteger, flags, CellOf<F>(), fallback, min, max, {}, help};
}
template <auto F = nullptr>
constexpr Option Memory(const char* name, int64_t min, const char* fallback, uint8_t flags,
                        const char* help, const char* alias = nullptr) {
  return {name, alias, OptionKind::kMemory, flags, CellOf<F>(), fallback, min, kMax, {}, help};
}
template <auto F = nullptr>
constexpr Option Enum(const char* name, std::span<const EnumName> names, const char* fallback,
                      uint8_t flags, const char* help) {
  return {name, nullptr, OptionKind::kEnum, flags, CellOf<F>(), fallback, 0, 0, names, help};
}
template <auto F = nullptr>
constexpr Option Text(const char* name, const char* fallback, uint8_t flags, const char* help,
                      const char* alias = nullptr) {
  return {name, alias, OptionKind::kText, flags, CellOf<F>(), fallback, 0, 0, {}, help};
}
template <auto F = nullptr>
constexpr Option Other(OptionKind kind, const char* name, int64_t min, int64_t max,
                       const char* fallback, uint8_t flags, const char* help,
                       std::span<const EnumName> names = {}, const char* alias = nullptr) {
  return {name, alias, kind, flags, CellOf<F>(), fallback, min, max, names, help};
}

template <typename E>
constexpr EnumName Name(const char* name, E value) {
  return {name, static_cast<int64_t>(value)};
}

constexpr EnumName kLogLevels[] = {
    Name("debug", LogLevel::kDebug), Name("verbose", LogLevel::kVerbose),
    Name("notice", LogLevel::kNotice), Name("warning", LogLevel::kWarning),
    Name("nothing", LogLevel::kNothing)};
constexpr EnumName kLogFormats[] = {Name("legacy", LogFormat::kLegacy),
                                    Name("json", LogFormat::kJson)};
constexpr EnumName kFsyncs[] = {Name("everysec", AppendFsync::kEverysec),
                                Name("always", AppendFsync::kAlways),
                                Name("no", AppendFsync::kNo)};
constexpr EnumName kPolicies[] = {Name("volatile-lru", MaxmemoryPolicy::kVolatileLru),
                                  Name("volatile-lfu", MaxmemoryPolicy::kVolatileLfu),
                                  Name("volatile-random", MaxmemoryPolicy::kVolatileRandom),
                                  Name("volatile-ttl", MaxmemoryPolicy::kVolatileTtl),
                                  Name("allkeys-lru", MaxmemoryPolicy::kAllkeysLru),
                                  Name("allkeys-lfu", MaxmemoryPolicy::kAllkeysLfu),
                                  Name("allkeys-random", MaxmemoryPolicy::kAllkeysRandom),
                                  Name("noeviction", MaxmemoryPolicy::kNoEviction),
                                  Name("volatile-lrm", MaxmemoryPolicy::kVolatileLrm),
                                  Name("allkeys-lrm", MaxmemoryPolicy::kAllkeysLrm)};
constexpr EnumName kSanitize[] = {{"no", 0}, {"yes", 1}, {"clients", 2}};
constexpr EnumName kProtectedActions[] = {Name("no", ProtectedAction::kNo),
                                          Name("yes", ProtectedAction::kYes),
                                          Name("local", ProtectedAction::kLocal)};
constexpr EnumName kPubsubDefaults[] = {Name("allchannels", AclPubsubDefault::kAllChannels),
                                        Name("resetchannels", AclPubsubDefault::kResetChannels)};
constexpr EnumName kSupervised[] = {
    Name("upstart", Supervised::kUpstart), Name("systemd", Supervised::kSystemd),
    Name("auto", Supervised::kAuto), Name("no", Supervised::kNo)};
constexpr EnumName kOomScores[] = {
    Name("no", OomScoreAdj::kNo), Name("yes", OomScoreAdj::kRelative),
    Name("relative", OomScoreAdj::kRelative), Name("absolute", OomScoreAdj::kAbsolute)};
constexpr EnumName kTlsAuth[] = {Name("no", TlsAuthClients::kNo),
                                 Name("yes", TlsAuthClients::kYes),
                                 Name("optional", TlsAuthClients::kOptional)};
constexpr EnumName kTlsUsers[] = {Name("off", TlsAuthClientsUser::kOff),
                                  Name("CN", TlsAuthClientsUser::kCommonName),
                                  Name("URI", TlsAuthClientsUser::kUri)};
constexpr EnumName kFacilities[] = {
    {"user", LOG_USER},     {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},
    {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},
    {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7}};
constexpr EnumName kShutdownWords[] = {{"default", 0},
                                       {"save", kShutdownSave},
                                       {"nosave", kShutdownNoSave},
                                       {"now", kShutdownNow},
                                       {"force", kShutdownForce}};
constexpr EnumName kDisklessLoads[] = {{"disabled", 0}, {"on-empty-db", 1}, {"swapdb", 2}};
constexpr EnumName kEndpointTypes[] = {{"ip", 0}, {"hostname", 1}, {"unknown-endpoint", 2}};
constexpr EnumName kPropagationErrors[] = {
    {"ignore", 0}, {"panic", 1}, {"panic-on-replicas", 2}};

using K = OptionKind;
using C = Config;

// clang-format off: a row reads better as one line where it fits.
constexpr Option kOptions[] = {
    // Network
    Integer<&C::port>("port", 0, 65535, "6379", kMutable, "TCP port; 0 listens on none"),
    Other<&C::bind>(K::kWords, "bind", 0, 16, "* -::*", kMutable, "addresses to listen on; '-' before one: optional"),
    Text<&C::bind_source_addr>("bind-source-addr", "", kMutable, "source address of outgoing connections"),
    Text<&C::unixsocket>("unixsocket", "", kImmutable, "path of the unix socket; empty: none"),
    Other<&C::unixsocketperm>(K::kOctal, "unixsocketperm", 0, 0777, "0", kImmutable, "mode of the unix socket; 0: as umask says"),
    Bool<&C::protected_mode>("protected-mode", "yes", kMutable, "without a password, serve this machine only"),
    Integer<&C::tcp_backlog>("tcp-backlog", 0, INT_MAX, "511", kImmutable, "length of the kernel's accept queue"),
    Integer<&C::tcp_keepalive>("tcp-keepalive", 0, INT_MAX, "300", kMutable, "seconds of silence before TCP asks; 0: never"),
    Integer<&C::timeout>("timeout", 0, INT_MAX, "0", kMutable, "close clients idle for so many seconds; 0: never"),
    Integer<&C::maxclients>("maxclients", 1, UINT_MAX, "10000", kMutable, "connections at once"),
    Integer<&C::max_new_connections_per_cycle>("max-new-connections-per-cycle", 1, 1000, "10", kMutable, "accepted in a row before clients are served"),
    Other<&C::proto_max_bulk_len>(K::kMemory, "proto-max-bulk-len", 1 << 20, kBulkBytesMax, "536870912", kMutable, "longest argument of a request, longest string"),
    Memory<&C::client_query_buffer_limit>("client-query-buffer-limit", 1 << 20, "1073741824", kMutable, "unparsed bytes before a client is closed"),
    Other<&C::client_output_buffer_limit>(K::kBufferLimits, "client-output-buffer-limit", 0, kMax, "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", kMutable, "unread reply bytes before a client is closed"),
    Other<&C::maxmemory_clients>(K::kMemoryOrPercent, "maxmemory-clients", -100, kMax, "0", kMutable, "memory of all clients together; 0: no limit"),

    // Process
    Integer<&C::threads>("threads", 0, 240, "0", kImmutable, "worker threads; 0: one a core"),
    Bool<&C::daemonize>("daemonize", "no", kImmutable, "go to the background"),
    Text<&C::pidfile>("pidfile", "", kImmutable, "file that holds the process id"),
    Enum<&C::supervised>("supervised", kSupervised, "no", kImmutable, "tell systemd or upstart when ready"),
    Enum<&C::loglevel>("loglevel", kLogLevels, "notice", kMutable, "least important message that is printed"),
    Text<&C::logfile>("logfile", "", kImmutable, "file for messages; empty: standard output"),
    Enum<&C::log_format>("log-format", kLogFormats, "legacy", kMutable, "lines for people, or JSON"),
    Bool<&C::syslog_enabled>("syslog-enabled", "no", kImmutable, "messages to syslog too"),
    Text<&C::syslog_ident>("syslog-ident", "cairn", kImmutable, "name in syslog"),
    Enum<&C::syslog_facility>("syslog-facility", kFacilities, "local0", kImmutable, "facility in syslog"),
    Bool<&C::crash_log_enabled>("crash-log-enabled", "yes", kMutable, "print where a crash happened"),
    Bool<&C::hide_user_data_from_log>("hide-user-data-from-log", "no", kMutable, "no user data in messages"),
    Bool<&C::set_proc_title>("set-proc-title", "yes", kImmutable, "show state in ps"),
    Other<&C::proc_title_template>(K::kTitleTemplate, "proc-title-template", 0, 0, "{title} {listen-addr} {server-mode}", 0, "what ps shows"),
    Enum<&C::oom_score_adj>("oom-score-adj", kOomScores, "no", kMutable, "tell the kernel's OOM killer our rank"),
    Other<&C::oom_score_adj_values>(K::kIntegers, "oom-score-adj-values", -2000, 2000, "0 200 800", kMutable, "rank of leader, follower, child"),
    Integer<&C::databases>("databases", 1, kDatabasesMax, "16", kImmutable, "number of SELECT's databases"),
    Other<&C::hz>(K::kClampedInteger, "hz", 1, 500, "10", kMutable, "background rounds a second"),
    Integer<&C::shutdown_timeout>("shutdown-timeout", 0, INT_MAX, "10", kMutable, "seconds that followers get to catch up"),
    Other<&C::shutdown_on_sigint>(K::kBits, "shutdown-on-sigint", 0, 15, "default", kMutable, "how SIGINT shuts down", kShutdownWords),
    Other<&C::shutdown_on_sigterm>(K::kBits, "shutdown-on-sigterm", 0, 15, "default", kMutable, "how SIGTERM shuts down", kShutdownWords),

    // Durability
    Text<&C::dir>("dir", ".", kProtected, "folder of all data files"),
    Bool<&C::appendonly>("appendonly", "yes", kMutable, "keep the journal"),
    Enum<&C::appendfsync>("appendfsync", kFsyncs, "everysec", kMutable, "when a write counts as done"),
    Other<&C::appenddirname>(K::kFileName, "appenddirname", 0, 0, "appendonlydir", kImmutable, "the journal's folder inside dir"),
    Other<&C::appendfilename>(K::kFileName, "appendfilename", 0, 0, "appendonly.aof", kImmutable, "Redis's append only file, imported at the first start"),
    Text<&C::encryption_key_file>("encryption-key-file", "", kImmutable, "master keys of encryption at rest"),
    Text<&C::backup_dir>("backup-dir", "", kProtected, "BACKUP writes inside this folder only; empty: inside dir"),
    Memory<&C::journal_buffer_size>("journal-buffer-size", 1 << 20, "67108864", kMutable, "journal bytes in memory before writers wait"),
    Memory<&C::journal_segment_size>("journal-segment-size", 1 << 20, "268435456", kMutable, "a journal file is closed at this size"),
    Integer<&C::journal_retention_time>("journal-retention-time", 0, kSecondsMax, "0", kMutable, "keep replaced journal files for so many seconds"),
    Memory<&C::journal_retention_bytes>("journal-retention-bytes", 0, "0", kMutable, "keep so many bytes of replaced journal files"),
    Bool<&C::restore_keep_expired>("restore-keep-expired", "yes", kMutable, "after --restore-to, keys that have expired since stay"),
    Bool<&C::aof_load_truncated>("aof-load-truncated", "yes", kMutable, "start after cutting a torn tail"),
    Integer<&C::auto_aof_rewrite_percentage>("auto-aof-rewrite-percentage", 0, INT_MAX, "100", kMutable, "compact when the journal has grown by so much"),
    Memory<&C::auto_aof_rewrite_min_size>("auto-aof-rewrite-min-size", 0, "67108864", kMutable, "and has at least this size"),
    Other<&C::save>(K::kSavePoints, "save", 0, INT_MAX, "3600 1 300 100 60 10000", kMutable, "snapshot after so many seconds and changes"),
    Other<&C::dbfilename>(K::kFileName, "dbfilename", 0, 0, "dump.rdb", kProtected, "name of the snapshot file"),
    Bool<&C::rdbcompression>("rdbcompression", "yes", kMutable, "compress strings in snapshots"),
    Bool<&C::rdbchecksum>("rdbchecksum", "yes", kImmutable, "checksum at the end of snapshots"),
    Bool<&C::stop_writes_on_bgsave_error>("stop-writes-on-bgsave-error", "yes", kMutable, "no writes while snapshots fail"),

    // Memory
    Memory<&C::maxmemory>("maxmemory", 0, "0", kMutable, "evict or refuse above this; 0: no limit"),
    Enum<&C::maxmemory_policy>("maxmemory-policy", kPolicies, "noeviction", kMutable, "what goes first"),
    Integer<&C::maxmemory_samples>("maxmemory-samples", 1, 64, "5", kMutable, "keys looked at for one eviction"),
    Integer<&C::maxmemory_eviction_tenacity>("maxmemory-eviction-tenacity", 0, 100, "10", kMutable, "how long a request may evict"),
    Integer<&C::lfu_log_factor>("lfu-log-factor", 0, INT_MAX, "10", kMutable, "accesses that fill the LFU counter"),
    Integer<&C::lfu_decay_time>("lfu-decay-time", 0, INT_MAX, "1", kMutable, "minutes for the LFU counter to lose one"),
    Integer<&C::active_expire_effort>("active-expire-effort", 1, 10, "1", kMutable, "CPU spent on finding expired keys"),

    // Encodings
    Integer<&C::hash_max_listpack_entries>("hash-max-listpack-entries", 0, kMax, "512", kMutable, "fields of a compact hash", "hash-max-ziplist-entries"),
    Memory<&C::hash_max_listpack_value>("hash-max-listpack-value", 0, "64", kMutable, "bytes of its longest field or value", "hash-max-ziplist-value"),
    Integer<&C::list_max_listpack_size>("list-max-listpack-size", INT_MIN, INT_MAX, "-2", kMutable, "elements of a list chunk; -1 to -5: 4 to 64 KiB", "list-max-ziplist-size"),
    Integer<&C::list_compress_depth>("list-compress-depth", 0, INT_MAX, "0", kMutable, "chunks at each end left uncompressed; 0: all"),
    Integer<&C::set_max_intset_entries>("set-max-intset-entries", 0, kMax, "512", kMutable, "members of a compact set of integers"),
    Integer<&C::set_max_listpack_entries>("set-max-listpack-entries", 0, kMax, "128", kMutable, "members of a compact set"),
    Memory<&C::set_max_listpack_value>("set-max-listpack-value", 0, "64", kMutable, "bytes of its longest member"),
    Integer<&C::zset_max_listpack_entries>("zset-max-listpack-entries", 0, kMax, "128", kMutable, "members of a compact sorted set", "zset-max-ziplist-entries"),
    Memory<&C::zset_max_listpack_value>("zset-max-listpack-value", 0, "64", kMutable, "bytes of its longest member", "zset-max-ziplist-value"),
    Memory<&C::hll_sparse_max_bytes>("hll-sparse-max-bytes", 0, "3000", kMutable, "a HyperLogLog is sparse up to this size"),
    Memory<&C::stream_node_max_bytes>("stream-node-max-bytes", 0, "4096", kMutable, "bytes of a stream node; 0: no limit"),
    Integer<&C::stream_node_max_entries>("stream-node-max-entries", 0, kMax, "100", kMutable, "entries of a stream node; 0: no limit"),

    // Observation
    Integer<&C::slowlog_log_slower_than>("slowlog-log-slower-than", -1, kMax, "10000", kMutable, "microseconds; 0: all, -1: none", "commandlog-execution-slower-than"),
    Integer<&C::slowlog_max_len>("slowlog-max-len", 0, kMax, "128", kMutable, "entries kept", "commandlog-slow-execution-max-len"),
    Integer<&C::commandlog_request_larger_than>("commandlog-request-larger-than", -1, kMax, "1048576", kMutable, "bytes of a request; 0: all, -1: none"),
    Integer<&C::commandlog_large_request_max_len>("commandlog-large-request-max-len", 0, kMax, "128", kMutable, "entries kept"),
    Integer<&C::commandlog_reply_larger_than>("commandlog-reply-larger-than", -1, kMax, "1048576", kMutable, "bytes of a reply; 0: all, -1: none"),
    Integer<&C::commandlog_large_reply_max_len>("commandlog-large-reply-max-len", 0, kMax, "128", kMutable, "entries kept"),
    Integer<&C::latency_monitor_threshold>("latency-monitor-threshold", 0, kMax, "0", kMutable, "milliseconds; 0: off"),
    Bool<&C::latency_tracking>("latency-tracking", "yes", kMutable, "a histogram a command"),
    Other<&C::latency_tracking_info_percentiles>(K::kPercentiles, "latency-tracking-info-percentiles", 0, 0, "50 99 99.9", kMutable, "which INFO shows"),
    Text<&C::audit_log>("audit-log", "", kMutable, "file that events are written to; empty: none"),
    Text<&C::audit_log_rules>("audit-log-rules", "", kMutable, "which events; empty: all"),
    Memory<&C::audit_log_max_size>("audit-log-max-size", 0, "0", kMutable, "bytes at which a new file begins; 0: never"),
    Integer<&C::audit_log_max_files>("audit-log-max-files", 1, 1000, "10", kMutable, "files kept besides the current one"),
    Integer<&C::metrics_port>("metrics-port", 0, 65535, "0", kMutable, "HTTP port for Prometheus; 0: none"),
    Other<&C::metrics_bind>(K::kWords, "metrics-bind", 0, 16, "127.0.0.1 -::1", kMutable, "addresses of metrics-port"),
    Other<&C::notify_keyspace_events>(K::kNotifyFlags, "notify-keyspace-events", 0, 0, "", kMutable, "classes of key events that are published"),
    Integer<&C::tracking_table_max_keys>("tracking-table-max-keys", 0, kMax, "1000000", kMutable, "keys remembered for client caches; 0: no limit"),

    // Scripts and dangerous commands
    Integer<&C::busy_reply_threshold>("busy-reply-threshold", 0, kMax, "5000", kMutable, "milliseconds before others hear BUSY", "lua-time-limit"),
    Enum<&C::enable_debug_command>("enable-debug-command", kProtectedActions, "no", kImmutable, "who may use DEBUG"),
    Enum<&C::enable_protected_configs>("enable-protected-configs", kProtectedActions, "no", kImmutable, "who may change protected options"),

    // Users
    Text<&C::requirepass>("requirepass", "", kSensitive, "password of the default user"),
    Text<&C::aclfile>("aclfile", "", kImmutable, "file of users"),
    Integer<&C::acllog_max_len>("acllog-max-len", 0, kMax, "128", 0, "refusals kept by ACL LOG"),
    Enum<&C::acl_pubsub_default>("acl-pubsub-default", kPubsubDefaults, "resetchannels", 0, "channels of a new user"),

    // Replication
    Other<&C::replicaof>(K::kReplicaOf, "replicaof", 0, 0, "", kImmutable, "leader to follow: HOST PORT", {}, "slaveof"),
    Text<&C::masteruser>("masteruser", "", kMutable | kSensitive, "user name at the leader"),
    Text<&C::masterauth>("masterauth", "", kMutable | kSensitive, "password at the leader"),
    Bool<&C::replica_serve_stale_data>("replica-serve-stale-data", "yes", kMutable, "answer reads while the link is down", "slave-serve-stale-data"),
    Other<&C::replica_read_only>(K::kFixed, "replica-read-only", 1, 1, "yes", kMutable, "a follower of Cairn is always read-only", {}, "slave-read-only"),
    Integer<&C::replica_priority>("replica-priority", 0, INT_MAX, "100", kMutable, "Sentinel promotes the lowest; 0: never", "slave-priority"),
    Bool<&C::replica_announced>("replica-announced", "yes", kMutable, "Sentinel may tell clients about it"),
    Text<&C::replica_announce_ip>("replica-announce-ip", "", kMutable, "address told to the leader", "slave-announce-ip"),
    Integer<&C::replica_announce_port>("replica-announce-port", 0, 65535, "0", kMutable, "port told to the leader", "slave-announce-port"),
    Bool<&C::repl_diskless_sync>("repl-diskless-sync", "yes", kMutable, "send the snapshot of a full sync while it is made"),
    Integer<&C::repl_ping_replica_period>("repl-ping-replica-period", 1, INT_MAX, "10", kMutable, "seconds between the leader's PINGs", "repl-ping-slave-period"),
    Integer<&C::repl_timeout>("repl-timeout", 1, INT_MAX, "60", kMutable, "seconds of silence that end the link"),
    Memory<&C::repl_backlog_size>("repl-backlog-size", 1, "1048576", kMutable, "least journal kept for followers"),
    Integer<&C::repl_backlog_ttl>("repl-backlog-ttl", 0, kSecondsMax, "3600", kMutable, "seconds after the last follower left"),
    Memory<&C::repl_retention_max_bytes>("repl-retention-max-bytes", 0, "0", kMutable, "most journal kept for a slow follower; 0: half of the free disk"),
    Integer<&C::min_replicas_to_write>("min-replicas-to-write", 0, INT_MAX, "0", kMutable, "refuse writes with fewer good followers", "min-slaves-to-write"),
    Integer<&C::min_replicas_max_lag>("min-replicas-max-lag", 0, INT_MAX, "10", kMutable, "seconds behind that are still good", "min-slaves-max-lag"),
    Integer<&C::min_replicas_durable>("min-replicas-durable", 0, INT_MAX, "0", kMutable, "followers that must have a write on disk before it is answered"),
    Integer<&C::min_replicas_durable_timeout>("min-replicas-durable-timeout", 0, INT_MAX, "10000", kMutable, "milliseconds until a reply held for that is given up; 0: never"),
    Other<&C::cluster_enabled>(K::kFixed, "cluster-enabled", 0, 0, "no", kImmutable, "cluster mode is not supported yet"),

    // TLS
    Integer<&C::tls_port>("tls-port", 0, 65535, "0", kMutable, "TLS port; 0 listens on none"),
    Text<&C::tls_cert_file>("tls-cert-file", "", kMutable, "the server's certificate"),
    Text<&C::tls_key_file>("tls-key-file", "", kMutable, "its key"),
    Text<&C::tls_key_file_pass>("tls-key-file-pass", "", kSensitive, "password of the key"),
    Text<&C::tls_dh_params_file>("tls-dh-params-file", "", kMutable, "Diffie-Hellman parameters"),
    Text<&C::tls_client_cert_file>("tls-client-cert-file", "", kMutable, "certificate for outgoing connections"),
    Text<&C::tls_client_key_file>("tls-client-key-file", "", kMutable, "its key"),
    Text<&C::tls_client_key_file_pass>("tls-client-key-file-pass", "", kSensitive, "password of the key"),
    Text<&C::tls_ca_cert_file>("tls-ca-cert-file", "", kMutable, "authorities that sign clients"),
    Text<&C::tls_ca_cert_dir>("tls-ca-cert-dir", "", kMutable, "folder of such authorities"),
    Enum<&C::tls_auth_clients>("tls-auth-clients", kTlsAuth, "yes", kMutable, "must clients show a certificate"),
    Enum<&C::tls_auth_clients_user>("tls-auth-clients-user", kTlsUsers, "off", kMutable, "which part of a client's certificate names its user"),
    Bool<&C::tls_replication>("tls-replication", "no", kMutable, "TLS to the leader"),
    Text<&C::tls_protocols>("tls-protocols", "", kMutable, "versions, as \"TLSv1.2 TLSv1.3\""),
    Text<&C::tls_ciphers>("tls-ciphers", "", kMutable, "ciphers up to TLS 1.2"),
    Text<&C::tls_ciphersuites>("tls-ciphersuites", "", kMutable, "ciphers of TLS 1.3"),
    Bool<&C::tls_prefer_server_ciphers>("tls-prefer-server-ciphers", "no", kMutable, "the server's order of ciphers"),
    Bool<&C::tls_session_caching>("tls-session-caching", "yes", kMutable, "let clients resume sessions"),
    Integer<&C::tls_session_cache_size>("tls-session-cache-size", 0, INT_MAX, "20480", kMutable, "sessions kept"),
    Integer<&C::tls_session_cache_timeout>("tls-session-cache-timeout", 0, INT_MAX, "300", kMutable, "seconds they live"),
    Integer<&C::max_new_tls_connections_per_cycle>("max-new-tls-connections-per-cycle", 1, 1000, "1", kMutable, "the same of tls-port"),

    // Known, without meaning here: accepted so that a redis.conf starts Cairn unchanged. The help
    // says why nothing hangs on them.
    Integer("io-threads", 1, 128, "1", kImmutable | kInert, "see threads: every worker reads, runs and writes"),
    Bool("io-threads-do-reads", "no", kImmutable | kInert, "see threads"),
    Bool("no-appendfsync-on-rewrite", "no", kInert, "compaction never delays the journal's syncs"),
    Bool("aof-use-rdb-preamble", "yes", kInert, "a compacted journal always starts with a snapshot"),
    Bool("aof-timestamp-enabled", "no", kInert, "journal blocks always carry their time"),
    Bool("aof-disable-auto-gc", "no", kInert, "see journal-retention-time"),
    Bool("aof-rewrite-incremental-fsync", "yes", kInert, "snapshots are always synced as they grow"),
    Bool("rdb-save-incremental-fsync", "yes", kInert, "snapshots are always synced as they grow"),
    Enum("repl-diskless-load", kDisklessLoads, "disabled", kInert, "a follower without keys always loads what comes at once, others keep it as a file first"),
    Enum("propagation-error-behavior", kPropagationErrors, "ignore", kInert, "a command that fails on a follower always ends the link"),
    Enum("sanitize-dump-payload", kSanitize, "no", kInert, "every value is always checked in depth"),
    Bool("lazyfree-lazy-eviction", "no", kInert, "large values are always freed in the background"),
    Bool("lazyfree-lazy-expire", "no", kInert, "large values are always freed in the background"),
    Bool("lazyfree-lazy-server-del", "no", kInert, "large values are always freed in the background"),
    Bool("lazyfree-lazy-user-del", "no", kInert, "large values are always freed in the background"),
    Bool("lazyfree-lazy-user-flush", "no", kInert, "large values are always freed in the background"),
    Bool("replica-lazy-flush", "no", kInert, "the old data always goes in the background", "slave-lazy-flush"),
    Bool("dynamic-hz", "yes", kInert, "the price of a round does not grow with the clients"),
    Bool("always-show-logo", "no", kImmutable | kInert, "there is no logo"),
    Bool("rdb-del-sync-files", "no", kInert, "the file of a full sync always goes with the last who wants it"),
    Bool("replica-ignore-maxmemory", "yes", kInert, "a follower evicts nothing but what its leader does", "slave-ignore-maxmemory"),
    Bool("replica-ignore-disk-write-errors", "no", kInert, "a follower treats a failing disk as a leader does"),
    Integer("repl-diskless-sync-delay", 0, INT_MAX, "5", kInert, "followers that come late share the snapshot that is being made"),
    Integer("repl-diskless-sync-max-replicas", 0, INT_MAX, "0", kInert, "nobody waits for more followers"),
    Bool("repl-disable-tcp-nodelay", "no", kInert, "the stream is always sent a millisecond's writes at a time"),
    Enum("enable-module-command", kProtectedActions, "no", kImmutable | kInert, "there are no modules"),
    Bool("activerehashing", "yes", kInert, "tables always grow in small steps"),
    Bool("activedefrag", "no", kInert, "there is no defragmentation"),
    Memory("active-defrag-ignore-bytes", 1, "104857600", kInert, "there is no defragmentation"),
    Integer("active-defrag-threshold-lower", 0, 1000, "10", kInert, "there is no defragmentation"),
    Integer("active-defrag-threshold-upper", 0, 1000, "100", kInert, "there is no defragmentation"),
    Integer("active-defrag-cycle-min", 1, 99, "1", kInert, "there is no defragmentation"),
    Integer("active-defrag-cycle-max", 1, 99, "25", kInert, "there is no defragmentation"),
    Integer("active-defrag-max-scan-fields", 1, kMax, "1000", kInert, "there is no defragmentation"),
    Bool("jemalloc-bg-thread", "yes", kInert, "set MALLOC_CONF in the environment instead"),
    Bool("disable-thp", "yes", kImmutable | kInert, "nothing forks, so huge pages do no harm"),
    Bool("crash-memcheck-enabled", "yes", kInert, "a crash ends at once"),
    Text("server_cpulist", "", kImmutable | kInert, "use taskset"),
    Text("bio_cpulist", "", kImmutable | kInert, "use taskset"),
    Text("aof_rewrite_cpulist", "", kImmutable | kInert, "nothing forks"),
    Text("bgsave_cpulist", "", kImmutable | kInert, "nothing forks"),
    Text("ignore-warnings", "", kInert, "there are none to ignore"),
    Integer("socket-mark-id", 0, kMax, "0", kImmutable | kInert, "sockets carry no mark"),
    Text("locale-collate", "", kInert, "SORT ALPHA compares bytes"),
    Text("cluster-config-file", "nodes.conf", kImmutable | kInert, "no cluster mode"),
    Integer("cluster-port", 0, 65535, "0", kImmutable | kInert, "no cluster mode"),
    Integer("cluster-node-timeout", 0, kMax, "15000", kInert, "no cluster mode"),
    Text("cluster-announce-ip", "", kInert, "no cluster mode"),
    Text("cluster-announce-hostname", "", kInert, "no cluster mode"),
    Text("cluster-announce-human-nodename", "", kInert, "no cluster mode"),
    Integer("cluster-announce-port", 0, 65535, "0", kInert, "no cluster mode"),
    Integer("cluster-announce-tls-port", 0, 65535, "0", kInert, "no cluster mode"),
    Integer("cluster-announce-bus-port", 0, 65535, "0", kInert, "no cluster mode"),
    Enum("cluster-preferred-endpoint-type", kEndpointTypes, "ip", kInert, "no cluster mode"),
    Memory("cluster-link-sendbuf-limit", 0, "0", kInert, "no cluster mode"),
    Integer("cluster-migration-barrier", 0, INT_MAX, "1", kInert, "no cluster mode"),
    Integer("cluster-replica-validity-factor", 0, INT_MAX, "10", kInert, "no cluster mode", "cluster-slave-validity-factor"),
    Bool("cluster-replica-no-failover", "no", kInert, "no cluster mode", "cluster-slave-no-failover"),
    Bool("cluster-require-full-coverage", "yes", kInert, "no cluster mode"),
    Bool("cluster-allow-reads-when-down", "no", kInert, "no cluster mode"),
    Bool("cluster-allow-pubsubshard-when-down", "yes", kInert, "no cluster mode"),
    Bool("cluster-allow-replica-migration", "yes", kInert, "no cluster mode"),
    Bool("tls-cluster", "no", kInert, "no cluster mode"),
};
// clang-format on

}  // namespace

std::span<const Option> Options() { return kOptions; }

const Option* FindOption(std::string_view name) {
  static const std::map<std::string, const Option*, std::less<>> kByName = [] {
    std::map<std::string, const Option*, std::less<>> map;
    for (const Option& option : kOptions) {
      map.emplace(option.name, &option);
      if (option.alias != nullptr) map.emplace(option.alias, &option);
    }
    return map;
  }();
  auto found = kByName.find(ToLower(name));
  return found == kByName.end() ? nullptr : found->second;
}

Config::Config() : inert(new Shared<std::string>[std::size(kOptions)]) {
  for (const Option& option : kOptions) StoreOption(option, option.fallback, this);
}

Config::~Config() = default;

}  // namespace cairn
