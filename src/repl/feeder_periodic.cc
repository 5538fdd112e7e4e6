// SPDX-License-Identifier: BSD-3-Clause
//
// What the feeder does from time to time: who is silent or keeps too much of the log is dropped,
// what only followers want is appended, and the log learns what it has to keep.
#include <sys/statvfs.h>

#include <algorithm>
#include <utility>

#include "exec/replication_control.h"
#include "journal/journal.h"
#include "repl/feeder.h"

namespace cairn {
namespace {

constexpr int64_t kPeriodMs = 100;

}  // namespace

void Feeder::Periodic() {
  const int64_t now_ms = engine_.clock.MonotonicMs();
  if (engine_.open_journal == nullptr) return;
  AppendForFollowers(now_ms);
  if (now_ms - periodic_ms_ < kPeriodMs) return;
  periodic_ms_ = now_ms;
  CheckTimeouts(now_ms);
  if (!followers().empty() || !places_.empty()) {
    const Lsn kept_from = KeptFrom();
    DropWhoeverKeepsTooMuch(kept_from);
    NotePlaces(kept_from, now_ms);
  }
  Retain(now_ms);
  engine_.journal->SetFollowed(engine_.followers.load() != 0);
}

void Feeder::CheckTimeouts(int64_t now_ms) {
  const int64_t timeout_ms = engine_.config.repl_timeout() * 1000;
  for (const auto& follower : followers()) {
    if (follower->state.load() == State::kSending && follower->file != nullptr &&
        follower->file_offset < follower->file->available.load() &&
        now_ms - follower->moved_ms > timeout_ms) {
      Drop(*follower, "it takes nothing more of the snapshot");
      continue;
    }
    if (follower->state.load() != State::kOnline && !follower->sent_all.load()) continue;
    if (follower->request.old) continue;
    const int64_t heard_ms =
        std::max(follower->acknowledged_ms.load(std::memory_order_relaxed),
                 follower->record->last_active_ms.load(std::memory_order_relaxed));
    if (now_ms - heard_ms > timeout_ms) Drop(*follower, "it has timed out");
  }
}

void Feeder::AppendForFollowers(int64_t now_ms) {
  if (engine_.followers.load() == 0) return;
  const auto append = [this](std::initializer_list<std::string_view> parts) {
    executor_.RunUnit({}, engine_.clock.WallMs(), [&](Unit& unit) {
      // A failover waits for the log's end to be acknowledged: it stays where it is, and so it does
      // while the role changes. Not while DEBUG RELOAD keeps writes out: followers would take this
      // server for dead.
      const bool still = engine_.modes.Has(kModeFailover) && !engine_.modes.Has(kModeLoading);
      if (!still) unit.Effect(0, {parts.begin(), parts.size()});
    });
  };
  if (ack_wanted_.exchange(false)) append({"REPLCONF", "GETACK", "*"});
  if (now_ms - pinged_ms_ < engine_.config.repl_ping_replica_period() * 1000) return;
  pinged_ms_ = now_ms;
  append({"PING"});
}

// Nobody has followed for repl-backlog-ttl. A follower keeps what its leader's others may ask for,
// as in Redis.
bool Feeder::Forgotten(int64_t now_ms) {
  if (!followers().empty() || engine_.modes.Has(kModeFollower)) {
    alone_since_ms_ = -1;
    return false;
  }
  if (alone_since_ms_ < 0) alone_since_ms_ = now_ms;
  const int64_t ttl_s = engine_.config.repl_backlog_ttl();
  return ttl_s != 0 && now_ms - alone_since_ms_ >= ttl_s * 1000;
}

// How much of the log a single follower may keep on disk, be it connected or away.
uint64_t Feeder::PinnedBytesMax() const {
  if (const int64_t bytes = engine_.config.repl_retention_max_bytes(); bytes != 0)
    return static_cast<uint64_t>(bytes);
  struct statvfs disk;
  if (statvfs(engine_.journal->dir().c_str(), &disk) != 0) return UINT64_MAX;
  return static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize / 2;
}

// Who needs the log from before this keeps too much of it. What a start needs is there anyway.
Lsn Feeder::KeptFrom() const {
  const Journal& journal = *engine_.journal;
  const Lsn needed = engine_.journal_kept ? journal.manifest().base_lsn : journal.tail();
  return needed - std::min<Lsn>(needed, std::max<Lsn>(PinnedBytesMax(), kPieceBytes));
}

// Else the disk fills up behind one that reads nothing.
void Feeder::DropWhoeverKeepsTooMuch(Lsn kept_from) {
  for (const auto& follower : followers()) {
    const State state = follower->state.load();
    Lsn next = kLsnMax;
    if (state == State::kOnline || state == State::kSending) next = follower->next;
    if (follower->file != nullptr && follower->file->begun.load())
      next = std::min(next, follower->file->lsn);
    if (next < kept_from)
      Drop(*follower, "it keeps more of the log than repl-retention-max-bytes allows");
  }
}

// Whoever is away for less than repl-timeout finds the log where it left it.
void Feeder::NotePlace(const Follower& follower, Lsn kept_from, int64_t now_ms) {
  if (follower.request.old || follower.snapshot_only) return;  // they never go on
  const Lsn next = follower.next;
  Lsn lsn = std::clamp<Lsn>(follower.acknowledged.load(std::memory_order_relaxed),
                            next - std::min(next, kUnderWayBytesMax), next);
  // A power failure may take from it what it has not on disk. If that would keep too much
  // (appendfsync no), or it has told of nothing on disk yet, the place above is better than none.
  const Lsn durable = follower.durable.load(std::memory_order_relaxed);
  if (follower.keeps_log.load() && durable != 0 && durable >= kept_from)
    lsn = std::min(lsn, durable);
  const uint64_t client = follower.record->id;
  std::erase_if(places_, [&](const Place& place) { return place.client == client; });
  places_.push_back({client, lsn, now_ms});
}

void Feeder::NotePlaces(Lsn kept_from, int64_t now_ms) {
  // Who has not got the whole snapshot would begin anew.
  for (const auto& follower : followers())
    if (follower->state.load() == State::kOnline || follower->sent_all.load())
      NotePlace(*follower, kept_from, now_ms);
  const int64_t timeout_ms = engine_.config.repl_timeout() * 1000;
  std::erase_if(places_, [&](const Place& place) {
    return now_ms - place.seen_ms > timeout_ms || place.lsn < kept_from;
  });
  if (places_.size() > kPlacesMax)
    places_.erase(places_.begin(), places_.end() - static_cast<ptrdiff_t>(kPlacesMax));
}

// Segments that a follower still needs stay, and so do repl-backlog-size bytes behind the end.
void Feeder::Retain(int64_t now_ms) {
  Journal& journal = *engine_.journal;
  const Lsn tail = journal.tail();
  Lsn from = tail;
  if (Forgotten(now_ms)) {
    places_.clear();
  } else {
    from -= std::min<Lsn>(tail, static_cast<Lsn>(engine_.config.repl_backlog_size()));
  }
  for (const Place& place : places_) from = std::min(from, place.lsn);
  for (const auto& follower : followers()) {
    const State state = follower->state.load();
    if (state == State::kOnline || state == State::kSending) from = std::min(from, follower->next);
    if (follower->file != nullptr && follower->file->begun.load())
      from = std::min(from, follower->file->lsn);
  }
  journal.RetainFrom(from);
  // A journal that only feeds followers has no snapshots that would shorten it.
  constexpr Lsn kTrimBytes = 64 << 20;
  if (!engine_.journal_kept && !journal.awaits_base() &&
      from >= journal.manifest().base_lsn + kTrimBytes)
    journal.ForgetBefore(from);
}

}  // namespace cairn
