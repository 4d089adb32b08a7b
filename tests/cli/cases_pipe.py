# SPDX-License-Identifier: MIT
"""Commands in pipes: lines where a program reads lines, and an end when it has enough."""
import signal
import subprocess

from harness import (OK, Run, attached, case, check, equal, nothing_left, objects, placed, run, stat,
                     stdin_of, until)


def piped(*args):
    return Run(*args, stdout=subprocess.PIPE)


@case
def sub_writes_lines_into_a_pipe_and_bytes_into_a_file():
    pipe, file = piped("sub", "--count", "2", "t"), Run("sub", "--count", "2", "t")
    raw = piped("sub", "--count", "2", "--format", "raw", "t")
    until(lambda: len(placed("t")) == 3, "three subscribers")
    for text in "one", "two":
        run("pub", "-m", text, "t")
    equal(pipe.p.stdout.read(), b"one\ntwo\n")
    equal(raw.p.stdout.read(), b"onetwo")
    for r in pipe, raw, file:
        r.ends(OK)
    equal(file.out, b"onetwo")
    nothing_left()


@case
def sub_ends_without_an_error_when_its_reader_has_enough():
    s = piped("sub", "--quiet", "t")
    until(lambda: placed("t"), "a subscriber")
    p = Run("pub", "--lines", "t", stdin=subprocess.PIPE)
    p.stdin.write(b"one\n")
    p.stdin.flush()
    equal(s.p.stdout.readline(), b"one\n")
    s.p.stdout.close()          # as head -1 does; nothing more is published
    equal(s.ends(OK).err, "")
    s = piped("sub", "--json", "t")
    until(lambda: placed("t"), "a subscriber")
    s.p.stdout.close()
    for _ in range(3):          # or something is
        p.stdin.write(b"two\n")
        p.stdin.flush()
    equal(s.ends(OK).summary["exit"], OK)
    check(not [e for e in s.events if e["event"] == "error"], s.err)
    p.stdin.close()
    p.ends(OK)
    nothing_left()


@case
def reports_end_without_an_error_when_their_reader_has_enough():
    p = Run("pub", "-m", "x", "--repeat", "1000000", "--rate", "100", "t")
    attached("t", "producer")
    for args in (["hz"], ["hz", "--json"], ["bw"], ["watch"], ["watch", "--json"]):
        r = piped(*args, *([] if args[0] == "watch" else ["--every", "0.01"]))
        r.p.stdout.readline()
        r.p.stdout.close()
        if args[0] == "watch":
            run("pub", "-m", "x", "other")
        equal(r.ends(OK).err, "")
    p.kill(signal.SIGINT).ends(130)
    nothing_left()
