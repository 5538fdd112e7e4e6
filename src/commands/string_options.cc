// SPDX-License-Identifier: BSD-3-Clause
#include "commands/string_options.h"

#include <algorithm>
#include <atomic>

#include "base/hash.h"
#include "base/numbers.h"
#include "exec/engine.h"

namespace cairn {
namespace {

constexpr size_t kDigestChars = 16;

bool ParseDigest(std::string_view text, uint64_t* digest) {
  if (text.size() != kDigestChars) return false;
  *digest = 0;
  for (char c : text) {
    int nibble;
    if (c >= '0' && c <= '9') {
      nibble = c - '0';
    } else if (c >= 'a' && c <= 'f') {
      nibble = c - 'a' + 10;
    } else if (c >= 'A' && c <= 'F') {
      nibble = c - 'A' + 10;
    } else {
      return false;
    }
    *digest = *digest << 4 | static_cast<uint64_t>(nibble);
  }
  return true;
}

}  // namespace

bool ExpiryOption::Take(const Context& ctx, size_t* at) {
  const std::string_view word = ctx.arg(*at);
  Kind found;
  if (EqualsIgnoreCase(word, "EX")) {
    found = Kind::kEx;
  } else if (EqualsIgnoreCase(word, "PX")) {
    found = Kind::kPx;
  } else if (EqualsIgnoreCase(word, "EXAT")) {
    found = Kind::kExAt;
  } else if (EqualsIgnoreCase(word, "PXAT")) {
    found = Kind::kPxAt;
  } else if (EqualsIgnoreCase(word, "KEEPTTL")) {
    found = Kind::kKeepTtl;
  } else if (EqualsIgnoreCase(word, "PERSIST")) {
    found = Kind::kPersist;
  } else {
    return false;
  }
  // Redis lets the same option stand twice; the last one counts.
  if (kind != Kind::kNone && kind != found) return false;
  const bool timed = found <= Kind::kPxAt;
  if (timed && *at + 1 >= ctx.argc()) return false;
  kind = found;
  ++*at;
  if (timed) number = ctx.arg((*at)++);
  return true;
}

bool ExpiryOption::Resolve(Context& ctx, int64_t* at_ms) const {
  *at_ms = kNoExpiry;
  if (!has_time()) return true;
  int64_t value;
  if (!ParseInt64(number, &value)) {
    ctx.Error(errors::kNotInteger);
    return false;
  }
  const bool seconds = kind == Kind::kEx || kind == Kind::kExAt;
  bool fits = value > 0;
  if (fits && seconds) fits = !__builtin_mul_overflow(value, int64_t{1000}, &value);
  if (fits && !absolute()) fits = !__builtin_add_overflow(value, ctx.now_ms(), &value);
  if (!fits) {
    ctx.Error("ERR invalid expire time in '" + ctx.command().full_name + "' command");
    return false;
  }
  *at_ms = value;
  // A time that is past ends what is given it now, also where what had expired before stays.
  const Unit& unit = ctx.unit();
  if (unit.KeepsFields() && unit.expiry_mode() != ExpiryMode::kApply)
    *at_ms = std::max(value, ctx.engine().kept_until_ms.load(std::memory_order_relaxed));
  return true;
}

bool Comparison::Take(const Context& ctx, size_t* at) {
  const std::string_view word = ctx.arg(*at);
  Kind found;
  if (EqualsIgnoreCase(word, "IFEQ")) {
    found = Kind::kEqual;
  } else if (EqualsIgnoreCase(word, "IFNE")) {
    found = Kind::kNotEqual;
  } else if (EqualsIgnoreCase(word, "IFDEQ")) {
    found = Kind::kDigestEqual;
  } else if (EqualsIgnoreCase(word, "IFDNE")) {
    found = Kind::kDigestNotEqual;
  } else {
    return false;
  }
  if (given() || *at + 1 >= ctx.argc()) return false;
  kind = found;
  operand = ctx.arg(*at + 1);
  *at += 2;
  return true;
}

bool Comparison::Check(Context& ctx) const {
  uint64_t digest;
  if (kind != Kind::kDigestEqual && kind != Kind::kDigestNotEqual) return true;
  if (ParseDigest(operand, &digest)) return true;
  ctx.Error("ERR digest must be exactly 16 hexadecimal characters");
  return false;
}

bool Comparison::Passes(std::string_view value) const {
  uint64_t digest = 0;
  switch (kind) {
    case Kind::kNone:
      return true;
    case Kind::kEqual:
      return value == operand;
    case Kind::kNotEqual:
      return value != operand;
    case Kind::kDigestEqual:
      return ParseDigest(operand, &digest) && DigestBytes(value) == digest;
    case Kind::kDigestNotEqual:
      return ParseDigest(operand, &digest) && DigestBytes(value) != digest;
  }
  return false;
}

bool ParseSetOptions(Context& ctx, size_t first, int takes, SetOptions* options) {
  bool good = true;
  for (size_t at = first; good && at < ctx.argc();) {
    const std::string_view word = ctx.arg(at);
    const bool may_exist_rule = (takes & kTakesExistence) != 0 && !options->comparison.given();
    if (may_exist_rule && !options->xx && EqualsIgnoreCase(word, "NX")) {
      options->nx = true;
      ++at;
    } else if (may_exist_rule && !options->nx && EqualsIgnoreCase(word, "XX")) {
      options->xx = true;
      ++at;
    } else if ((takes & kTakesGet) != 0 && EqualsIgnoreCase(word, "GET")) {
      options->get = true;
      ++at;
    } else if ((takes & kTakesComparison) != 0 && !options->nx && !options->xx &&
               options->comparison.Take(ctx, &at)) {
    } else {
      good = options->expiry.Take(ctx, &at) &&
             ((takes & kTakesKeepTtl) != 0 || !options->expiry.keep()) &&
             ((takes & kTakesPersist) != 0 || options->expiry.kind != ExpiryOption::Kind::kPersist);
    }
  }
  if (!good) ctx.Error(errors::kSyntax);
  return good && options->comparison.Check(ctx);
}

}  // namespace cairn
