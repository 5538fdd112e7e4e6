// SPDX-License-Identifier: BSD-3-Clause
//
// The unit-test program. Each test prints the seed of its random numbers when it fails.
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

int main(int argc, char** argv) { return Catch::Session().run(argc, argv); }
