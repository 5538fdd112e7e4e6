// SPDX-License-Identifier: BSD-3-Clause
#include "tests/fuzz/mutation.h"

#include <stdio.h>
#include <stdlib.h>

#include <iterator>

#include "commands/families.h"
#include "spec/registry.h"

namespace cairn {
namespace {

// Lengths and encodings that lie.
constexpr const char* kNumbers[] = {"00",
                                    "3f",
                                    "7fff",
                                    "80ffffffff",
                                    "807fffffff",
                                    "8000ffffff",
                                    "81ffffffffffffffff",
                                    "817fffffffffffffff",
                                    "c0ff",
                                    "c1",
                                    "c2",
                                    "c30505",
                                    "fe",
                                    "ff"};

}  // namespace

char repeat_text[kRepeatBytes];

[[noreturn]] void Finding(const char* what) {
  fprintf(stderr, "FINDING: %s\n%s\n", what, repeat_text);
  abort();
}

Registry& FuzzedCommands() {
  static Registry* all = [] {
    auto* made = new Registry;
    RegisterAllCommands(made);
    return made;
  }();
  return *all;
}

std::string Unhex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<char>(strtol(std::string(hex.substr(i, 2)).c_str(), nullptr, 16)));
  return bytes;
}

void Mutate(Random& random, const std::vector<std::string>& records, std::string* bytes) {
  for (uint64_t n = random.Below(4) == 0 ? 1 + random.Below(8) : 1; n > 0; --n) {
    if (bytes->empty()) return;
    const size_t at = random.Below(bytes->size());
    const std::string& other = records[random.Below(records.size())];
    switch (random.Below(8)) {
      case 0:
        (*bytes)[at] = static_cast<char>((*bytes)[at] ^ 1 << random.Below(8));
        break;
      case 1:
        (*bytes)[at] = static_cast<char>(random.Below(256));
        break;
      case 2:
      case 3: {
        const std::string number = Unhex(kNumbers[random.Below(std::size(kNumbers))]);
        bytes->replace(at, random.Below(number.size() + 1), number);
        break;
      }
      case 4:
        bytes->erase(at, 1 + random.Below(5));
        break;
      case 5:
        bytes->insert(at, bytes->substr(at, 1 + random.Below(16)));
        break;
      case 6:
        bytes->insert(at, other.substr(random.Below(other.size())));
        break;
      default:
        bytes->resize(random.Below(4) == 0 ? at : bytes->size());
        break;
    }
  }
}

}  // namespace cairn
