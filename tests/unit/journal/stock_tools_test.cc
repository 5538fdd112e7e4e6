// SPDX-License-Identifier: BSD-3-Clause
//
// Writes a journal of several segments, databases and runs into the folder that the environment
// variable CAIRN_JOURNAL_OUT names. Hidden: tests/journal/stock_tools_test.sh runs it and opens
// the result with lz4, redis-server and cairn-check.
#include <stdlib.h>

#include "base/log.h"
#include "journal/journal.h"

namespace cairn {
namespace {

std::string Command(const std::vector<std::string>& words) {
  std::string text = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words)
    text += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  return text;
}

TEST_CASE("write a journal for stock tools", "[.][stock-tools]") {
  const char* dir = getenv("CAIRN_JOURNAL_OUT");
  REQUIRE(dir != nullptr);
  Log log;
  log.set_level(LogLevel::kNothing);
  JournalOptions options;
  options.fs = RealFileSystem();
  options.clock = SystemClock();
  options.log = &log;
  options.dir = dir;
  options.segment_bytes_max = 32 * 1024;
  for (int run = 0; run < 3; ++run) {
    // The last run leaves a segment with a tail behind.
    options.tail_bytes = 8 * 1024;
    if (run == 2) options.policy = FsyncPolicy::kAlways;
    auto recovered = RecoverJournal(options.fs, options.dir);
    REQUIRE(recovered.ok());
    auto journal = Journal::Open(options, std::move(*recovered));
    REQUIRE(journal.ok());
    for (int i = 0; i < 2000; ++i) {
      const std::string key = "key:" + std::to_string(i);
      std::string unit = Command({"SET", key, std::string(i % 500, 'v') + std::to_string(run)});
      if (i % 10 == 0)
        unit = Command({"MULTI"}) + Command({"INCR", "count"}) + Command({"RPUSH", "list", key}) +
               Command({"EXEC"});
      if (i == 1000) unit = Command({"SET", "big", std::string(1'500'000, 'b')});
      Reservation r = (*journal)->Reserve(0, i / 100 % 12, unit.size());
      (*journal)->Publish(r, unit);
      (*journal)->WakeIfNeeded(0);
      if (i % 200 == 0) REQUIRE((*journal)->SyncTo((*journal)->tail()).ok());
    }
    if (run < 2) REQUIRE((*journal)->Close().ok());
    if (run == 2) REQUIRE((*journal)->SyncTo((*journal)->tail()).ok());
  }
}

}  // namespace
}  // namespace cairn
