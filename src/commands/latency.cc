// SPDX-License-Identifier: BSD-3-Clause
//
// LATENCY: slow events (base/latency_events.h) and how long commands take
// (base/latency_histogram.h).
#include <bit>

#include "base/numbers.h"
#include "commands/families.h"
#include "commands/help.h"
#include "commands/latency_text.h"
#include "exec/context.h"

namespace cairn {
namespace {

int64_t NowSeconds(Context& ctx) { return ctx.engine().clock.WallMs() / 1000; }

// LATENCY DOCTOR
void Doctor(Context& ctx) {
  Engine& engine = ctx.engine();
  const DoctorFacts facts{ctx.config().latency_monitor_threshold(),
                          ctx.config().slowlog_log_slower_than(), NowSeconds(ctx)};
  ctx.reply().Verbatim("txt", LatencyReport(engine.latency.All(), facts));
}

// LATENCY GRAPH event
void Graph(Context& ctx) {
  const LatencyEvent event = ctx.engine().latency.Find(ctx.arg(2));
  if (event.samples.empty())
    return ctx.Error("ERR No samples available for event '" + std::string(ctx.arg(2)) + "'");
  ctx.reply().Verbatim("txt", LatencyGraph(event, NowSeconds(ctx)));
}

// LATENCY HISTORY event
void History(Context& ctx) {
  const LatencyEvent event = ctx.engine().latency.Find(ctx.arg(2));
  ctx.reply().Array(event.samples.size());
  for (const LatencySample& sample : event.samples) {
    ctx.reply().Array(2);
    ctx.reply().Integer(sample.time_s);
    ctx.reply().Integer(sample.latency_ms);
  }
}

// LATENCY LATEST
void Latest(Context& ctx) {
  const std::vector<LatencyEvent> events = ctx.engine().latency.All();
  ctx.reply().Array(events.size());
  for (const LatencyEvent& event : events) {
    ctx.reply().Array(4);
    ctx.reply().Bulk(event.name);
    ctx.reply().Integer(event.samples.back().time_s);
    ctx.reply().Integer(event.samples.back().latency_ms);
    ctx.reply().Integer(event.max_ms);
  }
}

// LATENCY RESET [event ...]
void Reset(Context& ctx) {
  const Arguments names = ctx.args().subspan(2);
  ctx.reply().Integer(
      static_cast<int64_t>(ctx.engine().latency.Reset({names.begin(), names.end()})));
}

struct Step {
  uint64_t micros, calls;
};

// Calls by the power of two of 1,024 nanoseconds that they took less than, added up; a power that
// adds none is left out. The names of the powers are those of an HdrHistogram of two digits, which
// Redis keeps: 33 is 32,768 ns to the precision of 1 %.
std::vector<Step> Cumulate(const LatencySum& sum) {
  const double ns_per_tick = 1000 / TicksPerMicrosecond();
  std::vector<Step> steps;
  uint64_t calls = 0;
  for (size_t i = 0; i < LatencyHistogram::kCounters; ++i) {
    if (sum.counter(i) == 0) continue;
    calls += sum.counter(i);
    const double middle = (static_cast<double>(LatencyHistogram::Lowest(i)) +
                           static_cast<double>(LatencyHistogram::Highest(i))) / 2;
    const auto ns = static_cast<uint64_t>(middle * ns_per_tick);
    const uint64_t power = std::bit_ceil(std::max<uint64_t>(ns, 1024));
    const uint64_t micros = (power + (power >> 7) - 1) / 1000;
    if (steps.empty() || steps.back().micros != micros) steps.push_back({micros, 0});
    steps.back().calls = calls;
  }
  return steps;
}

// LATENCY HISTOGRAM [command ...]: a container stands for its subcommands
void Histogram(Context& ctx) {
  Engine& engine = ctx.engine();
  std::vector<std::pair<const Command*, LatencySum>> found;
  const auto offer = [&](const Command& command) {
    LatencySum sum = engine.statistics.SumLatencies(static_cast<size_t>(command.id));
    if (sum.count() != 0) found.emplace_back(&command, std::move(sum));
  };
  if (ctx.argc() == 2) {
    for (const auto& command : engine.registry.all()) offer(*command);
  }
  for (std::string_view word : ctx.args().subspan(2)) {
    const std::string name = ToLower(word);
    for (const auto& command : engine.registry.all()) {
      if (command->full_name == name || command->full_name.starts_with(name + "|"))
        offer(*command);
    }
  }
  ReplyWriter& reply = ctx.reply();
  reply.Map(found.size());
  for (const auto& [command, sum] : found) {
    const std::vector<Step> steps = Cumulate(sum);
    reply.Bulk(command->full_name);
    reply.Map(2);
    reply.Bulk("calls");
    reply.Integer(static_cast<int64_t>(sum.count()));
    reply.Bulk("histogram_usec");
    reply.Map(steps.size());
    for (const Step& step : steps) {
      reply.Integer(static_cast<int64_t>(step.micros));
      reply.Integer(static_cast<int64_t>(step.calls));
    }
  }
}

void Help(Context& ctx) {
  static constexpr std::string_view kLines[] = {
      "DOCTOR",
      "    Return a human readable latency analysis report.",
      "GRAPH <event>",
      "    Return an ASCII latency graph for the <event> class.",
      "HISTORY <event>",
      "    Return time-latency samples for the <event> class.",
      "LATEST",
      "    Return the latest latency samples for all events.",
      "RESET [<event> ...]",
      "    Reset latency data of one or more <event> classes.",
      "    (default: reset all data for all event classes)",
      "HISTOGRAM [COMMAND ...]",
      "    Return a cumulative distribution of latencies in the format of a histogram for the "
      "specified command names.",
      "    If no commands are specified then all histograms are replied."};
  ReplyHelp(ctx, "LATENCY", kLines);
}

constexpr uint64_t kFlags = kAdmin | kNoScript | kLoading | kStale;
constexpr CommandSpec kRows[] = {
    {"LATENCY", -2, 0, {}, 0, nullptr, Scope::kNone},
    {"LATENCY|DOCTOR", 2, kFlags, {}, 0, &Doctor},
    {"LATENCY|GRAPH", 3, kFlags, {}, 0, &Graph},
    {"LATENCY|HISTOGRAM", -2, kFlags, {}, 0, &Histogram},
    {"LATENCY|HISTORY", 3, kFlags, {}, 0, &History},
    {"LATENCY|LATEST", 2, kFlags, {}, 0, &Latest},
    {"LATENCY|RESET", -2, kFlags, {}, 0, &Reset},
    {"LATENCY|HELP", 2, kLoading | kStale, {}, 0, &Help},
};

}  // namespace

std::span<const CommandSpec> LatencyCommands() { return kRows; }

}  // namespace cairn
