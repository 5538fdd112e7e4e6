// SPDX-License-Identifier: BSD-3-Clause
#include "types/stream_node.h"

#include <optional>
#include <vector>

#include "base/check.h"

namespace cairn {
namespace {

using Pos = ListpackView::Pos;

// Pieces of an entry besides fields and values: flags, two deltas, and the number of fields.
constexpr int64_t kPiecesSameFields = 3;
constexpr int64_t kPiecesOwnFields = 4;

bool HasFieldsOf(ListpackView node, StreamFields fields) {
  const Pos count = node.Seek(2);
  if (node.Get(count).integer() != static_cast<int64_t>(fields.size() / 2)) return false;
  Pos pos = count;
  for (size_t i = 0; i < fields.size(); i += 2) {
    pos = node.Next(pos);
    if (!(node.Get(pos) == fields[i])) return false;
  }
  return true;
}

void AppendEntry(Listpack* node, StreamId delta, bool same_fields, StreamFields fields) {
  std::vector<ListpackEntry> pieces;
  pieces.reserve(fields.size() + 5);
  pieces.emplace_back(same_fields ? int64_t{kStreamEntrySameFields} : int64_t{0});
  pieces.emplace_back(static_cast<int64_t>(delta.ms));
  pieces.emplace_back(static_cast<int64_t>(delta.seq));
  const int64_t field_count = static_cast<int64_t>(fields.size() / 2);
  if (same_fields) {
    for (size_t i = 1; i < fields.size(); i += 2) pieces.emplace_back(fields[i]);
    pieces.emplace_back(field_count + kPiecesSameFields);
  } else {
    pieces.emplace_back(field_count);
    for (const std::string_view text : fields) pieces.emplace_back(text);
    pieces.emplace_back(2 * field_count + kPiecesOwnFields);
  }
  node->Append(std::span<const ListpackEntry>(pieces));
}

}  // namespace

StreamNodeReader::StreamNodeReader(ListpackView view, StreamId master)
    : view_(view), master_(master) {
  Pos pos = view.First();
  count_ = Integer(pos);
  pos = view.Next(pos);
  deleted_ = Integer(pos);
  pos = view.Next(pos);
  master_field_count_ = static_cast<uint64_t>(Integer(pos));
  pos = view.Next(pos);
  entry_.view_ = view;
  entry_.master_fields_ = pos;
  for (uint64_t i = 0; i < master_field_count_; ++i) pos = view.Next(pos);
  first_ = view.Next(pos);  // behind the 0
}

bool StreamNodeReader::Enter(Pos flags) {
  if (flags == ListpackView::kNone) return false;
  entry_.at_ = flags;
  entry_.flags_ = Integer(flags);
  Pos pos = view_.Next(flags);
  entry_.id.ms = master_.ms + static_cast<uint64_t>(Integer(pos));
  pos = view_.Next(pos);
  entry_.id.seq = master_.seq + static_cast<uint64_t>(Integer(pos));
  pos = view_.Next(pos);
  uint64_t pieces;
  if ((entry_.flags_ & kStreamEntrySameFields) != 0) {
    pieces = entry_.field_count = master_field_count_;
  } else {
    entry_.field_count = static_cast<uint64_t>(Integer(pos));
    pieces = 2 * entry_.field_count;
    pos = view_.Next(pos);
  }
  entry_.body_ = pos;
  for (; pieces > 0; --pieces) pos = view_.Next(pos);
  entry_.end_ = pos;
  return true;
}

bool StreamNodeReader::EnterBackward(Pos last_piece) {
  Pos pos = last_piece;
  for (int64_t back = Integer(last_piece); back > 0; --back) pos = view_.Prev(pos);
  return Enter(pos);
}

bool StreamNodeReader::Last() {
  return first_ != ListpackView::kNone && EnterBackward(view_.Last());
}

bool StreamNodeReader::Prev() {
  return entry_.at_ != first_ && EnterBackward(view_.Prev(entry_.at_));
}

Listpack NewStreamNode(StreamFields fields) {
  Listpack node;
  std::vector<ListpackEntry> pieces;
  pieces.reserve(fields.size() / 2 + 4);
  pieces.emplace_back(int64_t{1});
  pieces.emplace_back(int64_t{0});
  pieces.emplace_back(static_cast<int64_t>(fields.size() / 2));
  for (size_t i = 0; i < fields.size(); i += 2) pieces.emplace_back(fields[i]);
  pieces.emplace_back(int64_t{0});
  node.Append(std::span<const ListpackEntry>(pieces));
  AppendEntry(&node, StreamId(), true, fields);
  return node;
}

void AppendToStreamNode(Listpack* node, StreamId master, StreamId id, StreamFields fields) {
  AppendEntry(node, {id.ms - master.ms, id.seq - master.seq}, HasFieldsOf(*node, fields), fields);
  const Pos count = node->First();
  node->Replace(count, node->Get(count).integer() + 1);
}

std::pair<int64_t, int64_t> StreamNodeCounts(ListpackView node) {
  const Pos count = node.First();
  const int64_t live = node.Get(count).integer();
  return {live, live + node.Get(node.Next(count)).integer()};
}

StreamId StreamNodeLastId(ListpackView node, StreamId master) {
  StreamNodeReader reader(node, master);
  const bool any = reader.Last();
  DCHECK(any);
  return any ? reader.entry().id : master;
}

void MarkDeletedInStreamNode(Listpack* node, Pos flags_pos, int64_t flags) {
  DCHECK((flags & kStreamEntryDeleted) == 0);
  node->Replace(flags_pos, flags | kStreamEntryDeleted);  // one byte either way
}

void CountDeletedInStreamNode(Listpack* node, int64_t deleted) {
  const Pos count = node->First();
  node->Replace(count, node->Get(count).integer() - deleted);
  const Pos gone = node->Next(node->First());
  node->Replace(gone, node->Get(gone).integer() + deleted);
}

bool ValidStreamNode(std::string_view bytes) {
  if (!ListpackView::Validate(bytes)) return false;
  const ListpackView view(bytes.data());
  Pos pos = view.First();
  // The next piece, which must be an integer in least..most.
  const auto integer = [&](int64_t least, int64_t most) -> std::optional<int64_t> {
    if (pos == ListpackView::kNone || !view.Get(pos).is_int()) return std::nullopt;
    const int64_t value = view.Get(pos).integer();
    if (value < least || value > most) return std::nullopt;
    pos = view.Next(pos);
    return value;
  };
  const auto skip = [&](int64_t pieces) {
    for (; pieces > 0 && pos != ListpackView::kNone; --pieces) pos = view.Next(pos);
    return pieces == 0;
  };
  const int64_t most = static_cast<int64_t>(bytes.size());
  const auto count = integer(0, most);
  const auto deleted = count ? integer(0, most) : std::nullopt;
  const auto fields = deleted ? integer(0, most) : std::nullopt;
  if (!fields || !skip(*fields) || !integer(0, 0)) return false;
  int64_t live = 0;
  int64_t gone = 0;
  while (pos != ListpackView::kNone) {
    const auto flags = integer(0, kStreamEntryDeleted | kStreamEntrySameFields);
    if (!flags || !integer(INT64_MIN, INT64_MAX) || !integer(INT64_MIN, INT64_MAX)) return false;
    int64_t pieces;
    if ((*flags & kStreamEntrySameFields) != 0) {
      if (!skip(*fields)) return false;
      pieces = *fields + kPiecesSameFields;
    } else {
      const auto own = integer(0, most);
      if (!own || !skip(2 * *own)) return false;
      pieces = 2 * *own + kPiecesOwnFields;
    }
    if (!integer(pieces, pieces)) return false;
    (*flags & kStreamEntryDeleted) != 0 ? ++gone : ++live;
  }
  return live == *count && gone == *deleted;
}

}  // namespace cairn
