// SPDX-License-Identifier: BSD-3-Clause
//
// Mutated texts through their parsers: files of users, words of ACL SETUSER, configuration, rules
// of the audit log. What is taken is written so that it is read again as the same.
#pragma once

#include "base/random.h"

namespace cairn {

// One text of each kind.
void TryTexts(Random& random);

}  // namespace cairn
