// SPDX-License-Identifier: BSD-3-Clause
#include "base/output_buffer.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

namespace cairn {

namespace {

// Behind a borrowed block usually come a line end and the next header only.
constexpr size_t kSmallChunkBytes = 512;
constexpr size_t kFirstChunkBytes = 1024;
// Splice copies up to this much instead of relinking.
constexpr size_t kSpliceCopyBytes = 4096;

void* Allocate(size_t bytes) {
  void* block = malloc(bytes);
  CHECK(block != nullptr);
  return block;
}

}  // namespace

ChunkPool::~ChunkPool() {
  while (free_ != nullptr) free(std::exchange(free_, free_->next));
}

void* ChunkPool::Take() {
  if (free_ == nullptr) return Allocate(kChunkBytes);
  count_--;
  return std::exchange(free_, free_->next);
}

void ChunkPool::Give(void* block) {
  if (count_ >= kFreeChunksMax) return free(block);
  free_ = new (block) Free{free_};
  count_++;
}

// Lies at the front of its own block; the bytes follow. A borrowed chunk is this header alone.
struct OutputBuffer::Chunk {
  Chunk* next;
  char* data;
  size_t begin;        // bytes before this were consumed
  size_t end;          // bytes before this are written; of the tail as of the last Settle
  size_t block_bytes;  // of the allocation, this header included
  Release release;     // not null: borrowed
  void* owner;
};

// Brings the tail chunk and settled_ up to date with what was written through write_.
void OutputBuffer::Settle() {
  if (write_ == counted_) return;
  size_t fresh = static_cast<size_t>(write_ - counted_);
  tail_->end += fresh;
  settled_ += fresh;
  counted_ = write_;
}

void OutputBuffer::Link(Chunk* chunk) {
  chunk->next = nullptr;
  (tail_ == nullptr ? head_ : tail_->next) = chunk;
  tail_ = chunk;
  memory_bytes_ += chunk->block_bytes;
}

void OutputBuffer::Free(Chunk* chunk) {
  memory_bytes_ -= chunk->block_bytes;
  if (chunk->release != nullptr) chunk->release(chunk->owner);
  if (chunk->block_bytes == ChunkPool::kChunkBytes && pool_ != nullptr) {
    pool_->Give(chunk);
  } else {
    free(chunk);
  }
}

// `block` is malloc's or the pool's, of this many bytes.
void OutputBuffer::StartChunk(void* block, size_t bytes) {
  char* data = static_cast<char*>(block) + sizeof(Chunk);
  Link(new (block) Chunk{nullptr, data, 0, 0, bytes, nullptr, nullptr});
  write_ = counted_ = data;
  limit_ = static_cast<char*>(block) + bytes;
}

void OutputBuffer::StartSmall() {
  if (head_ != nullptr) return;
  StartChunk(Allocate(kFirstChunkBytes), kFirstChunkBytes);
}

char* OutputBuffer::ReserveSlow(size_t n) {
  Settle();
  size_t bytes = n + sizeof(Chunk);
  void* block;
  if (bytes > ChunkPool::kChunkBytes) {
    block = Allocate(bytes);
  } else if (bytes <= kSmallChunkBytes && tail_ != nullptr && tail_->release != nullptr) {
    block = Allocate(bytes = kSmallChunkBytes);
  } else {
    bytes = ChunkPool::kChunkBytes;
    block = pool_ != nullptr ? pool_->Take() : Allocate(bytes);
  }
  StartChunk(block, bytes);
  return write_;
}

void OutputBuffer::AppendSlow(std::string_view bytes) {
  size_t fits = static_cast<size_t>(limit_ - write_);
  if (fits > 0) {
    memcpy(write_, bytes.data(), fits);
    write_ += fits;
    bytes.remove_prefix(fits);
  }
  memcpy(ReserveSlow(bytes.size()), bytes.data(), bytes.size());
  write_ += bytes.size();
}

void OutputBuffer::AppendBorrowed(std::string_view block, Release release, void* owner) {
  DCHECK(release != nullptr);
  if (block.empty()) return release(owner);
  Settle();
  void* header = Allocate(sizeof(Chunk));
  Link(new (header) Chunk{nullptr, const_cast<char*>(block.data()), 0, block.size(), sizeof(Chunk),
                          release, owner});
  settled_ += block.size();
  write_ = limit_ = counted_ = nullptr;
}

void OutputBuffer::Splice(OutputBuffer* other) {
  DCHECK(other != this);
  other->Settle();
  Settle();
  // Marked once the bytes are here: a mark that holds no byte is none.
  const auto holds = std::exchange(other->holds_, nullptr);
  const uint64_t shift = end_position() - other->consumed_;
  if (other->settled_ <= kSpliceCopyBytes) {
    for (Chunk* c = other->head_; c != nullptr; c = c->next) {
      Append({c->data + c->begin, c->end - c->begin});
    }
    other->Clear();
  } else {
    TakeChunks(other);
  }
  if (holds == nullptr) return;
  for (const Hold& hold : *holds) MarkHold(hold.position + shift, hold.lsn);
}

// Both are settled, `other` is not empty.
void OutputBuffer::TakeChunks(OutputBuffer* other) {
  (tail_ == nullptr ? head_ : tail_->next) = other->head_;
  tail_ = other->tail_;
  write_ = counted_ = other->write_;
  limit_ = other->limit_;
  settled_ += other->settled_;
  memory_bytes_ += other->memory_bytes_;
  other->consumed_ += other->settled_;
  other->head_ = other->tail_ = nullptr;
  other->write_ = other->limit_ = other->counted_ = nullptr;
  other->settled_ = other->memory_bytes_ = 0;
}

void OutputBuffer::TruncateTo(uint64_t position) {
  DCHECK(position >= consumed_ && position <= end_position());
  Settle();
  size_t keep = static_cast<size_t>(position - consumed_);
  if (keep == settled_) return;
  if (keep == 0) {
    uint64_t consumed = consumed_;
    Clear();
    consumed_ = consumed;
    return;
  }
  while (has_holds() && holds_->back().position >= position) holds_->pop_back();
  settled_ = keep;
  Chunk* last = head_;
  while (last->end - last->begin < keep) {
    keep -= last->end - last->begin;
    last = last->next;
  }
  Chunk* rest = std::exchange(last->next, nullptr);
  while (rest != nullptr) Free(std::exchange(rest, rest->next));
  last->end = last->begin + keep;
  tail_ = last;
  write_ = limit_ = counted_ = nullptr;
  if (last->release == nullptr) {
    write_ = counted_ = last->data + last->end;
    limit_ = reinterpret_cast<char*>(last) + last->block_bytes;
  }
}

void OutputBuffer::Clear() {
  Settle();
  while (head_ != nullptr) Free(std::exchange(head_, head_->next));
  tail_ = nullptr;
  consumed_ += settled_;
  settled_ = 0;
  write_ = limit_ = counted_ = nullptr;
  holds_.reset();
}

OutputBuffer::Deferred OutputBuffer::StartDeferred() {
  Reserve(kDeferredBytes);
  Advance(kDeferredBytes);
  Settle();
  return {tail_, tail_->end - kDeferredBytes};
}

void OutputBuffer::FinishDeferred(Deferred gap, std::string_view header) {
  DCHECK(header.size() <= kDeferredBytes);
  Settle();
  Chunk* chunk = gap.chunk;
  char* at = chunk->data + gap.offset;
  size_t body = chunk->end - gap.offset - kDeferredBytes;
  size_t shift = kDeferredBytes - header.size();
  memcpy(at, header.data(), header.size());
  memmove(at + header.size(), at + kDeferredBytes, body);
  chunk->end -= shift;
  settled_ -= shift;
  if (chunk == tail_) write_ = counted_ = chunk->data + chunk->end;
}

void OutputBuffer::MarkHold(uint64_t from, uint64_t lsn) {
  DCHECK(from >= consumed_);
  if (from >= end_position()) return;  // no byte to hold
  if (holds_ == nullptr) holds_ = std::make_unique<std::deque<Hold>>();
  // Marks before `stronger` wait for at most `lsn`; of those, the ones at or behind `from` are
  // covered by the new mark. Nearly always this ends in a push_back or in nothing.
  auto stronger = holds_->end();
  while (stronger != holds_->begin() && std::prev(stronger)->lsn > lsn) --stronger;
  if (stronger != holds_->end() && stronger->position <= from) return;
  auto covered = stronger;
  while (covered != holds_->begin() && std::prev(covered)->position >= from) --covered;
  if (covered != holds_->begin() && std::prev(covered)->lsn == lsn) {
    holds_->erase(covered, stronger);
    return;
  }
  holds_->insert(holds_->erase(covered, stronger), Hold{from, lsn});
}

size_t OutputBuffer::SendableSlow(uint64_t durable) {
  while (!holds_->empty() && holds_->front().lsn <= durable) holds_->pop_front();
  return holds_->empty() ? size() : static_cast<size_t>(holds_->front().position - consumed_);
}

int OutputBuffer::Gather(struct iovec* vectors, int max, size_t limit) {
  Settle();
  int count = 0;
  for (Chunk* c = head_; c != nullptr && count < max && limit > 0; c = c->next) {
    size_t n = std::min(c->end - c->begin, limit);
    if (n == 0) continue;
    vectors[count++] = {c->data + c->begin, n};
    limit -= n;
  }
  return count;
}

void OutputBuffer::Consume(size_t n) {
  Settle();
  DCHECK(n <= settled_);
  settled_ -= n;
  consumed_ += n;
  while (head_ != nullptr) {
    size_t have = head_->end - head_->begin;
    if (n < have) {
      head_->begin += n;
      return;
    }
    n -= have;
    if (head_ == tail_) {
      tail_ = nullptr;
      write_ = limit_ = counted_ = nullptr;
    }
    Free(std::exchange(head_, head_->next));
  }
}

void OutputBuffer::CheckInvariants() const {
  size_t bytes = 0, memory = 0;
  const Chunk* last = nullptr;
  for (const Chunk* c = head_; c != nullptr; last = c, c = c->next) {
    CHECK(c->begin <= c->end);
    const char* limit = reinterpret_cast<const char*>(c) + c->block_bytes;
    CHECK(c->release != nullptr || c->data + c->end <= limit);
    bytes += c->end - c->begin;
    memory += c->block_bytes;
  }
  CHECK(last == tail_);
  CHECK(bytes == settled_);
  CHECK(memory == memory_bytes_);
  CHECK(counted_ <= write_ && write_ <= limit_);
  if (write_ != nullptr) CHECK(tail_ != nullptr && counted_ == tail_->data + tail_->end);
  if (!has_holds()) return;
  for (size_t i = 0; i < holds_->size(); i++) {
    const Hold& hold = (*holds_)[i];
    CHECK(hold.position >= consumed_ && hold.position <= end_position());
    if (i > 0) CHECK(hold.position > (*holds_)[i - 1].position && hold.lsn > (*holds_)[i - 1].lsn);
  }
}

}  // namespace cairn
