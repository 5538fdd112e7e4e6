// SPDX-License-Identifier: BSD-3-Clause
#include "commands/blocking_common.h"

#include <cmath>

#include "base/numbers.h"

namespace cairn {
namespace {

bool CheckTimeout(Context& ctx, int64_t timeout_ms) {
  if (timeout_ms < 0) {
    ctx.Error("ERR timeout is negative");
  } else if (timeout_ms > INT64_MAX - ctx.now_ms()) {
    ctx.Error("ERR timeout is out of range");
  } else {
    return true;
  }
  return false;
}

}  // namespace

bool ReadTimeoutSeconds(Context& ctx, std::string_view text, int64_t* timeout_ms) {
  long double seconds;
  if (!ParseLongDouble(text, &seconds)) {
    ctx.Error("ERR timeout is not a float or out of range");
    return false;
  }
  const long double ms = std::ceil(seconds * 1000);
  if (ms > static_cast<long double>(INT64_MAX)) {
    ctx.Error("ERR timeout is out of range");
    return false;
  }
  *timeout_ms = ms < 0 ? -1 : static_cast<int64_t>(ms);
  return CheckTimeout(ctx, *timeout_ms);
}

bool ReadTimeoutMs(Context& ctx, std::string_view text, int64_t* timeout_ms) {
  if (ParseInt64(text, timeout_ms)) return CheckTimeout(ctx, *timeout_ms);
  ctx.Error("ERR timeout is not an integer or out of range");
  return false;
}

void WaitForKeys(Context& ctx, Type type, size_t first_key, size_t keys, int64_t timeout_ms) {
  if (!ctx.may_block()) return ctx.reply().NullArray();
  BlockRequest request;
  request.type = type;
  request.first_key = first_key;
  request.keys = keys;
  request.timeout_ms = timeout_ms;
  ctx.Block(request);
}

}  // namespace cairn
