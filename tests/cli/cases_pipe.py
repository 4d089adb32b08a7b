# SPDX-License-Identifier: MIT
"""Commands in pipes: lines where a program reads lines, and an end when it has enough."""
import signal
import subprocess

from harness import (FAIL, MIB, OK, USAGE, Run, attached, bytes_of, case, check, equal, file_of,
                     nothing_left, placed, run, stdin_of, until)


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


@case
def the_file_of_pub_is_one_message_if_it_fits():
    for size in 5, 70000, 3 * MIB:
        data = bytes_of(size)
        with file_of(data) as name:
            s = Run("sub", "--json", "--until-gone", "--policy", "lossless", "t")
            p = run("pub", "--json", "--wait-subscribers", "1", "--file", name, "--repeat", "2", "t")
            equal((p.summary["messages"], p.events[:-1]), (2, []))
            check(s.ends(OK).out == 2 * data, len(s.out))
            equal(s.summary["messages"], 2)
    with file_of(bytes_of(200 << 10)) as name:      # it does not fit
        s = Run("sub", "--json", "--until-gone", "--policy", "lossless", "--pool", "128K", "t")
        until(lambda: placed("t"), "a subscriber")
        p = run("pub", "--json", "--wait-subscribers", "1", "--file", name, "t")
        equal(p.summary["messages"], 4)
        note = p.events[0]["message"]
        check("204800" in note and "--pool" in note and "--size" in note, note)
        check(s.ends(OK).out == bytes_of(200 << 10), len(s.out))
    with file_of(b"") as name:
        equal(run("pub", "--json", "--file", name, "t").summary["messages"], 0)
    nothing_left()


@case
def pub_reads_what_sub_writes_as_json():
    run("pub", "--persist", "-m", "text \u00e4\n", "-H", "a=1", "-H", "a=2", "-H", "b=", "from")
    for data in bytes(range(256)), b"\0", b"\xff", b"\xff\xfe", b"\xff\xfe\xfd":
        with file_of(data) as name:
            run("pub", "--file", name, "from")
    show = ("sub", "--from", "oldest", "--until-gone", "--format", "json")
    text = run(*show, "from").out
    run("pub", "--format", "json", "--persist", "to", stdin=stdin_of(text))
    copy = run(*show, "to").out
    equal(copy.replace(b'"topic":"to"', b'"topic":"from"'), text)
    equal(len(copy.split(b"\n")), 7)
    for bad in (b"x\n", b"[]\n", b"{}\n", b'{"payload":1}\n', b'{"payload_base64":"A"}\n',
                b'{"payload_base64":"A;=="}\n', b'{"payload":"","headers":{"a":1}}\n'):
        r = run("pub", "--format", "json", "to", stdin=stdin_of(b'{"payload":"good"}\n' + bad), code=FAIL)
        check("line 2: " in r.err and "EINVAL" in r.err and "1 messages were sent" in r.err, r.err)
    for args in ["--lines"], ["--size", "3"], ["-m", "x"], ["-H", "a=b"]:
        run("pub", "--format", "json", *args, "to", code=USAGE)
    run("rm", "from", "to")
    nothing_left()


@case
def reports_end_when_their_reader_leaves_though_nothing_happens():
    run("pub", "--persist", "-m", "x", "t")
    for args in (["watch"], ["watch", "--json", "--new"], ["trace", "--deaths", "nothing"],
                 ["trace", "--slow", "nothing", "--every", "0.01"],
                 ["trace", "--histogram", "occupancy", "--every", "0.01", "nothing"]):
        r = piped(*args)
        if args == ["watch"]:
            r.p.stdout.readline()
        r.p.stdout.close()
        r.ends(OK)
        check("cannot write" not in r.err, args, r.err)
    run("rm", "t")
    nothing_left()


@case
def a_full_disk_is_an_error_of_each_command():
    p = Run("pub", "-m", "x", "--repeat", "1000000", "--rate", "200", "t")
    attached("t", "producer")
    often = ["--count", "1", "--every", "0.01"]
    with open("/dev/full", "wb") as full:
        for args in (["--help"], ["--version"], ["ls"], ["ls", "--json"], ["stat", "t"], ["stat", "--json", "t"],
                     ["hz", *often], ["bw", "--json", *often], ["watch"], ["watch", "--json"],
                     ["top", "--plain", *often], ["top", "--json", *often], ["metrics"], ["trim", "t"],
                     ["trim", "--json", "t"], ["trace", "--slow", *often], ["completion", "bash"],
                     ["trace", "--histogram", "occupancy", "--duration", "0.01"], ["sub", "t"],
                     ["sub", "--format", "json", "t"], ["sub", "--file", "/dev/full", "t"], ["bench", "--help"]):
            r = run(*args, stdout=full, code=FAIL)
            check("No space left on device" in r.err, args, r.err)
    p.kill(signal.SIGINT).ends(130)
    nothing_left()
