// SPDX-License-Identifier: BSD-3-Clause
//
// A copy of an entry inside a buffer of bytes: what is kept, without an allocation for a string, of
// an entry that may have to come back. The layout is the entry's own; the handle of an object is
// that of a clone, which the image owns until it is dropped or made an entry of.
#pragma once

#include <cstddef>
#include <string>

#include "keyspace/entry.h"

namespace cairn {

// Appends the image of an entry; a string in a block shares the block.
void AppendImage(const Entry& entry, std::string* bytes);
// An entry like the one that was copied. The image owns nothing any more.
Entry* EntryOfImage(const char* image);
// The image is not needed any more.
void DropImage(const char* image);
// To be looked at; good until the buffer changes.
inline const Entry* ViewImage(const char* image) {
  return reinterpret_cast<const Entry*>(image);
}

}  // namespace cairn
