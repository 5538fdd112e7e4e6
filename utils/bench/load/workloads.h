// SPDX-License-Identifier: BSD-3-Clause
//
// What is sent. A workload is a row of words as one would type them:
//
//   %k        a key's number, by the run's distribution, twelve digits
//   %r        a number that is uniform among the keys, twelve digits
//   %i        a number that rises with each use in a thread, twelve digits
//   %x        twelve random hexadecimal digits
//   %v        the run's value
//   "a b"     one word
//   {9 ...}   nine times what follows in the braces
//   ;         between the commands of one request: one latency, as many replies (MULTI)
//   |         between requests that are sent in turn, from a random one on
//
// A Request holds the encoded bytes and where the digits are, so that sending one is a copy and a
// few divisions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "utils/bench/load/keys.h"

namespace cairn::load {

struct Workload {
  const char* name;
  const char* setup;     // once a run, on a connection of its own
  const char* fill;      // once for each key, where the run is told to fill; "": nothing is needed
  uint64_t keys_max;     // more keys than this are not used; 0: no bound
  const char* requests;  // in turn
};

std::span<const Workload> Workloads();
const Workload* FindWorkload(std::string_view name);

class Request {
 public:
  // The words of one request, its commands separated by ";". Empty text makes an empty request.
  Request(std::string_view text, const std::string& value);

  void AppendTo(std::string* out, Keys* keys, uint64_t* rising) const;
  int replies() const { return replies_; }

 private:
  struct Hole {
    size_t offset;
    char kind;  // k, r, i or x
  };
  void AddCommand(const std::vector<std::string>& words, const std::string& value);

  std::string bytes_;
  std::vector<Hole> holes_;
  int replies_ = 0;
};

// The requests of a text, separated by "|".
std::vector<Request> ParseRequests(std::string_view text, const std::string& value);

}  // namespace cairn::load
