// SPDX-License-Identifier: BSD-3-Clause
//
// What ZADD and GEOADD do when they have read their arguments.
#pragma once

#include <cstddef>
#include <vector>

#include "types/sorted_set.h"

namespace cairn {

class Context;

// Adds to the sorted set of argument 1 and replies. The member of scores[i] is argument
// `member + i * stride`. With `change_count` those that got another score are counted, too.
void AddScored(Context& ctx, const std::vector<double>& scores, size_t member, size_t stride,
               SortedSet::AddFlags flags, bool change_count);

}  // namespace cairn
