// SPDX-License-Identifier: BSD-3-Clause
//
// The syntax of a configuration file: one directive a line, '#' comments, words in double quotes
// (with \n \r \t \b \a \xHH \\ \") or single quotes (with \'), `include PATTERN`. Pure functions.
//
//   line    = [ blank ] [ comment | word { blank word } ] [ blank ]
//   word    = run of non-blanks that may open with a quote; a closing quote ends the word
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/status.h"
#include "config/config.h"

namespace cairn {

// Includes nest at most so deep; a file that includes itself ends here.
constexpr int kIncludeDepthMax = 16;

struct Directive {
  std::string source;  // file name, "standard input" or "command line"
  int line = 0;
  std::string text;  // the line, trimmed
  Words words;       // never empty; words[0] is the name as written

  std::string Where() const;  // "FILE:LINE: 'TEXT'"
  // "FILE:LINE: 'TEXT': why"
  Status Error(std::string_view why) const;
};

// Splits one line; fails on unbalanced quotes. A comment or an empty line gives no words.
Result<Words> SplitLine(std::string_view line);
// `word` such that SplitLine reads it back behind a directive's name: as it is where possible, else
// in double quotes.
std::string QuoteWord(std::string_view word);
// Always in double quotes.
std::string QuoteText(std::string_view text);

// All directives of `text` in order, those of included files in place of their `include`.
Result<std::vector<Directive>> ParseText(FileSystem* files, const std::string& source,
                                         std::string_view text, int depth = 0);

// Applies directives in order; later ones win. `rename-command` is collected; `user`
// lines are left to whoever knows users.
Status ApplyDirectives(const std::vector<Directive>& directives, Config* config);

}  // namespace cairn
