// SPDX-License-Identifier: BSD-3-Clause
#include "base/quoted_words.h"

#include <cstddef>

#include "base/hex.h"

namespace cairn {

namespace {

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
// Redis ends an unquoted word at these only, though it skips all white space between words.
bool EndsWord(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

char Unescape(char c) {
  switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return c;
  }
}

// Reads the quoted part that begins behind the quote at line[*at - 1]; *at moves behind the
// closing quote.
bool ReadQuoted(std::string_view line, char quote, size_t* at, std::string* text) {
  for (size_t i = *at; i < line.size(); i++) {
    char c = line[i];
    size_t left = line.size() - i - 1;
    if (c == quote) {
      *at = i + 1;
      return left == 0 || IsSpace(line[i + 1]);
    }
    if (c != '\\' || left == 0) {
      text->push_back(c);
    } else if (quote == '\'') {
      if (line[i + 1] == '\'') i++;
      text->push_back(line[i]);
    } else if (line[i + 1] == 'x' && left >= 3 && HexDigit(line[i + 2]) >= 0 &&
               HexDigit(line[i + 3]) >= 0) {
      text->push_back(static_cast<char>(HexDigit(line[i + 2]) * 16 + HexDigit(line[i + 3])));
      i += 3;
    } else {
      text->push_back(Unescape(line[++i]));
    }
  }
  return false;
}

}  // namespace

bool SplitQuotedWords(std::string_view line, std::string* text,
                      std::vector<std::string_view>* words) {
  // No word grows by unquoting, so `text` never moves once it has this room.
  text->clear();
  text->reserve(line.size() + 1);
  words->clear();
  size_t at = 0;
  while (true) {
    while (at < line.size() && IsSpace(line[at])) at++;
    if (at == line.size()) return true;
    size_t start = text->size();
    while (at < line.size() && !EndsWord(line[at])) {
      char c = line[at++];
      if (c == '"' || c == '\'') {
        if (!ReadQuoted(line, c, &at, text)) return false;
        break;
      }
      text->push_back(c);
    }
    words->emplace_back(text->data() + start, text->size() - start);
  }
}

}  // namespace cairn
