// SPDX-License-Identifier: BSD-3-Clause
#include "spec/command_arguments.h"

#include <ctype.h>

#include <algorithm>

#include "base/check.h"

namespace cairn {
namespace {

const char* TypeOf(char letter) {
  switch (letter) {
    case 's': return "string";
    case 'i': return "integer";
    case 'd': return "double";
    case 'p': return "pattern";
    case 'u': return "unix-time";
    case 'k': return "key";
  }
  return nullptr;
}

// A recursive descent over the notation, one function a rule.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::vector<ArgumentDocs> All() {
    auto arguments = List(' ', '\0');
    CHECK(at_ == text_.size());
    return arguments;
  }

 private:
  char Peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool Take(char c) {
    if (Peek() != c) return false;
    ++at_;
    return true;
  }
  static bool EndsWord(char c) {
    return c == '\0' || c == ' ' || c == '*' || c == ']' || c == '|' || c == '>' || c == ')';
  }

  std::vector<ArgumentDocs> List(char separator, char end) {
    std::vector<ArgumentDocs> arguments;
    do {
      arguments.push_back(Argument());
    } while (Take(separator));
    CHECK(end == '\0' || Take(end));
    return arguments;
  }

  ArgumentDocs Argument() {
    const bool optional = Take('[');
    ArgumentDocs argument = Plain();
    argument.optional = optional;
    CHECK(!optional || Take(']'));
    return argument;
  }

  ArgumentDocs Plain() {
    ArgumentDocs argument;
    argument.name = Name();
    Kind(&argument);
    if (Take('=')) argument.token = Word();
    argument.multiple = Take('*');
    argument.multiple_token = Take('*');
    return argument;
  }

  // A colon belongs to the name unless a type stands behind it ("ip:port:s").
  std::string Name() {
    const size_t start = at_;
    while (!EndsWord(Peek()) && Peek() != '!' && Peek() != '(' && Peek() != '<') {
      if (Peek() == ':' && TypeOf(Peek(1)) != nullptr &&
          (EndsWord(Peek(2)) || Peek(2) == '=' || isdigit(static_cast<unsigned char>(Peek(2)))))
        break;
      ++at_;
    }
    return std::string(text_.substr(start, at_ - start));
  }

  void Kind(ArgumentDocs* argument) {
    if (Take('!')) {
      argument->type = "pure-token";
      argument->token = Word();
      if (argument->name.empty()) {
        argument->name = *argument->token;
        for (char& c : argument->name) c = static_cast<char>(tolower(c));
      }
    } else if (Take('(')) {
      argument->type = "oneof";
      argument->arguments = List('|', ')');
    } else if (Take('<')) {
      argument->type = "block";
      argument->arguments = List(' ', '>');
    } else {
      CHECK(Take(':'));
      argument->type = TypeOf(text_[at_++]);
      if (isdigit(static_cast<unsigned char>(Peek()))) argument->key_spec = text_[at_++] - '0';
    }
  }

  // At least one character, whatever it is: "*" is a token of XADD.
  std::string Word() {
    const size_t start = at_++;
    while (!EndsWord(Peek())) ++at_;
    return std::string(text_.substr(start, at_ - start));
  }

  const std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::vector<ArgumentDocs> ParseArgumentDocs(std::string_view text) {
  if (text.empty()) return {};
  return Parser(text).All();
}

std::string_view FindCommandArguments(std::string_view full_name) {
  for (auto rows : {DataCommandArguments(), ServerCommandArguments()}) {
    const auto found = std::lower_bound(
        rows.begin(), rows.end(), full_name,
        [](const CommandArgumentsRow& row, std::string_view name) { return row.name < name; });
    if (found != rows.end() && found->name == full_name) return found->arguments;
  }
  return {};
}

}  // namespace cairn
