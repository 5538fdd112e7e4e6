#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: run.sh [arguments of bench.py]   without any, the hit ratio is measured as well
here=$(dirname "$0")
python3 "$here/bench.py" "$@" || exit
[ $# -gt 0 ] || exec python3 "$here/hit_ratio.py" --maxmemory 12mb
