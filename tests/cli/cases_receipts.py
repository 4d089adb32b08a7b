# SPDX-License-Identifier: MIT
"""Receipts of deaths, which the kernel module keeps: stat, and trace --deaths without eBPF."""
import os
import re
import signal
import subprocess
import sys
import time

from harness import (OK, ON_DEV, SHMIPC, Run, Skip, attached, case, check, children, equal, objects, run, stat,
                     until)

LIB = os.path.join(os.path.dirname(SHMIPC), "libshmipc.so")

# Runs the command after it as a user without other rights than to use the device.
NOBODY = """
import os, sys
os.setgroups([])
os.setgid(os.stat("/dev/shmipc").st_gid)
os.setuid(65534)
os.execv(sys.argv[1], sys.argv[1:])
"""


def needs_receipts():
    if not ON_DEV:
        raise Skip("the backend mem keeps no receipts")


def publisher(topic, n):
    """It has published n messages, and has its end."""
    def published():
        return (stat(topic) or {"messages": 0})["messages"]
    all_of_them = published() + n
    p = Run("pub", "--lines", "--persist", "--mode", "666", topic, stdin=subprocess.PIPE)
    p.stdin.write(b"x\n" * n)
    p.stdin.flush()
    until(lambda: published() == all_of_them, "%d messages" % n, p)
    return p


def topic_only(topic):
    run("pub", "--quiet", "--persist", "--mode", "666", "--message", "x", topic)


def kill(p):
    p.kill().wait()
    if p.stdin:
        p.stdin.close()
    return p.p.pid


def deaths(topic):
    return stat(topic)["deaths"]


@case
def stat_of_files_has_no_receipts():
    if ON_DEV:
        raise Skip("the device keeps them")
    run("send", "--persist", "--no-drain", "t")
    equal(stat("t")["deaths"], None)
    check(b"deaths" not in run("stat", "t").out, "a line about deaths")
    run("rm", "t")


@case
def stat_shows_receipts():
    needs_receipts()
    before = time.time_ns()
    pid = kill(publisher("t", 3))
    d = deaths("t")
    equal((d["total"], d["overwritten"], len(d["receipts"])), (1, 0, 1))
    r = d["receipts"][0]
    equal((r["number"], r["how"], r["signal"], r["exit_code"], r["core"], r["oom"], r["cut"]),
          (1, "signal", "SIGKILL", None, False, False, False))
    equal((r["pid"], r["uid"], r["comm"], r["role"], r["slot"], r["generation"]),
          (pid, os.getuid(), "shmipc", "producer", 0, 1))
    equal((r["messages"], r["waits_for"]), (3, None))
    check(before <= r["since_ns"] <= r["at_ns"] <= time.time_ns(), r)
    text = run("stat", "t").out.decode()
    check(re.search(r"^deaths    1\n  slot 0 +producer +pid %d +shmipc .*: SIGKILL, sent 3 messages, "
                    "user root$" % pid, text, re.M), text)
    run("rm", "t")


@case
def stat_shows_the_last_receipts_and_json_all():
    needs_receipts()
    topic_only("t")
    pids = []
    for _ in range(70):
        s = Run("sub", "--quiet", "t")
        attached("t", "reader")
        pids.append(kill(s))
    d = deaths("t")
    equal((d["total"], d["overwritten"]), (70, 6))
    equal([r["pid"] for r in d["receipts"]], pids[6:])
    equal([r["number"] for r in d["receipts"]], list(range(7, 71)))
    text = run("stat", "t").out.decode()
    check("deaths    70, the last 8 of them; --json shows more:\n" in text, text)
    equal(re.findall(r"pid (\d+) .*SIGKILL", text), [str(p) for p in pids[-8:]])
    run("rm", "--force", "t")


class Deaths(Run):
    """It listens without eBPF."""

    def __init__(self, *args, json=True, **kw):
        super().__init__("trace", "--deaths", *(("--json",) if json else ()), *args, **kw)
        until(lambda: "watching" in self.err or self.p.poll() is not None, "a tracer", self)
        check(self.p.poll() is None, self.err)

    def seen(self, event, n=1):
        def look():
            found = [o for o in objects(self.out) if o["event"] == event]
            return found if len(found) >= n else None
        return until(look, "%d of %s" % (n, event), self)

    def stop(self):
        return self.kill(signal.SIGINT).ends(130)


def how(d):
    return d["how"], d["signal"], d["exit_code"], d["oom"]


@case
def trace_deaths_knows_how_without_ebpf():
    needs_receipts()
    early = kill(publisher("t", 5))
    t = Deaths("--source", "counters", "t")
    d = t.seen("died-before")
    equal([(x["pid"], how(x), x["ends"][0]["receipt"]["number"]) for x in d],
          [(early, ("signal", "SIGKILL", None, False), 1)])
    late = publisher("t", 4)
    pid = kill(late)
    d = t.seen("died")[0]
    equal((d["pid"], how(d), d["sender"], d["nends"]), (pid, ("signal", "SIGKILL", None, False), None, 1))
    end = d["ends"][0]
    # A topic counts by slot.
    equal((end["role"], end["receipt"]["messages"], end["receipt"]["number"]), ("producer", 9, 2))
    t.stop()
    equal((len(t.seen("died")), len(t.seen("died-before"))), (1, 1), "each once")
    check("nor always how" not in t.err, t.err)
    run("rm", "t")


# Opens an end of a topic, waits for a line, and does what it was told.
END = """
import ctypes, os, sys
lib, end = ctypes.CDLL(sys.argv[1]), ctypes.c_void_p()
assert lib.shmipc_sub_open(ctypes.byref(end), sys.argv[2].encode(), None, None) == 0
print("has it", flush=True)
sys.stdin.readline()
exec(sys.argv[3])
"""


def subscriber(topic, then):
    p = subprocess.Popen([sys.executable, "-c", END, LIB, topic, then], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    children.append(p)
    equal(p.stdout.readline(), b"has it\n")
    return p


def ends(p):
    p.stdin.write(b"\n")
    p.stdin.close()
    p.wait(60)
    p.stdout.close()
    return p.pid


@case
def trace_deaths_tells_exit_from_exec_without_rights():
    needs_receipts()
    if not os.path.exists(LIB):
        raise Skip("no " + LIB)
    topic_only("t")
    t = Deaths("t", prefix=(sys.executable, "-c", NOBODY))
    exits = ends(subscriber("t", "os._exit(3)"))
    execs = ends(subscriber("t", "os.execv(sys.executable, [sys.executable, '-c', ''])"))
    d = {x["pid"]: x for x in t.seen("died", 2)}
    equal(how(d[exits]), ("exit", None, 3, False))
    equal(how(d[execs]), ("exec", None, None, False))
    equal([d[x]["ends"][0]["role"] for x in (exits, execs)], ["reader", "reader"])
    t.stop()
    text = run("trace", "--deaths", "--source", "counters", "--duration", "0.01", "t").out.decode()
    check(re.search(r"^died before: \S+ \(pid %d\): .*, exit code 3 without closing: reader of topic t "
                    r"\(slot \d+, received 0 messages, 0 behind\)$" % exits, text, re.M), text)
    check(re.search(r"^died before: \S+ \(pid %d\): .*, ran another program without closing: reader" % execs,
                    text, re.M), text)
    run("rm", "--force", "t")


@case
def trace_deaths_misses_none_between_two_looks():
    needs_receipts()
    topic_only("t")
    t = Deaths("--source", "counters", "t")
    t.kill(signal.SIGSTOP)
    pids = [ends(subscriber("t", "os._exit(%d)" % i)) for i in range(5)]
    t.kill(signal.SIGCONT)
    d = t.seen("died", 5)
    equal(sorted((x["pid"], x["exit_code"]) for x in d), sorted(zip(pids, range(5))))
    t.stop()
    equal(len(t.seen("died", 5)), 5)
    run("rm", "--force", "t")
