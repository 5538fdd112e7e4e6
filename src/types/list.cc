// SPDX-License-Identifier: BSD-3-Clause
#include "types/list.h"

#include "base/check.h"

namespace cairn {
namespace {

// With a limit in elements, a chunk still holds no more than this.
constexpr size_t kChunkBytesSafe = 8192;

ListLimits LimitsOf(const Thresholds& thresholds) {
  constexpr size_t kClassBytes[] = {4096, 8192, 16384, 32768, 65536};
  const int64_t size = thresholds.list_max_listpack_size;
  ListLimits limits;
  if (size >= 0) {
    limits.bytes = kChunkBytesSafe;
    limits.elements = size == 0 ? 1 : static_cast<size_t>(size);
  } else {
    limits.bytes = kClassBytes[std::min<int64_t>(-size, 5) - 1];
    limits.elements = UINT32_MAX;
  }
  const int64_t packed_below = thresholds.quicklist_packed_threshold;
  limits.plain_from = packed_below > 0 ? static_cast<size_t>(packed_below) : limits.bytes + 1;
  limits.depth = static_cast<size_t>(std::max<int64_t>(thresholds.list_compress_depth, 0));
  return limits;
}

}  // namespace

void List::Free() {
  if (chunked())
    delete many();
  else if (rep_ != 0)
    ListChunk::Free(one());
  rep_ = 0;
}

int64_t List::Normalize(int64_t index) const {
  const int64_t length = static_cast<int64_t>(Length());
  if (index < 0) index += length;
  return index >= 0 && index < length ? index : -1;
}

// --- conversions ---

void List::MakeChunked() {
  if (chunked()) return;
  auto list = std::make_unique<ChunkedList>();
  if (rep_ != 0) {
    if (one()->count > 0)
      list->AppendChunk(one());
    else
      ListChunk::Free(one());
  }
  SetMany(list.release());
}

void List::GrowIfNeeded(size_t bytes, size_t elements, const ListLimits& limits) {
  if (chunked()) return;
  const size_t now = rep_ != 0 ? one()->Bytes() : size_t{ListpackView::kEmptyBytes};
  if (now + bytes > limits.bytes || Length() + elements > limits.elements) MakeChunked();
}

void List::ShrinkIfPossible(const ListLimits& limits, bool halve) {
  if (!chunked()) return;
  const ListChunk* only = many()->Only();
  if (only == nullptr || only->holds_plain()) return;
  const size_t part = halve ? 2 : 1;
  if (only->RawBytes() > limits.bytes / part || only->count > limits.elements / part) return;
  ChunkedList* list = many();
  SetOne(list->ReleaseOnly());
  delete list;
}

// --- changes ---

void List::Push(ListEnd end, std::span<const std::string_view> elements,
                const Thresholds& thresholds) {
  const ListLimits limits = LimitsOf(thresholds);
  size_t bytes = 0;
  for (const std::string_view element : elements) bytes += element.size();
  GrowIfNeeded(bytes, elements.size(), limits);
  if (chunked()) {
    for (const std::string_view element : elements) many()->Push(end, element, limits);
    return;
  }
  ListChunk* chunk = rep_ != 0 ? one() : nullptr;
  for (const std::string_view element : elements) {
    const ListpackEntry entry(element);
    if (chunk == nullptr)
      chunk = ListChunk::NewPacked(
          sizeof(ListChunk) + ListpackView::kEmptyBytes + entry.StoredBytes(), end);
    ListChunk::Push(&chunk, end, entry, limits.bytes);
  }
  SetOne(chunk);
}

bool List::Pop(ListEnd end, std::string* element, const Thresholds& thresholds) {
  if (chunked() && many()->PopWithin(end, element)) {
    ShrinkIfPossible(LimitsOf(thresholds), true);
    return true;
  }
  return PopEach(end, 1, thresholds, [&](std::string_view text) { element->assign(text); }) == 1;
}

void List::InsertAt(uint64_t index, std::string_view element, const ListLimits& limits) {
  if (chunked()) return many()->Insert(index, element, limits);
  ListChunk* chunk = one();
  const ListChunk::Pos pos = index < chunk->count ? chunk->Seek(index) : chunk->Bytes() - 1;
  ListChunk::Insert(&chunk, pos, ListpackEntry(element), limits.bytes);
  SetOne(chunk);
}

void List::EraseWithin(uint64_t index, uint64_t count, const ListLimits& limits) {
  if (chunked()) return many()->Erase(index, count, limits);
  ListChunk* chunk = one();
  const ListpackView view = chunk->view();
  const ListChunk::Pos from = chunk->Seek(index);
  ListChunk::Pos to;
  if (index + count == chunk->count)
    to = chunk->Bytes() - 1;
  else
    to = count == 1 ? view.Next(from) : chunk->Seek(index + count);
  ListChunk::Erase(&chunk, from, to, count);
  SetOne(chunk);
}

void List::Erase(uint64_t index, uint64_t count, const Thresholds& thresholds) {
  CHECK(index + count <= Length());
  if (count == 0) return;
  const ListLimits limits = LimitsOf(thresholds);
  EraseWithin(index, count, limits);
  ShrinkIfPossible(limits, true);
}

bool List::Set(int64_t index, std::string_view element, const Thresholds& thresholds) {
  const ListLimits limits = LimitsOf(thresholds);
  GrowIfNeeded(element.size(), 1, limits);
  const int64_t at = Normalize(index);
  const bool found = at >= 0;
  if (found && chunked()) {
    many()->Set(static_cast<uint64_t>(at), element, limits);
  } else if (found) {
    EraseWithin(static_cast<uint64_t>(at), 1, limits);
    InsertAt(static_cast<uint64_t>(at), element, limits);
  }
  ShrinkIfPossible(limits, true);
  return found;
}

bool List::Insert(bool before, std::string_view pivot, std::string_view element,
                  const Thresholds& thresholds) {
  const ListLimits limits = LimitsOf(thresholds);
  GrowIfNeeded(element.size(), 1, limits);
  const ListMatcher matches(pivot);
  uint64_t index = 0;
  ListIterator it = From(0);
  for (; it.Valid() && !matches(it.Get()); it.Next()) ++index;
  if (!it.Valid()) return false;
  InsertAt(before ? index : index + 1, element, limits);
  return true;
}

uint64_t List::Remove(int64_t count, std::string_view element, const Thresholds& thresholds) {
  const ListLimits limits = LimitsOf(thresholds);
  const ListEnd end = count < 0 ? ListEnd::kBack : ListEnd::kFront;
  uint64_t most = count < 0 ? uint64_t{0} - static_cast<uint64_t>(count)
                            : static_cast<uint64_t>(count);
  if (most == 0) most = UINT64_MAX;
  // A listpack is treated as a list of one chunk for the time of the call.
  const bool was_chunked = chunked();
  MakeChunked();
  const uint64_t removed = many()->Remove(element, most, end, limits);
  if (!was_chunked) {
    ChunkedList* list = many();
    rep_ = 0;
    if (list->chunks() > 0) SetOne(list->ReleaseOnly());
    delete list;
  } else if (removed > 0) {
    ShrinkIfPossible(limits, true);
  }
  return removed;
}

uint64_t List::Trim(int64_t start, int64_t stop, const Thresholds& thresholds) {
  uint64_t first;
  const uint64_t length = Length();
  const uint64_t keep = CountInRange(start, stop, &first);
  const ListLimits limits = LimitsOf(thresholds);
  if (keep == 0) {
    Free();
    return length;
  }
  const uint64_t behind = length - first - keep;
  if (behind > 0) EraseWithin(first + keep, behind, limits);
  if (first > 0) EraseWithin(0, first, limits);
  ShrinkIfPossible(limits, true);
  return length - keep;
}

// --- reading ---

ListIterator List::From(int64_t index) const {
  index = Normalize(index);
  if (index < 0) return {};
  if (chunked()) return ListIterator(many(), static_cast<uint64_t>(index));
  return ListIterator(one(), static_cast<uint64_t>(index));
}

uint64_t List::CountInRange(int64_t start, int64_t stop, uint64_t* first) const {
  const int64_t length = static_cast<int64_t>(Length());
  if (start < 0) start = std::max<int64_t>(start + length, 0);
  if (stop < 0) stop += length;
  stop = std::min(stop, length - 1);
  *first = static_cast<uint64_t>(start);
  return start > stop ? 0 : static_cast<uint64_t>(stop - start) + 1;
}

// --- saving and loading ---

const ListChunk* List::ChunkReader::NextChunk() {
  if (!list_.chunked()) return started_ || list_.Length() == 0 ? nullptr : list_.one();
  const ChunkedList* list = list_.many();
  if (list->chunks() == 0 || (started_ && !list->Next(&place_))) return nullptr;
  return list->At(place_);
}

bool List::ChunkReader::Next(std::string_view* bytes, bool* plain) {
  const ListChunk* chunk = NextChunk();
  started_ = true;
  if (chunk == nullptr) return false;
  *plain = chunk->holds_plain();
  if (!chunk->compressed()) {
    *bytes = chunk->raw();
    return true;
  }
  const size_t size = chunk->RawBytes();
  scratch_ = std::make_unique_for_overwrite<uint8_t[]>(size);
  chunk->DecompressInto(scratch_.get());
  *bytes = {reinterpret_cast<const char*>(scratch_.get()), size};
  return true;
}

size_t List::ChunkCount() const {
  if (chunked()) return many()->chunks();
  return Length() > 0 ? 1 : 0;
}

void List::AppendListpack(std::string_view valid_listpack) {
  MakeChunked();
  if (ListpackView(valid_listpack.data()).empty()) return;
  many()->AppendChunk(ListChunk::FromListpack(valid_listpack));
}

void List::AppendPlain(std::string_view element) {
  MakeChunked();
  many()->AppendChunk(ListChunk::NewPlain(element));
}

void List::FinishLoad(const Thresholds& thresholds) {
  const ListLimits limits = LimitsOf(thresholds);
  if (chunked()) many()->SettleAll(limits.depth);
  ShrinkIfPossible(limits, false);
}

// --- the keyspace's questions ---

size_t List::MemoryUsage(size_t samples) const {
  if (chunked()) return many()->MemoryUsage(samples);
  return rep_ != 0 ? one()->BlockBytes() : 0;
}

List List::Clone() const {
  List copy;
  if (chunked())
    copy.SetMany(many()->Clone().release());
  else if (rep_ != 0)
    copy.SetOne(ListChunk::Clone(one()));
  return copy;
}

void List::CheckInvariants() const {
  if (chunked()) return many()->CheckInvariants();
  if (rep_ == 0) return;
  CHECK(one()->packed());
  if (one()->count > 0) one()->CheckInvariants();
}

}  // namespace cairn
