// SPDX-License-Identifier: BSD-3-Clause
#include "config/options.h"

#include <atomic>
#include <set>
#include <thread>

#include "base/numbers.h"
#include "config/file_parser.h"

using namespace cairn;

namespace {

std::string TryOption(Config* config, std::string_view name, std::string_view text) {
  Status status = SetOption(config, name, text);
  return status.ok() ? FormatOption(*FindOption(name), *config) : status.message();
}

}  // namespace

TEST_CASE("every default is what its own row accepts and prints") {
  Config config;
  std::set<std::string> names;
  for (const Option& option : Options()) {
    INFO(option.name);
    REQUIRE(names.insert(option.name).second);
    if (option.alias != nullptr) REQUIRE(names.insert(option.alias).second);
    REQUIRE(FindOption(option.name) == &option);
    REQUIRE(FormatOption(option, config) == option.fallback);
    const std::string text = option.fallback;
    auto normalized = NormalizeOption(option, {&text, 1}, config);
    REQUIRE(normalized.ok());
    REQUIRE(*normalized == option.fallback);
    REQUIRE((option.cell == nullptr) == option.is(kInert));
    REQUIRE(std::string_view(option.help).size() > 0);
  }
}

TEST_CASE("fields hold the typed defaults") {
  Config config;
  REQUIRE(config.port() == 6379);
  REQUIRE(config.appendonly());
  REQUIRE(config.appendfsync() == AppendFsync::kEverysec);
  REQUIRE(config.maxmemory_policy() == MaxmemoryPolicy::kNoEviction);
  REQUIRE(config.bind() == Words{"*", "-::*"});
  REQUIRE(config.save().size() == 3);
  REQUIRE(config.save()[1] == SavePoint{300, 100});
  REQUIRE(config.client_output_buffer_limit()[1] == BufferLimit{256 << 20, 64 << 20, 60});
  REQUIRE(config.latency_tracking_info_percentiles() == std::vector<double>{50, 99, 99.9});
  REQUIRE(config.requirepass().empty());
}

TEST_CASE("values are judged in Redis's words") {
  Config config;
  REQUIRE(TryOption(&config, "timeout", "abc") == "argument couldn't be parsed into an integer");
  REQUIRE(TryOption(&config, "PORT", "70000") ==
          "argument must be between 0 and 65535 inclusive");
  REQUIRE(TryOption(&config, "appendonly", "maybe") == "argument must be 'yes' or 'no'");
  REQUIRE(TryOption(&config, "appendfsync", "x") ==
          "argument(s) must be one of the following: everysec, always, no");
  REQUIRE(TryOption(&config, "maxmemory", "1x") == "argument must be a memory value");
  REQUIRE(TryOption(&config, "maxmemory", "100mb") == "104857600");
  REQUIRE(TryOption(&config, "hz", "1000") == "500");
  REQUIRE(TryOption(&config, "hz", "0") == "1");
  REQUIRE(TryOption(&config, "maxmemory-clients", "10%") == "10%");
  REQUIRE(config.maxmemory_clients() == -10);
  REQUIRE(TryOption(&config, "maxmemory-clients", "101%") ==
          "percentage argument must be less or equal to 100");
  REQUIRE(TryOption(&config, "maxmemory-clients", "0%") == "0");
  REQUIRE(TryOption(&config, "unixsocketperm", "770") == "770");
  REQUIRE(config.unixsocketperm() == 0770);
  REQUIRE(TryOption(&config, "unixsocketperm", "9") ==
          "argument couldn't be parsed as an octal number");
  REQUIRE(TryOption(&config, "save", "900") == "Invalid save parameters");
  REQUIRE(TryOption(&config, "save", "0 1") == "Invalid save parameters");
  REQUIRE(TryOption(&config, "save", "1 0") == "1 0");
  REQUIRE(TryOption(&config, "save", "") == "");
  REQUIRE(TryOption(&config, "client-output-buffer-limit", "slave 10 10 10 pubsub 1mb 2mb 3") ==
          "normal 0 0 0 slave 10 10 10 pubsub 1048576 2097152 3");
  REQUIRE(TryOption(&config, "client-output-buffer-limit", "REPLICA 1 2 3") ==
          "normal 0 0 0 slave 1 2 3 pubsub 1048576 2097152 3");
  REQUIRE(TryOption(&config, "client-output-buffer-limit", "foo 0 0 0") ==
          "Invalid client class specified in buffer limit configuration.");
  REQUIRE(TryOption(&config, "notify-keyspace-events", "KEA") == "AKE");
  REQUIRE(TryOption(&config, "notify-keyspace-events", "gn$mKE") == "g$nKEm");
  REQUIRE(TryOption(&config, "notify-keyspace-events", "coE") == "ocE");
  REQUIRE(TryOption(&config, "notify-keyspace-events", "KEAocn") == "AnocKE");
  REQUIRE(TryOption(&config, "notify-keyspace-events", "Z") ==
          "Invalid event class character. Use 'Ag$lshzxeKEtmdnoc'.");
  REQUIRE(TryOption(&config, "shutdown-on-sigint", "now save") == "save now");
  REQUIRE(TryOption(&config, "shutdown-on-sigint", "save nosave") ==
          "shutdown options SAVE and NOSAVE can't be used simultaneously");
  REQUIRE(TryOption(&config, "dbfilename", "a/b") ==
          "dbfilename can't be a path, just a filename");
  REQUIRE(TryOption(&config, "oom-score-adj-values", "1 2") == "wrong number of arguments");
  REQUIRE(TryOption(&config, "oom-score-adj", "relative") == "yes");
  REQUIRE(TryOption(&config, "latency-tracking-info-percentiles", "50 99.99 0") == "50 99.99 0");
  REQUIRE(TryOption(&config, "latency-tracking-info-percentiles", "101") ==
          "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
  for (const char* title : {"{title} {foo}", "", "  "})
    REQUIRE(TryOption(&config, "proc-title-template", title) ==
            "template format is invalid or contains unknown variables");
  REQUIRE(TryOption(&config, "slave-read-only", "no") ==
          "a follower of Cairn is always read-only");
  REQUIRE(TryOption(&config, "cluster-enabled", "yes") == "cluster mode is not supported yet");
  REQUIRE(TryOption(&config, "replicaof", "10.0.0.1 6379") == "10.0.0.1 6379");
  REQUIRE(TryOption(&config, "slaveof", "no one") == "");
  REQUIRE(TryOption(&config, "bind", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17") ==
          "Too many bind addresses specified.");
}

TEST_CASE("what cannot work is refused when it is asked for") {
  Config config;
  REQUIRE(TryOption(&config, "databases", "1000000") == "1000000");
  REQUIRE(TryOption(&config, "databases", "2147483647") ==
          "argument must be between 1 and 1000000 inclusive");
  // Milliseconds of it have to fit, too.
  for (const char* name : {"journal-retention-time", "repl-backlog-ttl"}) {
    REQUIRE(TryOption(&config, name, "9223372036854775") == "9223372036854775");
    REQUIRE(TryOption(&config, name, "9223372036854776") ==
            "argument must be between 0 and 9223372036854775 inclusive");
  }
  // An element of 4 GiB has no place in a list.
  REQUIRE(TryOption(&config, "proto-max-bulk-len", "3gb") == "3221225472");
  REQUIRE(TryOption(&config, "proto-max-bulk-len", "4gb") ==
          "argument must be between 1048576 and 4293918720 inclusive");
}

TEST_CASE("a reader keeps its snapshot of a text across changes") {
  Config config;
  const std::string& before = config.logfile();
  REQUIRE(SetOption(&config, "logfile", "/var/log/one").ok());
  const std::string& one = config.logfile();
  REQUIRE(SetOption(&config, "logfile", "").ok());
  REQUIRE(before.empty());
  REQUIRE(one == "/var/log/one");
  REQUIRE(&config.logfile() == &before);  // an old value is used again, not kept twice
}

// For the thread sanitizer: readers without a lock beside a writer.
TEST_CASE("values are read while they change") {
  Config config;
  std::atomic<bool> done{false};
  std::atomic<int> torn{0};
  std::thread reader([&] {
    while (!done) {
      const std::string& text = config.requirepass();
      if (!text.empty() && text != std::string(text.size(), 'x')) ++torn;
      const BufferLimit limit = config.client_output_buffer_limit()[0];
      if (limit.hard_bytes != limit.soft_bytes) ++torn;
      if (config.hz() < 1 || config.bind().size() > 2) ++torn;
    }
  });
  for (int i = 0; i < 300; ++i) {
    const std::string n = std::to_string(i % 50);
    REQUIRE(SetOption(&config, "requirepass", std::string(static_cast<size_t>(i % 50), 'x')).ok());
    REQUIRE(
        SetOption(&config, "client-output-buffer-limit", "normal " + n + " " + n + " 1").ok());
    REQUIRE(SetOption(&config, "hz", n).ok());
    REQUIRE(SetOption(&config, "bind", i % 2 ? "* -::*" : "127.0.0.1").ok());
  }
  done = true;
  reader.join();
  REQUIRE(torn == 0);
}

// conf/cairn.conf is the manual: it names every option that does something once, in the table's
// order, with its default; those without effect stand in one comment at its end.
TEST_CASE("conf/cairn.conf documents every option with its default") {
  auto text = RealFileSystem()->ReadFile("conf/cairn.conf");
  REQUIRE(text.ok());
  auto directives = ParseText(RealFileSystem(), "cairn.conf", *text);
  REQUIRE(directives.ok());
  std::vector<std::string> order, expected;
  for (const Directive& directive : *directives)
    if (order.empty() || order.back() != directive.words[0]) order.push_back(directive.words[0]);
  for (const Option& option : Options())
    if (!option.is(kInert)) expected.push_back(option.name);
  REQUIRE(order == expected);

  Config loaded;
  REQUIRE(ApplyDirectives(*directives, &loaded).ok());
  for (const Option& option : Options()) {
    INFO(option.name);
    REQUIRE(text->find(option.name) != std::string::npos);
    // An address that only this machine reaches is the better start for a file; a server without
    // a file listens everywhere, as Redis does.
    const bool bind = option.name == std::string_view("bind");
    REQUIRE(FormatOption(option, loaded) == (bind ? "127.0.0.1 -::1" : option.fallback));
  }
}
