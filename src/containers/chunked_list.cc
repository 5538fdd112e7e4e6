// SPDX-License-Identifier: BSD-3-Clause
//
// The directory, compression and iteration. Changes of elements are in chunked_list_edit.cc.
#include "containers/chunked_list.h"

#include "base/check.h"

namespace cairn {

ChunkedList::~ChunkedList() {
  for (Page& page : pages_)
    for (Slot& slot : page.slots) ListChunk::Free(slot.chunk);
}

std::unique_ptr<ChunkedList> ChunkedList::Clone() const {
  auto copy = std::make_unique<ChunkedList>();
  for (const Page& page : pages_)
    for (const Slot& slot : page.slots) copy->AppendChunk(ListChunk::Clone(slot.chunk));
  return copy;
}

// --- the directory ---

ChunkedList::Location ChunkedList::Locate(uint64_t index) const {
  DCHECK(index < length_);
  Location at;
  if (index <= length_ / 2) {
    at.place.page = 0;
    while (index >= pages_[at.place.page].elements) index -= pages_[at.place.page++].elements;
  } else {
    uint64_t behind = length_ - 1 - index;  // elements behind it
    at.place.page = pages_.size() - 1;
    while (behind >= pages_[at.place.page].elements) behind -= pages_[at.place.page--].elements;
    index = pages_[at.place.page].elements - 1 - behind;
  }
  const Page& page = pages_[at.place.page];
  if (index <= page.elements / 2) {
    at.place.slot = 0;
    while (index >= page.slots[at.place.slot].count) index -= page.slots[at.place.slot++].count;
  } else {
    uint64_t behind = page.elements - 1 - index;
    at.place.slot = page.slots.size() - 1;
    while (behind >= page.slots[at.place.slot].count) behind -= page.slots[at.place.slot--].count;
    index = page.slots[at.place.slot].count - 1 - behind;
  }
  at.offset = index;
  return at;
}

bool ChunkedList::Next(Place* place) const {
  if (place->slot + 1 < pages_[place->page].slots.size()) {
    ++place->slot;
    return true;
  }
  if (place->page + 1 == pages_.size()) return false;
  *place = {place->page + 1, 0};
  return true;
}

bool ChunkedList::Prev(Place* place) const {
  if (place->slot > 0) {
    --place->slot;
    return true;
  }
  if (place->page == 0) return false;
  *place = {place->page - 1, pages_[place->page - 1].slots.size() - 1};
  return true;
}

void ChunkedList::Recount(Place place) {
  Slot& slot = SlotAt(place);
  const uint64_t grown = slot.chunk->count - slot.count;  // wraps where it shrank
  slot.count += grown;
  pages_[place.page].elements += grown;
  length_ += grown;
}

void ChunkedList::SplitPage(Place* place) {
  Page& page = pages_[place->page];
  const size_t half = page.slots.size() / 2;
  Page right;
  right.slots.reserve(kPageSlots);
  right.slots.assign(page.slots.begin() + static_cast<ptrdiff_t>(half), page.slots.end());
  for (const Slot& slot : right.slots) right.elements += slot.count;
  page.elements -= right.elements;
  page.slots.resize(half);
  pages_.insert(pages_.begin() + static_cast<ptrdiff_t>(place->page) + 1, std::move(right));
  if (place->slot >= half) *place = {place->page + 1, place->slot - half};
}

void ChunkedList::InsertAfter(Place* place, ListChunk* chunk) {
  if (pages_[place->page].slots.size() == kPageSlots) {
    // A list that grows at its end fills its pages.
    if (*place == Last())
      pages_.emplace_back();
    else
      SplitPage(place);
  }
  const bool new_page = place->slot + 1 == kPageSlots;
  Page& page = pages_[new_page ? place->page + 1 : place->page];
  const size_t slot = new_page ? 0 : place->slot + 1;
  page.slots.insert(page.slots.begin() + static_cast<ptrdiff_t>(slot), Slot{chunk, chunk->count});
  page.elements += chunk->count;
  length_ += chunk->count;
  ++chunks_;
}

void ChunkedList::InsertFirst(ListChunk* chunk) {
  if (pages_.empty() || pages_.front().slots.size() == kPageSlots)
    pages_.insert(pages_.begin(), Page());
  Page& page = pages_.front();
  page.slots.insert(page.slots.begin(), Slot{chunk, chunk->count});
  page.elements += chunk->count;
  length_ += chunk->count;
  ++chunks_;
}

void ChunkedList::AppendChunk(ListChunk* chunk) {
  DCHECK(chunk->count > 0);
  if (chunks_ == 0) return InsertFirst(chunk);
  Place last = Last();
  InsertAfter(&last, chunk);
}

bool ChunkedList::DropSlot(Place* place) {
  Page& page = pages_[place->page];
  const uint64_t count = page.slots[place->slot].count;
  page.slots.erase(page.slots.begin() + static_cast<ptrdiff_t>(place->slot));
  page.elements -= count;
  length_ -= count;
  --chunks_;
  if (page.slots.empty()) {
    pages_.erase(pages_.begin() + static_cast<ptrdiff_t>(place->page));
    place->slot = 0;
  } else if (place->slot == page.slots.size()) {
    *place = {place->page + 1, 0};
  }
  return place->page < pages_.size();
}

bool ChunkedList::RemoveChunk(Place* place) {
  ListChunk::Free(SlotAt(*place).chunk);
  return DropSlot(place);
}

ListChunk* ChunkedList::ReleaseOnly() {
  MakeRaw({});
  ListChunk* chunk = Only();
  Place place;
  DropSlot(&place);
  return chunk;
}

// --- compression ---

void ChunkedList::MakeRaw(Place place) {
  ListChunk*& chunk = SlotAt(place).chunk;
  if (!chunk->compressed()) return;
  ListChunk* raw = ListChunk::Decompress(chunk);
  ListChunk::Free(chunk);
  chunk = raw;
}

bool ChunkedList::IsInterior(Place place, size_t depth) const {
  size_t before = place.slot;
  for (size_t page = place.page; page > 0 && before < depth; --page)
    before += pages_[page - 1].slots.size();
  size_t behind = pages_[place.page].slots.size() - 1 - place.slot;
  for (size_t page = place.page + 1; page < pages_.size() && behind < depth; ++page)
    behind += pages_[page].slots.size();
  return before >= depth && behind >= depth;
}

void ChunkedList::SettleAt(Place place, size_t depth) {
  if (depth == 0) return;
  if (!IsInterior(place, depth)) return MakeRaw(place);
  ListChunk*& chunk = SlotAt(place).chunk;
  if (chunk->compressed()) return;
  if (ListChunk* compressed = ListChunk::Compress(chunk)) {
    ListChunk::Free(chunk);
    chunk = compressed;
  }
}

void ChunkedList::SettleEnds(size_t depth) {
  if (depth == 0 || chunks_ == 0) return;
  Place place = First();
  for (size_t i = 0; i <= depth; ++i) {
    SettleAt(place, depth);
    if (!Next(&place)) break;
  }
  place = Last();
  for (size_t i = 0; i <= depth; ++i) {
    SettleAt(place, depth);
    if (!Prev(&place)) break;
  }
}

void ChunkedList::SettleAll(size_t depth) {
  if (depth == 0 || chunks_ == 0) return;
  Place place = First();
  do {
    SettleAt(place, depth);
  } while (Next(&place));
}

size_t ChunkedList::MemoryUsage(size_t samples) const {
  size_t bytes = sizeof *this + pages_.capacity() * sizeof(Page);
  size_t sampled = 0;
  size_t sampled_bytes = 0;
  for (const Page& page : pages_) {
    bytes += page.slots.capacity() * sizeof(Slot);
    for (const Slot& slot : page.slots) {
      if (samples != 0 && sampled == samples) break;
      sampled_bytes += slot.chunk->BlockBytes();
      ++sampled;
    }
  }
  return sampled == 0 ? bytes : bytes + sampled_bytes / sampled * chunks_;
}

void ChunkedList::CheckInvariants() const {
  uint64_t total = 0;
  size_t chunks = 0;
  for (const Page& page : pages_) {
    CHECK(!page.slots.empty() && page.slots.size() <= kPageSlots);
    uint64_t in_page = 0;
    for (const Slot& slot : page.slots) {
      slot.chunk->CheckInvariants();
      CHECK(slot.count == slot.chunk->count);
      in_page += slot.count;
    }
    CHECK(in_page == page.elements);
    total += in_page;
    chunks += page.slots.size();
  }
  CHECK(total == length_ && chunks == chunks_);
}

// --- ListIterator ---

ListIterator::ListIterator(const ListChunk* only, uint64_t index) {
  if (only == nullptr || index >= only->count) return;
  Enter(only);
  pos_ = only->Seek(index);
}

ListIterator::ListIterator(const ChunkedList* list, uint64_t index) : list_(list) {
  if (index >= list->length()) return;
  const ChunkedList::Location at = list->Locate(index);
  place_ = at.place;
  Enter(list->At(place_));
  if (plain_) return;
  if (!chunk_->compressed()) {
    pos_ = chunk_->Seek(at.offset);
  } else {
    pos_ = view_.Seek(static_cast<int64_t>(at.offset));
  }
}

void ListIterator::Enter(const ListChunk* chunk) {
  chunk_ = chunk;
  plain_ = chunk->holds_plain();
  const uint8_t* bytes = chunk->data() + chunk->begin;
  if (chunk->compressed()) {
    scratch_ = std::make_unique_for_overwrite<uint8_t[]>(chunk->RawBytes());
    chunk->DecompressInto(scratch_.get());
    bytes = scratch_.get();
  }
  view_ = ListpackView(bytes);
}

void ListIterator::Step(bool forward) {
  const bool more = list_ != nullptr && (forward ? list_->Next(&place_) : list_->Prev(&place_));
  if (!more) {
    chunk_ = nullptr;
    return;
  }
  Enter(list_->At(place_));
  if (!plain_) pos_ = forward ? view_.First() : view_.Last();
}

}  // namespace cairn
