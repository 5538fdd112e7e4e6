// SPDX-License-Identifier: BSD-3-Clause
//
// What Prometheus reads, made of what INFO says: the names are those of redis_exporter, so that its
// users' dashboards go on working; a figure that INFO lacks is left out, and so are those whose
// names promtool does not let pass (instantaneous_ops_per_sec: there is rate() for that).
#pragma once

#include <string>
#include <string_view>

namespace cairn {

// `info` is the text of INFO everything. The result is in the text format of Prometheus (version
// 0.0.4): the samples of a name stand together, behind its HELP and TYPE.
std::string MetricsText(std::string_view info);

}  // namespace cairn
