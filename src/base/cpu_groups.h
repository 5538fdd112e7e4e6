// SPDX-License-Identifier: BSD-3-Clause
//
// CpuGroups: which CPUs are near to each other. Those of a group share their last-level cache, so
// that a line goes from one to another in a third of the time, or less, that it takes to a CPU of
// another chiplet or socket. They are few, so that what a group has in common is not as busy as
// what all have.
//
// Thread rule: immutable.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace cairn {

class CpuGroups {
 public:
  static constexpr unsigned kMembersMax = 16;

  CpuGroups() = default;  // none
  // Of the CPUs that the calling thread may run on, by what Linux says. Where it says nothing about
  // caches all are taken as near.
  static CpuGroups Detect();
  // Of these CPUs, in ascending order; `folder` stands for /sys/devices/system/cpu.
  static CpuGroups Of(const std::vector<size_t>& cpus, const std::string& folder);
  // One, of all CPUs.
  static CpuGroups Single();

  unsigned count() const { return count_; }
  size_t cpus() const { return cpus_; }
  unsigned Of(size_t cpu) const { return cpu < of_cpu_.size() ? of_cpu_[cpu] : 0; }
  // The group of the CPU that the calling thread runs on, which may be another one the next moment.
  unsigned OfThisCpu() const;

 private:
  std::vector<unsigned> of_cpu_;
  unsigned count_ = 0;
  size_t cpus_ = 0;
};

}  // namespace cairn
