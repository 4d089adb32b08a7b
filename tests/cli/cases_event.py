# SPDX-License-Identifier: MIT
"""event: notifications by name."""
import os
import re
import signal
import subprocess
import sys

from harness import (FAIL, OK, ON_DEV, PEER, SHMIPC, TIMEOUT, USAGE, Run, Skip, attached, case, check, equal,
                     nothing_left, objects, run, stat, until)

LIBRARY = os.environ.get("SHMIPC_TEST_LIBRARY") or os.path.join(os.path.dirname(SHMIPC), "libshmipc.so")

# A notifier that notifies nothing, until it is killed.
NOTIFIER = """
import ctypes, sys
lib, end = ctypes.CDLL(sys.argv[1]), ctypes.c_void_p()
assert lib.shmipc_notifier_open(ctypes.byref(end), b"door", None) == 0
sys.stdin.read()
"""


def listening(name, n=1):
    attached(name, "reader", n)


def taken(name):
    return sum(x["taken"] for x in stat(name)["listener"])


@case
def event_notify_ends_a_wait():
    w = Run("event", "wait", "door", "3")
    listening("door")
    run("event", "notify", "door", "2")     # of another number
    run("event", "notify", "door", "3")
    w.ends(OK)
    check(re.fullmatch(rb"3 1\n", w.out), w.out)
    nothing_left()


@case
def event_counts_are_kept_for_later_listeners():
    r = run("event", "notify", "door")
    check("no other process" in r.err and "--persist" in r.err, r.err)
    nothing_left()
    equal(run("event", "notify", "--persist", "--count", "5", "door", "1", "7").err, "")
    equal(run("event", "wait", "--past", "door").out, b"1 5\n7 5\n")
    equal(run("event", "wait", "--past", "--timeout", "0", "door", "7").out, b"7 5\n")
    run("event", "wait", "--timeout", "0", "door", code=TIMEOUT)     # nothing new
    got = objects(run("event", "wait", "--past", "--json", "door", "7").out)
    equal(got, [{"name": "door", "event": 7, "count": 5, "missed": 0}])
    run("rm", "door")


@case
def event_wait_for_all_returns_when_each_was_notified():
    w = Run("event", "wait", "--all", "door", "1", "2")
    listening("door")
    run("event", "notify", "door", "2", "--count", "2")
    check(w.p.poll() is None, "it has ended with one of two")
    run("event", "notify", "door", "1")
    equal(w.ends(OK).out, b"1 1\n2 2\n")
    run("event", "wait", "--all", "door", code=USAGE)


@case
def event_wait_follows_until_a_signal():
    w = Run("event", "wait", "--follow", "--json", "door")
    listening("door")
    for i in range(3):
        run("event", "notify", "door", str(i))
        until(lambda: len(objects(w.out)) == i + 1, "a line", w)
    equal([x["event"] for x in objects(w.out)], [0, 1, 2])
    equal(taken("door"), 3, "taken")
    w.kill(signal.SIGTERM).ends(128 + signal.SIGTERM)
    nothing_left()


@case
def event_wait_ends_when_its_reader_has_gone():
    w = Run("event", "wait", "--follow", "door", stdout=subprocess.PIPE)
    listening("door")
    w.p.stdout.close()
    w.ends(OK)


@case
def event_wait_reports_periods_and_timeouts():
    equal(run("event", "wait", "--period", "0.01", "door", "4", code=TIMEOUT).out.split()[:3],
          [b"4", b"0", b"missed"])
    r = run("event", "wait", "--timeout", "0.01", "door", code=TIMEOUT)
    check("waited 0.01 s" in r.err, r.err)
    run("event", "wait", "--period", "1", "door", code=USAGE)
    # Missed periods are shown of listeners that are still there.
    w = Run("event", "wait", "--period", "0.01", "--follow", "door", "0")
    until(lambda: w.out.count(b"missed") >= 2, "missed periods", w)
    check(stat("door")["missed"] >= 2, stat("door"))
    w.kill(signal.SIGINT).wait()


@case
def event_wait_reports_the_death_of_a_notifier():
    if not os.path.exists(LIBRARY):
        raise Skip("there is no shared library")
    w = Run("event", "wait", "door")
    listening("door")
    other = Run("event", "wait", "door", "died")
    listening("door", 2)
    other.kill().wait()         # a listener's death concerns nobody
    n = subprocess.Popen([sys.executable, "-c", NOTIFIER, LIBRARY], stdin=subprocess.PIPE)
    attached("door", "producer")
    equal(stat("door")["notifiers"], 1)
    n.kill()
    n.wait()
    n.stdin.close()
    equal(w.ends(PEER).out, b"died 1\n")


@case
def event_numbers_and_options_are_checked():
    run("event", "notify", "--persist", "--events", "8", "door", "7")
    r = run("event", "notify", "door", "8", code=FAIL)
    check("0 to 7" in r.err and "EINVAL" in r.err, r.err)
    r = run("event", "wait", "door", "8", code=FAIL)
    check("EINVAL" in r.err, r.err)
    r = run("event", "notify", "--events", "9", "door", code=FAIL)
    check("events" in r.err and "8" in r.err and "9" in r.err, r.err)
    for args in (["notify", "door", "x"], ["notify", "door", "died"], ["notify", "door", "4096"], ["notify"], [],
                 ["wiat", "door"], ["wait", "--count", "2", "door"], ["notify", "--follow", "door"], ["wait", ".."]):
        run("event", *args, code=USAGE)
    check("did you mean wait?" in run("event", "wiat", "door", code=USAGE).err)
    check("--follow is not an option of event notify" in run("event", "notify", "-f", "door", code=USAGE).err)
    equal(stat("door")["count"], {"7": 1}, "nothing was notified by those that failed")
    run("rm", "door")
    run("pub", "--persist", "-m", "x", "t")
    check("EINVAL" in run("event", "notify", "t", code=FAIL).err)
    run("rm", "t")


@case
def ls_stat_and_watch_know_events():
    watch = Run("watch", "--ends", "--count", "4")
    w = Run("event", "wait", "--follow", "door", "1")
    listening("door")
    run("event", "notify", "door", "1", "--count", "3")
    until(lambda: taken("door") == 3, "three are taken")
    row = objects(run("ls", "--json").out)[0]
    equal([row[k] for k in ("kind", "events", "notifiers", "listeners", "notified", "missed", "notifiers_died")],
          ["event", 64, 0, 1, 3, 0, 0])
    check(re.search(rb"^door +event .* 0>1 ", run("ls").out, re.M), run("ls").out)
    st = stat("door")
    equal((st["count"], len(st["notifier"]), [x["taken"] for x in st["listener"]]), ({"1": 3}, 0, [3]))
    text = run("stat", "door").out.decode()
    check(re.search(r"^events +64, notified 3 times\n  event 1 +3$", text, re.M), text)
    check(re.search(r"^  slot \d+ +listener +attached .* took 3, missed 0$", text, re.M), text)
    w.kill().wait()
    lines = until(lambda: watch.p.poll() is not None and watch.out.decode().splitlines(), "four events", watch)
    check(lines[0].startswith("appeared door") and lines[0].endswith(" event"), lines)
    # The two ends are in any order, if it looks when both are there.
    check(any(x.startswith("joined") and " listener " in x for x in lines[1:]), lines)
    equal(run("gc").out, b"" if ON_DEV else b"door: removed\n")     # the kernel has done it already
    nothing_left()
