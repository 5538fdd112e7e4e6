// SPDX-License-Identifier: BSD-3-Clause
//
// libFuzzer target: any bytes, cut anywhere, must parse to the same requests and the same error
// as in one piece; what is not executed must parse again. The first input bytes choose the cuts.
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "resp/request_parser.h"

namespace cairn {
namespace {

struct Outcome {
  std::vector<std::vector<std::string>> requests;
  std::string error;
  bool operator==(const Outcome&) const = default;
};

// Feeds `text` in pieces of at most `piece` bytes from memory of exactly that size, so that the
// address sanitizer sees every step too far. With `rewind`, some requests are put back first.
Outcome Run(std::string_view text, size_t piece, bool authenticated, bool rewind) {
  ParseLimits limits;
  limits.bulk_bytes_max = 1 << 20;
  limits.authenticated = authenticated;
  RequestParser parser;
  RequestBatch batch;
  Outcome outcome;
  Random random(piece * 2 + rewind);
  while (outcome.error.empty()) {
    std::vector<char> scratch(1 + random.Below(piece));
    std::span<char> target = parser.ReadTarget(scratch);
    size_t n = std::min(text.size(), target.size());
    memcpy(target.data(), text.data(), n);
    text.remove_prefix(n);
    if (n > 0) parser.Feed(target.data(), n);
    batch.Clear();
    ParseOutcome next = ParseOutcome::kRequest;
    while (batch.size() < 5 && next == ParseOutcome::kRequest) next = parser.Next(limits, &batch);
    bool stop = rewind && !batch.empty() && random.Below(2) == 0;
    size_t executed = stop ? random.Below(batch.size() + 1) : batch.size();
    for (size_t i = 0; i < executed; i++) {
      auto& copy = outcome.requests.emplace_back();
      for (std::string_view arg : batch[i].args) copy.emplace_back(arg);
    }
    bool all = executed == batch.size();
    if (!all) parser.Rewind(batch[executed]);
    parser.EndRead();
    if (all && next == ParseOutcome::kError) outcome.error = parser.error();
    if (all && next == ParseOutcome::kNeedMore && text.empty()) break;
  }
  return outcome;
}

}  // namespace
}  // namespace cairn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  size_t piece = 1 + data[0];
  bool authenticated = data[1] & 1;
  std::string_view text(reinterpret_cast<const char*>(data + 2), size - 2);
  cairn::Outcome whole = cairn::Run(text, 64 * 1024, authenticated, false);
  CHECK(cairn::Run(text, piece, authenticated, false) == whole);
  CHECK(cairn::Run(text, piece, authenticated, true) == whole);
  return 0;
}
