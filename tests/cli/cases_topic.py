# SPDX-License-Identifier: MIT
"""pub and sub: losses, beginnings, policies, strides and groups."""
import signal
import subprocess

from harness import (FAIL, LOST, MIB, OK, ON_DEV, PEER, TIMEOUT, USAGE, Run, attached, bytes_of, case,
                     check, equal, file_of, nothing_left, number, objects, placed, run, stat,
                     stdin_of, stopped, until)

UNTIL_GONE = ("sub", "--json", "--until-gone")


def subscribed(n, name="t"):
    """n subscribers that will receive the next message."""
    until(lambda: len(placed(name)) >= n, "%d subscribers of %s" % (n, name))


def publish_to(subs, n, *pub):
    """One line to each subscriber; then the rest of n lines while the subscribers are stopped."""
    subscribed(len(subs))
    p = Run("pub", "--json", "--lines", *pub, "t", stdin=subprocess.PIPE)
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


def lost_numbers(s, every=1):
    """The lost numbers, from its events."""
    missing = []
    for e in s.events:
        if e["event"] == "lost":
            numbers = range(e["first_seq"], e["last_seq"] + 1, every)
            equal(len(numbers), e["messages"], "messages of an event")
            missing += numbers
    return missing


@case
def losses_are_counted_exactly():
    n = 20000
    s = Run(*UNTIL_GONE, "--history", "64", "t")
    publish_to([s], n)
    s.ends(OK)
    got = [int(x) for x in s.out.split()]
    missing = lost_numbers(s)
    check(missing and got, s.err)
    equal(len(missing), s.summary["lost"], "losses in the events")
    equal(len(got), s.summary["messages"])
    equal(sorted(got + missing), list(range(n)), "every number once")
    nothing_left()


@case
def losses_are_reported_as_text_and_strict_makes_them_fail():
    for strict, code in ((), OK), (("--strict",), LOST):
        s = Run("sub", "--until-gone", "--history", "64", *strict, "t")
        publish_to([s], 20000)
        s.ends(code)
        lost = number(r"lost (\d+) messages, numbers 1 to", s.err)
        check("lost %d messages\n" % lost in s.err, s.err)
        equal(lost + len(s.out.split()), 20000)
    s = Run("sub", "--until-gone", "--strict", "t")
    publish_to([s], 100)
    s.ends(OK)


@case
def subscribers_share_by_stride():
    n = 20000
    subs = [Run(*UNTIL_GONE, "--history", "64", "--stride", "3/%d" % k, "t") for k in range(3)]
    publish_to(subs, n)
    for k, s in enumerate(subs):
        s.ends(OK)
        got = [int(x) for x in s.out.split()]
        missing = lost_numbers(s, 3)
        equal(sorted(got + missing), list(range(k, n, 3)), "share of %d" % k)
        equal(len(missing), s.summary["lost"])
    nothing_left()


@case
def a_group_shares_messages():
    n = 500
    subs = [Run(*UNTIL_GONE, "--policy", "lossless", "--group", "7", "t") for _ in range(3)]
    subscribed(3)
    text = b"".join(b"%d\n" % i for i in range(n))
    run("pub", "--lines", "t", stdin=stdin_of(text))
    got = []
    for s in subs:
        got += s.ends(OK).out.split()
    equal(sorted(map(int, got)), list(range(n)), "each message went to one of them")
    nothing_left()


@case
def publishers_wait_for_a_lossless_subscriber():
    n = 5000
    s = Run(*UNTIL_GONE, "--policy", "lossless", "--history", "64", "t")
    subscribed(1)
    p = Run("pub", "--json", "--lines", "t", stdin=stdin_of(b"".join(b"%d\n" % i for i in range(n))))
    equal([int(x) for x in s.ends(OK).out.split()], list(range(n)))
    p.ends(OK)
    equal(s.summary["lost"], 0)
    nothing_left()


@case
def a_publisher_names_the_subscriber_in_its_way():
    s = Run("sub", "--policy", "lossless", "--history", "64", "t")
    subscribed(1)
    stopped(s)
    p = run("pub", "--timeout", "0.3", "--message", "x", "--repeat", "10000", "t", code=TIMEOUT)
    check("lossless subscriber" in p.err and "pid %d" % s.p.pid in p.err, p.err)
    check("ETIMEDOUT" in p.err and "messages behind" in p.err, p.err)
    p = Run("pub", "--message", "x", "--repeat", "10000", "t")
    until(lambda: any(x["waits_for"] is not None for x in stat("t")["publisher"]), "a waiting publisher")
    slot = stat("t")["subscriber"][0]["slot"]
    equal([x["waits_for"] for x in stat("t")["publisher"] if x["state"] == "attached"], [slot])
    s.kill().wait()     # and what it held is free for the publisher at once
    p.ends(OK)
    nothing_left()


@case
def a_subscriber_that_is_too_slow_is_cut_off():
    s = Run("sub", "--json", "--policy", "evict", "--evict-after", "0.05", "--history", "64", "t")
    subscribed(1)
    stopped(s)
    p = run("pub", "--json", "--message", "x", "--repeat", "10000", "t")
    equal((p.summary["messages"], p.summary["evicted"]), (10000, 1))
    check(stat("t")["subscriber"][0]["evicted"], stat("t"))
    check("cut off" in run("stat", "t").out.decode())
    s.kill(signal.SIGCONT).ends(LOST)
    error = [e for e in s.events if e["event"] == "error"][0]["message"]
    check("ECONNRESET" in error and "cut off" in error, error)
    nothing_left()


@case
def a_policy_that_is_not_allowed_is_refused():
    s = Run("sub", "--policies", "lossy,evict", "t")
    subscribed(1)
    equal(stat("t")["policies"], ["lossy", "evict"])
    r = run("sub", "--policy", "lossless", "t", code=FAIL)
    check("EOPNOTSUPP" in r.err and "lossless" in r.err, r.err)
    s.kill(signal.SIGINT).ends(130)


@case
def a_subscriber_that_keeps_up_loses_nothing():
    with file_of(bytes_of(MIB // 2)) as name:
        subs = [Run(*UNTIL_GONE, "t") for _ in range(3)]
        subscribed(3)
        run("pub", "--file", name, "--size", "1000", "--wait-subscribers", "3", "t")
        for s in subs:
            s.ends(OK)
            check(s.out == bytes_of(MIB // 2))
            equal(s.summary["lost"], 0)
    nothing_left()


@case
def large_messages_go_through_the_pool():
    data = bytes_of(4 * MIB + 5)
    with file_of(data) as name:
        s = Run(*UNTIL_GONE, "--policy", "lossless", "t")
        run("pub", "--file", name, "--size", "100K", "--wait-subscribers", "1", "t")
        s.ends(OK)
        check(s.out == data, len(s.out))
    nothing_left()


@case
def a_subscriber_that_is_attached_receives_all():
    for _ in range(30):
        s = Run("sub", "--until-gone", "t")
        run("pub", "--wait-subscribers", "1", "t", stdin=stdin_of(b"abcde"))
        equal(s.ends(OK).out, b"abcde")


@case
def wait_subscribers_waits():
    p = Run("pub", "--json", "--wait-subscribers", "2", "t", stdin=stdin_of(b"abcde"))
    attached("t", "producer")
    a = Run("sub", "--until-gone", "t")
    subscribed(1)
    equal(stat("t")["messages"], 0)
    b = Run("sub", "--until-gone", "t")
    for x in p, a, b:
        x.ends(OK)
    equal((a.out, b.out), (b"abcde", b"abcde"))
    p = run("pub", "--wait-subscribers", "257", "t", code=FAIL)
    check("257" in p.err and "--subscribers" in p.err, p.err)
    p = run("pub", "--wait-subscribers", "1", "--timeout", "0.2", "t", code=TIMEOUT)
    nothing_left()


@case
def where_a_subscriber_begins():
    run("pub", "--persist", "--size", "1", "t", stdin=stdin_of(b"abcde"))

    def begin(where):
        return run("sub", "--until-gone", "--from", where, "t").out
    equal((begin("oldest"), begin("newest"), begin("3"), begin("0")),
          (b"abcde", b"e", b"de", b"abcde"))
    r = run("sub", "--from", "6", "t", code=FAIL)
    check("EINVAL" in r.err and "6" in r.err, r.err)
    s = Run("sub", "--until-gone", "--from", "new", "t")
    subscribed(1)
    run("pub", "--size", "1", "t", stdin=stdin_of(b"fgh"))
    equal(s.ends(OK).out, b"fgh")
    equal(run("sub", "--from", "oldest", "--count", "7", "t").out, b"abcdefg")
    run("rm", "t")
    nothing_left()


@case
def newest_skips_messages_in_between():
    s = Run(*UNTIL_GONE, "--newest", "t")
    publish_to([s], 500)
    s.ends(OK)
    equal(s.out, b"0\n499\n")
    equal((s.summary["skipped"], s.summary["lost"]), (498, 0))


@case
def a_subscriber_does_not_end_with_its_publishers():
    s = Run("sub", "--lines", "t")
    subscribed(1)
    run("pub", "t", stdin=stdin_of(b"abcde"))
    until(lambda: s.out == b"abcde\n", "the first publisher's")
    p = Run("pub", "t", stdin=subprocess.PIPE)
    attached("t", "producer")
    p.kill().wait()
    p.stdin.close()
    run("pub", "t", stdin=stdin_of(b"fg"))
    until(lambda: s.out == b"abcde\nfg\n", "the last publisher's")
    s.kill(signal.SIGINT).ends(130)
    nothing_left()


@case
def until_gone_waits_for_the_last_publisher():
    s = Run(*UNTIL_GONE, "t")
    subscribed(1)
    a, b = (Run("pub", "--lines", "t", stdin=subprocess.PIPE) for _ in range(2))
    attached("t", "producer", 2)
    for p, text in (a, b"a\n"), (b, b"b\n"):
        p.stdin.write(text)
        p.stdin.close()
        p.ends(OK)
        until(lambda: text in s.out, "its line")
    equal(s.ends(OK).out, b"a\nb\n")
    nothing_left()


@case
def a_killed_publisher_is_reported_with_until_gone():
    s = Run("sub", "--until-gone", "t")
    subscribed(1)
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
def count_and_rate_and_repeat():
    s = Run("sub", "--until-gone", "--lines", "t")
    p = run("pub", "--json", "--wait-subscribers", "1", "--message", "hello", "--repeat", "9",
            "--count", "3", "--rate", "1000", "t")
    equal((p.summary["messages"], p.summary["bytes"]), (3, 15))
    check(p.summary["seconds"] >= 0.002, p.summary)    # two intervals of a millisecond
    equal(s.ends(OK).out, b"hello\n" * 3)
    s = Run("sub", "--count", "2", "--until-gone", "t")
    p = run("pub", "--wait-subscribers", "1", "--lines", "--count", "3", "t",
            stdin=stdin_of(b"a\nb\nc\nd\n"))
    equal(s.ends(OK).out, b"a\nb\n")
    with file_of(b"ab\n") as name:
        s = Run("sub", "--until-gone", "t")
        run("pub", "--wait-subscribers", "1", "--file", name, "--repeat", "3", "t")
        equal(s.ends(OK).out, b"ab\n" * 3)
    nothing_left()


@case
def many_publishers_are_one_topic():
    with file_of(b"".join(b"%d\n" % i for i in range(2000))) as name:
        s = Run(*UNTIL_GONE, "--policy", "lossless", "--meta", "pub-id,pub-seq", "--format", "json", "t")
        subscribed(1)
        last = Run("pub", "--lines", "t", stdin=subprocess.PIPE)    # of the others, one may be done before another begins
        attached("t", "producer")
        pubs = [Run("pub", "--lines", "--file", name, "t") for _ in range(3)]
        for p in pubs:
            p.ends(OK)
        last.stdin.close()
        last.ends(OK)
        rows = objects(s.ends(OK).out)
    equal([x["seq"] for x in rows], list(range(6000)), "one order, without a gap")
    for pub in {x["pub_id"] for x in rows}:
        own = [x for x in rows if x["pub_id"] == pub]
        equal([x["pub_seq"] for x in own], list(range(2000)))
        equal([x["payload"] for x in own], ["%d\n" % i for i in range(2000)])
    nothing_left()


@case
def messages_and_numbers_that_can_never_fit_are_refused():
    s = Run("sub", "--pool", "64K", "t")
    subscribed(1)
    for args, text in ((["--size", "65K"], "66560"), (["--message", "x" * 70000], "70000")):
        p = run("pub", *args, "t", code=FAIL)
        check("EMSGSIZE" in p.err and "--pool" in p.err and text in p.err, p.err)
    s.kill(signal.SIGINT).ends(130)
    s = Run("sub", "--pool", "0", "--inline", "1000", "t")
    subscribed(1)
    equal(stat("t")["pool_bytes"], 0)
    check("pool      none" in run("stat", "t").out.decode())
    with file_of(b"short\n" + b"x" * 1500 + b"\n") as name:
        p = run("pub", "--lines", "--file", name, "t", code=FAIL)
    check("line 2" in p.err and "EMSGSIZE" in p.err, p.err)
    s.kill(signal.SIGINT).ends(130)
    nothing_left()


@case
def other_topic_options_than_the_creators_are_named_with_both_values():
    s = Run("sub", "--history", "100", "--publishers", "3", "--meta", "mono", "t")
    subscribed(1)
    for option, value, text in (("history", "200", "history 200, it was created with 100"),
                                ("meta", "all", "meta all, it was created with mono"),
                                ("meta", "wall,pub-id", "meta pub-id,wall, it was created with mono"),
                                ("publishers", "4", "publishers 4, it was created with 3"),
                                ("pool", "16M", "pool 16M, it was created with 8M"),
                                ("pool", "0", "pool 0, it was created with 8M"),
                                ("inline", "64", "inline 64, it was created with 1008"),
                                ("align", "64", "align 64, it was created with 16"),
                                ("holds", "3", "holds 3, it was created with 16"),
                                ("policies", "evict,lossy", "policies lossy,evict, it was created with all"),
                                ("evict-after", "0.25", "evict-after 0.25 s, it was created with 0.1 s"),
                                ("abort-after", "0.5", "abort-after 0.5 s, it was created with none"),
                                ("subscribers", "9", "subscribers 9, it was created with 256"),
                                ("page", "4k", "page 4K, it was created with auto"),
                                ("node", "0", "node 0, it was created with any"),
                                ("mode", "660", "mode 660, it was created with 600")):
        p = run("pub", "--" + option, value, "t", code=FAIL)
        equal(p.err, 'shmipc: topic "t": you asked for %s (EINVAL); ask for the same, or leave it out\n' % text)
    run("pub", "--history", "100", "-m", "x", "t")
    r = run("recv", "t", code=FAIL)     # another kind
    check("EINVAL" in r.err, r.err)
    s.kill(signal.SIGINT).ends(130)
    nothing_left()


@case
def gc_removes_what_killed_ends_leave():
    s = Run("sub", "t")
    subscribed(1)
    p = Run("pub", "t", stdin=subprocess.PIPE)
    attached("t", "producer")
    for x in stopped(s), p:
        x.kill().wait()
    p.stdin.close()
    if ON_DEV:      # the kernel keeps nothing of a dead process
        until(lambda: stat("t") is None, "no leftover")
        return
    until(lambda: stat("t")["state"] == "leftover", "a leftover")
    equal([x["state"] for k in ("publisher", "subscriber") for x in stat("t")[k]], ["died", "died"])
    equal(run("gc").out, b"t: removed\n")
    nothing_left()


@case
def more_publishers_than_there_is_room_for_are_refused():
    s = Run("sub", "--subscribers", "1", "--publishers", "1", "t")
    subscribed(1)
    r = run("sub", "t", code=FAIL)
    check("ENOSPC" in r.err, r.err)
    p = Run("pub", "t", stdin=subprocess.PIPE)
    attached("t", "producer")
    r = run("pub", "-m", "x", "t", code=FAIL)
    check("EBUSY" in r.err, r.err)
    p.stdin.close()
    p.ends(OK)
    s.kill(signal.SIGINT).ends(130)
    nothing_left()


@case
def what_a_stopped_publisher_does_is_limited():
    run("pub", "--persist", "--abort-after", "0.25", "-m", "x", "t")
    equal(stat("t")["abort_ns"], 250000000)
    check("after 0.25 s" in run("stat", "t").out.decode())
    run("pub", "--abort-after", "0.25", "-m", "y", "t")
    equal(stat("t")["messages"], 2)
    p = run("pub", "--abort-after", "1", "--publishers", "1", "-m", "x", "u", code=FAIL)
    check("nobody's way" in p.err, p.err)
    run("pub", "--persist", "-m", "x", "u")
    equal(stat("u")["abort_ns"], 0)
    check("aborts" not in run("stat", "u").out.decode())
    run("rm", "t", "u")
    nothing_left()


@case
def a_publisher_that_is_stopped_is_cut_off():
    args = ("pub", "--persist", "--fence-after", "0.25", "-m", "x", "t")
    if not ON_DEV:
        r = run(*args, code=FAIL)
        equal(r.err, "shmipc: topic options: fence-after is 0.25 s, but backend mem cannot cut off a process "
                     "(EOPNOTSUPP); use abort-after, or the kernel module\n")
        nothing_left()
        return
    run(*args)
    equal((stat("t")["fence_ns"], stat("t")["abort_ns"]), (250000000, 0))
    check("after 0.25 s" in run("stat", "t").out.decode())
    r = run("pub", "--fence-after", "0.5", "-m", "x", "t", code=FAIL)
    check("fence-after 0.5 s, it was created with 0.25 s" in r.err, r.err)
    r = run("pub", "--fence-after", "1", "--abort-after", "1", "-m", "x", "u", code=FAIL)
    check("not both" in r.err, r.err)
    r = run("pub", "--fence-after", "1", "--publishers", "1", "-m", "x", "u", code=FAIL)
    check("nobody's way" in r.err, r.err)
    run("rm", "t")
    nothing_left()


@case
def large_messages_are_sealed_on_the_device():
    big = "x" * 10000
    if not ON_DEV:
        p = run("pub", "--seal", "8k", "-m", big, "t", code=FAIL)
        check("EOPNOTSUPP" in p.err and "kernel module" in p.err, p.err)
        run("pub", "--persist", "-m", big, "t")
        equal(stat("t")["seal_bytes"], 0)
        equal(stat("t")["chunks_sealed"], 0)
    else:
        run("pub", "--persist", "--seal", "8k", "-m", big, "t")
        equal(stat("t")["seal_bytes"], 8192)
        equal(stat("t")["chunks_sealed"], 1)
        check("or more; sealed chunks: 1\n" in run("stat", "t").out.decode(), run("stat", "t").out)
        run("pub", "-m", "small", "t")
        equal(stat("t")["chunks_sealed"], 1)
        equal(run("sub", "--from", "oldest", "--count", "2", "t").out.decode(), big + "small")
    p = run("pub", "--seal", "16k", "-m", big, "t", code=FAIL)
    check("seal 16K, it was created with" in p.err, p.err)
    p = run("pub", "--seal", "1k", "-m", big, "u", code=FAIL)
    check("128 more than inline" in p.err, p.err)
    run("rm", "t")
    nothing_left()


@case
def wrong_use_of_topics_is_refused():
    for args in (["pub"], ["sub"], ["sub", "a", "b"], ["sub", "--stride", "3", "a"],
                 ["sub", "--stride", "3/3", "a"], ["sub", "--stride", "0/0", "a"],
                 ["sub", "--from", "here", "a"], ["sub", "--policy", "kind", "a"],
                 ["sub", "--policies", "lossy,", "a"], ["sub", "--meta", "x", "a"],
                 ["sub", "--group", "65", "a"], ["sub", "--group", "1", "--newest", "a"],
                 ["sub", "--filter", "x", "a"], ["sub", "--filter", "=x", "a"],
                 ["sub", "--format", "xml", "a"], ["sub", "--headers", "--format", "raw", "a"],
                 ["sub", "--headers", "a"], ["sub", "--lines", "--format", "hex", "a"],
                 ["sub", "--read-only", "--policy", "lossless", "a"],
                 ["pub", "--header", "x", "a"], ["pub", "--rate", "0", "a"],
                 ["pub", "--message", "x", "--lines", "a"], ["pub", "--strict", "a"],
                 ["pub", "--evict-after", "0", "a"], ["pub", "--ring", "1M", "a"],
                 ["hz", "--window", "1"], ["hz", "--every", "0"], ["hz", "a//b"], ["bw", "[a"]):
        r = run(*args, code=USAGE)
        check("usage" in r.err or "--help" in r.err, args, r.err)
    nothing_left()


@case
def the_publisher_says_what_a_topic_is_though_subscribers_came_first():
    plain = Run(*UNTIL_GONE, "--format", "raw", "camera")
    until(lambda: placed("camera"), "a subscriber")
    old = stat("camera")
    second = Run(*UNTIL_GONE, "--format", "raw", "camera")
    subscribed(2, "camera")
    looks = Run(*UNTIL_GONE, "--format", "raw", "--read-only", "camera")
    until(lambda: any(e["event"] == "note" for e in looks.events), "a reader that waits", looks)
    data = bytes_of(9 * MIB)        # one message, too large for the pool of 8M that the subscribers made
    with file_of(data) as name:
        run("pub", "--pool", "16M", "--meta", "all", "--mode", "660", "--size", "9M", "--count", "1",
            "--file", name, "--persist", "--wait-subscribers", "2", "camera")
    for s in plain, second, looks:
        s.ends(OK)
        check(s.out == data, len(s.out), s.err)
        equal((s.summary["lost"], s.summary["messages"]), (0, 1))
    st = stat("camera")
    check(old["provisional"] and old["id"] != st["id"], old, st)
    equal((old["pool_bytes"], old["meta"], old["mode"]), (8 * MIB, [], "0600"), "before")
    equal((st["provisional"], st["pool_bytes"], st["meta"], st["mode"]),
          (False, 16 * MIB, ["pub-id", "pub-seq", "mono", "wall"], "0660"), "the publisher's shape")
    run("rm", "camera")
    nothing_left()


@case
def what_looked_at_a_provisional_topic_sees_what_its_publisher_says():
    s = Run(*UNTIL_GONE, "--format", "json", "camera")
    until(lambda: placed("camera"), "a subscriber")
    h = Run("hz", "--json", "--every", "0.01", "camera")
    until(lambda: [x for x in objects(h.out) if x["there"]], "hz, which reads it")
    run("pub", "--lines", "--meta", "all", "--persist", "camera", stdin=stdin_of(b"1\n" * 5))
    rows = objects(s.ends(OK).out)
    equal([sorted(set(x) & {"pub_id", "pub_seq", "mono_ns", "wall_ns"}) for x in rows],
          [["mono_ns", "pub_id", "pub_seq", "wall_ns"]] * 5, "meta fields")
    last = until(lambda: [x for x in objects(h.out) if x["messages"] == 5], "all messages in hz", h)[-1]
    equal((last["lost"], last["clock"]), (0, "published"))
    h.kill(signal.SIGINT).ends(130)
    run("rm", "camera")
    nothing_left()
