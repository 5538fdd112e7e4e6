// SPDX-License-Identifier: BSD-3-Clause
//
// OBJECT and MEMORY: what is known of a key's value and of the heap. None of them touches the
// access clock.
#include "base/memory.h"
#include "commands/families.h"
#include "commands/help.h"
#include "exec/access_clock.h"
#include "exec/args.h"
#include "exec/context.h"
#include "exec/memory_report.h"

namespace cairn {
namespace {

// OBJECT ENCODING key  O(1)
void ObjectEncodingOf(Context& ctx) {
  const Entry* entry = ctx.Find(ctx.arg(2), Context::Touch::kNo);
  if (entry == nullptr) return ctx.reply().Null();
  ctx.reply().Bulk(EncodingName(entry->encoding()));
}

// OBJECT REFCOUNT key  O(1)
void ObjectRefcount(Context& ctx) {
  const Entry* entry = ctx.Find(ctx.arg(2), Context::Touch::kNo);
  if (entry == nullptr) return ctx.reply().Null();
  ctx.reply().Integer(1);
}

// OBJECT IDLETIME key  O(1)
void ObjectIdleTime(Context& ctx) {
  const Entry* entry = ctx.Find(ctx.arg(2), Context::Touch::kNo);
  if (entry == nullptr) return ctx.reply().Null();
  if (UsesLfu(ctx.config()))
    return ctx.Error(
        "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when "
        "switching between policies at runtime LRU and LFU data will take some time to adjust.");
  ctx.reply().Integer(IdleSeconds(entry->access(), ctx.now_ms()));
}

// OBJECT FREQ key  O(1)
void ObjectFreq(Context& ctx) {
  const Entry* entry = ctx.Find(ctx.arg(2), Context::Touch::kNo);
  if (entry == nullptr) return ctx.reply().Null();
  if (!UsesLfu(ctx.config()))
    return ctx.Error(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note "
        "that when switching between policies at runtime LRU and LFU data will take some time to "
        "adjust.");
  ctx.reply().Integer(LfuCounter(ctx.config(), entry->access(), ctx.now_ms()));
}

void ObjectHelp(Context& ctx) {
  static constexpr std::string_view kLines[] = {
      "ENCODING <key>",
      "    Return the kind of internal representation used in order to store the value",
      "    associated with a <key>.",
      "FREQ <key>",
      "    Return the access frequency index of the <key>. The returned integer is",
      "    proportional to the logarithm of the recent access frequency of the key.",
      "IDLETIME <key>",
      "    Return the idle time of the <key>, that is the approximated number of",
      "    seconds elapsed since the last access to the key.",
      "REFCOUNT <key>",
      "    Return the number of references of the value associated with the specified",
      "    <key>."};
  ReplyHelp(ctx, "OBJECT", kLines);
}

// MEMORY USAGE key [SAMPLES count]  O(samples)
void MemoryUsage(Context& ctx) {
  int64_t samples = 5;
  Args args(ctx, 3);
  while (args.More()) {
    if (args.Take("SAMPLES", 1)) {
      samples = args.Int();
      if (!args.failed() && samples < 0) args.Fail(errors::kSyntax);
    } else {
      args.Fail(errors::kSyntax);
    }
  }
  if (!args.Done()) return;
  const Entry* entry = ctx.Find(ctx.arg(2), Context::Touch::kNo);
  if (entry == nullptr) return ctx.reply().Null();
  ctx.reply().Integer(static_cast<int64_t>(entry->MemoryUsage(static_cast<size_t>(samples))));
}

// MEMORY STATS; under All, as it looks at every table
void MemoryStats(Context& ctx) {
  Engine& engine = ctx.engine();
  const MemoryReport report = ReadMemoryReport(engine);
  const MemoryFigures& figures = report.figures;
  ReplyWriter& reply = ctx.reply();
  const auto number = [&](std::string_view name, size_t value) {
    reply.Bulk(name);
    reply.Integer(static_cast<int64_t>(value));
  };
  const auto ratio = [&](std::string_view name, size_t part, size_t whole, double scale = 1) {
    reply.Bulk(name);
    reply.Double(whole == 0 ? 0 : scale * static_cast<double>(part) / static_cast<double>(whole));
  };
  std::vector<std::pair<int, size_t>> tables;  // bytes by database
  size_t table_bytes = 0;
  for (int db = 0; db < engine.keyspace.databases(); ++db) {
    if (engine.keyspace.Size(db) == 0) continue;
    tables.emplace_back(db, TableBytes(engine, db));
    table_bytes += tables.back().second;
  }
  const size_t overhead = report.Overhead(table_bytes);
  const size_t since = figures.allocated > report.startup ? figures.allocated - report.startup : 0;
  reply.Map(20 + tables.size());
  number("peak.allocated", report.peak);
  number("total.allocated", figures.allocated);
  number("startup.allocated", report.startup);
  number("clients.slaves", report.clients_replicas);
  number("clients.normal", report.clients_normal);
  number("aof.buffer", report.journal_buffer);
  for (const auto& [db, bytes] : tables) {
    reply.Bulk("db." + std::to_string(db));
    reply.Map(1);
    number("overhead.hashtable.main", bytes);
  }
  number("overhead.total", overhead);
  number("keys.count", report.keys);
  number("keys.bytes-per-key", report.keys == 0 ? 0 : since / report.keys);
  number("dataset.bytes", report.Dataset(overhead));
  reply.Bulk("dataset.percentage");
  reply.Double(report.DatasetPercent(overhead));
  ratio("peak.percentage", figures.allocated, report.peak, 100);
  number("allocator.allocated", figures.allocated);
  number("allocator.active", figures.active);
  number("allocator.resident", figures.resident);
  ratio("allocator-fragmentation.ratio", figures.active, figures.allocated);
  number("allocator-fragmentation.bytes", figures.active - figures.allocated);
  ratio("rss-overhead.ratio", figures.rss, figures.resident);
  number("rss-overhead.bytes", figures.rss - figures.resident);
  reply.Bulk("fragmentation");
  reply.Double(report.Fragmentation());
}

// MEMORY DOCTOR
void MemoryDoctor(Context& ctx) {
  const MemoryFigures figures = ReadMemoryFigures();
  constexpr size_t kSmall = 5 << 20;
  std::string text;
  if (figures.allocated < kSmall) {
    text = "This instance holds next to nothing: there is no memory to give advice on.";
  } else if (static_cast<double>(figures.rss) > 1.5 * static_cast<double>(figures.allocated)) {
    text = "The process holds much more memory (" + std::to_string(figures.rss) +
           " bytes) than is allocated (" + std::to_string(figures.allocated) +
           " bytes). After a peak MEMORY PURGE gives pages back to the system.";
  } else {
    text = "No memory problem was found.";
  }
  ctx.reply().Verbatim("txt", text);
}

// MEMORY PURGE
void MemoryPurge(Context& ctx) {
  ctx.unit().AfterUnit([] { PurgeAllocator(); });
  ctx.Ok();
}

// MEMORY MALLOC-STATS
void MemoryMallocStats(Context& ctx) {
  ctx.reply().Verbatim("txt", AllocatorStatistics());
}

void MemoryHelp(Context& ctx) {
  static constexpr std::string_view kLines[] = {
      "DOCTOR",
      "    Return memory problems reports.",
      "MALLOC-STATS",
      "    Return internal statistics report from the memory allocator.",
      "PURGE",
      "    Attempt to purge dirty pages for reclamation by the allocator.",
      "STATS",
      "    Return information about the memory usage of the server.",
      "USAGE <key> [SAMPLES <count>]",
      "    Return memory in bytes used by <key> and its value. Nested values are",
      "    sampled up to <count> times (default: 5, 0 means sample all)."};
  ReplyHelp(ctx, "MEMORY", kLines);
}

constexpr KeySpecs kKey = Key(kRO, 2);
constexpr CommandSpec kRows[] = {
    {"OBJECT", -2, 0, {}, 0, nullptr, Scope::kNone},
    {"OBJECT|ENCODING", 3, kReadonly, kKey, kAclKeyspace, &ObjectEncodingOf},
    {"OBJECT|FREQ", 3, kReadonly, kKey, kAclKeyspace, &ObjectFreq},
    {"OBJECT|IDLETIME", 3, kReadonly, kKey, kAclKeyspace, &ObjectIdleTime},
    {"OBJECT|REFCOUNT", 3, kReadonly, kKey, kAclKeyspace, &ObjectRefcount},
    {"OBJECT|HELP", 2, kLoading | kStale, {}, kAclKeyspace, &ObjectHelp},
    {"MEMORY", -2, 0, {}, 0, nullptr, Scope::kNone},
    {"MEMORY|USAGE", -3, kReadonly, kKey, 0, &MemoryUsage},
    {"MEMORY|STATS", 2, 0, {}, 0, &MemoryStats, Scope::kAll},
    {"MEMORY|DOCTOR", 2, 0, {}, 0, &MemoryDoctor},
    {"MEMORY|PURGE", 2, 0, {}, 0, &MemoryPurge},
    {"MEMORY|MALLOC-STATS", 2, 0, {}, 0, &MemoryMallocStats},
    {"MEMORY|HELP", 2, kLoading | kStale, {}, 0, &MemoryHelp},
};

}  // namespace

std::span<const CommandSpec> ObjectCommands() {
  return kRows;
}

}  // namespace cairn
