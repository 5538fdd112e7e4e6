// SPDX-License-Identifier: BSD-3-Clause
#include "keyspace/object_ops.h"

#include "base/check.h"
#include "types/hash.h"
#include "types/list.h"
#include "types/set.h"
#include "types/sorted_set.h"
#include "types/stream.h"

namespace cairn {
namespace {

// A handle that looks at an object without owning it.
template <typename T>
class Borrowed {
 public:
  explicit Borrowed(uint64_t rep) : object_(T::Adopt(rep)) {}
  ~Borrowed() { object_.Release(); }
  T& operator*() { return object_; }

 private:
  T object_;
};

template <typename Function>
auto Visit(Type type, uint64_t rep, const Function& function) {
  switch (type) {
    case Type::kList: return function(*Borrowed<List>(rep));
    case Type::kSet: return function(*Borrowed<Set>(rep));
    case Type::kSortedSet: return function(*Borrowed<SortedSet>(rep));
    case Type::kHash: return function(*Borrowed<Hash>(rep));
    case Type::kStream: return function(*Borrowed<Stream>(rep));
    case Type::kString: break;
  }
  CHECK(false);
  __builtin_unreachable();
}

}  // namespace

void FreeObject(Type type, uint64_t rep) {
  switch (type) {
    case Type::kList: List::Adopt(rep); return;
    case Type::kSet: Set::Adopt(rep); return;
    case Type::kSortedSet: SortedSet::Adopt(rep); return;
    case Type::kHash: Hash::Adopt(rep); return;
    case Type::kStream: Stream::Adopt(rep); return;
    case Type::kString: break;
  }
  CHECK(false);
}

uint64_t CloneObject(Type type, uint64_t rep) {
  return Visit(type, rep, [](auto& object) { return object.Clone().Release(); });
}

Encoding ObjectEncoding(Type type, uint64_t rep) {
  return Visit(type, rep, [](auto& object) { return object.encoding(); });
}

size_t ObjectMemory(Type type, uint64_t rep, size_t samples) {
  return Visit(type, rep, [&](auto& object) { return object.MemoryUsage(samples); });
}

size_t ObjectFreeEffort(Type type, uint64_t rep) {
  return Visit(type, rep, [](auto& object) { return object.FreeEffort(); });
}

bool ObjectIsEmptyContainer(Type type, uint64_t rep) {
  if (type == Type::kStream) return false;
  return ObjectSize(type, rep) == 0;
}

size_t ObjectSize(Type type, uint64_t rep) {
  return Visit(type, rep, [](auto& object) -> size_t {
    if constexpr (requires { object.Size(); }) {
      return object.Size();
    } else {
      return object.Length();
    }
  });
}

}  // namespace cairn
