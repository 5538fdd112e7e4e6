// SPDX-License-Identifier: BSD-3-Clause
#include "resp/request_parser.h"

#include <emmintrin.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/numbers.h"
#include "base/quoted_words.h"

namespace cairn {

namespace {

constexpr int64_t kArgumentsMax = INT_MAX;
constexpr int64_t kArgumentsMaxBeforeAuth = 10;
constexpr int64_t kBulkBytesMaxBeforeAuth = 16384;

constexpr uint32_t kLineEnd = '\r' | '\n' << 8;

inline bool IsLineEnd(const char* p) {
  return LoadLe<uint16_t>(p) == kLineEnd;
}

// Reads "123\r\n" (canonical, at most 8 digits) within [p, end) and returns where it ends;
// nullptr sends the request to the careful path.
inline char* ReadLength(char* p, const char* end, uint32_t* value) {
  if (end - p < 3) return nullptr;
  uint32_t n = static_cast<uint32_t>(*p++ - '0');
  if (n > 9) return nullptr;
  if (*p != '\r') {
    if (n == 0) return nullptr;
    const char* last = std::min<const char*>(end - 1, p + 7);
    do {
      uint32_t digit = static_cast<uint32_t>(*p - '0');
      if (digit > 9 || p >= last) return nullptr;
      n = n * 10 + digit;
    } while (*++p != '\r');
  }
  if (end - p < 2 || p[1] != '\n') return nullptr;
  *value = n;
  return p + 2;
}

// Reads "<kind>n\r\n" as ReadLength does; one or two digits, nearly all there are, from one word.
inline char* ReadHeader(char* p, const char* end, char kind, uint32_t* value) {
  if (end - p >= 5) [[likely]] {
    const uint32_t word = LoadLe<uint32_t>(p);
    if ((word & 0xff) != static_cast<unsigned char>(kind)) return nullptr;
    const uint32_t first = (word >> 8 & 0xff) - '0';
    if (word >> 16 == kLineEnd && first <= 9) {
      *value = first;
      return p + 4;
    }
    const uint32_t second = (word >> 16 & 0xff) - '0';
    if (first - 1 <= 8 && second <= 9 && IsLineEnd(p + 3)) {
      *value = first * 10 + second;
      return p + 5;
    }
  } else if (p == end || *p != kind) {
    return nullptr;
  }
  return ReadLength(p + 1, end, value);
}

// Reads the arguments [i, count) at `p` into `args` and returns where they end; nullptr if they are
// not all there, in the usual words.
[[gnu::always_inline]] inline char* ReadArguments(char* p, const char* end, uint64_t bulk_bytes_max,
                                                  std::string_view* args, uint32_t i,
                                                  uint32_t count) {
  for (; i < count; i++) {
    uint32_t bytes;
    p = ReadHeader(p, end, '$', &bytes);
    if (p == nullptr || bytes > bulk_bytes_max) return nullptr;
    if (static_cast<uint64_t>(end - p) < uint64_t{bytes} + 2 || !IsLineEnd(p + bytes))
      return nullptr;
    args[i] = {p, bytes};
    p += bytes + 2;
  }
  return p;
}

// Whether the 16 bytes at `p` are those of `text` where `mask` asks for it; it does somewhere.
inline bool BeginsWith(const char* p, const char* text, unsigned mask) {
  const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text));
  const auto equal = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(a, b)));
  return mask != 0 && (mask & ~equal) == 0;
}

}  // namespace

RequestBatch::RequestBatch() : requests_(kRequestsAtFirst) {
  blocks_.push_back(std::make_unique_for_overwrite<std::string_view[]>(kBlockArgs));
  room_ = blocks_[0].get();
}

void RequestBatch::Clear() {
  count_ = 0;
  ForgetBeginning();
  block_ = used_ = 0;
  room_ = blocks_[0].get();
  large_.clear();
  if (!inline_text_.empty()) inline_text_.clear();
}

std::string_view* RequestBatch::RoomSlow() {
  if (++block_ == blocks_.size()) {
    blocks_.push_back(std::make_unique_for_overwrite<std::string_view[]>(kBlockArgs));
  }
  used_ = 0;
  return room_ = blocks_[block_].get();
}

// --- the buffer -------------------------------------------------------------------------------

uint64_t RequestParser::MissingOfBigArgument() const {
  if (!partial_.active || partial_.bulk_bytes < int64_t{kBigArgumentBytes}) return 0;
  uint64_t have = static_cast<uint64_t>(end_ - partial_.at);
  uint64_t want = static_cast<uint64_t>(partial_.bulk_bytes) + 2;
  if (partial_.args_left > 1) want += kBehindBytes;
  return want > have ? want - have : 0;
}

size_t RequestParser::LeftInOwn() const {
  return in_own_ ? static_cast<size_t>(own_->begin() + own_->capacity - end_) : 0;
}

std::span<char> RequestParser::ReadTarget(std::span<char> scratch) {
  if (!partial_.active) [[likely]]
    return scratch;
  const size_t room = RoomAhead();
  size_t left = LeftInOwn();
  if (room == 0) {
    const bool behind_big = left - 1 < kBehindBytes && own_->capacity >= kBigArgumentBytes;
    return behind_big ? std::span<char>(end_, left) : scratch;
  }
  // What the last growth has left is used up first: else each short read would move everything.
  if (left < std::min(room, kAheadBytesMin)) {
    EnsureOwnRoom(room);
    left = room;
  }
  return {end_, std::min({room, left, kReadBytesMax})};
}

// Room ahead by what has come already. The larger, the fewer bytes move when the buffer grows, and
// the more memory a client can have set aside for it that sends less: it is counted as the client's
// (memory_bytes), though pages are only there once bytes have come.
constexpr size_t kAheadFactor = 16;

// Of a big argument's missing bytes, those that there is to be room for now. Where not all of them
// may be, only so many that the growth after it, or the one after that, is the last: a value of
// 1.5 MB is not moved when a megabyte of it has come. (kAheadBytesMin more, as buffers grow when
// less than that is left.)
size_t RequestParser::RoomAhead() const {
  const uint64_t missing = MissingOfBigArgument();
  if (missing == 0) [[likely]]
    return 0;
  const uint64_t have = buffered_bytes(), ahead_max = kAheadFactor * have;
  uint64_t size = have + missing;
  while (size - have > ahead_max && size > 2 * kAheadBytesMin)
    size = size / (kAheadFactor + 1) + 1 + kAheadBytesMin;
  const uint64_t ahead = size > have ? std::min(size - have, ahead_max) : 0;
  return std::min<uint64_t>(missing, std::max<uint64_t>(kAheadBytesMin, ahead));
}

void RequestParser::Feed(char* data, size_t n) {
  if (in_own_ && data == end_) {  // read straight into the own buffer
    end_ += n;
  } else if (parse_ == end_) {
    parse_ = data;
    end_ = data + n;
    in_own_ = false;
  } else {
    EnsureOwnRoom(n);
    memcpy(end_, data, n);
    end_ += n;
  }
}

void RequestParser::EndRead() {
  if (parse_ == end_) {
    own_.reset();
    in_own_ = false;
    parse_ = end_ = nullptr;
  } else if (!in_own_ || own_->shared()) {
    EnsureOwnRoom(RoomAhead());
  }
}

// With so many arguments left at most, a big one's last growth is exact: else a value would be
// copied out of a buffer of twice its size.
constexpr uint32_t kExactArgsMax = 8;

// Makes the own buffer hold [parse_, end_) and `bytes` of free room behind it. Each byte is moved
// O(1) times on average: the buffer doubles, or gets room for half as much again as it holds, or at
// least half of it is free in front, or that happens kExactArgsMax times a request. A buffer that a
// value has taken over is left to it.
void RequestParser::EnsureOwnRoom(size_t bytes) {
  const size_t rest = static_cast<size_t>(end_ - parse_);
  size_t capacity = rest + bytes;
  if (in_own_ && !own_->shared()) {
    char* const own = own_->begin();
    if (LeftInOwn() >= bytes) return;
    if (capacity <= own_->capacity && static_cast<size_t>(parse_ - own) >= own_->capacity / 2) {
      memmove(own, parse_, rest);
      Rebase(parse_, own);
      return;
    }
    const bool exact = partial_.args_left <= kExactArgsMax && bytes == MissingOfBigArgument();
    if (!exact && bytes < rest / 2)
      capacity = std::max<size_t>(capacity, own_->capacity * 2);
  }
  StringBlockRef fresh(StringBlock::New(0, capacity));
  memcpy(fresh->begin(), parse_, rest);
  Rebase(parse_, fresh->begin());
  own_ = std::move(fresh);
  in_own_ = true;
}

// The bytes from parse_ on now lie at `to` instead of `from`.
void RequestParser::Rebase(char* from, char* to) {
  end_ = to + (end_ - parse_);
  if (partial_.active) {
    partial_.at = to + (partial_.at - from);
    for (std::string_view& arg : partial_.args) arg = {to + (arg.data() - from), arg.size()};
  }
  parse_ = to;
}

size_t RequestParser::memory_bytes() const {
  return (own_ == nullptr ? 0 : own_->capacity) + partial_.args.capacity() * sizeof(std::string_view);
}

void RequestParser::ResetPartial() {
  partial_.active = false;
  partial_.canonical = true;
  partial_.args_left = 0;
  partial_.bulk_bytes = -1;
  partial_.at = nullptr;
  partial_.scanned = 0;
  std::vector<std::string_view>().swap(partial_.args);
}

void RequestParser::Rewind(const Request& request) {
  parse_ = const_cast<char*>(request.begin);
  ResetPartial();
  error_.clear();
}

// --- the fast path ----------------------------------------------------------------------------

ParseOutcome RequestParser::Next(const ParseLimits& limits, RequestBatch* batch) {
  if (!error_.empty()) [[unlikely]]
    return ParseOutcome::kError;
  if (!partial_.active && ParseFast(limits, batch)) [[likely]]
    return ParseOutcome::kRequest;
  batch->ForgetBeginning();
  return ParseCareful(limits, batch);
}

bool RequestParser::ParseFast(const ParseLimits& limits, RequestBatch* batch) {
  using Beginning = RequestBatch::Beginning;
  char* const begin = parse_;
  const char* const end = end_;
  if (end - begin < 4 || *begin != '*') return false;
  const uint32_t count_max = limits.authenticated ? kFastArgsMax : kArgumentsMaxBeforeAuth;
  const uint64_t bulk_max =
      limits.authenticated ? limits.bulk_bytes_max : uint64_t{kBulkBytesMaxBeforeAuth};
  const Beginning& last = batch->beginning_;
  const bool comparable = static_cast<size_t>(end - begin) >= Beginning::kBytesMax;
  if (comparable && BeginsWith(begin, last.text, last.mask) && last.args <= count_max) [[likely]] {
    const uint32_t count = last.args;
    std::string_view* const args = batch->Room(count);
    char* const rest = begin + last.bytes;
    args[0] = {rest - last.name_bytes - 2, last.name_bytes};
    char* const p = ReadArguments(rest, end, bulk_max, args, 1, count);
    if (p == nullptr) return false;
    batch->used_ += count;
    batch->Add({{args, count}, {begin, static_cast<size_t>(p - begin)}, begin, false, true});
    parse_ = p;
    return true;
  }
  uint32_t count;
  char* p = ReadHeader(begin, end, '*', &count);
  if (p == nullptr || count - 1 >= count_max) return false;  // 0 wraps round
  std::string_view* const args = batch->Room(count);
  p = ReadArguments(p, end, bulk_max, args, 0, count);
  if (p == nullptr) return false;
  batch->used_ += count;
  batch->Add({{args, count}, {begin, static_cast<size_t>(p - begin)}, begin, /*is_inline=*/false});
  const auto bytes = static_cast<size_t>(args[0].data() + args[0].size() + 2 - begin);
  if (comparable && bytes <= Beginning::kBytesMax) {
    batch->Remember(begin, bytes, args[0].size(), count);
  } else {
    batch->ForgetBeginning();
  }
  parse_ = p;
  return true;
}

// --- the careful path -------------------------------------------------------------------------

ParseOutcome RequestParser::Fail(std::string text) {
  error_ = "Protocol error: " + std::move(text);
  return ParseOutcome::kError;
}

// The '\r' that ends the line at partial_.at, if the byte behind it has come too. Redis takes any
// byte for the '\n'; so do we, but such a request is not canonical.
char* RequestParser::FindLineEnd() {
  char* from = partial_.at + partial_.scanned;
  char* r = static_cast<char*>(memchr(from, '\r', static_cast<size_t>(end_ - from)));
  if (r != nullptr && r + 1 < end_) {
    partial_.scanned = 0;
    if (r[1] != '\n') partial_.canonical = false;
    return r;
  }
  partial_.scanned = static_cast<size_t>((r == nullptr ? end_ : r) - partial_.at);
  return nullptr;
}

// An empty request ends at `to`.
void RequestParser::Skip(char* to) {
  parse_ = to;
  ResetPartial();
}

ParseOutcome RequestParser::ParseCareful(const ParseLimits& limits, RequestBatch* batch) {
  while (parse_ != end_) {
    if (!partial_.active && *parse_ != '*') {
      size_t before = batch->size();
      ParseOutcome outcome = ParseInline(batch);
      if (outcome != ParseOutcome::kRequest || batch->size() > before) return outcome;
      continue;
    }
    if (!partial_.active) {
      partial_.active = true;
      partial_.at = parse_;
    }
    if (partial_.args_left == 0) {
      ParseOutcome outcome = BeginMultibulk(limits);
      if (outcome != ParseOutcome::kRequest) return outcome;
      if (partial_.args_left == 0) {
        Skip(partial_.at);
        continue;
      }
    }
    ParseOutcome outcome = ParseArguments(limits);
    if (outcome == ParseOutcome::kRequest) FinishCareful(batch);
    return outcome;
  }
  return ParseOutcome::kNeedMore;
}

// The line "*n". kRequest: it is read.
ParseOutcome RequestParser::BeginMultibulk(const ParseLimits& limits) {
  char* r = FindLineEnd();
  if (r == nullptr) {
    if (partial_.scanned > kInlineBytesMax) return Fail("too big mbulk count string");
    return ParseOutcome::kNeedMore;
  }
  int64_t count;
  std::string_view text(partial_.at + 1, static_cast<size_t>(r - partial_.at - 1));
  if (!ParseInt64(text, &count) || count > kArgumentsMax) return Fail("invalid multibulk length");
  if (!limits.authenticated && count > kArgumentsMaxBeforeAuth) {
    return Fail("unauthenticated multibulk length");
  }
  partial_.args_left = static_cast<uint32_t>(std::max<int64_t>(count, 0));
  partial_.at = r + 2;
  return ParseOutcome::kRequest;
}

ParseOutcome RequestParser::ParseArguments(const ParseLimits& limits) {
  while (partial_.args_left > 0) {
    if (partial_.bulk_bytes < 0) {
      char* r = FindLineEnd();
      if (r == nullptr) {
        if (partial_.scanned > kInlineBytesMax) return Fail("too big bulk count string");
        return ParseOutcome::kNeedMore;
      }
      if (*partial_.at != '$') {
        std::string text = "expected '$', got '?'";
        text[text.size() - 2] = *partial_.at;
        return Fail(std::move(text));
      }
      int64_t bytes;
      std::string_view text(partial_.at + 1, static_cast<size_t>(r - partial_.at - 1));
      if (!ParseInt64(text, &bytes) || bytes < 0 ||
          static_cast<uint64_t>(bytes) > limits.bulk_bytes_max) {
        return Fail("invalid bulk length");
      }
      if (!limits.authenticated && bytes > kBulkBytesMaxBeforeAuth) {
        return Fail("unauthenticated bulk length");
      }
      partial_.bulk_bytes = bytes;
      partial_.at = r + 2;
    }
    size_t bytes = static_cast<size_t>(partial_.bulk_bytes);
    if (static_cast<size_t>(end_ - partial_.at) < bytes + 2) return ParseOutcome::kNeedMore;
    partial_.args.emplace_back(partial_.at, bytes);
    if (!IsLineEnd(partial_.at + bytes)) partial_.canonical = false;
    partial_.at += bytes + 2;
    partial_.bulk_bytes = -1;
    partial_.args_left--;
  }
  return ParseOutcome::kRequest;
}

void RequestParser::FinishCareful(RequestBatch* batch) {
  std::span<const std::string_view> args;
  if (partial_.args.size() <= RequestBatch::kBlockArgs) {
    std::string_view* room = batch->Room(partial_.args.size());
    std::copy(partial_.args.begin(), partial_.args.end(), room);
    batch->used_ += partial_.args.size();
    args = {room, partial_.args.size()};
  } else {
    batch->large_.push_back(std::move(partial_.args));
    args = batch->large_.back();
  }
  std::string_view raw;
  if (partial_.canonical) raw = {parse_, static_cast<size_t>(partial_.at - parse_)};
  batch->Add({args, raw, parse_, /*is_inline=*/false});
  Skip(partial_.at);
}

// One line. kRequest: it was read, and appended unless it was blank.
ParseOutcome RequestParser::ParseInline(RequestBatch* batch) {
  char* from = parse_ + partial_.scanned;
  char* newline = static_cast<char*>(memchr(from, '\n', static_cast<size_t>(end_ - from)));
  if (newline == nullptr) {
    partial_.scanned = static_cast<size_t>(end_ - parse_);
    if (partial_.scanned > kInlineBytesMax) return Fail("too big inline request");
    return ParseOutcome::kNeedMore;
  }
  std::string_view line(parse_, static_cast<size_t>(newline - parse_));
  if (line.ends_with('\r')) line.remove_suffix(1);
  std::string& text = batch->inline_text_.emplace_back();
  std::vector<std::string_view> args;
  if (!SplitQuotedWords(line, &text, &args)) return Fail("unbalanced quotes in request");
  if (args.empty()) {
    batch->inline_text_.pop_back();
  } else {
    batch->large_.push_back(std::move(args));
    batch->Add({batch->large_.back(), {}, parse_, /*is_inline=*/true});
  }
  Skip(newline + 1);
  return ParseOutcome::kRequest;
}

}  // namespace cairn
