// SPDX-License-Identifier: BSD-3-Clause
#include "commands/digest.h"

#include <openssl/sha.h>
#include <stdio.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/numbers.h"
#include "types/hash.h"
#include "types/list.h"
#include "types/set.h"
#include "types/sorted_set.h"
#include "types/stream.h"

namespace cairn {
namespace {

// Redis's numbers of the types, in network order; module values are number 5.
uint32_t TypeNumber(Type type) {
  return type == Type::kStream ? 6 : static_cast<uint32_t>(type);
}

void MixNumber(Digest* digest, uint32_t number) {
  char bytes[4];
  StoreBe32(bytes, number);
  digest->Mix({bytes, sizeof bytes});
}

std::string_view Text(const ListpackValue& value, char* digits) { return value.Text(digits); }

void DigestString(Digest* digest, const Entry* entry) {
  char digits[kInt64CharsMax];
  if (entry->form() == Entry::Form::kInt) {
    digest->Mix({digits, FormatInt64(digits, entry->integer())});
  } else {
    digest->Mix(entry->text());
  }
}

void DigestSortedSet(Digest* digest, const SortedSet& set) {
  for (auto it = set.Iterate(); it.Valid(); it.Next()) {
    Digest element;
    char score[64];
    const int length = snprintf(score, sizeof score, "%.17g", it.score());
    element.Mix(it.member());
    element.Mix({score, static_cast<size_t>(length)});
    digest->XorDigest(element);
  }
}

void DigestHash(Digest* digest, const Hash& hash) {
  hash.ForEach(Hash::kNeverExpired, [&](const HashField& field) {
    Digest element;
    char digits[kInt64CharsMax];
    element.Mix(Text(field.field, digits));
    element.Mix(Text(field.value, digits));
    if (field.expiry_ms != Hash::kNoExpiry) element.Xor("!!hexpire!!");
    digest->XorDigest(element);
    return true;
  });
}

void DigestStream(Digest* digest, const Stream& stream) {
  for (StreamReader reader(stream, StreamId{}, StreamId::Max()); reader.Next();) {
    const StreamEntry& entry = reader.entry();
    // Both halves are unsigned: an id may be as large as 2^64 - 1.
    digest->Mix(std::to_string(entry.id.ms) + "." + std::to_string(entry.id.seq));
    entry.ForEachField([&](std::string_view field, std::string_view value) {
      digest->Mix(field);
      digest->Mix(value);
    });
  }
}

}  // namespace

void Digest::Xor(std::string_view text) {
  unsigned char hash[20];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash);
  for (int i = 0; i < 20; ++i) state_[static_cast<size_t>(i)] ^= hash[i];
}

void Digest::Mix(std::string_view text) {
  Xor(text);
  unsigned char hash[20];
  SHA1(state_.data(), state_.size(), hash);
  std::copy(hash, hash + 20, state_.begin());
}

std::string Digest::Hex() const {
  std::string text;
  for (unsigned char byte : state_) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

void DigestEntry(Digest* digest, Entry* entry) {
  MixNumber(digest, TypeNumber(entry->type()));
  switch (entry->type()) {
    case Type::kString: DigestString(digest, entry); break;
    case Type::kList:
      entry->object<List>().Range(0, -1, [&](std::string_view element) { digest->Mix(element); });
      break;
    case Type::kSet:
      entry->object<Set>().ForEach([&](const ListpackValue& member) {
        char digits[kInt64CharsMax];
        digest->Xor(Text(member, digits));
        return true;
      });
      break;
    case Type::kSortedSet: DigestSortedSet(digest, entry->object<SortedSet>()); break;
    case Type::kHash: DigestHash(digest, entry->object<Hash>()); break;
    case Type::kStream: DigestStream(digest, entry->object<Stream>()); break;
  }
  if (entry->has_expiry()) digest->Xor("!!expire!!");
}

Digest DigestKeyspace(Keyspace& keyspace) {
  Digest total;
  for (int db = 0; db < keyspace.databases(); ++db) {
    if (keyspace.Size(db) == 0) continue;
    MixNumber(&total, static_cast<uint32_t>(db));
    for (int shard = 0; shard < kShards; ++shard) {
      KeyTable* table = keyspace.PeekTable(shard, db);
      if (table == nullptr) continue;
      table->entries.ForEach([&](Entry* entry) {
        Digest one;
        one.Mix(entry->key());
        DigestEntry(&one, entry);
        total.XorDigest(one);
        return true;
      });
    }
  }
  return total;
}

}  // namespace cairn
