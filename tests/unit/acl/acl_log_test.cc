// SPDX-License-Identifier: BSD-3-Clause
#include "acl/acl_log.h"

#include <catch2/catch.hpp>

namespace cairn {
namespace {

AclLogEntry Refused(std::string object, int64_t at_ms) {
  AclLogEntry entry;
  entry.reason = AclDenial::kKey;
  entry.context = "toplevel";
  entry.object = std::move(object);
  entry.user = "u";
  entry.created_ms = at_ms;
  return entry;
}

}  // namespace

TEST_CASE("ACL LOG: the same refusal within a minute raises a count", "[acl]") {
  AclLog log;
  log.Add(Refused("a", 0), 128);
  log.Add(Refused("b", 1), 128);
  log.Add(Refused("a", 59'000), 128);
  auto entries = log.Newest(10);
  REQUIRE(entries.size() == 2);
  REQUIRE(entries[0].object == "a");
  REQUIRE(entries[0].count == 2);
  REQUIRE(entries[0].id == 0);
  log.Add(Refused("a", 60'001), 128);
  REQUIRE(log.Newest(10).size() == 3);
  REQUIRE(log.total(AclDenial::kKey) == 4);
}

TEST_CASE("ACL LOG: texts and entries are bounded", "[acl]") {
  AclLog log;
  AclLogEntry large = Refused(std::string(1 << 20, 'o'), 0);
  large.user.assign(1 << 20, 'u');
  large.client_info.assign(1 << 20, 'c');
  log.Add(large, 2);
  log.Add(large, 2);
  const auto entries = log.Newest(10);
  REQUIRE(entries.size() == 1);
  REQUIRE(entries[0].count == 2);
  for (const std::string& text : {entries[0].object, entries[0].user, entries[0].client_info})
    REQUIRE(text.size() == AclLog::kTextBytesMax);
  for (int i = 0; i < 5; ++i) log.Add(Refused(std::to_string(i), i), 2);
  REQUIRE(log.Newest(10).size() == 2);
  REQUIRE(log.Newest(10)[0].object == "4");
  log.Add(Refused("x", 9), 0);
  REQUIRE(log.Newest(10).size() == 2);
}

}  // namespace cairn
