// SPDX-License-Identifier: BSD-3-Clause
//
// The half of RankedBTree that shrinks it, and the check of its invariants.
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "containers/ranked_btree.h"

namespace cairn {

void RankedBTree::Erase(ScoredMember* member) {
  Path path;
  CHECK(root_ != nullptr);
  Find(member->score(), member->bytes(), &path);
  CHECK(path.slot < path.leaf->count && path.leaf->slots[path.slot].member == member);
  EraseSlots(&path, 1);
}

void RankedBTree::EraseRange(uint64_t rank, uint64_t count, FunctionRef<void(ScoredMember*)> sink) {
  CHECK(rank <= size_ && count <= size_ - rank);
  ScoredMember* erased[kLeafSlots];
  while (count > 0) {
    Path path;
    FindRank(rank, &path);
    uint32_t chunk = path.leaf->count - path.slot;
    if (chunk > count) chunk = static_cast<uint32_t>(count);
    for (uint32_t i = 0; i < chunk; ++i) erased[i] = path.leaf->slots[path.slot + i].member;
    EraseSlots(&path, chunk);
    for (uint32_t i = 0; i < chunk; ++i) sink(erased[i]);
    count -= chunk;
  }
}

// Takes `count` slots out of the path's leaf, from its slot on.
void RankedBTree::EraseSlots(Path* path, uint32_t count) {
  Leaf* leaf = path->leaf;
  AddToCounts(*path, -static_cast<int64_t>(count));
  leaf->count -= count;
  memmove(leaf->slots + path->slot, leaf->slots + path->slot + count,
          (leaf->count - path->slot) * sizeof(Slot));
  if (height_ == 0) {
    if (leaf->count > 0) return;
    free(leaf);
    root_ = first_ = last_ = nullptr;
    leaves_ = 0;
    return;
  }
  if (leaf->count == 0) {
    Unlink(leaf);
    free(leaf);
    DropEntry(path, static_cast<int>(height_) - 1, path->index[height_ - 1]);
    return;
  }
  if (path->slot == 0) RefreshMin(*path, static_cast<int>(height_) - 1);
  if (leaf->count <= kLeafSlots / 2) MergeLeaf(path);
}

// Joins the leaf with a neighbour below the same parent, if both fit well into one.
void RankedBTree::MergeLeaf(Path* path) {
  constexpr uint32_t kMergedMax = kLeafSlots * 7 / 8;
  const int depth = static_cast<int>(height_) - 1;
  Inner* parent = path->inner[depth];
  const uint32_t index = path->index[depth];
  uint32_t left_index;
  if (index > 0 && parent->counts[index - 1] + path->leaf->count <= kMergedMax) {
    left_index = index - 1;
  } else if (index + 1 < parent->count &&
             parent->counts[index + 1] + path->leaf->count <= kMergedMax) {
    left_index = index;
  } else {
    return;
  }
  auto* left = static_cast<Leaf*>(parent->children[left_index]);
  auto* right = static_cast<Leaf*>(parent->children[left_index + 1]);
  memcpy(left->slots + left->count, right->slots, right->count * sizeof(Slot));
  left->count += right->count;
  parent->counts[left_index] = left->count;
  Unlink(right);
  free(right);
  DropEntry(path, depth, left_index + 1);
}

// Removes the entry at `index` of the node at `depth`, whose child is gone, and lets the inner
// nodes above shrink: an empty one goes, one at most half full merges, a root of one child ends.
void RankedBTree::DropEntry(Path* path, int depth, uint32_t index) {
  for (;; --depth) {
    Inner* inner = path->inner[depth];
    CloseEntry(inner, index);
    if (depth == 0) break;
    Inner* parent = path->inner[depth - 1];
    const uint32_t at = path->index[depth - 1];
    if (inner->count == 0) {
      free(inner);
      --inners_;
      index = at;
      continue;
    }
    if (index == 0) RefreshMin(*path, depth - 1);
    if (inner->count > kInnerSlots / 2) break;
    uint32_t left_index = at;
    auto count_of = [&](uint32_t i) { return static_cast<Inner*>(parent->children[i])->count; };
    constexpr uint32_t kMergedMax = kInnerSlots * 7 / 8;
    if (at > 0 && count_of(at - 1) + inner->count <= kMergedMax) {
      left_index = at - 1;
    } else if (at + 1 == parent->count || count_of(at + 1) + inner->count > kMergedMax) {
      break;
    }
    auto* left = static_cast<Inner*>(parent->children[left_index]);
    auto* right = static_cast<Inner*>(parent->children[left_index + 1]);
    MoveEntries(right, 0, right->count, left, left->count);
    left->count += right->count;
    parent->counts[left_index] += parent->counts[left_index + 1];
    free(right);
    --inners_;
    index = left_index + 1;
  }
  while (height_ > 0 && static_cast<Inner*>(root_)->count <= 1) {
    auto* root = static_cast<Inner*>(root_);
    root_ = root->count == 0 ? nullptr : root->children[0];
    height_ = root->count == 0 ? 0 : height_ - 1;
    free(root);
    --inners_;
  }
}

struct RankedBTree::Checked {
  uint64_t items = 0;
  uint64_t leaves = 0;
  uint32_t inners = 0;
  const Leaf* last_leaf = nullptr;
  const ScoredMember* last = nullptr;
};

void RankedBTree::CheckNode(const void* node, int depth, Checked* checked) const {
  if (depth < static_cast<int>(height_)) {
    auto* inner = static_cast<const Inner*>(node);
    CHECK(inner->count > 0 && inner->count <= kInnerSlots);
    ++checked->inners;
    for (uint32_t i = 0; i < inner->count; ++i) {
      const uint64_t before = checked->items;
      const ScoredMember* first =
          depth + 1 < static_cast<int>(height_)
              ? static_cast<const Inner*>(inner->children[i])->members[0]
              : static_cast<const Leaf*>(inner->children[i])->slots[0].member;
      CHECK(inner->members[i] == first);
      CHECK(inner->scores[i] == first->score());
      CheckNode(inner->children[i], depth + 1, checked);
      CHECK(checked->items - before == inner->counts[i]);
    }
    return;
  }
  auto* leaf = static_cast<const Leaf*>(node);
  CHECK(leaf->count > 0 && leaf->count <= leaf->capacity);
  CHECK(leaf->capacity == kLeafSlots || height_ == 0);
  CHECK(leaf->prev == checked->last_leaf);
  CHECK(checked->last_leaf == nullptr ? first_ == leaf : checked->last_leaf->next == leaf);
  checked->last_leaf = leaf;
  ++checked->leaves;
  for (uint32_t i = 0; i < leaf->count; ++i) {
    const ScoredMember* item = leaf->slots[i].member;
    CHECK(leaf->slots[i].score == item->score());
    if (checked->last != nullptr) {
      CHECK(Compare(checked->last->score(), checked->last->bytes(), item->score(), item) < 0);
    }
    checked->last = item;
    ++checked->items;
  }
}

void RankedBTree::CheckInvariants() const {
  Checked checked;
  if (root_ == nullptr) {
    CHECK(first_ == nullptr && last_ == nullptr && height_ == 0);
  } else {
    CheckNode(root_, 0, &checked);
  }
  CHECK(checked.items == size_);
  CHECK(checked.leaves == leaves_);
  CHECK(checked.inners == inners_);
  CHECK(checked.last_leaf == last_);
  CHECK(last_ == nullptr || last_->next == nullptr);
  CHECK(height_ == 0 || static_cast<const Inner*>(root_)->count > 1);
}

}  // namespace cairn
