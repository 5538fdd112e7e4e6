#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Holds what the README files say against the tree.

usage: utils/check_readmes.py

Every file that one names (`gate.h`, keyspace/gate_hold_test, utils/bench/bench.py) must exist: from
the folder of the README or one above it, from src/ or tests/, or, if it is a bare name, anywhere
below the README's folder, a test's below tests/. A test's name may stand without .cc or .py; the
words in quotes behind it ("no write skew") must stand in that file, where a blank may be an
underscore. Not looked at: what lies in build/, and names with CAPITALS, which stand for others.
Prints what is not there and "N passed, N failed", counting READMEs.
"""
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROOTS = ("src", "tests", "tests/unit")
NAME = re.compile(r"(?<![\w.$/-])((?:[\w-]+/)*[\w-]+(?:\.(?:h|cc|py|sh|md|txt|js)|_test))\b(?![.*/]\w)")
QUOTED = re.compile(r'\s*,?\s*"([^"]+)"')


def tree():
    """The files of the tree, without what a build or git put there."""
    files = set()
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in ("build", ".git", "node_modules")]
        files.update(os.path.relpath(os.path.join(folder, name), ROOT) for name in names)
    return files


def endings(name):
    return (name + ".cc", name + ".py", name + ".sh") if name.endswith("_test") else (name,)


def find(name, folder, files):
    """The file that a README in `folder` means, or None."""
    parents = [folder, *folder.parents]
    for place in [str(parent) for parent in parents] + list(ROOTS):
        for ending in endings(name):
            path = str(pathlib.PurePath(place, ending))
            if path in files:
                return path
    if "/" not in name:
        below = "tests" if name.split(".")[0].endswith("_test") else str(folder)
        prefix = "" if below == "." else f"{below}/"
        for path in sorted(files):
            if path.startswith(prefix) and path.rsplit("/", 1)[-1] in endings(name):
                return path
    return None


def says(path, words):
    """Whether the file has the words, each blank one or an underscore."""
    text = (ROOT / path).read_text(errors="replace")
    return re.search("[ _]".join(map(re.escape, re.split("[ _]", words))), text) is not None


def violations(readme, files):
    text = (ROOT / readme).read_text()
    folder = pathlib.PurePath(readme).parent
    for found in NAME.finditer(text):
        name = found.group(1)
        if name.startswith("build/") or re.search("[A-Z]{2}", name.replace("README", "")):
            continue
        path = find(name, folder, files)
        line = text.count("\n", 0, found.start()) + 1
        if path is None:
            yield f"{readme}:{line}: there is no {name}"
            continue
        at = found.end()
        while name.endswith("_test") and (quoted := QUOTED.match(text, at)):
            at = quoted.end()
            if not says(path, quoted.group(1)):
                yield f'{readme}:{line}: {path} does not say "{quoted.group(1)}"'


def main():
    files = tree()
    readmes = sorted(name for name in files if name.rsplit("/", 1)[-1] == "README.md")
    problems = {readme: list(violations(readme, files)) for readme in readmes}
    for texts in problems.values():
        for text in texts:
            print(text)
    failed = sum(1 for texts in problems.values() if texts)
    print(f"{len(problems) - failed} passed, {failed} failed")
    sys.exit(failed != 0 or not problems)


if __name__ == "__main__":
    main()
