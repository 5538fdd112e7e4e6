// SPDX-License-Identifier: BSD-3-Clause
#include "snapshot/record_loader.h"

#include <algorithm>

#include "base/numbers.h"
#include "rdb/value.h"

namespace cairn {
namespace {

constexpr uint64_t kSkippedLoggedMax = 10;  // each with a line of its own; then only counted

// Redis's name of a module: 9 characters of 6 bits each above 10 bits of version.
std::string ModuleName(uint64_t id) {
  static constexpr char kCharset[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string name(9, ' ');
  id >>= 10;
  for (int i = 8; i >= 0; --i, id >>= 6) name[static_cast<size_t>(i)] = kCharset[id & 63];
  return name;
}

}  // namespace

Result<bool> RecordLoader::Load(RdbReader* reader) {
  auto ended = Records(reader);
  const Status inserted = InsertBatch();
  if (ended.ok() && !inserted.ok()) return inserted;
  return ended;
}

Result<bool> RecordLoader::Records(RdbReader* reader) {
  constexpr uint64_t kAskEvery = 1024;
  for (uint64_t records = 0; !reader->AtEnd(); ++records) {
    if (records % kAskEvery == 0 && options_.stopped != nullptr && options_.stopped())
      return Status::Unavailable("loading was interrupted");
    const uint8_t byte = reader->Byte();
    if (!reader->ok()) break;
    if (byte == static_cast<uint8_t>(RdbOpcode::kEof)) return true;
    Status status = IsRdbType(byte) ? Key(byte, reader) : Opcode(byte, reader);
    if (!status.ok()) return status;
  }
  if (!reader->ok()) return reader->status();
  return false;
}

Status RecordLoader::Opcode(uint8_t byte, RdbReader* reader) {
  switch (static_cast<RdbOpcode>(byte)) {
    case RdbOpcode::kSelectDb: {
      const uint64_t db = reader->Length();
      if (reader->ok() && db >= static_cast<uint64_t>(options_.keyspace->databases()))
        return Status::Corrupt("database " + std::to_string(db) + " is beyond the " +
                               std::to_string(options_.keyspace->databases()) +
                               " that `databases` allows");
      db_ = static_cast<int>(db);
      break;
    }
    case RdbOpcode::kResizeDb: {
      const uint64_t keys = reader->Length();
      reader->Length();
      if (reader->ok()) Announced(keys);
      break;
    }
    case RdbOpcode::kSlotInfo:
      for (int i = 0; i < 3; ++i) reader->Length();
      break;
    case RdbOpcode::kExpireTimeMs:
      expiry_ms_ = reader->Int64();
      break;
    case RdbOpcode::kExpireTime:
      expiry_ms_ = int64_t{reader->Int32()} * 1000;
      break;
    case RdbOpcode::kIdle:
      idle_seconds_ = static_cast<int64_t>(reader->Length());
      break;
    case RdbOpcode::kFreq:
      frequency_ = reader->Byte();
      break;
    case RdbOpcode::kAux:
      return Aux(reader);
    case RdbOpcode::kFunction2:
      return Function(reader);
    case RdbOpcode::kModuleAux:
      ModuleAux(reader);
      break;
    case RdbOpcode::kFunctionPreGa:
      return Status::Corrupt("functions of a release candidate of Redis 7.0");
    case RdbOpcode::kSlotImport:
      if (reader->version() < kRdbVersionValkey) {
        KeyMeta(reader);
        break;
      }
      // Which slots a Valkey cluster was importing: that import is not ours.
      reader->Text();
      for (uint64_t ranges = reader->Length(); ranges > 0 && reader->ok(); --ranges) {
        reader->Length();
        reader->Length();
      }
      break;
    default:
      return Status::Corrupt("a record or value of the unknown type " + std::to_string(byte));
  }
  return reader->status();
}

Status RecordLoader::Aux(RdbReader* reader) {
  std::string name, value;
  reader->Text(&name);
  reader->Text(&value);
  CAIRN_RETURN_IF_ERROR(reader->status());
  for (AuxSource* source : options_.aux_sources)
    if (source->LoadAux(name, value)) return Status::Ok();
  if (uint64_t bytes = 0; options_.memory && name == "used-mem" && ParseUint64(value, &bytes))
    options_.memory(bytes);
  std::lock_guard guard(totals_.mutex);
  totals_.aux.emplace_back(std::move(name), std::move(value));
  return Status::Ok();
}

Status RecordLoader::Function(RdbReader* reader) {
  std::string code;
  reader->Text(&code);
  CAIRN_RETURN_IF_ERROR(reader->status());
  for (AuxSource* source : options_.aux_sources) {
    auto taken = source->LoadFunction(code);
    if (!taken.ok()) return taken.status();
    if (*taken) return Status::Ok();
  }
  if (options_.log != nullptr)
    options_.log->Warning("A function library in the file is skipped: nobody here runs functions");
  return Status::Ok();
}

void RecordLoader::ModuleAux(RdbReader* reader) {
  const uint64_t id = reader->Length();
  reader->Length();  // when it was written: an opcode and a number
  reader->Length();
  reader->SkipModuleData();
  if (reader->ok() && options_.log != nullptr)
    options_.log->Warning("Data of the module '%s' in the file is skipped", ModuleName(id).c_str());
}

void RecordLoader::KeyMeta(RdbReader* reader) {
  for (uint64_t classes = reader->Length(); classes > 0 && reader->ok(); --classes) {
    reader->Raw(4);
    reader->SkipModuleData();
  }
  if (reader->ok() && totals_.metadata.fetch_add(1, std::memory_order_relaxed) == 0 &&
      options_.log != nullptr)
    options_.log->Warning("What modules keep beside keys in the file is skipped");
}

// Room for the keys of this database, as far as what is there of the file makes them likely.
void RecordLoader::Announced(uint64_t keys) {
  const uint64_t before = totals_.announced.load(std::memory_order_relaxed);
  if (before >= options_.announced_keys_max) return;
  keys = std::min(keys, options_.announced_keys_max - before);
  totals_.announced.fetch_add(keys, std::memory_order_relaxed);
  ReserveTables(options_.keyspace, slot_, db_, keys);
}

Status RecordLoader::Key(uint8_t type, RdbReader* reader) {
  reader->Text(&key_);
  CAIRN_RETURN_IF_ERROR(reader->status());
  Status status;
  if (type == static_cast<uint8_t>(RdbType::kString)) {
    const std::string_view text = reader->Text();
    status =
        reader->ok() ? Take(Entry::NewString(key_, text, expiry_ms_)) : Damaged(reader->status());
  } else {
    status = Object(type, reader);
  }
  expiry_ms_ = kNoExpiry;
  idle_seconds_ = frequency_ = -1;
  return status;
}

Status RecordLoader::Damaged(const Status& status) const {
  return Status::Corrupt("key '" + key_.substr(0, 64) + "': " + status.message());
}

// The value of any type but the string's.
Status RecordLoader::Object(uint8_t type, RdbReader* reader) {
  auto loaded = RdbLoad(type, options_.thresholds, reader);
  const Status status = loaded.status();
  if (status.ok()) {
    const Type kind = loaded->type();
    return Take(Entry::New(key_, Value::FromRep(kind, loaded->Release()), expiry_ms_));
  }
  if (status.code() == StatusCode::kNotFound) {
    // Redis skips empty collections, which old bugs left in files.
    totals_.skipped.fetch_add(1, std::memory_order_relaxed);
    return Status::Ok();
  }
  if (status.code() != StatusCode::kUnavailable || type != static_cast<uint8_t>(RdbType::kModule2))
    return Damaged(status);
  const uint64_t id = reader->Length();
  reader->SkipModuleData();
  const uint64_t before = totals_.skipped.fetch_add(1, std::memory_order_relaxed);
  if (reader->ok() && before < kSkippedLoggedMax && options_.log != nullptr)
    options_.log->Warning("Key of the module '%s' in the file is skipped", ModuleName(id).c_str());
  return reader->status();
}

uint32_t RecordLoader::Access() const {
  constexpr uint32_t kMask = (1u << 24) - 1;
  constexpr uint32_t kLfuInitial = 5;
  if (options_.lfu) {
    const uint32_t minutes = static_cast<uint32_t>(options_.now_ms / 60000) & 0xffff;
    return minutes << 8 | (frequency_ >= 0 ? static_cast<uint32_t>(frequency_) : kLfuInitial);
  }
  const int64_t clock = options_.now_ms / 1000 - (idle_seconds_ > 0 ? idle_seconds_ : 0);
  return static_cast<uint32_t>(clock) & kMask;
}

Status RecordLoader::Take(Entry* entry) {
  entry->set_access(Access());
  batch_.Add(db_, entry);
  return batch_.full() ? InsertBatch() : Status::Ok();
}

Status RecordLoader::InsertBatch() {
  return batch_.Insert(&totals_.keys, &totals_.volatile_keys);
}

}  // namespace cairn
