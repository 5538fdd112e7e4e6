#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Holds the option table to what it says: an option that is not marked as having no effect is
read somewhere, and one that is marked is read nowhere.

usage: utils/check_options.py

Looks through src/ outside src/config for uses of Config's fields, by name: `.field()` or
`->field()`, or `&Config::field`, or OnChange({"name"}). Prints "N passed, N failed".
"""
import pathlib
import re
import sys

SRC = pathlib.Path(__file__).resolve().parent.parent / "src"
# A row of options.cc: its flags and names. Fields are called like the directive.
ROW = re.compile(r'^    (?:Bool|Integer|Memory|Enum|Text|Other)(?:<&C::(\w+)>)?\((.*)\),$',
                 re.MULTILINE)


def main():
    rows = ROW.findall((SRC / "config/options.cc").read_text())
    text = "\n".join(path.read_text() for path in sorted(SRC.glob("*/*"))
                     if path.suffix in (".h", ".cc") and path.parent.name != "config")
    passed = failed = 0
    for field, arguments in rows:
        if not field:
            continue  # nothing to read: the row has no field
        name = re.search(r'"([^"]+)"', arguments).group(1)
        inert = re.search(r"\bkInert\b", arguments) is not None
        # kFixed options have one value, which needs no reader.
        fixed = "K::kFixed" in arguments
        used = re.search(rf'(?:\.|->|Config::){field}\b|"{name}"', text) is not None
        if used == inert and not fixed:
            print(f"{name}: " + ("is read but marked as having no effect" if used else
                                 "is read nowhere; wire it or make it kInert"))
            failed += 1
        else:
            passed += 1
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
