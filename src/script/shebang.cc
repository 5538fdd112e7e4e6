// SPDX-License-Identifier: BSD-3-Clause
#include "script/shebang.h"

namespace cairn {

const ScriptFlagName kScriptFlagNames[] = {
    {"no-writes", kScriptNoWrites},
    {"allow-oom", kScriptAllowOom},
    {"allow-stale", kScriptAllowStale},
    {"no-cluster", kScriptNoCluster},
    {"allow-cross-slot-keys", kScriptCrossSlotKeys},
    {nullptr, 0},
};

uint64_t ScriptFlagOf(std::string_view name) {
  for (const ScriptFlagName* row = kScriptFlagNames; row->name != nullptr; ++row)
    if (name == row->name) return row->flag;
  return 0;
}

namespace {

// Cuts the next piece up to `separator` off the front of `text`.
std::string_view Cut(std::string_view* text, char separator) {
  const size_t at = text->find(separator);
  const std::string_view piece = text->substr(0, at);
  *text = at == std::string_view::npos ? std::string_view() : text->substr(at + 1);
  return piece;
}

bool ReadFlags(std::string_view list, uint64_t* flags, std::string* error) {
  while (!list.empty()) {
    const std::string_view name = Cut(&list, ',');
    const uint64_t flag = ScriptFlagOf(name);
    if (flag == 0) {
      *error = "ERR Unexpected flag in script shebang: " + std::string(name);
      return false;
    }
    *flags |= flag;
  }
  return true;
}

}  // namespace

bool ReadShebang(std::string_view body, Shebang* shebang, std::string* error) {
  if (!body.starts_with("#!")) return true;
  const size_t end = body.find('\n');
  if (end == std::string_view::npos) {
    *error = "ERR Invalid script shebang";
    return false;
  }
  shebang->code_offset = end;
  shebang->flags = 0;
  std::string_view line = body.substr(0, end);
  const std::string_view engine = Cut(&line, ' ');
  if (engine != "#!lua") {
    *error = "ERR Unexpected engine in script shebang: " + std::string(engine);
    return false;
  }
  while (!line.empty()) {
    const std::string_view option = Cut(&line, ' ');
    if (option.empty()) continue;
    if (!option.starts_with("flags=")) {
      *error = "ERR Unknown lua shebang option: " + std::string(option);
      return false;
    }
    if (!ReadFlags(option.substr(6), &shebang->flags, error)) return false;
  }
  return true;
}

}  // namespace cairn
