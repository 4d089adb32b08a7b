# SPDX-License-Identifier: MIT
"""The demonstration: what it prints, on an idle and on a busy machine."""
import os
import re
import subprocess
import tempfile

from harness import MIB, SHMIPC, TOP, bytes_of, case, check, equal, file_of

RATE = r"[0-9]+\.[0-9]{2} GB/s"
LINES = [
    r"demo: .*: 3145728 bytes, sha256 [0-9a-f]{16}\.\.\.",
    r"demo: the copy is equal, byte for byte: sha256 [0-9a-f]{16}\.\.\.",
    r"demo: transfer    %s; cat \| cat %s, dd %s: over a file that is there" % (RATE, RATE, RATE),
    r"demo: new file    %s; cat \| cat %s, cp %s: memory for it takes the rest" % (RATE, RATE, RATE),
    r"demo: round trip  [0-9]+ ns spinning, [0-9.]+ us sleeping \(64 bytes, median\)",
    r"demo: page size   [0-9]+ [KM]iB",
    r"demo: ok: 3145728 bytes moved, byte for byte equal",
]
BUSY = r"demo: this machine is busy: %s; compare the rates with each other only"


def demo(proc, loadavg, stall):
    """The lines that it prints."""
    os.makedirs(os.path.join(proc, "pressure"), exist_ok=True)
    with open(os.path.join(proc, "loadavg"), "w") as f:
        f.write("%s 1.00 1.00 1/100 1\n" % loadavg)
    with open(os.path.join(proc, "pressure", "cpu"), "w") as f:
        f.write("some avg10=%s avg60=1.00 avg300=1.00 total=1\nfull avg10=0.00 total=0\n" % stall)
    with file_of(bytes_of(3 * MIB)) as name:
        env = dict(os.environ, B=os.path.dirname(SHMIPC), SHMIPC_DEMO_FILE=name, SHMIPC_DEMO_PROC=proc)
        r = subprocess.run(["sh", os.path.join(TOP, "tools", "demo")], env=env, text=True, check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    equal(r.returncode, 0, r.stdout)
    return r.stdout.splitlines()


def has(lines, expected):
    equal(len(lines), len(expected), "lines: %r" % lines)
    for line, pattern in zip(lines, expected):
        check(re.fullmatch(pattern, line), line, pattern)


@case
def demo_shows_the_transfer_beside_other_copies():
    with tempfile.TemporaryDirectory() as proc:
        has(demo(proc, "0.00", "0.00"), LINES)


@case
def demo_says_that_the_machine_is_busy():
    with tempfile.TemporaryDirectory() as proc:
        for loadavg, stall, words in (("999.25", "0.00", "999.25 processes want its [0-9]+ CPUs? .*"),
                                      ("0.10", "55.20", "processes wait for a CPU 55 % of the time")):
            has(demo(proc, loadavg, stall), LINES[:2] + [BUSY % words] + LINES[2:])
