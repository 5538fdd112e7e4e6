// SPDX-License-Identifier: BSD-3-Clause
#include "script/registry.h"

#include "script/sha1.h"

namespace cairn {
namespace {

std::shared_ptr<const Script> Add(ScriptRegistry* registry, const std::string& body, bool pin) {
  return registry->Add(body, Sha1Hex(body), {}, pin);
}

TEST_CASE("a script is found by its name until it is flushed") {
  ScriptRegistry registry;
  REQUIRE(Sha1Hex("return 1") == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
  const auto script = Add(&registry, "return 1", false);
  REQUIRE(registry.Find(script->sha) == script);
  REQUIRE(Add(&registry, "return 1", false) == script);
  REQUIRE(registry.size() == 1);
  const uint64_t generation = registry.generation();
  registry.Flush();
  REQUIRE(registry.generation() != generation);
  REQUIRE(registry.Find(script->sha) == nullptr);
  REQUIRE(script->dropped);
}

TEST_CASE("what EVAL brought and nobody used for longest is evicted; what was loaded stays") {
  ScriptRegistry registry;
  const auto loaded = Add(&registry, "loaded", true);
  const auto used = Add(&registry, "used", false);
  const auto idle = Add(&registry, "idle", false);
  for (size_t i = 0; i < ScriptRegistry::kEvalScriptsMax - 2; ++i)
    Add(&registry, "filler " + std::to_string(i), false);
  REQUIRE(registry.size() == ScriptRegistry::kEvalScriptsMax + 1);
  registry.Touch(*used);
  Add(&registry, "one more", false);
  REQUIRE(registry.evicted() == 1);
  REQUIRE(idle->dropped);
  REQUIRE(registry.Find(idle->sha) == nullptr);
  REQUIRE(registry.Find(used->sha) == used);
  REQUIRE(registry.Find(loaded->sha) == loaded);
  // A script that SCRIPT LOAD names afterwards is out of the count.
  Add(&registry, "used", true);
  Add(&registry, "yet another", false);
  REQUIRE(registry.evicted() == 1);
}

TEST_CASE("a shebang is read word by word") {
  const auto read = [](const char* text, Shebang* shebang) {
    std::string error;
    *shebang = {};
    return ReadShebang(text, shebang, &error) ? std::string() : error;
  };
  Shebang shebang;
  REQUIRE(read("return 1", &shebang).empty());
  REQUIRE(shebang.flags == kScriptCompat);
  REQUIRE(shebang.code_offset == 0);
  REQUIRE(read("#!lua flags=no-writes,allow-oom flags=allow-stale\nreturn 1", &shebang).empty());
  REQUIRE(shebang.flags == (kScriptNoWrites | kScriptAllowOom | kScriptAllowStale));
  REQUIRE(shebang.code_offset == 49);
  REQUIRE(read("#!lua", &shebang) == "ERR Invalid script shebang");
  REQUIRE(read("#!luau\n", &shebang) == "ERR Unexpected engine in script shebang: #!luau");
  REQUIRE(read("#!lua flags=x\n", &shebang) == "ERR Unexpected flag in script shebang: x");
}

}  // namespace
}  // namespace cairn
