// SPDX-License-Identifier: BSD-3-Clause
//
// Positions on the Web-Mercator part of the earth as 52-bit geohashes, the scores of GEO keys:
//
//   bit 51 50 49 48 ...  1  0
//       lon lat lon lat  lon lat      26 bits each: where the position lies between the limits
//
// A hash of `step` bits a side names a cell; 52-bit hashes in one cell are a range of numbers, so
// a search reads a few ranges of scores. Arithmetic follows Redis operation by operation: results
// agree to the last digit printed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace cairn {

struct GeoPoint {
  double longitude = 0;
  double latitude = 0;
};

constexpr double kGeoLongitudeMax = 180;
constexpr double kGeoLatitudeMax = 85.05112878;  // where the Mercator map becomes a square
constexpr double kEarthRadiusMeters = 6372797.560856;

// Whether GEOADD takes it.
bool GeoIsValid(GeoPoint point);
// The score of a position, and the middle of the cell that a score names. At longitude 180 the
// hash has 54 bits and the score rounds it, as in Redis.
double GeoEncode(GeoPoint point);
GeoPoint GeoDecode(double score);
// GEOHASH's eleven characters for a decoded position, as geohash.org writes them (latitudes from
// -90 to 90). The last is always '0', since 52 bits give ten characters of five.
constexpr size_t kGeoTextChars = 11;
void GeoFormatHash(GeoPoint point, char* buffer);
// Along the sphere (haversine), in metres.
double GeoDistance(GeoPoint a, GeoPoint b);

// Metres in "m", "km", "ft" or "mi", any case; false for others.
bool GeoParseUnit(std::string_view unit, double* meters);
// A distance as GEODIST prints it, four digits behind the point; returns the length.
constexpr size_t kGeoDistanceChars = 32;
size_t GeoFormatDistance(double distance, char* buffer);

// The area of a search.
struct GeoShape {
  enum class Kind : uint8_t { kCircle, kBox, kPolygon };

  static GeoShape Circle(GeoPoint center, double radius_meters);
  // Edges along the meridian and the parallel of its middle.
  static GeoShape Box(GeoPoint center, double width_meters, double height_meters);
  // At least three vertices; the centre is their mean. Edges are straight on the map, the area
  // inside is counted by the even-odd rule.
  static GeoShape Polygon(std::vector<GeoPoint> vertices);

  // Whether the point is in the area, and its distance from the centre in metres.
  bool Contains(GeoPoint point, double* distance) const;

  Kind kind = Kind::kCircle;
  GeoPoint center;
  double radius = 0;  // of the circle; of the circle around the box or polygon
  double width = 0;
  double height = 0;
  std::vector<GeoPoint> vertices;
};

// Hashes from first to end - 1.
struct GeoCell {
  uint64_t first;
  uint64_t end;
  bool operator==(const GeoCell&) const = default;
};

// The cells to search, at most nine, in the order in which Redis does so: that of the replies
// when no SORT is asked for. Returns how many.
constexpr size_t kGeoCellsMax = 9;
size_t GeoCover(const GeoShape& shape, GeoCell (&cells)[kGeoCellsMax]);

}  // namespace cairn
