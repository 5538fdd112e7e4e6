#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Holds the includes of src/ against src/layers.txt.

usage: utils/check_layers.py [--headers]

Every #include "..." in src/ must name an existing file by its full path from src/, in the file's
own folder or in one that the folder's row allows; the rows themselves may hold no circle.
--headers also compiles every header alone that no source file of its name includes first, as those
are by the release build. Prints violations and "N passed, N failed", counting files.
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def read_layers():
    """The table: folder -> set of folders it may include, or None for all."""
    layers = {}
    for line in (SRC / "layers.txt").read_text().splitlines():
        line = line.split("#")[0].strip()
        if not line:
            continue
        folder, allowed = line.split(":")
        words = allowed.split()
        layers[folder.strip()] = None if words == ["*"] else set(words)
    return layers


def heads_its_source(header):
    """The source file of the header's name proves that it needs nothing in front of it."""
    source = header.with_suffix(".cc")
    if not source.exists():
        return False
    first = re.search(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', source.read_text(), re.MULTILINE)
    return first is not None and first.group(1) == str(header.relative_to(SRC))


def circles(layers):
    """A folder may only name rows above its own, which rules out circles."""
    seen = set()
    for folder, allowed in layers.items():
        for other in sorted(allowed or ()):
            if other not in seen:
                yield f"src/layers.txt: {folder} includes {other}, which stands below it or nowhere"
        seen.add(folder)


def violations(path, layers):
    """What is wrong with the includes of one file."""
    folder = path.relative_to(SRC).parts[0]
    name = path.relative_to(ROOT)
    if folder not in layers:
        yield f"{name}: src/layers.txt has no row for {folder}"
        return
    allowed = layers[folder]
    for include in INCLUDE.findall(path.read_text()):
        target = include.split("/")[0]
        if target == "utils" and allowed is None and (ROOT / include).is_file():
            continue  # a tool that the server's binary holds as well
        if not (SRC / include).is_file():
            yield f'{name}: "{include}" is no file in src/ (includes take the full path)'
        elif target != folder and allowed is not None and target not in allowed:
            yield f'{name}: {folder} may not include {target} ("{include}")'


def compiles_alone(header):
    """An error text, or nothing."""
    command = ["g++", "-std=c++20", "-march=x86-64-v2", "-Wall", "-Wextra", "-fsyntax-only",
               "-Isrc", "-x", "c++", "-include", str(header), os.devnull]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return None
    return f"{header.relative_to(ROOT)} does not compile alone:\n{result.stderr[:2000]}"


def main():
    layers = read_layers()
    files = sorted(p for p in SRC.glob("*/**/*") if p.suffix in (".h", ".cc"))
    problems = {"src/layers.txt": list(circles(layers))}
    for path in files:
        problems[path] = list(violations(path, layers))
    if "--headers" in sys.argv[1:]:
        headers = [p for p in files if p.suffix == ".h" and not heads_its_source(p)]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for header, problem in zip(headers, pool.map(compiles_alone, headers)):
                if problem:
                    problems[header].append(problem)
    for texts in problems.values():
        for text in texts:
            print(text)
    failed = sum(1 for texts in problems.values() if texts)
    print(f"{len(problems) - failed} passed, {failed} failed")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
