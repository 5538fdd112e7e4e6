// SPDX-License-Identifier: BSD-3-Clause
//
// The stream value: entries in nodes (stream_node.h) ordered by the id of each node's first entry,
// and consumer groups (stream_group.h). Trimming counts, node boundaries, lag and tombstone rules
// are those of Redis 7.4.
//
// 8 bytes, move-only, trivially relocatable: rep_ is a pointer (0: an empty stream that nothing
// was ever done to). Times are arguments. Not thread-safe; const functions may run side by side;
// the destructor runs on any thread. Changes end iteration and invalidate entries shown.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "containers/paged_map.h"
#include "types/stream_group.h"
#include "types/stream_id.h"
#include "types/stream_node.h"
#include "types/thresholds.h"
#include "types/type.h"

namespace cairn {

enum class StreamIdKind : uint8_t { kAuto, kAnySeq, kGiven };  // XADD *, ms-*, ms-seq
enum class StreamAddResult : uint8_t { kOk, kNotGreater, kTooLarge };

// KEEPREF, DELREF, ACKED: what deleting an entry does about groups that have it pending.
enum class StreamReferences : uint8_t {
  kKeep,   // nothing
  kDrop,   // it is no longer pending anywhere
  kAcked   // entries that a group has pending or has yet to read are not deleted
};

struct StreamTrim {
  enum Kind : uint8_t { kMaxLength, kMinId } kind = kMaxLength;
  uint64_t max_length = 0;
  StreamId min_id;
  bool approximate = false;  // whole nodes only
  // Goes on behind a deleted entry with an id that would end it. Such entries stand before lower
  // ids after an XSETID; Redis stops at them, but has what it did be done again elsewhere.
  bool thorough = false;
  int64_t limit = 0;         // entries at most, in whole nodes; 0: no limit
  StreamReferences references = StreamReferences::kKeep;
};

// What deletions that look at references took away, for the record. Groups by name.
struct StreamDeletions {
  std::vector<StreamId> deleted;
  std::map<std::string, std::vector<StreamId>, std::less<>> dropped;  // pending no longer
};

struct StreamClaim {
  int64_t min_idle_ms = 0;
  int64_t delivered_ms = 0;  // what it is set to
  int64_t retry_count = -1;  // what it is set to; -1: one more, unless just_id
  bool force = false;        // claim what is not pending, too
  bool just_id = false;
};
enum class StreamClaimResult : uint8_t {
  kClaimed,
  kSkipped,  // not pending, or not idle for long enough
  kGone      // it was pending but is no longer in the stream: not pending any more
};

class Stream {
 public:
  using Nodes = PagedMap<StreamId, Listpack>;
  using Groups = std::map<std::string, std::unique_ptr<StreamGroup>, std::less<>>;

  Stream() = default;
  ~Stream() { Free(); }
  Stream(Stream&& other) noexcept : rep_(std::exchange(other.rep_, 0)) {}
  Stream& operator=(Stream&& other) noexcept {
    std::swap(rep_, other.rep_);
    return *this;
  }
  static Stream Adopt(uint64_t rep) {
    Stream stream;
    stream.rep_ = rep;
    return stream;
  }
  uint64_t Release() { return std::exchange(rep_, 0); }

  Encoding encoding() const { return Encoding::kStream; }
  uint64_t Length() const { return data().length; }
  StreamId last_id() const { return data().last_id; }
  StreamId first_id() const { return data().first_id; }  // 0-0 if empty
  StreamId max_deleted_id() const { return data().max_deleted_id; }
  uint64_t entries_added() const { return data().entries_added; }

  // --- entries ---

  // `given` is used as `kind` says; *id is the id taken. `fields` alternates fields and values.
  StreamAddResult Add(StreamIdKind kind, StreamId given, int64_t now_ms, StreamFields fields,
                      const Thresholds& thresholds, StreamId* id);
  bool Contains(StreamId id) const;
  bool Delete(StreamId id);
  // XDELEX: 1 deleted, -1 not there, 2 kept because it is still referenced.
  int DeleteWith(StreamId id, StreamReferences references, StreamDeletions* done = nullptr);
  // XACKDEL: 1 acknowledged and deleted, -1 not pending, 2 acknowledged but kept.
  int AcknowledgeAndDelete(StreamGroup* group, StreamId id, StreamReferences references,
                           StreamDeletions* done = nullptr);
  // Returns how many entries went. With kKeep *done is left alone: what goes is counted, not read.
  int64_t Trim(const StreamTrim& trim, StreamDeletions* done = nullptr);
  // The LIMIT of an approximate trim that names none.
  static int64_t DefaultTrimLimit(const Thresholds& thresholds);
  // XSETID. The caller has checked the arguments against last_id() and Length().
  void SetLastId(StreamId last_id, std::optional<uint64_t> entries_added,
                 std::optional<StreamId> max_deleted_id);

  // --- groups ---

  const Groups& groups() const { return data().groups; }
  StreamGroup* FindGroup(std::string_view name) const;
  // Null if there is one of this name.
  StreamGroup* CreateGroup(std::string_view name, StreamId last_id, int64_t entries_read);
  bool DestroyGroup(std::string_view name);

  // Delivers up to `count` (0: all) entries behind the group's last id, each shown to
  // visit(const StreamEntry&) when it has been made pending (unless no_ack). Returns how many.
  template <typename Visit>
  uint64_t ReadNew(StreamGroup* group, StreamConsumer* consumer, uint64_t count, bool no_ack,
                   int64_t now_ms, Visit&& visit) const;
  // The consumer's pending entries with ids > `after`, delivered once more: visit(id, entry), entry
  // null if it is no longer in the stream (then nothing is counted). Returns how many.
  template <typename Visit>
  uint64_t ReadPending(StreamGroup* group, StreamConsumer* consumer, StreamId after,
                       uint64_t count, int64_t now_ms, Visit&& visit) const;
  StreamClaimResult Claim(StreamGroup* group, StreamConsumer* consumer, StreamId id,
                          const StreamClaim& claim, int64_t now_ms) const;
  // XAUTOCLAIM: claims up to `count` from `start` on and looks at ten times as many; ids that are
  // no longer in the stream stop being pending and count too. Returns where to go on; 0-0: done.
  StreamId AutoClaim(StreamGroup* group, StreamConsumer* consumer, StreamId start,
                     uint64_t count, const StreamClaim& claim, int64_t now_ms,
                     std::vector<StreamId>* claimed, std::vector<StreamId>* gone) const;
  // Entries the group has yet to read; nothing where deletions make it unknowable.
  std::optional<int64_t> Lag(const StreamGroup& group) const;
  // How many entries were ever added up to `id`, or kEntriesReadUnknown.
  int64_t EntriesReadAt(StreamId id) const;

  // --- saving and loading ---

  // Master ids and listpacks, in order.
  const Nodes& nodes() const { return data().nodes; }
  // Appends a node that passed ValidStreamNode(); false if its id is not behind all others.
  bool LoadNode(StreamId master, std::string_view valid_node);
  // After all nodes; false if their live entries are not `length`.
  bool LoadState(uint64_t length, StreamId last_id, StreamId first_id, StreamId max_deleted_id,
                 uint64_t entries_added);
  // Id of the first or last live entry; 0-0 if empty.
  StreamId EdgeId(bool first) const;

  // --- the keyspace's questions ---

  size_t FreeEffort() const;
  size_t MemoryUsage(size_t samples) const;
  Stream Clone() const;
  void CheckInvariants() const;

 private:
  friend class StreamReader;
  struct Data {
    Nodes nodes;
    uint64_t length = 0;
    StreamId last_id;
    StreamId first_id;
    StreamId max_deleted_id;
    uint64_t entries_added = 0;
    Groups groups;
  };

  const Data& data() const { return rep_ != 0 ? *reinterpret_cast<Data*>(rep_) : Nobody(); }
  Data& Mutable();
  static const Data& Nobody();  // an empty stream
  void Free();
  void Append(StreamId id, StreamFields fields, const Thresholds& thresholds);
  bool HasTombstonesAfter(StreamId id) const;
  void NoteRead(StreamGroup* group, StreamId id) const;
  bool IsReferenced(StreamId id) const;
  void DropReferences(StreamId id, StreamDeletions* done);
  int64_t TrimInside(Nodes::Pos pos, const StreamTrim& trim, StreamDeletions* done);
  void UpdateFirstId();

  uint64_t rep_ = 0;
};

static_assert(sizeof(Stream) == 8);

// Walks the live entries with start <= id <= end, forwards or backwards.
class StreamReader {
 public:
  StreamReader(const Stream& stream, StreamId start, StreamId end, bool backward = false);
  // False at the end.
  bool Next();
  const StreamEntry& entry() const { return node_.entry(); }

 private:
  bool Step();       // to the next entry, dead or alive
  bool EnterNode();  // the one at pos_; false: there is none

  const Stream::Nodes& nodes_;
  StreamId start_;
  StreamId end_;
  bool backward_;
  bool inside_ = false;  // node_ stands at an entry
  Stream::Nodes::Pos pos_;
  StreamNodeReader node_;
};

template <typename Visit>
uint64_t Stream::ReadNew(StreamGroup* group, StreamConsumer* consumer, uint64_t count, bool no_ack,
                         int64_t now_ms, Visit&& visit) const {
  StreamId start = group->last_id;
  if (!start.Increment()) return 0;
  uint64_t delivered = 0;
  for (StreamReader reader(*this, start, StreamId::Max()); reader.Next();) {
    const StreamEntry& entry = reader.entry();
    NoteRead(group, entry.id);
    if (!no_ack) {
      group->Assign(entry.id, consumer, now_ms)->deliveries = 1;
      consumer->active_ms = now_ms;
    }
    visit(entry);
    if (++delivered == count) break;
  }
  return delivered;
}

template <typename Visit>
uint64_t Stream::ReadPending(StreamGroup* group, StreamConsumer* consumer, StreamId after,
                             uint64_t count, int64_t now_ms, Visit&& visit) const {
  if (!after.Increment()) return 0;
  const auto& own = consumer->pending;
  uint64_t shown = 0;
  for (auto pos = own.Lower(after); pos != own.End(); pos = own.Next(pos)) {
    const StreamId id = own.At(pos).key;
    StreamReader reader(*this, id, id);
    const bool found = reader.Next();
    if (found) group->Redeliver(id, now_ms)->CountDelivery();
    visit(id, found ? &reader.entry() : nullptr);
    if (++shown == count) break;
  }
  return shown;
}

}  // namespace cairn
