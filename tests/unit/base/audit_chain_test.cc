// SPDX-License-Identifier: BSD-3-Clause
#include "base/audit_chain.h"

#include <catch2/catch.hpp>
#include <vector>

using namespace cairn;

namespace {

std::vector<std::string> Lines(size_t count) {
  AuditChain chain;
  std::vector<std::string> lines;
  for (size_t i = 0; i < count; ++i) {
    std::string line = chain.Seal("\"event\":\"e" + std::to_string(i) + "\"", i == 0);
    REQUIRE(line.back() == '\n');
    line.pop_back();
    lines.push_back(line);
  }
  return lines;
}

bool Holds(const std::vector<std::string>& lines) {
  AuditChain chain;
  std::string why;
  for (const std::string& line : lines)
    if (!chain.Verify(line, &why)) return false;
  return true;
}

}  // namespace

TEST_CASE("The first line of an audit log is frozen", "[base]") {
  REQUIRE(Lines(1)[0] ==
          "{\"seq\":1,\"prev\":\"" + std::string(64, '0') +
              "\",\"event\":\"e0\",\"hash\":"
              "\"578fa1506ad7d6865137a2323b0e47bf88dd5702d6a426fb619e69495c34c485\"}");
}

TEST_CASE("A chain of audit lines shows every change", "[base]") {
  const auto lines = Lines(5);
  REQUIRE(Holds(lines));
  for (size_t i = 0; i < lines.size(); ++i) {
    auto changed = lines;
    const size_t at = changed[i].find("\"e") + 2;
    changed[i][at] = 'x';
    REQUIRE_FALSE(Holds(changed));
    if (i > 0 && i + 1 < lines.size()) {
      auto missing = lines;
      missing.erase(missing.begin() + static_cast<std::ptrdiff_t>(i));
      REQUIRE_FALSE(Holds(missing));
    }
    auto repeated = lines;
    repeated.insert(repeated.begin() + static_cast<std::ptrdiff_t>(i), lines[i]);
    REQUIRE_FALSE(Holds(repeated));
  }
  auto swapped = lines;
  std::swap(swapped[2], swapped[3]);
  REQUIRE_FALSE(Holds(swapped));
  REQUIRE_FALSE(Holds({"", "{}"}));
  REQUIRE_FALSE(Holds({"{\"seq\":1}"}));
}

TEST_CASE("A chain goes on in the next file", "[base]") {
  const auto lines = Lines(2);
  AuditChain reader;
  std::string why;
  for (const std::string& line : lines) REQUIRE(reader.Verify(line, &why));
  AuditChain writer(reader.sequence(), reader.hash());
  std::string next = writer.Seal("\"event\":\"x\"", true);
  next.pop_back();
  REQUIRE(reader.Verify(next, &why));
  REQUIRE(reader.sequence() == 3);
  AuditChain alone;  // a file in the middle may be read alone
  REQUIRE(alone.Verify(next, &why));
}

TEST_CASE("Text inside JSON", "[base]") {
  std::string out;
  AppendJsonText(&out, std::string_view("a\"\\\n\x7f\xff\0b", 8));
  REQUIRE(out == "a\\\"\\\\\\u000a\\u007f\\u00ff\\u0000b");
}
