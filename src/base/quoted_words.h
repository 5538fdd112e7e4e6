// SPDX-License-Identifier: BSD-3-Clause
//
// Words with quotes, as inline requests and lines of a configuration have them, read as Redis reads
// them (sdssplitargs):
//
//   "..."   with \n \r \t \b \a \" \\ and \xHH; any other \c is c
//   '...'   with \' only
//
// A quote may begin in mid-word (a"b c" is one word) and must be followed by white space or the
// end. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cairn {

// Splits `line`; the words point into `text`, which is overwritten. False: a quote is not closed,
// or something sticks to a closing quote.
bool SplitQuotedWords(std::string_view line, std::string* text,
                      std::vector<std::string_view>* words);

}  // namespace cairn
