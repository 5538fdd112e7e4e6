// SPDX-License-Identifier: BSD-3-Clause
#include "exec/session.h"

#include <cstring>

namespace cairn {

OwnedArgs::OwnedArgs(Arguments arguments, StringBlock* incoming) {
  bool in_block = false;
  for (std::string_view argument : arguments) {
    bytes_ += argument.size();
    in_block |= incoming != nullptr && incoming->IsMostly(argument);
  }
  if (in_block) {
    incoming->AddReference();
    block_.reset(incoming);
    views_.assign(arguments.begin(), arguments.end());
    return;
  }
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
