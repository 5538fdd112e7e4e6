// SPDX-License-Identifier: BSD-3-Clause
//
// How invalidations travel: from the unit that changed keys to the workers of the clients that
// read them, there into RESP3 pushes, or into messages of the channel __redis__:invalidate where
// the receiver is a RESP2 client that messages are redirected to.
#include <algorithm>

#include "exec/engine.h"
#include "exec/subscribing.h"
#include "exec/tracking.h"
#include "exec/unit.h"
#include "resp/reply_writer.h"

namespace cairn {
namespace {

// In place of the client that changed a key: there are several, or none.
constexpr uint64_t kSeveral = 0;
constexpr std::string_view kChannel = "__redis__:invalidate";

// Keys as the last element of a message; nullptr: everything was flushed.
void WriteKeys(ReplyWriter& reply, const std::vector<std::string_view>* keys) {
  if (keys == nullptr) return reply.Null();
  reply.Array(keys->size());
  for (std::string_view key : *keys) reply.Bulk(key);
}

void WriteInvalidation(const Session& session, bool redirected, OutputBuffer& out,
                       const std::vector<std::string_view>* keys, uint64_t hold) {
  const uint64_t start = out.end_position();
  ReplyWriter reply(&out, session.resp);
  if (reply.resp3()) {
    reply.Push(2);
    reply.Bulk("invalidate");
  } else if (redirected && session.pubsub != nullptr) {
    reply.Push(3);
    reply.Bulk("message");
    reply.Bulk(kChannel);
  } else {
    return;  // a RESP2 client cannot be told on its own connection
  }
  WriteKeys(reply, keys);
  if (hold != 0) out.MarkHold(start, hold);
}

// Where messages for a client go.
struct Target {
  TrackedClientRef client;
  uint64_t redirect;  // 0: to the client itself
  int worker;
};

Target TargetOf(const TrackedClientRef& client) {
  const uint64_t redirect = client->redirect.load(std::memory_order_acquire);
  return {client, redirect,
          redirect == 0 ? client->worker : client->redirect_worker.load(std::memory_order_relaxed)};
}

// Tells a client that its redirection leads nowhere any more.
class BrokenTask final : public WorkerTask {
 public:
  BrokenTask(TrackedClientRef client, uint64_t redirect)
      : client_(std::move(client)), redirect_(redirect) {}
  void Run(LocalClients& clients) override {
    clients.Visit(client_->id, [&](Session& session, OutputBuffer& out) {
      if (client_->redirect.load(std::memory_order_relaxed) != redirect_) return;
      if (!client_->Has(kTrackingOn)) return;
      client_->mode.fetch_or(kTrackingBroken, std::memory_order_relaxed);
      TellTrackingFlags(*session.record, *client_);
      if (session.resp < 3) return;
      ReplyWriter reply(&out, 3);
      reply.Push(2);
      reply.Bulk("tracking-redir-broken");
      reply.Integer(static_cast<int64_t>(redirect_));
    });
  }

 private:
  const TrackedClientRef client_;
  const uint64_t redirect_;
};

void PostNow(Engine& engine, int worker, std::unique_ptr<WorkerTask> task) {
  if (engine.control->Put(worker, std::move(task))) engine.control->Wake(worker);
}

void Tell(Engine& engine, LocalClients& clients, const Target& target,
          const std::vector<std::string_view>* keys, uint64_t hold) {
  if (!target.client->Has(kTrackingOn)) return;
  const bool redirected = target.redirect != 0;
  const bool there = clients.Visit(redirected ? target.redirect : target.client->id,
                                   [&](Session& session, OutputBuffer& out) {
                                     WriteInvalidation(session, redirected, out, keys, hold);
                                   });
  if (!there && redirected)
    PostNow(engine, target.client->worker,
            std::make_unique<BrokenTask>(target.client, target.redirect));
}

// A changed key, or a flush, for some clients of one worker.
class InvalidationTask final : public WorkerTask {
 public:
  InvalidationTask(Engine* engine, std::shared_ptr<const std::string> key, uint64_t hold,
                   std::vector<Target> targets)
      : engine_(*engine), key_(std::move(key)), hold_(hold), targets_(std::move(targets)) {}
  void Run(LocalClients& clients) override {
    std::vector<std::string_view> keys;
    if (key_ != nullptr) keys.push_back(*key_);
    for (const Target& target : targets_)
      Tell(engine_, clients, target, key_ != nullptr ? &keys : nullptr, hold_);
  }

 private:
  Engine& engine_;
  const std::shared_ptr<const std::string> key_;
  const uint64_t hold_;
  const std::vector<Target> targets_;
};

// One task a worker.
void PostTo(Unit& unit, std::vector<Target> targets, std::shared_ptr<const std::string> key,
            uint64_t hold) {
  std::stable_sort(targets.begin(), targets.end(),
                   [](const Target& a, const Target& b) { return a.worker < b.worker; });
  for (size_t i = 0; i < targets.size();) {
    size_t end = i + 1;
    while (end < targets.size() && targets[end].worker == targets[i].worker) ++end;
    unit.Post(targets[i].worker,
              std::make_unique<InvalidationTask>(
                  &unit.engine(), key, hold,
                  std::vector<Target>(targets.begin() + static_cast<ptrdiff_t>(i),
                                      targets.begin() + static_cast<ptrdiff_t>(end))));
    i = end;
  }
}

}  // namespace

// Keys under one prefix, on their way to a worker that collects them.
class BroadcastTask final : public WorkerTask {
 public:
  BroadcastTask(Tracking* tracking, int worker, std::string prefix, Tracking::ChangedKeys keys,
                uint64_t hold)
      : tracking_(*tracking),
        worker_(worker),
        prefix_(std::move(prefix)),
        keys_(std::move(keys)),
        hold_(hold) {}
  void Run(LocalClients&) override { tracking_.Collect(worker_, prefix_, keys_, hold_); }

 private:
  Tracking& tracking_;
  const int worker_;
  const std::string prefix_;
  const Tracking::ChangedKeys keys_;
  const uint64_t hold_;
};

void Tracking::Collect(int worker, const std::string& prefix, const ChangedKeys& keys,
                       uint64_t hold) {
  Inbox& inbox = inboxes_[static_cast<size_t>(worker)];
  Inbox::Pending& pending = inbox.by_prefix[prefix];
  for (const auto& [key, writer] : keys) {
    const auto [found, fresh] = pending.keys.try_emplace(key, writer);
    if (!fresh && found->second != writer) found->second = kSeveral;
  }
  pending.hold = std::max(pending.hold, hold);
}

void Tracking::FlushInbox(int worker, LocalClients& clients) {
  if (inboxes_[static_cast<size_t>(worker)].by_prefix.empty()) return;
  Inbox inbox = std::exchange(inboxes_[static_cast<size_t>(worker)], {});
  for (const auto& [prefix, pending] : inbox.by_prefix) {
    std::vector<TrackedClientRef> readers;
    {
      std::lock_guard guard(mutex_);
      if (auto found = prefixes_.find(prefix); found != prefixes_.end()) readers = found->second;
    }
    for (const TrackedClientRef& client : readers) {
      const Target target = TargetOf(client);
      if (target.worker != worker) continue;
      std::vector<std::string_view> keys;
      for (const auto& [key, writer] : pending.keys)
        if (writer != client->id || !client->Has(kTrackingNoLoop)) keys.push_back(key);
      if (!keys.empty()) Tell(engine_, clients, target, &keys, pending.hold);
    }
  }
}

void Tracking::PostBroadcasts(Unit& unit, const std::vector<Invalidation>& invalidations,
                              uint64_t writer, uint64_t hold) {
  std::lock_guard guard(mutex_);
  for (const auto& [prefix, readers] : prefixes_) {
    ChangedKeys keys;
    for (const Invalidation& invalidation : invalidations)
      if (invalidation.broadcast && invalidation.key.starts_with(prefix))
        // Of a key that expires Redis does not say there who met it.
        keys.emplace_back(invalidation.key, invalidation.expired ? kSeveral : writer);
    if (keys.empty()) continue;
    std::vector<int> workers;
    for (const TrackedClientRef& client : readers) workers.push_back(TargetOf(client).worker);
    std::sort(workers.begin(), workers.end());
    workers.erase(std::unique(workers.begin(), workers.end()), workers.end());
    for (int worker : workers)
      unit.Post(worker, std::make_unique<BroadcastTask>(this, worker, prefix, keys, hold));
  }
}

void Tracking::Post(Unit& unit, const std::vector<Invalidation>& invalidations, uint64_t writer,
                    uint64_t hold) {
  for (const Invalidation& invalidation : invalidations) {
    std::vector<Target> targets;
    for (const TrackedClientRef& client : invalidation.readers) {
      if (!client->Has(kTrackingOn) || client->Has(kTrackingBcast)) continue;
      if (client->id == writer && client->Has(kTrackingNoLoop)) continue;
      targets.push_back(TargetOf(client));
    }
    if (!targets.empty())
      PostTo(unit, std::move(targets), std::make_shared<const std::string>(invalidation.key), hold);
  }
  if (broadcasting()) PostBroadcasts(unit, invalidations, writer, hold);
}

void Tracking::PostFlush(Unit& unit, uint64_t hold) {
  std::vector<Target> targets;
  {
    std::lock_guard guard(mutex_);
    for (const auto& [id, client] : clients_) targets.push_back(TargetOf(client));
  }
  PostTo(unit, std::move(targets), nullptr, hold);
}

}  // namespace cairn
