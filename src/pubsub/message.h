// SPDX-License-Identifier: BSD-3-Clause
//
// A published message, encoded once and shared by everybody it goes to.
//
//   text_:  3 CRLF $7 CRLF message CRLF | $len CRLF channel CRLF $len CRLF payload CRLF
//           ^ body(): behind the type   | ^ tail(): what a pmessage says behind its pattern
//
// RESP2 and RESP3 differ in the type byte before the body alone ('*' and '>').
//
// Thread rule: written by its publisher until the hub has handed it on, constant afterwards.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace cairn {

// What one can subscribe to. Also an index. kMonitor has one name, "", and its messages are lines
// that are RESP already, the same in both versions.
enum class PubsubKind : uint8_t { kChannel, kPattern, kShard, kMonitor };
inline constexpr int kPubsubKinds = 4;

class PubsubMessage {
 public:
  // `kind` is kChannel or kShard. `hold`: the LSN that must be durable before anybody may see the
  // message; 0: none.
  PubsubMessage(PubsubKind kind, std::string_view channel, std::string_view payload, uint64_t hold);
  // A line for monitors.
  explicit PubsubMessage(std::string line);

  PubsubKind kind() const { return kind_; }
  std::string_view channel() const { return {text_.data() + channel_at_, channel_bytes_}; }
  std::string_view body() const { return text_; }
  std::string_view tail() const { return std::string_view(text_).substr(tail_at_); }
  uint64_t hold() const { return hold_; }

  // Filled in by the hub under its locks: which subscriptions are old enough to get the message,
  // and the patterns that match.
  uint64_t channel_epoch = 0;
  uint64_t pattern_epoch = 0;
  std::vector<std::string> patterns;

 private:
  const PubsubKind kind_;
  const uint64_t hold_;
  size_t tail_at_ = 0, channel_at_ = 0, channel_bytes_ = 0;
  std::string text_;
};

// What stands before tail() for those who subscribed to the pattern:
// "4 CRLF $8 CRLF pmessage CRLF $len CRLF pattern CRLF"
std::string PatternHead(std::string_view pattern);

}  // namespace cairn
