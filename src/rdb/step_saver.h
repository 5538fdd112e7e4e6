// SPDX-License-Identifier: BSD-3-Clause
//
// RdbStepSaver: RdbSave() in steps, for values so large that nobody should wait for all of them.
// The bytes are those of RdbSave(). Between two steps others may read the value, but not change it.
// A value in its small encoding is one step.
//
// Thread rule: one step at a time, under whatever lock guards the value.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "rdb/stream_codec.h"
#include "rdb/value.h"

namespace cairn {

class RdbStepSaver {
 public:
  // `rep` stays the keyspace's; `rdb_type` is what RdbTypeOf() said. Bytes are appended to `out`,
  // strings uncompressed. Nothing is written before the first step.
  RdbStepSaver(Type type, uint64_t rep, RdbType rdb_type, std::string* out);
  ~RdbStepSaver();
  RdbStepSaver(const RdbStepSaver&) = delete;
  RdbStepSaver& operator=(const RdbStepSaver&) = delete;

  // Appends about `bytes` bytes; one element at least, whatever its size. False: that was all.
  bool Step(size_t bytes);

 private:
  bool StepList(List& list, size_t enough);
  bool StepSet(Set& set, size_t enough);
  bool StepSortedSet(SortedSet& set, size_t enough);
  bool StepHash(Hash& hash, size_t enough);
  bool StepStream(Stream& stream, size_t enough);

  std::variant<List, Set, SortedSet, Hash, Stream> value_;  // borrowed: released, never freed
  const RdbType rdb_type_;
  std::string* const out_;
  RdbWriter writer_;
  bool started_ = false;
  std::optional<List::ChunkReader> chunks_;
  uint64_t cursor_ = 0;
  int64_t earliest_ms_ = 0;
  std::optional<SortedSet::Iterator> iterator_;
  Stream::Nodes::Pos node_;
  std::optional<StreamTailSaver> tail_;
};

}  // namespace cairn
