# SPDX-License-Identifier: MIT
"""What is refused, and the messages."""
import signal
import tempfile

from harness import (FAIL, MIB, OK, PEER, TIMEOUT, USAGE, Run, attached, case, check, equal,
                     file_of, full_ring, nothing_left, run, stat, stdin_of)


@case
def wrong_names_are_refused():
    for name in "", "/a", "a//b", "a/", ".", "..", "a/../b", "a b", "a\nb", "ä", "x" * 201:
        for command in "send", "recv", "pub", "sub", "stat", "rm":
            r = run(command, name, code=USAGE)
            check("EINVAL" in r.err, r.err)
    r = run("rm", "good", "..", code=USAGE)
    nothing_left()


@case
def wrong_use_is_refused():
    for args in ([], ["frob"], ["recv"], ["recv", "a", "b"], ["recv", "--frob", "a"],
                 ["recv", "-Z", "a"], ["recv", "--ring"], ["recv", "--ring", "0", "a"],
                 ["recv", "--ring", "-1", "a"], ["recv", "--ring", "1X", "a"],
                 ["recv", "--ring", "99999999999G", "a"], ["recv", "--page", "3k", "a"],
                 ["recv", "--wait", "long", "a"], ["recv", "--timeout", "soon", "a"],
                 ["recv", "--mode", "888", "a"], ["recv", "--count", "0", "a"],
                 ["recv", "--json=1", "a"], ["send", "--strict", "a"],
                 ["send", "--lines", "--size", "4", "a"], ["ls", "a//b"], ["rm"], ["gc", "a"],
                 ["stat"], ["doctor", "a"]):
        r = run(*args, code=USAGE)
        check("usage" in r.err or "--help" in r.err, args, r.err)
    nothing_left()


@case
def other_options_than_the_creators_are_named_with_both_values():
    r = Run("recv", "--ring", "1M", "--align", "8", "t")
    attached("t", "consumer")
    for option, value, text in (("--ring", "4M", "size 4M, it was created with 1M"),
                                ("--align", "64", "align 64, it was created with 8")):
        s = run("send", option, value, "t", code=FAIL)
        equal(s.err, 'shmipc: ring "t": you asked for %s (EINVAL); ask for the same, or leave it out\n' % text)
    for command in "pub", "sub", "hz":      # another kind
        s = run(command, "t", code=FAIL)
        equal(s.err, 'shmipc: ring "t": you asked for kind topic, it was created with kind spsc (EINVAL); '
              "use another name, or remove it first\n")
    st = stat("t")
    equal((st["data_bytes"], st["align"], st["kind"]), (MIB, 8, "spsc"))
    r.kill(signal.SIGINT).ends(130)
    nothing_left()


@case
def a_second_receiver_is_refused():
    r = Run("recv", "t")
    attached("t", "consumer")
    second = run("recv", "t", code=FAIL)
    check("EBUSY" in second.err, second.err)
    run("send", "t", stdin=stdin_of(b"abcde"))
    equal(r.ends(OK).out, b"abcde")


@case
def messages_that_can_never_fit_are_refused():
    r = Run("recv", "--ring", "64K", "t")
    attached("t", "consumer")
    s = run("send", "--size", "64K", "t", code=FAIL)
    check("EMSGSIZE" in s.err and "--ring" in s.err and "65536" in s.err, s.err)
    r.ends(PEER)
    r = Run("recv", "--ring", "64K", "t")
    attached("t", "consumer")
    with file_of(b"short\n" + b"x" * 70000 + b"\n") as name:
        s = run("send", "--lines", "--file", name, "t", code=FAIL)
    check("line 2" in s.err and "EMSGSIZE" in s.err, s.err)
    r.ends(PEER)
    equal(r.out, b"short\n")
    nothing_left()


@case
def files_that_cannot_be_opened_are_named():
    s = run("send", "--file", "/nonexistent/file", "t", code=FAIL)
    check("/nonexistent/file" in s.err and "ENOENT" in s.err, s.err)
    r = run("recv", "--file", "/nonexistent/file", "t", code=FAIL)
    check("/nonexistent/file" in r.err and "ENOENT" in r.err, r.err)
    with tempfile.TemporaryDirectory() as d:    # can be opened, and not read
        r = Run("recv", "t")
        s = run("send", "--file", d, "t", code=FAIL)
        check("EISDIR" in s.err, s.err)
        r.ends(PEER)
    nothing_left()


@case
def timeouts_pass():
    for args in (["recv", "--timeout", "0.1", "t"], ["send", "--timeout", "0.1", "t"],
                 ["sub", "--timeout", "0.1", "t"], ["recv", "-w", "spin", "-t", "0.1", "t"]):
        r = run(*args, code=TIMEOUT)
        check("ETIMEDOUT" in r.err, r.err)
        nothing_left()
    with full_ring("--timeout", "0.3") as (s, r, _):
        s.ends(TIMEOUT)
        check("room" in s.err, s.err)
        r.kill(signal.SIGCONT).ends(PEER)   # what it has is incomplete
    nothing_left()
