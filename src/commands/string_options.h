// SPDX-License-Identifier: BSD-3-Clause
//
// The options that string commands share: EX PX EXAT PXAT KEEPTTL PERSIST, NX XX, GET, and the
// comparisons IFEQ IFNE IFDEQ IFDNE. Which may stand together is what Redis's parser accepts.
// Thread rule: as Context.
#pragma once

#include <cstdint>
#include <string_view>

#include "exec/context.h"

namespace cairn {

struct ExpiryOption {
  enum class Kind : uint8_t { kNone, kEx, kPx, kExAt, kPxAt, kKeepTtl, kPersist };
  Kind kind = Kind::kNone;
  std::string_view number;

  bool has_time() const { return kind >= Kind::kEx && kind <= Kind::kPxAt; }
  bool absolute() const { return kind == Kind::kExAt || kind == Kind::kPxAt; }
  bool keep() const { return kind == Kind::kKeepTtl; }
  // Takes one of the keywords at argument `at` with its number, moving `at` behind them. False,
  // nothing moved, if it is none of them or clashes with an earlier one.
  bool Take(const Context& ctx, size_t* at);
  // The time in Unix milliseconds (kNoExpiry without one). False: the error was replied.
  bool Resolve(Context& ctx, int64_t* at_ms) const;
};

struct Comparison {
  enum class Kind : uint8_t { kNone, kEqual, kNotEqual, kDigestEqual, kDigestNotEqual };
  Kind kind = Kind::kNone;
  std::string_view operand;

  bool given() const { return kind != Kind::kNone; }
  // Whether a key that does not exist passes.
  bool PassesAbsent() const {
    return kind != Kind::kEqual && kind != Kind::kDigestEqual;
  }
  bool Passes(std::string_view value) const;
  bool Take(const Context& ctx, size_t* at);
  // False: the digest is no digest, the error was replied.
  bool Check(Context& ctx) const;
};

struct SetOptions {
  bool nx = false;
  bool xx = false;
  bool get = false;
  ExpiryOption expiry;
  Comparison comparison;
};

// Which options a command knows beside the times.
enum SetOptionBits : int {
  kTakesExistence = 1,   // NX XX
  kTakesGet = 2,         // GET
  kTakesComparison = 4,  // IFEQ IFNE IFDEQ IFDNE
  kTakesKeepTtl = 8,
  kTakesPersist = 16
};

// Parses the arguments from `first` to the end. False: the error was replied.
bool ParseSetOptions(Context& ctx, size_t first, int takes, SetOptions* options);

}  // namespace cairn
