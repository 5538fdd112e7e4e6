// SPDX-License-Identifier: BSD-3-Clause
#include "types/stream_group.h"

#include <algorithm>
#include <vector>

#include "base/check.h"

namespace cairn {

StreamConsumer* StreamGroup::FindConsumer(std::string_view name) const {
  const auto it = consumers_.find(name);
  return it == consumers_.end() ? nullptr : it->second.get();
}

std::pair<StreamConsumer*, bool> StreamGroup::GetConsumer(std::string_view name, int64_t now_ms) {
  StreamConsumer* consumer = FindConsumer(name);
  const bool created = consumer == nullptr || IsHidden(name, *consumer);
  if (consumer == nullptr) consumer = LoadConsumer(name, now_ms, -1);
  consumer->seen_ms = now_ms;
  return {consumer, created};
}

StreamConsumer* StreamGroup::FindShown(std::string_view name) const {
  StreamConsumer* consumer = FindConsumer(name);
  return consumer == nullptr || IsHidden(name, *consumer) ? nullptr : consumer;
}

size_t StreamGroup::CountShown() const {
  const StreamConsumer* nobody = FindConsumer(kNobody);
  return consumers_.size() - (nobody != nullptr && IsHidden(kNobody, *nobody) ? 1 : 0);
}

StreamConsumer* StreamGroup::Nobody() {
  StreamConsumer* nobody = FindConsumer(kNobody);
  return nobody != nullptr ? nobody : LoadConsumer(kNobody, 0, -1);
}

size_t StreamGroup::CountReleased() const {
  const StreamConsumer* nobody = FindConsumer(kNobody);
  if (nobody == nullptr) return 0;
  size_t released = 0;
  const auto& held = nobody->pending;
  for (auto pos = held.First(); pos != held.End(); pos = held.Next(pos))
    released += pending_.Find(held.At(pos).key)->delivered_ms == 0;
  return released;
}

int64_t StreamGroup::DeleteConsumer(std::string_view name) {
  const auto it = consumers_.find(name);
  if (it == consumers_.end()) return -1;
  const auto& own = it->second->pending;
  for (auto pos = own.First(); pos != own.End(); pos = own.Next(pos)) {
    const Pending::Pos item = pending_.Seek(own.At(pos).key);
    ForgetTime(own.At(pos).key, pending_.At(item).value);
    pending_.Erase(item);
  }
  const int64_t count = static_cast<int64_t>(own.size());
  consumers_.erase(it);
  return count;
}

const std::string& StreamGroup::NameOf(const StreamConsumer* consumer) const {
  auto it = consumers_.begin();
  while (it != consumers_.end() && it->second.get() != consumer) ++it;
  CHECK(it != consumers_.end());
  return it->first;
}

void StreamGroup::SetTime(StreamId id, StreamPending* item, int64_t delivered_ms) {
  ForgetTime(id, *item);
  item->delivered_ms = delivered_ms;
  if (by_time_ != nullptr) by_time_->Insert({delivered_ms, id});
}

StreamPending* StreamGroup::Assign(StreamId id, StreamConsumer* consumer, int64_t delivered_ms) {
  StreamPending* item = pending_.Insert(id).first;
  if (item->consumer != consumer) {
    if (item->consumer != nullptr) item->consumer->pending.Erase(id);
    consumer->pending.Insert(id);
    item->consumer = consumer;
  }
  SetTime(id, item, delivered_ms);
  return item;
}

StreamPending* StreamGroup::Redeliver(StreamId id, int64_t delivered_ms) {
  StreamPending* item = pending_.Find(id);
  CHECK(item != nullptr);
  SetTime(id, item, delivered_ms);
  return item;
}

const StreamGroup::ByTime& StreamGroup::DeliveredInOrder() {
  if (by_time_ != nullptr) return *by_time_;
  std::vector<Delivery> order;
  order.reserve(pending_.size());
  for (auto pos = pending_.First(); pos != pending_.End(); pos = pending_.Next(pos))
    order.push_back({pending_.At(pos).value.delivered_ms, pending_.At(pos).key});
  std::sort(order.begin(), order.end());
  by_time_ = std::make_unique<ByTime>();
  for (const Delivery& delivery : order) by_time_->Insert(delivery);
  return *by_time_;
}

StreamGroup::Pending::Pos StreamGroup::AcknowledgeAt(Pending::Pos pos) {
  const Pending::Item& item = pending_.At(pos);
  item.value.consumer->pending.Erase(item.key);
  ForgetTime(item.key, item.value);
  return pending_.Erase(pos);
}

bool StreamGroup::Acknowledge(StreamId id) {
  const Pending::Pos pos = pending_.Seek(id);
  if (pos == pending_.End()) return false;
  AcknowledgeAt(pos);
  return true;
}

bool StreamGroup::LoadPending(StreamId id, int64_t delivered_ms, uint64_t deliveries) {
  const auto [item, added] = pending_.Insert(id);
  *item = {nullptr, delivered_ms, deliveries};
  return added;
}

StreamConsumer* StreamGroup::LoadConsumer(std::string_view name, int64_t seen_ms,
                                          int64_t active_ms) {
  const auto [it, added] =
      consumers_.try_emplace(std::string(name), std::make_unique<StreamConsumer>());
  if (!added) return nullptr;
  it->second->seen_ms = seen_ms;
  it->second->active_ms = active_ms;
  return it->second.get();
}

bool StreamGroup::LoadOwner(StreamConsumer* consumer, StreamId id) {
  StreamPending* item = pending_.Find(id);
  if (item == nullptr || item->consumer != nullptr) return false;
  item->consumer = consumer;
  consumer->pending.Insert(id);
  return true;
}

bool StreamGroup::LoadReleased(StreamId id) {
  if (!LoadOwner(Nobody(), id)) return false;
  Redeliver(id, 0);
  return true;
}

bool StreamGroup::Complete() const {
  size_t owned = 0;
  for (const auto& [name, consumer] : consumers_) owned += consumer->pending.size();
  return owned == pending_.size();
}

std::unique_ptr<StreamGroup> StreamGroup::Clone() const {
  auto copy = std::make_unique<StreamGroup>();
  copy->last_id = last_id;
  copy->entries_read = entries_read;
  for (auto pos = pending_.First(); pos != pending_.End(); pos = pending_.Next(pos)) {
    const StreamPending& item = pending_.At(pos).value;
    copy->LoadPending(pending_.At(pos).key, item.delivered_ms, item.deliveries);
  }
  for (const auto& [name, consumer] : consumers_) {
    StreamConsumer* twin = copy->LoadConsumer(name, consumer->seen_ms, consumer->active_ms);
    const auto& own = consumer->pending;
    for (auto pos = own.First(); pos != own.End(); pos = own.Next(pos))
      copy->LoadOwner(twin, own.At(pos).key);
  }
  return copy;
}

size_t StreamGroup::MemoryUsage() const {
  size_t bytes = sizeof *this + pending_.MemoryUsage();
  if (by_time_ != nullptr) bytes += sizeof *by_time_ + by_time_->MemoryUsage();
  for (const auto& [name, consumer] : consumers_)
    bytes += sizeof *consumer + name.size() + consumer->pending.MemoryUsage();
  return bytes;
}

void StreamGroup::CheckInvariants() const {
  pending_.CheckInvariants();
  CHECK(Complete());
  if (by_time_ != nullptr) {
    by_time_->CheckInvariants();
    CHECK(by_time_->size() == pending_.size());
    for (auto pos = pending_.First(); pos != pending_.End(); pos = pending_.Next(pos))
      CHECK(by_time_->Contains({pending_.At(pos).value.delivered_ms, pending_.At(pos).key}));
  }
  for (const auto& [name, consumer] : consumers_) {
    const auto& own = consumer->pending;
    own.CheckInvariants();
    for (auto pos = own.First(); pos != own.End(); pos = own.Next(pos)) {
      const StreamPending* item = pending_.Find(own.At(pos).key);
      CHECK(item != nullptr && item->consumer == consumer.get());
    }
  }
}

}  // namespace cairn
