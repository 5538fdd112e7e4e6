// SPDX-License-Identifier: BSD-3-Clause
//
// ByteSource: bytes one after the other, from a file or as they come from somewhere. One thread.
#pragma once

#include <cstddef>

#include "base/status.h"

namespace cairn {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // At least one byte and at most `size`, waiting for it if need be; 0 at the end.
  virtual Result<size_t> Read(char* into, size_t size) = 0;
};

}  // namespace cairn
