// SPDX-License-Identifier: BSD-3-Clause
//
// A leader's snapshot as it comes: both ways of saying where it ends, in pieces of any size.
#include "repl/sync_body.h"

#include <algorithm>
#include <cstring>
#include <string>

#include <catch2/catch.hpp>
#include "base/status.h"

namespace cairn {
namespace {

// A connection that holds `bytes`, and gives `piece` of them a read.
SyncBody::ReadSome ConnectionWith(const std::string& bytes, size_t piece) {
  return [&bytes, piece, at = size_t{0}](char* into, size_t size) mutable -> Result<size_t> {
    if (at == bytes.size()) return Status::Io("the leader closed the connection");
    const size_t n = std::min({size, piece, bytes.size() - at});
    memcpy(into, bytes.data() + at, n);
    at += n;
    return n;
  };
}

Result<std::string> ReadAll(SyncBody* body, size_t size) {
  std::string all, piece(size, '\0');
  for (;;) {
    const auto n = body->Read(piece.data(), size);
    if (!n.ok()) return n.status();
    if (*n == 0) return all;
    all.append(piece, 0, *n);
  }
}

const std::string kMark = "0123456789abcdef0123456789abcdef01234567";

}  // namespace

TEST_CASE("A snapshot ends at its mark or its length, however it comes", "[repl]") {
  // A part of the mark in the middle is none.
  const std::string plain =
      "REDIS0010" + kMark.substr(0, 39) + std::string(300, 'x') + kMark.substr(1);
  for (const std::string& content : {plain, std::string(), std::string("y")}) {
    for (size_t piece : {size_t{1}, size_t{7}, size_t{40}, size_t{41}, size_t{100000}}) {
      for (size_t size : {size_t{1}, size_t{13}, size_t{100000}}) {
        INFO(content.size() << " bytes, " << piece << " at a time, read by " << size);
        const std::string marked = content + kMark;
        SyncBody by_mark(ConnectionWith(marked, piece));
        REQUIRE(by_mark.Begin("$EOF:" + kMark).ok());
        REQUIRE(ReadAll(&by_mark, size).value() == content);
        REQUIRE(by_mark.End().ok());
        const std::string more = content + "+CONTINUE";
        SyncBody by_length(ConnectionWith(more, piece));
        REQUIRE(by_length.Begin("$" + std::to_string(content.size())).ok());
        REQUIRE(by_length.length() == content.size());
        REQUIRE(ReadAll(&by_length, size).value() == content);
        REQUIRE(by_length.End().ok());
      }
    }
  }
}

TEST_CASE("A snapshot that breaks off is an error, and so is one that goes on", "[repl]") {
  const std::string bytes = std::string(500, 'x') + kMark;
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    const std::string part = bytes.substr(0, cut);
    SyncBody body(ConnectionWith(part, 64));
    REQUIRE(body.Begin("$EOF:" + kMark).ok());
    REQUIRE(ReadAll(&body, 100).status().code() == StatusCode::kIo);
  }
  SyncBody body(ConnectionWith(bytes, 64));
  REQUIRE(body.Begin("$EOF:" + kMark).ok());
  char byte;
  REQUIRE(body.Read(&byte, 1).value() == 1);
  REQUIRE(body.End().code() == StatusCode::kCorrupt);
}

TEST_CASE("Other lines announce no snapshot", "[repl]") {
  const std::string none;
  for (const char* line : {"", "-ERR no", "$", "$-1", "$1x", "$EOF:", "$EOF:0123", "+OK"}) {
    INFO(line);
    SyncBody body(ConnectionWith(none, 1));
    REQUIRE_FALSE(body.Begin(line).ok());
  }
}

}  // namespace cairn
