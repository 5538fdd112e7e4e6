// SPDX-License-Identifier: BSD-3-Clause
//
// CLIENT and its subcommands.
#include "commands/families.h"
#include "commands/help.h"
#include "exec/args.h"
#include "exec/blocking.h"
#include "exec/client_text.h"
#include "exec/context.h"

namespace cairn {
namespace {

// CLIENT ID
void ClientId(Context& ctx) { ctx.reply().Integer(static_cast<int64_t>(ctx.session().id())); }

// CLIENT GETNAME
void ClientGetName(Context& ctx) {
  std::lock_guard guard(ctx.session().record->mutex);
  const std::string& name = ctx.session().record->name;
  name.empty() ? ctx.reply().Null() : ctx.reply().Bulk(name);
}

bool IsPrintableWord(std::string_view text) {
  for (char c : text)
    if (c < '!' || c > '~') return false;
  return true;
}

// CLIENT SETNAME name
void ClientSetName(Context& ctx) {
  if (!IsPrintableWord(ctx.arg(2)))
    return ctx.Error("ERR Client names cannot contain spaces, newlines or special characters.");
  std::lock_guard guard(ctx.session().record->mutex);
  ctx.session().record->name = ctx.arg(2);
  ctx.Ok();
}

// CLIENT SETINFO LIB-NAME|LIB-VER value
void ClientSetInfo(Context& ctx) {
  ClientRecord& record = *ctx.session().record;
  std::string* field = nullptr;
  if (EqualsIgnoreCase(ctx.arg(2), "lib-name")) field = &record.library_name;
  if (EqualsIgnoreCase(ctx.arg(2), "lib-ver")) field = &record.library_version;
  if (field == nullptr)
    return ctx.Error("ERR Unrecognized option '" + std::string(ctx.arg(2)) + "'");
  if (!IsPrintableWord(ctx.arg(3)))
    return ctx.Error("ERR " + ToLower(ctx.arg(2)) +
                     " cannot contain spaces, newlines or special characters.");
  std::lock_guard guard(record.mutex);
  *field = ctx.arg(3);
  ctx.Ok();
}

// CLIENT INFO
void ClientInfo(Context& ctx) {
  const std::string text =
      DescribeClient(*ctx.session().record, ctx.engine().registry, ctx.engine().clock.MonotonicMs()) +
      "\n";
  ctx.reply().Verbatim("txt", text);
}

// What CLIENT LIST and CLIENT KILL choose clients by.
struct ClientFilter {
  std::vector<int64_t> ids;
  std::string_view type, address, local_address, user;
  bool has_type = false, has_address = false, has_local_address = false;
  bool skip_me = true;
  int64_t max_age_s = -1;

  bool Matches(const ClientRecord& record, int64_t now_ms) const {
    if (!ids.empty() &&
        std::find(ids.begin(), ids.end(), static_cast<int64_t>(record.id)) == ids.end())
      return false;
    if (has_type && ClientType(record) != type) return false;
    if (max_age_s >= 0 && (now_ms - record.created_ms) / 1000 < max_age_s) return false;
    std::lock_guard guard(record.mutex);
    if (has_address && record.address != address) return false;
    if (has_local_address && record.local_address != local_address) return false;
    if (!user.empty() && record.user != user) return false;
    return true;
  }
};

// Reads TYPE's argument; "slave" is "replica".
bool ReadType(Context& ctx, std::string_view text, ClientFilter* filter) {
  static constexpr std::string_view kTypes[] = {"normal", "replica", "pubsub", "master"};
  for (std::string_view type : kTypes)
    if (EqualsIgnoreCase(text, type)) filter->type = type;
  if (EqualsIgnoreCase(text, "slave")) filter->type = "replica";
  filter->has_type = true;
  if (!filter->type.empty()) return true;
  ctx.Error("ERR Unknown client type '" + std::string(text) + "'");
  return false;
}

// CLIENT LIST [TYPE type] [ID id ...]
void ClientList(Context& ctx) {
  ClientFilter filter;
  if (ctx.argc() == 4 && EqualsIgnoreCase(ctx.arg(2), "type")) {
    if (!ReadType(ctx, ctx.arg(3), &filter)) return;
  } else if (ctx.argc() > 3 && EqualsIgnoreCase(ctx.arg(2), "id")) {
    for (size_t i = 3; i < ctx.argc(); ++i) {
      int64_t id;
      if (!ParseInt64(ctx.arg(i), &id)) return ctx.Error("ERR Invalid client ID");
      filter.ids.push_back(id);
    }
  } else if (ctx.argc() != 2) {
    return ctx.Error(errors::kSyntax);
  }
  std::string text;
  const int64_t now_ms = ctx.engine().clock.MonotonicMs();
  for (const auto& record : ctx.engine().control->Clients())
    if (filter.Matches(*record, now_ms))
      text += DescribeClient(*record, ctx.engine().registry, now_ms) + "\n";
  ctx.reply().Verbatim("txt", text);
}

void KillMatching(Context& ctx, const ClientFilter& filter, bool old_form) {
  int64_t killed = 0;
  const int64_t now_ms = ctx.engine().clock.MonotonicMs();
  for (const auto& record : ctx.engine().control->Clients()) {
    if (!filter.Matches(*record, now_ms)) continue;
    if (record->id == ctx.session().id()) {
      if (filter.skip_me) continue;
      ctx.session().close_after_reply = true;
      ++killed;
    } else {
      killed += ctx.engine().control->Kill(record->id);
    }
  }
  if (!old_form) return ctx.reply().Integer(killed);
  killed > 0 ? ctx.Ok() : ctx.Error("ERR No such client");
}

// CLIENT KILL ip:port | [ID id] [TYPE type] [USER user] [ADDR a] [LADDR a] [SKIPME yes|no]
//             [MAXAGE seconds]
void ClientKill(Context& ctx) {
  ClientFilter filter;
  if (ctx.argc() == 3) {
    filter.address = ctx.arg(2);
    filter.has_address = true;
    filter.skip_me = false;
    return KillMatching(ctx, filter, true);
  }
  Args args(ctx, 2);
  while (args.More()) {
    if (args.Take("ID", 1)) {
      const int64_t id = args.Int("ERR client-id should be greater than 0");
      if (!args.failed() && id < 1) args.Fail("ERR client-id should be greater than 0");
      filter.ids.push_back(id);
    } else if (args.Take("TYPE", 1)) {
      if (!ReadType(ctx, args.Next(), &filter)) return;
    } else if (args.Take("ADDR", 1)) {
      filter.address = args.Next();
      filter.has_address = true;
    } else if (args.Take("LADDR", 1)) {
      filter.local_address = args.Next();
      filter.has_local_address = true;
    } else if (args.Take("USER", 1)) {
      filter.user = args.Next();
      if (ctx.engine().users.Find(filter.user) == nullptr)
        return ctx.Error("ERR No such user '" + std::string(filter.user) + "'");
    } else if (args.Take("SKIPME", 1)) {
      if (args.Take("yes")) {
        filter.skip_me = true;
      } else if (args.Take("no")) {
        filter.skip_me = false;
      } else {
        args.Fail(errors::kSyntax);
      }
    } else if (args.Take("MAXAGE", 1)) {
      filter.max_age_s = args.Int("ERR maxage is not an integer or out of range");
      if (!args.failed() && filter.max_age_s < 1)
        args.Fail("ERR maxage should be greater than 0");
    } else {
      args.Fail(errors::kSyntax);
    }
  }
  if (args.Done()) KillMatching(ctx, filter, false);
}

// CLIENT PAUSE timeout [WRITE|ALL]
void ClientPause(Context& ctx) {
  bool writes_only = false;
  if (ctx.argc() == 4) {
    if (EqualsIgnoreCase(ctx.arg(3), "write")) {
      writes_only = true;
    } else if (!EqualsIgnoreCase(ctx.arg(3), "all")) {
      return ctx.Error("ERR CLIENT PAUSE mode must be WRITE or ALL");
    }
  } else if (ctx.argc() != 3) {
    return RefuseArguments(ctx, "CLIENT");
  }
  int64_t timeout_ms, until_ms;
  if (!ParseInt64(ctx.arg(2), &timeout_ms))
    return ctx.Error("ERR timeout is not an integer or out of range");
  if (timeout_ms < 0) return ctx.Error("ERR timeout is negative");
  // Redis counts from the Unix epoch, and refuses what it could not. A clock may be set to before
  // that; what counts here cannot.
  const int64_t now_ms = ctx.engine().clock.MonotonicMs();
  if (__builtin_add_overflow(timeout_ms, std::max(ctx.now_ms(), now_ms), &until_ms))
    return ctx.Error("ERR timeout is out of range");
  ctx.engine().control->Pause(now_ms + timeout_ms, writes_only);
  ctx.Ok();
}

// CLIENT UNPAUSE
void ClientUnpause(Context& ctx) {
  ctx.engine().control->Pause(0, false);
  ctx.Ok();
}

// CLIENT UNBLOCK client-id [TIMEOUT|ERROR]
void ClientUnblock(Context& ctx) {
  if (ctx.argc() > 4) return RefuseArguments(ctx, "CLIENT");
  bool with_error = false;
  if (ctx.argc() == 4) {
    if (EqualsIgnoreCase(ctx.arg(3), "error")) {
      with_error = true;
    } else if (!EqualsIgnoreCase(ctx.arg(3), "timeout")) {
      return ctx.Error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    }
  }
  int64_t id;
  if (!ParseInt64(ctx.arg(2), &id)) return ctx.Error(errors::kNotInteger);
  const auto record = ctx.engine().control->FindClient(static_cast<uint64_t>(id));
  ctx.reply().Integer(record != nullptr &&
                      UnblockClient(ctx.unit(), *record, with_error ? kUnblockedByCommand : ""));
}

// CLIENT REPLY ON|OFF|SKIP
void ClientReply(Context& ctx) {
  Session& session = ctx.session();
  if (EqualsIgnoreCase(ctx.arg(2), "on")) {
    session.reply_mode = ReplyMode::kOn;
    ctx.Ok();
  } else if (EqualsIgnoreCase(ctx.arg(2), "off")) {
    session.reply_mode = ReplyMode::kOff;
  } else if (EqualsIgnoreCase(ctx.arg(2), "skip")) {
    if (session.reply_mode != ReplyMode::kOff) session.reply_mode = ReplyMode::kSkipNext;
  } else {
    ctx.Error(errors::kSyntax);
  }
}

// CLIENT NO-EVICT|NO-TOUCH ON|OFF
void SetSwitch(Context& ctx, bool* field, ClientFlag flag) {
  if (EqualsIgnoreCase(ctx.arg(2), "on")) {
    *field = true;
    ctx.session().record->flags.fetch_or(flag, std::memory_order_relaxed);
  } else if (EqualsIgnoreCase(ctx.arg(2), "off")) {
    *field = false;
    ctx.session().record->flags.fetch_and(~uint32_t{flag}, std::memory_order_relaxed);
  } else {
    return ctx.Error(errors::kSyntax);
  }
  ctx.Ok();
}
void ClientNoEvict(Context& ctx) { SetSwitch(ctx, &ctx.session().no_evict, kClientNoEvict); }
void ClientNoTouch(Context& ctx) { SetSwitch(ctx, &ctx.session().no_touch, kClientNoTouch); }

// CLIENT HELP
void ClientHelp(Context& ctx) {
  static constexpr std::string_view kLines[] = {
      "CACHING (YES|NO)",
      "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
      "GETNAME", "    Return the name of the current connection.",
      "GETREDIR", "    Return the client ID we are redirecting to when tracking is enabled.",
      "ID", "    Return the ID of the current connection.",
      "INFO", "    Return information about the current client connection.",
      "KILL <ip:port>", "    Kill connection made from <ip:port>.",
      "KILL <option> <value> [<option> <value> [...]]",
      "    Kill connections. Options are: ADDR, LADDR, TYPE, USER, SKIPME, ID, MAXAGE.",
      "LIST [options ...]", "    Return information about client connections.",
      "NO-EVICT (ON|OFF)", "    Protect this connection from eviction.",
      "NO-TOUCH (ON|OFF)", "    Leave access clocks of keys alone for this connection.",
      "PAUSE <timeout> [WRITE|ALL]", "    Suspend all, or just write, clients for <timeout> ms.",
      "REPLY (ON|OFF|SKIP)", "    Control the replies sent to the current connection.",
      "SETINFO <option> <value>", "    Set client meta attr. Options are LIB-NAME, LIB-VER.",
      "SETNAME <name>", "    Assign the name <name> to the current connection.",
      "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
      "         [OPTIN] [OPTOUT] [NOLOOP]",
      "    Control server assisted client side caching.",
      "TRACKINGINFO", "    Report tracking status for the current connection.",
      "UNBLOCK <clientid> [TIMEOUT|ERROR]", "    Unblock the specified blocked client.",
      "UNPAUSE", "    Stop the current client pause."};
  ReplyHelp(ctx, "CLIENT", kLines);
}

constexpr uint64_t kQuiet = kNoScript | kLoading | kStale;
constexpr CommandSpec kRows[] = {
    {"CLIENT", -2, 0, {}, 0, nullptr, Scope::kNone},
    {"CLIENT|ID", 2, kQuiet, {}, kAclConnection, &ClientId},
    {"CLIENT|GETNAME", 2, kQuiet, {}, kAclConnection, &ClientGetName},
    {"CLIENT|SETNAME", 3, kQuiet, {}, kAclConnection, &ClientSetName},
    {"CLIENT|SETINFO", 4, kQuiet, {}, kAclConnection, &ClientSetInfo},
    {"CLIENT|INFO", 2, kQuiet, {}, kAclConnection, &ClientInfo},
    {"CLIENT|LIST", -2, kQuiet | kAdmin, {}, kAclConnection, &ClientList},
    {"CLIENT|KILL", -3, kQuiet | kAdmin, {}, kAclConnection, &ClientKill},
    {"CLIENT|PAUSE", -3, kQuiet | kAdmin, {}, kAclConnection, &ClientPause, Scope::kAll},
    {"CLIENT|UNPAUSE", 2, kQuiet | kAdmin, {}, kAclConnection, &ClientUnpause},
    {"CLIENT|UNBLOCK", -3, kQuiet | kAdmin, {}, kAclConnection, &ClientUnblock},
    {"CLIENT|REPLY", 3, kQuiet, {}, kAclConnection, &ClientReply},
    {"CLIENT|NO-EVICT", 3, kQuiet | kAdmin, {}, kAclConnection, &ClientNoEvict},
    {"CLIENT|NO-TOUCH", 3, kQuiet, {}, kAclConnection, &ClientNoTouch},
    {"CLIENT|HELP", 2, kLoading | kStale, {}, kAclConnection, &ClientHelp},
};

}  // namespace

std::span<const CommandSpec> ClientCommands() { return kRows; }

}  // namespace cairn
