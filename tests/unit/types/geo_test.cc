// SPDX-License-Identifier: BSD-3-Clause
//
// Geohashes, distances and searches against what redis-server 7.0.15 answered (the tables), and
// polygons against a look at every point.
#include "types/geo_search.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "base/numbers.h"
#include "base/random.h"

namespace cairn {
namespace {

struct Place {
  const char* name;
  double longitude, latitude;
  uint64_t score;
  const char* text;                                  // GEOHASH
  const char *decoded_longitude, *decoded_latitude;  // GEOPOS
};
struct Pair {
  const char *a, *b, *unit, *distance;  // GEODIST
};
struct Search {
  double longitude, latitude, width, height;  // height 0: a circle of radius `width`
  const char *unit, *found;                   // GEOSEARCH ... WITHDIST, in the order of its reply
};

// Taken from redis-server 7.0.15.
constexpr Place kPlaces[] = {
    {"palermo", 13.361389, 38.115556, 3479099956230698, "sqc8b49rny0", "13.36138933897018433",
     "38.11555639549629859"},
    {"catania", 15.087269, 37.502669, 3479447370796909, "sqdtr74hyu0", "15.08726745843887329",
     "37.50266842333162032"},
    {"edge-ne", 180, 85.05112878, 13510798882111488, "bp05b5048p0", "180", "85.0511287799999991"},
    {"edge-sw", -180, -85.05112878, 0, "00bh0hbj200", "-179.99999731779098511",
     "-85.05112751263942528"},
    {"zero", 0, 0, 3377699720527872, "s0000000000", "0.00000268220901489", "0.00000126736058093"},
    {"tiny", 1e-07, -1e-07, 2627099782632789, "kpbpbpbpbp0", "0.00000268220901489",
     "-0.00000126736058093"},
    {"fiji-w", 179.9999, -17.5, 3355430025623799, "ruzurypzje0", "179.99990075826644897",
     "-17.50000004020654387"},
    {"fiji-e", -179.9999, -17.5, 353030274044509, "2hbh2n0p470", "-179.99990075826644897",
     "-17.50000004020654387"},
    {"berlin", 13.404954, 52.520008, 3673983950396949, "u33dc0cpnp0", "13.40495377779006958",
     "52.52000920945145879"},
    {"sydney", 151.209296, -33.86882, 3252046221958826, "r3gx2f75zf0", "151.20929449796676636",
     "-33.86882119711083305"},
    {"quito", -78.467834, -0.180653, 947044397312874, "6rbnyrj7wg0", "-78.46783429384231567",
     "-0.18065337910783086"},
    {"svalbard", 15.6333, 78.2166, 3757806397141784, "umghgwzudq0", "15.63330084085464478",
     "78.21659916328076179"},
    {"mcmurdo", 166.6863, -77.8419, 2998149636825436, "pdnt1j36060", "166.68630033731460571",
     "-77.84189893845916686"},
    {"tokyo", 139.691711, 35.689487, 4171231230197033, "xn774c06kf0", "139.69171196222305298",
     "35.68948605865241319"},
    {"reykjavik", -21.942354, 64.146582, 2216643466363653, "ge2kutw0fj0", "-21.94235533475875854",
     "64.14658252853111264"},
    {"east", 180, 10, 10138940401276180, "81b0bh2n0n0", "180", "9.99999839351156794"},
    {"n0", 13.804621, 51.653827, 3673736601750122, "u31vf5k1qg0", "13.80461901426315308",
     "51.6538265518340296"},
    {"n1", 13.566517, 54.356307, 3685827241095977, "u39thxqb6y0", "13.56651932001113892",
     "54.35630823110383858"},
    {"n2", 14.679199, 53.252439, 3686125097387542, "u36qyn31fn0", "14.67920154333114624",
     "53.25243970093288226"},
    {"n3", 11.472746, 52.010856, 3673749824559624, "u30pvh61nq0", "11.47274404764175415",
     "52.01085723545388362"},
    {"n4", 14.692616, 53.617775, 3686142538720876, "u3d3n2ff4v0", "14.69261795282363892",
     "53.61777413107071766"},
    {"n5", 10.472441, 52.4924, 3667867540648421, "u1r6w7cy3s0", "10.47244101762771606",
     "52.49240102658393425"},
    {"n6", 17.105777, 52.944803, 3676031600885979, "u3kjjq21c60", "17.10577458143234253",
     "52.9448031285450611"},
    {"n7", 14.683293, 54.120237, 3686198370386084, "u3d7yhk11x0", "14.68329459428787231",
     "54.12023697592880467"},
    {"n8", 10.552203, 52.41268, 3667890261392727, "u1rd0j7vup0", "10.55220454931259155",
     "52.41267897668041087"},
    {"n9", 13.94082, 53.303552, 3685747058768999, "u33zjpx7sw0", "13.94082158803939819",
     "53.30355235311094475"},
    {"n10", 15.624074, 53.404544, 3686255528461020, "u37pgd10520", "15.62407404184341431",
     "53.40454324826248467"},
    {"n11", 12.407068, 52.356535, 3673808269252067, "u32cf74wct0", "12.4070701003074646",
     "52.35653490300104806"},
    {"n12", 13.620796, 52.883615, 3674003540308641, "u33svgnm7s0", "13.62079650163650513",
     "52.88361495975863136"},
    {"n13", 13.992527, 53.719178, 3685767870551456, "u39cw7m0cs0", "13.99252921342849731",
     "53.71917818577122716"},
    {"n14", 11.236017, 53.096071, 3667970490803783, "u1ryp9vg400", "11.23601764440536499",
     "53.09607021789210535"},
    {"n15", 15.945745, 53.382267, 3686263925188460, "u37rdvgq6b0", "15.94574600458145142",
     "53.38226811871422228"},
    {"n16", 15.845444, 52.315702, 3674457639837936, "u3738ef3190", "15.84544211626052856",
     "52.3157030798452638"},
    {"n17", 13.27404, 50.554805, 3673617348162481, "u2crw51z5d0", "13.27404052019119263",
     "50.55480440851972901"},
    {"n18", 14.780252, 53.124704, 3674418892806264, "u36w0r49uf0", "14.78025108575820923",
     "53.12470496282915633"},
    {"n19", 15.698083, 53.333889, 3686256767201005, "u37pmjnurv0", "15.69808155298233032",
     "53.33388789594592083"},
    {"n20", 12.70839, 52.387853, 3673902567321467, "u33410vvqg0", "12.70838946104049683",
     "52.38785391764584176"},
    {"n21", 10.956962, 53.089161, 3667967730369203, "u1ry12ddg80", "10.95696061849594116",
     "53.08916056801173511"},
    {"n22", 12.67704, 52.336491, 3673902156826907, "u3318rx4hk0", "12.67703980207443237",
     "52.33649032807299761"},
    {"n23", 13.871382, 52.368332, 3673946065004087, "u33cgtkgds0", "13.87138456106185913",
     "52.3683314952766068"},
};
constexpr Pair kPairs[] = {
    {"palermo", "catania", "m", "166274.1516"},
    {"palermo", "catania", "km", "166.2742"},
    {"palermo", "catania", "mi", "103.3182"},
    {"palermo", "catania", "ft", "545518.8700"},
    {"zero", "zero", "m", "0.0000"},
    {"zero", "tiny", "m", "0.2819"},
    {"fiji-w", "fiji-e", "m", "21.0548"},
    {"edge-ne", "edge-sw", "km", "18919.8446"},
    {"sydney", "tokyo", "ft", "25685117.5686"},
    {"quito", "mcmurdo", "mi", "6558.7997"},
    {"reykjavik", "svalbard", "m", "1992376.1311"},
    {"berlin", "n3", "m", "143195.0626"},
    {"n1", "n2", "ft", "468770.1231"},
};
constexpr Search kSearches[] = {
    {15, 37, 200, 0, "km", "palermo:190.4424 catania:56.4413"},
    {15, 37, 400, 400, "km", "palermo:190.4424 catania:56.4413"},
    {13.4, 52.5, 100, 0, "km",
     "n11:69.2054 n22:52.3060 n20:48.5194 n23:35.1604 berlin:2.2507 n12:45.1898 n9:96.45"
     "96 n0:98.0966"},
    {13.4, 52.5, 60, 0, "mi",
     "n11:43.0023 n22:32.5015 n20:30.1486 n23:21.8477 berlin:1.3985 n12:28.0797 n9:59.93"
     "74"},
    {13.4, 52.5, 150, 40, "km", "berlin:2.2507 n22:52.3060 n20:48.5194 n23:35.1604 n11:69.2054"},
    {180, -17.5, 1, 0, "km", "fiji-w:0.0105"},
    {-180, -17.5, 200000, 300000, "ft", "fiji-e:34.5387 fiji-w:34.5387"},
    {16, 78, 500, 0, "km", "svalbard:25.5153"},
    {0, 0, 100, 0, "m", "zero:0.3300 tiny:0.3300"},
    {0, 0, 9000, 0, "km",
     "zero:0.0003 palermo:4454.7332 catania:4449.6961 n5:5919.6199 n8:5912.2182 n21:5991"
     ".7301 n14:5996.9168 n17:5761.8703 n0:5889.6004 n3:5883.8244 n11:5937.4389 n22:5940"
     ".2547 n20:5946.3323 n23:5966.8171 berlin:5973.6944 n12:6016.6158 n18:6065.6155 n16"
     ":6003.8867 n6:6099.1348 n9:6067.5385 n13:6112.7128 n1:6172.4638 n2:6077.0128 n4:61"
     "15.9188 n7:6168.8877 n10:6113.1175 n19:6107.3183 n15:6117.8672 svalbard:8748.8843 "
     "tiny:0.0003 reykjavik:7356.6590 quito:8727.6933"},
    {0, 0, 30000, 0, "km",
     "zero:0.0003 palermo:4454.7332 catania:4449.6961 n5:5919.6199 n8:5912.2182 n21:5991"
     ".7301 n14:5996.9168 n17:5761.8703 n0:5889.6004 n3:5883.8244 n11:5937.4389 n22:5940"
     ".2547 n20:5946.3323 n23:5966.8171 berlin:5973.6944 n12:6016.6158 n18:6065.6155 n16"
     ":6003.8867 n6:6099.1348 n9:6067.5385 n13:6112.7128 n1:6172.4638 n2:6077.0128 n4:61"
     "15.9188 n7:6168.8877 n10:6113.1175 n19:6107.3183 n15:6117.8672 svalbard:8748.8843 "
     "tokyo:14266.9002 tiny:0.0003 mcmurdo:11325.7902 sydney:15203.7366 fiji-w:18074.273"
     "7 reykjavik:7356.6590 edge-sw:10560.8118 fiji-e:18074.2737 quito:8727.6933"},
    {180, 10, 3000, 3000, "km", "east:0.0002"},
    {13.4, 52.5, 0, 0, "m", ""},
    {0, 85, 20000, 8000, "km",
     "n5:3626.1687 n8:3635.1914 n21:3560.8119 n14:3560.6335 n17:3847.8485 n0:3727.0399 n"
     "3:3681.7868 n11:3645.4725 n22:3648.3418 n20:3642.7077 n23:3647.8002 berlin:3629.73"
     "94 n12:3589.8781 n18:3566.2006 n16:3659.1759 n6:3593.1805 n9:3544.0416 n13:3497.98"
     "73 n1:3426.0614 n2:3551.7239 n4:3511.1623 n7:3455.2998 n10:3537.5299 n19:3545.5998"
     " n15:3540.9643 svalbard:789.2218 reykjavik:2368.2459"},
    {150, -40, 3000, 0, "mi",
     "mcmurdo:2658.9110 sydney:428.9645 fiji-w:2371.2681 fiji-e:2371.2770"},
};

std::string Text(long double value) {
  std::string buffer(kLongDoubleCharsMax, '\0');
  buffer.resize(FormatLongDouble(buffer.data(), value));
  return buffer;
}

std::string DistanceText(double meters, const char* unit) {
  double unit_meters = 0;
  REQUIRE(GeoParseUnit(unit, &unit_meters));
  char buffer[kGeoDistanceChars];
  return std::string(buffer, GeoFormatDistance(meters / unit_meters, buffer));
}

SortedSet AllPlaces() {
  SortedSet set;
  for (const Place& place : kPlaces)
    set.Add(GeoEncode({place.longitude, place.latitude}), place.name, {}, Thresholds());
  return set;
}

TEST_CASE("Geohashes and positions are Redis's") {
  for (const Place& place : kPlaces) {
    INFO(place.name);
    const double score = GeoEncode({place.longitude, place.latitude});
    REQUIRE(score == static_cast<double>(place.score));
    const GeoPoint decoded = GeoDecode(score);
    char text[kGeoTextChars];
    GeoFormatHash(decoded, text);
    REQUIRE(std::string(text, kGeoTextChars) == place.text);
    REQUIRE(Text(decoded.longitude) == place.decoded_longitude);
    REQUIRE(Text(decoded.latitude) == place.decoded_latitude);
  }
}

TEST_CASE("Distances are Redis's") {
  const SortedSet set = AllPlaces();
  for (const Pair& pair : kPairs) {
    INFO(pair.a << " " << pair.b);
    double a, b;
    REQUIRE(set.Score(pair.a, &a));
    REQUIRE(set.Score(pair.b, &b));
    REQUIRE(DistanceText(GeoDistance(GeoDecode(a), GeoDecode(b)), pair.unit) == pair.distance);
  }
  double meters;
  REQUIRE(GeoParseUnit("KM", &meters));
  REQUIRE(meters == 1000);
  REQUIRE_FALSE(GeoParseUnit("yd", &meters));
  REQUIRE_FALSE(GeoParseUnit("", &meters));
}

TEST_CASE("Searches find what Redis finds, in its order") {
  const SortedSet set = AllPlaces();
  for (const Search& search : kSearches) {
    INFO(search.longitude << " " << search.latitude << " " << search.width << search.unit);
    double unit = 0;
    REQUIRE(GeoParseUnit(search.unit, &unit));
    const GeoPoint center{search.longitude, search.latitude};
    const GeoShape shape = search.height == 0
                               ? GeoShape::Circle(center, search.width * unit)
                               : GeoShape::Box(center, search.width * unit, search.height * unit);
    std::string found;
    const uint64_t count = GeoSearch(set, shape, 0, [&](const GeoMatch& match) {
      if (!found.empty()) found += ' ';
      found += std::string(match.member) + ':' + DistanceText(match.distance, search.unit);
    });
    REQUIRE(found == search.found);
    if (count > 1) REQUIRE(GeoSearch(set, shape, 1, [](const GeoMatch&) {}) == 1);
  }
}

TEST_CASE("Positions beyond the map are refused") {
  REQUIRE(GeoIsValid({180, 85.05112878}));
  REQUIRE(GeoIsValid({-180, -85.05112878}));
  REQUIRE_FALSE(GeoIsValid({180.0001, 0}));
  REQUIRE_FALSE(GeoIsValid({0, 85.06}));
  REQUIRE_FALSE(GeoIsValid({-181, 0}));
  REQUIRE_FALSE(GeoIsValid({0, -86}));
}

TEST_CASE("A polygon holds what is inside its edges") {
  // A square with a notch from the east.
  const GeoShape shape =
      GeoShape::Polygon({{0, 0}, {10, 0}, {10, 4}, {5, 5}, {10, 6}, {10, 10}, {0, 10}});
  double distance;
  REQUIRE(shape.Contains({1, 1}, &distance));
  REQUIRE(shape.Contains({4.9, 5}, &distance));
  REQUIRE(shape.Contains({9, 1}, &distance));
  REQUIRE_FALSE(shape.Contains({9, 5}, &distance));
  REQUIRE_FALSE(shape.Contains({-1, 5}, &distance));
  REQUIRE_FALSE(shape.Contains({11, 2}, &distance));
  REQUIRE_FALSE(shape.Contains({5, 10.5}, &distance));
  // The centre is the vertices' mean, here inside the notch; distances are measured from it.
  REQUIRE_FALSE(shape.Contains(shape.center, &distance));
  REQUIRE(shape.Contains({5, 1}, &distance));
  REQUIRE(distance == GeoDistance({45.0 / 7, 5}, {5, 1}));
}

TEST_CASE("A polygon search misses no point, wherever the polygon lies") {
  Random random(21);
  for (int round = 0; round < 60; ++round) {
    SortedSet set;

    const double size = round % 3 == 0 ? 60 : round % 3 == 1 ? 3 : 0.01;
    const GeoPoint middle{random.Unit() * 300 - 150, random.Unit() * 150 - 75};
    auto near = [&] {
      GeoPoint point{middle.longitude + (random.Unit() - 0.5) * size,
                     middle.latitude + (random.Unit() - 0.5) * size};
      point.latitude = std::max(-85.0, std::min(85.0, point.latitude));
      return point;
    };
    for (int i = 0; i < 400; ++i) set.Add(GeoEncode(near()), std::to_string(i), {}, Thresholds());
    std::vector<GeoPoint> vertices;
    for (uint64_t n = 3 + random.Below(6); n > 0; --n) vertices.push_back(near());
    const GeoShape shape = GeoShape::Polygon(vertices);
    std::set<std::string> expected, found;
    for (auto it = set.Iterate(); it.Valid(); it.Next()) {
      double distance;
      if (shape.Contains(GeoDecode(it.score()), &distance)) expected.emplace(it.member());
    }
    const uint64_t count =
        GeoSearch(set, shape, 0, [&](const GeoMatch& match) { found.emplace(match.member); });
    REQUIRE(found == expected);
    REQUIRE(count == found.size());
  }
}

}  // namespace
}  // namespace cairn
