// SPDX-License-Identifier: BSD-3-Clause
//
// The option table: what a directive is called, what it accepts, its default and where its value
// lives. Text is the currency between the table and its users: Normalize turns what a user wrote
// into the one spelling that CONFIG GET prints, Store puts that spelling into the Config, Format
// reads it back. Store(Format()) is the identity, which is how a refused CONFIG SET is undone.
//
// Thread rule: Options() is constant. Store: one thread at a time (ConfigStore's mutex).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "config/config.h"

namespace cairn {

enum class OptionKind : uint8_t {
  kBool,             // yes, no
  kInteger,          // decimal, within min..max
  kClampedInteger,   // any integer from 0, then moved into min..max
  kMemory,           // bytes with a unit
  kMemoryOrPercent,  // bytes with a unit, or N%
  kEnum,             // one of `names`
  kBits,             // some of `names`
  kOctal,            // a file mode
  kText,
  kFileName,         // a text without '/'
  kTitleTemplate,    // a text with {variables}
  kFixed,            // only the default is accepted; `refusal` says why
  kWords,            // a list of at most max words
  kIntegers,         // exactly as many integers as the default has, each within min..max
  kPercentiles,      // numbers from 0 to 100
  kSavePoints,       // pairs of seconds and changes; lines of a file add up
  kBufferLimits,     // CLASS HARD SOFT SECONDS; sets the classes named
  kNotifyFlags,      // letters of notify-keyspace-events
  kReplicaOf         // "host port" or "no one"
};

enum OptionFlags : uint8_t {
  kMutable = 0,
  kImmutable = 1,   // not by CONFIG SET
  kProtected = 2,   // by CONFIG SET only where enable-protected-configs allows it
  kSensitive = 4,   // never to be printed into a log
  kInert = 8        // accepted for compatibility, has no effect; see Option::help
};

struct EnumName {
  const char* name;
  int64_t value;
};

using OptionCell =
    std::variant<NumberCell*, Shared<std::string>*, Shared<Words>*, Shared<std::vector<int64_t>>*,
                 Shared<std::vector<double>>*, Shared<std::vector<SavePoint>>*,
                 Shared<BufferLimits>*>;

struct Option {
  const char* name;
  const char* alias;  // nullptr: none
  OptionKind kind;
  uint8_t flags;
  OptionCell (*cell)(Config&);  // nullptr: the text is kept in Config::inert
  const char* fallback;         // the default, as CONFIG GET prints it
  int64_t min, max;
  std::span<const EnumName> names;
  const char* help;  // one line; for kFixed what the user is told

  bool is(OptionFlags flag) const { return (flags & flag) != 0; }
  // Several words on a line of a file are the option's value, not a mistake.
  bool TakesManyWords() const;
};

// All rows, in the order of conf/cairn.conf.
std::span<const Option> Options();
// By name or alias, whatever the case; nullptr if there is none.
const Option* FindOption(std::string_view name);

// `words` as the user gave them (one text from CONFIG SET, or the words of a line) to the text
// that CONFIG GET prints, or why not, in the words Redis has for it. `config` supplies the other
// classes of client-output-buffer-limit.
Result<std::string> NormalizeOption(const Option& option, std::span<const std::string> words,
                                    const Config& config);
void StoreOption(const Option& option, std::string_view normalized, Config* config);
std::string FormatOption(const Option& option, const Config& config);

// As above in one step, for one text. For start-up code and tests; CONFIG SET goes through
// ConfigStore, which calls the hooks.
Status SetOption(Config* config, std::string_view name, std::string_view text);

}  // namespace cairn
