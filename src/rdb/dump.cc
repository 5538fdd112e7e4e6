// SPDX-License-Identifier: BSD-3-Clause
#include "rdb/dump.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc.h"

namespace cairn {

void FinishDump(int version, std::string* payload) {
  char footer[kDumpFooterBytes];
  StoreLe(footer, static_cast<uint16_t>(version));
  payload->append(footer, 2);
  StoreLe(footer + 2, Crc64(0, *payload));
  payload->append(footer + 2, 8);
}

std::string DumpString(std::string_view text, int version) {
  std::string payload;
  RdbWriter writer(&payload);
  writer.Type(RdbType::kString);
  writer.String(text);
  FinishDump(version, &payload);
  return payload;
}

std::string DumpValue(Type type, uint64_t rep, int version) {
  std::string payload;
  RdbWriter writer(&payload);
  RdbType rdb_type = RdbTypeOf(type, rep, version);
  writer.Type(rdb_type);
  RdbSave(type, rep, rdb_type, &writer);
  FinishDump(std::max(version, RdbVersionOf(rdb_type)), &payload);
  return payload;
}

bool VerifyDump(std::string_view payload) {
  if (payload.size() < kDumpFooterBytes) return false;
  const char* footer = payload.data() + payload.size() - kDumpFooterBytes;
  if (LoadLe<uint16_t>(footer) > kRdbVersion) return false;
  return LoadLe<uint64_t>(footer + 2) == Crc64(0, payload.substr(0, payload.size() - 8));
}

Result<RdbValue> LoadDump(std::string_view payload, const Thresholds& thresholds) {
  CHECK(payload.size() >= kDumpFooterBytes);
  RdbReader reader(payload.substr(0, payload.size() - kDumpFooterBytes));
  uint8_t type = reader.Byte();
  CAIRN_RETURN_IF_ERROR(reader.status());
  return RdbLoad(type, thresholds, &reader);
}

}  // namespace cairn
