// SPDX-License-Identifier: BSD-3-Clause
//
// SORT and SORT_RO. The elements are copied out with what they are compared by, sorted, and then
// replied or stored as a list. Text compares by its bytes, whatever the locale.
//
// BY and GET patterns with a '*' name keys that nobody knows before: such calls lock everything.
// Elements that compare equal keep the order in which the key holds them.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "commands/families.h"
#include "exec/access.h"
#include "exec/args.h"
#include "exec/refs.h"
#include "spec/registry.h"
#include "types/hash.h"
#include "types/list.h"
#include "types/set.h"
#include "types/sorted_set.h"

namespace cairn {
namespace {

struct SortRequest {
  bool descending = false;
  bool alpha = false;
  bool sorted = true;
  int64_t limit_start = 0;
  int64_t limit_count = -1;  // -1: all
  std::optional<std::string_view> by;
  std::vector<std::string_view> get;
  std::optional<std::string_view> store;
};

struct SortItem {
  std::string text;
  double score = 0;               // unless alpha
  std::optional<std::string> by;  // with alpha and BY; nothing if there is no such value
};

// What patterns name, no ACL rule was asked about: only who may read every key may use them.
void CheckPattern(Context& ctx, Args& args, std::string_view refusal) {
  if (!MayReadAnyKey(ctx.session(), ctx.command(), ctx.args())) args.Fail(refusal);
}

bool ReadRequest(Context& ctx, bool may_store, SortRequest* request) {
  Args args(ctx, 2);
  while (args.More()) {
    if (args.Take("ASC")) {
      request->descending = false;
    } else if (args.Take("DESC")) {
      request->descending = true;
    } else if (args.Take("ALPHA")) {
      request->alpha = true;
    } else if (args.Take("LIMIT", 2)) {
      request->limit_start = args.Int();
      request->limit_count = args.Int();
    } else if (may_store && args.Take("STORE", 1)) {
      request->store = args.Next();
    } else if (args.Take("BY", 1)) {
      request->by = args.Next();
      // A constant pattern gives nothing to compare.
      if (request->by->find('*') == std::string_view::npos) {
        request->sorted = false;
      } else {
        CheckPattern(ctx, args,
                     "ERR BY option of SORT denied due to insufficient ACL permissions.");
      }
    } else if (args.Take("GET", 1)) {
      request->get.push_back(args.Next());
      CheckPattern(ctx, args,
                   "ERR GET option of SORT denied due to insufficient ACL permissions.");
    } else {
      args.Fail(errors::kSyntax);
    }
  }
  return args.Done();
}

// The value that a pattern names for an element: "#" is the element, the first '*' stands for it,
// and "->field" behind it names a field of a hash. Nothing without a '*'.
std::optional<std::string> LookupPattern(Context& ctx, std::string_view pattern,
                                         std::string_view element) {
  if (pattern == "#") return std::string(element);
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return std::nullopt;
  std::string_view rest = pattern.substr(star + 1);
  std::string_view field;
  if (const size_t arrow = rest.find("->");
      arrow != std::string_view::npos && arrow + 2 < rest.size()) {
    field = rest.substr(arrow + 2);
    rest = rest.substr(0, arrow);
  }
  std::string key(pattern.substr(0, star));
  key.append(element).append(rest);
  const Entry* entry = ctx.Find(key, Context::Touch::kLook);
  if (entry == nullptr || entry->type() != (field.empty() ? Type::kString : Type::kHash))
    return std::nullopt;
  if (field.empty()) return std::string(ctx.ReadString(key).view());
  const auto value = ctx.Read<Hash>(key)->Get(field, ctx.now_ms());
  if (!value) return std::nullopt;
  char digits[kInt64CharsMax];
  return std::string(value->Text(digits));
}

// As strtod reads it, which is what Redis asks: no text at all is zero, blanks may lead.
bool ParseScore(std::string_view text, double* score) {
  text = text.substr(0, text.find('\0'));
  *score = 0;
  if (text.empty()) return true;
  text.remove_prefix(std::min(text.find_first_not_of(" \t\n\v\f\r"), text.size()));
  return ParseDouble(text, score);
}

// First and count of what LIMIT leaves of `size` elements.
std::pair<size_t, size_t> Window(const SortRequest& request, size_t size) {
  const int64_t all = static_cast<int64_t>(size);
  const int64_t start = std::clamp<int64_t>(request.limit_start, 0, all);
  const int64_t count = request.limit_count < 0 ? all : std::min(request.limit_count, all);
  return {static_cast<size_t>(start), static_cast<size_t>(std::min(count, all - start))};
}

// The elements of the key in the order in which it holds them. Where nothing will be sorted, DESC
// turns lists and sorted sets around.
bool ReadElements(Context& ctx, const SortRequest& request, std::vector<SortItem>* items) {
  const auto add = [&](std::string_view text) { items->push_back({std::string(text), 0, {}}); };
  const Entry* entry = ctx.Find(ctx.arg(1), Context::Touch::kLook);
  if (entry == nullptr) return true;
  const bool backward = !request.sorted && request.descending;
  switch (entry->type()) {
    case Type::kList: {
      ctx.Read<List>(ctx.arg(1))->Range(0, -1, add);
      if (backward) std::reverse(items->begin(), items->end());
      return true;
    }
    case Type::kSet: {
      char digits[kInt64CharsMax];
      ctx.Read<Set>(ctx.arg(1))->ForEach([&](const ListpackValue& member) {
        add(member.Text(digits));
        return true;
      });
      return true;
    }
    case Type::kSortedSet: {
      auto zset = ctx.Read<SortedSet>(ctx.arg(1));
      for (auto it = zset->Iterate(zset->All(), backward); it.Valid(); it.Next()) add(it.member());
      return true;
    }
    default:
      ctx.Error(errors::kWrongType);
      return false;
  }
}

// Fills in what the elements are compared by; false if that is no number where it must be one.
bool Weigh(Context& ctx, const SortRequest& request, std::vector<SortItem>* items) {
  bool numbers = true;
  for (SortItem& item : *items) {
    if (!request.by) {
      if (!request.alpha) numbers &= ParseScore(item.text, &item.score);
      continue;
    }
    std::optional<std::string> by = LookupPattern(ctx, *request.by, item.text);
    if (request.alpha) {
      item.by = std::move(by);
    } else if (by) {
      numbers &= ParseScore(*by, &item.score);
    }
  }
  return numbers;
}

// As Redis: a stored order is one of bytes, a shown one ends at zero bytes, like strcoll's.
int CompareTexts(const SortRequest& request, const std::string& a, const std::string& b) {
  return request.store ? a.compare(b) : strcmp(a.c_str(), b.c_str());
}

int Compare(const SortRequest& request, const SortItem& a, const SortItem& b) {
  if (!request.alpha) {
    if (a.score != b.score) return a.score < b.score ? -1 : 1;
    return a.text.compare(b.text);
  }
  if (!request.by) return CompareTexts(request, a.text, b.text);
  // What has no value comes first.
  if (!a.by || !b.by) return int{a.by.has_value()} - int{b.by.has_value()};
  return CompareTexts(request, *a.by, *b.by);
}

void SortItems(const SortRequest& request, std::vector<SortItem>* items) {
  std::stable_sort(items->begin(), items->end(), [&](const SortItem& a, const SortItem& b) {
    return (request.descending ? Compare(request, b, a) : Compare(request, a, b)) < 0;
  });
}

// Calls visit(std::optional<std::string>) for each output: elements, or their GETs.
template <typename Visit>
void ForEachOutput(Context& ctx, const SortRequest& request, std::span<SortItem> items,
                   Visit&& visit) {
  for (SortItem& item : items) {
    if (request.get.empty()) visit(std::optional<std::string>(std::move(item.text)));
    for (std::string_view pattern : request.get) visit(LookupPattern(ctx, pattern, item.text));
  }
}

// DEL and RPUSHes of a stored result.
void SendStored(Context& ctx, std::string_view key, Arguments elements) {
  constexpr size_t kElementsAnEffect = 1024;
  ctx.Effect({"DEL", key});
  for (size_t i = 0; i < elements.size(); i += kElementsAnEffect) {
    const Arguments some = elements.subspan(i, std::min(kElementsAnEffect, elements.size() - i));
    std::vector<std::string_view> words{"RPUSH", key};
    words.insert(words.end(), some.begin(), some.end());
    ctx.Effect(Arguments(words));
  }
}

void StoreOutput(Context& ctx, const SortRequest& request, std::span<SortItem> items) {
  std::vector<std::string> output;
  ForEachOutput(ctx, request, items, [&](std::optional<std::string> value) {
    output.push_back(value ? std::move(*value) : std::string());
  });
  const std::vector<std::string_view> elements(output.begin(), output.end());
  List list;
  if (!elements.empty()) list.Push(ListEnd::kBack, elements, ctx.engine().ReadThresholds());
  if (!elements.empty() || ctx.Find(*request.store, Context::Touch::kNo) != nullptr)
    SendStored(ctx, *request.store, elements);
  ctx.Store(*request.store, Value::FromObject(std::move(list)), kNotifyList, "sortstore");
  ctx.reply().Integer(static_cast<int64_t>(elements.size()));
}

void SortGeneric(Context& ctx, bool may_store) {
  SortRequest request;
  if (!ReadRequest(ctx, may_store, &request)) return;
  const Entry* entry = ctx.Find(ctx.arg(1), Context::Touch::kNo);
  if (!request.sorted && request.store && entry != nullptr && entry->type() == Type::kSet) {
    // A set has no order of its own: what is stored must not depend on its layout.
    request.sorted = true;
    request.alpha = true;
    request.by.reset();
  }
  std::vector<SortItem> items;
  if (!ReadElements(ctx, request, &items)) return;
  if (request.sorted) {
    if (!Weigh(ctx, request, &items))
      return ctx.Error("ERR One or more scores can't be converted into double");
    SortItems(request, &items);
  }
  const auto [start, count] = Window(request, items.size());
  const std::span<SortItem> window = std::span(items).subspan(start, count);
  if (request.store) return StoreOutput(ctx, request, window);
  ctx.reply().Array(count * std::max<size_t>(request.get.size(), 1));
  ForEachOutput(ctx, request, window, [&](const std::optional<std::string>& value) {
    value ? ctx.reply().Bulk(*value) : ctx.reply().Null();
  });
}

// SORT key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC|DESC] [ALPHA]
//   [STORE destination]  O(N+M*log(M))
void Sort(Context& ctx) { SortGeneric(ctx, true); }
// SORT_RO key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC|DESC] [ALPHA]
//   O(N+M*log(M))
void SortRo(Context& ctx) { SortGeneric(ctx, false); }

Scope SortScope(Arguments arguments) {
  for (size_t i = 2; i + 1 < arguments.size(); ++i) {
    const bool pattern =
        EqualsIgnoreCase(arguments[i], "BY") || EqualsIgnoreCase(arguments[i], "GET");
    if (pattern && arguments[i + 1].find('*') != std::string_view::npos) return Scope::kAll;
  }
  return Scope::kKeys;
}

// The key, and the last STORE, as the handler reads it.
bool SortKeys(Arguments arguments, KeySink& sink) {
  sink.Add(1, kRO | kAccess);
  size_t store = 0;
  for (size_t i = 2; i < arguments.size(); ++i) {
    const size_t left = arguments.size() - i - 1;
    if (left >= 2 && EqualsIgnoreCase(arguments[i], "LIMIT")) {
      i += 2;
    } else if (left >= 1 &&
               (EqualsIgnoreCase(arguments[i], "BY") || EqualsIgnoreCase(arguments[i], "GET"))) {
      ++i;
    } else if (left >= 1 && EqualsIgnoreCase(arguments[i], "STORE")) {
      store = ++i;
    }
  }
  if (store != 0) sink.Add(static_cast<int>(store), kOW | kUpdate);
  return true;
}

bool SortRoKeys(Arguments, KeySink& sink) {
  sink.Add(1, kRO | kAccess);
  return true;
}

constexpr uint64_t kSortAcl = kAclSet | kAclSortedSet | kAclList | kAclDangerous;
constexpr CommandSpec kRows[] = {
    {"SORT", -2, kWrite | kDenyOom,
     Key(kRO | kAccess) + KeyUnknown(kRO | kAccess) + KeyUnknown(kOW | kUpdate), kSortAcl, &Sort,
     Scope::kKeys, &SortScope, &SortKeys},
    {"SORT_RO", -2, kReadonly, Key(kRO | kAccess) + KeyUnknown(kRO | kAccess), kSortAcl, &SortRo,
     Scope::kKeys, &SortScope, &SortRoKeys},
};

}  // namespace

std::span<const CommandSpec> SortCommands() { return kRows; }

}  // namespace cairn
