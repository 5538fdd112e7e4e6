// SPDX-License-Identifier: BSD-3-Clause
//
// CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO: client-side caching as a client asks for it.
#include <algorithm>

#include "commands/families.h"
#include "exec/args.h"
#include "exec/context.h"
#include "exec/tracking.h"

namespace cairn {
namespace {

struct TrackingRequest {
  uint32_t mode = 0;
  uint64_t redirect = 0;
  int redirect_worker = 0;
  std::vector<std::string> prefixes;
};

bool ReadRedirect(Context& ctx, std::string_view text, TrackingRequest* request) {
  int64_t id;
  if (request->redirect != 0) {
    ctx.Error("ERR A client can only redirect to a single other client");
    return false;
  }
  if (!ParseInt64(text, &id)) {
    ctx.Error(errors::kNotInteger);
    return false;
  }
  for (const auto& record : ctx.engine().control->Clients()) {
    if (static_cast<int64_t>(record->id) != id) continue;
    request->redirect = record->id;
    request->redirect_worker = record->worker;
    return true;
  }
  // It may be gone later, but whoever names one that never was is told.
  ctx.Error("ERR The client ID you want redirect to does not exist");
  return false;
}

bool ReadOptions(Context& ctx, TrackingRequest* request) {
  for (size_t i = 3; i < ctx.argc(); ++i) {
    const std::string_view word = ctx.arg(i);
    const bool more = i + 1 < ctx.argc();
    if (EqualsIgnoreCase(word, "redirect") && more) {
      if (!ReadRedirect(ctx, ctx.arg(++i), request)) return false;
    } else if (EqualsIgnoreCase(word, "bcast")) {
      request->mode |= kTrackingBcast;
    } else if (EqualsIgnoreCase(word, "optin")) {
      request->mode |= kTrackingOptIn;
    } else if (EqualsIgnoreCase(word, "optout")) {
      request->mode |= kTrackingOptOut;
    } else if (EqualsIgnoreCase(word, "noloop")) {
      request->mode |= kTrackingNoLoop;
    } else if (EqualsIgnoreCase(word, "prefix") && more) {
      request->prefixes.emplace_back(ctx.arg(++i));
    } else {
      ctx.Error(errors::kSyntax);
      return false;
    }
  }
  return true;
}

bool Overlap(const std::string& a, const std::string& b) {
  return a.starts_with(b) || b.starts_with(a);
}

// Replies and returns false if a client would get the same key twice.
bool PrefixesFit(Context& ctx, std::vector<std::string> had,
                 const std::vector<std::string>& asked) {
  std::sort(had.begin(), had.end());  // the error names the first
  const auto refuse = [&](const std::string& prefix, const char* what, const std::string& other) {
    ctx.Error("ERR Prefix '" + prefix + "' overlaps with " + what + " prefix '" + other +
              "'. Prefixes for a single client must not overlap.");
    return false;
  };
  for (size_t i = 0; i < asked.size(); ++i) {
    for (const std::string& other : had)
      if (Overlap(asked[i], other)) return refuse(asked[i], "an existing", other);
    for (size_t j = i + 1; j < asked.size(); ++j)
      if (Overlap(asked[i], asked[j])) return refuse(asked[i], "another provided", asked[j]);
  }
  return true;
}

// Whether the options agree with each other and with what is on already; replies if not.
bool OptionsFit(Context& ctx, const SessionTracking* on, const TrackingRequest& request) {
  const uint32_t mode = request.mode;
  const uint32_t old = on == nullptr ? 0 : on->client->mode.load(std::memory_order_relaxed);
  const char* error = nullptr;
  if ((mode & kTrackingBcast) == 0 && !request.prefixes.empty()) {
    error = "ERR PREFIX option requires BCAST mode to be enabled";
  } else if (on != nullptr && ((old ^ mode) & kTrackingBcast) != 0) {
    error =
        "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and "
        "then re-enabling it with a different mode.";
  } else if ((mode & kTrackingBcast) != 0 && (mode & (kTrackingOptIn | kTrackingOptOut)) != 0) {
    error = "ERR OPTIN and OPTOUT are not compatible with BCAST";
  } else if ((mode & kTrackingOptIn) != 0 && (mode & kTrackingOptOut) != 0) {
    error = "ERR You can't specify both OPTIN mode and OPTOUT mode";
  } else if (((mode & kTrackingOptIn) != 0 && (old & kTrackingOptOut) != 0) ||
             ((mode & kTrackingOptOut) != 0 && (old & kTrackingOptIn) != 0)) {
    error =
        "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and "
        "then re-enabling it with a different mode.";
  }
  if (error == nullptr) return true;
  ctx.Error(error);
  return false;
}

SessionTracking& MakeTracking(Context& ctx) {
  Session& session = ctx.session();
  if (session.tracking == nullptr) {
    auto made = std::make_unique<SessionTracking>(&ctx.engine().tracking);
    made->client = std::make_shared<TrackedClient>(session.id(), session.record->worker);
    session.tracking = std::move(made);
  }
  return *static_cast<SessionTracking*>(session.tracking.get());
}

// CLIENT TRACKING ON|OFF [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN]
//                 [OPTOUT] [NOLOOP]
void ClientTracking(Context& ctx) {
  TrackingRequest request;
  if (!ReadOptions(ctx, &request)) return;
  if (EqualsIgnoreCase(ctx.arg(2), "off")) {
    StopTracking(ctx.session());
    return ctx.Ok();
  }
  if (!EqualsIgnoreCase(ctx.arg(2), "on")) return ctx.Error(errors::kSyntax);
  const SessionTracking* on = FindTracking(ctx.session());
  if (!OptionsFit(ctx, on, request)) return;
  if ((request.mode & kTrackingBcast) != 0) {
    if (!PrefixesFit(ctx, on == nullptr ? std::vector<std::string>() : on->prefixes,
                     request.prefixes))
      return;
    // Without a prefix all keys are meant.
    if (request.prefixes.empty() &&
        (on == nullptr ||
         std::find(on->prefixes.begin(), on->prefixes.end(), "") == on->prefixes.end()))
      request.prefixes.emplace_back();
  }
  SessionTracking& tracking = MakeTracking(ctx);
  tracking.tracking.Enable(tracking.client, request.mode, request.redirect, request.redirect_worker,
                           request.prefixes);
  tracking.prefixes.insert(tracking.prefixes.end(), request.prefixes.begin(),
                           request.prefixes.end());
  TellTrackingFlags(*ctx.session().record, *tracking.client);
  ctx.Ok();
}

// CLIENT CACHING YES|NO
void ClientCaching(Context& ctx) {
  SessionTracking* tracking = FindTracking(ctx.session());
  if (tracking == nullptr) {
    return ctx.Error(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
        "OPTOUT mode enabled");
  }
  if (EqualsIgnoreCase(ctx.arg(2), "yes")) {
    if (!tracking->client->Has(kTrackingOptIn))
      return ctx.Error(
          "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
  } else if (EqualsIgnoreCase(ctx.arg(2), "no")) {
    if (!tracking->client->Has(kTrackingOptOut))
      return ctx.Error(
          "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
  } else {
    return ctx.Error(errors::kSyntax);
  }
  tracking->caching = true;
  ctx.Ok();
}

// CLIENT GETREDIR: -1 while tracking is off, 0 without a redirection
void ClientGetRedir(Context& ctx) {
  ctx.reply().Integer(ctx.session().record->redirect.load(std::memory_order_relaxed));
}

// CLIENT TRACKINGINFO
void ClientTrackingInfo(Context& ctx) {
  const SessionTracking* tracking = FindTracking(ctx.session());
  std::vector<std::string_view> flags;
  if (tracking == nullptr) {
    flags.push_back("off");
  } else {
    const TrackedClient& client = *tracking->client;
    flags.push_back("on");
    if (client.Has(kTrackingBcast)) flags.push_back("bcast");
    if (client.Has(kTrackingOptIn)) flags.push_back("optin");
    if (client.Has(kTrackingOptIn) && tracking->caching) flags.push_back("caching-yes");
    if (client.Has(kTrackingOptOut)) flags.push_back("optout");
    if (client.Has(kTrackingOptOut) && tracking->caching) flags.push_back("caching-no");
    if (client.Has(kTrackingNoLoop)) flags.push_back("noloop");
    if (client.Has(kTrackingBroken)) flags.push_back("broken_redirect");
  }
  ReplyWriter& reply = ctx.reply();
  reply.Map(3);
  reply.Bulk("flags");
  reply.Set(flags.size());
  for (std::string_view flag : flags) reply.Bulk(flag);
  reply.Bulk("redirect");
  reply.Integer(ctx.session().record->redirect.load(std::memory_order_relaxed));
  reply.Bulk("prefixes");
  std::vector<std::string> prefixes;
  if (tracking != nullptr) prefixes = tracking->prefixes;
  std::sort(prefixes.begin(), prefixes.end());
  reply.Array(prefixes.size());
  for (const std::string& prefix : prefixes) reply.Bulk(prefix);
}

constexpr uint64_t kQuiet = kNoScript | kLoading | kStale;
constexpr CommandSpec kRows[] = {
    {"CLIENT|TRACKING", -3, kQuiet, {}, kAclConnection, &ClientTracking},
    {"CLIENT|CACHING", 3, kQuiet, {}, kAclConnection, &ClientCaching},
    {"CLIENT|GETREDIR", 2, kQuiet, {}, kAclConnection, &ClientGetRedir},
    {"CLIENT|TRACKINGINFO", 2, kQuiet, {}, kAclConnection, &ClientTrackingInfo},
};

}  // namespace

std::span<const CommandSpec> ClientTrackingCommands() {
  return kRows;
}

}  // namespace cairn
