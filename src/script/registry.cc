// SPDX-License-Identifier: BSD-3-Clause
#include "script/registry.h"

#include "base/numbers.h"

namespace cairn {

bool ScriptRegistry::OnlyReads(const Command& command, Arguments arguments) {
  const std::string_view what = arguments[1];
  uint64_t flags = 0;
  if (command.full_name == "eval") {
    Shebang shebang;
    std::string error;
    if (ReadShebang(what, &shebang, &error)) flags = shebang.flags;
  } else if (command.full_name == "evalsha") {
    if (const auto script = Find(ToLower(what)); script != nullptr) flags = script->flags;
  } else if (command.full_name == "fcall") {
    const Libraries::Found found = functions_.Current()->Find(what);
    if (found.library != nullptr) flags = found.library->functions[found.index].flags;
  }
  return (flags & kScriptNoWrites) != 0;
}

std::shared_ptr<const Script> ScriptRegistry::Find(std::string_view sha) {
  std::lock_guard guard(mutex_);
  auto found = scripts_.find(std::string(sha));
  return found == scripts_.end() ? nullptr : found->second;
}

std::shared_ptr<const Script> ScriptRegistry::Add(std::string_view body, std::string_view sha,
                                                  const Shebang& shebang, bool pin) {
  std::lock_guard guard(mutex_);
  std::shared_ptr<Script>& slot = scripts_[std::string(sha)];
  if (slot == nullptr) {
    slot = std::make_shared<Script>();
    slot->sha = sha;
    slot->body = body;
    slot->flags = shebang.flags;
    slot->code_offset = shebang.code_offset;
    slot->last_use.store(clock_.fetch_add(1, std::memory_order_relaxed) + 1,
                         std::memory_order_relaxed);
    ++unpinned_;
  }
  const std::shared_ptr<Script> script = slot;
  if (pin && !script->pinned.exchange(true)) --unpinned_;
  if (unpinned_ > kEvalScriptsMax) EvictOne();
  size_.store(scripts_.size(), std::memory_order_relaxed);
  return script;
}

// A scan of a few hundred, once a new script: what calls EVAL with ever new texts pays for it.
void ScriptRegistry::EvictOne() {
  auto oldest = scripts_.end();
  for (auto it = scripts_.begin(); it != scripts_.end(); ++it) {
    if (it->second->pinned.load(std::memory_order_relaxed)) continue;
    if (oldest == scripts_.end() || it->second->last_use.load(std::memory_order_relaxed) <
                                        oldest->second->last_use.load(std::memory_order_relaxed))
      oldest = it;
  }
  if (oldest == scripts_.end()) return;
  oldest->second->dropped.store(true, std::memory_order_relaxed);
  scripts_.erase(oldest);
  --unpinned_;
  evicted_.fetch_add(1, std::memory_order_relaxed);
}

void ScriptRegistry::Flush() {
  std::lock_guard guard(mutex_);
  for (auto& [sha, script] : scripts_) script->dropped.store(true, std::memory_order_relaxed);
  scripts_.clear();
  unpinned_ = 0;
  size_.store(0, std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
}

}  // namespace cairn
