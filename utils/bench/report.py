# SPDX-License-Identifier: BSD-3-Clause
"""The table of a run: printed as it grows, written as Markdown and CSV, drawn as SVG."""
import csv
import os
import shutil
import statistics
import subprocess
from dataclasses import dataclass

OURS, REFERENCE = "cairn", "redis"


@dataclass
class Figures:
    cpu_us: list  # a request, one a round
    per_second: float
    rate: float  # of the open loop that the latencies are from
    latency_us: list  # p50, p99, p99.9, max

    @property
    def cpu(self):
        return statistics.median(self.cpu_us)


@dataclass(frozen=True)
class Aim:
    """At most this, or at least; of our ratio to the reference, or of our own figure."""
    bound: float
    own: bool = False
    least: bool = False

    def __str__(self):
        return f"{'at least ' if self.least else ''}{short(self.bound)}{' itself' * self.own}"

    def met(self, number):
        return number >= self.bound if self.least else number <= self.bound


@dataclass
class Line:
    title: str
    found: dict  # name of a server -> Figures, or the numbers of all rounds
    aim: Aim
    ratio: float = None  # ours by the reference's

    @property
    def judged(self):
        """What the aim is for, if there is an aim and it was measured."""
        if self.aim and self.aim.own:
            return median(self.found[OURS]) if OURS in self.found else None
        return self.ratio if self.aim else None

    @property
    def missed(self):
        return self.judged is not None and not self.aim.met(self.judged)

    def aim_cell(self):
        return f"{self.aim or ''}{', missed' * self.missed}"


def median(numbers):
    return statistics.median(numbers)


def short(number):
    return f"{number:.2f}" if number < 100 else f"{number:,.0f}"


def milliseconds(figures):
    return " / ".join(f"{us / 1000:.2f}" for us in figures.latency_us)


def spread(numbers):
    """The median; if there were several, the least and the most."""
    if len(numbers) == 1:
        return short(numbers[0])
    return f"{short(median(numbers))} ({short(min(numbers))}-{short(max(numbers))})"


class Table:
    def __init__(self, folder):
        self.folder = folder
        self.rows, self.values, self.ratios, self.failed = [], [], [], []

    def add(self, title, found, aim):
        """A workload: `found` has Figures by server, `aim` is what the ratio is at most."""
        self.rows.append(Line(title, found, self.aim_of(aim), self.ratio_of(
            {name: figures.cpu for name, figures in found.items()})))
        self.tell(self.rows[-1], {name: f"{figures.cpu:.3f} us" for name, figures in found.items()})

    def add_value(self, title, found, aim):
        """Anything else: `found` has the numbers of all rounds by server."""
        medians = {name: median(numbers) for name, numbers in found.items()}
        self.values.append(Line(title, found, self.aim_of(aim), self.ratio_of(medians)))
        self.tell(self.values[-1], {name: short(value) for name, value in medians.items()})

    def add_ratio(self, title, one, other, aim):
        """The CPU time of one (row, server) by that of another, if both were measured."""
        figures = []
        for row, server in (one, other):
            figures += [line.found[server].cpu for line in self.rows
                        if line.title == row and server in line.found]
        if len(figures) == 2 and figures[1] > 0:
            self.ratios.append(Line(title, {}, self.aim_of(aim), figures[0] / figures[1]))
            self.tell(self.ratios[-1], {})

    def fail(self, title, error):
        self.failed.append(f"{title} failed: {error}")
        print(self.failed[-1], flush=True)

    @staticmethod
    def aim_of(aim):
        return Aim(aim) if isinstance(aim, (int, float)) else aim

    @staticmethod
    def ratio_of(numbers):
        if OURS in numbers and numbers.get(REFERENCE):
            return numbers[OURS] / numbers[REFERENCE]
        return None

    @staticmethod
    def tell(line, texts):
        parts = [f"{name} {text}" for name, text in texts.items()]
        parts += [f"ratio {line.ratio:.2f}"] if line.ratio is not None else []
        parts += [f"aim {line.aim_cell()}"] if line.aim else []
        print(f"{line.title}: {', '.join(parts)}", flush=True)

    def names(self, lines):
        return list(dict.fromkeys(name for line in lines for name in line.found))

    def write(self, conditions):
        parts = [conditions, self.markdown_rows(), self.markdown_values(), self.markdown_ratios(),
                 self.verdict(), "\n".join(self.failed)]
        with open(os.path.join(self.folder, "table.md"), "w") as out:
            out.write("\n\n".join(part for part in parts if part) + "\n")
        self.write_csv()
        self.draw()
        print("\n" + open(os.path.join(self.folder, "table.md")).read())

    def verdict(self):
        judged = [line for line in [*self.rows, *self.values, *self.ratios]
                  if line.judged is not None]
        missed = [f"{line.title} ({short(line.judged)}, aim {line.aim})"
                  for line in judged if line.missed]
        if not judged:
            return ""
        return f"{len(judged) - len(missed)} aims met, {len(missed)} missed" + (
            ": " + "; ".join(missed) if missed else "")

    @staticmethod
    def markdown(head, lines):
        return "\n".join("| " + " | ".join(cells) + " |"
                         for cells in (head, ["---"] * len(head), *lines))

    def markdown_rows(self):
        pair = [name for name in self.names(self.rows) if name in (OURS, REFERENCE)]
        lines = []
        for line in self.rows:
            others = [f"{name} {figures.cpu:.2f}" for name, figures in line.found.items()
                      if name not in pair]
            cells = [line.title, *self.of(pair, line, lambda figures: spread(figures.cpu_us))]
            cells += [f"{line.ratio:.2f}" if line.ratio else "", line.aim_cell(), "; ".join(others)]
            cells += self.of(pair, line, lambda figures: f"{figures.per_second:,.0f}")
            cells.append(f"{next(iter(line.found.values())).rate:,.0f}")
            lines.append(cells + self.of(pair, line, milliseconds))
        if not lines:
            return ""
        head = ["CPU a request, us", *pair, f"{OURS} / {REFERENCE}", "aim", "others",
                *(name + ", a second" for name in pair), "at this rate",
                *(name + ", ms: p50 / p99 / p99.9 / max" for name in pair)]
        return self.markdown(head, lines)

    @staticmethod
    def of(names, line, text):
        return [text(line.found[name]) if name in line.found else "" for name in names]

    def markdown_values(self):
        names = self.names(self.values)
        lines = [[line.title, *self.of(names, line, spread),
                  f"{line.ratio:.2f}" if line.ratio is not None else "", line.aim_cell()]
                 for line in self.values]
        head = ["figure", *names, f"{OURS} / {REFERENCE}", "aim"]
        return self.markdown(head, lines) if lines else ""

    def markdown_ratios(self):
        lines = [[line.title, f"{line.ratio:.2f}", line.aim_cell()] for line in self.ratios]
        return self.markdown(["CPU a request of ours", "ratio", "aim"], lines) if lines else ""

    def write_csv(self):
        with open(os.path.join(self.folder, "table.csv"), "w", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(["figure", "server", "value", "least", "most", "per_second", "rate",
                             "p50_us", "p99_us", "p999_us", "max_us"])
            for line in self.rows:
                for name, f in line.found.items():
                    writer.writerow([line.title + ", CPU us", name, f.cpu, min(f.cpu_us),
                                     max(f.cpu_us), f.per_second, f.rate, *f.latency_us])
            for line in self.values:
                for name, numbers in line.found.items():
                    writer.writerow([line.title, name, median(numbers), min(numbers), max(numbers)])
            for line in self.ratios:
                writer.writerow([line.title, "", line.ratio])

    def draw(self):
        """A bar a line: how much of the reference's CPU time or memory ours takes."""
        compared = [line for line in self.values if "bytes" in line.title or "CPU" in line.title]
        lines = [line for line in [*self.rows, *compared] if line.ratio]
        if not shutil.which("gnuplot"):
            print("no picture: gnuplot is not installed (deps/bench.txt)")
            return
        if not lines:
            return
        data = os.path.join(self.folder, "ratios.dat")
        with open(data, "w") as out:
            for at, line in enumerate(lines):
                aim = line.aim.bound if line.aim and not line.aim.own else "NaN"
                out.write(f"{at}\t{line.ratio:.4f}\t{aim}\t\"{line.title}\"\n")
        script = f"""
            set terminal svg size 900,{80 + 18 * len(lines)} font 'sans,11' background 'white'
            set output '{os.path.join(self.folder, 'ratios.svg')}'
            set title '{OURS} / {REFERENCE}: CPU time a request, then bytes and CPU time (line: aim)'
            set datafile separator tab
            set yrange [{len(lines) - 0.4}:-0.6]
            set xrange [0:*]
            set grid x
            set key off
            set style fill solid 0.6
            set arrow from 1,graph 0 to 1,graph 1 nohead lw 2 lc rgb 'gray'
            plot '{data}' using ($2/2):1:($2/2):(0.35):ytic(4) with boxxyerror lc rgb '#3366aa', \\
                 '' using 3:1:(0):(0.4) with xyerrorbars pt 0 lw 2 lc rgb '#cc3311'
        """
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
