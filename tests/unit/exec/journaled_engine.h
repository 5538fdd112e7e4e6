// SPDX-License-Identifier: BSD-3-Clause
//
// An engine whose units are recorded in a journal on a file system that fails on demand.
#pragma once

#include <string>
#include <string_view>

#include "journal/stripes.h"
#include "tests/unit/exec/engine_harness.h"
#include "tests/unit/journal/journal_harness.h"

namespace cairn {

struct JournaledEngine : TestEngine {
  explicit JournaledEngine(FsyncPolicy policy) : files(1) {
    files.options.policy = policy;
    REQUIRE(files.Open().ok());
    engine->journal = engine->open_journal = files.journal.get();
    if (policy == FsyncPolicy::kAlways) engine->stripes = &stripes;
  }
  ~JournaledEngine() { engine->journal = engine->open_journal = nullptr; }

  // What the stream gained since the last call, a command in braces.
  std::string NewEffects() {
    REQUIRE(files.journal->SyncTo(files.journal->tail()).ok());
    std::string bytes = files.ReadAll(files.journal->manifest(), seen, files.journal->tail());
    REQUIRE_FALSE(bytes.starts_with("ERROR"));
    seen += bytes.size();
    RequestParser parser;
    RequestBatch batch;
    parser.Feed(bytes.data(), bytes.size());
    while (parser.Next({}, &batch) == ParseOutcome::kRequest) {
    }
    std::string text;
    for (size_t i = 0; i < batch.size(); ++i) {
      std::string words;
      for (std::string_view word : batch[i].args)
        words += (words.empty() ? "" : " ") + std::string(word);
      text += "{" + words + "}";
    }
    return text;
  }

  JournalHarness files;
  LsnStripes stripes;
  Lsn seen = 0;
};

}  // namespace cairn
