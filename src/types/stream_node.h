// SPDX-License-Identifier: BSD-3-Clause
//
// A node of a stream: a listpack of entries behind a master entry, in exactly the layout of Redis,
// since RDB files and DUMP payloads carry these listpacks as they are.
//
//   master: count | deleted | n | field 1 .. field n | 0
//   entry:  flags | ms - master ms | seq - master seq |
//           value 1 .. value n                  if flags has kSameFields
//           m | field 1 | value 1 .. value m    else
//           | pieces before this one
//
// count is of the entries not deleted; a deleted one stays, with kDeleted, until its node goes.
// The last piece leads from an entry's end back to its flags. The master id (the first entry's) is
// the node's key in the stream. All functions trust the bytes; ValidStreamNode() is for others'.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "containers/listpack.h"
#include "types/stream_id.h"

namespace cairn {

// Fields and values as XADD gives them: field, value, field, value ...
using StreamFields = std::span<const std::string_view>;

// On disk. Append only.
enum StreamEntryFlags : int64_t { kStreamEntryDeleted = 1, kStreamEntrySameFields = 2 };

// One entry inside a node; valid while the node is unchanged.
class StreamEntry {
 public:
  StreamId id;
  uint64_t field_count = 0;

  // visit(field, value), both std::string_view, valid during the call only.
  template <typename Visit>
  void ForEachField(Visit&& visit) const {
    char field_digits[kInt64CharsMax];
    char value_digits[kInt64CharsMax];
    const bool same = (flags_ & kStreamEntrySameFields) != 0;
    ListpackView::Pos field = same ? master_fields_ : body_;
    ListpackView::Pos value = body_;
    for (uint64_t i = 0; i < field_count; ++i) {
      if (!same) value = view_.Next(field);
      visit(view_.Get(field).Text(field_digits), view_.Get(value).Text(value_digits));
      field = view_.Next(same ? field : value);
      if (same) value = view_.Next(value);
    }
  }

 private:
  friend class StreamNodeReader;
  ListpackView view_{nullptr};
  int64_t flags_ = 0;
  ListpackView::Pos at_ = 0;  // of the flags
  ListpackView::Pos body_ = 0;
  ListpackView::Pos end_ = 0;  // of the last piece
  ListpackView::Pos master_fields_ = 0;
};

// Walks the entries of a node, deleted ones included, both ways.
class StreamNodeReader {
 public:
  StreamNodeReader() = default;
  StreamNodeReader(ListpackView view, StreamId master);

  int64_t count() const { return count_; }
  int64_t deleted() const { return deleted_; }
  StreamId master() const { return master_; }
  // Each stands at the entry it found; false: there is none, and the reader stands at none.
  bool First() { return Enter(first_); }
  bool Last();
  bool Next() { return Enter(view_.Next(entry_.end_)); }
  bool Prev();
  bool live() const { return (entry_.flags_ & kStreamEntryDeleted) == 0; }
  const StreamEntry& entry() const { return entry_; }
  ListpackView::Pos flags_pos() const { return entry_.at_; }
  int64_t flags() const { return entry_.flags_; }

 private:
  bool Enter(ListpackView::Pos flags);
  bool EnterBackward(ListpackView::Pos last_piece);
  int64_t Integer(ListpackView::Pos pos) const { return view_.Get(pos).integer(); }

  ListpackView view_{nullptr};
  StreamId master_;
  int64_t count_ = 0;
  int64_t deleted_ = 0;
  uint64_t master_field_count_ = 0;
  ListpackView::Pos first_ = 0;  // of the first entry's flags; none if there is no entry
  StreamEntry entry_;
};

// A node that holds one entry, of id `master`.
Listpack NewStreamNode(StreamFields fields);
// `id` is greater than the ids of all live entries in the node, and than its master id.
void AppendToStreamNode(Listpack* node, StreamId master, StreamId id, StreamFields fields);
// Count of live entries and of all, from the master entry.
std::pair<int64_t, int64_t> StreamNodeCounts(ListpackView node);
// The greatest id, deleted entries included.
StreamId StreamNodeLastId(ListpackView node, StreamId master);
// Marks the live entry of these flags deleted; no byte moves. The caller then counts them once.
void MarkDeletedInStreamNode(Listpack* node, ListpackView::Pos flags_pos, int64_t flags);
void CountDeletedInStreamNode(Listpack* node, int64_t deleted);
// Whether `bytes` is a listpack that is a stream node.
bool ValidStreamNode(std::string_view bytes);

}  // namespace cairn
