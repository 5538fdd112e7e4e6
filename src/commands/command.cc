// SPDX-License-Identifier: BSD-3-Clause
//
// COMMAND and its subcommands: the rows of spec/ as clients and redis-cli read them.
#include <algorithm>

#include "base/glob.h"
#include "base/numbers.h"
#include "commands/families.h"
#include "commands/help.h"
#include "exec/context.h"
#include "spec/command_arguments.h"
#include "spec/command_docs.h"
#include "spec/command_history.h"

namespace cairn {
namespace {

struct FlagName {
  uint64_t flag;
  const char* name;
};
constexpr FlagName kFlagNames[] = {
    {kWrite, "write"},
    {kReadonly, "readonly"},
    {kDenyOom, "denyoom"},
    {kAdmin, "admin"},
    {kPubsub, "pubsub"},
    {kNoScript, "noscript"},
    {kBlocking, "blocking"},
    {kLoading, "loading"},
    {kStale, "stale"},
    {kSkipMonitor, "skip_monitor"},
    {kSkipSlowlog, "skip_slowlog"},
    {kAsking, "asking"},
    {kFast, "fast"},
    {kNoAuth, "no_auth"},
    {kNoMandatoryKeys, "no_mandatory_keys"},
    {kNoAsyncLoading, "no_async_loading"},
    {kNoMulti, "no_multi"},
    {kMovableKeys, "movablekeys"},
    {kAllowBusy, "allow_busy"},
};
constexpr FlagName kKeyFlagNames[] = {
    {kRO, "RO"},         {kRW, "RW"},         {kOW, "OW"},
    {kRM, "RM"},         {kAccess, "access"}, {kUpdate, "update"},
    {kInsert, "insert"}, {kDelete, "delete"}, {kNotKey, "not_key"},
    {kIncomplete, "incomplete"}, {kVariableFlags, "variable_flags"},
};

template <size_t N>
void ReplyFlags(ReplyWriter& reply, const FlagName (&names)[N], uint64_t flags) {
  size_t count = 0;
  for (const FlagName& n : names) count += (flags & n.flag) != 0;
  reply.Set(count);
  for (const FlagName& n : names)
    if (flags & n.flag) reply.SimpleString(n.name);
}

void ReplyKeySpec(ReplyWriter& reply, const KeySpec& spec) {
  reply.Map(3);
  reply.Bulk("flags");
  ReplyFlags(reply, kKeyFlagNames, spec.flags);
  reply.Bulk("begin_search");
  reply.Map(2);
  reply.Bulk("type");
  switch (spec.begin) {
    case KeySpec::Begin::kIndex:
      reply.Bulk("index");
      reply.Bulk("spec");
      reply.Map(1);
      reply.Bulk("index");
      reply.Integer(spec.index);
      break;
    case KeySpec::Begin::kKeyword:
      reply.Bulk("keyword");
      reply.Bulk("spec");
      reply.Map(2);
      reply.Bulk("keyword");
      reply.Bulk(spec.keyword);
      reply.Bulk("startfrom");
      reply.Integer(spec.index);
      break;
    case KeySpec::Begin::kUnknown:
      reply.Bulk("unknown");
      reply.Bulk("spec");
      reply.Map(0);
      break;
  }
  reply.Bulk("find_keys");
  reply.Map(2);
  reply.Bulk("type");
  switch (spec.find) {
    case KeySpec::Find::kRange:
      reply.Bulk("range");
      reply.Bulk("spec");
      reply.Map(3);
      reply.Bulk("lastkey");
      reply.Integer(spec.last);
      reply.Bulk("keystep");
      reply.Integer(spec.step);
      reply.Bulk("limit");
      reply.Integer(spec.limit);
      break;
    case KeySpec::Find::kKeyNum:
      reply.Bulk("keynum");
      reply.Bulk("spec");
      reply.Map(3);
      reply.Bulk("keynumidx");
      reply.Integer(spec.keynum);
      reply.Bulk("firstkey");
      reply.Integer(spec.first_key);
      reply.Bulk("keystep");
      reply.Integer(spec.step);
      break;
    case KeySpec::Find::kUnknown:
      reply.Bulk("unknown");
      reply.Bulk("spec");
      reply.Map(0);
      break;
  }
}

void ReplyCommand(ReplyWriter& reply, const Command& command) {
  reply.Array(10);
  reply.Bulk(command.full_name);
  reply.Integer(command.spec.arity);
  ReplyFlags(reply, kFlagNames, command.spec.flags);
  reply.Integer(command.first_key);
  reply.Integer(command.last_key);
  reply.Integer(command.key_step);
  size_t categories = 0;
  for (size_t i = 0; i < std::size(kAclCategoryNames); ++i)
    categories += (command.spec.acl >> i) & 1;
  reply.Set(categories);
  for (size_t i = 0; i < std::size(kAclCategoryNames); ++i)
    if ((command.spec.acl >> i) & 1)
      reply.SimpleString("@" + std::string(kAclCategoryNames[i]));
  reply.Set(0);  // tips
  reply.Set(static_cast<size_t>(command.spec.keys.count));
  for (int i = 0; i < command.spec.keys.count; ++i)
    ReplyKeySpec(reply, command.spec.keys.specs[i]);
  reply.Set(command.subcommands.size());
  for (const Command* sub : command.subcommands) ReplyCommand(reply, *sub);
}

std::vector<const Command*> TopLevel(Context& ctx) {
  std::vector<const Command*> commands;
  for (const auto& command : ctx.engine().registry.all())
    if (command->parent == nullptr) commands.push_back(command.get());
  return commands;
}

// COMMAND
void CommandAll(Context& ctx) {
  const auto commands = TopLevel(ctx);
  ctx.reply().Array(commands.size());
  for (const Command* command : commands) ReplyCommand(ctx.reply(), *command);
}

// COMMAND COUNT
void CommandCount(Context& ctx) {
  ctx.reply().Integer(static_cast<int64_t>(TopLevel(ctx).size()));
}

// COMMAND INFO [name ...]
void CommandInfo(Context& ctx) {
  if (ctx.argc() == 2) return CommandAll(ctx);
  ctx.reply().Array(ctx.argc() - 2);
  for (size_t i = 2; i < ctx.argc(); ++i) {
    const Command* command = ctx.engine().registry.Find(ctx.arg(i));
    command == nullptr ? ctx.reply().Null() : ReplyCommand(ctx.reply(), *command);
  }
}

void ReplyArguments(ReplyWriter& reply, const std::vector<ArgumentDocs>& arguments) {
  reply.Array(arguments.size());
  for (const ArgumentDocs& argument : arguments) {
    const size_t flags = argument.optional + argument.multiple + argument.multiple_token;
    const bool is_plain = argument.arguments.empty();
    reply.Map(2 + is_plain + (argument.key_spec >= 0) + argument.token.has_value() + (flags > 0) +
              !is_plain);
    reply.Bulk("name");
    reply.Bulk(argument.name);
    reply.Bulk("type");
    reply.Bulk(argument.type);
    if (is_plain) {
      reply.Bulk("display_text");
      reply.Bulk(argument.name);
    }
    if (argument.key_spec >= 0) {
      reply.Bulk("key_spec_index");
      reply.Integer(argument.key_spec);
    }
    if (argument.token) {
      reply.Bulk("token");
      reply.Bulk(*argument.token);
    }
    if (flags > 0) {
      reply.Bulk("flags");
      reply.Set(flags);
      if (argument.optional) reply.SimpleString("optional");
      if (argument.multiple) reply.SimpleString("multiple");
      if (argument.multiple_token) reply.SimpleString("multiple_token");
    }
    if (!is_plain) {
      reply.Bulk("arguments");
      ReplyArguments(reply, argument.arguments);
    }
  }
}

// How many fields of COMMAND DOCS a command's standing takes.
size_t StandingFields(const CommandStanding* standing) {
  if (standing == nullptr) return 0;
  return standing->deprecated_since == nullptr ? 1 : 3;
}

void ReplyStanding(ReplyWriter& reply, const CommandStanding& standing) {
  reply.Bulk("doc_flags");
  reply.Set(1);
  reply.SimpleString(standing.deprecated_since == nullptr ? "syscmd" : "deprecated");
  if (standing.deprecated_since == nullptr) return;
  reply.Bulk("deprecated_since");
  reply.Bulk(standing.deprecated_since);
  reply.Bulk("replaced_by");
  reply.Bulk(standing.replaced_by);
}

void ReplyHistory(ReplyWriter& reply, std::span<const CommandChange> history) {
  reply.Bulk("history");
  reply.Set(history.size());
  for (const CommandChange& change : history) {
    reply.Array(2);
    reply.Bulk(change.version);
    reply.Bulk(change.change);
  }
}

void ReplyDocs(ReplyWriter& reply, const Command& command) {
  const auto doc = FindCommandDocs(command.full_name);
  const auto arguments = ParseArgumentDocs(FindCommandArguments(command.full_name));
  const auto history = FindCommandHistory(command.full_name);
  const CommandStanding* standing = FindCommandStanding(command.full_name);
  reply.Map((doc.has_value() ? 4 : 0) + StandingFields(standing) + (history.empty() ? 0 : 1) +
            (arguments.empty() ? 0 : 1) + (command.subcommands.empty() ? 0 : 1));
  if (doc.has_value()) {
    reply.Bulk("summary");
    reply.Bulk(doc->summary);
    reply.Bulk("since");
    reply.Bulk(doc->since);
    reply.Bulk("group");
    reply.Bulk(doc->group);
    reply.Bulk("complexity");
    reply.Bulk(doc->complexity);
  }
  if (standing != nullptr) ReplyStanding(reply, *standing);
  if (!history.empty()) ReplyHistory(reply, history);
  if (!arguments.empty()) {
    reply.Bulk("arguments");
    ReplyArguments(reply, arguments);
  }
  if (command.subcommands.empty()) return;
  reply.Bulk("subcommands");
  reply.Map(command.subcommands.size());
  for (const Command* sub : command.subcommands) {
    reply.Bulk(sub->full_name);
    ReplyDocs(reply, *sub);
  }
}

// COMMAND DOCS [name ...]
void CommandDocsReply(Context& ctx) {
  std::vector<const Command*> commands;
  if (ctx.argc() == 2) {
    commands = TopLevel(ctx);
  } else {
    for (size_t i = 2; i < ctx.argc(); ++i)
      if (const Command* command = ctx.engine().registry.Find(ctx.arg(i)))
        commands.push_back(command);
  }
  ctx.reply().Map(commands.size());
  for (const Command* command : commands) {
    ctx.reply().Bulk(command->full_name);
    ReplyDocs(ctx.reply(), *command);
  }
}

// COMMAND LIST [FILTERBY MODULE name|ACLCAT category|PATTERN pattern]
void CommandList(Context& ctx) {
  std::vector<const Command*> commands;
  if (ctx.argc() == 2) {
    for (const auto& command : ctx.engine().registry.all()) commands.push_back(command.get());
  } else if (ctx.argc() == 5 && EqualsIgnoreCase(ctx.arg(2), "filterby")) {
    uint64_t category = 0;
    const bool by_category = EqualsIgnoreCase(ctx.arg(3), "aclcat");
    const bool by_pattern = EqualsIgnoreCase(ctx.arg(3), "pattern");
    if (!by_category && !by_pattern && !EqualsIgnoreCase(ctx.arg(3), "module"))
      return ctx.Error(errors::kSyntax);
    for (size_t i = 0; i < std::size(kAclCategoryNames); ++i)
      if (EqualsIgnoreCase(ctx.arg(4), kAclCategoryNames[i])) category = uint64_t{1} << i;
    // Of modules there are none; subcommands count for the other filters.
    for (const auto& command : ctx.engine().registry.all())
      if ((by_category && (command->spec.acl & category) != 0) ||
          (by_pattern && GlobMatch(ctx.arg(4), command->full_name, true)))
        commands.push_back(command.get());
  } else {
    return ctx.Error(errors::kSyntax);
  }
  ctx.argc() == 2 ? ctx.reply().Set(commands.size()) : ctx.reply().Array(commands.size());
  for (const Command* command : commands) ctx.reply().Bulk(command->full_name);
}

// A shard channel is routed as a key is, and none.
bool NamesKeys(const Command& command) {
  if (command.spec.keys_of != nullptr) return true;
  const KeySpecs& keys = command.spec.keys;
  return std::any_of(keys.specs, keys.specs + keys.count,
                     [](const KeySpec& key) { return (key.flags & kNotKey) == 0; });
}

void GetKeys(Context& ctx, bool with_flags) {
  const Arguments call = ctx.args().subspan(2);
  const Command* command = ctx.engine().registry.Resolve(call, nullptr);
  if (command == nullptr) return ctx.Error("ERR Invalid command specified");
  if (!NamesKeys(*command))
    return ctx.Error("ERR The command has no key arguments");
  if (!command->ArityFits(call.size()))
    return ctx.Error("ERR Invalid number of arguments specified for command");
  KeySink sink;
  const bool found = ExtractKeys(*command, call, sink) && !sink.keys().empty();
  // What may do without keys has none however wrong their count is.
  if (!found && command->Is(kNoMandatoryKeys)) return ctx.reply().Array(0);
  if (!found) return ctx.Error("ERR Invalid arguments specified for command");
  ctx.reply().Array(sink.keys().size());
  for (const KeyReference& key : sink.keys()) {
    if (with_flags) ctx.reply().Array(2);
    ctx.reply().Bulk(call[static_cast<size_t>(key.position)]);
    if (with_flags) ReplyFlags(ctx.reply(), kKeyFlagNames, key.flags);
  }
}

// COMMAND GETKEYS command [arg ...]
void CommandGetKeys(Context& ctx) { GetKeys(ctx, false); }
// COMMAND GETKEYSANDFLAGS command [arg ...]
void CommandGetKeysAndFlags(Context& ctx) { GetKeys(ctx, true); }

void CommandHelp(Context& ctx) {
  static constexpr std::string_view kLines[] = {
      "(no subcommand)", "    Return details about all Cairn commands.",
      "COUNT", "    Return the total number of commands in this server.",
      "LIST", "    Return a list of all commands in this server.",
      "INFO [<command-name> ...]", "    Return details about multiple commands.",
      "DOCS [<command-name> ...]", "    Return documentation details about multiple commands.",
      "GETKEYS <full-command>", "    Return the keys from a full command.",
      "GETKEYSANDFLAGS <full-command>", "    Return the keys and the access flags from a full command."};
  ReplyHelp(ctx, "COMMAND", kLines);
}

constexpr uint64_t kCommandFlags = kLoading | kStale;
constexpr CommandSpec kRows[] = {
    {"COMMAND", -1, kCommandFlags, {}, kAclConnection, &CommandAll},
    {"COMMAND|COUNT", 2, kCommandFlags, {}, kAclConnection, &CommandCount},
    {"COMMAND|DOCS", -2, kCommandFlags, {}, kAclConnection, &CommandDocsReply},
    {"COMMAND|GETKEYS", -4, kCommandFlags, {}, kAclConnection, &CommandGetKeys},
    {"COMMAND|GETKEYSANDFLAGS", -4, kCommandFlags, {}, kAclConnection, &CommandGetKeysAndFlags},
    {"COMMAND|INFO", -2, kCommandFlags, {}, kAclConnection, &CommandInfo},
    {"COMMAND|LIST", -2, kCommandFlags, {}, kAclConnection, &CommandList},
    {"COMMAND|HELP", 2, kCommandFlags, {}, kAclConnection, &CommandHelp},
};

}  // namespace

std::span<const CommandSpec> CommandCommands() { return kRows; }

}  // namespace cairn
