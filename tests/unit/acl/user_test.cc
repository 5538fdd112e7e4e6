// SPDX-License-Identifier: BSD-3-Clause
//
// Rules of users: the canonical text says all (a user made from it decides alike), errors change
// nothing, and what is allowed by hand-written rules.
#include "acl/users.h"
#include "base/random.h"
#include "commands/families.h"

namespace cairn {
namespace {

const Registry& TheRegistry() {
  static const Registry* const registry = [] {
    auto* r = new Registry;
    RegisterAllCommands(r);
    return r;
  }();
  return *registry;
}

std::vector<std::string_view> RuleWords(const std::string& line) { return SplitAclWords(line); }

bool Allows(const User& user, std::vector<std::string_view> call, bool write = false,
            int database = 0) {
  const Command* command = TheRegistry().Resolve(call, nullptr);
  REQUIRE(command != nullptr);
  std::vector<AclKeyUse> keys;
  if (command->single_key != 0) keys.push_back({command->single_key, !write, write});
  const std::vector<AclChannelUse> channels;
  const std::vector<int> databases{database};
  int position = 0;
  return user.Check({command, call, &keys, &channels, &databases}, &position) == AclDenial::kNone;
}

User Make(const std::string& rules) {
  User user("u", &TheRegistry(), false);
  REQUIRE(user.Apply(RuleWords(rules)).ok());
  return user;
}

TEST_CASE("a new user may do nothing", "[acl]") {
  const User user("u", &TheRegistry(), false);
  REQUIRE(user.Describe() == "user u off sanitize-payload resetchannels -@all");
  REQUIRE(!Allows(user, {"GET", "k"}));
  REQUIRE(Allows(user, {"QUIT"}));
  REQUIRE(!user.Accepts(""));
}

TEST_CASE("commands, categories and subcommands", "[acl]") {
  User user = Make("~* +@read -get +config|get +select|0 +@all -@dangerous +flushall");
  REQUIRE(user.selectors()[0].DescribeCommands() == "+@all -@dangerous +flushall");
  REQUIRE(Allows(user, {"GET", "k"}));
  REQUIRE(Allows(user, {"FLUSHALL"}));
  REQUIRE(!Allows(user, {"KEYS", "*"}));
  user = Make("~* -@all +config|get +select|0 +object");
  REQUIRE(Allows(user, {"CONFIG", "GET", "x"}));
  REQUIRE(!Allows(user, {"CONFIG", "SET", "x", "y"}));
  REQUIRE(Allows(user, {"SELECT", "0"}));
  REQUIRE(!Allows(user, {"SELECT", "1"}));
  REQUIRE(Allows(user, {"OBJECT", "FREQ", "k"}));
  // A rule on a container replaces those on its subcommands.
  user = Make("+config|get +config|set -config");
  REQUIRE(user.selectors()[0].DescribeCommands() == "-@all -config");
}

TEST_CASE("keys to read, to write, and selectors", "[acl]") {
  const User user = Make("+@all %R~r:* %W~w:* ~both:* (+get ~extra:*)");
  REQUIRE(Allows(user, {"GET", "r:1"}));
  REQUIRE(!Allows(user, {"SET", "r:1", "v"}, true));
  REQUIRE(Allows(user, {"SET", "w:1", "v"}, true));
  REQUIRE(!Allows(user, {"GET", "w:1"}));
  REQUIRE(Allows(user, {"GET", "both:x"}));
  REQUIRE(Allows(user, {"GET", "extra:x"}));
  REQUIRE(!Allows(user, {"STRLEN", "extra:x"}));
}

TEST_CASE("databases", "[acl]") {
  const User user = Make("+@all ~* &* db=0,2");
  REQUIRE(user.Describe() == "user u off sanitize-payload ~* &* db=0,2 +@all");
  REQUIRE(!user.unrestricted());
  REQUIRE(Allows(user, {"GET", "k"}, false, 2));
  REQUIRE(!Allows(user, {"GET", "k"}, false, 1));
  REQUIRE(Make("+@all ~* &* db=1 alldbs").unrestricted());
}

TEST_CASE("passwords", "[acl]") {
  User user = Make("on >one >two");
  REQUIRE(user.Accepts("one"));
  REQUIRE(user.Accepts("two"));
  REQUIRE(!user.Accepts("three"));
  REQUIRE(user.Apply(RuleWords("<one")).ok());
  REQUIRE(!user.Accepts("one"));
  REQUIRE(!user.Apply(RuleWords("<one")).ok());
  REQUIRE(user.Apply(RuleWords("nopass")).ok());
  REQUIRE(user.Accepts("anything"));
  REQUIRE(Make("#" + Sha256Hex("x")).Accepts("x"));
  REQUIRE(Sha256Hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("an error changes nothing", "[acl]") {
  User user = Make("on ~a* +get >pw");
  const std::string before = user.Describe();
  for (const char* rules :
       {"+set +nosuch", "~b* %X~c", "+set foo", "+set (+get", "-get !00", "~x +@nosuch", "%~a",
        "+config|get|x", "+select|", "db=a", "~a ~* ~b"})
    REQUIRE(!user.Apply(RuleWords(rules)).ok());
  REQUIRE(user.Describe() == before);
  // One word, which would be several where a file of users is read.
  const std::string_view blank[] = {"+get|a\nuser eve on nopass +@all"};
  REQUIRE(!user.Apply(blank).ok());
  const std::string_view inner_end[] = {"(~a) ~b)"};
  REQUIRE(!user.Apply(inner_end).ok());
  REQUIRE(user.Describe() == before);
}

TEST_CASE("the canonical text makes the same user", "[acl]") {
  Random random(20);
  const char* const kRules[] = {
      "on", "off", ">pw", ">other", "~a*", "~b:?", "%R~r*", "%W~w*", "%RW~x", "resetkeys", "&ch*",
      "resetchannels", "+@all", "-@all", "+@read", "-@write", "+@string", "-@dangerous", "+get",
      "-get", "+set", "-config", "+config|get", "-config|set", "+select|0", "+select|1", "+acl",
      "db=0", "db=3,1", "alldbs", "(+@read ~s*)", "(+set %W~t* &z)", "clearselectors", "reset",
      "resetpass", "nopass", "skip-sanitize-payload"};
  for (int round = 0; round < 500; ++round) {
    User user("u", &TheRegistry(), false);
    for (int i = 0; i < 12; ++i) {
      const std::string_view word = kRules[random.Below(std::size(kRules))];
      REQUIRE(user.Apply({&word, 1}).ok());
    }
    const std::string text = user.Describe();
    User again("u", &TheRegistry(), false);
    const auto words = RuleWords(text);
    REQUIRE(again.Apply(std::span(words).subspan(2)).ok());
    REQUIRE(again.Describe() == text);
    for (const auto& command : TheRegistry().all()) {
      const std::string_view call[] = {"x", "0"};
      const std::vector<AclKeyUse> keys;
      const std::vector<AclChannelUse> channels;
      const std::vector<int> databases{1};
      int position;
      const AclCall asked{command.get(), call, &keys, &channels, &databases};
      REQUIRE(user.Check(asked, &position) == again.Check(asked, &position));
    }
  }
}

TEST_CASE("a file of users replaces all, or nothing", "[acl]") {
  Users users(&TheRegistry());
  REQUIRE(users.Set("old", RuleWords("on nopass +get")).ok());
  REQUIRE(users.Set("same", RuleWords("on +get")).ok());
  const auto same = users.Find("same");
  std::vector<std::string> gone;
  REQUIRE(!users.Load("f", "user a on\nuser a off\n", &gone).ok());
  REQUIRE(users.Find("old") != nullptr);
  const Status bad = users.Load("f", "user a on\n\n# note\nusers b\n", &gone);
  REQUIRE(bad.message() == "f:4: should start with user keyword followed by the username");
  gone.clear();
  REQUIRE(users.Load("f", "user default on >pw +@all ~* &*\nuser same on +get\nuser b on\n", &gone).ok());
  REQUIRE(users.Find("old") == nullptr);
  REQUIRE(users.Find("same") == same);
  REQUIRE(gone == std::vector<std::string>{"old"});
  REQUIRE(!users.default_open());
  REQUIRE(users.Authenticate("default", "pw") == users.default_user());
  REQUIRE(users.Authenticate("default", "no") == nullptr);
  gone.clear();
  REQUIRE(users.Load("f", users.Text(), &gone).ok());
  REQUIRE(gone.empty());
}

}  // namespace
}  // namespace cairn
