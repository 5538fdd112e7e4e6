// SPDX-License-Identifier: BSD-3-Clause
#include "exec/hot_keys.h"

#include <sys/resource.h>

#include <utility>

#include "base/hash.h"

namespace cairn {
namespace {

// Of each thread's heaviest GET sees so many: a key that is hot in the sum of all threads is among
// the first ones of some thread by far.
constexpr size_t kOfEachThread = 4 * HotKeys::kCountMax;

uint64_t Milliseconds(const timeval& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1000 + static_cast<uint64_t>(time.tv_usec) / 1000;
}

}  // namespace

HotKeys::Processor HotKeys::ReadProcessor() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return {Milliseconds(usage.ru_utime), Milliseconds(usage.ru_stime)};
}

bool HotKeys::Start(const HotKeyOptions& options, int64_t now_ms) {
  std::lock_guard guard(mutex_);
  if (active_) return false;
  known_ = active_ = true;
  options_ = options;
  start_ms_ = now_ms;
  end_ms_ = options.duration_ms == 0 ? 0 : now_ms + options.duration_ms;
  before_ = ReadProcessor();
  if (cells_.empty()) cells_ = std::vector<Cell>(static_cast<size_t>(threads_max_));
  for (Cell& cell : cells_) {
    std::lock_guard cell_guard(cell.mutex);
    cell.on = true;
    cell.options = options;
    cell.end_ms = end_ms_;
    cell.ticks = cell.bytes = cell.sampled_bytes = 0;
    cell.by_ticks.reset();
    cell.by_bytes.reset();
    cell.by_size.reset();
  }
  on_.store(true, std::memory_order_release);
  return true;
}

void HotKeys::StopAt(int64_t end_ms) {
  on_.store(false, std::memory_order_relaxed);
  active_ = false;
  end_ms_ = end_ms;
  const Processor now = ReadProcessor();
  spent_ = {now.user_ms - before_.user_ms, now.system_ms - before_.system_ms};
  for (Cell& cell : cells_) {
    std::lock_guard cell_guard(cell.mutex);
    cell.on = false;
  }
}

bool HotKeys::Stop(int64_t now_ms) {
  std::lock_guard guard(mutex_);
  if (!active_) return false;
  StopAt(now_ms);
  return true;
}

void HotKeys::Expire(int64_t now_ms) {
  std::lock_guard guard(mutex_);
  if (active_ && end_ms_ != 0 && now_ms >= end_ms_) StopAt(end_ms_);
}

bool HotKeys::Reset() {
  std::lock_guard guard(mutex_);
  if (active_) return false;
  known_ = false;
  for (Cell& cell : cells_) {
    std::lock_guard cell_guard(cell.mutex);
    cell.by_ticks.reset();
    cell.by_bytes.reset();
    cell.by_size.reset();
  }
  return true;
}

HotKeys::Noted HotKeys::Note(int slot, int64_t now_ms, const CallCost& cost,
                             std::span<const std::string_view> keys, Random& random) {
  Noted noted;
  if (keys.empty()) return noted;
  Cell& cell = cells_[static_cast<size_t>(slot)];
  std::lock_guard guard(cell.mutex);
  if (!cell.on) return noted;
  noted.over = cell.end_ms != 0 && now_ms >= cell.end_ms;
  if (noted.over) return noted;
  const uint64_t bytes = cost.request_bytes + cost.reply_bytes;
  cell.ticks += cost.ticks;
  cell.bytes += bytes;
  if (cell.options.sample > 1 && random.Below(static_cast<uint64_t>(cell.options.sample)) != 0)
    return noted;
  cell.sampled_bytes += bytes;
  noted.sizes = cell.options.size;
  if (cell.options.cpu && cell.by_ticks == nullptr)
    cell.by_ticks = std::make_unique<HeavyHitters>();
  if (cell.options.net && cell.by_bytes == nullptr)
    cell.by_bytes = std::make_unique<HeavyHitters>();
  for (const std::string_view key : keys) {
    const uint64_t hash = HashBytes(key);
    if (cell.by_ticks != nullptr) cell.by_ticks->Add(hash, key, cost.ticks / keys.size());
    if (cell.by_bytes != nullptr) cell.by_bytes->Add(hash, key, bytes / keys.size());
  }
  return noted;
}

void HotKeys::NoteSize(int slot, std::string_view key, uint64_t bytes, uint64_t when) {
  Cell& cell = cells_[static_cast<size_t>(slot)];
  std::lock_guard guard(cell.mutex);
  if (!cell.on) return;
  if (cell.by_size == nullptr) cell.by_size = std::make_unique<LargestNames>();
  cell.by_size->Set(HashBytes(key), key, bytes, when);
}

std::optional<HotKeyReport> HotKeys::Report(int64_t now_ms) {
  std::lock_guard guard(mutex_);
  if (!known_) return std::nullopt;
  HotKeyReport report;
  report.options = options_;
  report.active = active_;
  report.start_ms = start_ms_;
  report.duration_ms = (active_ ? now_ms : end_ms_) - start_ms_;
  const Processor now = active_ ? ReadProcessor() : Processor{};
  report.user_ms = active_ ? now.user_ms - before_.user_ms : spent_.user_ms;
  report.system_ms = active_ ? now.system_ms - before_.system_ms : spent_.system_ms;
  for (Cell& cell : cells_) {
    std::lock_guard cell_guard(cell.mutex);
    report.ticks += cell.ticks;
    report.bytes += cell.bytes;
    report.sampled_bytes += cell.sampled_bytes;
    const auto append = [](const auto& items, auto* all) {
      all->insert(all->end(), items.begin(), items.end());
    };
    if (cell.by_ticks != nullptr) append(cell.by_ticks->Top(kOfEachThread), &report.by_ticks);
    if (cell.by_bytes != nullptr) append(cell.by_bytes->Top(kOfEachThread), &report.by_bytes);
    if (cell.by_size != nullptr) append(cell.by_size->items(), &report.by_size);
  }
  const auto count = static_cast<size_t>(options_.count);
  report.by_ticks = HeavyHitters::Merge(std::move(report.by_ticks), count);
  report.by_bytes = HeavyHitters::Merge(std::move(report.by_bytes), count);
  report.by_size = LargestNames::Merge(std::move(report.by_size), count);
  return report;
}

}  // namespace cairn
