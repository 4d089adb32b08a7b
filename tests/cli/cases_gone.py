# SPDX-License-Identifier: MIT
"""One side is killed, interrupted, or leaves."""
import signal
import subprocess

from harness import (FAIL, MIB, OK, ON_DEV, PEER, Run, attached, bytes_of, case, check, equal, file_of,
                     full_ring, nothing_left, number, objects, run, stat, stdin_of, stopped,
                     transfer, until)


def stopped_receiver():
    r = Run("recv", "t")
    attached("t", "consumer")
    return stopped(r)


@case
def the_sender_is_killed_in_mid_file():
    with full_ring() as (s, r, data):
        published = stat("t")["tail_seq"]
        s.kill().wait()
        r.kill(signal.SIGCONT).ends(PEER)
        equal(r.summary["exit"], PEER)
        equal(r.summary["messages"], published, "messages that were published")
        got = r.out
        check(0 < len(got) < len(data) and data.startswith(got), len(got))
        error = [e for e in r.events if e["event"] == "error"][0]["message"]
        check("was killed" in error, error)
        equal(number(r"received (\d+) messages", error), published)
        equal(number(r"messages, (\d+) bytes", error), len(got))
    nothing_left()
    transfer(bytes_of(65537), True)


@case
def the_sender_is_killed_while_the_receiver_sleeps():
    for how in "block", "spin":
        r = Run("recv", "--wait", how, "t")
        s = Run("send", "t", stdin=subprocess.PIPE)
        s.stdin.write(b"some")
        s.stdin.flush()
        until(lambda: r.out == b"some", "the first bytes")
        s.kill().wait()
        s.stdin.close()
        r.ends(PEER)
        check("was killed" in r.err and "received 1 messages, 4 bytes" in r.err, r.err)
        nothing_left()


@case
def the_receiver_is_killed_in_mid_file():
    for how in "block", "spin":
        with full_ring("--wait", how) as (s, r, _):
            st = stat("t")
            r.kill().wait()
            s.ends(PEER)
            error = [e for e in s.events if e["event"] == "error"][0]["message"]
            check("receiver" in error and "was killed" in error, error)
            equal(number(r"(\d+) messages, \d+ bytes were sent", error), st["tail_seq"])
            equal(number(r"of which (\d+) messages were taken", error), st["head_seq"])
        nothing_left()
        transfer(bytes_of(65537), False)


@case
def the_receiver_is_killed_while_the_sender_waits_for_input():
    r = Run("recv", "t")
    s = Run("send", "t", stdin=subprocess.PIPE)
    s.stdin.write(b"x")
    s.stdin.flush()
    until(lambda: r.out == b"x", "a sender that has seen the receiver")
    r.kill().wait()
    s.ends(PEER)
    s.stdin.close()
    check("was killed" in s.err, s.err)
    nothing_left()


@case
def a_message_that_is_not_taken_is_a_failure():
    r = stopped_receiver()
    s = Run("send", "t", stdin=stdin_of(b"abcde"))
    until(lambda: (stat("t") or {}).get("backlog") == 1, "a message in the ring")
    r.kill().wait()
    s.ends(PEER)
    check("1 messages, 5 bytes were sent, of which 0 messages were taken" in s.err, s.err)
    nothing_left()


@case
def the_receiver_leaves_before_the_end():
    with full_ring() as (s, r, data):
        r.kill(signal.SIGTERM).kill(signal.SIGCONT)
        r.ends(128 + signal.SIGTERM)
        s.ends(PEER)
        check("left before it had taken all" in s.err, s.err)
    nothing_left()


@case
def count_ends_after_that_many_messages():
    with file_of(b"".join(b"%d\n" % i for i in range(100000))) as name:
        r = Run("recv", "--count", "3", "t")
        s = Run("send", "--lines", "--file", name, "t")
        r.ends(OK)
        s.ends(PEER)
        equal(r.out, b"0\n1\n2\n")
    nothing_left()


def interrupt(sig):
    code = 128 + sig
    for command in "send", "recv", "pub", "sub":
        r = Run(command, "t", stdin=subprocess.PIPE)
        attached("t", {"recv": "consumer", "sub": "reader"}.get(command, "producer"))
        r.kill(sig).ends(code)
        r.stdin.close()
        nothing_left()


@case
def a_command_alone_is_interrupted_and_leaves_nothing():
    interrupt(signal.SIGINT)
    interrupt(signal.SIGTERM)
    interrupt(signal.SIGHUP)


@case
def an_interrupted_sender_does_not_look_complete():
    for sig in signal.SIGINT, signal.SIGTERM:
        r = Run("recv", "t")
        attached("t", "consumer")
        s = Run("send", "t", stdin=subprocess.PIPE)
        s.stdin.write(b"half")
        s.stdin.flush()
        until(lambda: r.out == b"half", "the first bytes")
        s.kill(sig).ends(128 + sig)
        s.stdin.close()
        r.ends(PEER)
        check("mid-stream" in r.err, r.err)
        nothing_left()


@case
def both_are_interrupted_at_the_same_moment():
    for i in range(30):
        r = Run("recv", "t")
        s = Run("send", "t", stdin=subprocess.PIPE)
        attached("t", "producer")
        attached("t", "consumer")
        for x in (s, r) if i % 2 else (r, s):
            x.kill(signal.SIGINT)
        check(s.wait() in (130, PEER), s.err)
        check(r.wait() in (130, PEER), r.err)
        s.stdin.close()
        nothing_left()


@case
def gc_removes_what_killed_pairs_leave():
    r = Run("recv", "t")
    s = Run("send", "t", stdin=subprocess.PIPE)
    attached("t", "producer")
    attached("t", "consumer")
    stopped(r)      # so that it cannot clean up after the sender
    s.kill().wait()
    s.stdin.close()
    r.kill().wait()
    if ON_DEV:      # the kernel keeps nothing of a dead process
        until(lambda: stat("t") is None, "no leftover")
        equal(run("gc", "-n").out, b"")
        nothing_left()
        return
    until(lambda: stat("t")["state"] == "leftover", "a leftover")
    equal(objects(run("ls", "--json").out)[0]["state"], "leftover")
    equal(objects(run("gc", "-n", "--json").out), [{"name": "t", "leftover": True, "error": None}])
    equal(run("gc", "-n").out, b"t: leftover\n")
    equal(objects(run("gc", "--json").out), [{"name": "t", "removed": True, "error": None}])
    nothing_left()


@case
def the_next_open_replaces_a_leftover():
    s = Run("send", "--ring", "2M", "t", stdin=subprocess.PIPE)
    attached("t", "producer")
    was = stat("t")["id"]
    s.kill().wait()
    s.stdin.close()
    r = Run("recv", "t")
    until(lambda: (stat("t") or {}).get("attached") == 1, "a new segment")
    st = stat("t")
    check(st["id"] != was and st["data_bytes"] == MIB, st)
    r.kill(signal.SIGINT).ends(130)
    nothing_left()


@case
def a_pipe_whose_reader_left_ends_it():
    data = bytes_of(4 * MIB)
    with file_of(data) as name:
        r = Run("recv", "t", stdout=subprocess.PIPE)
        s = Run("send", "--file", name, "t")
        equal(r.p.stdout.read(10), data[:10])
        r.p.stdout.close()
        r.ends(FAIL)
        check("EPIPE" in r.err and "standard output" in r.err, r.err)
        s.ends(PEER)
    r = Run("recv", "t", stdout=subprocess.PIPE)    # it has nothing to write
    attached("t", "consumer")
    r.p.stdout.close()
    r.ends(FAIL)
    check("reader has gone" in r.err, r.err)
    nothing_left()


@case
def a_full_disk_is_an_error():
    with open("/dev/full", "wb") as full:
        for size in "10", "64K":
            r = Run("recv", "t", stdout=full)
            s = Run("send", "--size", size, "t", stdin=open("/dev/zero", "rb"))
            r.ends(FAIL)
            check("ENOSPC" in r.err, r.err)
            s.ends(PEER)
        r = run("doctor", stdout=full, code=FAIL)
        check("standard output" in r.err, r.err)
    nothing_left()
