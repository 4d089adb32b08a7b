# SPDX-License-Identifier: MIT
"""Names that are not there, and topics that nobody publishes."""
import signal
import subprocess

from harness import (FAIL, OK, ON_DEV, TIMEOUT, Run, Skip, attached, case, check, equal, nothing_left,
                     placed, run, stat, stdin_of, until)


def notes(r):
    return [e["message"] for e in r.events if e["event"] == "note"]


@case
def sub_says_once_that_nobody_publishes_and_goes_on_waiting():
    s = Run("sub", "--json", "--format", "raw", "--count", "1", "news")
    until(lambda: notes(s), "a note", s)
    until(lambda: placed("news"), "a subscriber")
    run("pub", "-m", "x", "news")
    equal(s.ends(OK).out, b"x")
    equal(notes(s), ['shmipc: sub: nobody publishes "news" yet'])
    s = Run("sub", "--quiet", "news")
    until(lambda: placed("news"), "a subscriber")
    s.kill(signal.SIGINT).ends(130)
    equal(s.err, "")
    nothing_left()


@case
def each_end_says_once_that_its_name_was_removed():
    if ON_DEV:
        raise Skip("on the device no end looks for its name")
    s = Run("sub", "--json", "--format", "raw", "news")
    until(lambda: placed("news"), "a subscriber")
    p = Run("pub", "--json", "news", stdin=subprocess.PIPE)
    attached("news", "producer")
    run("rm", "news")
    until(lambda: any("was removed" in n for n in notes(p)), "a note", p)
    # A subscriber that sleeps looks when a message has come.
    p.stdin.write(b"x\n")
    p.stdin.flush()
    until(lambda: any("was removed" in n for n in notes(s)), "a note", s)
    p.stdin.close()
    p.ends(OK)
    s.kill(signal.SIGINT).ends(130)
    for end in (p, s):
        equal(len([n for n in notes(end) if "was removed" in n]), 1)
    nothing_left()


@case
def sub_says_nothing_where_somebody_publishes_or_messages_are_kept():
    p = Run("pub", "news", stdin=subprocess.PIPE)
    attached("news", "producer")
    s = run("sub", "--json", "--timeout", "0.05", "news", code=TIMEOUT)
    equal(notes(s), [])
    p.stdin.write(b"x")
    p.stdin.close()
    p.ends(OK)
    run("pub", "--persist", "-m", "x", "kept")
    s = run("sub", "--json", "--from", "oldest", "--timeout", "0.05", "kept", code=TIMEOUT)
    equal((s.out, notes(s)), (b"x", []))
    s = run("sub", "--json", "--timeout", "0.05", "kept", code=TIMEOUT)
    equal(notes(s), ['shmipc: sub: nobody publishes "kept" at the moment'])
    run("rm", "kept")
    nothing_left()


@case
def a_misspelt_topic_names_the_nearest_that_somebody_publishes():
    p = Run("pub", "robot/left/camera", stdin=subprocess.PIPE)
    attached("robot/left/camera", "producer")
    w = Run("sub", "robot/left/camara")     # as misspelt as ours: it is not what was meant
    until(lambda: placed("robot/left/camara"), "a subscriber")
    r = Run("recv", "robot/left/camer")     # and this is a ring
    attached("robot/left/camer", "consumer")
    for args in ["sub", "--timeout", "0.05"], ["hz", "--timeout", "0.05"], ["bw", "--timeout", "0.05"]:
        x = run(*args, "robot/left/camar", code=TIMEOUT)
        equal(x.err.count("did you mean"), 1, x.err)
        check('nobody publishes "robot/left/camar" yet; did you mean robot/left/camera?\n' in x.err, x.err)
    x = run("stat", "robt/left/camera", code=FAIL)
    check("ENOENT" in x.err and "; did you mean robot/left/camera?\n" in x.err, x.err)
    x = run("sub", "--read-only", "robt/left/camera", code=FAIL)
    check("ENOENT" in x.err and "; did you mean robot/left/camera?\n" in x.err, x.err)
    x = run("hz", "--timeout", "0.05", "elsewhere", code=TIMEOUT)
    check('nobody publishes "elsewhere" yet\n' in x.err, x.err)
    p.stdin.close()
    p.ends(OK)
    for x in r, w:
        x.kill(signal.SIGINT).ends(130)
    nothing_left()


@case
def looking_creates_nothing_and_hz_goes_on():
    for command in "hz", "bw":
        run(command, "--count", "1", "--every", "0.01", "news")
        nothing_left()
    run("stat", "news", code=FAIL)
    nothing_left()
    h = Run("hz", "--json", "--every", "0.01", "news")
    until(lambda: notes(h), "a note", h)
    p = Run("pub", "--message", "x", "--repeat", "1000000", "--rate", "1000", "news")
    until(lambda: b'"messages":1' in h.out.replace(b" ", b""), "messages in hz", h)
    equal(notes(h), ['shmipc: hz: nobody publishes "news" yet'])
    for x in h, p:
        x.kill(signal.SIGINT).ends(130)
    nothing_left()


@case
def stat_says_that_a_topic_is_only_waited_for():
    s = Run("sub", "news")
    until(lambda: placed("news"), "a subscriber")
    x = run("stat", "news")
    equal(x.err, 'shmipc: stat: nobody publishes "news" yet\n')
    check("\nshape     provisional" in x.out.decode(), x.out)
    equal(stat("news")["provisional"], True)
    p = Run("pub", "news", stdin=subprocess.PIPE)
    attached("news", "producer")
    x = run("stat", "news")
    equal((x.err, "provisional" in x.out.decode(), stat("news")["provisional"]), ("", False, False))
    p.stdin.close()
    p.ends(OK)
    s.kill(signal.SIGINT).ends(130)
    nothing_left()


# Commands that go on, or end well, though nothing matches.
WAITING = (["hz", "--count", "1", "--every", "0.01"], ["bw", "--count", "1", "--every", "0.01"],
           ["top", "--plain", "--count", "1", "--every", "0.01"], ["metrics"],
           ["trace", "--histogram", "occupancy", "--duration", "0.01"], ["watch"])


def told(r):
    """What it said, but for what it uses on the device."""
    return "".join(x for x in r.err.splitlines(True) if "listens to the sampler" not in x)


@case
def a_pattern_that_matches_nothing_is_reported():
    run("pub", "--persist", "-m", "x", "robot/camera")
    r = Run("recv", "nothing-but-a-ring")
    attached("nothing-but-a-ring", "consumer")
    for args in WAITING:
        what = "topic" if args[0] in ("hz", "bw") else "segment"
        for pattern, said in (("robt/*", ': no %s matches "robt/*"\n' % what),
                              ("robot/camra", "; did you mean robot/camera?\n")):
            x = Run(*args, pattern)
            if args == ["watch"]:
                until(lambda: x.err, "a note", x)
                x.kill(signal.SIGINT).ends(130)
            else:
                x.ends(OK)
            check(told(x).endswith(said) and told(x).count("\n") == 1, args, x.err)
        x = Run(*args, "robot/*", *(["--count", "1"] if args == ["watch"] else [])).ends(OK)
        equal(told(x), "", args)
    x = run("hz", "--count", "1", "--every", "0.01", "nothing*")    # only the ring does
    equal(x.err, 'shmipc: hz: no topic matches "nothing*"\n')
    x = run("trim", "robot/camra", code=FAIL)
    check("ENOENT" in x.err and x.err.endswith("; did you mean robot/camera?\n"), x.err)
    r.kill(signal.SIGINT).ends(130)
    run("rm", "robot/camera")
    for command in "hz", "bw":
        equal(run(command, "--count", "1", "--every", "0.01").err, "shmipc: %s: there is no topic yet\n" % command)
    nothing_left()


@case
def an_end_of_a_ring_says_once_that_it_is_alone():
    r = Run("recv", "--json", "news")
    until(lambda: notes(r), "a note", r)
    run("send", "news", stdin=stdin_of(b"x"))
    equal((r.ends(OK).out, notes(r)), (b"x", ['shmipc: recv: nobody sends to "news" yet']))
    s = Run("send", "--json", "news", stdin=stdin_of(b"x"))
    until(lambda: notes(s), "a note", s)
    equal(run("recv", "--quiet", "news").out, b"x")
    equal((s.ends(OK).out, notes(s)), (b"", ['shmipc: send: nobody receives from "news" yet']))
    r = Run("recv", "--quiet", "news")
    attached("news", "consumer")
    r.kill(signal.SIGINT).ends(130)
    equal(r.err, "")
    nothing_left()
