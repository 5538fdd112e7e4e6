// SPDX-License-Identifier: BSD-3-Clause
#include "base/cpu_groups.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <map>

namespace cairn {
namespace {

// The first number in the file (the first CPU of a list such as "0-7,64-71"), or -1.
long FirstNumber(const std::string& path) {
  std::ifstream file(path);
  long number = -1;
  return file >> number ? number : -1;
}

// The first CPU of those that share this one's last-level cache; 0 if that is not known.
long CacheOf(size_t cpu, const std::string& folder) {
  long first = 0, level_found = 0;
  for (int index = 0;; ++index) {
    const std::string cache =
        folder + "/cpu" + std::to_string(cpu) + "/cache/index" + std::to_string(index);
    const long level = FirstNumber(cache + "/level");
    if (level < 0) return first;
    if (level < level_found) continue;
    level_found = level;
    first = std::max(FirstNumber(cache + "/shared_cpu_list"), 0L);
  }
}

}  // namespace

CpuGroups CpuGroups::Detect() {
  cpu_set_t allowed;  // of 1,024 CPUs: where there are more the call fails, and there are no groups
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return CpuGroups();
  std::vector<size_t> cpus;
  for (size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);
  return Of(cpus, "/sys/devices/system/cpu");
}

CpuGroups CpuGroups::Of(const std::vector<size_t>& cpus, const std::string& folder) {
  struct Filling {
    unsigned group, members;
  };
  std::map<long, Filling> by_cache;
  CpuGroups groups;
  for (size_t cpu : cpus) {
    auto [at, fresh] = by_cache.try_emplace(CacheOf(cpu, folder));
    Filling& filling = at->second;
    if (fresh || filling.members == kMembersMax) filling = {groups.count_++, 0};
    ++filling.members;
    groups.of_cpu_.resize(cpu + 1);
    groups.of_cpu_[cpu] = filling.group;
    ++groups.cpus_;
  }
  return groups;
}

CpuGroups CpuGroups::Single() {
  CpuGroups groups;
  groups.count_ = 1;
  return groups;
}

unsigned CpuGroups::OfThisCpu() const {
  const int cpu = sched_getcpu();
  return cpu < 0 ? 0 : Of(static_cast<size_t>(cpu));
}

}  // namespace cairn
