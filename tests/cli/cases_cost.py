# SPDX-License-Identifier: MIT
"""System calls, progress, the manual pages."""
import contextlib
import os
import pty
import re
import shutil
import subprocess
import tempfile
import threading

from harness import (MAN, OK, DEADLINE_S, SHMIPC, Run, Skip, case, check, children, equal,
                     file_of, number, run, stat, stdin_of, transfer, until)


def counted_calls(messages):
    """Calls of a spinning transfer, both sides: {name: calls}."""
    calls = {}
    env = {"ASAN_OPTIONS": "detect_leaks=0"}    # cannot be traced
    with tempfile.TemporaryDirectory() as d, file_of(bytes(64 * messages)) as name:
        trace = [["strace", "-f", "-c", "-U", "name,calls", "-o", d + "/" + side] for side in "sr"]
        r = Run("recv", "--wait", "spin", "t", stdout=subprocess.DEVNULL, prefix=trace[1], **env)
        s = Run("send", "--wait", "spin", "--size", "64", "--file", name, "t", prefix=trace[0],
                **env)
        s.ends(OK)
        r.ends(OK)
        for side in "sr":
            with open(d + "/" + side) as f:
                for line in f:
                    m = re.match(r"^(\w+)\s+(\d+)$", line.strip())
                    if m and m.group(1) != "total":
                        calls[m.group(1)] = calls.get(m.group(1), 0) + int(m.group(2))
    return calls


@case
def system_calls_do_not_grow_with_messages():
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    few, many = counted_calls(100000), counted_calls(1000000)
    # The file and the output themselves: 256 KiB a call, or one each ms without a message.
    io = ("read", "write", "poll")
    check(sum(many.values()) < 1000000 / 50, many)
    # Waiting, waking, locks, memory: their number does not depend on that of messages.
    rest = [sum(n for c, n in x.items() if c not in io and c != "fcntl") for x in (few, many)]
    check(rest[1] < rest[0] + 100, few, many)
    check(many.get("futex", 0) + many.get("futex_waitv", 0) < few.get("futex", 0) + 50, few, many)


@case
def progress_is_for_terminals():
    leader, follower = pty.openpty()
    r = Run("recv", "t")
    p = subprocess.Popen([SHMIPC, "send", "t"], stdin=subprocess.PIPE, stderr=follower)
    children.append(p)
    os.close(follower)
    shown = []

    def read():
        with contextlib.suppress(OSError):      # EIO: the command has ended
            for text in iter(lambda: os.read(leader, 4096), b""):
                shown.append(text)
    reader = threading.Thread(target=read)
    reader.start()

    def progressed():
        p.stdin.write(b"x" * 1000)
        p.stdin.flush()
        return re.search(rb"\r[^\n]", b"".join(shown))     # not the end of a line
    until(progressed, "a line of progress")
    p.stdin.close()
    equal(p.wait(DEADLINE_S), OK)
    r.ends(OK)
    reader.join()
    os.close(leader)
    text = b"".join(shown).decode()
    check(re.search(r"send: [\d.]+ (KiB|B), \S+ \S?B/s", text), text)
    check(text.rstrip().splitlines()[-1].count("messages") == 1, text)
    check("\r" not in r.err, r.err)     # not a terminal: the summary only


@case
def quiet_says_nothing():
    r = Run("recv", "-q", "t")
    s = run("send", "-q", "t", stdin=stdin_of(b"abcde"))
    r.ends(OK)
    equal((s.err, r.err), ("", ""))


@case
def the_manual_page_is_well_formed():
    if not shutil.which("mandoc"):
        raise Skip("mandoc is not installed")
    p = subprocess.run(["mandoc", "-T", "lint", "-W", "style", *MAN], stdout=subprocess.PIPE,
                       stderr=subprocess.DEVNULL)
    # The other pages need not be installed.
    faults = [x for x in p.stdout.decode().splitlines() if "referenced manual not found" not in x]
    equal(faults, [], "mandoc -T lint")
