// SPDX-License-Identifier: BSD-3-Clause
//
// The reply of members with or without scores: RESP2 lists them flat, RESP3 in pairs.
#pragma once

#include <string_view>

#include "resp/reply_writer.h"

namespace cairn {

class ScoredReply {
 public:
  ScoredReply(ReplyWriter& reply, bool with_scores) : reply_(reply), with_scores_(with_scores) {}

  void Begin(uint64_t members) {
    reply_.Array(with_scores_ && !reply_.resp3() ? members * 2 : members);
  }
  void Add(std::string_view member, double score) {
    if (with_scores_ && reply_.resp3()) reply_.Array(2);
    reply_.Bulk(member);
    if (with_scores_) reply_.Double(score);
  }

 private:
  ReplyWriter& reply_;
  const bool with_scores_;
};

}  // namespace cairn
