// SPDX-License-Identifier: BSD-3-Clause
//
// The groups of a stream: creating them, claiming, and the arithmetic of their counters.
#include "types/stream.h"

namespace cairn {
namespace {

constexpr uint64_t kAutoClaimAttemptsFactor = 10;

}  // namespace

StreamGroup* Stream::FindGroup(std::string_view name) const {
  const auto it = groups().find(name);
  return it == groups().end() ? nullptr : it->second.get();
}

StreamGroup* Stream::CreateGroup(std::string_view name, StreamId last_id, int64_t entries_read) {
  const auto [it, added] =
      Mutable().groups.try_emplace(std::string(name), std::make_unique<StreamGroup>());
  if (!added) return nullptr;
  it->second->last_id = last_id;
  it->second->entries_read = entries_read;
  return it->second.get();
}

bool Stream::DestroyGroup(std::string_view name) {
  if (FindGroup(name) == nullptr) return false;
  Groups& all = Mutable().groups;
  all.erase(all.find(name));
  return true;
}

// --- counters ---

// Whether an entry with an id >= `id` may have been deleted by XDEL, as far as one remembered id
// can tell. (Trimming always takes the oldest, so it leaves no holes.)
bool Stream::HasTombstonesAfter(StreamId id) const {
  return Length() > 0 && !max_deleted_id().IsZero() && id <= max_deleted_id();
}

// Counters that XGROUP, XSETID and RESTORE set to anything, so they wrap around as Redis's do.
static int64_t Wrapped(uint64_t minuend, uint64_t subtrahend) {
  return static_cast<int64_t>(minuend - subtrahend);
}

int64_t Stream::EntriesReadAt(StreamId id) const {
  const int64_t added = static_cast<int64_t>(entries_added());
  if (added == 0) return 0;
  if (Length() == 0 && id <= last_id()) return added;
  // A tombstone behind `id` leaves its place in the count unknown.
  if (!id.IsZero() && id < max_deleted_id()) return StreamGroup::kEntriesReadUnknown;
  if (id == last_id()) return added;
  if (id > last_id()) return StreamGroup::kEntriesReadUnknown;
  if (max_deleted_id().IsZero() || max_deleted_id() < first_id()) {
    if (id < first_id()) return Wrapped(entries_added(), Length());
    if (id == first_id()) return Wrapped(entries_added(), Length() - 1);
  }
  return StreamGroup::kEntriesReadUnknown;
}

std::optional<int64_t> Stream::Lag(const StreamGroup& group) const {
  if (entries_added() == 0 || Length() == 0) return 0;
  // All that was deleted lies before the first entry, and so does the group.
  if (group.last_id < first_id() && max_deleted_id() < first_id())
    return static_cast<int64_t>(Length());
  if (group.entries_read != StreamGroup::kEntriesReadUnknown && !HasTombstonesAfter(group.last_id))
    return Wrapped(entries_added(), static_cast<uint64_t>(group.entries_read));
  const int64_t read = EntriesReadAt(group.last_id);
  if (read == StreamGroup::kEntriesReadUnknown) return std::nullopt;
  return Wrapped(entries_added(), static_cast<uint64_t>(read));
}

void Stream::NoteRead(StreamGroup* group, StreamId id) const {
  // A group that trimming overtook has to be counted anew.
  if (group->entries_read != StreamGroup::kEntriesReadUnknown && group->last_id >= first_id() &&
      !HasTombstonesAfter(group->last_id))
    group->entries_read = Wrapped(static_cast<uint64_t>(group->entries_read) + 1, 0);
  else if (entries_added() > 0)
    group->entries_read = EntriesReadAt(id);
  group->last_id = id;
}

// --- claiming ---

StreamClaimResult Stream::Claim(StreamGroup* group, StreamConsumer* consumer, StreamId id,
                                const StreamClaim& claim, int64_t now_ms) const {
  const StreamPending* pending = group->FindPending(id);
  if (!Contains(id)) {
    if (pending == nullptr) return StreamClaimResult::kSkipped;
    group->Acknowledge(id);
    return StreamClaimResult::kGone;
  }
  if (pending == nullptr && !claim.force) return StreamClaimResult::kSkipped;
  if (pending != nullptr && claim.min_idle_ms > 0 &&
      pending->IdleMs(now_ms) < claim.min_idle_ms)
    return StreamClaimResult::kSkipped;
  // Redis counts a forced claim as a delivery before it counts the claim itself.
  const uint64_t deliveries = pending != nullptr ? pending->deliveries : 1;
  StreamPending* item = group->Assign(id, consumer, claim.delivered_ms);
  item->deliveries = deliveries;
  if (claim.retry_count >= 0)
    item->deliveries = static_cast<uint64_t>(claim.retry_count);
  else if (!claim.just_id)
    item->CountDelivery();
  consumer->active_ms = now_ms;
  return StreamClaimResult::kClaimed;
}

StreamId Stream::AutoClaim(StreamGroup* group, StreamConsumer* consumer, StreamId start,
                           uint64_t count, const StreamClaim& claim, int64_t now_ms,
                           std::vector<StreamId>* claimed, std::vector<StreamId>* gone) const {
  const StreamGroup::Pending& pending = group->pending();
  auto pos = pending.Lower(start);
  uint64_t attempts = count * kAutoClaimAttemptsFactor;
  while (attempts > 0 && count > 0 && pos != pending.End()) {
    --attempts;
    const StreamId id = pending.At(pos).key;
    const StreamClaimResult result = Claim(group, consumer, id, claim, now_ms);
    if (result == StreamClaimResult::kGone) {
      gone->push_back(id);
      --count;
      pos = pending.Lower(id);
      continue;
    }
    if (result == StreamClaimResult::kClaimed) {
      claimed->push_back(id);
      --count;
    }
    pos = pending.Next(pos);
  }
  return pos == pending.End() ? StreamId() : pending.At(pos).key;
}

}  // namespace cairn
