// SPDX-License-Identifier: BSD-3-Clause
#include "describe.h"

#include <algorithm>
#include <vector>

#include "base/numbers.h"

namespace cairn {
namespace {

std::string Join(std::vector<std::string> parts, bool sorted) {
  if (sorted) std::sort(parts.begin(), parts.end());
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) text += (i ? "," : "") + parts[i];
  return text;
}

std::string TextOf(const ListpackValue& value) {
  char digits[kInt64CharsMax];
  return std::string(value.Text(digits));
}

std::string Of(const std::string& text) { return text; }

std::string Of(const List& list) {
  std::vector<std::string> parts;
  list.Range(0, -1, [&](std::string_view element) { parts.emplace_back(element); });
  return "[" + Join(std::move(parts), false) + "]";
}

std::string Of(const Set& set) {
  std::vector<std::string> parts;
  set.ForEach([&](const ListpackValue& member) {
    parts.push_back(TextOf(member));
    return true;
  });
  return Join(std::move(parts), true);
}

std::string Of(const SortedSet& set) {
  std::vector<std::string> parts;
  for (auto it = set.Iterate(); it.Valid(); it.Next()) {
    parts.emplace_back(it.member());
    parts.push_back(ToString(it.score()));
  }
  return "[" + Join(std::move(parts), false) + "]";
}

std::string Of(const Hash& hash) {
  std::vector<std::string> parts;
  hash.ForEach(Hash::kNeverExpired, [&](const HashField& field) {
    std::string part = TextOf(field.field) + "=" + TextOf(field.value);
    if (field.expiry_ms != Hash::kNoExpiry) part += "@" + ToString(field.expiry_ms);
    parts.push_back(part);
    return true;
  });
  return Join(std::move(parts), true);
}

std::string PendingOf(const StreamConsumer& consumer, StreamGroup& group) {
  std::string text;
  for (auto pos = consumer.pending.First(); pos != consumer.pending.End();
       pos = consumer.pending.Next(pos)) {
    StreamId id = consumer.pending.At(pos).key;
    text += text.empty() ? "" : " ";
    text += ToString(id) + "*" + std::to_string(group.FindPending(id)->deliveries);
  }
  return text;
}

std::string Of(const Stream& stream) {
  std::string text = "last " + ToString(stream.last_id()) + "; deleted " +
                     ToString(stream.max_deleted_id()) + "; added " +
                     std::to_string(stream.entries_added());
  for (StreamReader reader(stream, {}, StreamId::Max()); reader.Next();) {
    text += "; " + ToString(reader.entry().id);
    reader.entry().ForEachField([&](std::string_view field, std::string_view value) {
      text.append(" ").append(field).append(" ").append(value);
    });
  }
  for (const auto& [name, group] : stream.groups()) {
    text += "; group " + name + " at " + ToString(group->last_id) + " read " +
            (group->entries_read < 0 ? "nil" : std::to_string(group->entries_read));
    for (const auto& [consumer_name, consumer] : group->consumers()) {
      text += "; consumer " + consumer_name + ": " + PendingOf(*consumer, *group);
    }
  }
  return text;
}

}  // namespace

std::string Describe(const RdbValue& value) {
  return std::visit([](const auto& held) { return Of(held); }, value.value);
}

std::string Unhex(std::string_view digits) {
  auto nibble = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes.push_back(static_cast<char>(nibble(digits[i]) << 4 | nibble(digits[i + 1])));
  }
  return bytes;
}

}  // namespace cairn
