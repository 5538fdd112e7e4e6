// SPDX-License-Identifier: BSD-3-Clause
//
// A loaded value as one line of text, the same as make_golden_dumps.py prints.
#pragma once

#include <string>

#include "rdb/value.h"

namespace cairn {

std::string Describe(const RdbValue& value);
// From hexadecimal digits.
std::string Unhex(std::string_view digits);

}  // namespace cairn
