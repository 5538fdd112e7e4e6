// SPDX-License-Identifier: BSD-3-Clause
//
// ACL and its subcommands, but those about the log and files (acl_log.cc). Changes run under scope
// All: no command is under way while rules change, and those that waited for their locks ask again.
#include "commands/acl_common.h"
#include "commands/acl_sessions.h"
#include "commands/families.h"
#include "commands/help.h"
#include "exec/access.h"
#include "exec/args.h"
#include "exec/context.h"

#include "base/random.h"

namespace cairn {
namespace {

// ACL WHOAMI  O(1)
void AclWhoAmI(Context& ctx) { ctx.reply().Bulk(ctx.session().user->name()); }

// ACL USERS  O(N)
void AclUsers(Context& ctx) {
  const auto users = ctx.engine().users.All();
  ctx.reply().Array(users.size());
  for (const auto& user : users) ctx.reply().Bulk(user->name());
}

// ACL LIST  O(N)
void AclList(Context& ctx) {
  const auto users = ctx.engine().users.All();
  ctx.reply().Array(users.size());
  for (const auto& user : users) ctx.reply().Bulk(user->Describe());
}

void ReplySelector(ReplyWriter& reply, const Selector& selector) {
  reply.Bulk("commands");
  reply.Bulk(selector.DescribeCommands());
  reply.Bulk("keys");
  reply.Bulk(selector.DescribeKeys());
  reply.Bulk("channels");
  reply.Bulk(selector.DescribeChannels());
}
// Shown only where there is something to say, so that clients of Redis meet the fields they know.
void ReplyDatabases(ReplyWriter& reply, const Selector& selector) {
  if (selector.DescribeDatabases().empty()) return;
  reply.Bulk("databases");
  reply.Bulk(selector.DescribeDatabases());
}
size_t FieldCount(const Selector& selector) {
  return selector.DescribeDatabases().empty() ? 3 : 4;
}

// ACL GETUSER username  O(N)
void AclGetUser(Context& ctx) {
  ReplyWriter& reply = ctx.reply();
  const auto user = ctx.engine().users.Find(ctx.arg(2));
  if (user == nullptr) return reply.Null();
  const Selector& root = user->selectors()[0];
  reply.Map(3 + FieldCount(root));
  reply.Bulk("flags");
  const auto flags = user->Flags();
  reply.Set(flags.size());
  for (std::string_view flag : flags) reply.Bulk(flag);
  reply.Bulk("passwords");
  reply.Array(user->passwords().size());
  for (const std::string& hash : user->passwords()) reply.Bulk(hash);
  ReplySelector(reply, root);
  reply.Bulk("selectors");
  reply.Array(user->selectors().size() - 1);
  for (size_t i = 1; i < user->selectors().size(); ++i) {
    const Selector& selector = user->selectors()[i];
    reply.Map(FieldCount(selector));
    ReplySelector(reply, selector);
    ReplyDatabases(reply, selector);
  }
  ReplyDatabases(reply, root);
}

// ACL SETUSER username [rule [rule ...]]  O(N)
void AclSetUser(Context& ctx) {
  const Status status = ctx.engine().users.Set(ctx.arg(2), ctx.args().subspan(3));
  if (!status.ok()) return ctx.Error("ERR " + status.message());
  ctx.engine().modes.Bump();
  CloseSubscribersOf(ctx.unit(), ctx.session(), std::string(ctx.arg(2)));
  ctx.engine().log.Verbose("ACL SETUSER %s", std::string(ctx.arg(2)).c_str());
  ctx.Ok();
}

// ACL DELUSER username [username ...]  O(1) for each user
void AclDelUser(Context& ctx) {
  Engine& engine = ctx.engine();
  for (size_t i = 2; i < ctx.argc(); ++i)
    if (ctx.arg(i) == "default") return ctx.Error("ERR The 'default' user cannot be removed");
  std::vector<std::string> removed;
  for (size_t i = 2; i < ctx.argc(); ++i)
    if (engine.users.Remove(ctx.arg(i))) removed.emplace_back(ctx.arg(i));
  engine.modes.Bump();
  CloseSessionsOf(ctx.unit(), ctx.session(), removed);
  ctx.reply().Integer(static_cast<int64_t>(removed.size()));
}

// ACL CAT [category]  O(1)
void AclCat(Context& ctx) {
  ReplyWriter& reply = ctx.reply();
  if (ctx.argc() > 3) return ctx.Error(UnknownAclSubcommand(ctx));
  if (ctx.argc() == 2) {
    reply.Array(std::size(kAclCategoryNames));
    for (const char* name : kAclCategoryNames) reply.Bulk(name);
    return;
  }
  uint64_t flag = 0;
  for (size_t i = 0; i < std::size(kAclCategoryNames); ++i)
    if (EqualsIgnoreCase(ctx.arg(2), kAclCategoryNames[i])) flag = uint64_t{1} << i;
  if (flag == 0) return ctx.Error("ERR Unknown category '" + std::string(ctx.arg(2)) + "'");
  std::vector<std::string_view> names;
  for (const auto& command : ctx.engine().registry.all())
    if ((command->spec.acl & flag) != 0) names.push_back(command->full_name);
  reply.Array(names.size());
  for (std::string_view name : names) reply.Bulk(name);
}

// ACL DRYRUN username command [arg ...]  O(1)
void AclDryRun(Context& ctx) {
  const auto user = ctx.engine().users.Find(ctx.arg(2));
  if (user == nullptr) return ctx.Error("ERR User '" + std::string(ctx.arg(2)) + "' not found");
  const Arguments call = ctx.args().subspan(3);
  const Command* parent = nullptr;
  const Command* command = ctx.engine().registry.Resolve(call, &parent);
  if (command == nullptr)
    return ctx.Error("ERR Command '" + std::string(call[0]) + "' not found");
  if (!command->ArityFits(call.size()))
    return ctx.Error("ERR wrong number of arguments for '" + command->full_name + "' command");
  const AccessAnswer answer = AskAccess(*user, *command, call, ctx.db());
  if (answer.ok()) return ctx.Ok();
  ctx.reply().Bulk(DescribeDenial(answer, user->name(), *command, call, true));
}

// ACL GENPASS [bits]  O(1)
void AclGenPass(Context& ctx) {
  constexpr int64_t kBitsMax = 4096, kBitsDefault = 256;
  if (ctx.argc() > 3) return ctx.Error(UnknownAclSubcommand(ctx));
  int64_t bits = kBitsDefault;
  if (ctx.argc() == 3) {
    if (!ParseInt64(ctx.arg(2), &bits)) return ctx.Error(errors::kNotInteger);
    if (bits <= 0 || bits > kBitsMax)
      return ctx.Error(
          "ERR ACL GENPASS argument must be the number of bits for the output password, a positive "
          "number up to 4096");
  }
  unsigned char random[kBitsMax / 8];
  const auto digits = static_cast<size_t>((bits + 3) / 4);
  RandomBytes(random, (digits + 1) / 2);
  std::string password;
  for (size_t i = 0; i < digits; ++i)
    password += "0123456789abcdef"[i % 2 == 0 ? random[i / 2] >> 4 : random[i / 2] & 15];
  ctx.reply().Bulk(password);
}

void AclHelp(Context& ctx) {
  static constexpr std::string_view kLines[] = {
      "CAT [<category>]", "    List all commands that belong to <category>, or all command categories",
      "    when no category is specified.", "DELUSER <username> [<username> ...]",
      "    Delete a list of users.", "DRYRUN <username> <command> [<arg> ...]",
      "    Returns whether the user can execute the given command without executing the command.",
      "GETUSER <username>", "    Get the user's details.", "GENPASS [<bits>]",
      "    Generate a secure 256-bit user password. The optional `bits` argument can",
      "    be used to specify a different size.", "LIST",
      "    Show users details in config file format.", "LOAD",
      "    Reload users from the ACL file.", "LOG [<count> | RESET]",
      "    Show the ACL log entries.", "SAVE", "    Save the current config to the ACL file.",
      "SETUSER <username> <attribute> [<attribute> ...]",
      "    Create or modify a user with the specified attributes.", "USERS",
      "    List all the registered usernames.", "WHOAMI",
      "    Return the current connection username."};
  ReplyHelp(ctx, "ACL", kLines);
}

constexpr uint64_t kFlags = kAdmin | kNoScript | kLoading | kStale;
constexpr uint64_t kFree = kNoScript | kLoading | kStale;
constexpr CommandSpec kRows[] = {
    {"ACL", -2, 0, {}, 0, nullptr, Scope::kNone},
    {"ACL|CAT", -2, kFree, {}, 0, &AclCat},
    {"ACL|DELUSER", -3, kFlags, {}, 0, &AclDelUser, Scope::kAll},
    {"ACL|DRYRUN", -4, kFlags, {}, 0, &AclDryRun},
    {"ACL|GENPASS", -2, kFree, {}, 0, &AclGenPass},
    {"ACL|GETUSER", 3, kFlags, {}, 0, &AclGetUser},
    {"ACL|HELP", 2, kLoading | kStale, {}, 0, &AclHelp},
    {"ACL|LIST", 2, kFlags, {}, 0, &AclList},
    {"ACL|LOAD", 2, kFlags, {}, 0, &AclLoad},
    {"ACL|LOG", -2, kFlags, {}, 0, &AclLogCommand},
    {"ACL|SAVE", 2, kFlags, {}, 0, &AclSave},
    {"ACL|SETUSER", -3, kFlags, {}, 0, &AclSetUser, Scope::kAll},
    {"ACL|USERS", 2, kFlags, {}, 0, &AclUsers},
    {"ACL|WHOAMI", 2, kFree, {}, 0, &AclWhoAmI},
};

}  // namespace

std::span<const CommandSpec> AclCommands() { return kRows; }

}  // namespace cairn
