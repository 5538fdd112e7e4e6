// SPDX-License-Identifier: BSD-3-Clause
//
// Searches around a position: GEOSEARCH and GEOSEARCHSTORE, and the older GEORADIUS family with
// its STORE options. All of them read the same query; what differs is where the centre and the
// area stand among the arguments.
#include "types/geo_search.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "commands/families.h"
#include "commands/geo_replies.h"
#include "commands/sorted_set_effects.h"
#include "exec/args.h"
#include "exec/refs.h"
#include "types/sorted_set_builder.h"

namespace cairn {
namespace {

enum class Form { kRadius, kRadiusByMember, kSearch };
enum class Order { kNone, kNear, kFar };
// Where the centre comes from. kArea: a polygon brings its own, GEORADIUS has its place for it.
enum class Center { kNone, kMember, kPoint, kArea };

struct GeoQuery {
  // `store_allowed` tells GEORADIUS from GEORADIUS_RO.
  GeoQuery(Form f, bool store) : form(f), store_allowed(store) {
    if (f != Form::kSearch) options = f == Form::kRadius ? 6 : 5;
  }

  const Form form;
  const bool store_allowed;
  size_t source = 1;   // index of the source key
  size_t options = 2;  // index of the first option
  size_t target = 0;   // index of the key to store to; 0: none
  bool store_distance = false;
  Center center_from = Center::kNone;
  GeoPoint center;
  bool has_area = false;
  GeoShape::Kind kind = GeoShape::Kind::kCircle;
  double radius = 0, width = 0, height = 0;  // in `unit`
  std::vector<GeoPoint> vertices;
  double unit = 1;  // metres
  bool with_distance = false, with_hash = false, with_point = false;
  Order order = Order::kNone;
  uint64_t count = 0;  // 0: all
  bool any = false;

  bool search() const { return form == Form::kSearch; }
  GeoShape Shape() {
    if (kind == GeoShape::Kind::kBox) return GeoShape::Box(center, width * unit, height * unit);
    if (kind == GeoShape::Kind::kPolygon) return GeoShape::Polygon(std::move(vertices));
    return GeoShape::Circle(center, radius * unit);
  }
};

// The functions below that read arguments return false after they replied an error.

bool Refuse(Context& ctx, std::string_view error) {
  ctx.Error(error);
  return false;
}

// "radius unit" at `at`.
bool ReadRadius(Context& ctx, size_t at, GeoQuery* query) {
  if (!ParseDouble(ctx.arg(at), &query->radius))
    return Refuse(ctx, "ERR need numeric radius");
  if (query->radius < 0) return Refuse(ctx, "ERR radius cannot be negative");
  query->kind = GeoShape::Kind::kCircle;
  query->has_area = true;
  return ReadGeoUnit(ctx, at + 1, &query->unit);
}

// "width height unit" at `at`.
bool ReadBox(Context& ctx, size_t at, GeoQuery* query) {
  if (!ParseDouble(ctx.arg(at), &query->width)) return Refuse(ctx, "ERR need numeric width");
  if (!ParseDouble(ctx.arg(at + 1), &query->height))
    return Refuse(ctx, "ERR need numeric height");
  if (query->width < 0 || query->height < 0)
    return Refuse(ctx, "ERR height or width cannot be negative");
  query->kind = GeoShape::Kind::kBox;
  query->has_area = true;
  return ReadGeoUnit(ctx, at + 2, &query->unit);
}

// "num-vertices longitude latitude ..." from `at` on; moves `at` behind it.
bool ReadPolygon(Context& ctx, size_t* at, GeoQuery* query) {
  int64_t count;
  if (!ParseInt64(ctx.arg(*at), &count)) return Refuse(ctx, "ERR invalid number of vertices");
  ++*at;
  if (count < 3 || static_cast<uint64_t>(count) > (ctx.argc() - *at) / 2)
    return Refuse(ctx, "ERR GEOSEARCH BYPOLYGON must have at least 3 vertices");
  for (int64_t i = 0; i < count; ++i, *at += 2) {
    GeoPoint vertex;
    if (!ReadGeoPoint(ctx, *at, &vertex)) return false;
    query->vertices.push_back(vertex);
  }
  query->kind = GeoShape::Kind::kPolygon;
  query->has_area = true;
  return true;
}

// The position of a member of the source. A missing source is noticed later, by the caller.
bool ReadMember(Context& ctx, const ReadRef<SortedSet>& set, std::string_view member,
                GeoQuery* query) {
  if (!set) return true;
  double score;
  if (!set->Score(member, &score))
    return Refuse(ctx, "ERR could not decode requested zset member");
  query->center = GeoDecode(score);
  return true;
}

// What stands before the options of GEORADIUS and GEORADIUSBYMEMBER.
bool ReadFixed(Context& ctx, const ReadRef<SortedSet>& set, GeoQuery* query) {
  if (query->search()) return true;
  query->center_from = Center::kArea;
  query->has_area = true;  // even where it is not read
  if (query->form == Form::kRadius)
    return ReadGeoPoint(ctx, 2, &query->center) && ReadRadius(ctx, 4, query);
  // Redis does not look at the radius either if there is no key.
  if (!set) return true;
  return ReadMember(ctx, set, ctx.arg(2), query) && ReadRadius(ctx, 3, query);
}

// The options that only GEOSEARCH knows; at `*at`, which it moves. Anything else: syntax error.
// Redis takes one of them twice, and the later one; but not two that say the same in two ways.
bool ReadSearchOption(Context& ctx, const ReadRef<SortedSet>& set, size_t* at, GeoQuery* query) {
  const std::string_view word = ctx.arg(*at);
  const size_t following = ctx.argc() - *at - 1;
  const size_t first = *at + 1;
  const auto center_may_be = [&](Center from) {
    return query->center_from == Center::kNone || query->center_from == from;
  };
  const auto area_may_be = [&](GeoShape::Kind kind) {
    return !query->has_area || query->kind == kind;
  };
  if (EqualsIgnoreCase(word, "frommember") && following >= 1 && center_may_be(Center::kMember)) {
    query->center_from = Center::kMember;
    *at += 2;
    return ReadMember(ctx, set, ctx.arg(first), query);
  }
  if (EqualsIgnoreCase(word, "fromlonlat") && following >= 2 && center_may_be(Center::kPoint)) {
    query->center_from = Center::kPoint;
    *at += 3;
    return ReadGeoPoint(ctx, first, &query->center);
  }
  if (EqualsIgnoreCase(word, "byradius") && following >= 2 &&
      area_may_be(GeoShape::Kind::kCircle)) {
    *at += 3;
    return ReadRadius(ctx, first, query);
  }
  if (EqualsIgnoreCase(word, "bybox") && following >= 3 && area_may_be(GeoShape::Kind::kBox)) {
    *at += 4;
    return ReadBox(ctx, first, query);
  }
  if (EqualsIgnoreCase(word, "bypolygon") && following >= 1 && !query->has_area &&
      query->center_from == Center::kNone) {
    query->center_from = Center::kArea;
    *at = first;
    return ReadPolygon(ctx, at, query);
  }
  return Refuse(ctx, errors::kSyntax);
}

bool ReadOptions(Context& ctx, const ReadRef<SortedSet>& set, GeoQuery* query) {
  size_t at = query->options;
  while (at < ctx.argc()) {
    const std::string_view word = ctx.arg(at);
    const bool more = at + 1 < ctx.argc();
    if (EqualsIgnoreCase(word, "withdist")) {
      query->with_distance = true;
    } else if (EqualsIgnoreCase(word, "withhash")) {
      query->with_hash = true;
    } else if (EqualsIgnoreCase(word, "withcoord")) {
      query->with_point = true;
    } else if (EqualsIgnoreCase(word, "any")) {
      query->any = true;
    } else if (EqualsIgnoreCase(word, "asc")) {
      query->order = Order::kNear;
    } else if (EqualsIgnoreCase(word, "desc")) {
      query->order = Order::kFar;
    } else if (EqualsIgnoreCase(word, "count") && more) {
      int64_t count;
      if (!ParseInt64(ctx.arg(++at), &count)) return Refuse(ctx, errors::kNotInteger);
      if (count <= 0) return Refuse(ctx, "ERR COUNT must be > 0");
      query->count = static_cast<uint64_t>(count);
    } else if (query->store_allowed && more && EqualsIgnoreCase(word, "store")) {
      query->target = ++at;
      query->store_distance = false;
    } else if (query->store_allowed && more && EqualsIgnoreCase(word, "storedist")) {
      query->target = ++at;
      query->store_distance = true;
    } else if (query->search() && query->target != 0 && EqualsIgnoreCase(word, "storedist")) {
      query->store_distance = true;
    } else if (query->search()) {
      if (!ReadSearchOption(ctx, set, &at, query)) return false;
      continue;
    } else {
      return Refuse(ctx, errors::kSyntax);
    }
    ++at;
  }
  return true;
}

bool CheckOptions(Context& ctx, const GeoQuery& query) {
  if (query.target != 0 && (query.with_distance || query.with_hash || query.with_point)) {
    return Refuse(ctx, std::string("ERR ") +
                           (query.search() ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS") +
                           " is not compatible with WITHDIST, WITHHASH and WITHCOORD options");
  }
  if (query.center_from == Center::kNone)
    return Refuse(ctx, "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for " +
                           std::string(ctx.arg(0)));
  if (!query.has_area)
    return Refuse(ctx, "ERR exactly one of BYRADIUS and BYBOX can be specified for " +
                           std::string(ctx.arg(0)));
  if (query.any && query.count == 0)
    return Refuse(ctx, "ERR the ANY argument requires COUNT argument");
  return true;
}

struct Found {
  std::string member;
  double score;
  GeoPoint point;
  double distance;
};

std::vector<Found> Search(const SortedSet& set, GeoQuery* query) {
  std::vector<Found> found;
  GeoSearch(set, query->Shape(), query->any ? query->count : 0, [&](const GeoMatch& match) {
    found.push_back({std::string(match.member), match.score, match.point, match.distance});
  });
  // COUNT means the nearest ones, unless ANY will do.
  if (query->order == Order::kNone && query->count != 0 && !query->any)
    query->order = Order::kNear;
  if (query->order == Order::kNear) {
    std::stable_sort(found.begin(), found.end(),
                     [](const Found& a, const Found& b) { return a.distance < b.distance; });
  } else if (query->order == Order::kFar) {
    std::stable_sort(found.begin(), found.end(),
                     [](const Found& a, const Found& b) { return a.distance > b.distance; });
  }
  if (query->count != 0 && found.size() > query->count) found.resize(query->count);
  return found;
}

void Reply(ReplyWriter& reply, const GeoQuery& query, const std::vector<Found>& found) {
  const size_t fields = 1 + query.with_distance + query.with_hash + query.with_point;
  reply.Array(found.size());
  for (const Found& one : found) {
    if (fields > 1) reply.Array(fields);
    reply.Bulk(one.member);
    if (query.with_distance) ReplyGeoDistance(reply, one.distance / query.unit);
    if (query.with_hash) reply.Integer(static_cast<int64_t>(one.score));
    if (query.with_point) ReplyGeoPoint(reply, one.point);
  }
}

void Run(Context& ctx, GeoQuery query) {
  std::vector<Found> found;
  {
    auto set = ctx.Read<SortedSet>(ctx.arg(query.source));
    if (set.failed()) return;
    if (!ReadFixed(ctx, set, &query) || !ReadOptions(ctx, set, &query) ||
        !CheckOptions(ctx, query))
      return;
    if (set) found = Search(*set, &query);
  }
  if (query.target == 0) return Reply(ctx.reply(), query, found);
  SortedSetBuilder builder;
  for (const Found& one : found) {
    bool added;
    builder.Add(query.store_distance ? one.distance / query.unit : one.score, one.member, &added);
  }
  const int64_t dirty = ctx.unit().dirty();
  ctx.Store(ctx.arg(query.target),
            Value::FromObject(builder.Build(ctx.engine().ReadThresholds())), kNotifyZset,
            query.search() ? "geosearchstore" : "georadiusstore");
  // Polygons are newer than Redis 7.0.
  if (query.kind == GeoShape::Kind::kPolygon && ctx.unit().dirty() != dirty)
    SendStoredSortedSet(ctx, ctx.arg(query.target));
  ctx.reply().Integer(static_cast<int64_t>(found.size()));
}

// GEORADIUS key longitude latitude radius M|KM|FT|MI [WITHCOORD] [WITHDIST] [WITHHASH]
//   [COUNT count [ANY]] [ASC|DESC] [STORE key|STOREDIST key]  O(N + log M)
void GeoRadius(Context& ctx) { Run(ctx, GeoQuery(Form::kRadius, true)); }
// GEORADIUS_RO key longitude latitude radius M|KM|FT|MI [options but STORE]  O(N + log M)
void GeoRadiusRo(Context& ctx) { Run(ctx, GeoQuery(Form::kRadius, false)); }
// GEORADIUSBYMEMBER key member radius M|KM|FT|MI [options as GEORADIUS]  O(N + log M)
void GeoRadiusByMember(Context& ctx) { Run(ctx, GeoQuery(Form::kRadiusByMember, true)); }
// GEORADIUSBYMEMBER_RO key member radius M|KM|FT|MI [options but STORE]  O(N + log M)
void GeoRadiusByMemberRo(Context& ctx) { Run(ctx, GeoQuery(Form::kRadiusByMember, false)); }

// GEOSEARCH key FROMMEMBER member|FROMLONLAT longitude latitude
//   BYRADIUS radius M|KM|FT|MI|BYBOX width height M|KM|FT|MI
//   [ASC|DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]  O(N + log M)
// or, without FROM, BYPOLYGON num-vertices longitude latitude [longitude latitude ...]
void GeoSearchCommand(Context& ctx) {
  Run(ctx, GeoQuery(Form::kSearch, false));
}

// GEOSEARCHSTORE destination source [as GEOSEARCH, without WITH...] [STOREDIST]  O(N + log M)
void GeoSearchStore(Context& ctx) {
  GeoQuery query(Form::kSearch, false);
  query.target = 1;
  query.source = 2;
  query.options = 3;
  Run(ctx, std::move(query));
}

// The source, and what stands behind STORE and STOREDIST: the first of each, as the key
// specifications of COMMAND say, and the last of all, which is the one stored to.
bool RadiusKeys(Arguments arguments, KeySink& sink, size_t options) {
  constexpr uint16_t kStored = kOW | kUpdate;
  sink.Add(1, kRO | kAccess);
  size_t store = 0, store_distance = 0, effective = 0;
  for (size_t i = options; i + 1 < arguments.size(); ++i) {
    const bool plain = EqualsIgnoreCase(arguments[i], "store");
    if (!plain && !EqualsIgnoreCase(arguments[i], "storedist")) continue;
    // The key itself is no keyword, whatever it is called.
    effective = ++i;
    size_t& first = plain ? store : store_distance;
    if (first == 0) first = i;
  }
  if (store != 0) sink.Add(static_cast<int>(store), kStored);
  if (store_distance != 0) sink.Add(static_cast<int>(store_distance), kStored);
  if (effective != store && effective != store_distance)
    sink.Add(static_cast<int>(effective), kStored);
  return true;
}
bool GeoRadiusKeys(Arguments arguments, KeySink& sink) { return RadiusKeys(arguments, sink, 6); }
bool GeoRadiusByMemberKeys(Arguments arguments, KeySink& sink) {
  return RadiusKeys(arguments, sink, 5);
}

constexpr KeySpecs kRead = Key(kRO | kAccess);
constexpr KeySpecs StoreSpecs(int options) {
  return kRead + KeyAfter(kOW | kUpdate, "STORE", options) +
         KeyAfter(kOW | kUpdate, "STOREDIST", options);
}

constexpr CommandSpec kRows[] = {
    {"GEORADIUS", -6, kWrite | kDenyOom, StoreSpecs(6), kAclGeo, &GeoRadius, Scope::kKeys,
     nullptr, &GeoRadiusKeys},
    {"GEORADIUS_RO", -6, kReadonly, kRead, kAclGeo, &GeoRadiusRo},
    {"GEORADIUSBYMEMBER", -5, kWrite | kDenyOom, StoreSpecs(5), kAclGeo, &GeoRadiusByMember,
     Scope::kKeys, nullptr, &GeoRadiusByMemberKeys},
    {"GEORADIUSBYMEMBER_RO", -5, kReadonly, kRead, kAclGeo, &GeoRadiusByMemberRo},
    {"GEOSEARCH", -7, kReadonly, kRead, kAclGeo, &GeoSearchCommand},
    {"GEOSEARCHSTORE", -8, kWrite | kDenyOom, Key(kOW | kUpdate) + Key(kRO | kAccess, 2), kAclGeo,
     &GeoSearchStore},
};

}  // namespace

std::span<const CommandSpec> GeoSearchCommands() { return kRows; }

}  // namespace cairn
