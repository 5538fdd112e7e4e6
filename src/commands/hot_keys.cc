// SPDX-License-Identifier: BSD-3-Clause
//
// HOTKEYS, as in Redis 8.6, with one metric more: SIZE, the keys that hold the most memory.
#include <optional>
#include <string_view>

#include "commands/families.h"
#include "commands/help.h"
#include "exec/args.h"
#include "exec/context.h"
#include "exec/hot_keys.h"
#include "exec/statistics.h"

namespace cairn {
namespace {

constexpr int64_t kMetricsMax = 3;

// A session whose time is over ends when a command meets it, or, with no such command, here.
HotKeys& Current(Engine& engine, int64_t now_ms) {
  HotKeys& hot_keys = *engine.hot_keys;
  if (!hot_keys.on()) return hot_keys;
  hot_keys.Expire(now_ms);
  if (!hot_keys.on()) engine.ReadCostBounds();
  return hot_keys;
}

// METRICS count name ...; names that are not known do not matter, as in Redis, as long as one is.
void ReadMetrics(Args& args, HotKeyOptions* options) {
  if (!args.Take("METRICS", 1)) return args.Fail("ERR METRICS parameter is required");
  static constexpr std::string_view kCountError = "ERR METRICS count must be > 0 and <= 3";
  int64_t count = args.Int(kCountError);
  if (!args.failed() && (count < 1 || count > kMetricsMax)) args.Fail(kCountError);
  struct Metric {
    std::string_view name;
    bool* wanted;
    std::string_view twice;
  };
  const Metric metrics[] = {
      {"CPU", &options->cpu, "ERR METRICS CPU defined more than once!"},
      {"NET", &options->net, "ERR METRICS NET defined more than once!"},
      {"SIZE", &options->size, "ERR METRICS SIZE defined more than once!"},
  };
  for (; !args.failed() && args.More() && count > 0; --count) {
    const std::string_view name = args.Next();
    for (const Metric& metric : metrics) {
      if (!EqualsIgnoreCase(name, metric.name)) continue;
      if (*metric.wanted) return args.Fail(metric.twice);
      *metric.wanted = true;
    }
  }
  if (count != 0) args.Fail("ERR METRICS count does not match number of metric types provided");
  if (!options->cpu && !options->net && !options->size)
    args.Fail("ERR METRICS no valid metrics passed. Supported: CPU|NET|SIZE");
}

// HOTKEYS START METRICS count [CPU] [NET] [SIZE] [COUNT k] [DURATION seconds] [SAMPLE ratio]
void Start(Context& ctx) {
  static constexpr std::string_view kRunning = "ERR hotkey tracking session already in progress";
  Engine& engine = ctx.engine();
  const int64_t now_ms = engine.clock.WallMs();
  HotKeys& hot_keys = Current(engine, now_ms);
  if (hot_keys.on()) return ctx.Error(kRunning);
  HotKeyOptions options;
  Args args(ctx, 2);
  ReadMetrics(args, &options);
  const auto number = [&args](int64_t high, std::string_view error) {
    const int64_t value = args.Int(error);
    if (!args.failed() && (value < 1 || value > high)) args.Fail(error);
    return value;
  };
  while (args.More()) {
    if (args.Take("COUNT", 1)) {
      options.count = number(HotKeys::kCountMax, "ERR COUNT must be between 1 and 64");
    } else if (args.Take("DURATION", 1)) {
      options.duration_ms =
          1000 * number(HotKeys::kDurationSecondsMax, "ERR DURATION must be between 1 and 1000000");
    } else if (args.Take("SAMPLE", 1)) {
      options.sample = number(INT32_MAX, "ERR SAMPLE ratio must be positive");
    } else if (args.Take("SLOTS", 1)) {
      args.Fail("ERR SLOTS parameter cannot be used in non-cluster mode");
    } else {
      args.Fail(errors::kSyntax);
    }
  }
  if (!args.Done()) return;
  if (!hot_keys.Start(options, now_ms)) return ctx.Error(kRunning);
  engine.ReadCostBounds();
  ctx.Ok();
}

// HOTKEYS STOP
void Stop(Context& ctx) {
  Engine& engine = ctx.engine();
  const int64_t now_ms = engine.clock.WallMs();
  if (!Current(engine, now_ms).Stop(now_ms)) return ctx.reply().Null();
  engine.ReadCostBounds();
  ctx.Ok();
}

// HOTKEYS RESET
void Reset(Context& ctx) {
  Engine& engine = ctx.engine();
  if (!Current(engine, engine.clock.WallMs()).Reset())
    return ctx.Error("ERR hotkey tracking session in progress, stop tracking first");
  ctx.Ok();
}

// Rounded up: what took less than a microsecond took some time.
int64_t Microseconds(uint64_t ticks) {
  const double per_us = TicksPerMicrosecond();
  return static_cast<int64_t>((static_cast<double>(ticks) + per_us - 1) / per_us);
}

void ReplyReport(ReplyWriter& reply, const HotKeyReport& report) {
  constexpr int64_t kLastSlot = 16383;
  const HotKeyOptions& options = report.options;
  const auto number = [&reply](std::string_view name, auto value) {
    reply.Bulk(name);
    reply.Integer(static_cast<int64_t>(value));
  };
  const auto keys = [&reply](std::string_view name, const auto& items, const auto& value_of) {
    reply.Bulk(name);
    reply.Array(2 * items.size());
    for (const auto& item : items) {
      reply.Bulk(item.name);
      reply.Integer(value_of(item));
    }
  };
  // One node's: Redis wraps the map in an array.
  reply.Array(1);
  reply.Map(7u + (options.cpu ? 3u : 0u) + (options.net ? 2u : 0u) + (options.size ? 1u : 0u));
  number("tracking-active", report.active ? 1 : 0);
  number("sample-ratio", options.sample);
  reply.Bulk("selected-slots");
  reply.Array(1);
  reply.Array(2);
  reply.Integer(0);
  reply.Integer(kLastSlot);
  number("all-commands-all-slots-us", Microseconds(report.ticks));
  number("net-bytes-all-commands-all-slots", report.bytes);
  number("collection-start-time-unix-ms", report.start_ms);
  number("collection-duration-ms", report.duration_ms);
  if (options.cpu) {
    number("total-cpu-time-user-ms", report.user_ms);
    number("total-cpu-time-sys-ms", report.system_ms);
  }
  if (options.net) number("total-net-bytes", report.sampled_bytes);
  if (options.cpu)
    keys("by-cpu-time-us", report.by_ticks,
         [](const auto& item) { return Microseconds(item.weight); });
  if (options.net)
    keys("by-net-bytes", report.by_bytes,
         [](const auto& item) { return static_cast<int64_t>(item.weight); });
  if (options.size)
    keys("by-size-bytes", report.by_size,
         [](const auto& item) { return static_cast<int64_t>(item.value); });
}

// HOTKEYS GET
void Get(Context& ctx) {
  Engine& engine = ctx.engine();
  const int64_t now_ms = engine.clock.WallMs();
  const auto report = Current(engine, now_ms).Report(now_ms);
  if (!report) return ctx.reply().Null();
  ReplyReport(ctx.reply(), *report);
}

void Help(Context& ctx) {
  static constexpr std::string_view kLines[] = {
      "START METRICS <count> [CPU] [NET] [SIZE] [COUNT <k>] [DURATION <seconds>] [SAMPLE <ratio>]",
      "    Start to look for the keys that cost the most: processor time (CPU), bytes of",
      "    requests and replies (NET), memory held (SIZE).",
      "    * COUNT: how many keys of each to tell. Default: 10",
      "    * DURATION: seconds until it stops by itself. Default: until STOP",
      "    * SAMPLE: only one command in so many looks at its keys. Default: 1",
      "STOP",
      "    Stop looking. What was found can still be had by GET.",
      "GET",
      "    Return what was found so far.",
      "RESET",
      "    Forget what was found. A session under way must have been stopped."};
  ReplyHelp(ctx, "HOTKEYS", kLines);
}

constexpr uint64_t kFlags = kAdmin | kNoScript;
constexpr CommandSpec kRows[] = {
    {"HOTKEYS", -2, 0, {}, 0, nullptr, Scope::kNone},
    {"HOTKEYS|START", -2, kFlags, {}, 0, &Start},
    {"HOTKEYS|STOP", 2, kFlags, {}, 0, &Stop},
    {"HOTKEYS|GET", 2, kFlags, {}, 0, &Get},
    {"HOTKEYS|RESET", 2, kFlags, {}, 0, &Reset},
    {"HOTKEYS|HELP", 2, kLoading | kStale, {}, 0, &Help},
};

}  // namespace

std::span<const CommandSpec> HotKeysCommands() {
  return kRows;
}

}  // namespace cairn
