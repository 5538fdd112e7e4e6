// SPDX-License-Identifier: BSD-3-Clause
#include "exec/audit_log.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "commands/families.h"
#include "tests/unit/support/fault_fs.h"

using namespace cairn;

namespace {

struct Fixture {
  Fixture() {
    RegisterAllCommands(&registry);
    log.set_level(LogLevel::kNothing);
  }
  AuditEvent Event(std::string_view key) {
    AuditEvent event;
    event.command = registry.Find("set");
    event.user = "default";
    event.address = "127.0.0.1:1";
    event.keys = {key};
    return event;
  }
  // The lines of a file, if they are an unbroken chain.
  std::vector<std::string> Lines(const std::string& path) {
    std::vector<std::string> lines;
    AuditChain chain;
    std::string why;
    const std::string text = files.Get(path);
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = text.find('\n', begin);
      REQUIRE(end != std::string::npos);
      lines.push_back(text.substr(begin, end - begin));
      begin = end + 1;
      INFO(lines.back());
      REQUIRE(chain.Verify(lines.back(), &why));
    }
    return lines;
  }

  Registry registry;
  Log log;
  FaultFs files{1};
};

}  // namespace

TEST_CASE("Audit rules choose by user, command, category and key", "[exec]") {
  Fixture f;
  const auto match = [&](std::string_view rules, std::string_view user, std::string_view command,
                         std::vector<std::string_view> keys) {
    auto parsed = AuditRules::Parse(rules, f.registry);
    REQUIRE(parsed.ok());
    return parsed->Match(user, *f.registry.Find(command), keys);
  };
  REQUIRE(match("", "any", "ping", {}));
  REQUIRE(match(" ; ", "any", "ping", {}));
  REQUIRE(match("@write", "any", "set", {"k"}));
  REQUIRE_FALSE(match("@write", "any", "get", {"k"}));
  REQUIRE(match("@all", "any", "get", {"k"}));
  REQUIRE(match("config", "any", "config|set", {}));
  REQUIRE_FALSE(match("config|get", "any", "config|set", {}));
  REQUIRE(match("user:a* user:b", "b", "get", {}));
  REQUIRE_FALSE(match("user:a* user:b", "c", "get", {}));
  REQUIRE(match("~x:* ~y:*", "any", "mget", {"z:1", "y:1"}));
  REQUIRE_FALSE(match("~x:*", "any", "ping", {}));
  REQUIRE_FALSE(match("user:a @write ~x:*", "a", "set", {"y"}));
  REQUIRE(match("user:a @write ~x:*; @read get", "b", "get", {"y"}));
  REQUIRE_FALSE(AuditRules::Parse("@nosuch", f.registry).ok());
  REQUIRE_FALSE(AuditRules::Parse("nosuch", f.registry).ok());
}

TEST_CASE("What does not fit into the queue is counted, in the log too", "[exec]") {
  Fixture f;
  const std::string key(AuditLog::kKeyBytesMax, 'k');
  uint64_t dropped;
  constexpr uint64_t kEvents = 60'000;  // of more than 300 bytes each
  {
    // Nobody writes before there is a file.
    AuditLog audit(&f.files, SystemClock(), &f.log);
    for (uint64_t i = 0; i < kEvents; ++i) audit.Add(f.Event(key));
    dropped = audit.dropped();
    REQUIRE(dropped > 0);
    REQUIRE(audit.Configure("audit").ok());
  }
  const auto lines = f.Lines("audit");
  REQUIRE(lines.size() == kEvents - dropped + 1);
  REQUIRE(lines.back().find("\"event\":\"dropped\",\"count\":" + std::to_string(dropped)) !=
          std::string::npos);
}

TEST_CASE("A disk that refuses the audit log for a while loses nothing of it", "[exec]") {
  Fixture f;
  {
    AuditLog audit(&f.files, SystemClock(), &f.log);
    REQUIRE(audit.Configure("audit").ok());
    f.files.FailWrites(true);
    for (int i = 0; i < 100; ++i) audit.Add(f.Event("k" + std::to_string(i)));
    while (audit.failures() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    f.files.FailWrites(false);
    audit.Add(f.Event("last"));
  }
  const auto lines = f.Lines("audit");
  REQUIRE(lines.size() == 101);
  REQUIRE(lines.back().find("\"keys\":[\"last\"]") != std::string::npos);
}

TEST_CASE("What waits for a disk that refuses the audit log is bounded, and counted", "[exec]") {
  Fixture f;
  const std::string key(AuditLog::kKeyBytesMax, 'k');
  constexpr uint64_t kEvents = 150'000;  // of more than 300 bytes each: more than queue and batch
  uint64_t dropped;
  {
    AuditLog audit(&f.files, SystemClock(), &f.log);
    REQUIRE(audit.Configure("audit").ok());
    f.files.SetSpace(1'000'000);
    for (uint64_t i = 0; i < kEvents; ++i) audit.Add(f.Event(key));
    dropped = audit.dropped();
    REQUIRE(dropped > 0);
    f.files.SetSpace(~uint64_t{0});
  }
  const auto lines = f.Lines("audit");
  REQUIRE(lines.size() == kEvents - dropped + 1);
  REQUIRE(lines.back().find("\"event\":\"dropped\"") != std::string::npos);
}

TEST_CASE("Lines that a disk refused go into the file that takes its place", "[exec]") {
  Fixture f;
  {
    AuditLog audit(&f.files, SystemClock(), &f.log);
    REQUIRE(audit.Configure("audit").ok());
    audit.Add(f.Event("first"));
    while (audit.written() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    f.files.FailWrites(true);
    audit.Add(f.Event("second"));
    while (audit.failures() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    REQUIRE(f.files.Rename("audit", "moved").ok());
    audit.Reopen();
    while (!*f.files.Exists("audit")) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    f.files.FailWrites(false);
  }
  REQUIRE(f.Lines("moved").size() == 1);
  REQUIRE(f.Lines("audit").size() == 1);
  AuditChain chain;
  std::string why;
  REQUIRE(chain.Verify(f.Lines("moved").at(0), &why));
  REQUIRE(chain.Verify(f.Lines("audit").at(0), &why));
}

TEST_CASE("Lines that never reach the file are counted as dropped", "[exec]") {
  Fixture f;
  AuditLog audit(&f.files, SystemClock(), &f.log);
  REQUIRE(audit.Configure("audit").ok());
  f.files.FailWrites(true);
  for (int i = 0; i < 10; ++i) audit.Add(f.Event("k"));
  REQUIRE(audit.Configure("").ok());
  REQUIRE(audit.dropped() == 10);
  REQUIRE(f.files.Get("audit").empty());
}

TEST_CASE("A log that cannot begin does not end the one that is on", "[exec]") {
  Fixture f;
  {
    AuditLog audit(&f.files, SystemClock(), &f.log);
    REQUIRE(audit.Configure("audit").ok());
    f.files.Put("other", "no audit log\nat all");
    REQUIRE_FALSE(audit.Configure("other").ok());
    REQUIRE(f.files.Get("other") == "no audit log\nat all");
    REQUIRE(audit.on());
    audit.Add(f.Event("k"));
  }
  REQUIRE(f.Lines("audit").size() == 1);
}

TEST_CASE("An audit log that cannot be rotated grows", "[exec]") {
  Fixture f;
  {
    AuditLog audit(&f.files, SystemClock(), &f.log);
    audit.SetRotation(1000, 2);
    REQUIRE(audit.Configure("audit").ok());
    f.files.FailRenames(true);
    for (int i = 0; i < 100; ++i) audit.Add(f.Event("k"));
  }
  REQUIRE(f.Lines("audit").size() == 100);
}

TEST_CASE("An audit log whose new file cannot be opened moves no older ones", "[exec]") {
  Fixture f;
  {
    AuditLog audit(&f.files, SystemClock(), &f.log);
    audit.SetRotation(1, 2);  // a line a file
    REQUIRE(audit.Configure("audit").ok());
    uint64_t added = 0;
    const auto add = [&](std::string_view key) {
      audit.Add(f.Event(key));
      ++added;
      while (audit.written() != added) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
    add("first");
    f.files.FailOpens(true);
    for (int i = 0; i < 5; ++i) add("then");
    f.files.FailOpens(false);
    add("last");
  }
  REQUIRE(f.Lines("audit.1").size() == 6);
  REQUIRE(f.Lines("audit").size() == 1);
  REQUIRE_FALSE(*f.files.Exists("audit.2"));
}

TEST_CASE("The chain of an audit log goes on after a restart and a torn line", "[exec]") {
  Fixture f;
  for (int run = 0; run < 3; ++run) {
    AuditLog audit(&f.files, SystemClock(), &f.log);
    REQUIRE(audit.Configure("audit").ok());
    audit.Add(f.Event("run" + std::to_string(run)));
    REQUIRE(audit.Configure("").ok());
    f.files.Put("audit", f.files.Get("audit") + "{\"seq\":");
  }
  AuditLog audit(&f.files, SystemClock(), &f.log);
  REQUIRE(audit.Configure("audit").ok());
  REQUIRE(audit.Configure("").ok());
  REQUIRE(f.Lines("audit").size() == 3);
}
