// SPDX-License-Identifier: BSD-3-Clause
//
// AuxSource: what folders above this one keep in a snapshot beside keys: the function library,
// positions in the stream. One object a folder, registered once; both directions, so that what one
// writes it also reads.
#pragma once

#include <string_view>

#include "base/status.h"
#include "rdb/writer.h"

namespace cairn {

class AuxSource {
 public:
  virtual ~AuxSource() = default;

  // The instant of the snapshot, under scope All: takes references to what Write will need.
  virtual void AtInstant() = 0;
  // Once after each AtInstant, on the snapshot's thread without locks: appends AUX and FUNCTION2
  // records, which stand before the first key. Drops the references.
  virtual void Write(RdbWriter* writer) = 0;

  // While loading, in the order of the file. False: not ours.
  virtual bool LoadAux(std::string_view /*name*/, std::string_view /*value*/) { return false; }
  // The code of one function library; false: not ours. An error ends the loading.
  virtual Result<bool> LoadFunction(std::string_view /*code*/) { return false; }
};

}  // namespace cairn
