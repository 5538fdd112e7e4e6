// SPDX-License-Identifier: BSD-3-Clause
#include "snapshot/record_loader.h"

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
    case RdbOpcode::kResizeDb:
      reader->Length();
      reader->Length();
      break;
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

Status RecordLoader::Key(uint8_t type, RdbReader* reader) {
  std::string key;
  reader->Text(&key);
  CAIRN_RETURN_IF_ERROR(reader->status());
  auto loaded = RdbLoad(type, options_.thresholds, reader);
  Status status = loaded.status();
  if (loaded.ok()) {
    status = Insert(key, loaded->type() == Type::kString
                             ? Value::FromString(std::move(loaded->string()))
                             : Value::FromRep(loaded->type(), loaded->Release()));
  } else if (status.code() == StatusCode::kNotFound) {
    // Redis skips empty collections, which old bugs left in files.
    totals_.skipped.fetch_add(1, std::memory_order_relaxed);
    status = Status::Ok();
  } else if (status.code() == StatusCode::kUnavailable &&
             type == static_cast<uint8_t>(RdbType::kModule2)) {
    const uint64_t id = reader->Length();
    reader->SkipModuleData();
    status = reader->status();
    const uint64_t before = totals_.skipped.fetch_add(1, std::memory_order_relaxed);
    if (status.ok() && before < kSkippedLoggedMax && options_.log != nullptr)
      options_.log->Warning("Key of the module '%s' in the file is skipped",
                            ModuleName(id).c_str());
  } else {
    status = Status::Corrupt("key '" + key.substr(0, 64) + "': " + status.message());
  }
  expiry_ms_ = kNoExpiry;
  idle_seconds_ = frequency_ = -1;
  return status;
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

Status RecordLoader::Insert(std::string_view key, Value value) {
  Keyspace& keyspace = *options_.keyspace;
  const uint64_t hash = HashBytes(key);
  Entry* entry = Entry::New(key, std::move(value), expiry_ms_);
  entry->set_access(Access());
  bool twice = false;
  keyspace.gate().Enter(slot_);
  Shard& shard = keyspace.shard(ShardOf(hash));
  shard.lock.Lock();
  KeyTable& table = keyspace.Table(ShardOf(hash), db_);
  twice = table.entries.Find(hash, [key](const Entry* e) { return e->key() == key; }) != nullptr;
  if (!twice) {
    entry->set_epoch(shard.epoch);
    table.entries.InsertAndGrow(hash, entry, entry->has_expiry());
    table.CountIn(hash, entry);
  }
  shard.lock.Unlock();
  keyspace.gate().Leave(slot_);
  if (twice) {
    Entry::Free(entry);
    return Status::Corrupt("key '" + std::string(key.substr(0, 64)) + "' is there twice");
  }
  totals_.keys.fetch_add(1, std::memory_order_relaxed);
  if (expiry_ms_ != kNoExpiry) totals_.volatile_keys.fetch_add(1, std::memory_order_relaxed);
  return Status::Ok();
}

}  // namespace cairn
