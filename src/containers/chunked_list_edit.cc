// SPDX-License-Identifier: BSD-3-Clause
//
// What changes the elements of a ChunkedList: pushing, inserting, setting, removing.
#include <algorithm>

#include "base/check.h"
#include "containers/chunked_list.h"

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

bool ChunkedList::PopWithin(ListEnd end, std::string* element) {
  if (chunks_ == 0) return false;
  const Place place = End(end);
  Page& page = pages_[place.page];
  Slot& slot = page.slots[place.slot];
  if (slot.count < 2 || !slot.chunk->packed()) return false;
  const ListpackView view = slot.chunk->view();
  const ListChunk::Pos at = end == ListEnd::kFront ? view.First() : view.Last();
  char digits[kInt64CharsMax];
  element->assign(view.Get(at).Text(digits));
  const ListChunk::Pos behind =
      end == ListEnd::kFront ? view.Next(at) : ListChunk::Pos{slot.chunk->Bytes() - 1};
  ListChunk::Erase(&slot.chunk, at, behind, 1);
  --slot.count;
  --page.elements;
  --length_;
  return true;
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

}  // namespace cairn
