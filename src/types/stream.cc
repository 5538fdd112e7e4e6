// SPDX-License-Identifier: BSD-3-Clause
//
// Entries: adding, deleting, trimming, reading. Groups are in stream_read.cc.
#include "types/stream.h"

#include <algorithm>

#include "base/check.h"
#include "base/memory.h"

namespace cairn {
namespace {

// The largest node, and the largest entry by the bytes of its fields and values.
constexpr size_t kNodeBytesMax = size_t{1} << 30;

}  // namespace

const Stream::Data& Stream::Nobody() {
  static const Data nobody;
  return nobody;
}

Stream::Data& Stream::Mutable() {
  if (rep_ == 0) rep_ = reinterpret_cast<uint64_t>(new Data);
  return *reinterpret_cast<Data*>(rep_);
}

void Stream::Free() {
  delete reinterpret_cast<Data*>(rep_);
  rep_ = 0;
}

// --- adding ---

StreamAddResult Stream::Add(StreamIdKind kind, StreamId given, int64_t now_ms,
                            StreamFields fields, const Thresholds& thresholds, StreamId* id) {
  const StreamId last = last_id();
  StreamId next = given;
  if (kind == StreamIdKind::kAuto) {
    next = {static_cast<uint64_t>(now_ms), 0};
    if (next.ms <= last.ms) {
      // The clock stands or went back.
      next = last;
      if (!next.Increment()) return StreamAddResult::kNotGreater;
    }
  } else if (kind == StreamIdKind::kAnySeq) {
    next.seq = 0;
    if (given.ms == last.ms) {
      if (last.seq == UINT64_MAX) return StreamAddResult::kNotGreater;
      next.seq = last.seq + 1;
    }
  }
  if (next <= last) return StreamAddResult::kNotGreater;
  size_t bytes = 0;
  for (const std::string_view text : fields) bytes += text.size();
  if (bytes >= kNodeBytesMax) return StreamAddResult::kTooLarge;
  Append(next, fields, thresholds);
  *id = next;
  return StreamAddResult::kOk;
}

void Stream::Append(StreamId id, StreamFields fields, const Thresholds& thresholds) {
  Data& d = Mutable();
  size_t bytes_max = static_cast<size_t>(std::max<int64_t>(thresholds.stream_node_max_bytes, 0));
  if (bytes_max == 0 || bytes_max > kNodeBytesMax) bytes_max = kNodeBytesMax;
  size_t bytes = 0;
  for (const std::string_view text : fields) bytes += text.size();
  bool new_node = d.nodes.empty();
  if (!new_node) {
    Listpack& node = d.nodes.At(d.nodes.Last()).value;
    const auto [live, all] = StreamNodeCounts(node);
    new_node = node.Bytes() + bytes >= bytes_max || (thresholds.stream_node_max_entries > 0 &&
                                                     all >= thresholds.stream_node_max_entries);
    if (new_node) node.ShrinkToFit();
  }
  if (new_node) {
    *d.nodes.Insert(id).first = NewStreamNode(fields);
  } else {
    Nodes::Item& last = d.nodes.At(d.nodes.Last());
    AppendToStreamNode(&last.value, last.key, id, fields);
  }
  ++d.entries_added;
  d.last_id = id;
  if (++d.length == 1) d.first_id = id;
}

void Stream::SetLastId(StreamId last_id, std::optional<uint64_t> entries_added,
                       std::optional<StreamId> max_deleted_id) {
  Data& d = Mutable();
  d.last_id = last_id;
  if (entries_added) d.entries_added = *entries_added;
  if (max_deleted_id) d.max_deleted_id = *max_deleted_id;
}

// --- deleting ---

bool Stream::Contains(StreamId id) const {
  return StreamReader(*this, id, id).Next();
}

void Stream::UpdateFirstId() {
  Data& d = Mutable();
  d.first_id = EdgeId(true);
}

bool Stream::Delete(StreamId id) {
  if (rep_ == 0) return false;
  Data& d = Mutable();
  const Nodes::Pos pos = d.nodes.Floor(id);
  if (pos == d.nodes.End()) return false;
  Nodes::Item& node = d.nodes.At(pos);
  StreamNodeReader reader(node.value, node.key);
  bool more = reader.First();
  // Deleted entries end nothing: after XSETID to a lower id they may stand before lower ones.
  while (more && (!reader.live() || reader.entry().id < id)) more = reader.Next();
  if (!more || reader.entry().id != id) return false;
  if (reader.count() == 1) {
    d.nodes.Erase(pos);
  } else {
    MarkDeletedInStreamNode(&node.value, reader.flags_pos(), reader.flags());
    CountDeletedInStreamNode(&node.value, 1);
  }
  --d.length;
  d.max_deleted_id = std::max(d.max_deleted_id, id);
  if (id == d.first_id || d.length == 0) UpdateFirstId();
  return true;
}

bool Stream::IsReferenced(StreamId id) const {
  for (const auto& [name, group] : groups())
    if (group->last_id < id || group->pending().Contains(id)) return true;
  return false;
}

void Stream::DropReferences(StreamId id, StreamDeletions* done) {
  for (const auto& [name, group] : groups())
    if (group->Acknowledge(id) && done != nullptr) done->dropped[name].push_back(id);
}

int Stream::DeleteWith(StreamId id, StreamReferences references, StreamDeletions* done) {
  if (references == StreamReferences::kAcked && Contains(id) && IsReferenced(id)) return 2;
  // Redis drops references also of an entry that went before.
  if (references == StreamReferences::kDrop) DropReferences(id, done);
  if (!Delete(id)) return -1;
  if (done != nullptr) done->deleted.push_back(id);
  return 1;
}

int Stream::AcknowledgeAndDelete(StreamGroup* group, StreamId id, StreamReferences references,
                                 StreamDeletions* done) {
  if (!group->Acknowledge(id)) return -1;
  return DeleteWith(id, references, done) == 2 ? 2 : 1;
}

// --- trimming ---

int64_t Stream::DefaultTrimLimit(const Thresholds& thresholds) {
  constexpr int64_t kNodes = 100, kLimitMax = 1000000;
  const int64_t entries = thresholds.stream_node_max_entries;
  return entries <= 0 ? 10000 : kNodes * std::min(entries, kLimitMax / kNodes);
}

// Deletes from the front of one node what is to go; returns how many.
int64_t Stream::TrimInside(Nodes::Pos pos, const StreamTrim& trim, StreamDeletions* done) {
  Data& d = Mutable();
  Nodes::Item& node = d.nodes.At(pos);
  StreamNodeReader reader(node.value, node.key);
  int64_t deleted = 0;
  for (bool more = reader.First(); more; more = reader.Next()) {
    const StreamId id = reader.entry().id;
    if (!reader.live() && trim.thorough) continue;
    if (trim.kind == StreamTrim::kMaxLength ? d.length <= trim.max_length : id >= trim.min_id)
      break;
    if (!reader.live()) continue;
    if (trim.references == StreamReferences::kAcked && IsReferenced(id)) continue;
    if (trim.references == StreamReferences::kDrop) DropReferences(id, done);
    if (trim.references != StreamReferences::kKeep && done != nullptr) done->deleted.push_back(id);
    MarkDeletedInStreamNode(&node.value, reader.flags_pos(), reader.flags());
    --d.length;
    ++deleted;
  }
  if (deleted > 0) CountDeletedInStreamNode(&node.value, deleted);
  return deleted;
}

int64_t Stream::Trim(const StreamTrim& trim, StreamDeletions* done) {
  if (rep_ == 0) return 0;
  Data& d = Mutable();
  int64_t deleted = 0;
  const bool by_length = trim.kind == StreamTrim::kMaxLength;
  for (Nodes::Pos pos = d.nodes.First(); pos != d.nodes.End();) {
    if (by_length && d.length <= trim.max_length) break;
    const Nodes::Item& node = d.nodes.At(pos);
    const int64_t entries = StreamNodeCounts(node.value).first;
    if (trim.limit != 0 && deleted + entries > trim.limit) break;
    const bool whole = by_length ? d.length - static_cast<uint64_t>(entries) >= trim.max_length
                                 : StreamNodeLastId(node.value, node.key) < trim.min_id;
    if (!whole && trim.approximate) break;
    if (whole && trim.references == StreamReferences::kKeep) {
      d.length -= static_cast<uint64_t>(entries);
      deleted += entries;
      pos = d.nodes.Erase(pos);
      continue;
    }
    const int64_t inside = TrimInside(pos, trim, done);
    deleted += inside;
    const bool emptied = inside == entries;
    pos = emptied ? d.nodes.Erase(pos) : d.nodes.Next(pos);
    if (!whole && !(emptied && trim.thorough)) break;
  }
  if (deleted > 0) UpdateFirstId();
  return deleted;
}

// --- reading ---

StreamReader::StreamReader(const Stream& stream, StreamId start, StreamId end, bool backward)
    : nodes_(stream.data().nodes),
      start_(start),
      end_(end),
      backward_(backward),
      pos_(nodes_.Floor(backward ? end : start)) {
  if (!backward && pos_ == nodes_.End()) pos_ = nodes_.First();
}

bool StreamReader::EnterNode() {
  if (pos_ == nodes_.End()) return false;
  const Stream::Nodes::Item& node = nodes_.At(pos_);
  node_ = StreamNodeReader(node.value, node.key);
  inside_ = true;
  return backward_ ? node_.Last() : node_.First();
}

bool StreamReader::Step() {
  if (!inside_) return EnterNode();
  if (backward_ ? node_.Prev() : node_.Next()) return true;
  pos_ = backward_ ? nodes_.Prev(pos_) : nodes_.Next(pos_);
  return EnterNode();
}

bool StreamReader::Next() {
  if (start_ > end_) return false;
  while (Step()) {
    // A deleted entry does not end the range: after XSETID to a lower id, lower ones may follow it.
    if (!node_.live()) continue;
    const StreamId id = node_.entry().id;
    if (backward_ ? id < start_ : id > end_) return false;
    if (id >= start_ && id <= end_) return true;
  }
  return false;
}

StreamId Stream::EdgeId(bool first) const {
  StreamReader reader(*this, StreamId(), StreamId::Max(), !first);
  return reader.Next() ? reader.entry().id : StreamId();
}

// --- saving and loading ---

bool Stream::LoadNode(StreamId master, std::string_view valid_node) {
  Data& d = Mutable();
  if (!d.nodes.empty() && master <= d.nodes.At(d.nodes.Last()).key) return false;
  *d.nodes.Insert(master).first = Listpack::FromBytes(valid_node);
  return true;
}

bool Stream::LoadState(uint64_t length, StreamId last_id, StreamId first_id,
                       StreamId max_deleted_id, uint64_t entries_added) {
  Data& d = Mutable();
  d.length = length;
  d.last_id = last_id;
  d.first_id = first_id;
  d.max_deleted_id = max_deleted_id;
  d.entries_added = entries_added;
  uint64_t live = 0;
  for (auto pos = d.nodes.First(); pos != d.nodes.End(); pos = d.nodes.Next(pos))
    live += static_cast<uint64_t>(StreamNodeCounts(d.nodes.At(pos).value).first);
  return live == length;
}

// --- the keyspace's questions ---

size_t Stream::FreeEffort() const {
  size_t effort = nodes().size();
  for (const auto& [name, group] : groups()) effort += 1 + group->pending().size() / 64;
  return effort;
}

size_t Stream::MemoryUsage(size_t samples) const {
  if (rep_ == 0) return 0;
  size_t bytes = sizeof(Data) + nodes().MemoryUsage();
  size_t sampled = 0;
  size_t sampled_bytes = 0;
  for (auto pos = nodes().First();
       pos != nodes().End() && (samples == 0 || sampled < samples); pos = nodes().Next(pos)) {
    sampled_bytes += nodes().At(pos).value.MemoryUsage();
    ++sampled;
  }
  if (sampled > 0) bytes += ExtrapolatedBytes(sampled_bytes, sampled, nodes().size());
  for (const auto& [name, group] : groups()) bytes += name.size() + group->MemoryUsage();
  return bytes;
}

Stream Stream::Clone() const {
  Stream copy;
  if (rep_ == 0) return copy;
  const Data& from = data();
  Data& to = copy.Mutable();
  for (auto pos = from.nodes.First(); pos != from.nodes.End(); pos = from.nodes.Next(pos)) {
    const Nodes::Item& node = from.nodes.At(pos);
    *to.nodes.Insert(node.key).first = Listpack(static_cast<const ListpackView&>(node.value));
  }
  to.length = from.length;
  to.last_id = from.last_id;
  to.first_id = from.first_id;
  to.max_deleted_id = from.max_deleted_id;
  to.entries_added = from.entries_added;
  for (const auto& [name, group] : from.groups) to.groups.emplace(name, group->Clone());
  return copy;
}

void Stream::CheckInvariants() const {
  const Data& d = data();
  d.nodes.CheckInvariants();
  uint64_t live = 0;
  StreamId before;
  bool any = false;
  for (auto pos = d.nodes.First(); pos != d.nodes.End(); pos = d.nodes.Next(pos)) {
    const Nodes::Item& node = d.nodes.At(pos);
    CHECK(ValidStreamNode(node.value.AsBytes()));
    StreamNodeReader reader(node.value, node.key);
    for (bool more = reader.First(); more; more = reader.Next()) {
      if (!reader.live()) continue;
      CHECK(node.key <= reader.entry().id && (!any || before < reader.entry().id));
      before = reader.entry().id;
      any = true;
      ++live;
    }
  }
  CHECK(live == d.length && before <= d.last_id);
  CHECK(d.first_id == EdgeId(true));
  for (const auto& [name, group] : d.groups) group->CheckInvariants();
}

}  // namespace cairn
