// SPDX-License-Identifier: BSD-3-Clause
#include "config/store.h"

#include <chrono>
#include <future>

#include "base/random.h"
#include "config/file_parser.h"
#include "config/rewrite.h"
#include "tests/unit/config/memory_files.h"

using namespace cairn;

namespace {

std::string LoadError(MemoryFiles* files, std::vector<std::string> arguments,
                      std::string_view standard_input = "") {
  ConfigStore store(files);
  auto line = ParseCommandLine(arguments);
  if (!line.ok()) return line.status().message();
  return store.Load(*line, standard_input).message();
}

ConfigStore::Pairs Get(const ConfigStore& store, std::vector<std::string_view> patterns) {
  return store.Get(patterns);
}

std::string Value(const ConfigStore& store, std::string_view name) {
  auto pairs = Get(store, {name});
  REQUIRE(pairs.size() == 1);
  return pairs[0].second;
}

void Load(ConfigStore* store, std::vector<std::string> arguments,
          std::string_view standard_input = "") {
  auto line = ParseCommandLine(arguments);
  REQUIRE(line.ok());
  Status status = store->Load(*line, standard_input);
  INFO(status.message());
  REQUIRE(status.ok());
}

}  // namespace

TEST_CASE("lines split into words with quotes and escapes") {
  REQUIRE(*SplitLine("  a  b\tc ") == Words{"a", "b", "c"});
  REQUIRE(*SplitLine(R"(x "a b\x41\n\"" 'it\'s \n')") == Words{"x", "a bA\n\"", "it's \\n"});
  REQUIRE(*SplitLine(R"(x "" foo"bar")") == Words{"x", "", "foobar"});
  REQUIRE(*SplitLine("\va\vb \f c") == Words{"a\vb", "c"});  // these end no word, as in Redis
  for (const char* bad : {"x \"a", "x 'a", "x \"a\"b", "x 'a'b", "x \"a\\"})
    REQUIRE_FALSE(SplitLine(bad).ok());
}

TEST_CASE("QuoteWord is undone by SplitLine for any bytes") {
  Random random(7);
  for (int i = 0; i < 5000; ++i) {
    std::string word(random.Below(12), '\0');
    for (char& c : word) c = static_cast<char>(random.Below(random.Below(2) ? 256 : 128));
    REQUIRE(*SplitLine(QuoteWord(word)) == Words{word});
    REQUIRE(*SplitLine("a " + QuoteText(word) + " b") == Words{"a", word, "b"});
  }
}

TEST_CASE("files, standard input and the command line load in this order") {
  MemoryFiles files;
  files.texts["a.conf"] = "# comment\nport 1\nhz 11\ninclude b.conf\ntimeout 3\n";
  files.texts["b.conf"] = "timeout 2\nREQUIREPASS \"a b\"\nsave 900 1\nsave 300 10 60 1\n";
  ConfigStore store(&files);
  Load(&store, {"a.conf", "-", "--port", "3", "--bind", "127.0.0.1", "-::1"}, "port 2\nhz 12");
  REQUIRE(store.config().port() == 3);
  REQUIRE(store.config().hz() == 12);
  REQUIRE(store.config().timeout() == 3);
  REQUIRE(store.config().requirepass() == "a b");
  REQUIRE(Value(store, "save") == "900 1 300 10 60 1");
  REQUIRE(store.config().bind() == Words{"127.0.0.1", "-::1"});
  REQUIRE(store.file() == "a.conf");
  REQUIRE(store.Origin("requirepass") == "b.conf:2: 'REQUIREPASS \"a b\"'");
  REQUIRE(store.Origin("port") == "command line: 'port 3'");
  REQUIRE(store.Origin("maxmemory") == "default: 'maxmemory 0'");
}

TEST_CASE("command lines are taken as redis-server takes them") {
  MemoryFiles files;
  ConfigStore store(&files);
  Load(&store, {"--save", "--port 7000", "--appendonly", "no", "--logfile", "a \"b\"",
                "--rename-command", "FLUSHALL", ""});
  REQUIRE(Value(store, "save") == "");
  REQUIRE(store.config().port() == 7000);
  REQUIRE_FALSE(store.config().appendonly());
  REQUIRE(store.config().logfile() == "a \"b\"");
  REQUIRE(store.config().renamed_commands() == WordLines{{"FLUSHALL", ""}});
  REQUIRE(store.file() == "");
  ConfigStore other(&files);
  Load(&other, {"--save", "900 1", "--timeout", "5", "-"}, "timeout 4\nport 5");
  REQUIRE(Value(other, "save") == "900 1");
  REQUIRE(other.config().timeout() == 5);
  REQUIRE(other.config().port() == 5);
}

TEST_CASE("an error at start names file, line and directive") {
  MemoryFiles files;
  files.texts["a.conf"] = "port 1\n\n  hz abc\n";
  REQUIRE(LoadError(&files, {"a.conf"}) ==
          "a.conf:3: 'hz abc': argument couldn't be parsed into an integer");
  files.texts["a.conf"] = "include b.conf";
  files.texts["b.conf"] = "nosuch 1";
  REQUIRE(LoadError(&files, {"a.conf"}) ==
          "b.conf:1: 'nosuch 1': Bad directive or wrong number of arguments");
  files.texts["b.conf"] = "port 1 2";
  REQUIRE(LoadError(&files, {"a.conf"}) == "b.conf:1: 'port 1 2': wrong number of arguments");
  files.texts["b.conf"] = "hz";
  REQUIRE(LoadError(&files, {"a.conf"}) == "b.conf:1: 'hz': wrong number of arguments");
  files.texts["b.conf"] = "hz \"1";
  REQUIRE(LoadError(&files, {"a.conf"}) ==
          "b.conf:1: 'hz \"1': Unbalanced quotes in configuration line");
  files.texts["b.conf"] = "save 900 1\nsave \"a'b\"";
  REQUIRE(LoadError(&files, {"a.conf"}) ==
          "b.conf:2: 'save \"a'b\"': Unbalanced quotes in configuration line");
  files.texts["b.conf"] = "include a.conf";
  REQUIRE(LoadError(&files, {"a.conf"}).ends_with("'include b.conf': includes nest too deep"));
  REQUIRE(LoadError(&files, {"--port", "99999"}) ==
          "command line: 'port 99999': argument must be between 0 and 65535 inclusive");
  REQUIRE(LoadError(&files, {"--port"}) == "command line: 'port': wrong number of arguments");
  REQUIRE(LoadError(&files, {"-"}, "\nhz x") ==
          "standard input:2: 'hz x': argument couldn't be parsed into an integer");
  REQUIRE(LoadError(&files, {"none.conf"}) ==
          "can't open config file: open none.conf: No such file or directory");
  REQUIRE(LoadError(&files, {"--loadmodule", "x.so"}) ==
          "command line: 'loadmodule x.so': Cairn loads no modules");
}

TEST_CASE("directives without effect are accepted, and named once if set") {
  MemoryFiles files;
  ConfigStore store(&files);
  Load(&store, {"--activedefrag", "yes", "--io-threads", "4", "--disable-thp", "yes",
                "--list-max-ziplist-entries", "3", "--repl-diskless-sync-delay", "7"});
  REQUIRE(store.InertWarning() ==
          "these directives have no effect in Cairn: io-threads, repl-diskless-sync-delay, "
          "activedefrag");
  REQUIRE(Value(store, "io-threads") == "4");
  REQUIRE(LoadError(&files, {"--io-threads", "999"}) ==
          "command line: 'io-threads 999': argument must be between 1 and 128 inclusive");
}

TEST_CASE("CONFIG GET takes names, aliases and globs") {
  ConfigStore store;
  REQUIRE(Get(store, {"HZ"}) == ConfigStore::Pairs{{"HZ", "10"}});
  REQUIRE(Get(store, {"hz", "HZ", "h?", "nosuch"}) == ConfigStore::Pairs{{"hz", "10"}});
  REQUIRE(Get(store, {"SLAVE-R*"}) == ConfigStore::Pairs{{"slave-read-only", "yes"}});
  REQUIRE(Get(store, {"lua-time-limit"}) == ConfigStore::Pairs{{"lua-time-limit", "5000"}});
  size_t names = 0;
  for (const Option& option : Options()) names += option.alias != nullptr ? 2 : 1;
  REQUIRE(Get(store, {"*"}).size() == names);
}

TEST_CASE("CONFIG SET is all or nothing") {
  ConfigStore store;
  auto set = [&](ConfigStore::Pairs pairs, bool may = false) {
    return store.Set(pairs, may).message();
  };
  REQUIRE(set({{"hz", "20"}, {"maxmemory", "1mb"}}) == "");
  REQUIRE(set({{"hz", "30"}, {"nosuch", "1"}}) ==
          "Unknown option or number of arguments for CONFIG SET - 'nosuch'");
  REQUIRE(set({{"hz", "30"}, {"timeout", "x"}}) ==
          "CONFIG SET failed (possibly related to argument 'timeout') - "
          "argument couldn't be parsed into an integer");
  REQUIRE(set({{"hz", "30"}, {"databases", "3"}}) ==
          "CONFIG SET failed (possibly related to argument 'databases') - "
          "can't set immutable config");
  REQUIRE(set({{"dir", "/"}}) ==
          "CONFIG SET failed (possibly related to argument 'dir') - can't set protected config");
  REQUIRE(set({{"dir", "/"}}, true) == "");
  REQUIRE(set({{"hz", "30"}, {"HZ", "40"}}) ==
          "CONFIG SET failed (possibly related to argument 'HZ') - duplicate parameter");
  REQUIRE(store.config().hz() == 20);
  REQUIRE(store.config().maxmemory() == 1 << 20);
}

TEST_CASE("a hook may refuse, and then nothing has changed") {
  ConfigStore store;
  std::vector<int64_t> seen;
  int joint_calls = 0;
  store.OnChange({"hz"}, [&](const Config& c) {
    seen.push_back(c.hz());
    return Status::Ok();
  });
  store.OnChange({"port", "bind"}, [&](const Config& c) {
    ++joint_calls;
    return c.port() == 1 ? Status::Invalid("Unable to listen on this port") : Status::Ok();
  });
  REQUIRE(store.Set({{"port", "5"}, {"bind", "::1"}}, false).ok());
  REQUIRE(joint_calls == 1);
  REQUIRE(store.Set({{"hz", "20"}, {"port", "1"}, {"bind", ""}}, false).message() ==
          "CONFIG SET failed (possibly related to argument 'port') - "
          "Unable to listen on this port");
  REQUIRE(seen == std::vector<int64_t>{20, 10});
  REQUIRE(store.config().port() == 5);
  REQUIRE(store.config().bind() == Words{"::1"});
}

TEST_CASE("CONFIG REWRITE keeps what need not change") {
  MemoryFiles files;
  files.texts["a.conf"] =
      "# a comment\nport 7912\n   hz   20   \nsave 900 1\n\nsave 300 10\nslave-read-only yes\n"
      "maxmemory 100mb\nmaxmemory 104857601\ninclude inc.conf\nlua-time-limit 300\n"
      "client-output-buffer-limit slave 1gb 2gb 3\n";
  files.texts["inc.conf"] = "list-compress-depth 3\n";
  ConfigStore store(&files);
  Load(&store, {"a.conf", "--timeout", "4"});
  REQUIRE(store.Rewrite().ok());
  const std::string kept =
      "# a comment\nport 7912\n   hz   20   \nsave 900 1\n\nsave 300 10\nslave-read-only yes\n";
  REQUIRE(files.texts["a.conf"] ==
          kept + "maxmemory 100mb\nmaxmemory 104857601\ninclude inc.conf\nlua-time-limit 300\n"
                 "client-output-buffer-limit slave 1gb 2gb 3\n\n"
                 "# Generated by CONFIG REWRITE\ntimeout 4\n");

  REQUIRE(store.Set({{"maxmemory", "1gb"}, {"busy-reply-threshold", "7"}, {"timeout", "0"},
                     {"list-compress-depth", "0"}, {"logfile", "x"}}, false).ok() == false);
  REQUIRE(store.Set({{"maxmemory", "1gb"}, {"busy-reply-threshold", "7"}, {"timeout", "0"},
                     {"list-compress-depth", "0"}, {"requirepass", "a \"b"}}, false).ok());
  REQUIRE(store.Rewrite().ok());
  REQUIRE(files.texts["a.conf"] ==
          kept + "maxmemory 1gb\ninclude inc.conf\nbusy-reply-threshold 7\n"
                 "client-output-buffer-limit slave 1gb 2gb 3\n\n"
                 "# Generated by CONFIG REWRITE\ntimeout 0\nlist-compress-depth 0\n"
                 "requirepass \"a \\\"b\"\n");
  const std::string done = files.texts["a.conf"];
  REQUIRE(store.Rewrite().ok());
  REQUIRE(files.texts["a.conf"] == done);

  files.fail_writes = true;
  REQUIRE(store.Set({{"hz", "9"}}, false).ok());
  REQUIRE(store.Rewrite().message() == "Rewriting config file: open a.conf.tmp: refused");
  REQUIRE(ConfigStore().Rewrite().message() == "The server is running without a config file");
}

TEST_CASE("a slow file of CONFIG REWRITE holds up no CONFIG SET") {
  MemoryFiles files;
  files.texts["a.conf"] = "port 7912\n";
  ConfigStore store(&files);
  Load(&store, {"a.conf"});
  REQUIRE(store.Set({{"hz", "9"}}, false).ok());
  std::future<Status> set;
  files.on_open = [&] {
    if (set.valid()) return;
    set = std::async(std::launch::async, [&] { return store.Set({{"hz", "8"}}, false); });
    REQUIRE(set.wait_for(std::chrono::seconds(60)) == std::future_status::ready);
  };
  REQUIRE(store.Rewrite().ok());
  REQUIRE(set.get().ok());
  REQUIRE(files.texts["a.conf"] == "port 7912\n\n# Generated by CONFIG REWRITE\nhz 9\n");
}

TEST_CASE("CONFIG REWRITE replaces user lines when it is given some") {
  Config config;
  const std::string text = "user bob on\nport 6379\nuser carol on\n# end\n";
  auto rewrite = [&](std::optional<std::vector<std::string>> users, std::string_view old) {
    return *RewriteText(RealFileSystem(), "a.conf", old, config, users);
  };
  REQUIRE(rewrite(std::nullopt, text) == text);
  REQUIRE(rewrite({{"bob off", "alice on"}}, text) ==
          "port 6379\nuser bob off\nuser alice on\n# end\n");
  REQUIRE(rewrite({{"alice on"}}, "port 6379\n") ==
          "port 6379\n\n# Generated by CONFIG REWRITE\nuser alice on\n");
}

TEST_CASE("CONFIG REWRITE's text always loads into the same configuration") {
  // Random settings over random files, an include that fights back among them.
  Random random(11);
  const std::vector<std::pair<std::string, std::vector<std::string>>> choices = {
      {"hz", {"10", "20", "30"}},
      {"save", {"", "1 2", "1 2 3 4", "3600 1 300 100 60 10000"}},
      {"bind", {"", "*", "127.0.0.1 ::1"}},
      {"maxmemory", {"0", "1gb", "12345"}},
      {"client-output-buffer-limit", {"normal 1 2 3", "slave 1kb 2 3 pubsub 0 0 0"}},
      {"requirepass", {"", "a b", "\x01\xff\"'"}},
      {"notify-keyspace-events", {"", "KEA", "Kx"}},
      {"shutdown-on-sigterm", {"default", "now force"}},
      {"maxmemory-clients", {"0", "5%", "1mb"}},
      {"latency-tracking-info-percentiles", {"", "1 2.5"}}};
  auto line = [&] {
    const auto& [name, values] = choices[random.Below(choices.size())];
    const std::string& value = values[random.Below(values.size())];
    return name + " " + (value.empty() ? "\"\"" : name == "requirepass" ? QuoteText(value) : value);
  };
  for (int round = 0; round < 300; ++round) {
    MemoryFiles files;
    for (int i = 0; i < 6; ++i) {
      files.texts["a.conf"] += line() + "\n";
      files.texts["b.conf"] += line() + "\n";
      if (random.Below(4) == 0) files.texts["a.conf"] += "include b.conf\n# note\n";
    }
    ConfigStore store(&files);
    Load(&store, {"a.conf"});
    for (int i = 0; i < 4; ++i) {
      const auto& [name, values] = choices[random.Below(choices.size())];
      REQUIRE(store.Set({{name, values[random.Below(values.size())]}}, false).ok());
    }
    Status status = store.Rewrite();
    INFO(files.texts["a.conf"] << "\n--\n" << files.texts["b.conf"] << status.message());
    REQUIRE(status.ok());
    ConfigStore again(&files);
    Load(&again, {"a.conf"});
    REQUIRE(Get(again, {"*"}) == Get(store, {"*"}));
  }
}
