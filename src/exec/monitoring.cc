// SPDX-License-Identifier: BSD-3-Clause
#include "exec/monitoring.h"

#include <stdio.h>

#include "base/numbers.h"
#include "exec/engine.h"

namespace cairn {
namespace {

// As Redis prints strings for people: quoted, with C's escapes.
void AppendQuoted(std::string* out, std::string_view text) {
  out->push_back('"');
  for (char c : text) {
    switch (c) {
      case '\\':
      case '"':
        out->push_back('\\'), out->push_back(c);
        break;
      case '\n':
        out->append("\\n");
        break;
      case '\r':
        out->append("\\r");
        break;
      case '\t':
        out->append("\\t");
        break;
      case '\a':
        out->append("\\a");
        break;
      case '\b':
        out->append("\\b");
        break;
      default:
        if (c >= ' ' && c <= '~') {
          out->push_back(c);
        } else {
          char hex[5];
          snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned char>(c));
          out->append(hex);
        }
    }
  }
  out->push_back('"');
}

std::string SpeakerOf(const Session& session, bool from_script) {
  if (from_script) return "lua";
  const ClientRecord& record = *session.record;
  if ((record.flags.load(std::memory_order_relaxed) & kClientUnix) == 0) return record.address;
  return "unix:" + record.address.substr(0, record.address.rfind(':'));
}

}  // namespace

void StartMonitor(Engine& engine, Session& session) {
  if (session.monitor != nullptr) return;
  auto monitor =
      std::make_unique<SessionMonitor>(&engine.pubsub, session.record->worker, session.subscriber);
  monitor->subscription.Add(PubsubKind::kMonitor, "");
  session.monitor = std::move(monitor);
  session.record->flags.fetch_or(kClientMonitor, std::memory_order_relaxed);
}

void StopMonitor(Session& session) {
  session.monitor.reset();
  session.record->flags.fetch_and(~uint32_t{kClientMonitor}, std::memory_order_relaxed);
}

std::vector<std::string_view> Redacted(const Command& command, Arguments arguments) {
  constexpr std::string_view kHidden = "(redacted)";
  std::vector<std::string_view> shown(arguments.begin(), arguments.end());
  const auto hide = [&](size_t from, size_t count) {
    for (size_t i = from; i < shown.size() && i < from + count; ++i) shown[i] = kHidden;
  };
  if (command.full_name == "auth") {
    hide(1, shown.size());
  } else if (command.full_name == "config|set" || command.full_name == "acl|setuser") {
    hide(2, shown.size());
  } else if (command.full_name == "hello" || command.full_name == "migrate") {
    // Whatever follows the word: it may be a name itself, and a call that is wrong shows nothing
    // either.
    for (size_t i = 1; i < arguments.size(); ++i) {
      const bool one = EqualsIgnoreCase(arguments[i], "auth");
      if (one && command.full_name == "migrate") hide(i + 1, 1);
      if (EqualsIgnoreCase(arguments[i], "auth2") || (one && command.full_name == "hello"))
        hide(i + 1, 2);
    }
  }
  return shown;
}

void FeedMonitors(Unit& unit, const Session& session, const Command& command, Arguments arguments,
                  bool from_script) {
  if (command.Is(kAdmin)) return;
  const int64_t now_us = unit.engine().clock.WallUs();
  char head[64];
  snprintf(head, sizeof head, "+%lld.%06lld [%d ", static_cast<long long>(now_us / 1000000),
           static_cast<long long>(now_us % 1000000), session.db);
  std::string line = head + SpeakerOf(session, from_script) + "]";
  for (std::string_view argument : Redacted(command, arguments)) {
    line.push_back(' ');
    AppendQuoted(&line, argument);
  }
  line.append("\r\n");
  unit.PublishMonitorLine(std::move(line));
}

}  // namespace cairn
