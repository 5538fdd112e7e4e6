// SPDX-License-Identifier: BSD-3-Clause
//
// INFO: every section Redis has, with figures that are measured here; a field whose subject does
// not exist is absent, not invented.
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>

#include "base/memory.h"
#include "base/version.h"
#include "exec/audit_log.h"
#include "exec/memory_report.h"
#include "script/registry.h"
#include "server/departure.h"
#include "server/info_replication.h"
#include "server/persistence.h"
#include "server/server.h"
#include "server/tls_service.h"

namespace cairn {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

std::string Human(uint64_t bytes) {
  char text[32];
  const double b = static_cast<double>(bytes);
  if (bytes < 1024) {
    snprintf(text, sizeof text, "%lluB", static_cast<unsigned long long>(bytes));
  } else if (bytes < 1024 * 1024) {
    snprintf(text, sizeof text, "%.2fK", b / 1024);
  } else if (bytes < 1024ull * 1024 * 1024) {
    snprintf(text, sizeof text, "%.2fM", b / (1024 * 1024));
  } else {
    snprintf(text, sizeof text, "%.2fG", b / (1024.0 * 1024 * 1024));
  }
  return text;
}

double Seconds(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
}

}  // namespace

class InfoWriter {
 public:
  explicit InfoWriter(Server& server) : s_(server), e_(*server.engine_), c_(server.config_) {}

  std::string Write(const std::vector<std::string>& asked) {
    struct Section {
      const char* name;
      void (InfoWriter::*write)();
      bool in_default;
    };
    static constexpr Section kSections[] = {
        {"server", &InfoWriter::WriteServer, true},
        {"clients", &InfoWriter::WriteClients, true},
        {"memory", &InfoWriter::WriteMemory, true},
        {"persistence", &InfoWriter::WritePersistence, true},
        {"stats", &InfoWriter::WriteStats, true},
        {"replication", &InfoWriter::WriteReplication, true},
        {"cpu", &InfoWriter::WriteCpu, true},
        {"modules", &InfoWriter::WriteModules, true},
        {"commandstats", &InfoWriter::WriteCommandStats, false},
        {"errorstats", &InfoWriter::WriteErrorStats, true},
        {"latencystats", &InfoWriter::WriteLatencyStats, false},
        {"cluster", &InfoWriter::WriteCluster, true},
        {"keyspace", &InfoWriter::WriteKeyspace, true},
    };
    const auto wants = [&](const char* name) {
      return std::find(asked.begin(), asked.end(), name) != asked.end();
    };
    const bool all = wants("all") || wants("everything");
    const bool defaults = asked.empty() || wants("default");
    for (const Section& section : kSections) {
      if (!all && !(defaults && section.in_default) && !wants(section.name)) continue;
      if (!text_.empty()) text_ += "\r\n";
      (this->*section.write)();
    }
    return std::move(text_);
  }

 private:
  void Line(const char* format, ...) __attribute__((format(printf, 2, 3))) {
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    text_ += line;
    text_ += "\r\n";
  }
  void Number(const char* name, uint64_t value) {
    Line("%s:%llu", name, static_cast<unsigned long long>(value));
  }

  void Difference(const char* name, size_t a, size_t b) {
    Line("%s:%lld", name, static_cast<long long>(a) - static_cast<long long>(b));
  }
  static double Ratio(size_t a, size_t b) {
    return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
  }

  void WriteServer() {
    utsname system;
    uname(&system);
    const int64_t uptime = (e_.clock.MonotonicMs() - s_.start_time_ms()) / 1000;
    Line("# Server");
    Line("redis_version:%s", kRedisVersion);
    Line("cairn_version:%s", kVersion);
    Line("redis_mode:standalone");
    Line("os:%s %s %s", system.sysname, system.release, system.machine);
    Line("arch_bits:64");
    Line("monotonic_clock:POSIX clock_gettime");
    Line("multiplexing_api:epoll");
    Line("gcc_version:%d.%d.%d", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
    Line("process_id:%d", getpid());
    Line("run_id:%s", e_.run_id.c_str());
    Line("tcp_port:%d", static_cast<int>(c_.port()));
    Number("server_time_usec", static_cast<uint64_t>(e_.clock.WallUs()));
    Number("uptime_in_seconds", static_cast<uint64_t>(uptime));
    Number("uptime_in_days", static_cast<uint64_t>(uptime / 86400));
    Number("hz", static_cast<uint64_t>(c_.hz()));
    Number("configured_hz", static_cast<uint64_t>(c_.hz()));
    Number("lru_clock", static_cast<uint64_t>(e_.clock.WallMs() / 1000) & ((1 << 24) - 1));
    Line("executable:%s", Executable().c_str());
    Line("config_file:%s", s_.store_.file().c_str());
    Number("io_threads_active", s_.workers() > 1);
    Number("worker_threads", s_.workers());
    if (const int64_t left = s_.departure_->milliseconds_left(); left >= 0)
      Number("shutdown_in_milliseconds", static_cast<uint64_t>(left));
  }

  static std::string Executable() {
    char path[4096];
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    return n > 0 ? std::string(path, static_cast<size_t>(n)) : "";
  }

  void WriteClients() {
    uint64_t blocked = 0, pubsub = 0, watching = 0, tracking = 0, keys_watched = 0;
    size_t largest_in = 0, largest_out = 0;
    for (const auto& client : s_.Clients()) {
      const uint32_t flags = client->flags.load(kRelaxed);
      blocked += (flags & kClientBlocked) != 0;
      pubsub += (flags & kClientPubsub) != 0;
      tracking += (flags & kClientTracking) != 0;
      const int watches = client->watches.load(kRelaxed);
      watching += watches > 0;
      keys_watched += static_cast<uint64_t>(watches);
      largest_in = std::max<size_t>(largest_in, client->query_capacity.load(kRelaxed));
      largest_out = std::max<size_t>(largest_out, client->output_memory.load(kRelaxed));
    }
    Line("# Clients");
    Number("connected_clients", s_.client_count());
    Number("cluster_connections", 0);
    Number("maxclients", static_cast<uint64_t>(c_.maxclients()));
    Number("client_recent_max_input_buffer", largest_in);
    Number("client_recent_max_output_buffer", largest_out);
    Number("blocked_clients", blocked);
    Number("tracking_clients", tracking);
    Number("pubsub_clients", pubsub);
    Number("watching_clients", watching);
    Number("total_watched_keys", keys_watched);
    const WaitCounters& waits = s_.engine().keyspace.wait_counters();
    Number("total_blocking_keys", static_cast<uint64_t>(waits.keys.load(kRelaxed)));
    Number("total_blocking_keys_on_nokey",
           static_cast<uint64_t>(waits.keys_on_absence.load(kRelaxed)));
  }

  void WriteMemory() {
    const MemoryReport report = ReadMemoryReport(e_);
    const MemoryFigures& figures = report.figures;
    const size_t overhead = report.Overhead(0);
    Line("# Memory");
    Number("used_memory", figures.allocated);
    Line("used_memory_human:%s", Human(figures.allocated).c_str());
    Number("used_memory_rss", figures.rss);
    Line("used_memory_rss_human:%s", Human(figures.rss).c_str());
    Number("used_memory_peak", report.peak);
    Line("used_memory_peak_human:%s", Human(report.peak).c_str());
    Line("used_memory_peak_perc:%.2f%%", 100 * Ratio(figures.allocated, report.peak));
    // Without hash tables, which MEMORY STATS counts under a lock.
    Number("used_memory_overhead", overhead);
    Number("used_memory_startup", report.startup);
    Number("used_memory_dataset", report.Dataset(overhead));
    Line("used_memory_dataset_perc:%.2f%%", report.DatasetPercent(overhead));
    Number("allocator_allocated", figures.allocated);
    Number("allocator_active", figures.active);
    Number("allocator_resident", figures.resident);
    Number("total_system_memory", SystemMemoryBytes());
    Line("total_system_memory_human:%s", Human(SystemMemoryBytes()).c_str());
    Number("maxmemory", static_cast<uint64_t>(c_.maxmemory()));
    Line("maxmemory_human:%s", Human(static_cast<uint64_t>(c_.maxmemory())).c_str());
    const std::string_view policy_name[] = {"maxmemory-policy"};
    Line("maxmemory_policy:%s", s_.store_.Get(policy_name).front().second.c_str());
    ScriptRegistry& scripts = *s_.engine_->scripts;
    const auto libraries = scripts.functions().Current();
    Number("number_of_cached_scripts", scripts.size());
    Number("number_of_functions", libraries->function_count());
    Number("number_of_libraries", libraries->all().size());
    Line("allocator_frag_ratio:%.2f", Ratio(figures.active, figures.allocated));
    Number("allocator_frag_bytes", figures.active - figures.allocated);
    Line("allocator_rss_ratio:%.2f", Ratio(figures.resident, figures.active));
    Difference("allocator_rss_bytes", figures.resident, figures.active);
    Line("rss_overhead_ratio:%.2f", Ratio(figures.rss, figures.resident));
    Difference("rss_overhead_bytes", figures.rss, figures.resident);
    Line("mem_fragmentation_ratio:%.2f", report.Fragmentation());
    Difference("mem_fragmentation_bytes", figures.rss, figures.allocated);
    Number("mem_clients_normal", report.clients_normal);
    Number("mem_clients_slaves", report.clients_replicas);
    Number("mem_aof_buffer", report.journal_buffer);
    Line("mem_allocator:%s", AllocatorName().c_str());
    Number("mem_not_counted_for_evict", e_.memory.NotCounted());
    Number("lazyfree_pending_objects", e_.lazy_free.pending());
    Number("lazyfreed_objects", e_.lazy_free.freed());
  }

  static const char* OkOrErr(bool ok) { return ok ? "ok" : "err"; }

  void WritePersistence() {
    const bool journal = e_.journal_kept;
    const Persistence::Figures f = s_.persistence().figures();
    const auto& p = f.progress;
    Line("# Persistence");
    const bool loading = e_.modes.Has(kModeLoading);
    Number("loading", loading);
    Number("async_loading", 0);
    // Nothing forks, so nothing is copied on write; what a snapshot holds beside the data is this.
    Number("current_cow_peak", 0);
    Number("current_cow_size", 0);
    Number("current_cow_size_age", 0);
    Line("current_fork_perc:%.2f", p.keys_total == 0 ? 0.0
                                                     : 100.0 * static_cast<double>(p.keys_done) /
                                                           static_cast<double>(p.keys_total));
    Number("current_save_keys_processed", p.keys_done);
    Number("current_save_keys_total", p.keys_total);
    Number("current_save_bytes", p.file_bytes);
    const int64_t save_ms = p.started_ms == 0 ? 0 : e_.clock.MonotonicMs() - p.started_ms;
    Number("current_save_keys_per_sec", PerSecond(p.keys_done, save_ms));
    Number("current_save_bytes_per_sec", PerSecond(p.file_bytes, save_ms));
    Line("current_save_eta_seconds:%lld", static_cast<long long>(SaveEtaSeconds(p, save_ms)));
    Number("current_save_preimage_bytes", p.preimage_bytes);
    Number("current_save_detached_bytes", p.detached_bytes);
    Number("rdb_changes_since_last_save", static_cast<uint64_t>(e_.UnsavedChanges()));
    Number("rdb_bgsave_in_progress", f.saving);
    Line("rdb_last_save_time:%lld", static_cast<long long>(e_.snapshots->LastSaveSeconds()));
    Line("rdb_last_bgsave_status:%s", OkOrErr(f.save_ok));
    Line("rdb_last_bgsave_time_sec:%lld", static_cast<long long>(f.last_save_time_s));
    Line("rdb_current_bgsave_time_sec:%lld", static_cast<long long>(f.saving ? f.current_s : -1));
    Number("rdb_saves", f.saves);
    Number("rdb_last_cow_size", 0);
    Number("rdb_last_load_keys_expired", 0);
    Number("rdb_last_load_keys_loaded", f.loaded_keys);
    Number("aof_enabled", journal);
    Number("aof_rewrite_in_progress", f.rewriting);
    Number("aof_rewrite_scheduled", f.rewrite_scheduled);
    Line("aof_last_rewrite_time_sec:%lld", static_cast<long long>(f.last_rewrite_time_s));
    Line("aof_current_rewrite_time_sec:%lld",
         static_cast<long long>(f.rewriting ? f.current_s : -1));
    Line("aof_last_bgrewrite_status:%s", OkOrErr(f.rewrite_ok));
    Number("aof_rewrites", f.rewrites);
    Number("aof_rewrites_consecutive_failures", f.rewrite_failures_in_a_row);
    Line("aof_last_write_status:%s", OkOrErr(!journal || e_.journal->state() == JournalState::kOk));
    Number("aof_last_cow_size", 0);
    Number("module_fork_in_progress", 0);
    Number("module_fork_last_cow_size", 0);
    const Backups::Figures backup = s_.persistence().backup_figures();
    Number("backup_in_progress", backup.running);
    Number("backups", backup.done);
    Line("backup_last_status:%s", OkOrErr(backup.last_ok));
    Number("backup_last_time", static_cast<uint64_t>(backup.last_ms / 1000));
    Number("backup_last_lsn", backup.last_lsn);
    Number("backup_last_bytes", backup.last_bytes);
    Number("backup_last_keys", backup.last_keys);
    if (const Lsn restored_to = s_.restored_to_.load(kRelaxed); restored_to != kLsnMax) {
      Number("restored_to_lsn", restored_to);
      Number("restore_keeps_expired", e_.kept_until_ms.load(kRelaxed) != 0);
    }
    if (loading) WriteLoading();
    if (!journal) return;
    // Both count what is uncompressed: the stream behind the base, and the base as an RDB.
    Number("aof_current_size", f.base_bytes + f.log_bytes);
    Number("aof_base_size", f.base_bytes);
    Number("aof_pending_rewrite", 0);
    Number("aof_buffer_length", e_.journal->tail() - e_.journal->written());
    Number("aof_pending_bio_fsync", 0);
    Number("aof_delayed_fsync", e_.journal->late_syncs());
    const Manifest manifest = e_.journal->manifest();
    Number("journal_base_lsn", manifest.base_lsn);
    Number("journal_restorable_from_lsn", manifest.RestorableFrom());
    Number("journal_replaced_bytes", manifest.ReplacedBytes());
    Number("journal_lsn", e_.journal->tail());
    Number("journal_written_lsn", e_.journal->written());
    Number("journal_durable_lsn", e_.journal->durable());
  }

  static uint64_t PerSecond(uint64_t count, int64_t ms) {
    return ms <= 0 ? 0 : count * 1000 / static_cast<uint64_t>(ms);
  }

  // Of the keys that the walk still owes, at its rate so far; -1 while none is under way.
  static int64_t SaveEtaSeconds(const Snapshotter::Progress& p, int64_t ms) {
    if (p.started_ms == 0) return -1;
    const uint64_t left = p.keys_total - std::min(p.keys_total, p.keys_done);
    return static_cast<int64_t>(static_cast<double>(ms) / 1000 * static_cast<double>(left) /
                                static_cast<double>(std::max<uint64_t>(p.keys_done, 1)));
  }

  void WriteLoading() {
    const LoadingProgress& loading = e_.loading;
    Number("loading_start_time", static_cast<uint64_t>(loading.start_ms() / 1000));
    Number("loading_total_bytes", loading.total_bytes());
    Number("loading_rdb_used_mem", loading.memory_bytes());
    Number("loading_loaded_bytes", loading.loaded_bytes());
    Line("loading_loaded_perc:%.2f", loading.Percent());
    Number("loading_eta_seconds",
           static_cast<uint64_t>(loading.EtaSeconds(e_.clock.WallMs())));
  }

  static double Kilobytes(const Rate& rate) {
    return static_cast<double>(rate.PerSecond()) / 1024;
  }

  void WriteStats() {
    const Server::NetTotals net = s_.net_totals();
    const auto sum = [&](Stat stat) { return e_.statistics.Sum(stat); };
    Line("# Stats");
    Number("total_connections_received", sum(Stat::kConnections));
    Number("total_commands_processed", sum(Stat::kCommands));
    Number("instantaneous_ops_per_sec", s_.commands_rate_.PerSecond());
    Number("total_net_input_bytes", net.bytes_in);
    Number("total_net_output_bytes", net.bytes_out);
    Line("instantaneous_input_kbps:%.2f", Kilobytes(s_.input_rate_));
    Line("instantaneous_output_kbps:%.2f", Kilobytes(s_.output_rate_));
    Number("total_forks", 0);
    Number("latest_fork_usec", 0);
    Number("rejected_connections", sum(Stat::kRejectedConnections));
    Number("expired_subkeys", sum(Stat::kExpiredFields));
    Number("acl_access_denied_auth", e_.acl_log.total(AclDenial::kAuth));
    Number("acl_access_denied_cmd", e_.acl_log.total(AclDenial::kCommand));
    Number("acl_access_denied_key", e_.acl_log.total(AclDenial::kKey));
    Number("acl_access_denied_channel", e_.acl_log.total(AclDenial::kChannel));
    Number("acl_access_denied_tls_cert", s_.tls().unknown_users());
    Number("tls_handshakes_failed", s_.tls().failed_handshakes());
    Number("expired_keys", sum(Stat::kExpired));
    Number("evicted_keys", sum(Stat::kEvicted));
    Number("evicted_clients", e_.evicted_clients.load(kRelaxed));
    Number("evicted_scripts", s_.engine_->scripts->evicted());
    Number("keyspace_hits", sum(Stat::kHits));
    Number("keyspace_misses", sum(Stat::kMisses));
    Number("pubsub_channels", e_.pubsub.Topics(PubsubKind::kChannel));
    Number("pubsub_patterns", e_.pubsub.Topics(PubsubKind::kPattern));
    Number("pubsubshard_channels", e_.pubsub.Topics(PubsubKind::kShard));
    Number("tracking_total_keys", e_.tracking.key_count());
    Number("tracking_total_items", e_.tracking.item_count());
    Number("tracking_total_prefixes", e_.tracking.prefix_count());
    Number("client_output_buffer_limit_disconnections", sum(Stat::kOutputLimitDisconnects));
    if (const AuditLog& audit = *e_.audit; audit.on()) {
      Number("audit_log_events", audit.written());
      Number("audit_log_dropped", audit.dropped());
      Number("audit_log_write_errors", audit.failures());
    }
    Number("total_error_replies", sum(Stat::kErrors));
    Number("total_reads_processed", net.reads);
    Number("total_writes_processed", net.writes);
  }

  void WriteReplication() {
    Line("# Replication");
    text_ += ReplicationInfo(e_);
  }

  void WriteCpu() {
    rusage own, children;
    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    Line("# CPU");
    Line("used_cpu_sys:%.6f", Seconds(own.ru_stime));
    Line("used_cpu_user:%.6f", Seconds(own.ru_utime));
    Line("used_cpu_sys_children:%.6f", Seconds(children.ru_stime));
    Line("used_cpu_user_children:%.6f", Seconds(children.ru_utime));
  }

  void WriteModules() { Line("# Modules"); }

  void WriteCommandStats() {
    Line("# Commandstats");
    const double rate = TicksPerMicrosecond();
    for (const auto& command : e_.registry.all()) {
      const auto sum = e_.statistics.SumCommand(static_cast<size_t>(command->id));
      if (sum.calls == 0 && sum.rejected == 0 && sum.failed == 0) continue;
      const double micros = static_cast<double>(sum.ticks) / rate;
      Line("cmdstat_%s:calls=%llu,usec=%.0f,usec_per_call=%.2f,rejected_calls=%llu,failed_calls=%llu",
           command->full_name.c_str(), static_cast<unsigned long long>(sum.calls), micros,
           sum.calls == 0 ? 0.0 : micros / static_cast<double>(sum.calls),
           static_cast<unsigned long long>(sum.rejected),
           static_cast<unsigned long long>(sum.failed));
    }
  }

  // Scripts word errors too: what would end a name or a line gives way, as in Redis.
  void WriteErrorStats() {
    Line("# Errorstats");
    for (const auto& [code, count] : e_.statistics.Errors()) {
      std::string name = code;
      for (char& c : name)
        if (c == '#' || c == ':' || c == '\n' || c == '\r') c = '_';
      Line("errorstat_%s:count=%llu", name.c_str(), static_cast<unsigned long long>(count));
    }
  }

  void WriteLatencyStats() {
    Line("# Latencystats");
    if (!c_.latency_tracking()) return;
    const double rate = TicksPerMicrosecond();
    const std::vector<double> percentiles = c_.latency_tracking_info_percentiles();
    for (const auto& command : e_.registry.all()) {
      const LatencySum sum = e_.statistics.SumLatencies(static_cast<size_t>(command->id));
      if (sum.count() == 0) continue;
      std::string figures;
      for (double percent : percentiles) {
        char figure[64];
        snprintf(figure, sizeof figure, "%sp%.12g=%.3f", figures.empty() ? "" : ",", percent,
                 static_cast<double>(sum.Percentile(percent)) / rate);
        figures += figure;
      }
      text_ += "latency_percentiles_usec_" + command->full_name + ":" + figures + "\r\n";
    }
  }

  void WriteCluster() {
    Line("# Cluster");
    Number("cluster_enabled", 0);
  }

  void WriteKeyspace() {
    Line("# Keyspace");
    for (int db = 0; db < e_.keyspace.databases(); ++db) {
      const size_t keys = e_.keyspace.Size(db);
      if (keys == 0) continue;
      Line("db%d:keys=%zu,expires=%zu,avg_ttl=%lld,subexpiry=%zu", db, keys,
           e_.keyspace.VolatileSize(db), static_cast<long long>(e_.keyspace.MeanTtlMs(db)),
           e_.keyspace.FieldExpiriesSize(db));
    }
  }

  Server& s_;
  Engine& e_;
  const Config& c_;
  std::string text_;
};

std::string Server::Info(const std::vector<std::string>& sections) {
  return InfoWriter(*this).Write(sections);
}

}  // namespace cairn
