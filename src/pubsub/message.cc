// SPDX-License-Identifier: BSD-3-Clause
#include "pubsub/message.h"

#include "base/numbers.h"

namespace cairn {

namespace {

// "$len CRLF text CRLF"
void AppendBulk(std::string* out, std::string_view text) {
  char digits[kInt64CharsMax];
  out->push_back('$');
  out->append(digits, FormatUint64(digits, text.size()));
  out->append("\r\n", 2);
  out->append(text);
  out->append("\r\n", 2);
}

}  // namespace

std::string PatternHead(std::string_view pattern) {
  std::string head = "4\r\n$8\r\npmessage\r\n";
  AppendBulk(&head, pattern);
  return head;
}

PubsubMessage::PubsubMessage(PubsubKind kind, std::string_view channel, std::string_view payload,
                             uint64_t hold)
    : kind_(kind), hold_(hold), channel_bytes_(channel.size()) {
  constexpr size_t kFramingBytes = 64;
  text_.reserve(kFramingBytes + channel.size() + payload.size());
  text_ = kind == PubsubKind::kShard ? "3\r\n$8\r\nsmessage\r\n" : "3\r\n$7\r\nmessage\r\n";
  tail_at_ = text_.size();
  AppendBulk(&text_, channel);
  channel_at_ = text_.size() - 2 - channel.size();
  AppendBulk(&text_, payload);
}

PubsubMessage::PubsubMessage(std::string line)
    : kind_(PubsubKind::kMonitor), hold_(0), text_(std::move(line)) {}

}  // namespace cairn
