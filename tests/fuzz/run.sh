#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Builds the fuzz targets with clang's libFuzzer under the address and undefined-behaviour
# sanitizers and runs each for some seconds (default 20) from its kept corpus.
#   tests/fuzz/run.sh [seconds]
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-20}
out=build/fuzz
mkdir -p "$out"

fuzz() {  # NAME SOURCE...
  local name=$1
  shift
  clang++ -std=c++20 -O1 -g -DCAIRN_NO_JEMALLOC -march=x86-64-v2 -Wall -Wextra -Werror -Isrc \
    -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
    -o "$out/$name" "tests/fuzz/${name}_fuzz.cc" "$@"
  mkdir -p "$out/$name.found"
  # New inputs go to the build folder; a crash is left there as crash-*.
  "$out/$name" -max_total_time="$seconds" -max_len=600 -print_final_stats=1 \
    -artifact_prefix="$out/$name." "$out/$name.found" "tests/fuzz/corpus/$name" \
    > "$out/$name.log" 2>&1 || { tail -40 "$out/$name.log"; exit 1; }
  grep -E 'number_of_executed_units' "$out/$name.log" | sed "s/^/$name: /"
}

fuzz request_parser src/resp/request_parser.cc src/base/quoted_words.cc \
  src/base/numbers.cc src/base/check.cc src/base/crash.cc src/base/random.cc \
  src/base/large_block.cc src/base/string_block.cc
