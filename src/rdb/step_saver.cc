// SPDX-License-Identifier: BSD-3-Clause
#include "rdb/step_saver.h"

#include "base/check.h"
#include "rdb/save_element.h"

namespace cairn {
namespace {

constexpr size_t kElementsPerScan = 16;

std::variant<List, Set, SortedSet, Hash, Stream> Borrow(Type type, uint64_t rep) {
  switch (type) {
    case Type::kList: return List::Adopt(rep);
    case Type::kSet: return Set::Adopt(rep);
    case Type::kSortedSet: return SortedSet::Adopt(rep);
    case Type::kHash: return Hash::Adopt(rep);
    default: CHECK(type == Type::kStream); return Stream::Adopt(rep);
  }
}

}  // namespace

RdbStepSaver::RdbStepSaver(Type type, uint64_t rep, RdbType rdb_type, std::string* out)
    : value_(Borrow(type, rep)), rdb_type_(rdb_type), out_(out), writer_(out, false) {}

RdbStepSaver::~RdbStepSaver() {
  std::visit([](auto& value) { (void)value.Release(); }, value_);
}

bool RdbStepSaver::Step(size_t bytes) {
  const size_t enough = out_->size() + bytes;
  bool more = false;
  switch (value_.index()) {
    case 0: more = StepList(std::get<List>(value_), enough); break;
    case 1: more = StepSet(std::get<Set>(value_), enough); break;
    case 2: more = StepSortedSet(std::get<SortedSet>(value_), enough); break;
    case 3: more = StepHash(std::get<Hash>(value_), enough); break;
    default: more = StepStream(std::get<Stream>(value_), enough);
  }
  started_ = true;
  return more;
}

bool RdbStepSaver::StepList(List& list, size_t enough) {
  if (!started_) {
    writer_.Length(list.ChunkCount());
    chunks_.emplace(list);
  }
  std::string_view bytes;
  bool plain;
  while (out_->size() < enough) {
    if (!chunks_->Next(&bytes, &plain)) return false;
    writer_.Length(plain ? kRdbNodePlain : kRdbNodePacked);
    writer_.String(bytes);
  }
  return true;
}

bool RdbStepSaver::StepSet(Set& set, size_t enough) {
  if (rdb_type_ != RdbType::kSet) {
    RdbSave(set, rdb_type_, &writer_);
    return false;
  }
  if (!started_) writer_.Length(set.Size());
  do {
    cursor_ = set.Scan(cursor_, kElementsPerScan,
                       [this](const ListpackValue& member) { SaveElement(member, &writer_); });
  } while (cursor_ != 0 && out_->size() < enough);
  return cursor_ != 0;
}

bool RdbStepSaver::StepSortedSet(SortedSet& set, size_t enough) {
  if (rdb_type_ == RdbType::kZsetListpack) {
    RdbSave(set, rdb_type_, &writer_);
    return false;
  }
  if (!started_) {
    writer_.Length(set.Size());
    iterator_ = set.Iterate(set.All(), true);
  }
  for (; iterator_->Valid() && out_->size() < enough; iterator_->Next()) {
    writer_.String(iterator_->member());
    writer_.BinaryDouble(iterator_->score());
  }
  return iterator_->Valid();
}

bool RdbStepSaver::StepHash(Hash& hash, size_t enough) {
  const bool expiries = rdb_type_ == RdbType::kHashMetadata;
  if (rdb_type_ != RdbType::kHash && !expiries) {
    RdbSave(hash, rdb_type_, &writer_);
    return false;
  }
  if (!started_) {
    earliest_ms_ = hash.NextExpiry();
    if (expiries) writer_.Int64(earliest_ms_);
    writer_.Length(hash.Length());
  }
  do {
    cursor_ = hash.Scan(cursor_, kElementsPerScan, Hash::kNeverExpired,
                        [this, expiries](const HashField& field) {
                          if (expiries) SaveFieldExpiry(field.expiry_ms, earliest_ms_, &writer_);
                          SaveElement(field.field, &writer_);
                          SaveElement(field.value, &writer_);
                        });
  } while (cursor_ != 0 && out_->size() < enough);
  return cursor_ != 0;
}

bool RdbStepSaver::StepStream(Stream& stream, size_t enough) {
  const Stream::Nodes& nodes = stream.nodes();
  if (!started_) {
    writer_.Length(nodes.size());
    node_ = nodes.First();
  }
  for (; node_ != nodes.End(); node_ = nodes.Next(node_)) {
    if (out_->size() >= enough) return true;
    RdbSaveStreamNode(stream, node_, &writer_);
  }
  if (!tail_.has_value()) tail_.emplace(stream, rdb_type_, &writer_);
  return tail_->Step([this, enough] { return out_->size() >= enough; });
}

}  // namespace cairn
