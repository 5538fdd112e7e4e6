// SPDX-License-Identifier: BSD-3-Clause
#include "containers/ranked_btree.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

namespace cairn {
namespace {

void* Allocate(size_t bytes) {
  void* memory = malloc(bytes);
  CHECK(memory != nullptr);
  return memory;
}

// memcmp order, a prefix first.
int CompareBytes(std::string_view a, std::string_view b) {
  const size_t common = a.size() < b.size() ? a.size() : b.size();
  const int order = memcmp(a.data(), b.data(), common);
  if (order != 0) return order;
  return a.size() < b.size() ? -1 : a.size() > b.size();
}

// First i in [0, count) for which before(i) is false; before holds for a prefix of the range.
template <typename Before>
uint32_t PartitionPoint(uint32_t count, Before before) {
  uint32_t low = 0;
  while (count > 0) {
    const uint32_t half = count / 2;
    if (before(low + half)) {
      low += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  return low;
}

}  // namespace

RankedBTree::~RankedBTree() {
  if (root_ != nullptr) FreeNodes(root_, 0);
}

void RankedBTree::FreeNodes(void* node, int depth) {
  if (depth < static_cast<int>(height_)) {
    auto* inner = static_cast<Inner*>(node);
    for (uint32_t i = 0; i < inner->count; ++i) FreeNodes(inner->children[i], depth + 1);
  }
  free(node);
}

size_t RankedBTree::MemoryUsage() const {
  if (root_ == nullptr) return 0;
  if (height_ == 0) return malloc_usable_size(root_);
  return leaves_ * malloc_usable_size(first_) + inners_ * malloc_usable_size(root_);
}

// ---- Nodes ----

RankedBTree::Leaf* RankedBTree::NewLeaf(uint32_t capacity) {
  auto* leaf = static_cast<Leaf*>(Allocate(sizeof(Leaf) + capacity * sizeof(Slot)));
  leaf->prev = leaf->next = nullptr;
  leaf->count = 0;
  leaf->capacity = capacity;
  return leaf;
}

int RankedBTree::Compare(double score_a, std::string_view a, double score_b,
                         const ScoredMember* b) {
  if (score_a != score_b) return score_a < score_b ? -1 : 1;
  return CompareBytes(a, b->bytes());
}

void RankedBTree::InsertSlot(Leaf* leaf, uint32_t index, Slot slot) {
  DCHECK(leaf->count < leaf->capacity && index <= leaf->count);
  memmove(leaf->slots + index + 1, leaf->slots + index, (leaf->count - index) * sizeof(Slot));
  leaf->slots[index] = slot;
  ++leaf->count;
}

void RankedBTree::SetEntry(Inner* inner, uint32_t index, const Entry& entry) {
  inner->scores[index] = entry.score;
  inner->members[index] = entry.member;
  inner->counts[index] = entry.count;
  inner->children[index] = entry.child;
}

// Entries `first` .. `first + count` of `from` to `to` from `at` on; the two may be one node.
void RankedBTree::MoveEntries(Inner* from, uint32_t first, uint32_t count, Inner* to, uint32_t at) {
  memmove(to->scores + at, from->scores + first, count * sizeof(double));
  memmove(to->members + at, from->members + first, count * sizeof(ScoredMember*));
  memmove(to->counts + at, from->counts + first, count * sizeof(uint64_t));
  memmove(to->children + at, from->children + first, count * sizeof(void*));
}

void RankedBTree::OpenEntry(Inner* inner, uint32_t index, const Entry& entry) {
  DCHECK(inner->count < kInnerSlots);
  MoveEntries(inner, index, inner->count - index, inner, index + 1);
  SetEntry(inner, index, entry);
  ++inner->count;
}

void RankedBTree::CloseEntry(Inner* inner, uint32_t index) {
  MoveEntries(inner, index + 1, inner->count - index - 1, inner, index);
  --inner->count;
}

uint64_t RankedBTree::Total(const Inner* inner) {
  uint64_t total = 0;
  for (uint32_t i = 0; i < inner->count; ++i) total += inner->counts[i];
  return total;
}

RankedBTree::Entry RankedBTree::EntryOf(Leaf* leaf) {
  return {leaf->slots[0].score, leaf->slots[0].member, leaf->count, leaf};
}

RankedBTree::Entry RankedBTree::EntryOf(Inner* inner) {
  return {inner->scores[0], inner->members[0], Total(inner), inner};
}

// ---- Searching ----

void RankedBTree::Find(double score, std::string_view member, Path* path) const {
  void* node = root_;
  for (uint32_t depth = 0; depth < height_; ++depth) {
    auto* inner = static_cast<Inner*>(node);
    // The last child whose first item is not above the key; the first one if all are.
    const uint32_t index = PartitionPoint(inner->count - 1, [&](uint32_t i) {
      return Compare(score, member, inner->scores[i + 1], inner->members[i + 1]) >= 0;
    });
    path->inner[depth] = inner;
    path->index[depth] = index;
    node = inner->children[index];
  }
  auto* leaf = static_cast<Leaf*>(node);
  path->leaf = leaf;
  path->slot = PartitionPoint(leaf->count, [&](uint32_t i) {
    return Compare(score, member, leaf->slots[i].score, leaf->slots[i].member) > 0;
  });
}

void RankedBTree::FindRank(uint64_t rank, Path* path) const {
  DCHECK(rank < size_);
  void* node = root_;
  for (uint32_t depth = 0; depth < height_; ++depth) {
    auto* inner = static_cast<Inner*>(node);
    uint32_t index = 0;
    while (rank >= inner->counts[index]) rank -= inner->counts[index++];
    path->inner[depth] = inner;
    path->index[depth] = index;
    node = inner->children[index];
  }
  path->leaf = static_cast<Leaf*>(node);
  path->slot = static_cast<uint32_t>(rank);
}

// Number of items for which before(score, member) holds; they must be a prefix of the order.
template <typename Before>
uint64_t RankedBTree::CountWhile(Before before) const {
  if (root_ == nullptr) return 0;
  uint64_t rank = 0;
  void* node = root_;
  for (uint32_t depth = 0; depth < height_; ++depth) {
    auto* inner = static_cast<Inner*>(node);
    const uint32_t index = PartitionPoint(inner->count - 1, [&](uint32_t i) {
      return before(inner->scores[i + 1], inner->members[i + 1]);
    });
    for (uint32_t i = 0; i < index; ++i) rank += inner->counts[i];
    node = inner->children[index];
  }
  auto* leaf = static_cast<Leaf*>(node);
  return rank + PartitionPoint(leaf->count, [&](uint32_t i) {
           return before(leaf->slots[i].score, leaf->slots[i].member);
         });
}

uint64_t RankedBTree::Rank(double score, std::string_view member) const {
  return CountWhile([&](double item_score, const ScoredMember* item) {
    return Compare(score, member, item_score, item) > 0;
  });
}

uint64_t RankedBTree::CountBelow(double score, bool or_equal) const {
  if (or_equal) return CountWhile([&](double item, const ScoredMember*) { return item <= score; });
  return CountWhile([&](double item, const ScoredMember*) { return item < score; });
}

uint64_t RankedBTree::CountBelowMember(std::string_view member, bool or_equal) const {
  return CountWhile([&](double, const ScoredMember* item) {
    const int order = CompareBytes(item->bytes(), member);
    return or_equal ? order <= 0 : order < 0;
  });
}

RankedBTree::Cursor RankedBTree::Seek(uint64_t rank) const {
  if (rank >= size_) return Cursor();
  Path path;
  FindRank(rank, &path);
  return Cursor(path.leaf, path.slot);
}

// ---- Inserting ----

void RankedBTree::AddToCounts(const Path& path, int64_t delta) {
  for (uint32_t depth = 0; depth < height_; ++depth)
    path.inner[depth]->counts[path.index[depth]] += static_cast<uint64_t>(delta);
  size_ += static_cast<uint64_t>(delta);
}

// The first item below the child taken at `depth` has changed: tell the entries that show it.
void RankedBTree::RefreshMin(const Path& path, int depth) {
  if (depth < 0) return;
  double score;
  ScoredMember* member;
  if (depth == static_cast<int>(height_) - 1) {
    const auto* leaf = static_cast<Leaf*>(path.inner[depth]->children[path.index[depth]]);
    score = leaf->slots[0].score;
    member = leaf->slots[0].member;
  } else {
    const auto* below = static_cast<Inner*>(path.inner[depth]->children[path.index[depth]]);
    score = below->scores[0];
    member = below->members[0];
  }
  for (; depth >= 0; --depth) {
    path.inner[depth]->scores[path.index[depth]] = score;
    path.inner[depth]->members[path.index[depth]] = member;
    if (path.index[depth] != 0) break;
  }
}

void RankedBTree::Insert(ScoredMember* member) {
  const Slot slot{member->score(), member};
  if (root_ == nullptr) {
    first_ = last_ = NewLeaf(kLeafSlotsMin);
    root_ = first_;
    leaves_ = 1;
  }
  Path path;
  Find(slot.score, member->bytes(), &path);
  AddToCounts(path, 1);
  if (path.leaf->count == path.leaf->capacity) {
    if (path.leaf->capacity == kLeafSlots) return InsertIntoFullLeaf(&path, slot);
    GrowRootLeaf(&path);
  }
  InsertSlot(path.leaf, path.slot, slot);
  if (path.slot == 0) RefreshMin(path, static_cast<int>(height_) - 1);
}

void RankedBTree::GrowRootLeaf(Path* path) {
  DCHECK(height_ == 0);
  uint32_t capacity = path->leaf->capacity * 2;
  if (capacity > kLeafSlots) capacity = kLeafSlots;
  Leaf* grown = NewLeaf(capacity);
  grown->count = path->leaf->count;
  memcpy(grown->slots, path->leaf->slots, grown->count * sizeof(Slot));
  free(path->leaf);
  first_ = last_ = path->leaf = grown;
  root_ = grown;
}

// Shifting must make room for several inserts to be worth its copying.
constexpr uint32_t kRoomMin = 8;

// Passes the first slots of the full leaf to its left neighbour, and inserts.
bool RankedBTree::ShiftLeft(Path* path, Slot slot) {
  Inner* parent = path->inner[height_ - 1];
  const uint32_t index = path->index[height_ - 1];
  if (index == 0) return false;
  Leaf* leaf = path->leaf;
  auto* left = static_cast<Leaf*>(parent->children[index - 1]);
  if (left->count + kRoomMin > kLeafSlots) return false;
  const uint32_t moved = (kLeafSlots - left->count + 1) / 2;
  memcpy(left->slots + left->count, leaf->slots, moved * sizeof(Slot));
  memmove(leaf->slots, leaf->slots + moved, (leaf->count - moved) * sizeof(Slot));
  left->count += moved;
  leaf->count -= moved;
  if (path->slot <= moved) {
    InsertSlot(left, left->count - moved + path->slot, slot);
  } else {
    InsertSlot(leaf, path->slot - moved, slot);
  }
  parent->counts[index - 1] = left->count;
  SetEntry(parent, index, EntryOf(leaf));
  return true;
}

// Passes the last slots of the full leaf to its right neighbour, and inserts.
bool RankedBTree::ShiftRight(Path* path, Slot slot) {
  Inner* parent = path->inner[height_ - 1];
  const uint32_t index = path->index[height_ - 1];
  if (index + 1 == parent->count) return false;
  Leaf* leaf = path->leaf;
  auto* right = static_cast<Leaf*>(parent->children[index + 1]);
  if (right->count + kRoomMin > kLeafSlots) return false;
  const uint32_t moved = (kLeafSlots - right->count + 1) / 2;
  memmove(right->slots + moved, right->slots, right->count * sizeof(Slot));
  memcpy(right->slots, leaf->slots + leaf->count - moved, moved * sizeof(Slot));
  right->count += moved;
  leaf->count -= moved;
  if (path->slot <= leaf->count) {
    InsertSlot(leaf, path->slot, slot);
  } else {
    InsertSlot(right, path->slot - leaf->count, slot);
  }
  parent->counts[index] = leaf->count;
  SetEntry(parent, index + 1, EntryOf(right));
  if (path->slot == 0) RefreshMin(*path, static_cast<int>(height_) - 1);
  return true;
}

void RankedBTree::LinkAfter(Leaf* leaf, Leaf* right) {
  right->prev = leaf;
  right->next = leaf->next;
  leaf->next = right;
  (right->next == nullptr ? last_ : right->next->prev) = right;
  ++leaves_;
}

void RankedBTree::Unlink(Leaf* leaf) {
  (leaf->prev == nullptr ? first_ : leaf->prev->next) = leaf->next;
  (leaf->next == nullptr ? last_ : leaf->next->prev) = leaf->prev;
  --leaves_;
}

void RankedBTree::InsertIntoFullLeaf(Path* path, Slot slot) {
  Leaf* leaf = path->leaf;
  // Runs at either end of the order, the commonest loads, leave full leaves behind.
  const bool at_end = path->slot == leaf->count && leaf->next == nullptr;
  const bool at_start = path->slot == 0 && leaf->prev == nullptr;
  if (height_ > 0 && !at_end && !at_start && (ShiftLeft(path, slot) || ShiftRight(path, slot)))
    return;
  Leaf* right = NewLeaf(kLeafSlots);
  LinkAfter(leaf, right);
  uint32_t kept = kLeafSlots / 2;
  if (path->slot == leaf->count) kept = leaf->count;  // a run in the middle, or at the end
  if (at_start) kept = 0;
  right->count = leaf->count - kept;
  memcpy(right->slots, leaf->slots + kept, right->count * sizeof(Slot));
  leaf->count = kept;
  // A slot between the halves goes left, but never leaves the new leaf empty.
  if (path->slot <= kept && right->count > 0) {
    InsertSlot(leaf, path->slot, slot);
  } else {
    InsertSlot(right, path->slot - kept, slot);
  }
  const int depth = static_cast<int>(height_) - 1;
  if (depth >= 0) {
    path->inner[depth]->counts[path->index[depth]] = leaf->count;
    if (path->slot == 0) RefreshMin(*path, depth);
    AddEntry(path, depth, path->index[depth] + 1, EntryOf(right));
  } else {
    AddEntry(path, depth, 1, EntryOf(right));
  }
}

// Puts `entry` at `index` of the node at `depth`, splitting upward. At depth -1 the tree gets a
// new root above the old one and the entry.
void RankedBTree::AddEntry(Path* path, int depth, uint32_t index, Entry entry) {
  for (;; --depth) {
    if (depth < 0) {
      CHECK(height_ + 1 < kHeightMax);
      auto* root = static_cast<Inner*>(Allocate(sizeof(Inner)));
      ++inners_;
      SetEntry(
          root, 0,
          height_ == 0 ? EntryOf(static_cast<Leaf*>(root_)) : EntryOf(static_cast<Inner*>(root_)));
      SetEntry(root, 1, entry);
      root->count = 2;
      root_ = root;
      ++height_;
      return;
    }
    Inner* inner = path->inner[depth];
    if (inner->count < kInnerSlots) return OpenEntry(inner, index, entry);
    auto* right = static_cast<Inner*>(Allocate(sizeof(Inner)));
    ++inners_;
    const uint32_t kept = index == inner->count ? inner->count : kInnerSlots / 2;
    right->count = inner->count - kept;
    MoveEntries(inner, kept, right->count, right, 0);
    inner->count = kept;
    if (index <= kept && right->count > 0) {
      OpenEntry(inner, index, entry);
    } else {
      OpenEntry(right, index - kept, entry);
    }
    entry = EntryOf(right);
    if (depth > 0) {
      path->inner[depth - 1]->counts[path->index[depth - 1]] = Total(inner);
      index = path->index[depth - 1] + 1;
    }
  }
}

void RankedBTree::Update(ScoredMember* member, double score) {
  Path path;
  CHECK(root_ != nullptr);
  Find(member->score(), member->bytes(), &path);
  Leaf* leaf = path.leaf;
  const uint32_t from = path.slot;
  CHECK(from < leaf->count && leaf->slots[from].member == member);
  // Most new scores stay within the leaf: then slots move and no inner node has to know. Strictly
  // between its first and last item, where the leaf's bounds do not change.
  const std::string_view bytes = member->bytes();
  const Slot& low = leaf->slots[0];
  const Slot& high = leaf->slots[leaf->count - 1];
  if (from > 0 && Compare(score, bytes, low.score, low.member) > 0 &&
      (from + 1 == leaf->count ? score <= high.score
                               : Compare(score, bytes, high.score, high.member) < 0)) {
    const uint32_t to = PartitionPoint(leaf->count, [&](uint32_t i) {
      return Compare(score, bytes, leaf->slots[i].score, leaf->slots[i].member) > 0;
    });
    // The item's old slot is among those counted when it moves up.
    if (to > from + 1) {
      memmove(leaf->slots + from, leaf->slots + from + 1, (to - 1 - from) * sizeof(Slot));
      leaf->slots[to - 1] = {score, member};
    } else if (to < from) {
      memmove(leaf->slots + to + 1, leaf->slots + to, (from - to) * sizeof(Slot));
      leaf->slots[to] = {score, member};
    } else {
      leaf->slots[from].score = score;
    }
    member->set_score(score);
    return;
  }
  EraseSlots(&path, 1);
  member->set_score(score);
  Insert(member);
}

double RankedBTree::LeafFill() const {
  if (leaves_ == 0) return 1;
  return static_cast<double>(size_) / (static_cast<double>(leaves_) * kLeafSlots);
}

}  // namespace cairn
