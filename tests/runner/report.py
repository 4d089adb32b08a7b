# SPDX-License-Identifier: MIT
"""What is printed, while they run and at the end, and what is kept."""
import os
import re
import shutil
import subprocess
import time

from count import Count

TAIL = 100          # lines that are printed of a failed case


def keep(result):
    """What went wrong outlives the checkout, where there is a place for it."""
    try:
        cache = subprocess.check_output(["tools/setup", "cache"], text=True).strip()
        os.makedirs(cache + "/failed", exist_ok=True)
        kept = shutil.copy(result.log, cache + "/failed")
        with open(kept, "a") as f:
            f.write("\n".join(["", time.strftime("# %F %T %z")] + ["# " + x for x in result.note] + [""]))
    except (OSError, TypeError, subprocess.CalledProcessError) as e:
        print("    not kept: %s" % e)


def in_short(result):
    """One line of each failed test: what is read, and looked for, where the output is long."""
    bad = re.findall(r"^(not ok .*|\S*FAIL.*)$", result.text, re.M) + result.note
    return ["ERROR: %s/%s: %s" % (result.case.group, result.case.name, line)
            for line in bad[:20] or [str(result.count)]]


def show(result):
    case, count = result.case, result.count
    print("%-34s %-36s %6.1f s %6.1f s CPU" % (case.group + "/" + case.name, count, result.wall,
                                               result.cpu))
    for reason in sorted(set(count.reasons)):
        print("    skipped: " + reason)
    if count.failed:
        print("\n".join(in_short(result)))
        lines = result.text.splitlines()
        early = [x for x in lines[:-TAIL] if re.search(r"^not ok|\bFAIL|error:|WARNING:", x)]
        for line in early[:TAIL] + lines[-TAIL:]:
            print("    | " + line)
        for line in result.note:
            print("    " + line)
        print("    log: %s; again: make check GROUP=%s" % (result.log, case.group))
        keep(result)


class Totals:
    """Counts and times by group, in the order of @table."""

    def __init__(self, table):
        self.table = table
        self.rows = {name: [0, Count(), 0.0, 0.0] for name in table}
        self.failures = []

    def add(self, result, counts=True):
        row = self.rows.setdefault(result.case.group, [0, Count(), 0.0, 0.0])
        if counts:
            row[0] += 1
            row[1].add(result.count)
        row[2] += result.wall
        row[3] += result.cpu
        if result.count.failed:
            self.failures += in_short(result)

    @property
    def count(self):
        total = Count()
        for row in self.rows.values():
            total.add(row[1])
        return total

    def show(self, seconds, cpus):
        """Wall seconds are those of all cases added up: some ran beside each other."""
        line = "%-10s %6s %7s %7s %8s %9s %9s  %s"
        print(line % ("group", "cases", "passed", "failed", "skipped", "wall s", "CPU s", "what it covers"))
        for name, (cases, count, wall, cpu) in self.rows.items():
            print(line % (name, cases, count.passed, count.failed, count.skipped, "%.1f" % wall,
                          "%.1f" % cpu, self.table.get(name, [""])[0]))
        for line in self.failures:
            print(line)
        print("cases: %d; time: %.0f s, of CPU time: %.0f s, on %d CPUs" % (
            sum(r[0] for r in self.rows.values()), seconds, sum(r[3] for r in self.rows.values()), cpus))
