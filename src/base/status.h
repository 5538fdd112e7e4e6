// SPDX-License-Identifier: BSD-3-Clause
//
// Status and Result<T>: how functions report errors of the world (bad input, bad files, full
// disks). Bugs are CHECKs instead. An OK Status costs no allocation. The message is one line,
// written for the operator, without a trailing period.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace cairn {

enum class StatusCode : unsigned char {
  kOk,
  kInvalid,     // input that can never be right
  kNotFound,    // a file, a record, a name that does not exist
  kCorrupt,     // bytes that fail their checksum or grammar
  kIo,          // the operating system refused; errno text is in the message
  kNoSpace,     // disk full (ENOSPC, EDQUOT)
  kLimit,       // a documented bound was reached
  kUnavailable  // not now: shutting down, busy, lost peer
};

class [[nodiscard]] Status {
 public:
  Status() = default;  // OK
  Status(StatusCode code, std::string message)
      : rep_(std::make_unique<Rep>(Rep{code, std::move(message)})) {}
  Status(const Status& other) : rep_(other.rep_ ? std::make_unique<Rep>(*other.rep_) : nullptr) {}
  Status(Status&&) = default;
  Status& operator=(Status other) {
    rep_ = std::move(other.rep_);
    return *this;
  }

  static Status Ok() { return {}; }
  static Status Invalid(std::string m) { return {StatusCode::kInvalid, std::move(m)}; }
  static Status NotFound(std::string m) { return {StatusCode::kNotFound, std::move(m)}; }
  static Status Corrupt(std::string m) { return {StatusCode::kCorrupt, std::move(m)}; }
  static Status Io(std::string m) { return {StatusCode::kIo, std::move(m)}; }
  static Status Limit(std::string m) { return {StatusCode::kLimit, std::move(m)}; }
  static Status Unavailable(std::string m) { return {StatusCode::kUnavailable, std::move(m)}; }
  // kIo, kNoSpace or kNotFound from an errno value: "what: No space left on device".
  static Status FromErrno(std::string_view what, int error_number);

  bool ok() const { return rep_ == nullptr; }
  StatusCode code() const { return rep_ ? rep_->code : StatusCode::kOk; }
  const std::string& message() const;  // "" when OK

 private:
  struct Rep {
    StatusCode code;
    std::string message;
  };
  std::unique_ptr<Rep> rep_;
};

// A T, or the Status that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : rep_(std::in_place_index<0>, std::move(value)) {}
  Result(Status status) : rep_(std::in_place_index<1>, std::move(status)) {
    CHECK(!std::get<1>(rep_).ok());
  }

  bool ok() const { return rep_.index() == 0; }
  Status status() const { return ok() ? Status() : std::get<1>(rep_); }
  T& value() {
    CHECK(ok());
    return std::get<0>(rep_);
  }
  const T& value() const {
    CHECK(ok());
    return std::get<0>(rep_);
  }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, Status> rep_;
};

#define CAIRN_RETURN_IF_ERROR(expression)                    \
  do {                                                       \
    if (::cairn::Status status_ = (expression); !status_.ok()) return status_; \
  } while (0)

}  // namespace cairn
