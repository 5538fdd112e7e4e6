// SPDX-License-Identifier: BSD-3-Clause
#include "base/numbers.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

namespace cairn {
namespace {

constexpr char kDigitPairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// `strto` on a NUL-terminated copy; strtod's grammar minus leading space, trailing text and NaN.
template <typename T, typename Function>
bool ParseFloat(std::string_view text, T* value, size_t chars_max, Function strto) {
  char buffer[kLongDoubleCharsMax];
  if (text.empty() || text.size() >= chars_max) return false;
  if (isspace(static_cast<unsigned char>(text[0]))) return false;
  memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  char* end;
  errno = 0;
  T parsed = strto(buffer, &end);
  if (end != buffer + text.size() || std::isnan(parsed)) return false;
  if (errno == ERANGE && (std::isinf(parsed) || parsed == 0)) return false;
  *value = parsed;
  return true;
}

// `digits` times 10^exponent in the layout of Grisu-style printers: fixed notation while it stays
// short, else d.ddde+XX.
size_t LayOutDigits(char* out, const char* digits, int count, int exponent) {
  const int magnitude = exponent + count - 1;  // of the leading digit
  const int distance = magnitude < 0 ? -magnitude : magnitude;
  if (exponent >= 0 && distance < count + 7) {
    memcpy(out, digits, static_cast<size_t>(count));
    memset(out + count, '0', static_cast<size_t>(exponent));
    return static_cast<size_t>(count + exponent);
  }
  if (exponent < 0 && (exponent > -7 || distance < 4)) {
    const int whole = count + exponent;
    if (whole <= 0) {
      memcpy(out, "0.", 2);
      memset(out + 2, '0', static_cast<size_t>(-whole));
      memcpy(out + 2 - whole, digits, static_cast<size_t>(count));
      return static_cast<size_t>(2 - whole + count);
    }
    memcpy(out, digits, static_cast<size_t>(whole));
    out[whole] = '.';
    memcpy(out + whole + 1, digits + whole, static_cast<size_t>(count - whole));
    return static_cast<size_t>(count + 1);
  }
  char* p = out;
  *p++ = digits[0];
  if (count > 1) {
    *p++ = '.';
    memcpy(p, digits + 1, static_cast<size_t>(count - 1));
    p += count - 1;
  }
  *p++ = 'e';
  *p++ = magnitude < 0 ? '-' : '+';
  p += FormatInt64(p, distance);
  return static_cast<size_t>(p - out);
}

}  // namespace

bool ParseUint64(std::string_view text, uint64_t* value) {
  if (text.empty() || text.size() > 20) return false;
  if (text[0] == '0' && text.size() > 1) return false;
  uint64_t v = 0;
  for (char c : text) {
    unsigned digit = static_cast<unsigned char>(c) - unsigned{'0'};
    if (digit > 9) return false;
    if (__builtin_mul_overflow(v, uint64_t{10}, &v) || __builtin_add_overflow(v, digit, &v))
      return false;
  }
  *value = v;
  return true;
}

bool ParseInt64(std::string_view text, int64_t* value) {
  const bool negative = !text.empty() && text[0] == '-';
  if (negative) text.remove_prefix(1);
  uint64_t magnitude;
  if (!ParseUint64(text, &magnitude)) return false;
  if (negative) {
    if (magnitude == 0 || magnitude > uint64_t{1} << 63) return false;
    *value = static_cast<int64_t>(-magnitude);
    return true;
  }
  if (magnitude > INT64_MAX) return false;
  *value = static_cast<int64_t>(magnitude);
  return true;
}

bool ParseDouble(std::string_view text, double* value) {
  return ParseFloat(text, value, kLongDoubleCharsMax, strtod);
}

bool ParseLongDouble(std::string_view text, long double* value) {
  return ParseFloat(text, value, kLongDoubleCharsMax, strtold);
}

bool ParseMemory(std::string_view text, uint64_t* bytes) {
  size_t digits = 0;
  while (digits < text.size() && isdigit(static_cast<unsigned char>(text[digits]))) ++digits;
  uint64_t number;
  auto [end, error] = std::from_chars(text.data(), text.data() + digits, number);
  if (digits == 0 || error != std::errc()) return false;
  const std::string_view unit = text.substr(digits);
  uint64_t factor = 0;
  if (unit.empty() || EqualsIgnoreCase(unit, "b")) factor = 1;
  if (EqualsIgnoreCase(unit, "k")) factor = 1000;
  if (EqualsIgnoreCase(unit, "kb")) factor = 1024;
  if (EqualsIgnoreCase(unit, "m")) factor = 1000 * 1000;
  if (EqualsIgnoreCase(unit, "mb")) factor = 1024 * 1024;
  if (EqualsIgnoreCase(unit, "g")) factor = 1000L * 1000 * 1000;
  if (EqualsIgnoreCase(unit, "gb")) factor = 1024L * 1024 * 1024;
  return factor != 0 && !__builtin_mul_overflow(number, factor, bytes);
}

namespace {

// Decimal digits, by the length in bits (log10(2) is about 1233 / 4096) and one comparison.
size_t DigitCount(uint64_t value) {
  static constexpr auto kPowersOfTen = [] {
    std::array<uint64_t, 20> powers = {};
    uint64_t power = 1;
    for (uint64_t& p : powers) {
      p = power;
      power *= 10;
    }
    return powers;
  }();
  const auto guess = static_cast<size_t>(std::bit_width(value | 1) * 1233 >> 12);
  return guess + ((value | 1) >= kPowersOfTen[guess]);
}

}  // namespace

size_t FormatUint64(char* buffer, uint64_t value) {
  const size_t length = DigitCount(value);
  char* p = buffer + length;  // written from the end
  while (value >= 100) {
    p -= 2;
    memcpy(p, kDigitPairs + 2 * (value % 100), 2);
    value /= 100;
  }
  if (value >= 10) {
    memcpy(buffer, kDigitPairs + 2 * value, 2);
  } else {
    *buffer = static_cast<char>('0' + value);
  }
  return length;
}

size_t FormatInt64(char* buffer, int64_t value) {
  if (value >= 0) return FormatUint64(buffer, static_cast<uint64_t>(value));
  buffer[0] = '-';
  return 1 + FormatUint64(buffer + 1, -static_cast<uint64_t>(value));
}

size_t FormatDouble(char* buffer, double value) {
  char* p = buffer;
  if (std::isnan(value)) {
    memcpy(p, "nan", 3);
    return 3;
  }
  if (std::signbit(value)) {
    *p++ = '-';
    value = -value;
  }
  if (std::isinf(value)) {
    memcpy(p, "inf", 3);
    return static_cast<size_t>(p + 3 - buffer);
  }
  if (value == 0) {
    *p++ = '0';
    return static_cast<size_t>(p - buffer);
  }
  // Whole numbers that a double holds exactly are written as integers (Redis's double2ll).
  if (value < 0x1p62 && value == std::floor(value)) {
    p += FormatUint64(p, static_cast<uint64_t>(value));
    return static_cast<size_t>(p - buffer);
  }
  // Shortest digits in scientific notation, "d.ddde±XX", then laid out anew.
  char scientific[kDoubleCharsMax];
  auto [end, error] = std::to_chars(scientific, scientific + sizeof scientific, value,
                                    std::chars_format::scientific);
  char digits[kDoubleCharsMax];
  int count = 0;
  const char* q = scientific;
  for (; *q != 'e'; ++q)
    if (*q != '.') digits[count++] = *q;
  ++q;
  if (*q == '+') ++q;
  int exponent = 0;
  std::from_chars(q, end, exponent);
  p += LayOutDigits(p, digits, count, exponent - (count - 1));
  return static_cast<size_t>(p - buffer);
}

size_t FormatLongDouble(char* buffer, long double value) {
  if (std::isinf(value)) {
    const char* text = value > 0 ? "inf" : "-inf";
    memcpy(buffer, text, strlen(text));
    return strlen(text);
  }
  int length = snprintf(buffer, kLongDoubleCharsMax, "%.17Lf", value);
  if (memchr(buffer, '.', static_cast<size_t>(length)) != nullptr) {
    while (buffer[length - 1] == '0') --length;
    if (buffer[length - 1] == '.') --length;
  }
  if (length == 2 && buffer[0] == '-' && buffer[1] == '0') {
    buffer[0] = '0';
    length = 1;
  }
  return static_cast<size_t>(length);
}

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (Lower(a[i]) != Lower(b[i])) return false;
  return true;
}

std::string ToLower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = Lower(c);
  return lower;
}

}  // namespace cairn
