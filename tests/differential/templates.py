# SPDX-License-Identifier: BSD-3-Clause
"""Random commands from one-line templates.

A family lists templates such as

    SET k v ~( [NX|XX] [GET] [EX ttl|PX ttlms|KEEPTTL] )~

  WORD        a literal, as is '...'        word      what Generator.word() returns
  word:a:b    Generator.word("a", "b")      x+ x* x?  one to four, none to three, one or none of x
  [a|b c]     half the time one of these    {a|b c}   always one of these
  ~( ... )~   the parts in random order

One command in fifty is then damaged (argument dropped, doubled, replaced), which gives wrong arity
and syntax errors to every command without a template for each.
"""

import re

from differential.generator import Generator
from differential.promises import no_promise

TOKEN = re.compile(r"'[^']*'|~\(|\)~|[\[\]{}|]|[+*?](?=\s|$|[\]}|)])|[^\s\[\]{}|~()+*?]+")

# They count keys that are expired but still there, or delete those that they happen to meet.
SEES_LINGERING = (b"DBSIZE", b"RANDOMKEY", b"SCAN")


class Template:
    """One compiled template line."""

    def __init__(self, line, weight=1.0):
        self.line, self.weight = line, weight
        self.name = line.split()[0].upper().encode()
        tokens = TOKEN.findall(line)
        if "".join(tokens) != "".join(line.split()):
            raise ValueError("cannot read the template " + line)
        self.parts, rest = self._sequence(tokens, 0, ())
        assert rest == len(tokens), line

    def draw(self, gen):
        out = []
        for part in self.parts:
            part(gen, out)
        if gen.r() < 0.02:
            out = gen.damage(out)
        if gen.r() < 0.03:
            out[0] = out[0].lower()
        return out

    def _sequence(self, tokens, at, stops):
        parts = []
        while at < len(tokens) and tokens[at] not in stops:
            part, at = self._one(tokens, at)
            if at < len(tokens) and tokens[at] in "+*?":
                part = _repeated(part, tokens[at])
                at += 1
            parts.append(part)
        return parts, at

    def _one(self, tokens, at):
        token = tokens[at]
        if token in ("[", "{"):
            close = "]" if token == "[" else "}"
            branches, at = [], at + 1
            while True:
                branch, at = self._sequence(tokens, at, ("|", close))
                branches.append(branch)
                at += 1
                if tokens[at - 1] == close:
                    return _choice(branches, token == "["), at
        if token == "~(":
            parts, at = self._sequence(tokens, at + 1, (")~",))
            return _shuffled(parts), at + 1
        if hasattr(Generator, token.split(":")[0]) and token[0].islower():
            return _drawn(token), at + 1
        return _literal(token.strip("'").encode()), at + 1


def _literal(text):
    return lambda gen, out: out.append(text)


def _drawn(token):
    name, *params = token.split(":")

    def part(gen, out):
        value = getattr(gen, name)(*params)
        out.extend(value) if isinstance(value, list) else out.append(value)
    return part


def _choice(branches, optional):
    def part(gen, out):
        if optional and gen.r() < 0.5:
            return
        for piece in gen.pick(branches):
            piece(gen, out)
    return part


def _shuffled(parts):
    def part(gen, out):
        order = list(parts)
        gen.rng.shuffle(order)
        for piece in order:
            piece(gen, out)
    return part


def _repeated(piece, how):
    def part(gen, out):
        least, most = {"+": (1, 4), "*": (0, 3), "?": (0, 1)}[how]
        for _ in range(gen.repeat(least, most)):
            piece(gen, out)
    return part


class Family:
    """Templates about one kind of key. `main` is the command whose presence turns it on."""

    def __init__(self, name, main, kind, text, weight=1.0):
        self.name, self.main, self.kind, self.weight = name, main.encode(), kind, weight
        self.templates = []
        for line in text.strip().splitlines():
            line = line.strip()
            if not line or line.startswith("//"):
                continue
            share = 1.0
            if line[0].isdigit():
                number, line = line.split(None, 1)
                share = float(number)
            self.templates.append(Template(line, share))

    def commands(self):
        return sorted({t.name for t in self.templates})

    def learn(self, pair):
        """Asks the servers what they have; templates know what they draw."""

    def keep(self, known):
        self.templates = [t for t in self.templates if t.name in known]
        self.table = []
        for template in self.templates:
            self.table += [template] * max(1, round(template.weight * 4))

    def draw(self, gen):
        gen.kind = self.kind
        while True:
            template = gen.pick(self.table)
            if gen.lingering and template.name in SEES_LINGERING:
                continue
            command = template.draw(gen)
            if not no_promise(command):
                return command
