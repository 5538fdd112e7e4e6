// SPDX-License-Identifier: BSD-3-Clause
#include "commands/scan_options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <string>

namespace cairn {

bool ScanOptions::ReadCursor(Context& ctx, std::string_view text) {
  const std::string copy(text);
  char* end = nullptr;
  errno = 0;
  if (!copy.empty() && !isspace(static_cast<unsigned char>(copy[0])))
    cursor = strtoul(copy.c_str(), &end, 10);
  // A zero byte is no end: all of the text has to be the number.
  if (end == copy.c_str() + copy.size() && errno != ERANGE && !copy.empty()) return true;
  ctx.Error("ERR invalid cursor");
  return false;
}

bool ScanOptions::Take(Args& args) {
  if (args.Take("COUNT", 1)) {
    count = args.Int();
    if (!args.failed() && count < 1) args.Fail(errors::kSyntax);
  } else if (args.Take("MATCH", 1)) {
    pattern = args.Next();
  } else {
    return false;
  }
  return true;
}

}  // namespace cairn
