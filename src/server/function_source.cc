// SPDX-License-Identifier: BSD-3-Clause
#include "server/function_source.h"

#include "script/host.h"

namespace cairn {

FunctionSource::FunctionSource(Engine* engine) : engine_(*engine) {}
FunctionSource::~FunctionSource() = default;

void FunctionSource::AtInstant() {
  libraries_ = engine_.scripts->functions().Current();
}

void FunctionSource::Write(RdbWriter* writer) {
  for (const auto& [name, library] : libraries_->all()) writer->Function(library->code);
  libraries_.reset();
}

Result<bool> FunctionSource::LoadFunction(std::string_view code) {
  std::lock_guard guard(mutex_);
  if (executor_ == nullptr) executor_ = std::make_unique<Executor>(&engine_);
  std::string error;
  const auto library =
      ScriptHost::Of(*executor_).LoadLibrary(code, ScriptHost::LoadFor::kRecord, &error);
  if (library == nullptr) return Status::Corrupt("a function library in the file: " + error);
  auto next = std::make_shared<Libraries>(*engine_.scripts->functions().Current());
  if (!next->Add(library, true, &error))
    return Status::Corrupt("a function library in the file: " + error);
  engine_.scripts->functions().Install(std::move(next));
  return true;
}

}  // namespace cairn
