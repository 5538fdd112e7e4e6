// SPDX-License-Identifier: BSD-3-Clause
#include "base/status.h"

#include <errno.h>
#include <string.h>

namespace cairn {

Status Status::FromErrno(std::string_view what, int error_number) {
  StatusCode code = StatusCode::kIo;
  if (error_number == ENOSPC || error_number == EDQUOT) code = StatusCode::kNoSpace;
  if (error_number == ENOENT) code = StatusCode::kNotFound;
  char buffer[128];
  const char* text = strerror_r(error_number, buffer, sizeof buffer);  // the GNU form
  return Status(code, std::string(what) + ": " + text);
}

const std::string& Status::message() const {
  static const std::string kEmpty;
  return rep_ ? rep_->message : kEmpty;
}

}  // namespace cairn
