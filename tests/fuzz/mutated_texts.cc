// SPDX-License-Identifier: BSD-3-Clause
#include "tests/fuzz/mutated_texts.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "acl/user.h"
#include "acl/users.h"
#include "config/rewrite.h"
#include "config/store.h"
#include "exec/audit_log.h"
#include "tests/fuzz/mutation.h"

namespace cairn {
namespace {

constexpr char kUsers[] =
    "user default on nopass ~* &* +@all\n"
    "user one on >secret #e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 ~a:* "
    "%R~b:* %W~c &chan* -@all +get +config|get -@dangerous (~d:* +set +hset|x) db=1,2\n"
    "user two off resetkeys resetchannels clearselectors nopass allkeys allcommands\n";
constexpr char kConfig[] =
    "port 6400\nbind 127.0.0.1 -::1\nsave 3600 1 300 100\nmaxmemory 100mb\nappendfsync always\n"
    "client-output-buffer-limit normal 0 0 0 pubsub 32mb 8mb 60\nrename-command FLUSHALL \"\"\n"
    "user alice on >\"p\\x41w d\" ~* +@all\nnotify-keyspace-events KEA\nhz 500\nunixsocketperm "
    "700\n"
    "oom-score-adj-values 0 200 800\nlogfile '/tmp/a \\'b\\''\nproc-title-template {title}\n";

constexpr char kAuditRules[] =
    "user:al* @write ~secret:* ; @dangerous config|set;get ~a[b-d]? ~*; user:x user:y set";

// A file of users is taken or refused; what is taken is written so that it is read again.
void TryUsers(Random& random, const std::vector<std::string>& splices) {
  std::string text = kUsers;
  Mutate(random, splices, &text);
  Users all(&FuzzedCommands());
  std::vector<std::string> lost;
  if (!all.Load("users", text, &lost).ok()) return;
  Users again(&FuzzedCommands());
  if (!again.Load("users", all.Text(), &lost).ok() || again.Text() != all.Text())
    Finding(("users that were taken are not written as they are: " + all.Text()).c_str());
}

// The same for ACL SETUSER, whose words may hold any byte: one after the other, each taken whole or
// leaving the user as it was.
void TryRules(Random& random, const std::vector<std::string>& splices) {
  User user("u", &FuzzedCommands(), random.Below(2) == 0);
  for (uint64_t n = 1 + random.Below(6); n > 0; --n) {
    const std::vector<std::string_view> known = SplitAclWords(kUsers);
    std::string word(known[random.Below(known.size())]);
    if (random.Below(3) != 0) Mutate(random, splices, &word);
    const std::string before = user.Describe();
    const std::string_view words[] = {word};
    if (!user.Apply(words).ok() && user.Describe() != before)
      Finding("a rule that was refused changed the user");
  }
  const std::string line = user.Describe();
  const std::vector<std::string_view> words = SplitAclWords(line);
  User again("u", &FuzzedCommands(), false);
  if (!again.Apply(std::span(words).subspan(2)).ok() || again.Describe() != line)
    Finding(("rules that were taken are not written as they are: " + line).c_str());
}

// A configuration that is taken can be rewritten: RewriteText looks itself whether its text says
// what is in force.
void TryConfig(Random& random, const std::vector<std::string>& splices) {
  std::string text = kConfig;
  Mutate(random, splices, &text);
  OneFile nothing;
  ConfigStore store(&nothing);
  CommandLine line;
  line.standard_input = true;
  if (!store.Load(line, text).ok() || random.Below(4) != 0) return;
  // Renamed commands are only in the file, wherever it is.
  const std::string old = random.Below(2) == 0 ? text : "hz 10\ninclude more\n";
  const auto rewritten = RewriteText(&nothing, "c", old, store.config(), std::nullopt);
  if (!rewritten.ok())
    Finding(("what was loaded cannot be rewritten: " + rewritten.status().message()).c_str());
}

}  // namespace

void TryTexts(Random& random) {
  static const std::vector<std::string> splices = {" ~*",
                                                   " +@",
                                                   "\n",
                                                   "\"",
                                                   "'",
                                                   "(",
                                                   ")",
                                                   "|",
                                                   "%RW~",
                                                   " 99999999999999999999",
                                                   "\\x",
                                                   " -1",
                                                   std::string(1, '\0'),
                                                   "user "};
  TryUsers(random, splices);
  TryRules(random, splices);
  TryConfig(random, splices);
  std::string rules = kAuditRules;
  Mutate(random, splices, &rules);
  (void)AuditRules::Parse(rules, FuzzedCommands());
}

}  // namespace cairn
