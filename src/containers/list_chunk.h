// SPDX-License-Identifier: BSD-3-Clause
//
// A chunk of a list: one malloc'ed block that holds a listpack with spare room before and behind
// it, so that pushing and popping at either end moves no bytes; or one large element as it is; or
// either of them compressed with LZ4.
//
//   | capacity begin end count+kind | room | header entry entry ... 0xff | room |
//                                          ^ begin                      ^ end (from data())
//
// 1. A packed chunk's bytes [begin, end) are at every moment a valid listpack, which RDB and DUMP
//    copy as they are.
// 2. `count` is exact, though a listpack's own header stops at 65535.
// 3. A compressed chunk holds u32 raw bytes, then an LZ4 block; begin is 0.
//
// Not thread-safe; const functions may run side by side. Functions that may move the block take
// a ListChunk**.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "containers/listpack.h"

namespace cairn {

enum class ListEnd : uint8_t { kFront, kBack };

struct ListChunk {
  enum Kind : uint32_t { kPacked = 0, kPlain = 1, kPackedLz4 = 2, kPlainLz4 = 3 };
  using Pos = ListpackView::Pos;

  uint32_t capacity;  // bytes behind this head
  uint32_t begin;
  uint32_t end;
  uint32_t count : 30;
  uint32_t kind : 2;

  uint8_t* data() { return reinterpret_cast<uint8_t*>(this + 1); }
  const uint8_t* data() const { return reinterpret_cast<const uint8_t*>(this + 1); }
  bool packed() const { return kind == kPacked; }
  bool compressed() const { return kind >= kPackedLz4; }
  bool holds_plain() const { return (kind & 1) != 0; }
  size_t Bytes() const { return end - begin; }  // as stored
  size_t BlockBytes() const { return sizeof(ListChunk) + capacity; }
  // The listpack of a packed chunk.
  ListpackView view() const { return ListpackView(data() + begin); }
  // The listpack or the element itself; not for compressed chunks.
  std::string_view raw() const {
    return {reinterpret_cast<const char*>(data() + begin), Bytes()};
  }

  // An empty listpack in a block of about `block_bytes`, with its room on the side of `end`.
  static ListChunk* NewPacked(size_t block_bytes, ListEnd end);
  static ListChunk* NewPlain(std::string_view element);
  // A copy of listpack bytes that passed ListpackView::Validate().
  static ListChunk* FromListpack(std::string_view valid_bytes);
  static ListChunk* Clone(const ListChunk* chunk);
  static void Free(ListChunk* chunk);

  // Of packed chunks. `pos` is a position in view(); the end mark's (Bytes() - 1) means behind
  // the last. The block grows as needed, by doubling up to `block_limit` while that suffices.
  static void Insert(ListChunk** chunk, Pos pos, const ListpackEntry& entry, size_t block_limit);
  static void Push(ListChunk** chunk, ListEnd end, const ListpackEntry& entry,
                   size_t block_limit) {
    Insert(chunk, end == ListEnd::kFront ? ListpackView::kHeaderBytes : (*chunk)->Bytes() - 1,
           entry, block_limit);
  }
  // Removes `elements` entries that fill the bytes [from, to) of view().
  static void Erase(ListChunk** chunk, Pos from, Pos to, size_t elements);
  // Removes the entries at the ascending positions `at`.
  static void EraseEach(ListChunk** chunk, const std::vector<uint32_t>& at);
  // Moves the elements at and behind `pos`, of which `before` stand in front, to a new chunk.
  static ListChunk* SplitAt(ListChunk** chunk, Pos pos, size_t before);
  // Appends all elements of `other`, which stays.
  static void Append(ListChunk** chunk, const ListChunk* other);
  // Returns slack to the allocator.
  static void ShrinkToFit(ListChunk** chunk);

  // Position of the index-th element (index < count) of a packed chunk; from the nearer end.
  Pos Seek(size_t index) const;

  // A compressed copy, or null where that would not pay.
  static ListChunk* Compress(const ListChunk* chunk);
  static ListChunk* Decompress(const ListChunk* chunk);
  // Bytes of the listpack or element once decompressed, and the decompression into `buffer`.
  size_t RawBytes() const;
  void DecompressInto(uint8_t* buffer) const;

  void CheckInvariants() const;
};

static_assert(sizeof(ListChunk) == 16);

}  // namespace cairn
