// SPDX-License-Identifier: BSD-3-Clause
#include "exec/session.h"

#include <cstring>

namespace cairn {

OwnedArgs::OwnedArgs(Arguments arguments) {
  for (std::string_view argument : arguments) bytes_ += argument.size();
  text_.reset(new char[bytes_ + 1]);
  views_.reserve(arguments.size());
  char* p = text_.get();
  for (std::string_view argument : arguments) {
    if (!argument.empty()) memcpy(p, argument.data(), argument.size());
    views_.emplace_back(p, argument.size());
    p += argument.size();
  }
}

}  // namespace cairn
