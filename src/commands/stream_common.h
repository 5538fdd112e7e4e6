// SPDX-License-Identifier: BSD-3-Clause
//
// What the stream commands share: reading ids, showing entries, wording effects.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "exec/context.h"
#include "exec/refs.h"
#include "types/stream.h"

namespace cairn {

// "ms-seq" or "ms"; replies the error and is false if it is neither.
bool ReadStreamId(Context& ctx, std::string_view text, StreamId* id,
                  uint64_t missing_seq = 0);
// As ReadStreamId, but "-" and "+" name the first and the last id.
bool ReadStreamIdOrEdge(Context& ctx, std::string_view text, StreamId* id,
                        uint64_t missing_seq = 0);
// The start or the end of an interval: also "(id", without that id.
bool ReadStreamStart(Context& ctx, std::string_view text, StreamId* id);
bool ReadStreamEnd(Context& ctx, std::string_view text, StreamId* id);

// An argument inside an error text: Redis prints it as a C string, so a zero byte ends it.
inline std::string InError(std::string_view text) {
  return std::string(text.substr(0, text.find('\0')));
}

// KEEPREF, DELREF or ACKED; false if the text is none of them.
bool ParseStreamReferences(std::string_view text, StreamReferences* references);

// [KEEPREF|DELREF|ACKED] IDS numids id [id ...] from argument `first` to the end.
bool ReadStreamIdList(Context& ctx, size_t first, StreamReferences* references,
                      std::vector<StreamId>* ids);

void ReplyStreamId(ReplyWriter& reply, StreamId id);
// [field, value, ...]
void ReplyStreamFields(ReplyWriter& reply, const StreamEntry& entry);
// [id, [field, value, ...]]
void ReplyStreamEntry(ReplyWriter& reply, const StreamEntry& entry);
// An array of up to `count` (0: all) entries from start to end, or backwards.
void ReplyStreamRange(ReplyWriter& reply, const Stream& stream, StreamId start, StreamId end,
                      uint64_t count, bool backward);

// Words of one journal effect; owns their text.
class EffectWords {
 public:
  EffectWords(std::initializer_list<std::string_view> words) {
    for (std::string_view word : words) Add(word);
  }
  EffectWords& Add(std::string_view word) {
    words_.emplace_back(word);
    return *this;
  }
  EffectWords& Add(StreamId id) {
    words_.push_back(ToString(id));
    return *this;
  }
  EffectWords& Add(int64_t value) {
    words_.push_back(ToString(value));
    return *this;
  }
  EffectWords& Add(const std::vector<StreamId>& ids) {
    for (StreamId id : ids) Add(id);
    return *this;
  }
  void Send(Context& ctx) const {
    const std::vector<std::string_view> views(words_.begin(), words_.end());
    ctx.Effect(Arguments(views));
  }

 private:
  std::vector<std::string> words_;
};

// Ends a change of groups only, `dirty` times. Redis tells no WATCH and no tracking client of
// such changes: a client that watches a stream and acknowledges an entry must still get its EXEC.
void SettleGroupChange(Context& ctx, WriteRef<Stream>& stream, int64_t dirty);

// Effects of deletions that look at references (DELREF, ACKED): Redis 7.0 knows neither, so what
// was done is spelled as XACK of each group, here, and XDEL.
void SendDropped(Context& ctx, std::string_view key, const StreamDeletions& done);

}  // namespace cairn
