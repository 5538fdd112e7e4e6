// SPDX-License-Identifier: BSD-3-Clause
#include "commands/protected_action.h"

namespace cairn {

bool MayDo(Context& ctx, ProtectedAction action) {
  switch (action) {
    case ProtectedAction::kYes:
      return true;
    case ProtectedAction::kNo:
      return false;
    case ProtectedAction::kLocal:
      break;
  }
  const std::string& address = ctx.session().record->address;
  return address.starts_with("127.") || address.starts_with("[::1]") || address.starts_with("/");
}

}  // namespace cairn
