# SPDX-License-Identifier: MIT
"""--slow: which ends hold up others or lose messages, and why; named with their processes."""
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile

from harness import (FAIL, OK, SHMIPC, TOP, USAGE, Run, Skip, attached, case, check, children, equal,
                     objects, run, stat, stopped, until)
from tracing import INTERRUPTED, attached_subs, name, needs_bpf, sub

# Reads its standard input with a pause after each 4 KiB.
SLOWLY = "import os, time\nwhile os.read(0, 4096): time.sleep(0.02)"


class Slow(Run):
    """`shmipc trace --slow --json`: its reports so far."""

    def __init__(self, *args, **kw):
        super().__init__("trace", "--slow", "--json", "--every", "0.3", *args, **kw)

    @property
    def reports(self):
        return [o for o in objects(self.out) if o["event"] == "slow"]

    def finding(self, topic, why, **members):
        """The first of them, and the report that it is in."""
        def look():
            for r in self.reports:
                for f in r["findings"]:
                    if (f["name"], f["why"]) == (topic, why) and \
                            all(f.get(k) == v for k, v in members.items()):
                        return f, r
            return None
        try:
            return until(look, "a finding %s %s" % (why, members))
        except AssertionError as e:
            raise AssertionError("%s; last report: %r; it said: %s" %
                                 (e, self.reports[-1:], self.err)) from None

    def stop(self):
        return self.kill(signal.SIGINT).ends(INTERRUPTED)


@contextlib.contextmanager
def slow_sub(topic, *args, command="sub"):
    """A subscriber whose reader is slow: its process waits in write(2)."""
    r = Run(command, "--quiet", *args, topic, stdout=subprocess.PIPE)
    reader = subprocess.Popen([sys.executable, "-c", SLOWLY], stdin=r.p.stdout)
    r.p.stdout.close()
    children.append(reader)
    if command == "sub":
        attached_subs(topic, r)
    else:
        attached(topic, "consumer")
    yield r
    for p in r.p, reader:
        p.kill()
        p.wait()


def flood(topic, *args, **env):
    """A publisher that publishes forever, 200 bytes each time."""
    return Run("pub", "--quiet", "--message", "x" * 200, "--repeat", "1000000000", *args, topic,
               **env)


def waits(topic):
    return sum(p["waits"] for p in (stat(topic) or {"publisher": []})["publisher"])


def taken(topic, **env):
    return sum(s["received"] for s in (stat(topic, **env) or {"subscriber": []})["subscriber"])


def end(p):
    p.kill()
    p.wait()


@case
def of_four_subscribers_the_slow_one_is_named_within_two_seconds():
    needs_bpf()
    topic = name()
    fast = [sub(topic, "--policy", "lossless", "--quiet") for _ in range(3)]
    with slow_sub(topic, "--policy", "lossless") as s:
        p = flood(topic, "--rate", "20000")
        until(lambda: waits(topic), "a publisher that waits")
        t = Run("trace", "--slow", "--json", "--count", "1", topic).ends(OK)
        report = objects(t.out)[0]
        check(report["seconds"] < 2, report["seconds"])
        equal([(f["why"], f["end"]["pid"], f["end"]["policy"]) for f in report["findings"]],
              [("blocks", s.p.pid, "lossless")], "findings")
        f = report["findings"][0]
        equal([(x["pid"], x["traced"]) for x in f["publishers"]], [(p.p.pid, True)], "the publisher that waits")
        check(f["share"] > 0.5, f["share"])
        check("write" in f["doing"] and not f["stopped"], f["doing"])
        check("subscriber shmipc (pid %d, slot %d, lossless)" % (s.p.pid, f["end"]["slot"]) in
              f["text"] and "holds up publisher shmipc (pid %d)" % p.p.pid in f["text"], f["text"])
        text = run("trace", "--slow", "--count", "1", topic).out.decode()
        check("slow: topic %s: subscriber shmipc (pid %d" % (topic, s.p.pid) in text, text)
        end(p)
    for r in fast:
        end(r)
    run("rm", "--force", topic)


@case
def a_lossy_subscriber_loses_and_holds_up_no_publisher():
    topic = name()
    with slow_sub(topic) as s:
        p = flood(topic, "--rate", "20000")
        t = Slow(topic)
        f, _ = t.finding(topic, "loses")
        equal((f["end"]["pid"], f["end"]["policy"], f["publishers"]), (s.p.pid, "lossy", []))
        check(f["lost"] > 0 and "loses" in f["text"], f)
        check(all(x["why"] != "blocks" for r in t.reports for x in r["findings"]), t.reports)
        t.stop()
        end(p)
    run("rm", "--force", topic)


@case
def a_loss_that_is_over_is_reported_with_its_number():
    topic = name()
    s = sub(topic, "--quiet")
    stopped(s)
    run("pub", "--quiet", "--message", "x", "--repeat", "5000", topic)
    t = Slow(topic)
    f, _ = t.finding(topic, "stopped", stopped=True)
    gone = f["gone"]        # they are overwritten
    check(gone > 1000 and "of which %d are gone" % gone in f["text"], f)
    s.kill(signal.SIGCONT)
    f, _ = t.finding(topic, "loses", stopped=False)
    lost = stat(topic)["subscriber"][0]["lost"]
    equal((f["lost"], f["end"]["lost"], f["end"]["lag"]), (lost, lost, 0))
    check(lost >= gone, lost, gone)
    t.stop()
    end(s)
    run("rm", "--force", topic)


@case
def a_read_only_subscriber_is_named_when_it_loses():
    needs_bpf()
    topic = name()
    p = flood(topic, "--history", "64")
    until(lambda: (stat(topic) or {}).get("messages"), "a topic")
    s = Run("sub", "--quiet", "--read-only", topic, stdout=subprocess.PIPE)
    t = Slow(topic)
    until(lambda: t.reports, "a report")
    reader = subprocess.Popen([sys.executable, "-c", SLOWLY], stdin=s.p.stdout)
    s.p.stdout.close()
    children.append(reader)
    f, _ = t.finding(topic, "loses")
    equal((f["end"]["pid"], f["end"]["slot"], f["end"]["comm"]), (s.p.pid, None, "shmipc"))
    check(f["lost"] > 0 and "behind" not in f["text"], f)
    t.stop()
    for x in s.p, p.p, reader:
        x.kill()
        x.wait()
    run("rm", "--force", topic)


@case
def a_stopped_subscriber_is_reported_as_stopped():
    topic = name()
    s = sub(topic, "--policy", "lossless", "--quiet")
    p = flood(topic)
    t = Slow(topic)
    until(lambda: t.reports, "a report")
    stopped(s)
    f, _ = t.finding(topic, "blocks", stopped=True)
    equal((f["end"]["pid"], [x["pid"] for x in f["publishers"]]), (s.p.pid, [p.p.pid]))
    check("kill -CONT %d" % s.p.pid in f["text"], f["text"])
    t.stop()
    end(p)
    end(s)
    run("rm", "--force", topic)


@case
def the_slow_end_of_a_ring_is_named():
    ring = name()
    with slow_sub(ring, command="recv") as s:
        source = subprocess.Popen(["yes", "x" * 200], stdout=subprocess.PIPE)
        p = Run("send", "--quiet", "--lines", ring, stdin=source.stdout)
        source.stdout.close()
        children.append(source)
        t = Slow(ring)
        f, _ = t.finding(ring, "blocks")
        equal((f["end"]["role"], f["end"]["pid"], [x["pid"] for x in f["publishers"]]),
              ("consumer", s.p.pid, [p.p.pid]))
        check("ring %s: consumer shmipc" % ring in f["text"] and "producer shmipc" in f["text"],
              f["text"])
        t.stop()
        end(p)
        source.wait()
    run("rm", "--force", ring)


HOLDER = """
import ctypes, sys
lib = ctypes.CDLL(sys.argv[1])
class Msg(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint8 * 256)]
opts = (ctypes.c_uint64 * 9)()        # struct shmipc_sub_opts, all default but the policy
opts[0] = ctypes.sizeof(opts)
opts[4] = 2                           # policy lossless, group 0
sub = ctypes.c_void_p()
assert lib.shmipc_sub_open(ctypes.byref(sub), sys.argv[2].encode(), None, opts) == 0
held = []
while len(held) < int(sys.argv[3]):
    held.append(Msg())
    assert lib.shmipc_sub_take(sub, ctypes.byref(held[-1]), ctypes.c_uint64(2**64 - 1)) == 0
print("holds", flush=True)
sys.stdin.read()
"""


@case
def holding_messages_of_the_pool_is_told_apart_from_not_reading():
    topic = name()
    small = ("--pool", "64K", "--history", "64")
    h = subprocess.Popen([sys.executable, "-c", HOLDER,
                          os.path.join(os.path.dirname(SHMIPC), "libshmipc.so"), topic, "3"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    children.append(h)
    p = Run("pub", "--quiet", "--message", "x" * 16000, "--repeat", "1000000000", *small,
            "--wait-subscribers", "1", topic)
    equal(h.stdout.readline(), b"holds\n")
    t = Slow(topic)
    f, _ = t.finding(topic, "holds")
    equal((f["end"]["pid"], f["end"]["holding"], [x["pid"] for x in f["publishers"]]),
          (h.pid, 3, [p.p.pid]))
    check("holds 3 messages of the pool" in f["text"], f["text"])
    t.stop()
    end(p)
    h.kill()
    h.wait()
    h.stdin.close()
    h.stdout.close()
    run("rm", "--force", topic)


@case
def a_subscriber_that_keeps_up_is_not_named():
    topic = name()
    s = sub(topic, "--policy", "lossless", "--quiet")
    p = flood(topic, "--rate", "100")
    t = Slow("--count", "3", topic).ends(OK)
    for r in t.reports:
        equal(r["findings"], [], "findings")
        equal([x["name"] for x in r["segments"]], [topic])
    text = run("trace", "--slow", "--count", "1", topic).out.decode()
    check("slow: none: of " in text and topic in text, text)
    end(p)
    end(s)
    run("rm", "--force", topic)


@case
def without_the_rights_the_counters_name_it():
    if os.getuid():
        raise Skip("needs root, to become somebody else")
    topic = name()
    where = os.environ["SHMIPC_DIR"]
    with slow_sub(topic, "--policy", "lossless", "--mode", "666") as s:
        os.chmod(where, 0o755)
        p = flood(topic)
        t = Slow(topic, prefix=("setpriv", "--reuid", "65534", "--regid", "65534",
                                "--clear-groups"))
        f, _ = t.finding(topic, "blocks")
        equal((f["end"]["pid"], [x["traced"] for x in f["publishers"]]), (s.p.pid, [False]))
        check(f["share"] > 0.3 and "about" in f["text"], f)
        check("CAP_BPF" in t.err and "going on without" in t.err, t.err)
        t.stop()
        end(p)
    run("rm", "--force", topic)


@case
def probes_report_a_segment_of_another_directory():
    needs_bpf()
    topic = name()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as where:
        t = Slow(topic)
        until(lambda: t.reports, "a report")
        s = Run("sub", "--quiet", "--policy", "lossless", topic, SHMIPC_DIR=where)
        p = flood(topic, SHMIPC_DIR=where)
        # The probes know it when it has taken a message; before, it holds up no publisher.
        until(lambda: taken(topic, SHMIPC_DIR=where), "a subscriber that takes")
        stopped(s)

        def far():
            found = [f for r in t.reports for f in r["elsewhere"]]
            return [f for f in found if f["for_pid"]]
        f = until(far, "what the probes say")[0]
        equal((f["name"], f["pid"], f["for_pid"], f["for_comm"]), (topic, p.p.pid, s.p.pid, "shmipc"))
        check("another directory" in f["text"] and "pid %d" % s.p.pid in f["text"], f["text"])
        t.stop()
        end(p)
        end(s)


@case
def stacks_show_where_it_is():
    if "--stack" not in run("trace", "--help").out.decode():
        raise AssertionError("no --stack in the help")
    topic = name()
    with slow_sub(topic, "--policy", "lossless") as s:
        p = flood(topic)
        t = Slow("--stack", topic)
        if t.p.poll() is None:
            until(lambda: t.reports or t.p.poll() is not None, "a report")
        if t.p.poll() is not None:
            check("libdw" in t.err, t.err)
            raise Skip("built without libdw")
        f, _ = t.finding(topic, "blocks")
        threads = f["stack"]
        main = [x for x in threads if x["tid"] == s.p.pid][0]
        functions = [x["function"] for x in main["frames"]]
        check("run_sub" in functions and any("write" in (x or "") for x in functions), functions)
        check("stops each thread" in t.err, t.err)
        t.stop()
        was = taken(topic)
        until(lambda: taken(topic) > was, "a subscriber that goes on")
        end(p)
    run("rm", "--force", topic)


@case
def options_that_cannot_be_combined_are_refused():
    for args, why in ((("--slow", "--deaths"), "cannot be combined"),
                      (("--stack",), "needs --slow"),
                      (("--slow", "--histogram", "wait"), "--histogram"),
                      (("--deaths", "--events", "full"), "--events"),
                      (("--slow", "--pid", "1"), "PATTERN")):
        r = run("trace", *args, code=USAGE)
        check(why in r.err, r.err)
