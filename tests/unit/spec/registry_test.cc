// SPDX-License-Identifier: BSD-3-Clause
//
// Command look-up: names of every length in every spelling, and what is close to one.
#include "spec/registry.h"

#include <cctype>
#include <string>
#include <vector>

namespace cairn {
namespace {

const Command* Resolve(const Registry& registry, std::vector<std::string_view> words) {
  return registry.Resolve({words.data(), words.size()}, nullptr);
}

CommandSpec Row(const char* name) {
  CommandSpec row = {};
  row.name = name;
  row.arity = -1;
  return row;
}

TEST_CASE("registry: names of all lengths, in any case") {
  Registry registry;
  std::vector<std::string> names;
  for (size_t length = 1; length <= 20; ++length) {
    for (char c : {'A', 'M', 'Z', '1', '_'}) {
      std::string name(length, 'Q');
      name[length - 1] = c;
      names.push_back(name);
      if (length == 1) continue;
      name[0] = c;
      name[length - 1] = 'Q';
      names.push_back(name);
    }
  }
  std::vector<CommandSpec> rows;
  for (const std::string& name : names) rows.push_back(Row(name.c_str()));
  registry.Add(rows);
  for (const std::string& name : names) {
    std::string lower = name, mixed = name;
    for (size_t i = 0; i < name.size(); ++i) {
      lower[i] = static_cast<char>(tolower(name[i]));
      if (i % 2 == 1) mixed[i] = lower[i];
    }
    const Command* command = Resolve(registry, {name});
    REQUIRE(command != nullptr);
    REQUIRE(command->name == lower);
    REQUIRE(Resolve(registry, {lower}) == command);
    REQUIRE(Resolve(registry, {mixed}) == command);
    REQUIRE(registry.Find(mixed) == command);
  }
}

TEST_CASE("registry: what only resembles a name is unknown") {
  Registry registry;
  const CommandSpec rows[] = {Row("GET"), Row("ZRANGEBYSCORE"), Row("ZREMRANGEBYSCORE")};
  registry.Add(rows);
  for (const char* name : {"get", "zrangebyscore", "zremrangebyscore"}) {
    const std::string right = name;
    REQUIRE(Resolve(registry, {right}) != nullptr);
    for (size_t i = 0; i < right.size(); ++i) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string other = right;
        other[i] = static_cast<char>(byte);
        const bool same = tolower(byte) == right[i] && byte < 128;
        REQUIRE((Resolve(registry, {other}) != nullptr) == same);
      }
    }
    REQUIRE(Resolve(registry, {right + std::string(1, '\0')}) == nullptr);
    REQUIRE(Resolve(registry, {right.substr(0, right.size() - 1)}) == nullptr);
  }
  REQUIRE(Resolve(registry, {""}) == nullptr);
  REQUIRE(Resolve(registry, {std::string_view("\0", 1)}) == nullptr);
  REQUIRE(Resolve(registry, {std::string(100, 'g')}) == nullptr);
}

TEST_CASE("registry: a memo answers as the registry does, again and again") {
  Registry registry;
  std::vector<std::string> names = {"GET", "GETSET", "SET", "EXACTLY8", "NINEBYTES", "CONFIG"};
  for (int i = 0; i < 200; ++i) names.push_back("C" + std::to_string(i));  // more than it holds
  std::vector<CommandSpec> rows;
  for (const std::string& name : names) rows.push_back(Row(name.c_str()));
  rows.push_back(Row("CONFIG|GET"));
  rows.push_back(Row("CONFIG|SET"));
  registry.Add(rows);
  CommandMemo memo(&registry);
  std::vector<std::string> asked = names;
  for (const char* other : {"get", "gEt", "GET ", "GE", "", "exactly8", "exactly88"})
    asked.push_back(other);
  asked.push_back(std::string("GET\0", 4));
  asked.push_back(std::string(1, '\0'));
  for (int round = 0; round < 3; ++round) {
    for (const std::string& name : asked) {
      for (const char* argument : {"get", "SET", "nothing"}) {
        const std::string_view words[] = {name, argument};
        const Command* parent = nullptr;
        const Command* of_memo = nullptr;
        REQUIRE(memo.Resolve(words, &of_memo) == registry.Resolve(words, &parent));
        REQUIRE(of_memo == parent);
      }
    }
  }
}

TEST_CASE("registry: containers, and renamed commands") {
  Registry registry;
  const CommandSpec rows[] = {Row("CONFIG"), Row("CONFIG|GET"), Row("GET")};
  registry.Add(rows);
  REQUIRE(Resolve(registry, {"config", "GeT"})->full_name == "config|get");
  REQUIRE(Resolve(registry, {"config|get"}) == nullptr);
  const Command* parent = nullptr;
  const std::string_view wrong[] = {"config", "nothing"};
  REQUIRE(registry.Resolve(wrong, &parent) == nullptr);
  REQUIRE(parent == registry.Find("config"));
  const Command* get = registry.Find("get");
  REQUIRE(registry.Rename("get", "a-much-longer-name-than-before"));
  REQUIRE(Resolve(registry, {"GET"}) == nullptr);
  REQUIRE(Resolve(registry, {"A-much-longer-name-than-before"}) == get);
  REQUIRE(registry.Rename("config", ""));
  REQUIRE(Resolve(registry, {"config", "get"}) == nullptr);
}

}  // namespace
}  // namespace cairn
