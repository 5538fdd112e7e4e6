// SPDX-License-Identifier: BSD-3-Clause
//
// The function libraries' place in snapshots: their code as FUNCTION2 records before the first key.
#pragma once

#include <memory>
#include <mutex>

#include "exec/executor.h"
#include "snapshot/aux_source.h"

namespace cairn {

class Libraries;

class FunctionSource final : public AuxSource {
 public:
  explicit FunctionSource(Engine* engine);
  ~FunctionSource() override;

  void AtInstant() override;
  void Write(RdbWriter* writer) override;
  // A library of the same name gives way. Any thread, one at a time (a mutex); no command runs.
  Result<bool> LoadFunction(std::string_view code) override;

 private:
  Engine& engine_;
  std::shared_ptr<const Libraries> libraries_;  // of the instant
  std::mutex mutex_;
  std::unique_ptr<Executor> executor_;  // runs the libraries' code; made on first use
};

}  // namespace cairn
