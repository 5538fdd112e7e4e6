// SPDX-License-Identifier: BSD-3-Clause
//
// What SCAN, HSCAN, SSCAN and ZSCAN have in common: the cursor, COUNT and MATCH.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/glob.h"
#include "exec/args.h"
#include "exec/context.h"

namespace cairn {

struct ScanOptions {
  uint64_t cursor = 0;
  int64_t count = 10;  // 1 at least
  std::string_view pattern = "*";

  // Any number that strtoul takes, also a negative one. False: the error was replied.
  bool ReadCursor(Context& ctx, std::string_view text);
  // Consumes COUNT or MATCH; false if neither comes next.
  bool Take(Args& args);
  bool Matches(std::string_view text) const { return pattern == "*" || GlobMatch(pattern, text); }
};

// The options behind "key cursor" of a collection that is there: Redis does not look at them where
// there is no key. `more(args)` consumes what only this command knows. False: the error was replied.
template <typename More>
bool ReadScanOptions(Context& ctx, ScanOptions* options, More&& more) {
  Args args(ctx, 3);
  while (args.More())
    if (!options->Take(args) && !more(args)) args.Fail(errors::kSyntax);
  return args.Done();
}

}  // namespace cairn
