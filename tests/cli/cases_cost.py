# SPDX-License-Identifier: MIT
"""System calls, progress, help, the manual page."""
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
    # The file and the output themselves: 256 KiB a call, or one each ms that nothing comes.
    io = ("read", "write", "poll")
    check(sum(many.values()) < 1000000 / 50, many)
    # Waiting, waking, locks, memory: as many, whatever the number of messages.
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
        return b"\r" in b"".join(shown)
    until(progressed, "a line of progress")
    p.stdin.close()
    equal(p.wait(DEADLINE_S), OK)
    r.ends(OK)
    reader.join()
    os.close(leader)
    text = b"".join(shown).decode()
    check(re.search(r"send: [\d.]+ (KiB|B), \S+ \S?B/s", text), text)
    check(text.rstrip().splitlines()[-1].count("messages") == 1, text)
    check("\r" not in r.err, r.err)     # no terminal: the summary only


@case
def quiet_says_nothing():
    r = Run("recv", "-q", "t")
    s = run("send", "-q", "t", stdin=stdin_of(b"abcde"))
    r.ends(OK)
    equal((s.err, r.err), ("", ""))


@case
def help_and_the_manual_page_name_the_same_options():
    man = ""
    for page in MAN:
        with open(page) as f:
            man += f.read()
    text = run("--help").out.decode()
    commands = re.findall(r"^  (\w+) ", text, re.M)
    equal(commands, ["send", "recv", "pub", "sub", "hz", "bw", "top", "metrics", "ls", "watch", "trace", "stat",
                     "rm", "gc", "doctor", "bench"])
    shared = {"Options of send and recv": ["send", "recv"], "Options of pub and sub": ["pub", "sub"],
              "Options of all four": ["send", "recv", "pub", "sub"],
              "Options of all commands": commands}
    for command in commands[:-1]:
        own = os.path.join(os.path.dirname(MAN[0]), "shmipc-%s.1" % command)
        if os.path.exists(own):
            with open(own) as f:
                section = f.read()
        else:
            part = re.search(r"^\.Ss shmipc %s\n(.*?)^\.S[sh] " % command, man, re.M | re.S)
            check(part, "no section on " + command)
            section = part.group(1)
        for title, commands_of in shared.items():
            if command in commands_of:
                section += re.search(r"^\.Ss %s\n(.*?)^\.S[sh] " % title, man, re.M | re.S).group(1)
        help_text = run(command, "--help").out.decode()
        in_help = set(re.findall(r"--([a-z-]+)", help_text[:help_text.index("\nExit codes")]))
        in_man = set(re.findall(r"Fl -([a-z-]+)", section.replace("\\-", "-")))
        equal(in_help - in_man, set(), "%s: in --help and not in the manual page" % command)
        equal(in_man - in_help, set(), "%s: in the manual page and not in --help" % command)
    check(re.search(r"^shmipc \d+\.\d+\.\d+$", run("--version").out.decode()))


@case
def the_manual_page_is_well_formed():
    if not shutil.which("mandoc"):
        raise Skip("mandoc is not installed")
    p = subprocess.run(["mandoc", "-T", "lint", "-W", "style", *MAN], stdout=subprocess.PIPE,
                       stderr=subprocess.DEVNULL)
    # Whether the other pages are installed is not this page's affair.
    faults = [x for x in p.stdout.decode().splitlines() if "referenced manual not found" not in x]
    equal(faults, [], "mandoc -T lint")
