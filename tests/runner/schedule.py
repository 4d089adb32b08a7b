# SPDX-License-Identifier: MIT
"""Which cases run beside each other.

Builds come first, one after another, as each uses all CPUs; then the cases, the long
ones first, as many at once as there are CPUs for, and one more, as many of them wait for
most of their time; at last those that must be alone. What does not fit yet lets later
ones pass.
"""
import queue
import threading
import traceback

import process
from count import Count


class Schedule:
    """@builds: name: case. on_done(result) is called for each case as it ends."""

    def __init__(self, cases, builds, cpus, on_done):
        needed = {c.build for c in cases if c.build}
        self.builds = {k: b for k, b in builds.items() if k in needed}
        self.cpus, self.on_done = cpus, on_done
        self.waiting = list(self.builds.values()) + sorted(
            cases, key=lambda c: (c.alone, -min(c.cpus, cpus), -c.seconds))
        self.built = {}         # name: its result
        self.running = []
        self.ended = queue.Queue()
        self.not_run = []

    def takes(self, case):
        return min(case.cpus, self.cpus)

    def may_start(self, case):
        if not self.running:
            return True
        if case.alone or any(c.alone for c in self.running):
            return False
        if case.build and case.build not in self.built:
            return False
        slots = self.cpus + (self.cpus > 1)
        return sum(map(self.takes, self.running)) + self.takes(case) <= slots

    def run(self, case):
        try:
            result = process.run(case)
        except BaseException:
            result = process.Result(case, Count(failed=1), ["the runner failed"], traceback.format_exc())
        self.ended.put(result)

    def start_what_fits(self):
        for case in self.waiting[:]:
            if not self.may_start(case):
                continue
            self.waiting.remove(case)
            if case.build and self.built[case.build].count.failed:
                self.not_run.append(case)
            elif not case.argv:     # the build itself is the test
                self.on_done(process.Result(case, Count(passed=1)))
            else:
                self.running.append(case)
                threading.Thread(target=self.run, args=(case,), daemon=True).start()

    def run_all(self):
        """Those that were not run, as what they need was not built."""
        self.start_what_fits()
        while self.running:
            result = self.ended.get()
            self.running.remove(result.case)
            key = next((k for k, b in self.builds.items() if b is result.case), None)
            if key:
                self.built[key] = result
            self.on_done(result)
            self.start_what_fits()
        return self.not_run
