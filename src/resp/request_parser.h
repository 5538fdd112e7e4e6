// SPDX-License-Identifier: BSD-3-Clause
//
// The incremental, zero-copy parser of requests: multibulk ("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n") and
// inline ("GET k\r\n", with Redis's quoting). Arguments point into the bytes that were read.
//
// One RequestParser belongs to one connection. The life of one read:
//
//   target = parser.ReadTarget(scratch)     where to read: the worker's scratch, or straight into
//   n = read(fd, target)                    the parser's own buffer when a big argument is due
//   parser.Feed(target.data(), n)
//   while ((o = parser.Next(limits, &batch)) == ParseOutcome::kRequest) ...   any number
//   execute batch[0..]; kError: queue "-ERR " + parser.error() as the last reply, then close
//   parser.EndRead()                        keeps the bytes that are not yet requests
//
// Requests stay valid until EndRead, Feed or RequestBatch::Clear. A connection that must stop in
// mid-batch (blocked, paused) calls Rewind(batch[i]) with the first request not executed, then
// EndRead: these bytes move to the parser's own buffer and later calls of Next (without Feed)
// parse them again.
//
// How it is fast and never quadratic: a request that lies whole in the buffer takes a short fast
// path, shorter still if it begins as the one before. Anything else (incomplete, wrong, more than
// kFastArgsMax arguments) takes a careful one that can stop at any byte and resumes there: no byte
// is scanned more than twice, payloads not at all. While the rest of an argument of
// kBigArgumentBytes or more is missing, ReadTarget hands out the own buffer's tail, with room for
// many times what has come, up to the final size: a megabyte in 64 KiB reads moves a sixteenth.
//
// The own buffer is a StringBlock: whoever runs a request may take a big argument over by a
// reference to it (own()), until EndRead; from then on the parser does not touch the block again.
//
// Invariants: parse_ is the start of the first request not yet given out; with a request in
// progress (partial_.active) partial_.at points into [parse_, end_] at the first byte not scanned.
//
// Errors are worded letter for letter as Redis words them. Thread rule: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/string_block.h"

namespace cairn {

struct Request {
  std::span<const std::string_view> args;  // at least one
  // The request's bytes when they are canonical RESP (fit for the journal as they are); empty for
  // an inline request and for one whose line ends are not CR LF (which Redis lets pass).
  std::string_view raw;
  const char* begin;  // its first byte; for Rewind
  bool is_inline;
  // It begins with the same bytes as the request before it in the batch, to the end of the
  // command's name.
  bool same_name = false;
};

// The requests parsed ahead and the memory of their argument arrays. One a worker, reused: after
// the first few reads nothing is allocated any more.
class RequestBatch {
 public:
  RequestBatch();

  size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  const Request& operator[](size_t i) const { return requests_[i]; }
  const Request& back() const { return requests_[count_ - 1]; }
  // Forgets all requests.
  void Clear();

 private:
  // "*2\r\n$3\r\nGET\r\n": how the last request began. The next one most likely does so, too, and
  // need not be read that far.
  struct Beginning {
    static constexpr size_t kBytesMax = 16;
    char text[kBytesMax];
    unsigned mask;  // a bit for each byte that counts; 0: no request is remembered
    uint32_t bytes, name_bytes;
    uint32_t args;
  };
  // `begin` has kBytesMax bytes.
  void Remember(const char* begin, size_t bytes, size_t name_bytes, uint32_t args) {
    beginning_ = {{}, (1u << bytes) - 1, static_cast<uint32_t>(bytes),
                  static_cast<uint32_t>(name_bytes), args};
    memcpy(beginning_.text, begin, Beginning::kBytesMax);
  }
  void ForgetBeginning() { beginning_.mask = 0; }
  friend class RequestParser;
  static constexpr size_t kBlockArgs = 4096;
  static constexpr size_t kRequestsAtFirst = 64;

  void Add(const Request& request) {
    if (count_ == capacity_) [[unlikely]] Grow();
    requests_[count_++] = request;
  }
  void Grow() {
    capacity_ *= 2;
    requests_.resize(capacity_);
  }
  std::string_view* Room(size_t args) {
    if (kBlockArgs - used_ >= args) [[likely]] return room_ + used_;
    return RoomSlow();
  }
  std::string_view* RoomSlow();

  std::vector<Request> requests_;  // those behind count_ are room
  size_t count_ = 0, capacity_ = kRequestsAtFirst;
  Beginning beginning_ = {};
  std::vector<std::unique_ptr<std::string_view[]>> blocks_;
  size_t block_ = 0;  // the block in use
  std::string_view* room_ = nullptr;  // its memory
  size_t used_ = 0;   // of its kBlockArgs
  std::vector<std::vector<std::string_view>> large_;  // requests with very many arguments
  std::deque<std::string> inline_text_;               // unquoted arguments of inline requests
};

struct ParseLimits {
  uint64_t bulk_bytes_max = 512ull << 20;  // proto-max-bulk-len
  bool authenticated = true;  // false: at most 10 arguments of 16384 bytes (Redis's bounds)
};

enum class ParseOutcome { kRequest, kNeedMore, kError };

class RequestParser {
 public:
  static constexpr size_t kFastArgsMax = 1024;
  static constexpr size_t kBigArgumentBytes = StringBlock::kLentBytesMin;
  static constexpr size_t kInlineBytesMax = 64 * 1024;
  static constexpr size_t kReadBytesMax = 1 << 20;  // of one read into the own buffer
  // Room made for what was only announced: this, or some times as much as has come. Else a few
  // bytes a connection would be enough to take all memory.
  static constexpr size_t kAheadBytesMin = 16 * 1024;
  // And, with the whole of a big argument, for those behind it ("EX 100"): these must not move it.
  static constexpr size_t kBehindBytes = 128;

  RequestParser() = default;
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  // Where the next read should go: `scratch`, or the tail of the own buffer.
  std::span<char> ReadTarget(std::span<char> scratch);
  // `data` is where ReadTarget said, or anywhere else. It must stay until EndRead.
  void Feed(char* data, size_t n);
  // Parses one request and appends it to `batch`. Empty requests ("*0", blank lines) are skipped.
  ParseOutcome Next(const ParseLimits& limits, RequestBatch* batch);
  // After kError: "Protocol error: ...". Every later Next says kError again, but for a Rewind.
  const std::string& error() const { return error_; }
  // `request` (given out since the last EndRead) and all behind it are to be parsed again.
  void Rewind(const Request& request);
  // Moves what was not given out into the own buffer; gives an empty own buffer back.
  void EndRead();

  // Bytes that were fed but not yet given out as requests. Exact after EndRead.
  size_t buffered_bytes() const { return static_cast<size_t>(end_ - parse_); }
  size_t memory_bytes() const;
  // The own buffer; nullptr while there is none.
  const StringBlockRef& own() const { return own_; }
  // True when a request has begun but not ended (after Next said kNeedMore).
  bool in_request() const { return parse_ != end_; }

 private:
  // The request in progress on the careful path.
  struct Partial {
    bool active = false;
    bool canonical = true;
    uint32_t args_left = 0;
    int64_t bulk_bytes = -1;  // of the argument whose payload is due; -1: its "$n" line is due
    char* at = nullptr;       // first byte not scanned
    size_t scanned = 0;       // bytes behind `at` known to hold no line end
    std::vector<std::string_view> args;
  };

  bool ParseFast(const ParseLimits& limits, RequestBatch* batch);
  ParseOutcome ParseCareful(const ParseLimits& limits, RequestBatch* batch);
  ParseOutcome ParseInline(RequestBatch* batch);
  void Skip(char* to);
  ParseOutcome BeginMultibulk(const ParseLimits& limits);
  ParseOutcome ParseArguments(const ParseLimits& limits);
  void FinishCareful(RequestBatch* batch);
  ParseOutcome Fail(std::string text);
  char* FindLineEnd();
  void ResetPartial();
  void Rebase(char* from, char* to);
  void EnsureOwnRoom(size_t bytes);
  uint64_t MissingOfBigArgument() const;
  size_t RoomAhead() const;
  size_t LeftInOwn() const;

  char* parse_ = nullptr;
  char* end_ = nullptr;
  StringBlockRef own_;
  bool in_own_ = false;  // [parse_, end_) lies in own_
  Partial partial_;
  std::string error_;
};

}  // namespace cairn
