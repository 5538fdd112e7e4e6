// SPDX-License-Identifier: BSD-3-Clause
#include "resp/reply_writer.h"

#include <climits>
#include <functional>
#include <limits>
#include <string>

namespace cairn {
namespace {

std::string Reply(int version, const std::function<void(ReplyWriter&)>& write) {
  OutputBuffer out;
  ReplyWriter writer(&out, version);
  write(writer);
  out.CheckInvariants();
  std::string all;
  struct iovec vectors[64];
  int count = out.Gather(vectors, 64, SIZE_MAX);
  for (int i = 0; i < count; i++) {
    all.append(static_cast<char*>(vectors[i].iov_base), vectors[i].iov_len);
  }
  return all;
}

// On the wire. What each reply looks like in RESP2 and RESP3.
TEST_CASE("reply writer: golden bytes") {
  struct Row {
    std::function<void(ReplyWriter&)> write;
    std::string resp2, resp3;
  };
  const double infinity = std::numeric_limits<double>::infinity();
  const Row rows[] = {
      {[](ReplyWriter& w) { w.Ok(); }, "+OK\r\n", "+OK\r\n"},
      {[](ReplyWriter& w) { w.SimpleString("PONG"); }, "+PONG\r\n", "+PONG\r\n"},
      {[](ReplyWriter& w) { w.Error("ERR a\r\nb"); }, "-ERR a  b\r\n", "-ERR a  b\r\n"},
      {[](ReplyWriter& w) { w.Error("ERR a\n\r\n"); }, "-ERR a\r\n", "-ERR a\r\n"},
      {[](ReplyWriter& w) { w.Integer(0); }, ":0\r\n", ":0\r\n"},
      {[](ReplyWriter& w) { w.Integer(1023); }, ":1023\r\n", ":1023\r\n"},
      {[](ReplyWriter& w) { w.Integer(1024); }, ":1024\r\n", ":1024\r\n"},
      {[](ReplyWriter& w) { w.Integer(-1); }, ":-1\r\n", ":-1\r\n"},
      {[](ReplyWriter& w) { w.Integer(INT64_MIN); }, ":-9223372036854775808\r\n",
       ":-9223372036854775808\r\n"},
      {[](ReplyWriter& w) { w.Bulk(""); }, "$0\r\n\r\n", "$0\r\n\r\n"},
      {[](ReplyWriter& w) { w.Bulk("abc"); }, "$3\r\nabc\r\n", "$3\r\nabc\r\n"},
      {[](ReplyWriter& w) { w.BulkInteger(-12); }, "$3\r\n-12\r\n", "$3\r\n-12\r\n"},
      {[](ReplyWriter& w) { w.Null(); }, "$-1\r\n", "_\r\n"},
      {[](ReplyWriter& w) { w.NullArray(); }, "*-1\r\n", "_\r\n"},
      {[](ReplyWriter& w) { w.EmptyArray(); }, "*0\r\n", "*0\r\n"},
      {[](ReplyWriter& w) { w.Array(3); }, "*3\r\n", "*3\r\n"},
      {[](ReplyWriter& w) { w.Map(3); }, "*6\r\n", "%3\r\n"},
      {[](ReplyWriter& w) { w.Set(3); }, "*3\r\n", "~3\r\n"},
      {[](ReplyWriter& w) { w.Push(3); }, "*3\r\n", ">3\r\n"},
      {[](ReplyWriter& w) { w.Double(1.5); }, "$3\r\n1.5\r\n", ",1.5\r\n"},
      {[=](ReplyWriter& w) { w.Double(-infinity); }, "$4\r\n-inf\r\n", ",-inf\r\n"},
      {[](ReplyWriter& w) { w.LongDouble(3.25L); }, "$4\r\n3.25\r\n", "$4\r\n3.25\r\n"},
      {[](ReplyWriter& w) { w.Bool(true); }, ":1\r\n", "#t\r\n"},
      {[](ReplyWriter& w) { w.Bool(false); }, ":0\r\n", "#f\r\n"},
      {[](ReplyWriter& w) { w.BigNumber("12345678901"); }, "$11\r\n12345678901\r\n",
       "(12345678901\r\n"},
      {[](ReplyWriter& w) { w.Verbatim("txt", "hi"); }, "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"},
  };
  for (const Row& row : rows) {
    REQUIRE(Reply(2, row.write) == row.resp2);
    REQUIRE(Reply(3, row.write) == row.resp3);
  }
}

TEST_CASE("reply writer: long bulks, borrowed or copied, are framed alike") {
  for (size_t n : {2047u, 2048u, 2049u, 16'383u, 16'384u, 100'000u}) {
    std::string text(n, 'v');
    std::string expected = "$" + std::to_string(n) + "\r\n" + text + "\r\n:1\r\n";
    REQUIRE(Reply(2, [&](ReplyWriter& w) { w.Bulk(text); w.Integer(1); }) == expected);
    REQUIRE(Reply(2, [&](ReplyWriter& w) {
              w.BulkBorrowed(text, [](void*) {}, nullptr);
              w.Integer(1);
            }) == expected);
  }
}

TEST_CASE("reply writer: deferred lengths") {
  auto write = [](ReplyWriter& w) {
    auto outer = w.StartDeferred();
    auto inner = w.StartDeferred();
    w.Bulk("k");
    w.Integer(5);
    w.FinishMap(inner, 1);
    auto empty = w.StartDeferred();
    w.FinishSet(empty, 0);
    w.FinishArray(outer, 2);
  };
  REQUIRE(Reply(2, write) == "*2\r\n*2\r\n$1\r\nk\r\n:5\r\n*0\r\n");
  REQUIRE(Reply(3, write) == "*2\r\n%1\r\n$1\r\nk\r\n:5\r\n~0\r\n");
}

TEST_CASE("reply writer: counts errors and remembers the last code") {
  OutputBuffer out;
  ReplyWriter writer(&out, 2);
  REQUIRE(writer.error_count() == 0);
  writer.Error("ERR x");
  writer.Error("WRONGTYPE Operation against a key");
  REQUIRE(writer.error_count() == 2);
  REQUIRE(writer.last_error_code() == "WRONGTYPE");
}

}  // namespace
}  // namespace cairn
