// SPDX-License-Identifier: BSD-3-Clause
//
// Positions: adding them, asking for them, and the distance of two. Searches are in geo_search.cc.
// A GEO key is a sorted set whose scores are geohashes.
#include "types/geo.h"

#include <cstdio>
#include <string>
#include <vector>

#include "commands/families.h"
#include "commands/geo_replies.h"
#include "commands/sorted_set_add.h"
#include "exec/args.h"
#include "exec/refs.h"
#include "types/sorted_set.h"

namespace cairn {

bool ReadGeoPoint(Context& ctx, size_t at, GeoPoint* point) {
  if (!ParseDouble(ctx.arg(at), &point->longitude) ||
      !ParseDouble(ctx.arg(at + 1), &point->latitude)) {
    ctx.Error(errors::kNotFloat);
    return false;
  }
  if (GeoIsValid(*point)) return true;
  // A double has up to 309 digits before the point.
  char text[1024];
  snprintf(text, sizeof text, "ERR invalid longitude,latitude pair %f,%f", point->longitude,
           point->latitude);
  ctx.Error(text);
  return false;
}

bool ReadGeoUnit(Context& ctx, size_t at, double* meters) {
  if (GeoParseUnit(ctx.arg(at), meters)) return true;
  ctx.Error("ERR unsupported unit provided. please use M, KM, FT, MI");
  return false;
}

void ReplyGeoDistance(ReplyWriter& reply, double distance) {
  char text[kGeoDistanceChars];
  reply.Bulk({text, GeoFormatDistance(distance, text)});
}

void ReplyGeoPoint(ReplyWriter& reply, GeoPoint point) {
  reply.Array(2);
  for (const double side : {point.longitude, point.latitude}) {
    if (!reply.resp3()) {
      reply.LongDouble(side);
      continue;
    }
    char text[kLongDoubleCharsMax];
    const size_t length = FormatLongDouble(text, side);
    reply.Raw(",");
    reply.Raw({text, length});
    reply.Raw("\r\n");
  }
}

namespace {

// GEOADD key [NX|XX] [CH] longitude latitude member [longitude latitude member ...]  O(log N) each
void GeoAdd(Context& ctx) {
  SortedSet::AddFlags flags;
  bool change_count = false;
  Args args(ctx, 2);
  for (;;) {
    if (args.Take("NX")) {
      flags.nx = true;
    } else if (args.Take("XX")) {
      flags.xx = true;
    } else if (args.Take("CH")) {
      change_count = true;
    } else {
      break;
    }
  }
  const size_t first = args.position();
  if (args.left() == 0 || args.left() % 3 != 0 || (flags.nx && flags.xx))
    return ctx.Error(errors::kSyntax);
  std::vector<double> scores(args.left() / 3);
  for (size_t i = 0; i < scores.size(); ++i) {
    GeoPoint point;
    if (!ReadGeoPoint(ctx, first + 3 * i, &point)) return;
    scores[i] = GeoEncode(point);
  }
  AddScored(ctx, scores, first + 2, 3, flags, change_count);
}

// GEODIST key member1 member2 [M|KM|FT|MI]  O(1)
void GeoDist(Context& ctx) {
  double unit = 1;
  if (ctx.argc() == 5) {
    if (!ReadGeoUnit(ctx, 4, &unit)) return;
  } else if (ctx.argc() > 5) {
    return ctx.Error(errors::kSyntax);
  }
  auto set = ctx.Read<SortedSet>(ctx.arg(1));
  if (set.failed()) return;
  double a, b;
  if (!set || !set->Score(ctx.arg(2), &a) || !set->Score(ctx.arg(3), &b))
    return ctx.reply().Null();
  ReplyGeoDistance(ctx.reply(), GeoDistance(GeoDecode(a), GeoDecode(b)) / unit);
}

// GEOHASH key [member ...]  O(1) each
void GeoHash(Context& ctx) {
  auto set = ctx.Read<SortedSet>(ctx.arg(1));
  if (set.failed()) return;
  ctx.reply().Array(ctx.argc() - 2);
  for (size_t i = 2; i < ctx.argc(); ++i) {
    double score;
    if (!set || !set->Score(ctx.arg(i), &score)) {
      ctx.reply().Null();
      continue;
    }
    char text[kGeoTextChars];
    GeoFormatHash(GeoDecode(score), text);
    ctx.reply().Bulk({text, sizeof text});
  }
}

// GEOPOS key [member ...]  O(1) each
void GeoPos(Context& ctx) {
  auto set = ctx.Read<SortedSet>(ctx.arg(1));
  if (set.failed()) return;
  ctx.reply().Array(ctx.argc() - 2);
  for (size_t i = 2; i < ctx.argc(); ++i) {
    double score;
    if (set && set->Score(ctx.arg(i), &score)) {
      ReplyGeoPoint(ctx.reply(), GeoDecode(score));
    } else {
      ctx.reply().NullArray();
    }
  }
}

constexpr KeySpecs kRead = Key(kRO | kAccess);
constexpr CommandSpec kRows[] = {
    {"GEOADD", -5, kWrite | kDenyOom, Key(kRW | kUpdate), kAclGeo, &GeoAdd},
    {"GEODIST", -4, kReadonly, kRead, kAclGeo, &GeoDist},
    {"GEOHASH", -2, kReadonly, kRead, kAclGeo, &GeoHash},
    {"GEOPOS", -2, kReadonly, kRead, kAclGeo, &GeoPos},
};

}  // namespace

std::span<const CommandSpec> GeoCommands() { return kRows; }

}  // namespace cairn
