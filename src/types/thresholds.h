// SPDX-License-Identifier: BSD-3-Clause
//
// Where small encodings end, as the redis.conf directives of the same names set it. Types take
// this by reference; commands/ fills it from the configuration.
#pragma once

#include <cstdint>

namespace cairn {

struct Thresholds {
  int64_t hash_max_listpack_entries = 128;
  int64_t hash_max_listpack_value = 64;
  int64_t set_max_intset_entries = 512;
  int64_t set_max_listpack_entries = 128;
  int64_t set_max_listpack_value = 64;
  int64_t zset_max_listpack_entries = 128;
  int64_t zset_max_listpack_value = 64;
  int64_t list_max_listpack_size = -2;  // > 0: elements; -1..-5: 4, 8, 16, 32, 64 KiB
  int64_t list_compress_depth = 0;
  int64_t quicklist_packed_threshold = 0;  // DEBUG QUICKLIST-PACKED-THRESHOLD, bytes; 0: unset
  int64_t hll_sparse_max_bytes = 3000;
  int64_t stream_node_max_bytes = 4096;
  int64_t stream_node_max_entries = 100;
};

}  // namespace cairn
