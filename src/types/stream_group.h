// SPDX-License-Identifier: BSD-3-Clause
//
// A consumer group of a stream: how far it has read, which entries it delivered that nobody
// acknowledged, and its consumers.
//
//   group.pending:     id -> {consumer, when delivered, how often}
//   consumer.pending:  id                                            for each of its own
//   group.by_time:     (when delivered, id)                          once somebody has asked for it
//
// Invariant: an id is in the pending list of a consumer if and only if the group's names him. The
// order by time, 24 bytes an entry, is made for those who claim what has been pending for long, and
// kept from then on; a copy, or a group that is loaded, begins without it.
// Times are milliseconds of the Unix epoch, given by the caller.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "containers/paged_map.h"
#include "types/stream_id.h"

namespace cairn {

// Milliseconds from `then_ms` to `now_ms`, 0 if that is in the future. Times come from payloads
// too, so any number is possible.
inline int64_t MillisecondsSince(int64_t then_ms, int64_t now_ms) {
  if (then_ms >= now_ms) return 0;
  int64_t elapsed;
  return __builtin_sub_overflow(now_ms, then_ms, &elapsed) ? INT64_MAX : elapsed;
}

struct StreamConsumer {
  struct Nothing {};
  int64_t seen_ms = 0;     // last attempt
  int64_t active_ms = -1;  // last time it was given an entry; -1: never
  PagedMap<StreamId, Nothing> pending;
};

struct StreamPending {
  // Counting ends here: it is what marks an entry as hopeless, and the most that replies can say.
  static constexpr uint64_t kDeliveriesMax = INT64_MAX;

  StreamConsumer* consumer = nullptr;  // null only while loading
  // 0: released, nobody has it (see StreamGroup::kNobody). Set by StreamGroup alone.
  int64_t delivered_ms = 0;
  uint64_t deliveries = 0;

  void CountDelivery() { deliveries += deliveries < kDeliveriesMax; }
  int64_t IdleMs(int64_t now_ms) const { return MillisecondsSince(delivered_ms, now_ms); }
};

class StreamGroup {
 public:
  static constexpr int64_t kEntriesReadUnknown = -1;
  // The consumer that holds what XNACK gave back: pending, and nobody's. It was never seen, and
  // replies do not show it, until a client uses that name for itself.
  static constexpr std::string_view kNobody = "";
  static bool IsHidden(std::string_view name, const StreamConsumer& consumer) {
    return name == kNobody && consumer.seen_ms == 0;
  }
  using Pending = PagedMap<StreamId, StreamPending>;
  struct Delivery {
    int64_t ms = 0;
    StreamId id;
    auto operator<=>(const Delivery&) const = default;
  };
  using ByTime = PagedMap<Delivery, StreamConsumer::Nothing>;
  using Consumers = std::map<std::string, std::unique_ptr<StreamConsumer>, std::less<>>;

  StreamId last_id;  // last delivered
  int64_t entries_read = kEntriesReadUnknown;

  const Pending& pending() const { return pending_; }
  const Consumers& consumers() const { return consumers_; }

  StreamConsumer* FindConsumer(std::string_view name) const;
  // As FindConsumer, but not the one that is hidden.
  StreamConsumer* FindShown(std::string_view name) const;
  size_t CountShown() const;
  // Finds or creates kNobody.
  StreamConsumer* Nobody();
  size_t CountReleased() const;  // O(what nobody has)
  // Finds or creates it (second: true) and notes that it was seen.
  std::pair<StreamConsumer*, bool> GetConsumer(std::string_view name, int64_t now_ms);
  // With all it has pending; how many those were, or -1 if there is no such consumer.
  int64_t DeleteConsumer(std::string_view name);
  const std::string& NameOf(const StreamConsumer* consumer) const;  // O(consumers)

  // Null if it is not pending; invalid after the next change.
  const StreamPending* FindPending(StreamId id) const { return pending_.Find(id); }
  // Pending for `consumer` from now on, whoever had it; the count is the caller's to set.
  StreamPending* Assign(StreamId id, StreamConsumer* consumer, int64_t delivered_ms);
  // What is pending was delivered again.
  StreamPending* Redeliver(StreamId id, int64_t delivered_ms);
  // What is pending, the earliest delivery first. O(pending) for the first call.
  const ByTime& DeliveredInOrder();
  // No longer pending; false if it was not.
  bool Acknowledge(StreamId id);
  // The item at `pos`; returns the next position.
  Pending::Pos AcknowledgeAt(Pending::Pos pos);

  // Calls visit(id, const StreamPending&) for up to `count` entries in start..end, of `consumer`
  // only unless that is null, idle for min_idle_ms at least (0: any).
  template <typename Visit>
  void ForEachPending(StreamId start, StreamId end, uint64_t count, const StreamConsumer* consumer,
                      int64_t min_idle_ms, int64_t now_ms, Visit&& visit) const {
    const auto show = [&](StreamId id, const StreamPending& item) {
      if (min_idle_ms != 0 && item.IdleMs(now_ms) < min_idle_ms) return;
      visit(id, item);
      --count;
    };
    if (consumer != nullptr) {
      const auto& own = consumer->pending;
      for (auto pos = own.Lower(start); count > 0 && pos != own.End() && own.At(pos).key <= end;
           pos = own.Next(pos))
        show(own.At(pos).key, *pending_.Find(own.At(pos).key));
      return;
    }
    for (auto pos = pending_.Lower(start);
         count > 0 && pos != pending_.End() && pending_.At(pos).key <= end;
         pos = pending_.Next(pos))
      show(pending_.At(pos).key, pending_.At(pos).value);
  }

  // Loading: first all pending entries without a consumer, then each consumer with its ids. False
  // where an id is twice there, or not pending in the group, or has a consumer already.
  bool LoadPending(StreamId id, int64_t delivered_ms, uint64_t deliveries);
  StreamConsumer* LoadConsumer(std::string_view name, int64_t seen_ms, int64_t active_ms);
  bool LoadOwner(StreamConsumer* consumer, StreamId id);
  // As LoadOwner, of what nobody has.
  bool LoadReleased(StreamId id);
  // Whether each pending entry has a consumer.
  bool Complete() const;

  std::unique_ptr<StreamGroup> Clone() const;
  size_t MemoryUsage() const;
  void CheckInvariants() const;

 private:
  void SetTime(StreamId id, StreamPending* item, int64_t delivered_ms);
  void ForgetTime(StreamId id, const StreamPending& item) {
    if (by_time_ != nullptr) by_time_->Erase({item.delivered_ms, id});
  }

  Pending pending_;
  Consumers consumers_;
  std::unique_ptr<ByTime> by_time_;
};

}  // namespace cairn
