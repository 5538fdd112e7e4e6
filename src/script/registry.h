// SPDX-License-Identifier: BSD-3-Clause
//
// The scripts that the server knows, for all workers: immutable sources by SHA-1. Each worker
// compiles what it needs on first use (host.h); a script loaded through one worker is found by
// all at once. `generation` tells workers that everything was forgotten (SCRIPT FLUSH).
//
// Scripts that only EVAL brought are kept up to kEvalScriptsMax, then the one used longest ago
// goes, as in Redis 7.4. Those of SCRIPT LOAD stay until they are flushed.
//
// Thread rule: any thread; Find, Add and Flush take a mutex that is never held while another lock
// is taken. generation() and a Script's atomics are read without it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "script/functions.h"
#include "script/shebang.h"
#include "spec/registry.h"

namespace cairn {

struct Script {
  std::string sha, body;
  uint64_t flags;                              // ScriptFlag
  size_t code_offset;                          // of the Lua code in `body`
  mutable std::atomic<bool> pinned{false};     // SCRIPT LOAD named it
  mutable std::atomic<bool> dropped{false};    // no longer known
  mutable std::atomic<bool> needs_all{false};  // the locks of its keys did not do
  mutable std::atomic<uint64_t> last_use{0};   // of the registry's clock
};

class ScriptRegistry {
 public:
  static constexpr size_t kEvalScriptsMax = 500;

  // The script of a SHA-1 (lower case), or nullptr.
  std::shared_ptr<const Script> Find(std::string_view sha);
  // See ServerControl::OnlyReads.
  bool OnlyReads(const Command& command, Arguments arguments);
  // Adds a script that compiles; the one that is there already wins. `pin` keeps it from eviction.
  std::shared_ptr<const Script> Add(std::string_view body, std::string_view sha,
                                    const Shebang& shebang, bool pin);
  // Forgets all. Under scope All, so that no script of before runs after it.
  void Flush();

  // Notes a use: what EVAL brought and nobody uses is evicted first.
  void Touch(const Script& script) {
    script.last_use.store(clock_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  }
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  size_t size() const { return size_.load(std::memory_order_relaxed); }
  FunctionRegistry& functions() { return functions_; }
  uint64_t evicted() const { return evicted_.load(std::memory_order_relaxed); }

 private:
  void EvictOne();

  FunctionRegistry functions_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Script>> scripts_;
  size_t unpinned_ = 0;
  std::atomic<uint64_t> clock_{1};  // raised by every script that is added
  std::atomic<uint64_t> generation_{0};
  std::atomic<size_t> size_{0};
  std::atomic<uint64_t> evicted_{0};
};

}  // namespace cairn
