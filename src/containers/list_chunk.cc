// SPDX-License-Identifier: BSD-3-Clause
#include "containers/list_chunk.h"

#include <lz4.h>
#include <stdlib.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"

namespace cairn {
namespace {

constexpr size_t kHeader = ListpackView::kHeaderBytes;
// Blocks below this grow by one allocator class at a time, so that small lists stay tight.
constexpr size_t kDoublingFrom = 1024;
constexpr size_t kShrinkFrom = 512;
// What Redis uses: smaller nodes are left alone, and so are those that hardly shrink.
constexpr size_t kCompressChunkMin = 48;
constexpr size_t kCompressGainMin = 8;
constexpr size_t kRawSizeBytes = 4;

// The allocator's classes: steps of 16 up to 128, then four to a doubling.
size_t SizeClass(size_t bytes) {
  if (bytes <= 128) return (bytes + 15) & ~size_t{15};
  const size_t step = size_t{1} << (std::bit_width(bytes - 1) - 3);
  return (bytes + step - 1) & ~(step - 1);
}

ListChunk* Allocate(size_t block_bytes, ListChunk::Kind kind) {
  CHECK(block_bytes - sizeof(ListChunk) <= UINT32_MAX);
  auto* chunk = static_cast<ListChunk*>(malloc(block_bytes));
  CHECK(chunk != nullptr);
  chunk->capacity = static_cast<uint32_t>(block_bytes - sizeof(ListChunk));
  chunk->begin = chunk->end = 0;
  chunk->count = 0;
  chunk->kind = kind;
  return chunk;
}

void WriteHeader(ListChunk* chunk) {
  uint8_t* p = chunk->data() + chunk->begin;
  StoreLe(p, static_cast<uint32_t>(chunk->Bytes()));
  StoreLe(p + 4, static_cast<uint16_t>(std::min<uint32_t>(chunk->count, 65535)));
}

// Puts the listpack into a block of `block_bytes` so that it begins at `begin`.
void Move(ListChunk** chunk, size_t block_bytes, size_t begin) {
  ListChunk* old = *chunk;
  ListChunk* moved = Allocate(block_bytes, ListChunk::kPacked);
  memcpy(moved->data() + begin, old->data() + old->begin, old->Bytes());
  moved->begin = static_cast<uint32_t>(begin);
  moved->end = static_cast<uint32_t>(begin + old->Bytes());
  moved->count = old->count;
  free(old);
  *chunk = moved;
}

// Makes `bytes` of room on one side. Where enough is free in the block, the listpack slides and
// what is left is shared by both sides, so that k pushes cost O(log k) slides; else it grows.
void MakeRoom(ListChunk** chunk, size_t bytes, ListEnd end, size_t block_limit) {
  ListChunk* c = *chunk;
  const size_t used = c->Bytes();
  const size_t slack = c->capacity - used;
  if (slack >= bytes && (slack >= used / 8 || c->BlockBytes() >= block_limit)) {
    const size_t begin = (slack - bytes) / 2 + (end == ListEnd::kFront ? bytes : 0);
    memmove(c->data() + begin, c->data() + c->begin, used);
    c->begin = static_cast<uint32_t>(begin);
    c->end = static_cast<uint32_t>(begin + used);
    return;
  }
  const size_t need = SizeClass(sizeof(ListChunk) + used + bytes);
  size_t block = need;
  if (need >= kDoublingFrom) block = std::max(need, std::min(2 * c->BlockBytes(), block_limit));
  const size_t room = block - sizeof(ListChunk) - used;
  Move(chunk, block, end == ListEnd::kFront ? room : 0);
}

void ShrinkIfSparse(ListChunk** chunk) {
  ListChunk* c = *chunk;
  if (c->BlockBytes() < kShrinkFrom || c->Bytes() * 4 > c->capacity) return;
  const size_t block = SizeClass(sizeof(ListChunk) + 2 * c->Bytes());
  Move(chunk, block, (block - sizeof(ListChunk) - c->Bytes()) / 2);
}

}  // namespace

ListChunk* ListChunk::NewPacked(size_t block_bytes, ListEnd end) {
  const size_t least = sizeof(ListChunk) + ListpackView::kEmptyBytes;
  ListChunk* chunk = Allocate(SizeClass(std::max(block_bytes, least)), kPacked);
  chunk->begin = end == ListEnd::kFront
                     ? chunk->capacity - static_cast<uint32_t>(ListpackView::kEmptyBytes)
                     : 0;
  chunk->end = chunk->begin + static_cast<uint32_t>(ListpackView::kEmptyBytes);
  WriteHeader(chunk);
  chunk->data()[chunk->end - 1] = ListpackView::kEnd;
  return chunk;
}

ListChunk* ListChunk::NewPlain(std::string_view element) {
  ListChunk* chunk = Allocate(sizeof(ListChunk) + element.size(), kPlain);
  if (!element.empty()) memcpy(chunk->data(), element.data(), element.size());
  chunk->end = static_cast<uint32_t>(element.size());
  chunk->count = 1;
  return chunk;
}

ListChunk* ListChunk::FromListpack(std::string_view valid_bytes) {
  ListChunk* chunk = Allocate(SizeClass(sizeof(ListChunk) + valid_bytes.size()), kPacked);
  memcpy(chunk->data(), valid_bytes.data(), valid_bytes.size());
  chunk->end = static_cast<uint32_t>(valid_bytes.size());
  chunk->count = static_cast<uint32_t>(chunk->view().Length());
  WriteHeader(chunk);  // a count of 65535 may have been "unknown"
  return chunk;
}

ListChunk* ListChunk::Clone(const ListChunk* chunk) {
  ListChunk* copy = Allocate(SizeClass(sizeof(ListChunk) + chunk->Bytes()),
                             static_cast<Kind>(chunk->kind));
  memcpy(copy->data(), chunk->data() + chunk->begin, chunk->Bytes());
  copy->end = static_cast<uint32_t>(chunk->Bytes());
  copy->count = chunk->count;
  return copy;
}

void ListChunk::Free(ListChunk* chunk) {
  free(chunk);
}

void ListChunk::Insert(ListChunk** chunk, Pos pos, const ListpackEntry& entry,
                       size_t block_limit) {
  const size_t bytes = entry.StoredBytes();
  ListChunk* c = *chunk;
  DCHECK(c->packed());
  const size_t before = pos - kHeader;          // bytes of entries in front
  const size_t behind = c->Bytes() - 1 - pos;   // and behind
  ListEnd end = before < behind || (before == behind && c->begin >= bytes) ? ListEnd::kFront
                                                                           : ListEnd::kBack;
  const auto has_room = [&](ListEnd side) {
    return (side == ListEnd::kFront ? c->begin : c->capacity - c->end) >= bytes;
  };
  if (!has_room(end)) {
    // In the middle the other side's room will do; at an end making room there comes cheaper.
    const ListEnd other = end == ListEnd::kFront ? ListEnd::kBack : ListEnd::kFront;
    if (before != 0 && behind != 0 && has_room(other)) {
      end = other;
    } else {
      MakeRoom(chunk, bytes, end, block_limit);
      c = *chunk;
    }
  }
  uint8_t* at;
  if (end == ListEnd::kFront) {
    c->begin -= static_cast<uint32_t>(bytes);
    uint8_t* first = c->data() + c->begin + kHeader;
    if (before != 0) memmove(first, first + bytes, before);
    at = first + before;
  } else {
    at = c->data() + c->begin + pos;
    memmove(at + bytes, at, behind + 1);
    c->end += static_cast<uint32_t>(bytes);
  }
  entry.Write(at);
  c->count = c->count + 1;
  WriteHeader(c);
}

void ListChunk::Erase(ListChunk** chunk, Pos from, Pos to, size_t elements) {
  ListChunk* c = *chunk;
  DCHECK(c->packed());
  uint8_t* listpack = c->data() + c->begin;
  const size_t before = from - kHeader;
  const size_t behind = c->Bytes() - to;  // with the end mark
  const size_t bytes = to - from;
  if (before < behind) {
    if (before != 0) memmove(listpack + kHeader + bytes, listpack + kHeader, before);
    c->begin += static_cast<uint32_t>(bytes);
  } else {
    memmove(listpack + from, listpack + to, behind);
    c->end -= static_cast<uint32_t>(bytes);
  }
  c->count = static_cast<uint32_t>(c->count - elements);
  WriteHeader(c);
  ShrinkIfSparse(chunk);
}

void ListChunk::EraseEach(ListChunk** chunk, const std::vector<uint32_t>& at) {
  ListChunk* c = *chunk;
  uint8_t* listpack = c->data() + c->begin;
  const ListpackView view(listpack);
  size_t to = at.empty() ? c->Bytes() : at[0];
  for (size_t i = 0; i < at.size(); ++i) {
    // The bytes up to the next victim (or the end) close the gap.
    const Pos next = view.Next(at[i]);
    const size_t from = next == ListpackView::kNone ? c->Bytes() - 1 : next;
    const size_t until = i + 1 < at.size() ? at[i + 1] : c->Bytes();
    memmove(listpack + to, listpack + from, until - from);
    to += until - from;
  }
  c->end = static_cast<uint32_t>(c->begin + to);
  c->count = static_cast<uint32_t>(c->count - at.size());
  WriteHeader(c);
  ShrinkIfSparse(chunk);
}

ListChunk* ListChunk::SplitAt(ListChunk** chunk, Pos pos, size_t before) {
  ListChunk* c = *chunk;
  const size_t body = c->Bytes() - pos;  // with the end mark
  ListChunk* tail = Allocate(SizeClass(sizeof(ListChunk) + kHeader + body), kPacked);
  memcpy(tail->data() + kHeader, c->data() + c->begin + pos, body);
  tail->end = static_cast<uint32_t>(kHeader + body);
  tail->count = static_cast<uint32_t>(c->count - before);
  WriteHeader(tail);
  c->end = static_cast<uint32_t>(c->begin + pos + 1);
  c->data()[c->end - 1] = ListpackView::kEnd;
  c->count = static_cast<uint32_t>(before);
  WriteHeader(c);
  ShrinkIfSparse(chunk);
  return tail;
}

void ListChunk::Append(ListChunk** chunk, const ListChunk* other) {
  const size_t body = other->Bytes() - ListpackView::kEmptyBytes;
  if ((*chunk)->capacity - (*chunk)->end < body)
    Move(chunk, SizeClass(sizeof(ListChunk) + (*chunk)->Bytes() + body), 0);
  ListChunk* c = *chunk;
  memcpy(c->data() + c->end - 1, other->data() + other->begin + kHeader, body + 1);
  c->end += static_cast<uint32_t>(body);
  c->count = c->count + other->count;
  WriteHeader(c);
}

void ListChunk::ShrinkToFit(ListChunk** chunk) {
  const size_t block = SizeClass(sizeof(ListChunk) + (*chunk)->Bytes());
  if ((*chunk)->packed() && block < (*chunk)->BlockBytes()) Move(chunk, block, 0);
}

ListChunk::Pos ListChunk::Seek(size_t index) const {
  DCHECK(index < count);
  const ListpackView listpack = view();
  if (index <= count / 2) {
    Pos pos = kHeader;
    for (; index > 0; --index) pos = listpack.Next(pos);
    return pos;
  }
  Pos pos = listpack.Last();
  for (size_t left = count - 1 - index; left > 0; --left) pos = listpack.Prev(pos);
  return pos;
}

ListChunk* ListChunk::Compress(const ListChunk* chunk) {
  const size_t raw = chunk->Bytes();
  if (raw < kCompressChunkMin || raw > size_t{LZ4_MAX_INPUT_SIZE}) return nullptr;
  const size_t most = raw - kCompressGainMin;
  ListChunk* packed = Allocate(sizeof(ListChunk) + most,
                               chunk->holds_plain() ? kPlainLz4 : kPackedLz4);
  const int size = LZ4_compress_default(
      reinterpret_cast<const char*>(chunk->data() + chunk->begin),
      reinterpret_cast<char*>(packed->data() + kRawSizeBytes), static_cast<int>(raw),
      static_cast<int>(most - kRawSizeBytes));
  if (size <= 0) {
    free(packed);
    return nullptr;
  }
  StoreLe(packed->data(), static_cast<uint32_t>(raw));
  packed->end = static_cast<uint32_t>(kRawSizeBytes + static_cast<size_t>(size));
  packed->count = chunk->count;
  ListChunk* fitted = Clone(packed);
  free(packed);
  return fitted;
}

size_t ListChunk::RawBytes() const {
  return compressed() ? LoadLe<uint32_t>(data()) : Bytes();
}

void ListChunk::DecompressInto(uint8_t* buffer) const {
  const size_t raw = RawBytes();
  const int size = LZ4_decompress_safe(reinterpret_cast<const char*>(data() + kRawSizeBytes),
                                       reinterpret_cast<char*>(buffer),
                                       static_cast<int>(end - kRawSizeBytes),
                                       static_cast<int>(raw));
  CHECK(size >= 0 && static_cast<size_t>(size) == raw);
}

ListChunk* ListChunk::Decompress(const ListChunk* chunk) {
  const size_t raw = chunk->RawBytes();
  ListChunk* plain = Allocate(SizeClass(sizeof(ListChunk) + raw),
                              chunk->holds_plain() ? kPlain : kPacked);
  chunk->DecompressInto(plain->data());
  plain->end = static_cast<uint32_t>(raw);
  plain->count = chunk->count;
  return plain;
}

void ListChunk::CheckInvariants() const {
  CHECK(begin <= end && end <= capacity && count > 0);
  if (kind == kPlain) CHECK(count == 1);
  if (kind != kPacked) return;
  CHECK(ListpackView::Validate(raw()));
  size_t elements = 0;
  view().ForEach([&](const ListpackValue&) { return ++elements, true; });
  CHECK(elements == count);
}

}  // namespace cairn
