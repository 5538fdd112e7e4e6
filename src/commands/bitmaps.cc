// SPDX-License-Identifier: BSD-3-Clause
//
// Bits of strings: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP, BITFIELD.
#include "types/bitmap.h"

#include <vector>

#include "base/numbers.h"
#include "commands/families.h"
#include "exec/args.h"
#include "exec/refs.h"
#include "types/bitmap_field.h"

namespace cairn {
namespace {

constexpr std::string_view kBadOffset = "ERR bit offset is not an integer or out of range";

// What was recorded once is replayed, also where the limit is lower now.
uint64_t BytesMax(Context& ctx) {
  if (ctx.session().internal) return UINT64_MAX;
  return static_cast<uint64_t>(ctx.config().proto_max_bulk_len());
}

// SETBIT key offset value  O(1)
void SetBitCommand(Context& ctx) {
  uint64_t offset;
  if (!ParseBitOffset(ctx.arg(2), nullptr, BytesMax(ctx), &offset)) return ctx.Error(kBadOffset);
  const std::string_view bit = ctx.arg(3);
  if (bit.size() != 1 || (bit[0] != '0' && bit[0] != '1'))
    return ctx.Error("ERR bit is not an integer or out of range");
  StringRef string = ctx.WriteString(ctx.arg(1));
  if (string.failed()) return;
  const bool on = bit[0] == '1';
  // Nothing to do, nothing to record.
  if (string && (offset >> 3) < string.size() && GetBit(string.view(), offset) == on)
    return ctx.reply().Integer(on);
  const bool old = SetBit(string.MutableBytes((offset >> 3) + 1), offset, on);
  ctx.Notify(kNotifyString, "setbit", ctx.arg(1));
  ctx.reply().Integer(old);
}

// GETBIT key offset  O(1)
void GetBitCommand(Context& ctx) {
  uint64_t offset;
  if (!ParseBitOffset(ctx.arg(2), nullptr, BytesMax(ctx), &offset)) return ctx.Error(kBadOffset);
  const StringRef string = ctx.ReadString(ctx.arg(1));
  if (string.failed()) return;
  ctx.reply().Integer(string && GetBit(string.view(), offset));
}

// BYTE or BIT. False: the error was latched.
void ReadUnit(Args& args, BitRange* range) {
  if (args.Take("BIT")) {
    range->in_bits = true;
  } else if (!args.Take("BYTE")) {
    args.Fail(errors::kSyntax);
  }
}

// BITCOUNT key [start end [BYTE | BIT]]  O(N)
void BitCountCommand(Context& ctx) {
  BitRange range;
  if (ctx.argc() > 2) {
    if (ctx.argc() == 3 || ctx.argc() > 5) return ctx.Error(errors::kSyntax);
    Args args(ctx, 2);
    range.start = args.Int();
    range.end = args.Int();
    range.end_given = true;
    if (ctx.argc() == 5) ReadUnit(args, &range);
    if (!args.Done()) return;
  }
  const StringRef string = ctx.ReadString(ctx.arg(1));
  if (string.failed()) return;
  ctx.reply().Integer(string ? static_cast<int64_t>(BitCount(string.view(), range)) : 0);
}

// BITPOS key bit [start [end [BYTE | BIT]]]  O(N)
void BitPosCommand(Context& ctx) {
  Args args(ctx, 2);
  const int64_t bit = args.Int();
  if (!args.Done()) return;
  if (bit != 0 && bit != 1) return ctx.Error("ERR The bit argument must be 1 or 0.");
  if (ctx.argc() > 6) return ctx.Error(errors::kSyntax);
  BitRange range;
  if (args.More()) range.start = args.Int();
  // Redis reads the unit before the end.
  if (ctx.argc() == 6) {
    Args unit(ctx, 5);
    ReadUnit(unit, &range);
    if (args.failed() ? !args.Done() : !unit.Done()) return;
  }
  if (args.More()) {
    range.end = args.Int();
    range.end_given = true;
  }
  if (!args.Done()) return;
  const StringRef string = ctx.ReadString(ctx.arg(1));
  if (string.failed()) return;
  if (!string) return ctx.reply().Integer(bit == 1 ? -1 : 0);
  ctx.reply().Integer(BitPos(string.view(), bit == 1, range));
}

struct OperationName {
  const char* name;
  BitOperation operation;
  size_t inputs_min;
};
constexpr OperationName kOperations[] = {
    {"AND", BitOperation::kAnd, 1},     {"OR", BitOperation::kOr, 1},
    {"XOR", BitOperation::kXor, 1},     {"NOT", BitOperation::kNot, 1},
    {"DIFF", BitOperation::kDiff, 2},   {"DIFF1", BitOperation::kDiff1, 2},
    {"ANDOR", BitOperation::kAndOr, 2}, {"ONE", BitOperation::kOne, 1},
};

// BITOP AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE destkey key [key ...]  O(N)
void BitOpCommand(Context& ctx) {
  const OperationName* operation = nullptr;
  for (const OperationName& candidate : kOperations)
    if (EqualsIgnoreCase(ctx.arg(1), candidate.name)) operation = &candidate;
  if (operation == nullptr) return ctx.Error(errors::kSyntax);
  const size_t inputs = ctx.argc() - 3;
  if (operation->operation == BitOperation::kNot && inputs != 1)
    return ctx.Error("ERR BITOP NOT must be called with a single source key.");
  if (inputs < operation->inputs_min)
    return ctx.Error(std::string("ERR BITOP ") + operation->name +
                     " must be called with at least two source keys.");
  std::vector<StringRef> strings;
  std::vector<std::string_view> views;
  strings.reserve(inputs);
  for (size_t i = 3; i < ctx.argc(); ++i) {
    strings.push_back(ctx.ReadString(ctx.arg(i)));
    if (strings.back().failed()) return;
    views.push_back(strings.back() ? strings.back().view() : std::string_view());
  }
  const std::string_view destination = ctx.arg(2);
  std::string result(BitOpLength(views), '\0');
  const int64_t length = static_cast<int64_t>(result.size());
  if (length == 0) {
    ctx.Delete(destination);
  } else {
    BitOp(operation->operation, views, result.data());
    ctx.Put(destination, Value::FromRawString(std::move(result)));
    ctx.Notify(kNotifyString, "set", destination);
    // What Redis 7.0 does not know is recorded by its result.
    if (operation->operation > BitOperation::kNot)
      ctx.Effect({"SET", destination, ctx.Find(destination, Context::Touch::kNo)->text()});
  }
  ctx.reply().Integer(length);
}

struct FieldOperation {
  enum class Kind : uint8_t { kGet, kSet, kIncrBy };
  Kind kind;
  BitfieldOverflow overflow;
  BitfieldType type;
  uint64_t offset;
  int64_t value;
};

// Reads the operations; `bytes` is the length that writes need, 0 if there are none.
bool ParseFieldOperations(Context& ctx, bool read_only, std::vector<FieldOperation>* operations,
                          uint64_t* bytes) {
  Args args(ctx, 2);
  BitfieldOverflow overflow = BitfieldOverflow::kWrap;
  *bytes = 0;
  while (args.More()) {
    FieldOperation operation{};
    if (args.Take("GET", 2)) {
      operation.kind = FieldOperation::Kind::kGet;
    } else if (args.Take("SET", 3)) {
      operation.kind = FieldOperation::Kind::kSet;
    } else if (args.Take("INCRBY", 3)) {
      operation.kind = FieldOperation::Kind::kIncrBy;
    } else if (args.Take("OVERFLOW", 1)) {
      if (args.Take("WRAP")) {
        overflow = BitfieldOverflow::kWrap;
      } else if (args.Take("SAT")) {
        overflow = BitfieldOverflow::kSat;
      } else if (args.Take("FAIL")) {
        overflow = BitfieldOverflow::kFail;
      } else {
        args.Fail("ERR Invalid OVERFLOW type specified");
      }
      continue;
    } else {
      args.Fail(errors::kSyntax);
      break;
    }
    operation.overflow = overflow;
    if (!ParseBitfieldType(args.Next(), &operation.type)) {
      args.Fail(
          "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported "
          "but i64 is.");
    } else if (!ParseBitOffset(args.Next(), &operation.type, BytesMax(ctx), &operation.offset)) {
      args.Fail(kBadOffset);
    } else if (operation.kind != FieldOperation::Kind::kGet) {
      operation.value = args.Int();
      *bytes = std::max(*bytes, BitfieldBytes(operation.type, operation.offset));
    }
    operations->push_back(operation);
  }
  if (!args.Done()) return false;
  if (read_only && *bytes > 0) {
    ctx.Error("ERR BITFIELD_RO only supports the GET subcommand");
    return false;
  }
  return true;
}

void ReadFields(Context& ctx, const std::vector<FieldOperation>& operations) {
  const StringRef string = ctx.ReadString(ctx.arg(1));
  if (string.failed()) return;
  const std::string_view bytes = string ? string.view() : std::string_view();
  ctx.reply().Array(operations.size());
  for (const FieldOperation& operation : operations)
    ctx.reply().Integer(BitfieldGet(bytes, operation.type, operation.offset));
}

// Applies one operation to the bytes and replies; true if it counts as a change. As in Redis every
// write into a string that grew counts.
bool ApplyField(ReplyWriter& reply, const FieldOperation& operation, char* bytes, size_t size,
                bool grew) {
  const int64_t old = BitfieldGet({bytes, size}, operation.type, operation.offset);
  if (operation.kind == FieldOperation::Kind::kGet) {
    reply.Integer(old);
    return false;
  }
  const bool set = operation.kind == FieldOperation::Kind::kSet;
  int64_t stored;
  const bool fits =
      set ? BitfieldSetResult(operation.type, operation.overflow, operation.value, &stored)
          : BitfieldIncrResult(operation.type, operation.overflow, old, operation.value, &stored);
  if (!fits) {
    reply.Null();
    return false;
  }
  BitfieldStore(bytes, operation.type, operation.offset, stored);
  const int64_t now = BitfieldGet({bytes, size}, operation.type, operation.offset);
  reply.Integer(set ? old : now);
  return grew || now != old;
}

void WriteFields(Context& ctx, const std::vector<FieldOperation>& operations, uint64_t bytes) {
  StringRef string = ctx.WriteString(ctx.arg(1));
  if (string.failed()) return;
  const size_t old_size = string ? string.size() : 0;
  const bool grows = bytes > old_size;
  char* data = grows ? string.MutableBytes(bytes) : string.EditBytes();
  const size_t size = std::max<size_t>(old_size, bytes);
  int64_t changes = 0;
  ctx.reply().Array(operations.size());
  for (const FieldOperation& operation : operations)
    changes += ApplyField(ctx.reply(), operation, data, size, grows) ? 1 : 0;
  if (grows) ctx.Dirty(changes - 1);
  if (changes == 0) {
    // A string that grew is recorded even where every operation failed, or followers would differ;
    // it counts as no change all the same.
    if (grows) ctx.Effect(ctx.args());
    return;
  }
  if (!grows) string.Edited(changes);
  ctx.Notify(kNotifyString, "setbit", ctx.arg(1));
}

void Fields(Context& ctx, bool read_only) {
  std::vector<FieldOperation> operations;
  uint64_t bytes;
  if (!ParseFieldOperations(ctx, read_only, &operations, &bytes)) return;
  bytes == 0 ? ReadFields(ctx, operations) : WriteFields(ctx, operations, bytes);
}

// BITFIELD key [GET type offset | [OVERFLOW WRAP | SAT | FAIL] SET type offset value |
//     INCRBY type offset increment ...]  O(1) an operation
void BitField(Context& ctx) { Fields(ctx, false); }

// BITFIELD_RO key [GET type offset ...]  O(1) an operation
void BitFieldRo(Context& ctx) { Fields(ctx, true); }

constexpr CommandSpec kRows[] = {
    {"BITCOUNT", -2, kReadonly, Key(kRO | kAccess), kAclBitmap, &BitCountCommand},
    {"BITFIELD", -2, kWrite | kDenyOom, Key(kRW | kAccess | kUpdate | kVariableFlags), kAclBitmap,
     &BitField},
    {"BITFIELD_RO", -2, kReadonly | kFast, Key(kRO | kAccess), kAclBitmap, &BitFieldRo},
    {"BITOP", -4, kWrite | kDenyOom, Key(kOW | kUpdate, 2) + KeyRange(kRO | kAccess, 3, -1),
     kAclBitmap, &BitOpCommand},
    {"BITPOS", -3, kReadonly, Key(kRO | kAccess), kAclBitmap, &BitPosCommand},
    {"GETBIT", 3, kReadonly | kFast, Key(kRO | kAccess), kAclBitmap, &GetBitCommand},
    {"SETBIT", 4, kWrite | kDenyOom, Key(kRW | kAccess | kUpdate), kAclBitmap, &SetBitCommand},
};

}  // namespace

std::span<const CommandSpec> BitmapCommands() { return kRows; }

}  // namespace cairn
