// SPDX-License-Identifier: BSD-3-Clause
#include "base/memory.h"

#include <string>

#ifndef CAIRN_NO_JEMALLOC
#include <jemalloc/jemalloc.h>

namespace {

template <typename T>
T Read(const std::string& name) {
  T value{};
  size_t length = sizeof value;
  REQUIRE(mallctl(name.c_str(), &value, &length, nullptr, 0) == 0);
  return value;
}

}  // namespace

TEST_CASE("the allocator has taken the sizes of slabs that the program asks for") {
  size_t found = 0;
  for (unsigned bin = 0; bin < Read<unsigned>("arenas.nbins"); ++bin) {
    const std::string name = "arenas.bin." + std::to_string(bin);
    const auto block = Read<size_t>(name + ".size");
    if (block != 32 && block != 64 && block != 128) continue;
    REQUIRE(Read<size_t>(name + ".slab_size") == 4 * Read<size_t>("arenas.page"));
    ++found;
  }
  REQUIRE(found == 3);
}
#endif
