// SPDX-License-Identifier: BSD-3-Clause
#include "spec/command_arguments.h"

#include "spec/command_docs.h"

namespace cairn {

TEST_CASE("The notation of arguments says all that COMMAND DOCS answers", "[command-arguments]") {
  const auto arguments = ParseArgumentDocs(
      "key:k1 ip:port:s [when(!NX|last-id!*|<a:i b:u>=AT)] x:s=X** [pair<f:s v:d>*]");
  REQUIRE(arguments.size() == 5);
  REQUIRE(arguments[0].name == "key");
  REQUIRE(arguments[0].type == std::string("key"));
  REQUIRE(arguments[0].key_spec == 1);
  REQUIRE_FALSE(arguments[0].optional);
  REQUIRE(arguments[1].name == "ip:port");
  REQUIRE(arguments[1].type == std::string("string"));
  REQUIRE(arguments[1].key_spec == -1);
  const ArgumentDocs& when = arguments[2];
  REQUIRE(when.optional);
  REQUIRE(when.type == std::string("oneof"));
  REQUIRE(when.arguments.size() == 3);
  REQUIRE(when.arguments[0].name == "nx");
  REQUIRE(when.arguments[0].token == "NX");
  REQUIRE(when.arguments[1].name == "last-id");
  REQUIRE(when.arguments[1].token == "*");
  REQUIRE_FALSE(when.arguments[1].multiple);
  REQUIRE(when.arguments[2].type == std::string("block"));
  REQUIRE(when.arguments[2].token == "AT");
  REQUIRE(when.arguments[2].arguments[1].type == std::string("unix-time"));
  REQUIRE((arguments[3].token == "X" && arguments[3].multiple && arguments[3].multiple_token));
  REQUIRE((arguments[4].optional && arguments[4].multiple && !arguments[4].multiple_token));
  REQUIRE(ParseArgumentDocs("").empty());
}

TEST_CASE("Every row of arguments is well formed, in order, and of a known command",
          "[command-arguments]") {
  for (auto rows : {DataCommandArguments(), ServerCommandArguments()}) {
    std::string_view before;
    for (const CommandArgumentsRow& row : rows) {
      INFO(row.name);
      REQUIRE(before < row.name);
      before = row.name;
      REQUIRE_FALSE(ParseArgumentDocs(row.arguments).empty());
      REQUIRE(FindCommandDocs(row.name).has_value());
      REQUIRE(FindCommandArguments(row.name) == row.arguments);
    }
  }
  REQUIRE(FindCommandArguments("ping") == "[message:s]");
  REQUIRE(FindCommandArguments("nosuch").empty());
}

}  // namespace cairn
