// SPDX-License-Identifier: BSD-3-Clause
//
// What the request parser's tests share: text fed as a connection's reads, and what comes of it.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "resp/request_parser.h"

namespace cairn {

using Args = std::vector<std::string>;

// Feeds text in pieces, each from memory that is overwritten afterwards, as a scratch buffer is.
class TextFeeder {
 public:
  explicit TextFeeder(ParseLimits limits = {}) : limits_(limits), scratch_(64 * 1024) {}

  void Feed(std::string_view bytes) {
    while (!bytes.empty()) {
      std::span<char> target = parser_.ReadTarget(scratch_);
      size_t n = std::min(bytes.size(), target.size());
      memcpy(target.data(), bytes.data(), n);
      parser_.Feed(target.data(), n);
      Drain();
      parser_.EndRead();
      REQUIRE(parser_.in_request() == (parser_.buffered_bytes() > 0));
      memset(scratch_.data(), 'Z', scratch_.size());
      bytes.remove_prefix(n);
    }
  }

  void Drain() {
    RequestBatch batch;
    ParseOutcome outcome;
    while ((outcome = parser_.Next(limits_, &batch)) == ParseOutcome::kRequest) {}
    for (size_t i = 0; i < batch.size(); i++) {
      requests_.emplace_back(batch[i].args.begin(), batch[i].args.end());
      raw_.emplace_back(batch[i].raw);
    }
    if (outcome == ParseOutcome::kError) error_ = parser_.error();
  }

  ParseLimits limits_;
  RequestParser parser_;
  std::vector<char> scratch_;
  std::vector<Args> requests_;
  std::vector<std::string> raw_;
  std::string error_;
};

inline std::string AsResp(const Args& args) {
  std::string text = "*" + std::to_string(args.size()) + "\r\n";
  for (const auto& arg : args) text += "$" + std::to_string(arg.size()) + "\r\n" + arg + "\r\n";
  return text;
}

inline std::pair<std::vector<Args>, std::string> Parsed(std::string_view text,
                                                       ParseLimits limits = {}) {
  TextFeeder feeder(limits);
  feeder.Feed(text);
  return {feeder.requests_, feeder.error_};
}

inline std::string ErrorIn(std::string_view text, ParseLimits limits = {}) {
  auto [requests, error] = Parsed(text, limits);
  // The same byte by byte, but for long ones.
  if (text.size() < 100) {
    TextFeeder feeder(limits);
    for (char c : text) feeder.Feed({&c, 1});
    REQUIRE(feeder.requests_ == requests);
    REQUIRE(feeder.error_ == error);
  }
  return error;
}

// A connection whose reads take as much as there is and fits.
struct ReadingParser {
  // One read of at most `bytes`. Returns what was read.
  size_t Read(std::string_view text, size_t bytes) {
    const std::span<char> target = parser.ReadTarget(scratch);
    const size_t n = std::min({text.size(), target.size(), bytes});
    memcpy(target.data(), text.data(), n);
    parser.Feed(target.data(), n);
    batch.Clear();
    while (parser.Next({}, &batch) == ParseOutcome::kRequest) {}
    return n;
  }
  // Whole reads until there is a request; at most `text`. EndRead is owed.
  void ReadToRequest(std::string_view* text) {
    while (batch.empty()) {
      REQUIRE(!text->empty());
      parser.EndRead();
      text->remove_prefix(Read(*text, SIZE_MAX));
    }
  }

  RequestParser parser;
  RequestBatch batch;
  std::vector<char> scratch = std::vector<char>(64 * 1024);
};

}  // namespace cairn
