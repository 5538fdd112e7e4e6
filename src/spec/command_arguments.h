// SPDX-License-Identifier: BSD-3-Clause
//
// The arguments of commands as COMMAND DOCS describes them (redis-cli makes its hints of them), in
// a notation of one line a command:
//
//   arguments  argument [SP argument ...]
//   argument   "[" plain "]" (optional), or plain
//   plain      name kind ["=" TOKEN] ["*"] ["*"]     one "*": may be repeated, two: with its token
//   kind       ":" letter     s string, i integer, d double, p pattern, u unix time, k key; a digit
//                             behind it is the key specification that finds it
//              "!" [TOKEN]    a word alone; where the name is left out it is the word in lower case
//              "(" plain or optional "|" ... ")"     one of these
//              "<" arguments ">"                     all of these
//
// Constant; any thread.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cairn {

struct ArgumentDocs {
  std::string name;
  const char* type = "";  // as Redis words it: "key", "oneof", "pure-token", ...
  int key_spec = -1;
  std::optional<std::string> token;
  bool optional = false, multiple = false, multiple_token = false;
  std::vector<ArgumentDocs> arguments;  // of "oneof" and "block"
};

// CHECKs that the text is well formed: it is a constant of ours. O(n).
std::vector<ArgumentDocs> ParseArgumentDocs(std::string_view text);

// The notation for a command, by full name in lower case; empty for one that takes no arguments or
// is not known. O(log n).
std::string_view FindCommandArguments(std::string_view full_name);

// The tables behind it, sorted by name.
struct CommandArgumentsRow {
  const char* name;
  const char* arguments;
};
std::span<const CommandArgumentsRow> DataCommandArguments();
std::span<const CommandArgumentsRow> ServerCommandArguments();

}  // namespace cairn
