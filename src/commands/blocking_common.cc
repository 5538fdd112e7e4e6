// SPDX-License-Identifier: BSD-3-Clause
#include "commands/blocking_common.h"

#include <cmath>

#include "base/numbers.h"
#include "exec/args.h"

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

bool MultiPopArguments::ReadArguments(Context& ctx, size_t numkeys_at, std::string_view first,
                                      std::string_view second) {
  int64_t number, most = 1;
  if (!ParseInt64(ctx.arg(numkeys_at), &number) || number < 1) {
    ctx.Error("ERR numkeys should be greater than 0");
    return false;
  }
  keys = static_cast<size_t>(number);
  first_key = numkeys_at + 1;
  const size_t where = first_key + keys;
  is_second = keys <= ctx.argc() && where < ctx.argc() && EqualsIgnoreCase(ctx.arg(where), second);
  if (keys > ctx.argc() || where >= ctx.argc() ||
      (!is_second && !EqualsIgnoreCase(ctx.arg(where), first))) {
    ctx.Error(errors::kSyntax);
    return false;
  }
  Args args(ctx, where + 1);
  for (bool seen = false; args.More(); seen = true) {
    if (!seen && args.Take("COUNT", 1)) {
      most = args.Int("ERR count should be greater than 0");
      if (!args.failed() && most < 1) args.Fail("ERR count should be greater than 0");
    } else {
      args.Fail(errors::kSyntax);
    }
  }
  count = static_cast<uint64_t>(most);
  return args.Done();
}

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
