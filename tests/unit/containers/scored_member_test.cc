// SPDX-License-Identifier: BSD-3-Clause
#include "containers/scored_member.h"

#include <cmath>
#include <limits>
#include <string>

#include "base/random.h"

namespace cairn {
namespace {

TEST_CASE("ScoredMember keeps members of every length beside scores of every width") {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  for (double score : {0.0, -0.0, 1.0, -1.5, 1e6, 1234567.0, 1.7e12, 0.1, -1e300, 5e-324, kInf}) {
    for (size_t length : {0, 1, 7, 10, 14, 15, 30, 31, 127, 128, 16383, 16384, 3000000}) {
      const std::string text(length, 'x');
      ScoredMember* member = ScoredMember::Create(score, text);
      REQUIRE(member->bytes() == text);
      REQUIRE(member->score() == score);
      REQUIRE(std::signbit(member->score()) == std::signbit(score));
      REQUIRE(member->CanHold(score));
      REQUIRE(member->CanHold(0));
      member->set_score(-2);
      REQUIRE(member->score() == -2);
      REQUIRE(member->bytes() == text);
      ScoredMember::Destroy(member);
    }
  }
}

TEST_CASE("ScoredMember holds every score that it says it can") {
  Random random(4);
  for (int i = 0; i < 3000; ++i) {
    const std::string text(random.Below(40), 'm');
    auto any = [&] {
      switch (random.Below(3)) {
        case 0:
          return static_cast<double>(random.Below(100));
        case 1:
          return static_cast<double>(random.Below(uint64_t{1} << (1 + random.Below(60))));
        default:
          return random.Unit();
      }
    };
    ScoredMember* member = ScoredMember::Create(any(), text);
    for (int j = 0; j < 10; ++j) {
      const double score = any();
      if (!member->CanHold(score)) continue;
      member->set_score(score);
      REQUIRE(member->score() == score);
      REQUIRE(member->bytes() == text);
    }
    ScoredMember::Destroy(member);
  }
}

}  // namespace
}  // namespace cairn
