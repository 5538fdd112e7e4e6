// SPDX-License-Identifier: BSD-3-Clause
#include "utils/cairn-check/audit.h"

#include "base/audit_chain.h"

namespace cairn {
namespace {

constexpr size_t kReadBytes = 1 << 20;

Status Bad(uint64_t number, const std::string& why) {
  return Status::Corrupt("line " + std::to_string(number) + ": " + why);
}

// Calls line(text, number) for each whole line until it fails; `rest` gets what follows the last,
// which is the beginning of one.
template <typename Line>
Status ForEachLine(File& file, std::string* rest, const Line& line) {
  std::string buffer(kReadBytes, '\0');
  uint64_t offset = 0, number = 0;
  for (;;) {
    auto read = file.ReadAt(offset, buffer.data(), buffer.size());
    if (!read.ok()) return read.status();
    if (*read == 0) return Status::Ok();
    offset += *read;
    rest->append(buffer, 0, *read);
    size_t begin = 0;
    for (size_t end; (end = rest->find('\n', begin)) != std::string::npos; begin = end + 1)
      CAIRN_RETURN_IF_ERROR(line(std::string_view(*rest).substr(begin, end - begin), ++number));
    rest->erase(0, begin);
    if (!AuditChain::MayBegin(*rest)) return Bad(number + 1, "it is not a line of an audit log");
  }
}

}  // namespace

Result<AuditReport> VerifyAudit(FileSystem* fs, const std::vector<std::string>& paths) {
  AuditReport report;
  AuditChain chain;
  for (const std::string& path : paths) {
    auto file = fs->Open(path, FileSystem::Mode::kRead);
    if (!file.ok()) return file.status();
    std::string rest;
    uint64_t first = 0;
    const Status status =
        ForEachLine(**file, &rest, [&](std::string_view line, uint64_t number) {
          std::string why;
          if (!chain.Verify(line, &why)) return Bad(number, why);
          if (first == 0) first = chain.sequence();
          return Status::Ok();
        });
    if (status.code() == StatusCode::kCorrupt)
      return Status::Corrupt(path + ", " + status.message());
    if (!status.ok()) return status;
    report.torn = !rest.empty();
    if (report.torn && &path != &paths.back())
      return Status::Corrupt(path + ": its last line is not whole, though another file follows");
    report.text += path + ": ";
    report.text += first == 0 ? "no line" : "lines " + std::to_string(first) + " to " +
                                                std::to_string(chain.sequence()) + ", last hash " +
                                                chain.hash();
    report.text += report.torn ? "; a torn line at the end\n" : "\n";
  }
  return report;
}

}  // namespace cairn
