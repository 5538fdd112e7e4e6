// SPDX-License-Identifier: BSD-3-Clause
#include "rdb/stream_codec.h"

#include "base/bytes.h"

namespace cairn {
namespace {

constexpr size_t kRawIdBytes = 16;

bool HasOffsets(RdbType type) { return type != RdbType::kStreamListpacks; }
bool HasActiveTime(RdbType type) {
  return type >= RdbType::kStreamListpacks3;
}
bool HasProducers(RdbType type) {
  return type >= RdbType::kStreamListpacks4;
}
bool HasReleased(RdbType type) {
  return type >= RdbType::kStreamListpacks5;
}

struct RawId {
  explicit RawId(StreamId id) {
    StoreBe64(bytes, id.ms);
    StoreBe64(bytes + 8, id.seq);
  }
  std::string_view view() const { return {bytes, kRawIdBytes}; }
  char bytes[kRawIdBytes];
};

StreamId FromRaw(std::string_view raw) { return {LoadBe64(raw.data()), LoadBe64(raw.data() + 8)}; }

void WriteId(StreamId id, RdbWriter* writer) {
  writer->Length(id.ms);
  writer->Length(id.seq);
}

StreamId ReadId(RdbReader* reader) {
  StreamId id;
  id.ms = reader->Length();
  id.seq = reader->Length();
  return id;
}

StreamId ReadRawId(RdbReader* reader) {
  std::string_view raw = reader->Raw(kRawIdBytes);
  return reader->ok() ? FromRaw(raw) : StreamId();
}

// The readers below leave their error in the RdbReader.

// Nodes whose live ids ascend, over all entries; *last becomes the last of them. Deleted entries
// may have any id: XSETID may go back behind them.
void ReadNodes(RdbReader* reader, Stream* stream, StreamId* last) {
  bool any = false;
  for (uint64_t nodes = reader->Length(); nodes > 0 && reader->ok(); --nodes) {
    std::string_view raw = reader->Text();
    if (!reader->ok()) return;
    if (raw.size() != kRawIdBytes) return reader->Fail("stream node id");
    const StreamId master = FromRaw(raw);
    std::string_view bytes = reader->Text();
    if (!reader->ok()) return;
    if (!ValidStreamNode(bytes)) return reader->Fail("stream node");
    StreamNodeReader entries(ListpackView(bytes.data()), master);
    if (!entries.First()) return reader->Fail("stream node without entries");
    do {
      if (!entries.live()) continue;
      const StreamId id = entries.entry().id;
      if (id < master || (any && id <= *last)) return reader->Fail("stream ids do not ascend");
      *last = id;
      any = true;
    } while (entries.Next());
    if (!stream->LoadNode(master, bytes)) return reader->Fail("stream nodes out of order");
  }
}

void ReadConsumers(RdbType type, RdbReader* reader, StreamGroup* group) {
  std::string name;
  for (uint64_t consumers = reader->Length(); consumers > 0 && reader->ok(); --consumers) {
    reader->Text(&name);
    const int64_t seen_ms = reader->Int64();
    // Before there was an active time, the seen time moved with it.
    const int64_t active_ms = HasActiveTime(type) ? reader->Int64() : seen_ms;
    if (!reader->ok()) return;
    StreamConsumer* consumer = group->LoadConsumer(name, seen_ms, active_ms);
    if (consumer == nullptr) return reader->Fail("stream consumer twice");
    for (uint64_t pending = reader->Length(); pending > 0 && reader->ok(); --pending) {
      const StreamId id = ReadRawId(reader);
      if (!reader->ok()) return;
      if (!group->LoadOwner(consumer, id)) return reader->Fail("stream consumer's pending id");
    }
  }
}

// As XNACK leaves them here: with the consumer that is nobody, delivered at no time.
void ReadReleased(RdbReader* reader, StreamGroup* group) {
  for (uint64_t released = reader->Length(); released > 0 && reader->ok(); --released) {
    const StreamId id = ReadRawId(reader);
    if (!reader->ok()) return;
    if (!group->LoadReleased(id)) return reader->Fail("stream released id");
  }
}

void SkipProducers(RdbReader* reader) {
  reader->Length();
  reader->Length();
  for (uint64_t producers = reader->Length(); producers > 0 && reader->ok(); --producers) {
    reader->Text();
    for (uint64_t messages = reader->Length(); messages > 0 && reader->ok(); --messages) {
      reader->Text();
      ReadId(reader);
    }
  }
  reader->Length();
  reader->Length();
}

void ReadGroup(RdbType type, RdbReader* reader, Stream* stream) {
  std::string name;
  reader->Text(&name);
  const StreamId last_id = ReadId(reader);
  const uint64_t offset = HasOffsets(type) ? reader->Length() : 0;
  if (!reader->ok()) return;
  int64_t entries_read = HasOffsets(type) ? static_cast<int64_t>(offset)
                                          : stream->EntriesReadAt(last_id);
  if (entries_read < 0) entries_read = StreamGroup::kEntriesReadUnknown;
  StreamGroup* group = stream->CreateGroup(name, last_id, entries_read);
  if (group == nullptr) return reader->Fail("stream group twice");
  for (uint64_t pending = reader->Length(); pending > 0 && reader->ok(); --pending) {
    const StreamId id = ReadRawId(reader);
    const int64_t delivered_ms = reader->Int64();
    const uint64_t deliveries = reader->Length();
    if (!reader->ok()) return;
    if (!group->LoadPending(id, delivered_ms, deliveries)) return reader->Fail("stream pending id");
  }
  ReadConsumers(type, reader, group);
  if (HasReleased(type)) ReadReleased(reader, group);
  if (reader->ok() && !group->Complete()) reader->Fail("stream pending id without a consumer");
}

}  // namespace

void RdbSaveStream(const Stream& stream, RdbType type, RdbWriter* writer) {
  const Stream::Nodes& nodes = stream.nodes();
  writer->Length(nodes.size());
  for (auto pos = nodes.First(); pos != nodes.End(); pos = nodes.Next(pos))
    RdbSaveStreamNode(stream, pos, writer);
  StreamTailSaver(stream, type, writer).Step([] { return false; });
}

void RdbSaveStreamNode(const Stream& stream, Stream::Nodes::Pos pos, RdbWriter* writer) {
  writer->String(RawId(stream.nodes().At(pos).key).view());
  writer->String(stream.nodes().At(pos).value.AsBytes());
}

bool StreamTailSaver::Step(FunctionRef<bool()> enough) {
  if (next_ == Next::kState) WriteState();
  while (group_ != stream_.groups().end()) {
    if (enough()) return true;
    const StreamGroup& group = *group_->second;
    switch (next_) {
      case Next::kPending: WritePending(group); break;
      case Next::kConsumer: WriteConsumer(group); break;
      case Next::kOwn: WriteOwn(); break;
      default: WriteGroupHead();
    }
  }
  return false;
}

void StreamTailSaver::WriteState() {
  writer_.Length(stream_.Length());
  WriteId(stream_.last_id(), &writer_);
  if (HasOffsets(type_)) {
    WriteId(stream_.first_id(), &writer_);
    WriteId(stream_.max_deleted_id(), &writer_);
    writer_.Length(stream_.entries_added());
  }
  writer_.Length(stream_.groups().size());
  group_ = stream_.groups().begin();
  next_ = Next::kGroup;
}

void StreamTailSaver::WriteGroupHead() {
  const StreamGroup& group = *group_->second;
  writer_.String(group_->first);
  WriteId(group.last_id, &writer_);
  if (HasOffsets(type_)) writer_.Length(static_cast<uint64_t>(group.entries_read));
  writer_.Length(group.pending().size());
  pending_ = group.pending().First();
  next_ = Next::kPending;
}

void StreamTailSaver::WritePending(const StreamGroup& group) {
  const StreamGroup::Pending& pending = group.pending();
  if (pending_ == pending.End()) {
    writer_.Length(group.consumers().size());
    consumer_ = group.consumers().begin();
    next_ = Next::kConsumer;
    return;
  }
  const auto& item = pending.At(pending_);
  writer_.Bytes(RawId(item.key).view());
  writer_.Int64(item.value.delivered_ms);
  writer_.Length(item.value.deliveries);
  pending_ = pending.Next(pending_);
}

void StreamTailSaver::WriteConsumer(const StreamGroup& group) {
  if (consumer_ == group.consumers().end()) {
    ++group_;
    next_ = Next::kGroup;
    return;
  }
  const StreamConsumer& consumer = *consumer_->second;
  writer_.String(consumer_->first);
  writer_.Int64(consumer.seen_ms);
  if (HasActiveTime(type_)) writer_.Int64(consumer.active_ms);
  writer_.Length(consumer.pending.size());
  own_ = consumer.pending.First();
  next_ = Next::kOwn;
}

void StreamTailSaver::WriteOwn() {
  const auto& own = consumer_->second->pending;
  if (own_ == own.End()) {
    ++consumer_;
    next_ = Next::kConsumer;
    return;
  }
  writer_.Bytes(RawId(own.At(own_).key).view());
  own_ = own.Next(own_);
}

Result<RdbValue> RdbLoadStream(RdbType type, RdbReader* reader) {
  Stream stream;
  StreamId last_entry;
  ReadNodes(reader, &stream, &last_entry);
  const uint64_t length = reader->Length();
  const StreamId last_id = ReadId(reader);
  StreamId max_deleted_id;
  uint64_t entries_added = length;
  if (HasOffsets(type)) {
    ReadId(reader);  // of the first entry, which the entries tell
    max_deleted_id = ReadId(reader);
    entries_added = reader->Length();
  }
  CAIRN_RETURN_IF_ERROR(reader->status());
  if (last_id < last_entry) return Status::Corrupt("stream with an entry behind its last id");
  if (!stream.LoadState(length, last_id, stream.EdgeId(true), max_deleted_id, entries_added)) {
    return Status::Corrupt("stream length");
  }
  for (uint64_t groups = reader->Length(); groups > 0 && reader->ok(); --groups) {
    ReadGroup(type, reader, &stream);
  }
  if (HasProducers(type)) SkipProducers(reader);
  CAIRN_RETURN_IF_ERROR(reader->status());
  return RdbValue{std::move(stream)};
}

}  // namespace cairn
