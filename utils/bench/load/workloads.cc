// SPDX-License-Identifier: BSD-3-Clause
#include "utils/bench/load/workloads.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <utility>

namespace cairn::load {
namespace {

constexpr size_t kDigits = 12;

constexpr const char* kStrings = "SET key:%k %v";
constexpr const char* kMembers = "ZADD zset %r member:%k";

// name, setup, fill, most keys, requests
constexpr Workload kWorkloads[] = {
    {"ping", "", "", 0, "PING"},
    {"get", "", kStrings, 0, "GET key:%k"},
    {"set", "", "", 0, kStrings},
    {"set-ttl", "", "", 0, "SET key:%k %v EX 86400"},
    {"mixed", "", kStrings, 0, "{9 GET key:%k | } SET key:%k %v"},
    {"mget", "", kStrings, 0, "MGET {10 key:%k }"},
    {"mset", "", "", 0, "MSET {10 key:%k %v }"},
    {"incr", "", "", 0, "INCR counter:%k"},
    {"lpush-rpop", "DEL list", "", 0, "LPUSH list %v | RPOP list"},
    {"rpush", "", "", 0, "RPUSH list element:%k"},
    {"lrange", "", "RPUSH list:%k {100 element:%i }", 1000, "LRANGE list:%k 0 99"},
    {"hset", "", "", 0, "HSET hash field:%k %v"},
    {"hset-small", "", "", 0,
     "HSET hash:%k f0 value f1 value f2 value f3 value f4 value "
     "f5 value f6 value f7 value f8 value f9 value"},
    {"hgetall", "", "HSET hash:%k {20 field:%i value:%i }", 10000, "HGETALL hash:%k"},
    {"sadd", "", "", 0, "SADD set member:%k"},
    {"sadd-spop", "", "SADD set member:%k", 0, "SADD set member:%k | SPOP set"},
    {"zadd", "", "", 0, kMembers},
    {"zrange", "", kMembers, 0, "ZRANGE zset 500 509"},
    {"zrank", "", kMembers, 0, "ZRANK zset member:%k"},
    {"xadd", "DEL stream", "", 0, "XADD stream MAXLEN ~ 100000 * field %v"},
    {"xadd-all", "", "", 0, "XADD stream * field value:%k"},
    {"xreadgroup", "DEL queue ; XGROUP CREATE queue group $ MKSTREAM", "", 0,
     "XADD queue MAXLEN ~ 10000 * field %v | XREADGROUP GROUP group worker COUNT 1 NOACK STREAMS "
     "queue >"},
    {"pfadd", "", "", 0, "PFADD hll element:%k"},
    {"setbit", "", "", 1000, "SETBIT bits:%k 77 1"},
    {"eval", "", "", 0, "EVAL \"return redis.call('INCR', KEYS[1])\" 1 counter:%k"},
    {"multi", "", "", 0, "MULTI ; {10 INCR counter:%k ; } EXEC"},
    {"publish", "", "", 0, "PUBLISH news %v"},
};

// {N text} becomes N times the text. Braces do not nest.
std::string Repeat(std::string_view text) {
  std::string out;
  for (;;) {
    const size_t open = text.find('{');
    const size_t close = open == text.npos ? text.npos : text.find('}', open);
    out += text.substr(0, close == text.npos ? text.npos : open);
    if (close == text.npos) return out;
    const std::string_view inside = text.substr(open + 1, close - open - 1);
    int times = 0;
    const auto [end, error] = std::from_chars(inside.data(), inside.data() + inside.size(), times);
    const std::string_view rest = inside.substr(static_cast<size_t>(end - inside.data()));
    for (int i = 0; i < times; ++i) out += rest;
    text.remove_prefix(close + 1);
  }
}

std::vector<std::string> Words(std::string_view text) {
  std::vector<std::string> words;
  bool quoted = false, inside = false;
  for (const char c : text) {
    if (!quoted && std::isspace(static_cast<unsigned char>(c))) {
      inside = false;
      continue;
    }
    if (!inside) words.emplace_back();
    inside = true;
    if (c == '"') {
      quoted = !quoted;
    } else {
      words.back() += c;
    }
  }
  return words;
}

void WriteDigits(char* at, uint64_t number) {
  for (size_t i = kDigits; i-- > 0; number /= 10) at[i] = static_cast<char>('0' + number % 10);
}

void WriteNoise(char* at, uint64_t bits) {
  for (size_t i = 0; i < kDigits; ++i, bits >>= 4) at[i] = "0123456789abcdef"[bits & 15];
}

}  // namespace

std::span<const Workload> Workloads() {
  return kWorkloads;
}

const Workload* FindWorkload(std::string_view name) {
  for (const Workload& workload : kWorkloads)
    if (workload.name == name) return &workload;
  return nullptr;
}

Request::Request(std::string_view text, const std::string& value) {
  std::vector<std::string> command;
  for (std::string& word : Words(text)) {
    if (word != ";") {
      command.push_back(std::move(word));
    } else {
      AddCommand(command, value);
      command.clear();
    }
  }
  AddCommand(command, value);
}

void Request::AddCommand(const std::vector<std::string>& words, const std::string& value) {
  if (words.empty()) return;
  ++replies_;
  bytes_ += '*' + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) {
    std::string text;
    std::vector<Hole> holes;
    for (size_t i = 0; i < word.size(); ++i) {
      const char kind = word[i] == '%' && i + 1 < word.size() ? word[i + 1] : '\0';
      if (kind == 'v') {
        text += value;
      } else if (kind == 'k' || kind == 'r' || kind == 'i' || kind == 'x') {
        holes.push_back({text.size(), kind});
        text.append(kDigits, '0');
      } else {
        text += word[i];
        continue;
      }
      ++i;
    }
    bytes_ += '$' + std::to_string(text.size()) + "\r\n";
    for (const Hole& hole : holes) holes_.push_back({bytes_.size() + hole.offset, hole.kind});
    bytes_ += text + "\r\n";
  }
}

void Request::AppendTo(std::string* out, Keys* keys, uint64_t* rising) const {
  const size_t begin = out->size();
  out->append(bytes_);
  for (const Hole& hole : holes_) {
    char* at = out->data() + begin + hole.offset;
    if (hole.kind == 'k') {
      WriteDigits(at, keys->Next());
    } else if (hole.kind == 'r') {
      WriteDigits(at, keys->Uniform());
    } else if (hole.kind == 'i') {
      WriteDigits(at, (*rising)++);
    } else {
      WriteNoise(at, keys->Bits());
    }
  }
}

std::vector<Request> ParseRequests(std::string_view text, const std::string& value) {
  const std::string whole = Repeat(text);
  std::vector<Request> requests;
  for (size_t begin = 0; begin <= whole.size();) {
    const size_t end = std::min(whole.find('|', begin), whole.size());
    requests.emplace_back(std::string_view(whole).substr(begin, end - begin), value);
    if (requests.back().replies() == 0) requests.pop_back();
    begin = end + 1;
  }
  return requests;
}

}  // namespace cairn::load
