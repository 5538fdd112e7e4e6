// SPDX-License-Identifier: BSD-3-Clause
//
// Arguments and replies that the GEO commands share.
#pragma once

#include <string_view>

#include "exec/context.h"
#include "types/geo.h"

namespace cairn {

// "longitude latitude" from arguments `at` and `at + 1`. False: the error was replied.
bool ReadGeoPoint(Context& ctx, size_t at, GeoPoint* point);
// The metres in the unit named by argument `at`. False: the error was replied.
bool ReadGeoUnit(Context& ctx, size_t at, double* meters);

// Four digits behind the point, a bulk in both versions.
void ReplyGeoDistance(ReplyWriter& reply, double distance);
// An array of longitude and latitude: bulks, or doubles in RESP3, with seventeen digits.
void ReplyGeoPoint(ReplyWriter& reply, GeoPoint point);

}  // namespace cairn
