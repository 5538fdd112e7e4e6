// SPDX-License-Identifier: BSD-3-Clause
//
// Args: reads a handler's arguments in order and latches the first error:
//
//   Args args(ctx, 1);
//   std::string_view key = args.Next();
//   int64_t count = args.Int();
//   while (args.More()) { if (args.Take("NX")) ...; else args.Fail(errors::kSyntax); }
//   if (!args.Done()) return;       // the error was replied
#pragma once

#include <cstdint>
#include <string_view>

#include "base/numbers.h"
#include "exec/context.h"
#include "exec/errors.h"

namespace cairn {

class Args {
 public:
  Args(Context& ctx, size_t first) : ctx_(ctx), at_(first) {}

  bool More() const { return error_.empty() && at_ < ctx_.argc(); }
  size_t left() const { return at_ < ctx_.argc() ? ctx_.argc() - at_ : 0; }
  size_t position() const { return at_; }
  // The next argument; past the end a syntax error.
  std::string_view Next() {
    if (at_ >= ctx_.argc()) {
      Fail(errors::kSyntax);
      return {};
    }
    return ctx_.arg(at_++);
  }
  std::string_view Peek() const { return at_ < ctx_.argc() ? ctx_.arg(at_) : std::string_view(); }
  // Consumes the next argument if it is this keyword, any case, and at least `following` more
  // arguments follow it.
  bool Take(std::string_view keyword, size_t following = 0) {
    if (!More() || left() < 1 + following || !EqualsIgnoreCase(ctx_.arg(at_), keyword)) return false;
    ++at_;
    return true;
  }
  int64_t Int(std::string_view error = errors::kNotInteger) {
    int64_t value = 0;
    if (const std::string_view text = Next(); error_.empty() && !ParseInt64(text, &value))
      Fail(error);
    return value;
  }
  int64_t IntIn(int64_t low, int64_t high, std::string_view error) {
    const int64_t value = Int();
    if (error_.empty() && (value < low || value > high)) Fail(error);
    return value;
  }
  double Float(std::string_view error = errors::kNotFloat) {
    double value = 0;
    if (const std::string_view text = Next(); error_.empty() && !ParseDouble(text, &value))
      Fail(error);
    return value;
  }
  // Only the first failure counts. `error` must outlive this object.
  void Fail(std::string_view error) {
    if (error_.empty()) error_ = error;
  }
  bool failed() const { return !error_.empty(); }
  // True if all is well; else replies the error.
  bool Done() {
    if (error_.empty()) return true;
    ctx_.Error(error_);
    return false;
  }

 private:
  Context& ctx_;
  size_t at_;
  std::string_view error_;
};

}  // namespace cairn
