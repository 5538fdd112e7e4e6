// SPDX-License-Identifier: BSD-3-Clause
//
// What the keyspace does with an object without knowing its type: free, clone, measure. `rep` is
// the 8-byte handle of the type's class in types/.
#pragma once

#include <cstddef>
#include <cstdint>

#include "types/type.h"

namespace cairn {

void FreeObject(Type type, uint64_t rep);
uint64_t CloneObject(Type type, uint64_t rep);
Encoding ObjectEncoding(Type type, uint64_t rep);
size_t ObjectMemory(Type type, uint64_t rep, size_t samples);
size_t ObjectFreeEffort(Type type, uint64_t rep);
// True for a list, set, hash or sorted set without elements; such a key must not exist. An empty
// stream may.
// Elements; of a stream its entries.
size_t ObjectSize(Type type, uint64_t rep);
bool ObjectIsEmptyContainer(Type type, uint64_t rep);

}  // namespace cairn
