// SPDX-License-Identifier: BSD-3-Clause
#include "containers/chunked_list.h"

#include <algorithm>

#include "base/check.h"

namespace cairn {
namespace {

// What Redis adds for an entry's head and backlen, and our own block head.
constexpr size_t kEntryOverhead = 8;
constexpr size_t kBlockOverhead = sizeof(ListChunk);
constexpr size_t kFirstBlockBytes = 1024;
constexpr size_t kFewElements = 128;

ListChunk* NewChunk(ListEnd room, const ListpackEntry& entry, const ListLimits& limits) {
  size_t block = sizeof(ListChunk) + ListpackView::kEmptyBytes + entry.StoredBytes();
  if (limits.elements > kFewElements)
    block = std::max(block, std::min(limits.bytes, kFirstBlockBytes));
  ListChunk* chunk = ListChunk::NewPacked(block, room);
  ListChunk::Push(&chunk, room, entry, limits.bytes);
  return chunk;
}

bool ChunkFits(const ListChunk* chunk, size_t element_bytes, const ListLimits& limits) {
  if (chunk->holds_plain() || element_bytes >= limits.plain_from) return false;
  return chunk->RawBytes() + element_bytes + kEntryOverhead + kBlockOverhead <= limits.bytes &&
         chunk->count < limits.elements;
}

}  // namespace

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

// --- changes ---

bool ChunkedList::Fits(Place place, std::string_view element, const ListLimits& limits) const {
  return ChunkFits(At(place), element.size(), limits);
}

void ChunkedList::PushInto(Place place, ListEnd end, const ListpackEntry& entry,
                           const ListLimits& limits) {
  MakeRaw(place);
  Page& page = pages_[place.page];
  Slot& slot = page.slots[place.slot];
  ListChunk::Push(&slot.chunk, end, entry, limits.bytes);
  ++slot.count;
  ++page.elements;
  ++length_;
}

void ChunkedList::Push(ListEnd end, std::string_view element, const ListLimits& limits) {
  ListChunk* chunk;
  if (element.size() >= limits.plain_from) {
    chunk = ListChunk::NewPlain(element);
  } else {
    const ListpackEntry entry(element);
    if (chunks_ > 0) {
      const Place place = End(end);
      if (Fits(place, element, limits)) return PushInto(place, end, entry, limits);
      ListChunk*& full = SlotAt(place).chunk;
      if (full->capacity - full->Bytes() > full->Bytes() / 8) ListChunk::ShrinkToFit(&full);
    }
    chunk = NewChunk(end, entry, limits);
  }
  if (end == ListEnd::kFront)
    InsertFirst(chunk);
  else
    AppendChunk(chunk);
  SettleEnds(limits.depth);
}

void ChunkedList::Insert(uint64_t index, std::string_view element, const ListLimits& limits) {
  if (index == 0) return Push(ListEnd::kFront, element, limits);
  if (index == length_) return Push(ListEnd::kBack, element, limits);
  Location at = Locate(index);
  Place before = at.place;
  if (Fits(at.place, element, limits)) {
    MakeRaw(at.place);
    ListChunk*& chunk = SlotAt(at.place).chunk;
    ListChunk::Insert(&chunk, chunk->Seek(at.offset), ListpackEntry(element), limits.bytes);
    Recount(at.place);
    SettleAt(at.place, limits.depth);
  } else if (at.offset > 0) {
    InsertBySplitting(index, at, element, limits);
  } else if (Prev(&before) && Fits(before, element, limits)) {
    PushInto(before, ListEnd::kBack, ListpackEntry(element), limits);
    SettleAt(before, limits.depth);
  } else {
    InsertAfter(&before, element.size() >= limits.plain_from
                             ? ListChunk::NewPlain(element)
                             : NewChunk(ListEnd::kBack, ListpackEntry(element), limits));
    SettleAt(Locate(index).place, limits.depth);
    SettleEnds(limits.depth);
  }
}

void ChunkedList::InsertBySplitting(uint64_t index, Location at, std::string_view element,
                                    const ListLimits& limits) {
  MakeRaw(at.place);
  ListChunk*& left = SlotAt(at.place).chunk;
  ListChunk* right = ListChunk::SplitAt(&left, left->Seek(at.offset), at.offset);
  ListChunk* between = nullptr;
  if (element.size() >= limits.plain_from) {
    between = ListChunk::NewPlain(element);
  } else {
    const ListpackEntry entry(element);
    if (ChunkFits(left, element.size(), limits))
      ListChunk::Push(&left, ListEnd::kBack, entry, limits.bytes);
    else if (ChunkFits(right, element.size(), limits))
      ListChunk::Push(&right, ListEnd::kFront, entry, limits.bytes);
    else
      between = NewChunk(ListEnd::kBack, entry, limits);
  }
  Recount(at.place);
  InsertAfter(&at.place, right);
  if (between != nullptr) InsertAfter(&at.place, between);
  MergeAround(index + 1, limits);
  MergeAround(index - 1, limits);
  for (uint64_t i = index - 1; i <= index + 1; ++i) SettleAt(Locate(i).place, limits.depth);
  SettleEnds(limits.depth);
}

bool ChunkedList::MergeIfSmall(Place left, Place right, const ListLimits& limits) {
  const ListChunk* a = At(left);
  const ListChunk* b = At(right);
  if (a->holds_plain() || b->holds_plain()) return false;
  if (size_t{a->count} + b->count > limits.elements) return false;
  if (a->RawBytes() + b->RawBytes() + kBlockOverhead > limits.bytes) return false;
  MakeRaw(left);
  MakeRaw(right);
  ListChunk::Append(&SlotAt(left).chunk, SlotAt(right).chunk);
  RemoveChunk(&right);  // stands behind `left`, whose place stays
  Recount(left);
  return true;
}

// The chunk that holds the index-th element, with its neighbours.
void ChunkedList::MergeAround(uint64_t index, const ListLimits& limits) {
  Place here = Locate(index).place;
  Place other = here;
  if (Prev(&other) && MergeIfSmall(other, here, limits)) here = other;
  other = here;
  if (Next(&other)) MergeIfSmall(here, other, limits);
}

void ChunkedList::Set(uint64_t index, std::string_view element, const ListLimits& limits) {
  const Location at = Locate(index);
  const bool plain = element.size() >= limits.plain_from;
  ListChunk*& chunk = SlotAt(at.place).chunk;
  if (plain && chunk->holds_plain()) {
    ListChunk::Free(chunk);
    chunk = ListChunk::NewPlain(element);
    return SettleAt(at.place, limits.depth);
  }
  if (!plain && !chunk->holds_plain()) {
    MakeRaw(at.place);
    const ListpackEntry entry(element);
    const ListChunk::Pos pos = chunk->Seek(at.offset);
    const ListpackView view = chunk->view();
    const ListChunk::Pos next =
        at.offset + 1 < chunk->count ? view.Next(pos) : chunk->Bytes() - 1;
    const size_t old_bytes = next - pos;
    if (entry.StoredBytes() <= old_bytes || chunk->count == 1 ||
        chunk->Bytes() - old_bytes + entry.StoredBytes() + kBlockOverhead <= limits.bytes) {
      ListChunk::Erase(&chunk, pos, next, 1);
      ListChunk::Insert(&chunk, pos, entry, limits.bytes);
      return SettleAt(at.place, limits.depth);
    }
  }
  Erase(index, 1, limits);
  Insert(index, element, limits);
}

void ChunkedList::Erase(uint64_t index, uint64_t count, const ListLimits& limits) {
  const size_t chunks_before = chunks_;
  while (count > 0) {
    Location at = Locate(index);
    if (at.place.slot == 0 && at.offset == 0 && pages_[at.place.page].elements <= count) {
      const size_t first = at.place.page;
      size_t last = first;
      for (; last < pages_.size() && pages_[last].elements <= count; ++last) {
        for (Slot& slot : pages_[last].slots) ListChunk::Free(slot.chunk);
        chunks_ -= pages_[last].slots.size();
        length_ -= pages_[last].elements;
        count -= pages_[last].elements;
      }
      pages_.erase(pages_.begin() + static_cast<ptrdiff_t>(first),
                   pages_.begin() + static_cast<ptrdiff_t>(last));
      continue;
    }
    Slot& slot = SlotAt(at.place);
    const uint64_t here = std::min(count, slot.count - at.offset);
    count -= here;
    if (here == slot.count) {
      RemoveChunk(&at.place);
      continue;
    }
    MakeRaw(at.place);
    const ListChunk::Pos from = slot.chunk->Seek(at.offset);
    const ListpackView view = slot.chunk->view();
    ListChunk::Pos to = slot.chunk->Bytes() - 1;
    if (at.offset + here < slot.count) {
      if (here > 8) {
        to = slot.chunk->Seek(at.offset + here);
      } else {
        to = from;
        for (uint64_t i = 0; i < here; ++i) to = view.Next(to);
      }
    }
    ListChunk::Erase(&slot.chunk, from, to, here);
    Recount(at.place);
    SettleAt(at.place, limits.depth);
  }
  if (chunks_ != chunks_before) SettleEnds(limits.depth);
}

uint64_t ChunkedList::RemoveFrom(Place place, std::string_view element, uint64_t most,
                                 ListEnd end) {
  const ListChunk* chunk = At(place);
  std::unique_ptr<uint8_t[]> scratch;
  const uint8_t* bytes = chunk->data() + chunk->begin;
  if (chunk->compressed()) {
    scratch = std::make_unique_for_overwrite<uint8_t[]>(chunk->RawBytes());
    chunk->DecompressInto(scratch.get());
    bytes = scratch.get();
  }
  if (chunk->holds_plain()) {
    const std::string_view text(reinterpret_cast<const char*>(bytes), chunk->RawBytes());
    return text == element ? 1 : 0;
  }
  std::vector<uint32_t> at;
  const ListpackView view(bytes);
  const bool bounded = end == ListEnd::kFront;
  for (ListpackView::Pos pos = view.Find(view.First(), element);
       pos != ListpackView::kNone && !(bounded && at.size() == most);
       pos = view.Find(view.Next(pos), element))
    at.push_back(static_cast<uint32_t>(pos));
  if (at.size() > most) at.erase(at.begin(), at.end() - static_cast<ptrdiff_t>(most));
  if (!at.empty() && at.size() < chunk->count) {
    MakeRaw(place);
    ListChunk::EraseEach(&SlotAt(place).chunk, at);
    Recount(place);
  }
  return at.size();
}

uint64_t ChunkedList::Remove(std::string_view element, uint64_t most, ListEnd end,
                             const ListLimits& limits) {
  if (chunks_ == 0) return 0;
  const size_t chunks_before = chunks_;
  uint64_t removed = 0;
  Place place = End(end);
  for (bool more = true; more && removed < most;) {
    const uint64_t had = At(place)->count;
    const uint64_t here = RemoveFrom(place, element, most - removed, end);
    removed += here;
    Place next = place;
    if (end == ListEnd::kBack) more = Prev(&next);
    if (here == had) {
      const bool follows = RemoveChunk(&place);
      if (end == ListEnd::kFront) more = follows, next = place;
    } else {
      if (here > 0) {
        // Between the ends, what is left of two neighbours may share a chunk. The ends are left
        // alone, as Redis does: whether a list has one chunk decides its encoding.
        Place left = place, right = place;
        const bool merged = chunks_ > 3 &&
                            (end == ListEnd::kFront ? Prev(&left) : Next(&right)) &&
                            left != First() && right != Last() &&
                            MergeIfSmall(left, right, limits);
        if (merged) place = left;
        SettleAt(place, limits.depth);
      }
      if (end == ListEnd::kFront) {
        next = place;
        more = Next(&next);
      }
    }
    place = next;
  }
  if (chunks_ != chunks_before) SettleEnds(limits.depth);
  return removed;
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
