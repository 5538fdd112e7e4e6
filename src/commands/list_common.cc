// SPDX-License-Identifier: BSD-3-Clause
#include "commands/list_common.h"

#include "exec/args.h"

namespace cairn {

bool ReadListEnd(std::string_view text, ListEnd* end) {
  if (EqualsIgnoreCase(text, "left")) {
    *end = ListEnd::kFront;
  } else if (EqualsIgnoreCase(text, "right")) {
    *end = ListEnd::kBack;
  } else {
    return false;
  }
  return true;
}

void PopElements(Context& ctx, WriteRef<List>& list, ListEnd end, uint64_t count) {
  count = std::min<uint64_t>(count, list->Length());
  ctx.reply().Array(count);
  list.Mutable().PopEach(end, count, ctx.engine().ReadThresholds(),
                         [&](std::string_view element) { ctx.reply().Bulk(element); });
  list.Commit(kNotifyList, PopEvent(end), static_cast<int64_t>(count));
}

bool MoveElement(Context& ctx, ListEnd from, ListEnd to) {
  const Thresholds thresholds = ctx.engine().ReadThresholds();
  auto source = ctx.Write<List>(ctx.arg(1));
  if (source.failed()) return true;
  if (!source) return false;
  std::string element;
  if (ctx.arg(1) == ctx.arg(2)) {
    if (!ctx.Claim()) return true;
    // One list: it must not vanish between the two steps.
    List& list = source.Mutable();
    list.Pop(from, &element, thresholds);
    list.Push(to, element, thresholds);
    source.Notify(kNotifyList, PushEvent(to));
    source.Commit(kNotifyList, PopEvent(from));
    ctx.reply().Bulk(element);
    return true;
  }
  auto destination = ctx.Write<List>(ctx.arg(2));
  if (destination.failed() || !ctx.Claim()) return true;
  source.Mutable().Pop(from, &element, thresholds);
  destination.Create().Push(to, element, thresholds);
  destination.Commit(kNotifyList, PushEvent(to));
  source.Commit(kNotifyList, PopEvent(from));
  ctx.reply().Bulk(element);
  return true;
}

bool ListMultiPop::Read(Context& ctx, size_t numkeys_at) {
  if (!ReadArguments(ctx, numkeys_at, "left", "right")) return false;
  end = is_second ? ListEnd::kBack : ListEnd::kFront;
  return true;
}

bool ListMultiPop::Run(Context& ctx) const {
  for (std::string_view key : ctx.args().subspan(first_key, keys)) {
    auto list = ctx.Write<List>(key);
    if (list.failed()) return true;
    if (!list) continue;
    if (!ctx.Claim()) return true;
    const uint64_t popped = std::min<uint64_t>(count, list->Length());
    ctx.reply().Array(2);
    ctx.reply().Bulk(key);
    PopElements(ctx, list, end, popped);
    ctx.Effect(
        {end == ListEnd::kFront ? "LPOP" : "RPOP", key, ToString(static_cast<int64_t>(popped))});
    return true;
  }
  return false;
}

}  // namespace cairn
