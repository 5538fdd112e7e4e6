// SPDX-License-Identifier: BSD-3-Clause
//
// Streams in RDB form (types 15, 19, 21, 26, 27), behind the type byte. Called through value.h.
//
//   stream   = length(nodes) node* length(entries) id(last)
//              [id(first) id(max deleted) length(entries added)]       from type 19 on
//              length(groups) group* [producers]                  from type 26 on
//   node     = string(16: raw id of the master entry) string(listpack)
//   id       = length(ms) length(seq)              raw id = 8 + 8 bytes, big-endian
//   group    = string(name) id(last delivered) [length(entries read)]  from type 19 on
//              length(pending) (raw id, i64 delivered, length(deliveries))*
//              length(consumers) consumer*
//   consumer = string(name) i64 seen [i64 active]                      active from type 21 on
//              length(pending) raw id*
//   group is followed, from type 27 on, by length(released) raw id*: pending, and no consumer's
//   producers = length(seconds) length(most) length(producers)
//               (string(name) length(messages) (string(message's name) id)*)*
//               length(added) length(duplicates)
//
// Producers (XADD IDMP of Redis 8.6) are read and dropped: commands here know no such option.
#pragma once

#include "base/function_ref.h"
#include "rdb/value.h"

namespace cairn {

void RdbSaveStream(const Stream& stream, RdbType type, RdbWriter* writer);
// The same in pieces: behind the number of nodes each node, then a StreamTailSaver.
void RdbSaveStreamNode(const Stream& stream, Stream::Nodes::Pos pos, RdbWriter* writer);

// All that stands behind the nodes, in steps. Between two of them the stream may be read, not
// changed.
class StreamTailSaver {
 public:
  StreamTailSaver(const Stream& stream, RdbType type, RdbWriter* writer)
      : stream_(stream), type_(type), writer_(*writer) {}
  // Goes on until `enough` says so, which is asked before each pending entry and each name. False:
  // that was all.
  bool Step(FunctionRef<bool()> enough);

 private:
  enum class Next : uint8_t { kState, kGroup, kPending, kConsumer, kOwn };

  void WriteState();
  void WriteGroupHead();
  void WritePending(const StreamGroup& group);
  void WriteConsumer(const StreamGroup& group);
  void WriteOwn();

  const Stream& stream_;
  const RdbType type_;
  RdbWriter& writer_;
  Next next_ = Next::kState;
  Stream::Groups::const_iterator group_;
  StreamGroup::Pending::Pos pending_{};
  StreamGroup::Consumers::const_iterator consumer_;
  decltype(StreamConsumer::pending)::Pos own_{};
};

Result<RdbValue> RdbLoadStream(RdbType type, RdbReader* reader);

}  // namespace cairn
