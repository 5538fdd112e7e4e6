// SPDX-License-Identifier: BSD-3-Clause
//
// A client of a TestEngine whose requests come as a connection's do.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "tests/unit/exec/engine_harness.h"

namespace cairn {

constexpr size_t kBigValueBytes = 300'000;

// A connection: requests come in reads of 64 KiB, but for what the parser wants to have elsewhere.
struct BigClient {
  explicit BigClient(TestEngine& test_in) : test(test_in), client(test_in) {
    client.session.incoming = &parser.own();
  }

  static std::string Encode(const std::vector<std::string>& args) {
    std::string text = "*" + std::to_string(args.size()) + "\r\n";
    for (const auto& arg : args) text += "$" + std::to_string(arg.size()) + "\r\n" + arg + "\r\n";
    return text;
  }
  std::string Send(const std::vector<std::string>& args) { return SendRaw(Encode(args)); }
  std::string SendRaw(std::string_view text) {
    while (!text.empty()) {
      const std::span<char> target = parser.ReadTarget(scratch);
      const size_t n = std::min(text.size(), target.size());
      memcpy(target.data(), text.data(), n);
      text.remove_prefix(n);
      parser.Feed(target.data(), n);
      batch.Clear();
      while (parser.Next({}, &batch) == ParseOutcome::kRequest) {}
      if (!batch.empty()) {
        argument = nullptr;
        for (std::string_view arg : batch[0].args)
          if (arg.size() >= kBigValueBytes) argument = arg.data();
        REQUIRE(client.executor.Run(client.session, batch, 0, client.out, client.clock_ms) ==
                batch.size());
      }
      parser.EndRead();
    }
    std::string reply;
    while (!client.out.empty()) {
      iovec piece;
      REQUIRE(client.out.Gather(&piece, 1, SIZE_MAX) == 1);
      reply.append(static_cast<char*>(piece.iov_base), piece.iov_len);
      client.out.Consume(piece.iov_len);
    }
    return reply;
  }
  const Entry* Find(std::string_view key) {
    const uint64_t hash = HashBytes(key);
    const KeyTable* table = test.keyspace.PeekTable(ShardOf(hash), 0);
    return table == nullptr ? nullptr
                            : table->entries.Find(hash, [key](const Entry* e) { return e->KeyIs(key); });
  }
  // Whether the key's value lies where the last request's big argument was, and is its only holder.
  bool TookOver(std::string_view key) {
    const Entry* entry = Find(key);
    return entry != nullptr && argument != nullptr && entry->form() == Entry::Form::kBlock &&
           entry->block()->data() == argument && !entry->block()->shared();
  }

  TestEngine& test;
  TestClient client;
  RequestParser parser;
  RequestBatch batch;
  std::vector<char> scratch = std::vector<char>(64 * 1024);
  const char* argument = nullptr;  // the big one of the last request
};

}  // namespace cairn
