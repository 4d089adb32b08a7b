# SPDX-License-Identifier: MIT
"""pub and sub: losses, beginnings, strides."""
import signal
import subprocess

from harness import (FAIL, LOST, MIB, OK, PEER, TIMEOUT, Run, attached, bytes_of, case, check,
                     equal, file_of, nothing_left, number, run, stat, stdin_of, stopped, until)


def publish_to(subs, n):
    """One line to each reader; then the rest of n lines while the readers stand still."""
    attached("t", "reader", len(subs))
    p = Run("pub", "--json", "--lines", "t", stdin=subprocess.PIPE)
    lines = [b"%d\n" % i for i in range(n)]
    p.stdin.write(b"".join(lines[:len(subs)]))
    p.stdin.flush()
    for s in subs:
        until(lambda s=s: s.out, "the first line")
        stopped(s)
    p.stdin.write(b"".join(lines[len(subs):]))
    p.stdin.close()
    equal(p.ends(OK).summary["messages"], n)
    for s in subs:
        s.kill(signal.SIGCONT)


@case
def losses_are_counted_exactly():
    n = 100000
    s = Run("sub", "--json", "--ring", "64K", "t")
    publish_to([s], n)
    s.ends(OK)
    lost = [e for e in s.events if e["event"] == "lost"]
    got = [int(x) for x in s.out.split()]
    check(lost and got, s.err)
    equal(sum(e["messages"] for e in lost), s.summary["lost"], "losses in the events")
    equal(len(got) + s.summary["lost"], n, "got and lost")
    equal(len(got), s.summary["messages"])
    missing = []
    for e in lost:
        equal(e["last_seq"] - e["first_seq"] + 1, e["messages"])
        missing += range(e["first_seq"], e["last_seq"] + 1)
    equal(sorted(got + missing), list(range(n)), "every number once")
    nothing_left()


@case
def losses_are_told_in_words_and_strict_makes_them_fail():
    for strict, code in ((), OK), (("--strict",), LOST):
        s = Run("sub", "--ring", "64K", *strict, "t")
        publish_to([s], 100000)
        s.ends(code)
        lost = number(r"lost (\d+) messages, numbers 1 to", s.err)
        check("lost %d messages\n" % lost in s.err, s.err)
        equal(lost + len(s.out.split()), 100000)
    s = Run("sub", "--strict", "t")
    publish_to([s], 100)
    s.ends(OK)


@case
def readers_share_by_stride():
    n = 50000
    subs = [Run("sub", "--json", "--ring", "64K", "--stride", "3", "--at", str(k), "t")
            for k in range(3)]
    publish_to(subs, n)
    for k, s in enumerate(subs):
        s.ends(OK)
        got = [int(x) for x in s.out.split()]
        check(got and all(x % 3 == k for x in got))
        equal(len(got) + s.summary["lost"], len(range(k, n, 3)), "share of %d" % k)
        for e in s.events:
            if e["event"] == "lost":
                equal(e["first_seq"] % 3, k)
                equal((e["last_seq"] - e["first_seq"]) // 3 + 1, e["messages"])
    nothing_left()


@case
def a_reader_that_keeps_up_loses_nothing():
    with file_of(bytes_of(MIB // 2)) as name:
        subs = [Run("sub", "--json", "--ring", "4M", "t") for _ in range(3)]
        attached("t", "reader", 3)
        run("pub", "--file", name, "--size", "1000", "--wait-readers", "3", "t")
        for s in subs:
            s.ends(OK)
            check(s.out == bytes_of(MIB // 2))
            equal(s.summary["lost"], 0)
    nothing_left()


@case
def a_reader_that_is_seen_gets_all():
    for _ in range(100):
        s = Run("sub", "t")
        run("pub", "--wait-readers", "1", "t", stdin=stdin_of(b"abcde"))
        equal(s.ends(OK).out, b"abcde")


@case
def wait_readers_waits():
    p = Run("pub", "--json", "--wait-readers", "2", "t", stdin=stdin_of(b"abcde"))
    attached("t", "producer")
    a = Run("sub", "t")
    attached("t", "reader", 1)
    equal(stat("t")["tail_seq"], 0)
    b = Run("sub", "t")
    for x in p, a, b:
        x.ends(OK)
    equal((a.out, b.out), (b"abcde", b"abcde"))
    p = run("pub", "--wait-readers", "64", "t", code=FAIL)
    check("64" in p.err and "--peers" in p.err, p.err)
    p = run("pub", "--wait-readers", "1", "--timeout", "0.2", "t", code=TIMEOUT)
    nothing_left()


@case
def where_a_reader_begins():
    run("pub", "--persist", "--size", "1", "t", stdin=stdin_of(b"abcde"))
    equal(run("sub", "--from", "oldest", "t").out, b"abcde")
    equal(run("sub", "--from", "newest", "t").out, b"e")
    s = Run("sub", "--from", "new", "t")
    attached("t", "reader")
    run("pub", "--size", "1", "t", stdin=stdin_of(b"abcde"))
    equal(s.ends(OK).out, b"abcde")
    equal(run("sub", "--from", "oldest", "--count", "7", "t").out, b"abcdeab")
    run("rm", "t")
    nothing_left()


@case
def the_publisher_is_killed():
    s = Run("sub", "t")
    attached("t", "reader")
    p = Run("pub", "--lines", "t", stdin=subprocess.PIPE)
    p.stdin.write(b"one\n")
    p.stdin.flush()
    until(lambda: s.out == b"one\n", "the first line")
    p.kill().wait()
    p.stdin.close()
    s.ends(PEER)
    check("publisher" in s.err and "was killed" in s.err, s.err)
    nothing_left()


@case
def follow_goes_on_with_the_next_publisher():
    s = Run("sub", "--follow", "--lines", "t")
    attached("t", "reader")
    run("pub", "t", stdin=stdin_of(b"abcde"))
    until(lambda: s.out == b"abcde", "the first publisher's")
    run("pub", "t", stdin=stdin_of(b"abcde"))
    until(lambda: s.out == b"abcde\nabcde", "the second publisher's")
    s.kill(signal.SIGINT).ends(130)
    nothing_left()
