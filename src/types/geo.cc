// SPDX-License-Identifier: BSD-3-Clause
#include "types/geo.h"

#include <math.h>
#include <string.h>

#include "base/numbers.h"

namespace cairn {
namespace {

constexpr int kStepMax = 26;  // bits a side
constexpr double kRadians = M_PI / 180;
// Half the circumference of the Mercator map, in metres.
constexpr double kMercatorMax = 20037726.37;

double ToRadians(double degrees) {
  return degrees * kRadians;
}
double ToDegrees(double radians) {
  return radians / kRadians;
}

// The bits of `value` at the even positions of the result.
uint64_t Spread(uint32_t value) {
  uint64_t v = value;
  v = (v | v << 16) & 0x0000FFFF0000FFFF;
  v = (v | v << 8) & 0x00FF00FF00FF00FF;
  v = (v | v << 4) & 0x0F0F0F0F0F0F0F0F;
  v = (v | v << 2) & 0x3333333333333333;
  return (v | v << 1) & 0x5555555555555555;
}

uint32_t Gather(uint64_t v) {
  v &= 0x5555555555555555;
  v = (v | v >> 1) & 0x3333333333333333;
  v = (v | v >> 2) & 0x0F0F0F0F0F0F0F0F;
  v = (v | v >> 4) & 0x00FF00FF00FF00FF;
  v = (v | v >> 8) & 0x0000FFFF0000FFFF;
  return static_cast<uint32_t>(v | v >> 16);
}

// A cell: column and row among 2^step a side, counted from the south-west.
struct Cell {
  uint32_t column;
  uint32_t row;
  bool operator==(const Cell&) const = default;
};

struct Bounds {
  double west, south, east, north;
};

// The limit itself gives 2^step, one cell too many, as in Redis.
uint32_t Fraction(double value, double max, int step) {
  const double offset = (value + max) / (max + max);
  return static_cast<uint32_t>(offset * static_cast<double>(uint64_t{1} << step));
}

Cell CellAt(GeoPoint point, int step, double latitude_max = kGeoLatitudeMax) {
  return {Fraction(point.longitude, kGeoLongitudeMax, step),
          Fraction(point.latitude, latitude_max, step)};
}

uint64_t Interleave(Cell cell) {
  return Spread(cell.row) | Spread(cell.column) << 1;
}

double Edge(uint32_t index, double max, int step) {
  return -max + (index * 1.0 / static_cast<double>(uint64_t{1} << step)) * (max + max);
}

Bounds BoundsOf(Cell cell, int step) {
  return {Edge(cell.column, kGeoLongitudeMax, step), Edge(cell.row, kGeoLatitudeMax, step),
          Edge(cell.column + 1, kGeoLongitudeMax, step), Edge(cell.row + 1, kGeoLatitudeMax, step)};
}

// The neighbour so many columns and rows away, around the edge of the map. A cell beyond the limit
// (see Fraction) comes back only in a direction it moves, as in Redis.
Cell Move(Cell cell, int columns, int rows, int step) {
  const uint32_t mask = (uint32_t{1} << step) - 1;
  if (columns != 0) cell.column = (cell.column + static_cast<uint32_t>(columns)) & mask;
  if (rows != 0) cell.row = (cell.row + static_cast<uint32_t>(rows)) & mask;
  return cell;
}

double Clamp(double value, double max) {
  return value > max ? max : value < -max ? -max : value;
}

double LatitudeDistance(double a, double b) {
  return kEarthRadiusMeters * fabs(ToRadians(b) - ToRadians(a));
}

// How fine cells may be so that three by three of them cover the radius, in most cases.
int EstimateStep(double radius, double latitude) {
  if (radius == 0) return kStepMax;
  int step = 1;
  for (; radius < kMercatorMax; radius *= 2) ++step;
  step -= 2;
  // Towards the poles cells become narrow.
  if (fabs(latitude) > 66) --step;
  if (fabs(latitude) > 80) --step;
  return step < 1 ? 1 : step > kStepMax ? kStepMax : step;
}

Bounds BoundingBox(const GeoShape& shape) {
  if (shape.kind == GeoShape::Kind::kPolygon) {
    Bounds box{kGeoLongitudeMax, kGeoLatitudeMax, -kGeoLongitudeMax, -kGeoLatitudeMax};
    for (GeoPoint vertex : shape.vertices) {
      box.west = fmin(box.west, vertex.longitude);
      box.east = fmax(box.east, vertex.longitude);
      box.south = fmin(box.south, vertex.latitude);
      box.north = fmax(box.north, vertex.latitude);
    }
    return box;
  }
  const bool circle = shape.kind == GeoShape::Kind::kCircle;
  const double height = circle ? shape.radius : shape.height / 2;
  const double width = circle ? shape.radius : shape.width / 2;
  const auto [longitude, latitude] = shape.center;
  const double rows = ToDegrees(height / kEarthRadiusMeters);
  // A parallel is shortest, and spans the most degrees, on the side of the pole.
  const double edge = latitude < 0 ? latitude - rows : latitude + rows;
  const double columns = ToDegrees(width / kEarthRadiusMeters / cos(ToRadians(edge)));
  return {longitude - columns, latitude - rows, longitude + columns, latitude + rows};
}

// Whether the neighbours of the middle cell reach as far as the box on each side.
bool ReachesAround(Cell middle, int step, const Bounds& box) {
  return BoundsOf(Move(middle, 0, 1, step), step).north >= box.north &&
         BoundsOf(Move(middle, 0, -1, step), step).south <= box.south &&
         BoundsOf(Move(middle, 1, 0, step), step).east >= box.east &&
         BoundsOf(Move(middle, -1, 0, step), step).west <= box.west;
}

bool InPolygon(const std::vector<GeoPoint>& vertices, GeoPoint point) {
  bool inside = false;
  GeoPoint a = vertices.back();
  for (GeoPoint b : vertices) {
    // An edge that crosses the point's parallel east of the point.
    if ((a.latitude > point.latitude) != (b.latitude > point.latitude)) {
      const double crossing = a.longitude + (b.longitude - a.longitude) *
                                                (point.latitude - a.latitude) /
                                                (b.latitude - a.latitude);
      if (point.longitude < crossing) inside = !inside;
    }
    a = b;
  }
  return inside;
}

}  // namespace

bool GeoIsValid(GeoPoint point) {
  return point.longitude >= -kGeoLongitudeMax && point.longitude <= kGeoLongitudeMax &&
         point.latitude >= -kGeoLatitudeMax && point.latitude <= kGeoLatitudeMax;
}

double GeoEncode(GeoPoint point) {
  return static_cast<double>(Interleave(CellAt(point, kStepMax)));
}

GeoPoint GeoDecode(double score) {
  const uint64_t hash = static_cast<uint64_t>(score);
  const Bounds bounds = BoundsOf({Gather(hash >> 1), Gather(hash)}, kStepMax);
  return {Clamp((bounds.west + bounds.east) / 2, kGeoLongitudeMax),
          Clamp((bounds.south + bounds.north) / 2, kGeoLatitudeMax)};
}

void GeoFormatHash(GeoPoint point, char* buffer) {
  constexpr char kDigits[] = "0123456789bcdefghjkmnpqrstuvwxyz";
  const uint64_t hash = Interleave(CellAt(point, kStepMax, 90));
  for (size_t i = 0; i + 1 < kGeoTextChars; ++i)
    buffer[i] = kDigits[(hash >> (52 - 5 * (i + 1))) & 31];
  buffer[kGeoTextChars - 1] = '0';
}

double GeoDistance(GeoPoint a, GeoPoint b) {
  const double v = sin((ToRadians(b.longitude) - ToRadians(a.longitude)) / 2);
  if (v == 0) return LatitudeDistance(a.latitude, b.latitude);
  const double latitude_a = ToRadians(a.latitude);
  const double latitude_b = ToRadians(b.latitude);
  const double u = sin((latitude_b - latitude_a) / 2);
  const double h = u * u + cos(latitude_a) * cos(latitude_b) * v * v;
  return 2.0 * kEarthRadiusMeters * asin(sqrt(h));
}

bool GeoParseUnit(std::string_view unit, double* meters) {
  if (EqualsIgnoreCase(unit, "m")) {
    *meters = 1;
  } else if (EqualsIgnoreCase(unit, "km")) {
    *meters = 1000;
  } else if (EqualsIgnoreCase(unit, "ft")) {
    *meters = 0.3048;
  } else if (EqualsIgnoreCase(unit, "mi")) {
    *meters = 1609.34;
  } else {
    return false;
  }
  return true;
}

size_t GeoFormatDistance(double distance, char* buffer) {
  // At most half the earth in feet: far below 2^63 ten-thousandths.
  const int64_t scaled = llrint(distance * 10000);
  size_t length = FormatInt64(buffer, scaled / 10000);
  buffer[length++] = '.';
  int64_t fraction = scaled % 10000;
  for (int i = 3; i >= 0; --i, fraction /= 10)
    buffer[length + static_cast<size_t>(i)] = static_cast<char>('0' + fraction % 10);
  return length + 4;
}

GeoShape GeoShape::Circle(GeoPoint center, double radius_meters) {
  GeoShape shape;
  shape.kind = Kind::kCircle;
  shape.center = center;
  shape.radius = radius_meters;
  return shape;
}

GeoShape GeoShape::Box(GeoPoint center, double width_meters, double height_meters) {
  GeoShape shape;
  shape.kind = Kind::kBox;
  shape.center = center;
  shape.width = width_meters;
  shape.height = height_meters;
  shape.radius =
      sqrt((width_meters / 2) * (width_meters / 2) + (height_meters / 2) * (height_meters / 2));
  return shape;
}

GeoShape GeoShape::Polygon(std::vector<GeoPoint> vertices) {
  GeoShape shape;
  shape.kind = Kind::kPolygon;
  for (GeoPoint vertex : vertices) {
    shape.center.longitude += vertex.longitude;
    shape.center.latitude += vertex.latitude;
  }
  shape.center.longitude /= static_cast<double>(vertices.size());
  shape.center.latitude /= static_cast<double>(vertices.size());
  for (GeoPoint vertex : vertices)
    shape.radius = fmax(shape.radius, GeoDistance(shape.center, vertex));
  shape.vertices = std::move(vertices);
  return shape;
}

bool GeoShape::Contains(GeoPoint point, double* distance) const {
  switch (kind) {
    case Kind::kCircle:
      *distance = GeoDistance(center, point);
      return *distance <= radius;
    case Kind::kBox:
      // Half the width is measured along the point's own parallel.
      if (LatitudeDistance(point.latitude, center.latitude) > height / 2) return false;
      if (GeoDistance(point, {center.longitude, point.latitude}) > width / 2) return false;
      break;
    case Kind::kPolygon:
      if (!InPolygon(vertices, point)) return false;
      break;
  }
  *distance = GeoDistance(center, point);
  return true;
}

size_t GeoCover(const GeoShape& shape, GeoCell (&cells)[kGeoCellsMax]) {
  const Bounds box = BoundingBox(shape);
  int step = EstimateStep(shape.radius, shape.center.latitude);
  Cell middle = CellAt(shape.center, step);
  if (step > 1 && !ReachesAround(middle, step, box)) middle = CellAt(shape.center, --step);
  // A polygon may lie off its centre, and must not be cut: it gets cells as large as it needs.
  if (shape.kind == GeoShape::Kind::kPolygon)
    while (step > 1 && !ReachesAround(middle, step, box)) middle = CellAt(shape.center, --step);
  const Bounds bounds = BoundsOf(middle, step);
  // Sides that the middle cell itself covers need no neighbours. At step 1 there are two cells a
  // side, both needed.
  const bool all = step < 2;
  const bool south = all || bounds.south >= box.south;
  const bool north = all || bounds.north <= box.north;
  const bool west = all || bounds.west >= box.west;
  const bool east = all || bounds.east <= box.east;
  const struct {
    int columns, rows;
    bool wanted;
  } kOrder[kGeoCellsMax] = {
      {0, 0, true},           {0, 1, north},          {0, -1, south},
      {1, 0, east},           {-1, 0, west},          {1, 1, north && east},
      {-1, 1, north && west}, {1, -1, south && east}, {-1, -1, south && west},
  };
  size_t count = 0;
  Cell last{};
  for (size_t i = 0; i < kGeoCellsMax; ++i) {
    if (!kOrder[i].wanted) continue;
    const Cell cell = i == 0 ? middle : Move(middle, kOrder[i].columns, kOrder[i].rows, step);
    // With few cells to a side, neighbours on opposite sides are one. Redis compares with the one
    // before alone, and never with the middle.
    if (count > 1 && cell == last) continue;
    last = cell;
    const int shift = 52 - 2 * step;
    const uint64_t hash = Interleave(cell);
    cells[count++] = {hash << shift, (hash + 1) << shift};
  }
  return count;
}

}  // namespace cairn
