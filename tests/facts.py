#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compares the command facts of a running Cairn with those of a running redis-server 7.0.

usage: tests/facts.py HOST:PORT ORACLE_HOST:PORT

For every command and subcommand that both know: arity, flags, ACL categories, first key, last
key, step, key specifications (begin, find, flags), group, since, history, standing and arguments.
Where Redis 7.4 differs from 7.0, 7.4 wins; KNOWN and NEWER_ARGUMENTS list each such difference.
Prints mismatches, how many commands only one side has, and "N passed, N failed", counting
commands.
"""
import socket
import sys

# Since 7.2 blocking commands may be called by scripts, where they do not block.
BLOCKING_IN_SCRIPTS = "7.2 allows it in scripts"

# (command, fact) -> (value in Redis 7.4, reason).
KNOWN = {
    ("zrank", "arity"): (-3, "7.2 added WITHSCORE"),
    ("zrevrank", "arity"): (-3, "7.2 added WITHSCORE"),
    ("blmove", "flags"): (("blocking", "denyoom", "write"), BLOCKING_IN_SCRIPTS),
    ("blpop", "flags"): (("blocking", "write"), BLOCKING_IN_SCRIPTS),
    ("brpop", "flags"): (("blocking", "write"), BLOCKING_IN_SCRIPTS),
    ("brpoplpush", "flags"): (("blocking", "denyoom", "write"), BLOCKING_IN_SCRIPTS),
    ("bzpopmax", "flags"): (("blocking", "fast", "write"), BLOCKING_IN_SCRIPTS),
    ("bzpopmin", "flags"): (("blocking", "fast", "write"), BLOCKING_IN_SCRIPTS),
    ("wait", "flags"): (("blocking",), BLOCKING_IN_SCRIPTS),
    ("wait", "acl"): (("@blocking", "@connection", "@slow"), "as every blocking command"),
}

# Commands whose arguments are others than in 7.0, and what is new.
NEWER_ARGUMENTS = {
    "bitop": "7.2 names the operations",
    "command|getkeys": "7.2 describes them",
    "command|getkeysandflags": "7.2 describes them",
    "hscan": "7.4 added NOVALUES",
    "migrate": "7.2 shows the empty string as two quotes",
    "set": "8.4 added IFEQ, IFNE, IFDEQ, IFDNE",
    "zrank": "7.2 added WITHSCORE",
    "zrevrank": "7.2 added WITHSCORE",
}


class Server:
    """A connection that speaks just enough RESP2."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.stream = socket.create_connection((host, int(port)), timeout=10).makefile("rwb")

    def call(self, *words):
        """One request, one reply."""
        self.stream.write(b"*%d\r\n" % len(words))
        for word in words:
            self.stream.write(b"$%d\r\n%s\r\n" % (len(word), word.encode()))
        self.stream.flush()
        return self.read()

    def read(self):
        """One reply: str, int, None or a list of them."""
        line = self.stream.readline()
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"+":
            return rest
        if kind == b"-":
            raise RuntimeError(rest)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == "-1" else self.stream.read(int(rest) + 2)[:-2].decode()
        if kind == b"*":
            return None if rest == "-1" else [self.read() for _ in range(int(rest))]
        raise RuntimeError(f"unexpected reply {line!r}")


def pairs(flat):
    """A RESP2 map as a dictionary."""
    return dict(zip(flat[::2], flat[1::2]))


def read_spec(flat):
    """One key specification as something that compares and prints well."""
    spec = pairs(flat)
    begin, find = pairs(spec["begin_search"]), pairs(spec["find_keys"])
    return (begin["type"], tuple(sorted(pairs(begin["spec"]).items())),
            find["type"], tuple(sorted(pairs(find["spec"]).items())),
            tuple(sorted(spec["flags"])))


def collect(rows, facts):
    """Rows of COMMAND into facts[name][fact], subcommands included."""
    for row in rows:
        facts[row[0].lower()] = {
            "arity": row[1],
            "flags": tuple(sorted(row[2])),
            "keys": tuple(row[3:6]),
            "acl": tuple(sorted(row[6])),
            "specs": tuple(sorted(read_spec(spec) for spec in row[8])),
        }
        collect(row[9], facts)


def read_arguments(flat):
    """Arguments as something that compares and prints well; versions and texts left out."""
    out = []
    for argument in flat or []:
        fields = pairs(argument)
        out.append((fields["name"], fields["type"], fields.get("token"),
                    fields.get("key_spec_index"), tuple(sorted(fields.get("flags", []))),
                    read_arguments(fields.get("arguments"))))
    return tuple(out)


def read_history(entry):
    """The versions up to 7.0 that changed a command, and its standing; the texts are our own."""
    versions = tuple(version for version, _ in entry.get("history", []) if version < "7.1")
    return (versions, tuple(entry.get("doc_flags", [])), entry.get("deprecated_since"))


def collect_docs(docs, facts):
    """COMMAND DOCS into the same."""
    for name, flat in pairs(docs).items():
        entry = pairs(flat)
        if name.lower() in facts:
            facts[name.lower()]["since"] = entry.get("since")
            facts[name.lower()]["group"] = entry.get("group")
            facts[name.lower()]["history"] = read_history(entry)
            facts[name.lower()]["arguments"] = read_arguments(entry.get("arguments"))
        collect_docs(entry.get("subcommands", []), facts)


def read_facts(address):
    """All facts of one server."""
    server, facts = Server(address), {}
    rows = server.call("COMMAND")
    collect(rows, facts)
    collect_docs(server.call("COMMAND", "DOCS"), facts)
    # COMMAND INFO must say the same as COMMAND, and nil for what does not exist.
    name = rows[0][0]
    if server.call("COMMAND", "INFO", name, "no-such-command") != [
            next(row for row in rows if row[0] == name), None]:
        print(f"{address}: COMMAND INFO {name} differs from COMMAND")
    if server.call("COMMAND", "COUNT") != len(rows):
        print(f"{address}: COMMAND COUNT differs from COMMAND")
    return facts


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    ours, theirs = read_facts(sys.argv[1]), read_facts(sys.argv[2])
    both = sorted(set(ours) & set(theirs))
    passed = failed = 0
    for name in both:
        wrong = False
        for fact, value in theirs[name].items():
            if fact == "arguments" and name in NEWER_ARGUMENTS:
                continue
            expected, _ = KNOWN.get((name, fact), (value, ""))
            if ours[name].get(fact) != expected:
                print(f"{name}: {fact}: {ours[name].get(fact)}, expected {expected}")
                wrong = True
        failed += wrong
        passed += not wrong
    for title, names in (("only here", set(ours) - set(theirs)),
                         ("not here", set(theirs) - set(ours))):
        print(f"{title}: {len(names)}: {' '.join(sorted(names))}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
