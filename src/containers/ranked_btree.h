// SPDX-License-Identifier: BSD-3-Clause
//
// RankedBTree: the order of a large sorted set. A B+tree over (score, member bytes) whose inner
// nodes count the items below each child, so that rank and seek by rank are O(log n).
//
//             Inner   entry i: score and member of the first item below child i,
//            /  |  \           number of items below it, the child
//        Leaf<->Leaf<->Leaf    slots {score, member} in order, 62 to a leaf of 1 KiB
//
// A leaf keeps the score beside the pointer: searches and scans by score read leaves alone and
// touch the member's own memory only between equal scores.
//
// The tree does not own its members; whoever erases one frees it. It is not thread-safe: the
// caller holds the lock of the key. A Cursor is valid until the next change.
//
// Invariants (CheckInvariants):
//  1. slots ascend by (score, member), strictly; a slot's score is its member's score;
//  2. an inner entry's score and member are those of the first item below its child, so a freed
//     member is never compared with; its count is exact;
//  3. no leaf and no inner node is empty; all leaves are at one depth and linked in order;
//  4. a leaf holds kLeafSlots slots, except that a single leaf (the root) grows from four.
//
// A full leaf first passes slots to a neighbour and splits only when both are nearly full, which
// fills leaves to about 80 % under random inserts; splits at either end leave the old leaf full.
// A leaf at most half full merges with a neighbour when both fit into 7/8 of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/function_ref.h"
#include "containers/scored_member.h"

namespace cairn {

class RankedBTree {
  struct Slot {
    double score;
    ScoredMember* member;
  };
  struct Leaf;
  struct Inner;

 public:
  // A place in the order: an item, or past either end (Valid() false, and no way back).
  class Cursor {
   public:
    Cursor() = default;
    bool Valid() const { return leaf_ != nullptr; }
    double score() const { return leaf_->slots[index_].score; }
    ScoredMember* member() const { return leaf_->slots[index_].member; }
    void Next() {
      if (++index_ >= leaf_->count) {
        leaf_ = leaf_->next;
        index_ = 0;
      }
      if (leaf_ != nullptr && index_ + kAhead < leaf_->count)
        __builtin_prefetch(leaf_->slots[index_ + kAhead].member);
    }
    void Prev() {
      if (index_-- == 0) {
        leaf_ = leaf_->prev;
        index_ = leaf_ == nullptr ? 0 : leaf_->count - 1;
      }
      if (leaf_ != nullptr && index_ >= kAhead)
        __builtin_prefetch(leaf_->slots[index_ - kAhead].member);
    }

   private:
    friend class RankedBTree;
    static constexpr uint32_t kAhead = 6;  // members a scan fetches before it needs them
    Cursor(const Leaf* leaf, uint32_t index) : leaf_(leaf), index_(index) {}
    const Leaf* leaf_ = nullptr;
    uint32_t index_ = 0;
  };

  RankedBTree() = default;
  ~RankedBTree();
  RankedBTree(const RankedBTree&) = delete;
  RankedBTree& operator=(const RankedBTree&) = delete;

  uint64_t size() const { return size_; }
  // Bytes of the nodes, members not included.
  size_t MemoryUsage() const;

  // Adds `member` at its score. It must not be there yet.
  void Insert(ScoredMember* member);
  // Takes out `member`, which must be there.
  void Erase(ScoredMember* member);
  // Gives `member`, which must be there, another score, which it can hold, and its new place.
  void Update(ScoredMember* member, double score);
  // Takes out the `count` items from `rank` on (all must exist), handing each to
  // `sink` when the tree holds it no more. O(log n) for each leaf touched.
  void EraseRange(uint64_t rank, uint64_t count, FunctionRef<void(ScoredMember*)> sink);

  // Number of items before (score, member), whether or not it is there.
  uint64_t Rank(double score, std::string_view member) const;
  // The item with that rank, or past the end.
  Cursor Seek(uint64_t rank) const;
  Cursor First() const { return Cursor(first_, 0); }
  Cursor Last() const { return last_ == nullptr ? Cursor() : Cursor(last_, last_->count - 1); }
  // Number of items with a score below `score` (or_equal: not above it).
  uint64_t CountBelow(double score, bool or_equal) const;
  // Number of items whose member sorts below `member` (or_equal: not above it). Has a meaning
  // only when all scores are equal.
  uint64_t CountBelowMember(std::string_view member, bool or_equal) const;

  // The nodes' mean fill, 0..1, of leaves: what tests and DEBUG look at.
  double LeafFill() const;
  void CheckInvariants() const;

 private:
  static constexpr uint32_t kLeafSlots = 62;
  static constexpr uint32_t kLeafSlotsMin = 4;  // first size of a leaf that is the root
  static constexpr uint32_t kInnerSlots = 63;
  static constexpr int kHeightMax = 16;

  struct Leaf {
    Leaf* prev;
    Leaf* next;
    uint32_t count;
    uint32_t capacity;
    Slot slots[];
  };
  struct Inner {
    uint32_t count;
    double scores[kInnerSlots];
    uint64_t counts[kInnerSlots];
    ScoredMember* members[kInnerSlots];
    void* children[kInnerSlots];
  };
  // The way from the root to a slot: inner[d] and the child taken there, for d < height_.
  struct Path {
    Inner* inner[kHeightMax];
    uint32_t index[kHeightMax];
    Leaf* leaf;
    uint32_t slot;
  };
  struct Entry {  // of an inner node
    double score;
    ScoredMember* member;
    uint64_t count;
    void* child;
  };

  static Leaf* NewLeaf(uint32_t capacity);
  static int Compare(double score_a, std::string_view a, double score_b, const ScoredMember* b);
  static void InsertSlot(Leaf* leaf, uint32_t index, Slot slot);
  static void SetEntry(Inner* inner, uint32_t index, const Entry& entry);
  static void OpenEntry(Inner* inner, uint32_t index, const Entry& entry);
  static void CloseEntry(Inner* inner, uint32_t index);
  static void MoveEntries(Inner* from, uint32_t first, uint32_t count, Inner* to, uint32_t at);
  static uint64_t Total(const Inner* inner);
  static Entry EntryOf(Leaf* leaf);
  static Entry EntryOf(Inner* inner);

  template <typename Before>
  uint64_t CountWhile(Before before) const;
  // To the slot of (score, member), or where it belongs; to the item of a rank.
  void Find(double score, std::string_view member, Path* path) const;
  void FindRank(uint64_t rank, Path* path) const;
  void AddToCounts(const Path& path, int64_t delta);
  void RefreshMin(const Path& path, int depth);
  void GrowRootLeaf(Path* path);
  void InsertIntoFullLeaf(Path* path, Slot slot);
  bool ShiftLeft(Path* path, Slot slot);
  bool ShiftRight(Path* path, Slot slot);
  void LinkAfter(Leaf* leaf, Leaf* right);
  void Unlink(Leaf* leaf);
  void AddEntry(Path* path, int depth, uint32_t index, Entry entry);
  void EraseSlots(Path* path, uint32_t count);
  void MergeLeaf(Path* path);
  void DropEntry(Path* path, int depth, uint32_t index);
  void FreeNodes(void* node, int depth);
  struct Checked;
  void CheckNode(const void* node, int depth, Checked* checked) const;

  void* root_ = nullptr;
  Leaf* first_ = nullptr;
  Leaf* last_ = nullptr;
  uint64_t size_ = 0;
  uint32_t height_ = 0;  // inner levels above the leaves
  uint32_t inners_ = 0;
  uint64_t leaves_ = 0;
};

}  // namespace cairn
