# SPDX-License-Identifier: MIT
"""fence: one process of a segment is cut off."""
import signal
import subprocess

from harness import (FAIL, OK, ON_DEV, USAGE, Run, Skip, attached, case, check, equal, nothing_left, objects,
                     run, stat, stopped)


def pub(*options):
    return Run("pub", *options, "t", stdin=subprocess.PIPE)


def peer(pid, state="attached"):
    return [p for p in stat("t")["peers"] if p["pid"] == pid and p["state"] == state]


@case
def fence_says_why_it_cannot():
    run("fence", "t", code=USAGE)
    run("fence", "t", "1", "2", code=USAGE)
    run("fence", "..", "1", code=USAGE)
    for wrong in ("x", "slot:", "pid:x", "-1", "4294967296", "slot:1x"):
        r = run("fence", "--", "t", wrong, code=USAGE)
        check("the number of a slot or of a process" in r.err, wrong, r.err)
    r = run("fence", "t", "0", code=FAIL)
    check('"t"' in r.err and "ENOENT" in r.err, r.err)
    a = pub()
    attached("t", "producer")
    r = run("fence", "t", "99", code=FAIL)
    check('no peer "99" is attached (ESRCH)' in r.err, r.err)
    if not ON_DEV:
        r = run("fence", "t", "slot:0", code=FAIL)
        check("EOPNOTSUPP" in r.err and "backend mem cannot" in r.err, r.err)
        equal(objects(run("fence", "--json", "t", "0", code=FAIL).out)[0]["error"], "EOPNOTSUPP")
    a.p.stdin.close()
    a.ends(OK)
    nothing_left()


@case
def fence_ends_a_stopped_publisher_and_the_topic_goes_on():
    if not ON_DEV:
        raise Skip("only the device can fence")
    run("pub", "--persist", "-m", "first", "t")
    a, b = pub(), pub()
    attached("t", "producer", 2)
    stopped(a)
    slot = peer(a.p.pid)[0]["slot"]
    rows = objects(run("fence", "--json", "t", str(a.p.pid)).out)
    equal((rows[0]["slot"], rows[0]["pid"], rows[0]["role"], rows[0]["fenced"], rows[0]["error"]),
          (slot, a.p.pid, "producer", True, None))
    equal([p["state"] for p in stat("t")["peers"] if p["slot"] == slot], ["died"])
    run("pub", "-m", "second", "t")
    r = run("fence", "t", "pid:%d" % b.p.pid)
    check(r.out.startswith(b"t: slot ") and b"producer, pid %d shmipc: cut off" % b.p.pid in r.out, r.out)
    # Again: there is no such peer.
    r = run("fence", "t", "pid:%d" % b.p.pid, code=FAIL)
    check("ESRCH" in r.err, r.err)
    a.kill(signal.SIGCONT)
    for p in (a, b):
        p.p.stdin.write(b"x")
        p.p.stdin.close()
        equal(p.wait(), -signal.SIGBUS)
    equal(stat("t")["messages"], 2)
    run("rm", "t")
    nothing_left()


@case
def fence_asks_which_of_several_peers():
    if not ON_DEV:
        raise Skip("only the device can fence")
    a = pub()
    attached("t", "producer")
    subs = [Run("sub", "t") for _ in range(2)]
    attached("t", "reader", 2)
    # A process whose number is also that of a slot cannot be made; its prefix is refused for the other.
    slot = peer(a.p.pid)[0]["slot"]
    run("fence", "t", "pid:%d" % slot, code=FAIL)
    run("fence", "t", "slot:%d" % a.p.pid, code=FAIL)
    for s in subs:
        run("fence", "t", "slot:%d" % peer(s.p.pid)[0]["slot"])
        # It sleeps, almost always, and is told.
        check(s.wait() == -signal.SIGBUS or (s.wait() == FAIL and "ECONNRESET" in s.err), s.wait(), s.err)
    a.p.stdin.close()
    a.ends(OK)
    nothing_left()
