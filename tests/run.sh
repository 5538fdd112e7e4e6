#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Runs every suite; `make test` calls it.   tests/run.sh [--long] [WORD]
#
# WORD picks the suites whose names contain it. Two lanes share the cores: the foreground tests the
# release server, meanwhile builds the one with the thread sanitizer and tests that, while the
# background runs the unit tests, the file fuzzer and the server with the address sanitizer. The
# crash suites, which mostly wait for disks, run beside the foreground's others. Each suite prints
# `name: N passed, N failed`, after its output if it failed. At the end come the lines that tell
# what failed once more, for whoever sees the end only; the last line is `N passed, N failed`. The
# exit status is 0 only if all passed and something ran. Logs stay in build/test-results/.
set -uo pipefail
cd "$(dirname "$0")/.."

long=
word=
for argument in "$@"; do
  case "$argument" in
    --long) long=yes ;;
    -*) echo "usage: tests/run.sh [--long] [WORD]" >&2; exit 2 ;;
    *) word=$argument ;;
  esac
done
[[ $long ]] && export CAIRN_THOROUGH=yes
JOBS=${JOBS:-$(nproc)}
results=build/test-results
mkdir -p "$results"
rm -f "$results"/*
export PYTHONPATH=$PWD/tests PYTHONDONTWRITEBYTECODE=1
release=$PWD/build/cairn-server
thread=$PWD/build/thread/cairn-server
address_out=build/address-undefined
address=$PWD/$address_out/cairn-server
started=$SECONDS

wanted() {  # NAME: picked by WORD?
  [[ -z $word || $1 == *"$word"* ]]
}

any_wanted() {
  local name
  for name in "$@"; do wanted "$name" && return 0; done
  return 1
}

# suite NAME COMMAND...: runs it if picked and notes how many passed and failed, as its last line of
# the form "N passed, N failed" says. A suite that fails without such a line counts as one failure.
suite() {
  local name=$1 log=$results/$1.log begin=$SECONDS status counts passed failed
  shift
  wanted "$name" || return 0
  "$@" > "$log" 2>&1
  status=$?
  counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -1)
  if [[ $counts =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
    passed=${BASH_REMATCH[1]} failed=${BASH_REMATCH[2]}
  else
    passed=0 failed=0
    [[ $status == 0 ]] && passed=1
  fi
  [[ $status != 0 && $failed == 0 ]] && failed=1
  echo "$passed $failed" > "$results/$name.counts"
  [[ $failed != 0 ]] && brief "$log" > "$results/$name.brief"
  {
    flock 9
    [[ $failed != 0 ]] && tail -n 400 "$log"
    grep '^seeds ' "$log"
    # One line a reason; the log has the names.
    sed -n 's/^skipped [^:]*: //p' "$log" | sort | uniq -c | sed 's/^ */skipped /'
    echo "$name: $passed passed, $failed failed ($((SECONDS - begin)) s)"
  } 9> "$results/print.lock"
}

# brief LOG: what failed, in few lines: "FAILED ..." or "MISMATCH ..." and what follows, or the end
# of a log without them.
brief() {
  if grep -q -E 'FAILED|MISMATCH' "$1"; then
    grep -E -A 10 'FAILED|MISMATCH' "$1" | cut -c 1-200 | head -n 30
  else
    tail -n 8 "$1" | cut -c 1-200
  fi
}

# A build is a suite of one: what cannot be built has failed, and what needs it is not run.
build() {  # NAME MAKE-ARGUMENTS...
  local name=$1
  shift
  if ! make --no-print-directory -j"$JOBS" "$@" > "$results/$name.log" 2>&1; then
    echo "0 1" > "$results/$name.counts"
    {
      echo "$name: does not build"
      grep -E -A6 'error|undefined reference|\*\*\*' "$results/$name.log" | head -60
    } | tee "$results/$name.brief"
    return 1
  fi
}

# Catch2 says "All tests passed (N assertions in M test cases)" or "test cases: M | N passed | ...".
unit_tests() {  # BINARY ROUNDS-OF-THE-MODEL
  local output=$results/${1//\//-}.catch
  CAIRN_MODEL_ROUNDS=$2 "$1" --durations yes > "$output" 2>&1
  local status=$?
  cat "$output"
  if [[ $(tail -5 "$output") =~ in\ ([0-9]+)\ test\ case ]]; then
    echo "${BASH_REMATCH[1]} passed, 0 failed"
  else
    local line
    line=$(grep '^test cases:' "$output")
    [[ $line =~ ([0-9]+)\ passed ]] && local passed=${BASH_REMATCH[1]}
    [[ $line =~ ([0-9]+)\ failed ]] && local failed=${BASH_REMATCH[1]}
    echo "${passed:-0} passed, ${failed:-1} failed"
  fi
  return $status
}

python_suite() {  # SERVER ARGUMENTS...: a Python module with this server
  CAIRN_SERVER=$1 python3 -m "${@:2}"
}

# The same seeds every time, and one that nobody ran before; which one is printed.
seeds=1,2,3,11,new

crash_suites() {
  local rounds=50
  [[ $long ]] && rounds=200
  suite crash python_suite "$release" crash.run --rounds $rounds
  suite crash-maintain python_suite "$release" crash.run --rounds $((rounds / 2)) --maintain
  suite crash-faults python_suite "$release" crash.run --rounds $((rounds / 4)) --maintain --faults
  suite crash-power python_suite "$release" crash.power --rounds $((rounds / 4))
}

release_suites() {
  local commands=60000 seconds=8
  [[ $long ]] && commands=400000 seconds=60
  suite blackbox python_suite "$release" harness.runner tests/blackbox --jobs "$JOBS"
  suite differential python_suite "$release" differential.run --commands $commands --seed $seeds
  suite keyspace-events python_suite "$release" differential.events --commands 60000 --seed 23
  suite scripts python_suite "$release" differential.scripts --scripts $((commands / 12)) --seed 1,101
  suite concurrency python_suite "$release" concurrency.run --seconds $seconds
  suite blocked-clients python_suite "$release" concurrency.blocking --seconds $seconds
  suite together python_suite "$release" concurrency.together --seconds $seconds
  suite facts python_suite "$release" harness.with_servers tests/facts.py
  suite config-names python_suite "$release" harness.with_servers tests/config_names.py
  suite instructions python_suite "$release" instructions.run
  suite bench python_suite "$release" harness.runner tests/bench --jobs 1
  suite package tests/package/package_test.sh build/cairn-server
  [[ $long ]] && suite replication python_suite "$release" harness.runner tests/replication
  suite clients python_suite "$release" harness.runner tests/clients
}

thread_names=(thread-model thread-blackbox thread-concurrency thread-blocked-clients thread-together)
thread_suites() {
  suite thread-model unit_tests build/thread/model-test $([[ $long ]] && echo 600 || echo 10)
  suite thread-blackbox python_suite "$thread" harness.runner tests/blackbox --jobs "$JOBS"
  suite thread-concurrency python_suite "$thread" concurrency.run --seconds 8
  suite thread-blocked-clients python_suite "$thread" concurrency.blocking --seconds 8
  suite thread-together python_suite "$thread" concurrency.together --seconds 8
}

# The same seed of mutated files every time; --long takes more files, of a seed that nobody had.
address_suites() {
  local payloads=100000 files=100000 file_seed=1 seconds=240 rounds=60
  [[ $long ]] && payloads=1000000 files=2000000 file_seed=$RANDOM seconds=2400 rounds=600
  suite address-unit unit_tests "$address_out/unit-tests" $rounds
  suite address-files "$address_out/file-fuzz" --count $files --seed $file_seed --jobs "$JOBS"
  suite address-stock-tools tests/journal/stock_tools_test.sh \
    "$address_out/unit-tests" "$address_out/cairn-check"
  suite address-blackbox python_suite "$address" harness.runner tests/blackbox --jobs 1
  suite address-concurrency python_suite "$address" concurrency.run --seconds 5
  suite address-blocked-clients python_suite "$address" concurrency.blocking --seconds 5
  suite address-differential python_suite "$address" differential.run --commands 20000 --seed 1,11,new
  suite address-scripts python_suite "$address" differential.scripts --scripts 2000 --seed 2
  suite address-restore python_suite "$address" fuzz.restore_fuzz --count "$payloads" \
    --jobs "$JOBS" --seconds $seconds
}

foreground_lane() {
  local thread_build=
  thread_build() {
    build thread-build SANITIZE=thread server build/thread/model-test
  }
  if any_wanted blackbox differential keyspace-events scripts crash crash-maintain crash-faults crash-power \
      concurrency \
      blocked-clients together facts config-names instructions bench package replication clients; then
    if build release-build server build/{cairn-load,echo-floor}; then
      # Beside the suites, which wait for disks and clocks more than they compute.
      if any_wanted "${thread_names[@]}"; then
        thread_build &
        thread_build=$!
      fi
      crash_suites &
      local crashes=$!
      release_suites
      wait "$crashes" || { echo "0 1" > "$results/crash-lane.counts"; echo "the crash suites died"; }
    fi
  fi
  if any_wanted "${thread_names[@]}"; then
    if [[ $thread_build ]]; then wait "$thread_build"; else thread_build; fi && thread_suites
  fi
}

background_lane() {
  suite layers python3 utils/check_layers.py --headers
  suite options python3 utils/check_options.py
  suite readmes python3 utils/check_readmes.py
  suite groups python3 -m doctest utils/group_sources.py
  if any_wanted address-unit address-files address-stock-tools address-blackbox \
      address-concurrency address-blocked-clients address-differential address-scripts \
      address-restore; then
    build address-build SANITIZE=address,undefined server \
      "$address_out"/{unit-tests,file-fuzz} && address_suites
  fi
  suite fuzz tests/fuzz/run.sh "$([[ $long ]] && echo 300 || echo 20)"
}

total() {
  cat "$results"/*.counts 2>/dev/null | awk '{p += $1; f += $2} END {print p + 0, f + 0}'
}

background_lane &
background=$!
foreground_lane
# A lane ends well whatever its suites found, unless something killed it.
wait "$background" || { echo "0 1" > "$results/background-lane.counts"; echo "the background lane died"; }
wait

read -r passed failed <<< "$(total)"
for file in "$results"/*.brief; do
  [[ -s $file ]] && sed "s|^|$(basename "$file" .brief): |" "$file"
done
echo "$((SECONDS - started)) seconds"
echo "$passed passed, $failed failed"
[[ $failed == 0 && $passed != 0 ]]
