// SPDX-License-Identifier: BSD-3-Clause
//
// What each kind of option accepts, how it is stored and how it is spelled by CONFIG GET. The
// three functions go over the kinds side by side: what NormalizeOption lets through, StoreOption
// takes without a doubt (a CHECK), and FormatOption gives back.
#include <algorithm>
#include <charconv>
#include <cstdio>

#include "base/numbers.h"
#include "config/options.h"

namespace cairn {
namespace {

constexpr const char* kBufferClassNames[] = {"normal", "slave", "pubsub"};

struct NotifyLetter {
  char letter;
  int64_t bit;
};
// In the order in which CONFIG GET prints them. Redis leaves 'n', 'o' and 'c' out beside 'A', so
// that its CONFIG REWRITE loses them; here they are printed.
constexpr NotifyLetter kNotifyLetters[] = {
    {'g', kNotifyGeneric},     {'$', kNotifyString},   {'l', kNotifyList},
    {'s', kNotifySet},         {'h', kNotifyHash},     {'z', kNotifyZset},
    {'x', kNotifyExpired},     {'e', kNotifyEvicted},  {'t', kNotifyStream},
    {'d', kNotifyModule},      {'n', kNotifyNew},      {'o', kNotifyOverwritten},
    {'c', kNotifyTypeChanged}, {'K', kNotifyKeyspace}, {'E', kNotifyKeyevent},
    {'m', kNotifyKeyMiss}};

std::string Join(std::span<const std::string> words) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += ' ';
    text += word;
  }
  return text;
}

// Words of a list, whether they came as one text (CONFIG SET) or as a line's words.
Words Split(std::string_view text) {
  Words words;
  size_t at = 0;
  while (true) {
    at = text.find_first_not_of(" \t", at);
    if (at == std::string_view::npos) return words;
    const size_t end = std::min(text.find_first_of(" \t", at), text.size());
    words.emplace_back(text.substr(at, end - at));
    at = end;
  }
}

Status OutOfBounds(const Option& o) {
  return Status::Invalid("argument must be between " + ToString(o.min) + " and " + ToString(o.max) +
                         " inclusive");
}

Status NotAName(const Option& o) {
  std::string text = "argument(s) must be one of the following: ";
  for (const EnumName& name : o.names) {
    if (&name != o.names.data()) text += ", ";
    text += name.name;
  }
  return Status::Invalid(std::move(text));
}

const EnumName* FindEnum(const Option& o, std::string_view name) {
  for (const EnumName& candidate : o.names)
    if (EqualsIgnoreCase(candidate.name, name)) return &candidate;
  return nullptr;
}

// The first name with this value: several names may mean the same.
std::string EnumText(const Option& o, int64_t value) {
  for (const EnumName& name : o.names)
    if (name.value == value) return name.name;
  return "";
}

Result<std::string> NormalizeNumber(const Option& o, const std::string& text) {
  int64_t value = 0;
  if (o.kind == OptionKind::kOctal) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
    if (error != std::errc() || end != text.data() + text.size())
      return Status::Invalid("argument couldn't be parsed as an octal number");
    if (value < o.min || value > o.max)
      return Status::Invalid("argument must be between 0 and 777 inclusive");
    char buffer[24];
    snprintf(buffer, sizeof buffer, "%llo", static_cast<unsigned long long>(value));
    return std::string(buffer);
  }
  if (o.kind == OptionKind::kMemory || o.kind == OptionKind::kMemoryOrPercent) {
    if (o.kind == OptionKind::kMemoryOrPercent && text.ends_with('%')) {
      if (!ParseInt64(std::string_view(text).substr(0, text.size() - 1), &value) || value < 0)
        return Status::Invalid("argument must be a memory or percent value");
      if (value > 100) return Status::Invalid("percentage argument must be less or equal to 100");
      return value == 0 ? std::string("0") : text;
    }
    uint64_t bytes;
    if (!ParseMemory(text, &bytes))
      return Status::Invalid(o.kind == OptionKind::kMemory
                                 ? "argument must be a memory value"
                                 : "argument must be a memory or percent value");
    if (bytes > static_cast<uint64_t>(o.max) || static_cast<int64_t>(bytes) < o.min)
      return OutOfBounds(o);
    return ToString(static_cast<int64_t>(bytes));
  }
  if (!ParseInt64(text, &value))
    return Status::Invalid("argument couldn't be parsed into an integer");
  if (o.kind == OptionKind::kClampedInteger) {
    if (value < 0 || value > INT32_MAX)
      return Status::Invalid("argument must be between 0 and 2147483647 inclusive");
    return ToString(std::clamp(value, o.min, o.max));
  }
  if (value < o.min || value > o.max) return OutOfBounds(o);
  return ToString(value);
}

Result<std::string> NormalizeBits(const Option& o, const Words& words) {
  int64_t bits = 0;
  if (words.empty()) return NotAName(o);
  for (const std::string& word : words) {
    const EnumName* name = FindEnum(o, word);
    if (name == nullptr) return NotAName(o);
    bits |= name->value;
  }
  if ((bits & kShutdownSave) && (bits & kShutdownNoSave))
    return Status::Invalid("shutdown options SAVE and NOSAVE can't be used simultaneously");
  Words names;
  for (const EnumName& name : o.names)
    if (name.value != 0 && (bits & name.value)) names.push_back(name.name);
  return names.empty() ? std::string(o.names[0].name) : Join(names);
}

Result<std::string> NormalizeIntegers(const Option& o, const Words& words) {
  if (words.size() != Split(o.fallback).size()) return Status::Invalid("wrong number of arguments");
  for (const std::string& word : words) {
    int64_t value;
    if (!ParseInt64(word, &value) || value < o.min || value > o.max)
      return Status::Invalid("Invalid " + std::string(o.name) + ", elements must be between " +
                             ToString(o.min) + " and " + ToString(o.max) + ".");
  }
  return Join(words);
}

Result<std::string> NormalizePercentiles(const Option& o, const Words& words) {
  std::string text;
  for (const std::string& word : words) {
    double value;
    if (!ParseDouble(word, &value))
      return Status::Invalid("Invalid " + std::string(o.name) + " parameters");
    if (!(value >= 0 && value <= 100))
      return Status::Invalid(std::string(o.name) + " parameters should sit between [0.0,100.0]");
    if (!text.empty()) text += ' ';
    text += ToString(value);
  }
  return text;
}

Result<std::string> NormalizeSavePoints(const Words& words) {
  const Status invalid = Status::Invalid("Invalid save parameters");
  if (words.size() % 2 != 0) return invalid;
  for (size_t i = 0; i < words.size(); ++i) {
    int64_t value;
    const int64_t least = i % 2 == 0 ? 1 : 0;  // seconds, changes
    if (!ParseInt64(words[i], &value) || value < least || value > INT32_MAX) return invalid;
  }
  return Join(words);
}

// The limits of the three classes as CONFIG GET spells them.
std::string FormatLimits(const BufferLimits& limits) {
  Words words;
  for (size_t i = 0; i < limits.size(); ++i)
    words.insert(words.end(), {kBufferClassNames[i], ToString(limits[i].hard_bytes),
                               ToString(limits[i].soft_bytes), ToString(limits[i].soft_seconds)});
  return Join(words);
}

// Classes that `words` does not name keep what stands in `limits`.
Status ParseBufferLimits(const Words& words, BufferLimits* limits) {
  if (words.empty() || words.size() % 4 != 0)
    return Status::Invalid("Wrong number of arguments in buffer limit configuration.");
  for (size_t i = 0; i < words.size(); i += 4) {
    size_t index = 0;
    const bool replica = EqualsIgnoreCase(words[i], "replica");
    const std::string_view name = replica ? "slave" : std::string_view(words[i]);
    while (index < 3 && !EqualsIgnoreCase(name, kBufferClassNames[index])) ++index;
    if (index == 3)
      return Status::Invalid("Invalid client class specified in buffer limit configuration.");
    uint64_t hard, soft;
    int64_t seconds;
    if (!ParseMemory(words[i + 1], &hard) || hard > INT64_MAX ||
        !ParseMemory(words[i + 2], &soft) || soft > INT64_MAX ||
        !ParseInt64(words[i + 3], &seconds) || seconds < 0)
      return Status::Invalid(
          "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    (*limits)[index] = {static_cast<int64_t>(hard), static_cast<int64_t>(soft), seconds};
  }
  return Status::Ok();
}

Result<int64_t> ParseNotify(std::string_view text) {
  int64_t bits = 0;
  for (char c : text) {
    const auto* found = std::find_if(std::begin(kNotifyLetters), std::end(kNotifyLetters),
                                     [c](const NotifyLetter& l) { return l.letter == c; });
    if (c == 'A') {
      bits |= kNotifyAll;
    } else if (found != std::end(kNotifyLetters)) {
      bits |= found->bit;
    } else {
      return Status::Invalid("Invalid event class character. Use 'Ag$lshzxeKEtmdnoc'.");
    }
  }
  return bits;
}

std::string FormatNotify(int64_t bits) {
  const bool all = (bits & kNotifyAll) == kNotifyAll;
  std::string text = all ? "A" : "";
  for (const NotifyLetter& l : kNotifyLetters)
    if ((bits & l.bit) && !(all && (kNotifyAll & l.bit))) text += l.letter;
  return text;
}

// proc-title-template may use a handful of variables, nothing else in braces, and says something.
bool IsTitleTemplate(std::string_view text) {
  if (text.find_first_not_of(' ') == std::string_view::npos) return false;
  constexpr std::string_view kVariables[] = {"title",    "listen-addr", "server-mode", "port",
                                             "tls-port", "unixsocket",  "config-file"};
  while (true) {
    const size_t open = text.find('{');
    if (open == std::string_view::npos) return true;
    const size_t close = text.find('}', open);
    if (close == std::string_view::npos) return false;
    const std::string_view name = text.substr(open + 1, close - open - 1);
    if (std::find(std::begin(kVariables), std::end(kVariables), name) == std::end(kVariables))
      return false;
    text.remove_prefix(close + 1);
  }
}

Result<std::string> NormalizeReplicaOf(const Words& words) {
  if (words.empty()) return std::string();
  if (words.size() != 2) return Status::Invalid("wrong number of arguments");
  if (EqualsIgnoreCase(words[0], "no") && EqualsIgnoreCase(words[1], "one")) return std::string();
  int64_t port;
  if (!ParseInt64(words[1], &port) || port < 0 || port > 65535)
    return Status::Invalid("Invalid master port");
  return Join(words);
}

Result<std::string> NormalizeText(const Option& o, const std::string& text) {
  switch (o.kind) {
    case OptionKind::kBool:
      if (EqualsIgnoreCase(text, "yes")) return std::string("yes");
      if (EqualsIgnoreCase(text, "no")) return std::string("no");
      return Status::Invalid("argument must be 'yes' or 'no'");
    case OptionKind::kFixed:
      if (EqualsIgnoreCase(text, o.fallback)) return std::string(o.fallback);
      return Status::Invalid(o.help);
    case OptionKind::kEnum: {
      const EnumName* name = FindEnum(o, text);
      if (name == nullptr) return NotAName(o);
      return EnumText(o, name->value);
    }
    case OptionKind::kFileName:
      if (text.empty()) return Status::Invalid(std::string(o.name) + " can't be empty");
      if (text.find('/') != std::string::npos)
        return Status::Invalid(std::string(o.name) + " can't be a path, just a filename");
      return text;
    case OptionKind::kTitleTemplate:
      if (!IsTitleTemplate(text))
        return Status::Invalid("template format is invalid or contains unknown variables");
      return text;
    case OptionKind::kNotifyFlags: {
      auto bits = ParseNotify(text);
      if (!bits.ok()) return bits.status();
      return FormatNotify(*bits);
    }
    case OptionKind::kText: return text;
    default: return NormalizeNumber(o, text);
  }
}

}  // namespace

bool Option::TakesManyWords() const {
  switch (kind) {
    case OptionKind::kBits:
    case OptionKind::kWords:
    case OptionKind::kIntegers:
    case OptionKind::kPercentiles:
    case OptionKind::kSavePoints:
    case OptionKind::kBufferLimits:
    case OptionKind::kReplicaOf: return true;
    default: return false;
  }
}

namespace {

Result<std::string> NormalizeByKind(const Option& o, std::span<const std::string> given,
                                    const Config& config) {
  if (!o.TakesManyWords()) {
    if (given.size() != 1) return Status::Invalid("wrong number of arguments");
    return NormalizeText(o, given[0]);
  }
  const Words words = given.size() == 1 ? Split(given[0]) : Words(given.begin(), given.end());
  switch (o.kind) {
    case OptionKind::kBits: return NormalizeBits(o, words);
    case OptionKind::kIntegers: return NormalizeIntegers(o, words);
    case OptionKind::kPercentiles: return NormalizePercentiles(o, words);
    case OptionKind::kSavePoints: return NormalizeSavePoints(words);
    case OptionKind::kReplicaOf: return NormalizeReplicaOf(words);
    case OptionKind::kBufferLimits: {
      BufferLimits limits = config.client_output_buffer_limit();
      CAIRN_RETURN_IF_ERROR(ParseBufferLimits(words, &limits));
      return FormatLimits(limits);
    }
    default:
      if (words.size() > static_cast<size_t>(o.max))
        return Status::Invalid("Too many bind addresses specified.");
      return Join(words);
  }
}

int64_t NumberOf(const Option& o, std::string_view text) {
  int64_t value = 0;
  switch (o.kind) {
    case OptionKind::kBool:
    case OptionKind::kFixed: return text == "yes";
    case OptionKind::kEnum: return FindEnum(o, text)->value;
    case OptionKind::kBits:
      for (const std::string& word : Split(text)) value |= FindEnum(o, word)->value;
      return value;
    case OptionKind::kNotifyFlags: return *ParseNotify(text);
    case OptionKind::kOctal:
      std::from_chars(text.data(), text.data() + text.size(), value, 8);
      return value;
    case OptionKind::kMemoryOrPercent:
      if (text.ends_with('%')) {
        CHECK(ParseInt64(text.substr(0, text.size() - 1), &value));
        return -value;
      }
      [[fallthrough]];
    default: CHECK(ParseInt64(text, &value)); return value;
  }
}

std::string TextOf(const Option& o, int64_t value) {
  switch (o.kind) {
    case OptionKind::kBool:
    case OptionKind::kFixed: return value ? "yes" : "no";
    case OptionKind::kEnum: return EnumText(o, value);
    case OptionKind::kNotifyFlags: return FormatNotify(value);
    case OptionKind::kMemoryOrPercent:
      return value < 0 ? ToString(-value) + "%" : ToString(value);
    case OptionKind::kBits: {
      Words names;
      for (const EnumName& name : o.names)
        if (value & name.value) names.push_back(name.name);
      return names.empty() ? o.names[0].name : Join(names);
    }
    case OptionKind::kOctal: {
      char buffer[24];
      snprintf(buffer, sizeof buffer, "%llo", static_cast<unsigned long long>(value));
      return buffer;
    }
    default: return ToString(value);
  }
}

OptionCell CellOf(const Option& o, Config* config) {
  if (o.cell != nullptr) return o.cell(*config);
  return &config->inert[static_cast<size_t>(&o - Options().data())];
}

}  // namespace

Result<std::string> NormalizeOption(const Option& o, std::span<const std::string> given,
                                    const Config& config) {
  return NormalizeByKind(o, given, config);
}

void StoreOption(const Option& o, std::string_view text, Config* config) {
  const OptionCell cell = CellOf(o, config);
  const Words words = Split(text);
  if (auto* number = std::get_if<NumberCell*>(&cell)) {
    (*number)->Store(NumberOf(o, text));
  } else if (auto* string = std::get_if<Shared<std::string>*>(&cell)) {
    (*string)->Store(std::string(text));
  } else if (auto* list = std::get_if<Shared<Words>*>(&cell)) {
    (*list)->Store(words);
  } else if (auto* integers = std::get_if<Shared<std::vector<int64_t>>*>(&cell)) {
    std::vector<int64_t> values(words.size());
    for (size_t i = 0; i < words.size(); ++i) CHECK(ParseInt64(words[i], &values[i]));
    (*integers)->Store(std::move(values));
  } else if (auto* doubles = std::get_if<Shared<std::vector<double>>*>(&cell)) {
    std::vector<double> values(words.size());
    for (size_t i = 0; i < words.size(); ++i) CHECK(ParseDouble(words[i], &values[i]));
    (*doubles)->Store(std::move(values));
  } else if (auto* points = std::get_if<Shared<std::vector<SavePoint>>*>(&cell)) {
    std::vector<SavePoint> values(words.size() / 2);
    for (size_t i = 0; i < values.size(); ++i)
      CHECK(ParseInt64(words[2 * i], &values[i].seconds) &&
            ParseInt64(words[2 * i + 1], &values[i].changes));
    (*points)->Store(std::move(values));
  } else if (auto* limits = std::get_if<Shared<BufferLimits>*>(&cell)) {
    BufferLimits values;
    CHECK(ParseBufferLimits(words, &values).ok());
    (*limits)->Store(values);
  }
}

std::string FormatOption(const Option& o, const Config& config) {
  // Cells are handed out for writing; this only reads through them.
  const OptionCell cell = CellOf(o, const_cast<Config*>(&config));
  if (auto* number = std::get_if<NumberCell*>(&cell)) return TextOf(o, (*number)->Load());
  if (auto* string = std::get_if<Shared<std::string>*>(&cell)) return (**string)();
  if (auto* list = std::get_if<Shared<Words>*>(&cell)) return Join((**list)());
  if (auto* limits = std::get_if<Shared<BufferLimits>*>(&cell)) return FormatLimits((**limits)());
  Words words;
  if (auto* integers = std::get_if<Shared<std::vector<int64_t>>*>(&cell))
    for (int64_t value : (**integers)()) words.push_back(ToString(value));
  if (auto* doubles = std::get_if<Shared<std::vector<double>>*>(&cell))
    for (double value : (**doubles)()) words.push_back(ToString(value));
  if (auto* points = std::get_if<Shared<std::vector<SavePoint>>*>(&cell))
    for (const SavePoint& point : (**points)())
      words.insert(words.end(), {ToString(point.seconds), ToString(point.changes)});
  return Join(words);
}

Status SetOption(Config* config, std::string_view name, std::string_view text) {
  const Option* option = FindOption(name);
  if (option == nullptr) return Status::NotFound("unknown option '" + std::string(name) + "'");
  const std::string word(text);
  auto normalized = NormalizeOption(*option, {&word, 1}, *config);
  if (!normalized.ok()) return normalized.status();
  StoreOption(*option, *normalized, config);
  return Status::Ok();
}

}  // namespace cairn
