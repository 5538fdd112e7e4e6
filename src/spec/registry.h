// SPDX-License-Identifier: BSD-3-Clause
//
// The registry: all rows by name, with what can be derived from them; and key extraction. Filled
// once at start by server/, then read-only from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "spec/command.h"

namespace cairn {

struct Command {
  CommandSpec spec;       // flags and acl completed with what they imply
  int id = 0;             // dense, the index into Registry::all(): ACL bitmaps, statistics
  std::string full_name;  // lower case, "config|get"
  std::string name;       // lower case, the last part: "get"
  Command* parent = nullptr;
  std::vector<Command*> subcommands;
  // The position of the only key of every call, for the fast path; 0 if it is not that simple.
  int single_key = 0;
  // What COMMAND reports as first key, last key, step.
  int first_key = 0, last_key = 0, key_step = 0;

  bool Is(uint64_t flag) const { return (spec.flags & flag) != 0; }
  bool ArityFits(size_t argument_count) const {
    const int count = static_cast<int>(argument_count);
    return spec.arity >= 0 ? count == spec.arity : count >= -spec.arity;
  }
};

class Registry {
 public:
  // Parents come before their subcommands. A name that is there already is a CHECK.
  void Add(std::span<const CommandSpec> rows);

  // rename-command: the command answers to `to` only, or ("") to nothing any more. False if there
  // is no such command or the new name is taken. Subcommands keep belonging to it.
  bool Rename(std::string_view from, std::string_view to);

  // By name, any case; "config|get" finds the subcommand. nullptr if unknown. O(1).
  const Command* Find(std::string_view name) const;
  // The command of a request: the subcommand if the first argument names one. Sets *parent when a
  // container was found but not its subcommand.
  const Command* Resolve(Arguments arguments, const Command** parent) const;
  const std::vector<std::unique_ptr<Command>>& all() const { return commands_; }

 private:
  static constexpr size_t kNameBytesMax = 48;
  // A name of at most 15 bytes as two words, which compare in two instructions. Every command that
  // is ever in a hurry has one; longer names and those of subcommands are looked up in slots_.
  static constexpr size_t kShortBytesMax = 15;
  struct ShortName {
    uint64_t low = 0, high = 0;  // lower case, padded with zeros; the last byte is the length
    Command* command = nullptr;
  };
  static ShortName Shorten(std::string_view name);
  static size_t ShortHash(const ShortName& name) {
    return (name.low * 0x9e3779b97f4a7c15 + name.high * 0xc2b2ae3d27d4eb4f) >> 54;
  }
  static constexpr size_t kShortSlots = 1024;  // of which ShortHash gives 10 bits
  size_t SlotOf(std::string_view lower_name) const;
  std::string_view NameOf(const Command* command) const;
  void Grow();
  void BuildShortNames();

  std::vector<std::unique_ptr<Command>> commands_;
  std::vector<std::pair<Command*, std::string>> renamed_;  // by rename-command; nearly always empty
  std::vector<Command*> slots_;  // open addressing, a power of two
  std::vector<ShortName> short_names_ = std::vector<ShortName>(kShortSlots);  // likewise
};

// The names that were asked for last and their commands: requests say the same few again and again.
// For names of up to 8 bytes of commands without subcommands. One thread's; the registry must not
// change any more.
class CommandMemo {
 public:
  explicit CommandMemo(const Registry* registry) : registry_(*registry) {}
  // As Registry::Resolve.
  const Command* Resolve(Arguments arguments, const Command** parent);

 private:
  struct Known {
    uint64_t word = 0;  // the name as it was spelled, padded with zeros
    size_t bytes = 0;
    const Command* command = nullptr;
  };
  static constexpr int kBits = 5;

  const Registry& registry_;
  Known known_[1 << kBits];
};

// Collects key positions without allocating for the usual few.
class KeySink {
 public:
  void Add(int position, uint16_t flags) { keys_.push_back({position, flags}); }
  void Clear() { keys_.clear(); }
  std::span<const KeyReference> keys() const { return keys_; }

 private:
  std::vector<KeyReference> keys_;  // reused by its owner, so it stops allocating soon
};

// The keys of a call by its KeysFunction or its specs. False: the arguments make no sense.
bool ExtractKeys(const Command& command, Arguments arguments, KeySink& sink);

}  // namespace cairn
