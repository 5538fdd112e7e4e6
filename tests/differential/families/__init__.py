# SPDX-License-Identifier: BSD-3-Clause
"""The families of the differential test, in the order in which they are listed."""

from differential.families import basic, collections, odd, programs, special, waiting

ALL = (basic.FAMILIES + collections.FAMILIES + special.FAMILIES + programs.FAMILIES +
       waiting.FAMILIES + odd.FAMILIES)
