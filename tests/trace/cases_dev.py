# SPDX-License-Identifier: MIT
"""The kernel module's tracepoints, sampler and functions; only on the device."""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from cases_deaths import Deaths, persistent, publisher
from cases_slow import Slow, end, flood, slow_sub, waits
from harness import (OK, TOP, USAGE, Run, Skip, case, check, children, equal, objects, run, stat, stopped,
                     until)
from tracing import INTERRUPTED, Trace, all_of, attached_subs, name, needs_bpf, publish, sub

MODULE = "/shmipc.ko"
SAMPLER = "/sys/kernel/debug/shmipc/sampler"
TRACING = "/sys/kernel/tracing"
RATE = "/sys/module/shmipc/parameters/sample_hz"


class ModuleTrace(Trace):
    """A tracer of the module only."""

    def __init__(self, *args, source="module", **kw):
        super().__init__("--source", source, *args, **kw)

    def ready(self):
        until(lambda: "kernel module" in self.err or self.p.poll() is not None,
              "a tracer that listens")
        check(self.p.poll() is None, self.err)


def sampler(what):
    """A number of the module's sampler."""
    with open(SAMPLER) as f:
        return int(re.search(r"^%s:\s*(\d+)" % what, f.read(), re.M).group(1))


def sampler_runs():
    return sampler("running")


def sampler_stops():
    """The kernel releases programs a little later."""
    until(lambda: not sampler_runs(), "a sampler that is off")


def slot_of(topic, r):
    st = stat(topic)
    return [x["slot"] for x in st["publisher"] + st["subscriber"] if x["pid"] == r.p.pid][0]


# Waits for the word at the beginning of a segment with ioctls only: no library, no probes.
WITHOUT_PROBES = """
import ctypes, fcntl, os, struct, sys, time
name = ctypes.create_string_buffer(sys.argv[1].encode())
dev = os.open("/dev/shmipc", os.O_RDWR)
name_at = struct.pack("=IIQII", 24, 0, ctypes.addressof(name), len(sys.argv[1]), 0)
fd = fcntl.ioctl(dev, 0xbc02, bytearray(name_at))
off = int(sys.argv[2])
deadline = time.clock_gettime_ns(time.CLOCK_MONOTONIC) + int(sys.argv[3]) * 10**6
val = 0
try:
    fcntl.ioctl(fd, 0xbc08, struct.pack("=IIQIIIIQ", 40, 0, off, val, 0xffffffff, 0, 0, deadline))
except OSError as e:
    print(e.errno)
"""


def without_probes(topic, ms):
    """A process that sleeps on a word of the segment that is 0, and times out."""
    p = subprocess.run([sys.executable, "-c", WITHOUT_PROBES, topic, str(quiet_word(topic)), str(ms)],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    equal((p.returncode, p.stdout.strip()), (0, b"110"), (p.stderr, run("ls").out))


def quiet_word(topic):
    """The last word of the header's page is not used."""
    return 4092


@case
def on_the_device_the_slow_subscriber_of_four_is_named():
    needs_bpf()
    topic = name()
    fast = [sub(topic, "--policy", "lossless", "--quiet") for _ in range(3)]
    with slow_sub(topic, "--policy", "lossless") as s:
        p = flood(topic, "--rate", "2000")
        until(lambda: waits(topic), "a publisher that waits")
        for source, by in (("all", "probes"), ("probes", "probes"), ("module", "module"),
                           ("counters", "counters")):
            t = Slow("--source", source, topic)
            f, _ = t.finding(topic, "blocks")
            equal((f["end"]["pid"], [(x["pid"], x["source"]) for x in f["publishers"]]),
                  (s.p.pid, [(p.p.pid, by)]), source)
            check(f["share"] > 0.3, source, f["share"])
            equal("kernel module" in t.err, source in ("all", "module"), t.err)
            t.stop()
        # Within two seconds, of the machine's time.
        t = Run("trace", "--slow", "--json", "--count", "1", topic).ends(OK)
        report = objects(t.out)[0]
        check(report["seconds"] < 2, report["seconds"])
        equal([f["end"]["pid"] for f in report["findings"]], [s.p.pid])
        end(p)
    for r in fast:
        end(r)
    sampler_stops()
    run("rm", "--force", topic)


@case
def on_the_device_the_module_is_asked_how_far_a_segment_is():
    needs_bpf()
    topic = name()
    s = sub(topic, "--policy", "lossless")
    stopped(s)
    publish(topic, 7).ends(OK)
    t = Slow("--source", "module", topic)
    r = until(lambda: t.reports, "a report")[0]
    k = r["segments"][0]["kernel"]
    equal((k["messages"], k["behind"], k["slot"], k["pid"], k["attached"]),
          (7, 7, slot_of_sub(topic), s.p.pid, 1), "the module's answer")
    t.stop()
    t = ModuleTrace("--events", "wait", topic)
    p = flood(topic)
    o = t.until(1, "wait", pid=p.p.pid)[0]
    equal((o["source"], o["slowest"], o["slot"]), ("module", slot_of_sub(topic), None))
    check(o["behind"] > 7 and o["messages"] >= o["behind"], o)
    t.stop()
    end(p)
    end(s)
    run("rm", "--force", topic)


def slot_of_sub(topic):
    return [x["slot"] for x in stat(topic)["subscriber"] if x["state"] == "attached"][0]


@case
def on_the_device_a_killed_publisher_is_named():
    needs_bpf()
    topic = name()
    s = sub(topic, "--quiet")
    for source, by in (("all", None), ("module", "module"), ("probes", "counters")):
        p = publisher(topic)
        t = Deaths("--source", source, topic)
        at = time.time_ns()
        p.kill().wait()
        d = t.died()[0]
        equal((d["pid"], d["comm"], d["signal"], d["sender"]["pid"]),
              (p.p.pid, "shmipc", "SIGKILL", os.getpid()), source)
        # Several sources know it, and one is a little faster than the others.
        equal([(e["name"], e["role"], e["kind"], by and e["source"]) for e in d["ends"]],
              [(topic, "producer", "topic", by)], source)
        if by == "module":
            check(-50_000_000 < d["noticed_ns"] - at < 2_000_000_000, d["noticed_ns"] - at)
        t.stop()
        equal(len(t.died()), 1, "deaths with " + source)
    s.kill(signal.SIGINT).wait()
    run("rm", "--force", topic)


@case
def on_the_device_an_early_death_is_reported_though_no_table_shows_it():
    needs_bpf()
    topic = name()
    persistent(topic)
    t = Deaths("--source", "module", topic)
    stopped(t)
    dead = [sub(topic, "--quiet") for _ in range(3)]
    for r in dead:
        r.kill().wait()
    persistent(topic)       # takes one of their slots, and leaves it
    t.kill(signal.SIGCONT)
    equal({(x["comm"], x["signal"], x["pid"], x["ends"][0]["source"]) for x in t.died(3)},
          {("shmipc", "SIGKILL", r.p.pid, "module") for r in dead})
    t.stop()
    run("rm", topic)


@case
def on_the_device_the_module_reports_attaching_and_leaving():
    topic = name()
    t = ModuleTrace("--events", "create,open,destroy,attach,detach,death", topic)
    s = sub(topic, "--quiet")
    p = publish(topic, 3).ends(OK)
    s.kill().wait()
    run("rm", "--force", topic)
    destroy = t.until(1, "destroy")[0]
    create = t.seen("create")
    equal([(o["pid"], o["kind"], o["source"]) for o in create], [(s.p.pid, "topic", "module")])
    check(destroy["id"] == create[0]["id"] and destroy["bytes"] == create[0]["bytes"], destroy)
    # Of 8 MiB and more, an idle topic takes little.
    check(0 < create[0]["memory_bytes"] <= 1 << 16, create)
    check(create[0]["memory_bytes"] <= destroy["memory_bytes"] <= 1 << 17, destroy)
    equal([(o["pid"], o["role"]) for o in t.seen("attach")],
          [(s.p.pid, "reader"), (p.p.pid, "producer")])
    equal([(o["pid"], o["messages"], o["attached"]) for o in t.seen("detach")], [(p.p.pid, 3, 1)])
    equal([(o["pid"], o["role"], o["messages"], o["attached"]) for o in t.seen("death")],
          [(s.p.pid, "reader", 3, 0)])
    check(p.p.pid in [o["pid"] for o in t.seen("open")], t.seen("open"))
    t.stop()


@case
def on_the_device_nothing_is_reported_twice():
    topic = name()
    t = ModuleTrace(topic, source="all")
    check("listens to the probes" in t.err and "the kernel module" in t.err, t.err)
    s = sub(topic, "--count", "20", "--wait", "block")
    publish(topic, 20, "--wait-subscribers", "1", "--rate", "200").ends(OK)
    s.ends(OK)
    run("rm", "--force", topic)
    t.until(1, "destroy")
    t.stop()
    equal({(o["event"], o["source"]) for o in t.seen() if o["event"] in ("attach", "detach")},
          {("attach", "module"), ("detach", "module")})
    # The module's sleeps and wakes count until a process has met its first probe.
    slept = [o for o in t.seen() if o["event"] in ("wait", "wait_end", "wake")]
    first = {}
    for o in slept:
        if o["source"] == "probes":
            first[o["pid"]] = min(o["mono_ns"], first.get(o["pid"], o["mono_ns"]))
    check(s.p.pid in first, slept)
    equal([o for o in slept if o["source"] != "probes" and o["mono_ns"] >= first.get(o["pid"], o["mono_ns"] + 1)], [])
    equal(len(t.seen("attach")), 2, "ends that came")


@case
def on_the_device_the_module_reports_processes_without_probes():
    topic = name()
    persistent(topic)
    t = ModuleTrace("--events", "wait,wait_end", topic, source="all")
    without_probes(topic, 300)     # on a busy machine it begins to sleep late
    o = t.until(1, "wait_end")[0]
    equal((o["comm"], o["source"], o["ret"]), ("python3", "module", -110))
    check(o["slept_ns"] > 25_000_000, o)
    equal(o["off"], t.seen("wait")[0]["off"], "word")
    t.stop()
    h = ModuleTrace("--histogram", "wait", topic, source="all")
    for _ in range(3):
        without_probes(topic, 300)
    h.stop()
    rows = all_of(h, topic)[1]
    equal(sorted(x["count"] for x in rows), [1, 1, 1], "sleeps of three processes")
    check(all(x["max"] > 25_000_000 and x["slot"] == -1 for x in rows), rows)
    run("rm", topic)


@case
def on_the_device_publish_to_receive_comes_from_probes():
    topic = name()
    s = sub(topic, "--count", "50", "--policy", "lossless", "--meta", "mono")
    t = Trace("--histogram", "publish-to-receive", topic)
    publish(topic, 50, "--wait-subscribers", "1").ends(OK)
    s.ends(OK)
    t.stop()
    whole, peers = all_of(t, topic)
    equal([(o["pid"], o["count"]) for o in peers], [(s.p.pid, 50)])
    check(0 < whole[0]["p50"] <= whole[0]["max"], whole)


@case
def on_the_device_waits_and_wakes_are_measured_by_either():
    for source in "probes", "module", "all":
        for what in "wait", "wake":
            topic = name()
            s = sub(topic, "--count", "50", "--wait", "block")
            t = ModuleTrace("--histogram", what, topic, source=source) if source != "probes" else \
                Trace("--source", source, "--histogram", what, topic)
            publish(topic, 50, "--wait-subscribers", "1", "--rate", "200").ends(OK)
            s.ends(OK)
            t.stop()
            rows = [o for o in all_of(t, topic)[1] if o["pid"] == s.p.pid]
            check(len(rows) == 1 and rows[0]["count"] > 0, source, what, t.out, t.err)
            equal(rows[0]["slot"] == -1, source == "module", "slot with " + source)


@case
def on_the_device_occupancy_is_the_samplers():
    needs_bpf()
    topic = name()
    s = sub(topic)
    stopped(s)
    publish(topic, 29).ends(OK)
    with open(RATE) as f:
        before = f.read()
    t = Run("trace", "--json", "--histogram", "occupancy", "--source", "module", "--rate", "50", topic)
    until(sampler_runs, "a sampler that runs")
    until(lambda: sampler("hz") == 50, "its rate")
    ticks = sampler("ticks")
    until(lambda: sampler("ticks") > ticks + 5, "samples")
    t.kill(signal.SIGINT).ends(INTERRUPTED)
    peers = all_of(t, topic)[1]
    equal([(o["pid"], o["p50"], o["max"]) for o in peers], [(s.p.pid, 29, 29)])
    check(peers[0]["count"] > 2, peers)
    sampler_stops()
    with open(RATE) as f:
        equal(f.read(), before, "its rate, afterwards")
    # And both, without reporting a segment twice.
    r = Run("trace", "--json", "--histogram", "occupancy", "--duration", "0.3", topic).ends(OK)
    check("sampler of the kernel module" in r.err, r.err)
    equal([(o["pid"], o["max"]) for o in all_of(r, topic)[1]], [(s.p.pid, 29)])
    c = Run("trace", "--json", "--histogram", "occupancy", "--source", "counters", "--duration", "0.3",
            topic).ends(OK)
    check("sampler" not in c.err, c.err)
    equal([(o["pid"], o["max"]) for o in all_of(c, topic)[1]], [(s.p.pid, 29)])
    s.kill(signal.SIGCONT).kill(signal.SIGINT).ends(INTERRUPTED)


@case
def on_the_device_samples_are_events_too():
    topic = name()
    s = sub(topic)
    stopped(s)
    publish(topic, 5).ends(OK)
    t = ModuleTrace("--events", "sample,sample_peer", topic)
    o = t.until(3, "sample_peer")[-1]
    equal((o["pid"], o["role"], o["behind"], o["waits_for"], o["slot"]),
          (s.p.pid, "reader", 5, None, slot_of_sub(topic)))
    o = t.until(3, "sample")[-1]
    equal((o["messages"], o["behind"], o["slowest"], o["attached"]), (5, 5, slot_of_sub(topic), 1))
    t.stop()
    sampler_stops()
    s.kill(signal.SIGCONT).kill(signal.SIGINT).ends(INTERRUPTED)


@case
def on_the_device_events_of_the_module_are_read_again():
    topic = name()
    file = os.path.join(os.environ["SHMIPC_TRACE_TMP"], "recording")
    persistent(topic)
    t = ModuleTrace("--record", file, topic)
    without_probes(topic, 20)
    t.until(1, "wait_end")
    t.stop()
    r = run("trace", "--read", file, "--json")
    equal([o["event"] for o in objects(r.out)], [o["event"] for o in t.seen()])
    check("runs again" in run("trace", "--read", file).out.decode(), "text")
    h = run("trace", "--read", file, "--histogram", "wait", "--json")
    equal([o["count"] for o in objects(h.out) if o["slot"] is None], [1])
    run("rm", topic)


def rmmod():
    return subprocess.run(["rmmod", "shmipc"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def remove_module():
    """The kernel releases programs, and what they hold, a little later."""
    until(lambda: rmmod().returncode == 0, "a module that goes")


def insmod():
    subprocess.run(["insmod", MODULE], check=True)
    os.chmod("/dev/shmipc", 0o666)


@case
def on_the_device_a_tracer_holds_the_module():
    needs_bpf()
    for args in ((), ("--histogram", "wait"), ("--slow",), ("--deaths",),
                 ("--histogram", "occupancy")):
        t = Run("trace", "--json", *args)
        until(lambda: "kernel module" in t.err or t.p.poll() is not None, "a tracer that listens")
        r = rmmod()
        check(r.returncode and b"unavailable" in r.stdout or b"busy" in r.stdout, args, r.stdout)
        t.kill(signal.SIGINT).ends(INTERRUPTED)
        remove_module()
        insmod()


@case
def on_the_device_a_tracer_finds_a_module_that_comes():
    needs_bpf()
    topic = name()
    remove_module()
    try:
        t = ModuleTrace("--events", "create,attach,death", topic, SHMIPC_BACKEND="auto")
        s = Run("trace", "--slow", "--json", "--source", "module", SHMIPC_BACKEND="auto")
        d = Deaths("--source", "module", topic, SHMIPC_BACKEND="auto")
        for x in t, s, d:
            until(lambda: "waits for the kernel module: the kernel module is not loaded" in x.err,
                  "what it waits for")
    finally:
        insmod()
    until(lambda: "the kernel module was loaded" in t.err, "a tracer that finds it")
    until(lambda: "listens to the kernel module" in d.err, "another one")
    until(lambda: "listens to the sampler" in s.err, "a third")
    persistent(topic)
    one = sub(topic, "--quiet")
    t.until(1, "attach", pid=one.p.pid)
    one.kill().wait()
    t.until(1, "death", pid=one.p.pid)
    equal((d.died()[0]["pid"], d.died()[0]["ends"][0]["name"]), (one.p.pid, topic))
    for x in t, s, d:
        x.kill(signal.SIGINT).ends(INTERRUPTED)
    run("rm", topic)


def without_btf():
    """The module, with the section of its types under another name."""
    file = os.path.join(os.environ["SHMIPC_TRACE_TMP"], "without-btf.ko")
    with open(MODULE, "rb") as f:
        data = f.read()
    check(data.count(b"\0.BTF\0") == 1, "one section of types")
    with open(file, "wb") as f:
        f.write(data.replace(b"\0.BTF\0", b"\0.FTB\0"))
    return file


@case
def on_the_device_a_module_without_types_leaves_the_rest():
    needs_bpf()
    topic = name()
    remove_module()
    try:
        subprocess.run(["insmod", without_btf()], check=True)
        os.chmod("/dev/shmipc", 0o666)
        check(not os.path.exists("/sys/kernel/btf/shmipc"), "types all the same")
        t = Trace("--events", "take", topic)
        t.stop()
        t = Trace(topic)
        check("no type information" in t.err, t.err)
        s = sub(topic, "--count", "5")
        publish(topic, 5).ends(OK)
        s.ends(OK)
        t.until(1, "attach")
        t.stop()
        equal({o["source"] for o in t.seen()}, {"probes"})
        r = Run("trace", "--histogram", "occupancy", "--source", "module", "--duration", "0.1").ends(OK)
        check("no type information" in r.err, r.err)
    finally:
        rmmod()
        insmod()


@case
def on_the_device_perf_and_tracefs_have_the_same_events():
    topic = name()
    persistent(topic)
    if shutil.which("perf") and subprocess.run(["perf", "version"], stdout=subprocess.PIPE,
                                               stderr=subprocess.PIPE).returncode == 0:
        script = os.path.join(TOP, "tools", "trace", "scripts", "perf-dev")
        p = subprocess.Popen(["sh", script, "2", "shmipc_wait", "shmipc_wait_end"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        children.append(p)
        while p.poll() is None:
            without_probes(topic, 20)
        out = p.stdout.read().decode()
        check("shmipc:shmipc_wait:" in out and "shmipc:shmipc_wait_end:" in out,
              out, p.stderr.read())
        for f in p.stdout, p.stderr:
            f.close()
    else:
        print("# perf does not run here: tracefs only")
    enable = os.path.join(TRACING, "events/shmipc/enable")
    with open(os.path.join(TRACING, "trace"), "w"):
        pass            # empties it
    with open(enable, "w") as f:
        f.write("1")
    without_probes(topic, 20)
    sub(topic, "--quiet").kill().wait()

    def told():
        with open(os.path.join(TRACING, "trace")) as f:
            text = f.read()
        return all("shmipc_%s:" % e in text for e in (
            "open", "attach", "death", "wait", "wait_end", "sample", "sample_peer"))
    try:
        until(told, "each event in tracefs")
    finally:
        with open(enable, "w") as f:
            f.write("0")
    run("rm", topic)


@case
def on_the_device_sources_without_the_answer_are_refused():
    for args, why in ((("--source", "counters"), "no events"),
                      (("--source", "probes", "--histogram", "occupancy"), "do not know the occupancy"),
                      (("--source", "module", "--histogram", "hold"), "needs probes"),
                      (("--source", "module", "--events", "take"), "from probes only"),
                      (("--source", "nobody"), "probes, module")):
        r = run("trace", *args, code=USAGE)
        check(why in r.err, r.err)
