// SPDX-License-Identifier: BSD-3-Clause
#include "base/cpu_groups.h"

#include <filesystem>
#include <fstream>

#include "tests/unit/support/temporary_folder.h"

namespace cairn {
namespace {

// What Linux says of a CPU whose own cache has level 1 and whose last one is shared with `shared`.
void Describe(const std::string& folder, size_t cpu, const std::string& shared) {
  const std::string caches = folder + "/cpu" + std::to_string(cpu) + "/cache";
  const std::string own = std::to_string(cpu) + "\n";
  const char* const levels[] = {"1\n", "1\n", "2\n", "3\n"};
  for (int index = 0; index < 4; ++index) {
    const std::string cache = caches + "/index" + std::to_string(index);
    std::filesystem::create_directories(cache);
    std::ofstream(cache + "/level") << levels[index];
    std::ofstream(cache + "/shared_cpu_list") << (index == 3 ? shared + "\n" : own);
  }
}

TEST_CASE("cpu groups: those who share a last-level cache, sixteen at most") {
  TemporaryFolder folder;
  // Two chiplets of ten cores, whose second threads are numbered last.
  std::vector<size_t> cpus;
  for (size_t cpu = 0; cpu < 40; ++cpu) {
    Describe(folder.path, cpu, cpu % 20 < 10 ? "0-9,20-29" : "10-19,30-39");
    cpus.push_back(cpu);
  }
  const CpuGroups all = CpuGroups::Of(cpus, folder.path);
  REQUIRE(all.count() == 4);
  REQUIRE(all.cpus() == 40);
  std::vector<unsigned> some;
  for (size_t cpu : {0, 9, 10, 19, 20, 25, 26, 29, 30, 35, 36, 39}) some.push_back(all.Of(cpu));
  REQUIRE(some == std::vector<unsigned>{0, 0, 1, 1, 0, 0, 2, 2, 1, 1, 3, 3});
  // Only those that may be used count.
  const CpuGroups few = CpuGroups::Of({3, 12, 35}, folder.path);
  REQUIRE(few.count() == 2);
  REQUIRE(few.cpus() == 3);
  REQUIRE(few.Of(3) == 0);
  REQUIRE(few.Of(12) == 1);
  REQUIRE(few.Of(35) == 1);
  REQUIRE(few.Of(1000) == 0);  // one that came later
}

TEST_CASE("cpu groups: without a word about caches all are near") {
  TemporaryFolder folder;
  std::vector<size_t> cpus;
  while (cpus.size() < CpuGroups::kMembersMax) cpus.push_back(cpus.size());
  REQUIRE(CpuGroups::Of(cpus, folder.path).count() == 1);
  cpus.push_back(cpus.size());
  REQUIRE(CpuGroups::Of(cpus, folder.path).count() == 2);
  REQUIRE(CpuGroups().count() == 0);
  REQUIRE(CpuGroups::Single().OfThisCpu() == 0);
  const CpuGroups here = CpuGroups::Detect();
  REQUIRE(here.count() > 0);
  REQUIRE(here.OfThisCpu() < here.count());
}

}  // namespace
}  // namespace cairn
