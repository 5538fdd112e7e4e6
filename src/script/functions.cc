// SPDX-License-Identifier: BSD-3-Clause
#include "script/functions.h"

#include <algorithm>

#include "base/numbers.h"
#include "rdb/dump.h"
#include "rdb/reader.h"
#include "rdb/writer.h"

namespace cairn {
namespace {

constexpr const char* kBadName =
    "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least "
    "one character long";

bool ReadName(std::string_view option, Library* library, std::string* error) {
  constexpr std::string_view kName = "name=";
  if (!EqualsIgnoreCase(option.substr(0, kName.size()), kName)) {
    *error = "ERR Invalid metadata value given: " + std::string(option);
  } else if (!library->name.empty()) {
    *error = "ERR Invalid metadata value, name argument was given multiple times";
  } else {
    library->name = option.substr(kName.size());
    if (IsFunctionName(library->name)) return true;
    *error = kBadName;
  }
  return false;
}

}  // namespace

bool IsFunctionName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

bool ReadLibraryShebang(std::string_view code, Library* library, std::string* error) {
  if (!code.starts_with("#!")) return *error = "ERR Missing library metadata", false;
  const size_t end = code.find('\n');
  if (end == std::string_view::npos) return *error = "ERR Invalid library metadata", false;
  std::string_view line = code.substr(2, end - 2);
  const std::string engine(line.substr(0, line.find(' ')));
  line.remove_prefix(engine.size());
  while (!line.empty()) {
    line.remove_prefix(1);
    const std::string_view option = line.substr(0, line.find(' '));
    line.remove_prefix(option.size());
    if (!option.empty() && !ReadName(option, library, error)) return false;
  }
  if (library->name.empty()) return *error = "ERR Library name was not given", false;
  if (!EqualsIgnoreCase(engine, "lua"))
    return *error = "ERR Engine '" + engine + "' not found", false;
  library->code = code;
  library->code_offset = end;
  return true;
}

bool Libraries::Add(std::shared_ptr<const Library> library, bool replace, std::string* error) {
  const auto old = libraries_.find(library->name);
  if (old != libraries_.end() && !replace)
    return *error = "ERR Library '" + library->name + "' already exists", false;
  for (const FunctionInfo& function : library->functions) {
    const Found found = Find(function.name);
    if (found.library != nullptr && found.library->name != library->name)
      return *error = "ERR Function " + function.name + " already exists", false;
  }
  Remove(library->name);
  for (size_t i = 0; i < library->functions.size(); ++i)
    functions_[ToLower(library->functions[i].name)] = {library, i};
  libraries_[library->name] = std::move(library);
  return true;
}

bool Libraries::Remove(const std::string& name) {
  const auto found = libraries_.find(name);
  if (found == libraries_.end()) return false;
  for (const FunctionInfo& function : found->second->functions)
    functions_.erase(ToLower(function.name));
  libraries_.erase(found);
  return true;
}

Libraries::Found Libraries::Find(std::string_view function) const {
  const auto found = functions_.find(ToLower(function));
  return found == functions_.end() ? Found() : found->second;
}

std::shared_ptr<const Libraries> FunctionRegistry::Current() const {
  std::lock_guard guard(mutex_);
  return current_;
}

void FunctionRegistry::Install(std::shared_ptr<const Libraries> libraries) {
  std::lock_guard guard(mutex_);
  current_ = std::move(libraries);
  generation_.fetch_add(1, std::memory_order_release);
}

std::string DumpLibraries(const Libraries& libraries) {
  std::string payload;
  RdbWriter writer(&payload);
  for (const auto& [name, library] : libraries.all()) writer.Function(library->code);
  FinishDump(kRdbVersionMin, &payload);
  return payload;
}

bool ReadLibraryDump(std::string_view payload, std::vector<std::string>* codes,
                     std::string* error) {
  if (!VerifyDump(payload)) return *error = "ERR DUMP payload version or checksum are wrong", false;
  RdbReader reader(payload.substr(0, payload.size() - kDumpFooterBytes));
  while (!reader.AtEnd()) {
    const auto opcode = static_cast<RdbOpcode>(reader.Byte());
    if (opcode == RdbOpcode::kFunctionPreGa)
      return *error = "ERR Pre-GA function format not supported", false;
    if (opcode != RdbOpcode::kFunction2) return *error = "ERR given type is not a function", false;
    codes->emplace_back(reader.Text());
    if (!reader.ok()) return *error = "ERR Failed loading library code", false;
  }
  return true;
}

}  // namespace cairn
