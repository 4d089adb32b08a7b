# SPDX-License-Identifier: MIT
"""watch, and patterns of names."""
import os
import re
import signal

from harness import (FAIL, OK, ON_DEV, USAGE, Run, attached, case, check, equal, nothing_left, objects,
                     run, stdin_of, until)


def lines(watch, n):
    """The first n lines that it printed."""
    return until(lambda: watch.out.count(b"\n") >= n and watch.out.decode().splitlines()[:n],
                 "%d lines of shmipc %s" % (n, " ".join(watch.args)))


@case
def ls_takes_patterns():
    for name in "log", "robot/legs", "robot/arm/left":
        run("pub", "--persist", "--quiet", name, stdin=stdin_of(b"x"))

    def names(*patterns):
        return [x["name"] for x in objects(run("ls", "--json", *patterns).out)]
    equal(names(), ["log", "robot/arm/left", "robot/legs"])
    equal(names("*"), ["log"])
    equal(names("robot/*"), ["robot/legs"])
    equal(names("robot/**"), ["robot/arm/left", "robot/legs"])
    equal(names("l*", "**/l[!o]ft"), ["log", "robot/arm/left"])
    equal(names("nobody/**"), [])
    equal(run("ls", "nobody", code=FAIL).out, b"")
    check(run("ls", "robot/*").out.startswith(b"NAME"))
    run("rm", "log", "robot/legs", "robot/arm/left")


@case
def bad_patterns_are_refused():
    for command in "ls", "watch":
        for pattern, why in ("[a", "no ]"), ("a//b", "empty part"), ("", "empty"):
            r = run(command, "good", pattern, code=USAGE)
            check(why in r.err and "EINVAL" in r.err and '"%s"' % pattern in r.err, r.err)


@case
def watch_reports_segments():
    run("pub", "--persist", "--quiet", "a/b", stdin=stdin_of(b"x"))
    w = Run("watch", "--json")
    equal([re.sub(r",.*", "", x) for x in lines(w, 1)], ['{"event":"appeared"'])
    run("rm", "a/b")
    lines(w, 2)
    w.kill(signal.SIGINT).ends(130)
    events = objects(w.out)
    for e in events:
        equal(list(e), ["event", "name", "kind", "id", "error", "noticed_ns"], "keys of watch")
        equal((e["name"], e["kind"], e["error"]), ("a/b", "topic", None))
    equal([e["event"] for e in events], ["appeared", "gone"])
    equal(events[0]["id"], events[1]["id"])


@case
def watch_reports_ends_and_deaths():
    w = Run("watch", "--ends", "t")
    run("pub", "--persist", "--quiet", "other", stdin=stdin_of(b"x"))
    run("send", "--persist", "--no-drain", "t")
    r = Run("recv", "t", "--follow")
    attached("t", "consumer")
    until(lambda: re.search(r"joined   t +consumer pid %d shmipc$" % r.p.pid, w.out.decode(), re.M),
          "a consumer that joined")
    r.kill().ends(-signal.SIGKILL)
    until(lambda: b"died" in w.out, "a consumer that died")
    run("rm", "t", "other")
    until(lambda: b"gone" in w.out, "a segment that is gone")
    w.kill(signal.SIGTERM).ends(143)
    text = w.out.decode()
    check("other" not in text, text)
    words = [line.split()[:3] for line in text.splitlines()]
    # The sender was attached for a moment: both its events were seen, or none.
    words = [x for x in words if x[2] != "producer"]
    equal(words, [["appeared", "t", "spsc"], ["joined", "t", "consumer"], ["died", "t", "consumer"],
                  ["gone", "t", "spsc"]])


@case
def watch_json_has_ends():
    w = Run("watch", "--ends", "--json", "--count", "2", "x*", "t")
    s = Run("sub", "t")
    w.ends(OK)
    first, second = objects(w.out)
    equal(first["event"], "appeared")
    equal(list(second), ["event", "name", "kind", "id", "error", "noticed_ns", "slot", "role", "pid",
                         "generation", "since_ns", "comm", "missed"], "keys of watch")
    equal((second["event"], second["name"], second["id"], second["role"], second["pid"],
           second["generation"], second["missed"]),
          ("joined", "t", first["id"], "reader", s.p.pid, 1, 0))
    s.kill(signal.SIGINT).ends(130)


def asleep(pid):
    """Does it sleep in ppoll(2)?"""
    with open("/proc/%d/syscall" % pid) as f:
        return f.read().split()[0] in ("271", "73")     # x86-64, aarch64


@case
def watch_new_leaves_out_existing_segments():
    run("pub", "--persist", "--quiet", "old", stdin=stdin_of(b"x"))
    w = Run("watch", "--new", "--count", "2")
    until(lambda: asleep(w.p.pid), "a watch that has looked")
    run("rm", "old")
    run("pub", "--persist", "--quiet", "new", stdin=stdin_of(b"x"))
    w.ends(OK)
    equal(sorted(x.split()[:2] for x in w.out.decode().splitlines()),
          [["appeared", "new"], ["gone", "old"]])
    run("rm", "new")


def fds(pid):
    out = []
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            out.append(os.readlink("/proc/%d/fd/%s" % (pid, fd)))
        except OSError:
            pass
    return " ".join(out)


@case
def watch_shows_unreadable_segments():
    if ON_DEV:
        return
    where = os.environ["SHMIPC_DIR"]
    w = Run("watch")    # the directory does not exist yet
    until(lambda: "inotify" in fds(w.p.pid), "a watch that has begun")
    os.makedirs(where)
    with open(os.path.join(where, "junk"), "wb") as f:
        f.write(b"junk")
    equal([x.split() for x in lines(w, 1)], [["appeared", "junk", "EPROTO"]])
    run("rm", "junk")
    lines(w, 2)
    w.kill(signal.SIGINT).ends(130)
    nothing_left()


@case
def a_watch_whose_reader_left_ends():
    r, out = os.pipe()
    w = Run("watch", stdout=out)
    os.close(out)
    os.close(r)
    run("pub", "--persist", "--quiet", "a", stdin=stdin_of(b"x"))
    w.ends(OK)
    equal(w.err, "")
    run("rm", "a")
