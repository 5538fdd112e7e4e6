// SPDX-License-Identifier: BSD-3-Clause
#include "acl/selector.h"

#include <algorithm>
#include <iterator>

#include "base/glob.h"
#include "base/numbers.h"

namespace cairn {
namespace {

Status SyntaxError() { return Status::Invalid("Syntax error"); }
Status UnknownName() { return Status::Invalid("Unknown command or category name in ACL"); }
Status AddingBehindAll(const char* what, const char* list, const char* sign) {
  return Status::Invalid(std::string("Adding a pattern after the * pattern (or the 'all") + sign +
                         "' flag) is not valid and does not have any effect. Try 'reset" + what +
                         "' to start with an empty list of " + list);
}

bool HasSpaces(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return isspace(c) || c == 0; });
}

// A command that rename-command has given another name, or none, keeps its own here, as in Redis.
const Command* FindCommand(const Registry& registry, std::string_view lower_name) {
  for (const auto& command : registry.all())
    if (command->full_name == lower_name) return command.get();
  return registry.Find(lower_name);
}

void AppendWord(std::string* text, std::string_view word) {
  if (!text->empty()) *text += ' ';
  *text += word;
}

}  // namespace

Status Selector::Apply(std::string_view rule) {
  if (EqualsIgnoreCase(rule, "allkeys") || rule == "~*") {
    all_keys_ = true;
    keys_.clear();
  } else if (EqualsIgnoreCase(rule, "resetkeys")) {
    all_keys_ = false;
    keys_.clear();
  } else if (EqualsIgnoreCase(rule, "allchannels") || rule == "&*") {
    all_channels_ = true;
    channels_.clear();
  } else if (EqualsIgnoreCase(rule, "resetchannels")) {
    all_channels_ = false;
    channels_.clear();
  } else if (EqualsIgnoreCase(rule, "allcommands") || EqualsIgnoreCase(rule, "+@all")) {
    SetAll(true);
  } else if (EqualsIgnoreCase(rule, "nocommands") || EqualsIgnoreCase(rule, "-@all")) {
    SetAll(false);
  } else if (EqualsIgnoreCase(rule, "alldbs") || EqualsIgnoreCase(rule, "resetdbs")) {
    all_databases_ = EqualsIgnoreCase(rule, "alldbs");
    databases_.clear();
  } else if (rule.size() > 3 && EqualsIgnoreCase(rule.substr(0, 3), "db=")) {
    return ApplyDatabases(rule.substr(3));
  } else if (rule[0] == '~' || rule[0] == '%') {
    return ApplyKeyPattern(rule);
  } else if (rule[0] == '&') {
    return ApplyChannel(rule.substr(1));
  } else if (rule.starts_with("+@") || rule.starts_with("-@")) {
    const bool allow = rule[0] == '+';
    if (!SetCategory(rule.substr(2), allow)) return UnknownName();
    NoteRule(ToLower(rule.substr(1)), allow);
  } else if (rule[0] == '+' || rule[0] == '-') {
    return ApplyCommand(rule);
  } else {
    return SyntaxError();
  }
  return Status::Ok();
}

Status Selector::ApplyKeyPattern(std::string_view rule) {
  if (all_keys_) return AddingBehindAll("keys", "patterns", "keys");
  KeyPattern fresh{{}, true, true};
  size_t start = 1;
  if (rule[0] == '%') {
    fresh.read = fresh.write = false;
    for (; start < rule.size() && rule[start] != '~'; ++start) {
      const char kind = static_cast<char>(toupper(static_cast<unsigned char>(rule[start])));
      if (kind == 'R' && !fresh.read) {
        fresh.read = true;
      } else if (kind == 'W' && !fresh.write) {
        fresh.write = true;
      } else {
        return SyntaxError();
      }
    }
    if (start == rule.size() || (!fresh.read && !fresh.write)) return SyntaxError();
    ++start;
  }
  fresh.text = rule.substr(start);
  if (HasSpaces(fresh.text)) return SyntaxError();
  for (KeyPattern& known : keys_) {
    if (known.text != fresh.text) continue;
    known.read |= fresh.read;
    known.write |= fresh.write;
    return Status::Ok();
  }
  keys_.push_back(std::move(fresh));
  return Status::Ok();
}

Status Selector::ApplyChannel(std::string_view pattern) {
  if (all_channels_) return AddingBehindAll("channels", "channels", "channels");
  if (HasSpaces(pattern)) return SyntaxError();
  if (std::find(channels_.begin(), channels_.end(), pattern) == channels_.end())
    channels_.emplace_back(pattern);
  return Status::Ok();
}

Status Selector::ApplyDatabases(std::string_view list) {
  constexpr int64_t kDatabaseMax = 16383;
  std::vector<int> parsed;
  while (true) {
    const size_t comma = list.find(',');
    int64_t number;
    if (!ParseInt64(list.substr(0, comma), &number) || number < 0 || number > kDatabaseMax)
      return SyntaxError();
    parsed.push_back(static_cast<int>(number));
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  parsed.insert(parsed.end(), databases_.begin(), databases_.end());
  std::sort(parsed.begin(), parsed.end());
  parsed.erase(std::unique(parsed.begin(), parsed.end()), parsed.end());
  databases_ = std::move(parsed);
  all_databases_ = false;
  return Status::Ok();
}

Status Selector::ApplyCommand(std::string_view rule) {
  const bool allow = rule[0] == '+';
  const std::string name = ToLower(rule.substr(1));
  if (const Command* command = FindCommand(*registry_, name)) {
    SetCommand(*command, allow);
    NoteRule(command->full_name, allow);
    return Status::Ok();
  }
  // Only what is allowed may be narrowed down to a first argument.
  if (!allow || name.find('|') == std::string::npos) return UnknownName();
  return ApplyFirstArgument(name);
}

Status Selector::ApplyFirstArgument(std::string_view name) {
  const size_t bar = name.find('|');
  const std::string_view argument = name.substr(bar + 1);
  // A blank would make other words of it where the text is read again; Redis takes it.
  if (argument.empty() || HasSpaces(argument)) return SyntaxError();
  if (argument.find('|') != std::string_view::npos)
    return Status::Invalid("Allowing first-arg of a subcommand is not supported");
  const Command* command = FindCommand(*registry_, name.substr(0, bar));
  if (command == nullptr || !command->subcommands.empty()) return UnknownName();
  std::vector<std::string>& allowed = first_arguments_[command->id];
  if (std::find(allowed.begin(), allowed.end(), argument) == allowed.end())
    allowed.emplace_back(argument);
  NoteRule(command->full_name + "|" + std::string(argument), true);
  return Status::Ok();
}

bool Selector::SetCategory(std::string_view category, bool allow) {
  uint64_t flag = 0;
  for (size_t i = 0; i < std::size(kAclCategoryNames); ++i)
    if (EqualsIgnoreCase(category, kAclCategoryNames[i])) flag = uint64_t{1} << i;
  if (flag == 0) return false;
  // Containers come before their subcommands: what a container's category set, theirs refine.
  for (const auto& command : registry_->all())
    if ((command->spec.acl & flag) != 0) SetCommand(*command, allow);
  return true;
}

void Selector::SetAll(bool allow) {
  all_commands_ = future_commands_ = allow;
  commands_.assign((registry_->all().size() + 63) / 64, allow ? ~uint64_t{0} : 0);
  first_arguments_.clear();
  rules_.clear();
}

void Selector::SetCommand(const Command& command, bool allow) {
  SetBit(command.id, allow);
  for (const Command* sub : command.subcommands) SetBit(sub->id, allow);
}

void Selector::SetBit(int id, bool allow) {
  const auto index = static_cast<size_t>(id);
  if (commands_.size() <= index / 64) commands_.resize(index / 64 + 1);
  const uint64_t bit = uint64_t{1} << (index % 64);
  if (allow) {
    commands_[index / 64] |= bit;
  } else {
    commands_[index / 64] &= ~bit;
    all_commands_ = false;
  }
  first_arguments_.erase(id);
}

bool Selector::Bit(int id) const {
  const auto index = static_cast<size_t>(id);
  return index / 64 < commands_.size() && (commands_[index / 64] >> (index % 64) & 1) != 0;
}

// The canonical text keeps the operator's order; a later rule on the same name replaces the
// earlier one, and one on a container those on its subcommands.
void Selector::NoteRule(std::string rule, bool allow) {
  std::erase_if(rules_, [&](const std::string& known) {
    const std::string_view name = std::string_view(known).substr(1);
    return name == rule ||
           (name.size() > rule.size() && name.starts_with(rule) && name[rule.size()] == '|');
  });
  rules_.push_back((allow ? "+" : "-") + rule);
}

AclDenial Selector::Check(const AclCall& call, int* position) const {
  *position = 0;
  if (!AllowsCommand(call)) return AclDenial::kCommand;
  if (!all_databases_) {
    for (int database : *call.databases)
      if (!std::binary_search(databases_.begin(), databases_.end(), database))
        return AclDenial::kDatabase;
  }
  if (!all_keys_) {
    if (call.reads_any_key && !ReadsEveryKey()) return AclDenial::kKey;
    for (const AclKeyUse& use : *call.keys) {
      if (AllowsKey(call.arguments[static_cast<size_t>(use.position)], use)) continue;
      *position = use.position;
      return AclDenial::kKey;
    }
  }
  if (!all_channels_) {
    for (const AclChannelUse& use : *call.channels) {
      if (AllowsChannel(call.arguments[static_cast<size_t>(use.position)], use.pattern)) continue;
      *position = use.position;
      return AclDenial::kChannel;
    }
  }
  return AclDenial::kNone;
}

bool Selector::AllowsCommand(const AclCall& call) const {
  const Command& command = *call.command;
  // AUTH, HELLO, QUIT and RESET are everybody's.
  if (all_commands_ || command.Is(kNoAuth) || Bit(command.id)) return true;
  const auto found = first_arguments_.find(command.id);
  if (found == first_arguments_.end() || call.arguments.size() < 2) return false;
  return std::any_of(found->second.begin(), found->second.end(), [&](const std::string& allowed) {
    return EqualsIgnoreCase(call.arguments[1], allowed);
  });
}

bool Selector::AllowsKey(std::string_view key, const AclKeyUse& use) const {
  return std::any_of(keys_.begin(), keys_.end(), [&](const KeyPattern& pattern) {
    return (!use.read || pattern.read) && (!use.write || pattern.write) &&
           GlobMatch(pattern.text, key);
  });
}

bool Selector::ReadsEveryKey() const {
  return std::any_of(keys_.begin(), keys_.end(), [](const KeyPattern& pattern) {
    return pattern.read && pattern.text == "*";
  });
}

bool Selector::AllowsChannel(std::string_view channel, bool pattern) const {
  if (all_channels_) return true;
  return std::any_of(channels_.begin(), channels_.end(), [&](const std::string& allowed) {
    return pattern ? allowed == channel : GlobMatch(allowed, channel);
  });
}

std::string Selector::DescribeKeys() const {
  if (all_keys_) return "~*";
  std::string text;
  for (const KeyPattern& key : keys_)
    AppendWord(&text, (key.read && key.write ? "~" : key.read ? "%R~" : "%W~") + key.text);
  return text;
}

std::string Selector::DescribeChannels() const {
  if (all_channels_) return "&*";
  std::string text;
  for (const std::string& channel : channels_) AppendWord(&text, "&" + channel);
  return text;
}

std::string Selector::DescribeCommands() const {
  std::string text = future_commands_ ? "+@all" : "-@all";
  for (const std::string& rule : rules_) AppendWord(&text, rule);
  return text;
}

std::string Selector::DescribeDatabases() const {
  if (all_databases_) return "";
  if (databases_.empty()) return "resetdbs";
  std::string text;
  for (int database : databases_)
    text += (text.empty() ? "db=" : ",") + ToString(int64_t{database});
  return text;
}

std::string Selector::Describe() const {
  std::string text = DescribeKeys();
  // Said aloud, because a new user's channels depend on acl-pubsub-default.
  if (!all_channels_) AppendWord(&text, "resetchannels");
  const std::string parts[] = {DescribeChannels(), DescribeDatabases(), DescribeCommands()};
  for (const std::string& part : parts)
    if (!part.empty()) AppendWord(&text, part);
  return text;
}

}  // namespace cairn
