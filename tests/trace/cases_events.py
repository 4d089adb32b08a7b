# SPDX-License-Identifier: MIT
"""Live events: what is reported, of which process, and what is left out."""
import os
import shutil
import signal
import subprocess
import tempfile

from harness import (FAIL, OK, SHMIPC, USAGE, Run, Skip, case, check, children, equal, objects, run,
                     stopped, until)
from tracing import (INTERRUPTED, Trace, name, needs_bpf, publish, scratch, sub)


@case
def every_message_is_reported_with_its_process():
    topic = name()
    t = Trace("--events", "publish,take", topic)
    s = sub(topic, "--count", "20")
    p = publish(topic, 20, "--wait-subscribers", "1").ends(OK)
    s.ends(OK)
    t.until(40)
    t.stop()
    equal([o["seq"] for o in t.seen("publish")], list(range(20)), "numbers published")
    equal([o["seq"] for o in t.seen("take")], list(range(20)), "numbers taken")
    for o in t.seen("publish"):
        equal((o["name"], o["pid"], o["comm"], o["bytes"], o["n"]),
              (topic, p.p.pid, "shmipc", 5, 1), "a publication")
    for o in t.seen("take"):
        equal((o["name"], o["pid"], o["comm"], o["bytes"]), (topic, s.p.pid, "shmipc", 5), "a take")


@case
def messages_of_a_ring_are_reported_with_their_bytes():
    for align in "8", "64":     # the first record is at another offset
        ring = name()
        t = Trace("--events", "publish,take", ring)
        with tempfile.TemporaryFile() as f:
            f.write(b"a\nbcd\nefghi\n")
            f.seek(0)
            s = Run("send", "-q", "-l", "--align", align, ring, stdin=f)
            run("recv", "-q", "--align", align, ring)
            s.ends(OK)
        t.until(4)
        t.stop()
        equal([(o["seq"], o["bytes"]) for o in t.seen("take")], [(0, 2), (1, 4), (2, 6)], align)
        told = t.seen("publish")
        equal((sum(o["bytes"] for o in told), sum(o["n"] for o in told), told[0]["seq"]),
              (12, 3, 0), "align " + align)


@case
def events_that_are_not_of_each_message_are_the_default():
    topic = name()
    t = Trace(topic)
    s = sub(topic, "--until-gone")
    publish(topic, 5, "--wait-subscribers", "1").ends(OK)
    s.ends(OK)
    t.until(2, "detach")
    t.stop()
    kinds = {o["event"] for o in objects(t.out)}
    check({"attach", "detach", "wait", "wait_end"} <= kinds, kinds)
    check(not kinds & {"publish", "take", "publish_some", "take_some", "hold", "release"}, kinds)
    for o in t.seen("attach"):
        check(o["role"] in ("producer", "reader", "consumer"), o)


@case
def a_full_topic_names_the_end_in_the_way():
    topic = name()
    s = sub(topic, "--policy", "lossless", "--count", "400")
    stopped(s)
    t = Trace("--events", "full", topic)
    p = publish(topic, 5000)
    o = t.until(1, "full")[0]
    equal(o["pid"], p.p.pid, "the publisher without room")
    st = objects(run("stat", "--json", topic).out)[0]
    equal([x["slot"] for x in st["subscriber"] if x["pid"] == s.p.pid], [o["blocker"]], "blocker")
    equal((o["blocker_pid"], o["blocker_comm"]), (s.p.pid, "shmipc"), "the end in its way")
    check(o["behind"] > 0, o)
    t.stop()
    p.kill(signal.SIGINT).ends(INTERRUPTED)
    s.kill(signal.SIGKILL).wait()
    run("gc")


@case
def patterns_choose_the_segments():
    topic, other = name(), name()
    t = Trace("--events", "publish", topic[:-3] + "*")
    publish(other, 3).ends(OK)
    publish(topic, 3).ends(OK)
    t.until(3)
    t.stop()
    equal({o["name"] for o in objects(t.out)}, {topic}, "names")


def pids_choose(two):
    """One: the kernel traps no other process. Two: the programs sort them out."""
    topic = name()
    keep = sub(topic, "--until-gone")
    stopped(keep)
    p = Run("pub", "--lines", topic, stdin=subprocess.PIPE)
    more = ("--pid", str(keep.p.pid)) if two else ()
    t = Trace("--events", "publish", "--pid", str(p.p.pid), *more, topic)
    publish(topic, 4).ends(OK)
    p.stdin.write(b"one\ntwo\n")
    p.stdin.close()
    p.ends(OK)
    t.until(2)
    t.stop()
    equal({o["pid"] for o in objects(t.out)}, {p.p.pid}, "processes")
    equal(len(objects(t.out)), 2, "events")
    keep.kill(signal.SIGCONT).ends(OK)


@case
def a_pid_chooses_the_process():
    pids_choose(two=False)


@case
def pids_choose_the_processes():
    pids_choose(two=True)


def cgroup_dir():
    with open("/proc/mounts") as f:
        for line in f:
            where, kind = line.split()[1:3]
            if kind == "cgroup2":
                return where
    raise Skip("cgroup v2 is not mounted")


@case
def a_cgroup_chooses_the_processes():
    needs_bpf()
    path = os.path.join(cgroup_dir(), "shmipc-test-%d" % os.getpid())
    try:
        os.mkdir(path)
    except OSError as e:
        raise Skip("no cgroup can be made: %s" % e) from None
    topic = name()
    t = None
    try:
        t = Trace("--events", "publish", "--cgroup", path, topic)
        publish(topic, 3).ends(OK)
        inside = Run("pub", "--message", "x", "--repeat", "2", topic,
                     prefix=("sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', path))
        inside.ends(OK)
        t.until(2)
        t.stop()
        equal([o["pid"] for o in objects(t.out)], [inside.p.pid] * 2, "processes")
    finally:
        until(lambda: not open(path + "/cgroup.procs").read(), "an empty cgroup")
        os.rmdir(path)


@case
def a_directory_that_is_not_a_cgroup_is_refused():
    needs_bpf()
    err = run("trace", "--cgroup", "/", code=FAIL).err
    check("cgroup v2" in err, err)


@case
def lost_events_are_counted_to_the_last():
    topic, n = name(), 3000
    t = Trace("--events", "publish", "--buffer", "4096", topic)
    stopped(t)
    publish(topic, n).ends(OK)
    t.kill(signal.SIGCONT)
    t.until(1, "lost")
    t.stop()
    shown, lost = t.seen("publish"), t.seen("lost")
    check(0 < len(shown) < n, len(shown))
    equal(len(shown) + sum(o["lost"] for o in lost), n, "shown and lost")
    equal(lost[-1]["total"], n - len(shown), "lost in all")


def child_of(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return [int(x) for x in f.read().split()]


def can_unshare():
    needs_bpf()
    if subprocess.call(["unshare", "--pid", "--fork", "--mount-proc", "true"],
                       stderr=subprocess.DEVNULL):
        raise Skip("no PID namespace can be made")


@case
def a_container_process_has_the_pid_that_we_see():
    can_unshare()
    topic = name()
    t = Trace("--events", "publish", topic)
    p = Run("pub", "--lines", topic, stdin=subprocess.PIPE,
            prefix=("unshare", "--pid", "--fork", "--mount-proc"))
    inner = until(lambda: child_of(p.p.pid), "a process in the namespace")[0]
    p.stdin.write(b"x\n")
    p.stdin.close()
    p.ends(OK)
    o = t.until(1)[0]
    t.stop()
    equal((o["pid"], o["comm"]), (inner, "shmipc"), "process")


@case
def a_tracer_in_a_container_shows_its_own_pids():
    can_unshare()
    topic = name()
    outside = Run("pub", "--lines", topic, stdin=subprocess.PIPE)
    script = ('"$0" trace --json --events publish --count 2 "$1" & t=$!; read line; '
              '"$0" pub --message x "$1" & echo "inner $!" >&2; wait $!; wait $t')
    t = Trace.__new__(Trace)
    Run.__init__(t, topic, stdin=subprocess.PIPE,
                 prefix=("unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", script))
    t.ready()
    outside.stdin.write(b"x\n")
    outside.stdin.flush()
    t.until(1)
    t.stdin.write(b"go\n")
    t.stdin.close()
    t.ends(OK)
    inner = int(t.err.split("inner ")[1].split()[0])
    equal(t.seen("publish")[0]["pid"], 0, "the PID of a process that cannot be seen from there")
    equal(t.seen("publish")[1]["pid"], inner, "the PID inside")
    outside.stdin.close()
    outside.ends(OK)


@case
def a_program_that_starts_later_is_seen():
    topic, other = name(), scratch("other")
    t = Trace("--events", "publish", topic)
    shutil.copy(SHMIPC, other)     # another file, which no process had mapped
    p = subprocess.Popen([other, "pub", "--lines", topic], stdin=subprocess.PIPE,
                         stderr=subprocess.DEVNULL)
    children.append(p)

    def told():
        p.stdin.write(b"x\n")
        p.stdin.flush()
        return t.seen("publish")
    equal(until(told, "an event of the new program")[0]["pid"], p.pid, "process")
    p.stdin.close()
    p.wait()
    t.stop()
    os.unlink(other)


@case
def count_and_duration_end_it():
    topic = name()
    t = Trace("--events", "publish", "--count", "3", topic)
    publish(topic, 10).ends(OK)
    t.ends(OK)
    equal(len(objects(t.out)), 3, "events")
    equal(run("trace", "--duration", "0.05", topic).out, b"", "events of nothing")


@case
def without_rights_it_says_what_to_do():
    needs_bpf()
    prefix = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
              "--bounding-set", "-all")
    r = Run("trace", prefix=prefix).ends(FAIL)
    for word in ("CAP_BPF", "CAP_PERFMON", "EPERM", "setcap", "--histogram occupancy"):
        check(word in r.err, word, r.err)


@case
def impossible_combinations_are_refused():
    for args, word in ((("--events", "publish,tkae"), "tkae"), (("--events", ""), "--events"),
                       (("--histogram", "waits"), "waits"), (("--pid", "x"), "--pid"),
                       (("--pid", "0"), "--pid"), (("--duration", "0"), "--duration"),
                       (("--plot", "x.svg"), "--plot"), (("--sample",), "--sample"),
                       (("--buffer", "x"), "--buffer"), (("a//b",), "a//b"),
                       (("--histogram", "wait", "--events", "wait"), "--events"),
                       (("--histogram", "wait", "--count", "1"), "--count"),
                       (("--read", "x", "--record", "y"), "--read")):
        err = run("trace", *args, code=USAGE).err
        check(word in err and "trace --help" in err, args, err)


@case
def text_has_a_line_for_each_event():
    needs_bpf()
    topic = name()
    t = Run("trace", "--events", "publish,attach,detach", topic)
    Trace.ready(t)
    p = publish(topic, 1).ends(OK)
    until(lambda: t.out.count(b"\n") == 3, "three lines")
    t.kill(signal.SIGINT).ends(INTERRUPTED)
    lines = t.out.decode().splitlines()
    for line, words in zip(lines, (("attach", "comes as producer"), ("publish", "message 0, 5 B"),
                                   ("detach", "goes as producer"))):
        for word in words + (topic, "pid %d" % p.p.pid, "shmipc"):
            check(word in line, word, line)
