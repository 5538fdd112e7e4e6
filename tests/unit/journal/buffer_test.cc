// SPDX-License-Identifier: BSD-3-Clause
#include "journal/buffer.h"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/cpu_groups.h"
#include "base/random.h"
#include "tests/unit/support/temporary_folder.h"

namespace cairn {

// Takes room in its group, and may stop once it has joined.
class SlowJoiner {
 public:
  SlowJoiner(JournalBuffer* buffer, unsigned slot) : buffer_(*buffer), slot_(slot) {}
  void Join(uint32_t database, size_t bytes) {
    group_ = &buffer_.groups_[buffer_.cpu_groups_.OfThisCpu()];
    first_ = buffer_.Join(group_, slot_, database, bytes);
  }
  Reservation GoOn() {
    if (first_) buffer_.TakeForAll(group_);
    return buffer_.AwaitRoom(slot_);
  }

 private:
  JournalBuffer& buffer_;
  const unsigned slot_;
  JournalBuffer::Group* group_ = nullptr;
  bool first_ = false;
};

namespace {

// One CPU each, as if they shared no cache.
CpuGroups OneGroupEach(const TemporaryFolder& folder) {
  std::vector<size_t> cpus;
  for (size_t cpu = 0; cpu < 64; ++cpu) {
    const std::string cache = folder.Path("cpu" + std::to_string(cpu) + "/cache/index0");
    std::filesystem::create_directories(cache);
    std::ofstream(cache + "/level") << 1;
    std::ofstream(cache + "/shared_cpu_list") << cpu;
    cpus.push_back(cpu);
  }
  return CpuGroups::Of(cpus, folder.path);
}

// Takes the stream apart as it becomes complete, as the journal's writer does, and checks it: whole
// records, each in its database, each thread's in order.
class Drain {
 public:
  Drain(JournalBuffer* buffer, std::vector<std::vector<std::string>> expected)
      : buffer_(*buffer), expected_(std::move(expected)), next_(expected_.size()) {}

  void Until(const std::atomic<bool>& stop) {
    for (bool last = false; !last;) {
      last = stop.load();
      const StreamPoint complete = buffer_.Complete();
      REQUIRE(complete.lsn >= noted_);
      if (complete.lsn <= at_) std::this_thread::yield();
      while (at_ < complete.lsn) {
        // Not at record ends, of which the buffer knows but few.
        const Lsn to = std::min<Lsn>(complete.lsn, at_ + 200'000);
        std::string scratch;
        text_ += buffer_.View(at_, to, &scratch);
        at_ = to;
      }
      Parse();
      // As the writer, which notes what it took when it is on disk.
      if (random_.Below(4) == 0) {
        buffer_.NoteWritten(complete);
        noted_ = complete.lsn;
      }
      buffer_.Release(at_);
    }
    REQUIRE(text_.empty());
    for (size_t i = 0; i < next_.size(); ++i) REQUIRE(next_[i] == expected_[i].size());
  }

 private:
  void Parse() {
    size_t at = 0;
    while (at < text_.size()) {
      if (text_[at] == '*') {
        unsigned length = 0;
        int head = 0;
        REQUIRE(sscanf(text_.c_str() + at, "*2\r\n$6\r\nSELECT\r\n$%u\r\n%u\r\n%n", &length,
                       &database_, &head) == 2);
        at += static_cast<size_t>(head);
        continue;
      }
      unsigned thread = 0, database = 0;
      REQUIRE(sscanf(text_.c_str() + at, "<%u,%u,", &thread, &database) == 2);
      REQUIRE(database == database_);
      const std::string& record = expected_[thread].at(next_[thread]++);
      REQUIRE(text_.compare(at, record.size(), record) == 0);
      at += record.size();
    }
    text_.clear();
  }

  JournalBuffer& buffer_;
  const std::vector<std::vector<std::string>> expected_;
  std::vector<size_t> next_;
  Random random_{7};
  Lsn at_ = 0, noted_ = 0;
  std::string text_;
  uint32_t database_ = kNoDatabase;
};

// Others run while a thread has joined and not gone on, now and then for as long as they like.
void Linger(Random* random) {
  if (random->Below(16) == 0) std::this_thread::yield();
  if (random->Below(400) == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void AppendAndDrain(CpuGroups groups, bool slowly = false) {
  constexpr unsigned kThreads = 6;
  constexpr unsigned kRecords = 3000;
  std::vector<std::vector<std::string>> records(kThreads);
  for (unsigned t = 0; t < kThreads; ++t) {
    Random random(t);
    // Few changes of the database but for one thread; one of them is beyond those remembered.
    uint32_t database = 0;
    for (unsigned i = 0; i < kRecords; ++i) {
      if (random.Below(t == 0 ? 2 : 100) == 0)
        database = random.Below(4) == 0 ? 5000 : static_cast<uint32_t>(random.Below(3));
      const size_t bytes = random.Below(1000) == 0 ? 100'000 : random.Below(60);
      records[t].push_back("<" + std::to_string(t) + "," + std::to_string(database) + "," +
                           std::to_string(i) + std::string(bytes, '.') + ">");
    }
  }
  JournalBuffer buffer(std::move(groups));
  buffer.Reset({});
  std::atomic<bool> stop{false};
  Drain drain(&buffer, records);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      Random random(100 + t);
      SlowJoiner joiner(&buffer, t);
      const auto reserve = [&](uint32_t database, size_t bytes) {
        if (!slowly) return buffer.Reserve(t, database, bytes);
        joiner.Join(database, bytes);
        Linger(&random);
        return joiner.GoOn();
      };
      const auto database_of = [](const std::string& record) {
        return static_cast<uint32_t>(std::stoul(record.substr(record.find(',') + 1)));
      };
      for (size_t i = 0; i < records[t].size();) {
        // Up to three reserved before the first is published, as a unit of several does.
        const size_t count = std::min<size_t>(1 + random.Below(3), records[t].size() - i);
        std::vector<Reservation> reservations;
        for (size_t k = 0; k < count; ++k)
          reservations.push_back(reserve(database_of(records[t][i + k]), records[t][i + k].size()));
        for (size_t k = 0; k < count; ++k)
          buffer.Publish(reservations[k], std::string_view(records[t][i + k]));
        i += count;
      }
    });
  std::thread ender([&] {
    for (auto& thread : threads) thread.join();
    stop.store(true);
  });
  drain.Until(stop);
  ender.join();
  REQUIRE(buffer.Complete().lsn == buffer.tail().lsn);
}

TEST_CASE("journal buffer: threads append while it is taken apart, each for itself") {
  AppendAndDrain({});
}

TEST_CASE("journal buffer: threads append while it is taken apart, together") {
  TemporaryFolder folder;
  for (int round = 0; round < 3; ++round) {
    AppendAndDrain(CpuGroups::Single());
    AppendAndDrain(OneGroupEach(folder));
  }
}

TEST_CASE("journal buffer: threads append while it is taken apart, slow between joining and room") {
  TemporaryFolder folder;
  AppendAndDrain(CpuGroups::Single(), true);
  AppendAndDrain(OneGroupEach(folder), true);
}

TEST_CASE("journal buffer: who has joined and has no room yet takes nothing back") {
  JournalBuffer buffer(CpuGroups::Single());
  buffer.Reset({});
  const auto append = [&] {
    const Reservation r = buffer.ReserveRaw(0, 3, 0);  // which joins nobody
    buffer.Publish(r, std::string_view("abc"));
    return r.end;
  };
  for (unsigned i = 0; i < 10; ++i) append();
  const StreamPoint taken = buffer.Complete();
  REQUIRE(taken.lsn == 30);
  // Its group has seen nothing of these, nor was the writer done with them.
  SlowJoiner first(&buffer, 1), second(&buffer, 2);
  first.Join(0, 3);
  REQUIRE(buffer.Complete().lsn == 0);
  buffer.NoteWritten(taken);
  REQUIRE(buffer.Complete().lsn == 30);
  second.Join(0, 3);
  const Lsn end = append();
  REQUIRE(buffer.Complete().lsn == 30);  // they may have room anywhere above
  const Reservation r2 = [&] {
    const Reservation r1 = first.GoOn();
    REQUIRE(buffer.Complete().lsn == end);
    buffer.Publish(r1, std::string_view("def"));
    return second.GoOn();
  }();
  REQUIRE(r2.start == end);  // the list's last comes first
  REQUIRE(buffer.Complete().lsn == end);
  buffer.Publish(r2, std::string_view("ghi"));
  REQUIRE(buffer.Complete().lsn == end + 6);
  REQUIRE(buffer.tail().lsn == end + 6);
}

TEST_CASE("journal buffer: a thread that joins late is not below what was written") {
  JournalBuffer buffer(CpuGroups::Single());
  buffer.Reset({});
  const auto append = [&](unsigned slot) {
    const Reservation r = buffer.Reserve(slot, 0, 3);
    buffer.Publish(r, std::string_view("abc"));
    return r.end;
  };
  Lsn end = 0;
  for (unsigned i = 0; i < 10; ++i) end = append(0);
  REQUIRE(buffer.Complete().lsn == end);
  buffer.NoteWritten(buffer.Complete());
  const Reservation first = buffer.Reserve(1, 0, 3);
  REQUIRE(first.start == end);
  REQUIRE(buffer.Complete().lsn == end);  // what it was given, not the tail
  const Reservation second = buffer.Reserve(1, 0, 3);
  buffer.Publish(second, std::string_view("ghi"));
  append(2);
  REQUIRE(buffer.Complete().lsn == end);  // the older of the two is still open
  buffer.Publish(first, std::string_view("def"));
  REQUIRE(buffer.Complete().lsn == buffer.tail().lsn);
  REQUIRE(buffer.tail().lsn == end + 9);
}

}  // namespace
}  // namespace cairn
