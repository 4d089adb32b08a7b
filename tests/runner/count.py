# SPDX-License-Identifier: MIT
"""What the output and the exit code of a case say."""
import re


class Count:
    def __init__(self, passed=0, failed=0, skipped=0, reasons=()):
        self.passed, self.failed, self.skipped = passed, failed, skipped
        self.reasons = list(reasons)

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        return "%d passed, %d failed, %d skipped" % (self.passed, self.failed, self.skipped)


def from_kselftest(text, totals):
    count = Count()
    for t in totals:
        p, f, xf, xp, s, e = map(int, t)
        count.add(Count(p + xf, f + xp + e, s))
    planned = sum(int(n) for n in re.findall(r"^1\.\.(\d+)", text, re.M))
    if planned != count.passed + count.failed + count.skipped:
        count.failed += 1
    return count


def count_output(text, code):
    """One that neither passed nor skipped anything has failed: it has tested nothing."""
    reasons = re.findall(r"^(?:ok \d+.*?# SKIP:? ?|SKIP:? )(.*)$", text, re.M)
    totals = re.findall(r"^# Totals: pass:(\d+) fail:(\d+) xfail:(\d+) xpass:(\d+) "
                        r"skip:(\d+) error:(\d+)", text, re.M)
    last = re.findall(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", text, re.M)
    if totals:
        count = from_kselftest(text, totals)
    elif last:
        count = Count(*map(int, last[-1]))
    elif code == 4:
        lines = text.strip().splitlines() or ["says not why"]
        return Count(skipped=1, reasons=[lines[-1]])
    else:
        count = Count(passed=1) if code == 0 else Count(failed=1)
    count.reasons = reasons
    if code != 0 and not count.failed:
        count.failed += 1
    if not count.passed + count.failed + count.skipped:
        count.failed += 1
    return count
