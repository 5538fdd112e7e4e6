#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Groups source files that are compiled as one: headers and templates are then worked on once a
group, which saves a sanitizer build more than half of its time. The Makefile asks it.

usage: utils/group_sources.py OUT LINES SOURCE...

Files follow each other in a group until it has LINES lines, except where both give a name to
something of their own (in a nameless namespace, or static), which one file may do once: those go to
different groups. A group is named after the folder of its first file. Writes OUT/NAME.cc for each group, which includes its files, where
that changes anything, removes the groups that are no more, and prints the NAMEs. The names are
found by their look; what that misses the compiler refuses, and the Makefile compiles such a group's
files one by one.
"""
import pathlib
import re
import sys

# Every family of commands has a table of this name: it gets one of its own in each file.
RENAMED = "kRows"

OPENS = re.compile(r"^namespace \{$")
CLOSES = re.compile(r"^\}  // namespace$")
TYPE = re.compile(r"^(?:template\b.*>\s*)?(?:struct|class|union|enum(?: class)?)\s+(\w+)")
ALIAS = re.compile(r"^using\s+(\w+)\s*=")
# The last word in front of the first of ( = { ; [ is what a declaration names; macros give none.
NAMED = re.compile(r"(\w*[a-z]\w*)\s*[(={;\[]")
ATTRIBUTE = re.compile(r"\[\[[^\]]*\]\]\s*")


def own_names(text):
    """The names that only this file knows, as far as they begin a line.

    >>> sorted(own_names("static int a(int b);\\n[[gnu::noinline]] static void c() {"))
    ['a', 'c']
    >>> sorted(own_names("namespace {\\n[[maybe_unused]] bool d[2] = {};\\nstruct [[a(1)]] E {"))
    ['E', 'd']
    """
    names, nameless = set(), False
    for line in text.splitlines():
        line = ATTRIBUTE.sub("", line)
        if OPENS.match(line) or CLOSES.match(line):
            nameless = bool(OPENS.match(line))
        elif (nameless or line.startswith("static ")) and re.match(r"[A-Za-z]", line):
            found = TYPE.match(line) or ALIAS.match(line) or NAMED.search(line)
            if found:
                names.add(found.group(1))
    return names - {RENAMED}


class Group:
    def __init__(self, folder, number):
        self.name = f"{number}-{folder}".replace("/", "-")
        self.files, self.names, self.lines = [], set(), 0

    def takes(self, names, lines, limit):
        return self.lines + lines <= limit and not names & self.names

    def add(self, path, names, lines):
        self.files.append(path)
        self.names |= names
        self.lines += lines

    def text(self):
        out = []
        for number, path in enumerate(self.files):
            out += [f"#define {RENAMED} {RENAMED}{number}", f'#include "{path}"',
                    f"#undef {RENAMED}"]
        return "\n".join(out) + "\n"


def group(sources, limit):
    groups = []
    for source in sorted(sources):
        path = pathlib.Path(source)
        text = path.read_text()
        names, lines = own_names(text), text.count("\n")
        for taker in groups:
            if taker.takes(names, lines, limit):
                break
        else:
            taker = Group(path.parent, len(groups))
            groups.append(taker)
        taker.add(source, names, lines)
    return groups


def main():
    out, limit, sources = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    out.mkdir(parents=True, exist_ok=True)
    groups = group(sources, limit)
    for made in groups:
        path = out / (made.name + ".cc")
        if not path.exists() or path.read_text() != made.text():
            path.write_text(made.text())
    kept = {made.name for made in groups}
    for path in out.glob("*.cc"):
        if path.stem not in kept:
            path.unlink()
    print(*sorted(kept))


if __name__ == "__main__":
    main()
