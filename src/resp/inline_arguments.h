// SPDX-License-Identifier: BSD-3-Clause
//
// The quoting of inline requests and of configuration lines, as Redis reads it:
//
//   "..."   with \n \r \t \b \a \" \\ and \xHH; any other \c is c
//   '...'   with \' only
//
// A quote may begin in mid-word (a"b c" is one argument) and must be followed by white space or
// the end.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cairn {

// Splits `line`; the arguments point into `text`, which is overwritten. False: a quote is not
// closed, or something sticks to a closing quote.
bool SplitInlineArguments(std::string_view line, std::string* text,
                          std::vector<std::string_view>* args);

}  // namespace cairn
