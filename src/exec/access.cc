// SPDX-License-Identifier: BSD-3-Clause
#include "exec/access.h"

#include "base/numbers.h"
#include "exec/audit_log.h"
#include "exec/client_text.h"

namespace cairn {
namespace {

void CollectKeys(const Command& command, Arguments arguments, std::vector<AclKeyUse>* uses) {
  KeySink keys;
  if (command.spec.keys.count == 0 && command.spec.keys_of == nullptr) return;
  // A call whose keys cannot be told touches none: its handler words the error.
  if (!ExtractKeys(command, arguments, keys)) return;
  for (const KeyReference& key : keys.keys()) {
    if ((key.flags & kNotKey) != 0) continue;
    uses->push_back({key.position, (key.flags & kAccess) != 0,
                     (key.flags & (kInsert | kDelete | kUpdate)) != 0});
  }
}

void CollectChannels(const Command& command, Arguments arguments,
                     std::vector<AclChannelUse>* uses) {
  const std::string_view name = command.full_name;
  const bool publishes = name == "publish" || name == "spublish";
  const bool patterns = name == "psubscribe";
  if (!publishes && !patterns && name != "subscribe" && name != "ssubscribe") return;
  const size_t end = publishes ? 2 : arguments.size();
  for (size_t i = 1; i < end && i < arguments.size(); ++i)
    uses->push_back({static_cast<int>(i), patterns});
}

void AddNumber(std::string_view text, std::vector<int>* databases) {
  int64_t number;
  if (ParseInt64(text, &number)) databases->push_back(static_cast<int>(number));
}

// The databases that a call looks into or changes; -1 stands for all of them. WATCH and EVAL are in
// none of the categories about data, but name keys.
void CollectDatabases(const Command& command, Arguments arguments, int db, bool names_keys,
                      std::vector<int>* databases) {
  const std::string_view name = command.full_name;
  constexpr uint64_t kData = kAclRead | kAclWrite | kAclKeyspace;
  if (names_keys || (command.spec.acl & kData) != 0) databases->push_back(db);
  if (name == "select") AddNumber(arguments[1], databases);
  if (name == "move") AddNumber(arguments[2], databases);
  if (name == "flushall") databases->push_back(-1);
  if (name == "swapdb") {
    *databases = {};
    AddNumber(arguments[1], databases);
    AddNumber(arguments[2], databases);
  }
  if (name == "copy")
    for (size_t i = 3; i + 1 < arguments.size(); ++i)
      if (EqualsIgnoreCase(arguments[i], "db")) AddNumber(arguments[i + 1], databases);
}

void LogRefusal(Engine& engine, const ClientRecord& client, AclDenial reason, std::string_view context,
                std::string_view object, std::string_view user) {
  const int64_t now = engine.clock.WallMs();
  AclLogEntry entry;
  entry.reason = reason;
  entry.context = context;
  entry.object = object.substr(0, AclLog::kTextBytesMax);
  entry.user = user.substr(0, AclLog::kTextBytesMax);
  entry.client_info = DescribeClient(client, engine.registry, engine.clock.MonotonicMs());
  entry.created_ms = now;
  engine.acl_log.Add(std::move(entry), static_cast<size_t>(engine.config.acllog_max_len()));
}

}  // namespace

namespace {

AccessAnswer Ask(const User& user, const Command& command, Arguments arguments, int db,
                 bool reads_any_key) {
  std::vector<AclKeyUse> keys;
  std::vector<AclChannelUse> channels;
  std::vector<int> databases;
  // Scripts ask about calls that lack arguments too.
  if (command.ArityFits(arguments.size())) {
    CollectKeys(command, arguments, &keys);
    CollectChannels(command, arguments, &channels);
    CollectDatabases(command, arguments, db, !keys.empty(), &databases);
  }
  AccessAnswer answer;
  answer.denial = user.Check({&command, arguments, &keys, &channels, &databases, reads_any_key},
                             &answer.position);
  return answer;
}

}  // namespace

AccessAnswer AskAccess(const User& user, const Command& command, Arguments arguments, int db) {
  return Ask(user, command, arguments, db, false);
}

bool MayReadAnyKey(const Session& session, const Command& command, Arguments arguments) {
  return !IsRestricted(session) || Ask(*session.user, command, arguments, session.db, true).ok();
}

AccessAnswer CheckAccess(Engine& engine, const Session& session, const ClientRecord& client,
                         const Command& command, Arguments arguments, std::string_view context) {
  const AccessAnswer answer = AskAccess(*session.user, command, arguments, session.db);
  if (answer.ok()) return answer;
  const bool names_argument =
      answer.denial == AclDenial::kKey || answer.denial == AclDenial::kChannel;
  const std::string_view object =
      names_argument ? arguments[static_cast<size_t>(answer.position)] : command.full_name;
  LogRefusal(engine, client, answer.denial, context, object, session.user->name());
  // Of what it refuses at the top level the pipeline tells the audit log itself.
  if (context != "toplevel" && engine.audited.load(std::memory_order_relaxed))
    AuditCall(engine, client, command, arguments, session.db, 0, "NOPERM");
  return answer;
}

std::string DescribeDenial(const AccessAnswer& answer, std::string_view user,
                           const Command& command, Arguments arguments, bool verbose) {
  const std::string who = "User " + std::string(user) + " has no permissions to ";
  const auto argument = [&] { return std::string(arguments[static_cast<size_t>(answer.position)]); };
  switch (answer.denial) {
    case AclDenial::kCommand: return who + "run the '" + command.full_name + "' command";
    case AclDenial::kKey:
      return verbose ? who + "access the '" + argument() + "' key" : "No permissions to access a key";
    case AclDenial::kChannel:
      return verbose ? who + "access the '" + argument() + "' channel"
                     : "No permissions to access a channel";
    case AclDenial::kDatabase: return "No permissions to access a database";
    case AclDenial::kAuth:
    case AclDenial::kCertificate:
    case AclDenial::kNone: break;
  }
  return "";
}

void LogFailedAuth(Engine& engine, const ClientRecord& client, std::string_view user,
                   std::string_view context) {
  LogRefusal(engine, client, AclDenial::kAuth, context, "AUTH", user);
}

}  // namespace cairn
