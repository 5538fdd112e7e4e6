// SPDX-License-Identifier: BSD-3-Clause
//
// StringBlock: the memory of a large string: a head and the bytes behind it, shared by reference
// between the key, replies under way, snapshots.
//
// It is also what a request with a big argument is read into, so that the argument can become a
// value where it lies:
//
//   references u32 | offset u32 | size u64 | capacity u64 | *3 $3 SET $1 k $1048576 value CR LF
//                                                           `------ offset ------'`size'
//                                                           `-------- capacity --------------'
//
// The reader of requests holds one reference, to the end of the request, and Lend gives the value
// one more: until then arguments, and the bytes that go to the journal, are good whatever becomes
// of the key; afterwards the value is the only holder. A request that nobody takes anything of goes
// with its reader's reference.
//
//   1. Whoever holds the only reference may write; while there are more nobody changes the string,
//      and nobody but the reader writes outside of it.
//   2. A block is one string at most. Lend is for the reader, or for whom it gave its request to (a
//      transaction's queue): under the lock of the key's shard, which shows the string to others.
//   3. What a string keeps from being freed besides itself is an eighth of it at most.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace cairn {

struct StringBlock {
  // Shorter arguments are copied: they come with the rest of their request in one read.
  static constexpr size_t kLentBytesMin = 32 * 1024;

  std::atomic<uint32_t> references;
  uint32_t offset;    // of the string
  uint64_t size;      // of the string
  uint64_t capacity;  // behind the head

  // One reference, which is the caller's; the bytes are not initialised. `size` <= `capacity`.
  static StringBlock* New(size_t size, size_t capacity);
  void AddReference() { references.fetch_add(1, std::memory_order_relaxed); }
  bool shared() const { return references.load(std::memory_order_acquire) > 1; }
  void Release();  // frees with the last reference; any thread

  // All the bytes there are, and those of the string.
  char* begin() { return reinterpret_cast<char*>(this + 1); }
  char* data() { return begin() + offset; }
  std::string_view view() { return {data(), size}; }
  // Bytes from the string's first on.
  size_t room() const { return capacity - offset; }

  // Whether `bytes`, which point anywhere, lie in this block; whether they make up most of it, too.
  bool Holds(std::string_view bytes);
  bool IsMostly(std::string_view bytes);
  // Makes them the string. The block with a reference for the caller; nullptr, and nothing done,
  // if they are not fit for it or another string of the block is in use.
  StringBlock* Lend(std::string_view bytes);
};

struct ReleaseBlock {
  void operator()(StringBlock* block) const { block->Release(); }
};
using StringBlockRef = std::unique_ptr<StringBlock, ReleaseBlock>;

}  // namespace cairn
