// SPDX-License-Identifier: BSD-3-Clause
//
// Numbers as Redis reads and writes them. Parsers take the whole text or fail: no spaces, no
// leading '+', no leading zeros for integers. Formatters write into a caller's buffer and return
// the length; nothing is NUL-terminated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace cairn {

constexpr size_t kInt64CharsMax = 20;
constexpr size_t kDoubleCharsMax = 32;
// Fixed notation of a long double: up to 4933 digits before the point, 17 behind it.
constexpr size_t kLongDoubleCharsMax = 5 * 1024;

// Decimal integer exactly as FormatInt64 would write it ("-0", "01", "+1", " 1" fail).
bool ParseInt64(std::string_view text, int64_t* value);
bool ParseUint64(std::string_view text, uint64_t* value);
// A float as Redis's getDoubleFromObject takes it: strtod's grammar (also inf, hex), no leading
// space, no NaN, no overflow to infinity.
bool ParseDouble(std::string_view text, double* value);
bool ParseLongDouble(std::string_view text, long double* value);
// "100", "64mb", "1GB": units b k kb m mb g gb (k = 1000, kb = 1024). Fails on overflow.
bool ParseMemory(std::string_view text, uint64_t* bytes);

size_t FormatInt64(char* buffer, int64_t value);    // kInt64CharsMax
size_t FormatUint64(char* buffer, uint64_t value);  // kInt64CharsMax
// Shortest text that reads back the same, in the notation Redis 7.2+ uses for scores:
// integers plain, small exponents in fixed notation, others like 1e+22; inf, -inf, nan, -0.
size_t FormatDouble(char* buffer, double value);  // kDoubleCharsMax
// Redis's "human" long double (INCRBYFLOAT): %.17Lf without trailing zeros.
size_t FormatLongDouble(char* buffer, long double value);  // kLongDoubleCharsMax

inline std::string ToString(int64_t value) {
  char buffer[kInt64CharsMax];
  return std::string(buffer, FormatInt64(buffer, value));
}
inline std::string ToString(double value) {
  char buffer[kDoubleCharsMax];
  return std::string(buffer, FormatDouble(buffer, value));
}

// ASCII only, independent of locale.
bool EqualsIgnoreCase(std::string_view a, std::string_view b);
std::string ToLower(std::string_view text);

}  // namespace cairn
