// SPDX-License-Identifier: BSD-3-Clause
//
// The RDB form of every value type: which RdbType stores a value, saving it, and loading it from
// any form that Redis has ever written. In a file the key stands between type and value, so the
// type is asked for first and then passed to RdbSave().
//
// Saving only reads the value: it may run while others read it, not while it changes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/status.h"
#include "rdb/opcodes.h"
#include "rdb/reader.h"
#include "rdb/writer.h"
#include "types/hash.h"
#include "types/list.h"
#include "types/set.h"
#include "types/sorted_set.h"
#include "types/stream.h"
#include "types/thresholds.h"
#include "types/type.h"

namespace cairn {

// The lowest type that holds the value and that a reader of RDB version `version` knows. Field
// expiry times need version 12 and get its types whatever `version` says.
RdbType RdbTypeOf(const List& list, int version);
RdbType RdbTypeOf(const Set& set, int version);
RdbType RdbTypeOf(const SortedSet& set, int version);
RdbType RdbTypeOf(const Hash& hash, int version);
RdbType RdbTypeOf(const Stream& stream, int version);
// The RDB version from which on readers know `type`; kRdbVersionMin at least.
int RdbVersionOf(RdbType type);

// `type` is what RdbTypeOf() said. Strings are RdbWriter::String() or Integer(). O(n).
void RdbSave(const List& list, RdbType type, RdbWriter* writer);
void RdbSave(const Set& set, RdbType type, RdbWriter* writer);
void RdbSave(const SortedSet& set, RdbType type, RdbWriter* writer);
void RdbSave(const Hash& hash, RdbType type, RdbWriter* writer);
void RdbSave(const Stream& stream, RdbType type, RdbWriter* writer);

// The same for a value as the keyspace holds it: any type but kString, by its word, which stays
// the keyspace's.
RdbType RdbTypeOf(Type type, uint64_t rep, int version);
void RdbSave(Type type, uint64_t rep, RdbType rdb_type, RdbWriter* writer);

// A loaded value. The alternatives stand in the order of Type.
struct RdbValue {
  std::variant<std::string, List, Set, SortedSet, Hash, Stream> value;

  Type type() const { return static_cast<Type>(value.index()); }
  std::string& string() { return std::get<std::string>(value); }
  // Gives up the word of any other type.
  uint64_t Release();
};

// Reads one value behind its type byte (`type` is unchecked input). Everything is checked deeply,
// as with Redis's `sanitize-dump-payload yes`. Elements are not dropped, whatever their expiry.
// Errors: kCorrupt; kNotFound for an empty collection, which Redis skips in a file and refuses in
// RESTORE; kUnavailable for a module's value (use RdbReader::SkipModuleData() in a file).
Result<RdbValue> RdbLoad(uint8_t type, const Thresholds& thresholds, RdbReader* reader);

}  // namespace cairn
