// SPDX-License-Identifier: BSD-3-Clause
#include "spec/registry.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "base/numbers.h"

namespace cairn {
namespace {

uint64_t HashName(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash ^ (hash >> 29);
}

uint64_t ImpliedCategories(uint64_t flags) {
  uint64_t acl = 0;
  if (flags & kWrite) acl |= kAclWrite;
  // Redis leaves scripting commands out of @read.
  if ((flags & kReadonly) && !(flags & kScripting)) acl |= kAclRead;
  if (flags & kScripting) acl |= kAclScripting;
  if (flags & kAdmin) acl |= kAclAdmin | kAclDangerous;
  if (flags & kPubsub) acl |= kAclPubsub;
  if (flags & kBlocking) acl |= kAclBlocking;
  acl |= (flags & kFast) ? kAclFast : kAclSlow;
  return acl;
}

// The old-style triple of COMMAND, from the specs that are plain ranges.
void DeriveRange(Command& command) {
  const KeySpecs& keys = command.spec.keys;
  int first = 0, last = 0, step = 0;
  bool movable = command.spec.keys_of != nullptr;
  for (int i = 0; i < keys.count; ++i) {
    const KeySpec& spec = keys.specs[i];
    if (spec.begin != KeySpec::Begin::kIndex || spec.find != KeySpec::Find::kRange ||
        (spec.flags & kIncomplete) != 0) {
      movable = true;
      if (spec.begin != KeySpec::Begin::kIndex || spec.find != KeySpec::Find::kRange) continue;
    }
    const int spec_last = spec.last < 0 ? spec.last : spec.index + spec.last;
    if (first == 0) {
      first = spec.index;
      last = spec_last;
      step = spec.step;
    } else if (spec.index == last + step && last > 0) {
      last = spec_last;  // adjacent ranges join
    }
  }
  command.first_key = first;
  command.last_key = last;
  command.key_step = step;
  if (movable) command.spec.flags |= kMovableKeys;
  if (!movable && keys.count == 1 && first > 0 && first == last &&
      (keys.specs[0].flags & kNotKey) == 0 &&
      command.spec.scope == Scope::kKeys && command.spec.scope_of == nullptr)
    command.single_key = first;
}

// Turns the bytes 'A' to 'Z' of a word into lower case, all eight at once.
inline uint64_t LowerWord(uint64_t word) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  const uint64_t ascii = ~word & (kOnes << 7);
  const uint64_t low7 = word & (kOnes * 0x7f);
  const uint64_t from_a = low7 + kOnes * (0x80 - 'A');      // bit 7: at least 'A'
  const uint64_t above_z = low7 + kOnes * (0x80 - 'Z' - 1);  // bit 7: more than 'Z'
  return word | ((from_a & ~above_z & ascii) >> 2);
}

// The 1 to 8 bytes at p as a word; the rest is zero.
inline uint64_t LoadShort(const char* p, size_t n) {
  if (n == 8) return LoadLe<uint64_t>(p);
  if (n >= 4) {
    const uint64_t tail = LoadLe<uint32_t>(p + n - 4);
    return LoadLe<uint32_t>(p) | tail << (8 * (n - 4));
  }
  uint64_t word = static_cast<unsigned char>(p[0]);
  if (n > 1) word |= uint64_t{LoadLe<uint16_t>(p + n - 2)} << (8 * (n - 2));
  return word;
}

bool Equals(std::string_view a, const char* b) { return EqualsIgnoreCase(a, b); }

bool ExtractBySpec(const KeySpec& spec, Arguments arguments, KeySink& sink) {
  const int count = static_cast<int>(arguments.size());
  int first = 0;
  switch (spec.begin) {
    case KeySpec::Begin::kUnknown: return true;
    case KeySpec::Begin::kIndex: first = spec.index; break;
    case KeySpec::Begin::kKeyword: {
      const int start = spec.index > 0 ? spec.index : count + spec.index;
      const int step = spec.index > 0 ? 1 : -1;
      for (int i = start; i > 0 && i < count - 1 && first == 0; i += step)
        if (Equals(arguments[static_cast<size_t>(i)], spec.keyword)) first = i + 1;
      if (first == 0) return true;  // the keyword is optional
      break;
    }
  }
  int last, step = spec.step;
  if (spec.find == KeySpec::Find::kKeyNum) {
    int64_t keys;
    const int at = first + spec.keynum;
    if (at >= count || !ParseInt64(arguments[static_cast<size_t>(at)], &keys)) return false;
    if (keys < 0 || keys > count) return false;
    first += spec.first_key;
    last = first + (static_cast<int>(keys) - 1) * step;
  } else if (spec.find == KeySpec::Find::kRange) {
    if (spec.last >= 0) {
      last = first + spec.last;
    } else if (spec.limit <= 1) {
      last = count + spec.last;
    } else {
      last = first + (count - first) / spec.limit + spec.last;
    }
  } else {
    return true;
  }
  for (int i = first; i <= last; i += step) {
    if (i >= count) return false;
    sink.Add(i, spec.flags);
  }
  return true;
}

}  // namespace

void Registry::Grow() {
  std::vector<Command*> old = std::move(slots_);
  slots_.assign(old.empty() ? 1024 : old.size() * 2, nullptr);
  for (Command* command : old)
    if (command != nullptr) slots_[SlotOf(command->full_name)] = command;
}

std::string_view Registry::NameOf(const Command* command) const {
  for (const auto& [other, name] : renamed_)
    if (other == command) return name;
  return command->full_name;
}

size_t Registry::SlotOf(std::string_view lower_name) const {
  const size_t mask = slots_.size() - 1;
  size_t i = HashName(lower_name) & mask;
  while (slots_[i] != nullptr && NameOf(slots_[i]) != lower_name) i = (i + 1) & mask;
  return i;
}

void Registry::Add(std::span<const CommandSpec> rows) {
  for (const CommandSpec& row : rows) {
    if (commands_.size() * 2 >= slots_.size()) Grow();
    auto command = std::make_unique<Command>();
    command->spec = row;
    command->spec.acl |= ImpliedCategories(row.flags);
    command->full_name = ToLower(row.name);
    CHECK(command->full_name.size() <= kNameBytesMax);
    command->id = static_cast<int>(commands_.size());
    const size_t bar = command->full_name.find('|');
    command->name = command->full_name.substr(bar == std::string::npos ? 0 : bar + 1);
    DeriveRange(*command);
    if (bar != std::string::npos) {
      Command* parent = slots_[SlotOf(command->full_name.substr(0, bar))];
      CHECK(parent != nullptr);
      command->parent = parent;
      parent->subcommands.push_back(command.get());
    }
    const size_t slot = SlotOf(command->full_name);
    CHECK(slots_[slot] == nullptr);
    slots_[slot] = command.get();
    commands_.push_back(std::move(command));
  }
  BuildShortNames();
}

bool Registry::Rename(std::string_view from, std::string_view to) {
  const std::string old_name = ToLower(from), new_name = ToLower(to);
  if (old_name.size() > kNameBytesMax || new_name.size() > kNameBytesMax) return false;
  Command* command = slots_[SlotOf(old_name)];
  if (command == nullptr || command->parent != nullptr) return false;
  if (!new_name.empty() && slots_[SlotOf(new_name)] != nullptr) return false;
  // Open addressing: the table is laid out anew without the old name.
  renamed_.emplace_back(command, new_name);
  for (Command*& slot : slots_) slot = nullptr;
  for (const auto& each : commands_) {
    std::string_view name = each->full_name;
    for (const auto& [other, other_name] : renamed_)
      if (other == each.get()) name = other_name;
    if (!name.empty()) slots_[SlotOf(name)] = each.get();
  }
  BuildShortNames();
  return true;
}

void Registry::BuildShortNames() {
  size_t used = 0;
  short_names_.assign(kShortSlots, {});
  for (Command* command : slots_) {
    if (command == nullptr || command->parent != nullptr) continue;
    ShortName name = Shorten(NameOf(command));
    if (name.low == 0) continue;
    name.command = command;
    size_t i = ShortHash(name);
    while (short_names_[i].command != nullptr) i = (i + 1) % kShortSlots;
    short_names_[i] = name;
    CHECK(++used < kShortSlots);  // an empty slot ends every search
  }
}

// A name that does not fit gives a low word of 0.
inline Registry::ShortName Registry::Shorten(std::string_view name) {
  ShortName result;
  if (name.size() - 1 >= kShortBytesMax) return result;  // 0 wraps round
  result.low = LowerWord(LoadShort(name.data(), std::min<size_t>(name.size(), 8)));
  if (name.size() > 8) result.high = LowerWord(LoadShort(name.data() + 8, name.size() - 8));
  result.high |= uint64_t{name.size()} << 56;  // a NUL at the end makes another name
  return result;
}

const Command* Registry::Find(std::string_view name) const {
  if (name.size() > kNameBytesMax || slots_.empty()) return nullptr;
  char lower[kNameBytesMax];
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    lower[i] = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  return slots_[SlotOf({lower, name.size()})];
}

const Command* Registry::Resolve(Arguments arguments, const Command** parent) const {
  const Command* command = nullptr;
  if (const ShortName name = Shorten(arguments[0]); name.low != 0) [[likely]] {
    size_t i = ShortHash(name);
    while (short_names_[i].command != nullptr &&
           (short_names_[i].low != name.low || short_names_[i].high != name.high))
      i = (i + 1) % kShortSlots;
    command = short_names_[i].command;
  } else {
    command = Find(arguments[0]);
    // A bar in the name of a request must not reach a subcommand.
    if (command != nullptr && command->parent != nullptr) return nullptr;
  }
  if (command == nullptr || command->subcommands.empty() || arguments.size() < 2) return command;
  for (const Command* sub : command->subcommands)
    if (EqualsIgnoreCase(sub->name, arguments[1])) return sub;
  if (parent != nullptr) *parent = command;
  return nullptr;
}

const Command* CommandMemo::Resolve(Arguments arguments, const Command** parent) {
  const std::string_view name = arguments[0];
  if (name.size() - 1 >= 8) [[unlikely]]  // 0 wraps round
    return registry_.Resolve(arguments, parent);
  const uint64_t word = LoadShort(name.data(), name.size());
  Known& known = known_[word * 0x9e3779b97f4a7c15 >> (64 - kBits)];
  if (known.word == word && known.bytes == name.size()) [[likely]]
    return known.command;
  const Command* command = registry_.Resolve(arguments, parent);
  if (command != nullptr && command->parent == nullptr && command->subcommands.empty())
    known = {word, name.size(), command};
  return command;
}

namespace {

// BITFIELD whose operations are all GET changes nothing; one whose syntax is wrong may do anything.
bool OnlyGetsFields(Arguments arguments) {
  for (size_t i = 2; i < arguments.size(); ++i) {
    const size_t left = arguments.size() - i - 1;
    if (EqualsIgnoreCase(arguments[i], "get") && left >= 2) {
      i += 2;
    } else if (EqualsIgnoreCase(arguments[i], "overflow") && left >= 1) {
      i += 1;
    } else {
      return false;
    }
  }
  return true;
}

// What a call does with its key where the command's row says only what it may do: SET reads with
// GET alone.
uint16_t FlagsOfCall(const Command& command, Arguments arguments) {
  if (command.name == "bitfield")
    return OnlyGetsFields(arguments) ? kRO | kAccess : kRW | kAccess | kUpdate;
  DCHECK(command.name == "set");
  const bool reads = arguments.size() > 3 &&
                     std::any_of(arguments.begin() + 3, arguments.end(), [](std::string_view word) {
                       return EqualsIgnoreCase(word, "get");
                     });
  return reads ? kRW | kAccess | kUpdate : kOW | kUpdate;
}

}  // namespace

bool ExtractKeys(const Command& command, Arguments arguments, KeySink& sink) {
  // Calls that are refused for their arity are asked about too: by the audit log, by scripts.
  if (!command.ArityFits(arguments.size())) return false;
  if (command.spec.keys_of != nullptr) return command.spec.keys_of(arguments, sink);
  for (int i = 0; i < command.spec.keys.count; ++i) {
    KeySpec spec = command.spec.keys.specs[i];
    if ((spec.flags & kVariableFlags) != 0) [[unlikely]]
      spec.flags = FlagsOfCall(command, arguments);
    if (!ExtractBySpec(spec, arguments, sink)) return false;
  }
  return true;
}

}  // namespace cairn
