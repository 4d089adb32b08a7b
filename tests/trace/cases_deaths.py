# SPDX-License-Identifier: MIT
"""--deaths: which processes had an end and died, and how."""
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time

from harness import (OK, ON_DEV, SHMIPC, Run, Skip, attached, case, check, children, equal, objects, run, stat,
                     until)
from tracing import INTERRUPTED, name, needs_bpf, sub

LIB = os.path.join(os.path.dirname(SHMIPC), "libshmipc.so")

# Opens an end of each topic, and follows the commands on its standard input.
ENDS = """
import ctypes, os, signal, sys
lib = ctypes.CDLL(sys.argv[1])
for topic in sys.argv[3:]:
    end = ctypes.c_void_p()
    assert lib.shmipc_sub_open(ctypes.byref(end), topic.encode(), None, None) == 0
print("has them", flush=True)
sys.stdin.readline()
exec(sys.argv[2])
"""


class Deaths(Run):
    def __init__(self, *args, **kw):
        super().__init__("trace", "--deaths", "--json", *args, **kw)
        until(lambda: "watching" in self.err or self.p.poll() is not None, "a tracer that watches")
        if self.p.poll() is not None:
            raise AssertionError("the tracer ended at once: " + self.err)

    def died(self, n=1):
        def look():
            d = [o for o in objects(self.out) if o["event"] == "died"]
            return d if len(d) >= n else None
        return until(look, "%d deaths" % n)

    def stop(self):
        return self.kill(signal.SIGINT).ends(INTERRUPTED)


class Ends:
    """A process with an end of each topic, which follows commands."""

    def __init__(self, what, *topics, prefix=()):
        self.p = subprocess.Popen([*prefix, sys.executable, "-c", ENDS, LIB, what, *topics],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)
        children.append(self.p)
        equal(self.p.stdout.readline(), b"has them\n")

    def go(self):
        self.p.stdin.write(b"\n")
        self.p.stdin.flush()
        return self

    def wait(self):
        self.p.wait(60)
        self.p.stdin.close()
        self.p.stdout.close()


def persistent(*topics):
    for topic in topics:
        run("pub", "--quiet", "--persist", "--message", "x", topic)


def publisher(topic, *args, **kw):
    p = Run("pub", "--quiet", "--message", "x", "--repeat", "1000000000", "--rate", "100", *args,
            topic, **kw)

    def there():
        r = Run("stat", "--json", topic)
        return r.wait() == OK and any(x["state"] == "attached" for x in objects(r.out)[0]["publisher"])
    until(there, "a publisher")
    return p


@case
def a_killed_publisher_is_named_within_two_seconds():
    needs_bpf()
    topic = name()
    s = sub(topic, "--quiet")
    p = publisher(topic)
    t = Deaths(topic)
    at = time.time_ns()
    p.kill().wait()
    d = t.died()[0]
    equal((d["pid"], d["comm"], d["signal"], d["exit_code"], d["oom"]),
          (p.p.pid, "shmipc", "SIGKILL", None, False))
    equal(d["sender"]["pid"], os.getpid(), "the killer")
    equal([(e["name"], e["role"], e["kind"]) for e in d["ends"]], [(topic, "producer", "topic")])
    # The time of death is the kernel's; the report comes soon, though the machine may be busy.
    check(-50_000_000 < d["wall_ns"] - at < 2_000_000_000, d["wall_ns"] - at)
    check(d["noticed_ns"] - at < 2_000_000_000, d["noticed_ns"] - at)
    t.stop()
    s.kill(signal.SIGINT).wait()
    run("rm", "--force", topic)


@case
def the_killer_of_each_of_many_is_known():
    """Threads end at the same time on all CPUs: more than one may find itself the last."""
    needs_bpf()
    topic = name()
    pubs = [publisher(topic) for _ in range(30)]
    t = Deaths(topic)
    for p in pubs:
        p.kill().wait()
    d = t.died(len(pubs))
    equal([x["sender"] and x["sender"]["pid"] for x in d], [os.getpid()] * len(pubs))
    equal(sorted(x["pid"] for x in d), sorted(p.p.pid for p in pubs))
    t.stop()
    run("rm", "--force", topic)


@case
def a_process_is_reported_once_with_all_its_ends():
    needs_bpf()
    topics = [name() for _ in range(3)]
    persistent(*topics)
    t = Deaths("trace-test/*")
    e = Ends("os.kill(os.getpid(), signal.SIGSEGV)", *topics).go()
    e.wait()
    d = t.died()[0]
    equal((d["pid"], d["signal"], d["nends"]), (e.p.pid, "SIGSEGV", 3))
    equal(sorted(x["name"] for x in d["ends"]), sorted(topics))
    t.stop()
    equal(len(t.died()), 1, "deaths")
    run("rm", *topics)


@case
def an_exit_without_closing_is_reported_with_its_code():
    needs_bpf()
    topic = name()
    persistent(topic)
    t = Deaths(topic)
    e = Ends("os._exit(3)", topic).go()
    e.wait()
    d = t.died()[0]
    equal((d["pid"], d["signal"], d["exit_code"], d["sender"]), (e.p.pid, None, 3, None))
    t.stop()
    text = run("trace", "--deaths", "--duration", "0.01", topic).out.decode()
    check("died before: python3 (pid %d): reader of topic %s" % (e.p.pid, topic) in text, text)
    run("rm", topic)


@case
def probes_report_a_death_in_another_directory():
    needs_bpf()
    topic = name()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as where:
        other = sub("trace-test/other", "--quiet")      # its file has the probes, and is known already
        t = Deaths(topic)
        s = Run("sub", "--quiet", topic, SHMIPC_DIR=where)
        left = Run("sub", "--quiet", topic, SHMIPC_DIR=where)
        until(lambda: len([p for p in (stat(topic, SHMIPC_DIR=where) or {"peers": []})["peers"]
                           if p["state"] == "attached"]) == 2, "two subscribers")
        left.kill(signal.SIGINT).ends(130)
        s.kill().wait()
        d = t.died()[0]
        equal((d["pid"], d["signal"], [(e["name"], e["role"], e["elsewhere"]) for e in d["ends"]]),
              (s.p.pid, "SIGKILL", [(topic, "reader", True)]))
        t.stop()
        equal(len(t.died()), 1, "deaths")
        other.kill(signal.SIGINT).wait()


@contextlib.contextmanager
def little_memory():
    """A cgroup with 30 MiB: the file that takes its processes."""
    where = os.path.join("/sys/fs/cgroup", "memory") if os.path.isdir("/sys/fs/cgroup/memory") else \
        "/sys/fs/cgroup"
    limit = "memory.limit_in_bytes" if where.endswith("memory") else "memory.max"
    own = os.path.join(where, "shmipc-test-%d" % os.getpid())
    try:
        os.mkdir(own)
    except OSError as e:
        raise Skip("cannot create a cgroup: %s" % e)
    try:
        with open(os.path.join(own, limit), "w") as f:
            f.write(str(30 << 20))
        yield os.path.join(own, "cgroup.procs")
    except FileNotFoundError as e:
        raise Skip("no limit of memory: %s" % e)
    finally:
        os.rmdir(own)


@case
def a_death_for_lack_of_memory_is_reported_as_such():
    needs_bpf()
    topic = name()
    persistent(topic)
    with little_memory() as procs:
        t = Deaths(topic)
        e = Ends("x = [bytearray(1 << 20) for _ in range(1000)]", topic)
        with open(procs, "w") as f:
            f.write(str(e.p.pid))
        e.go().wait()
    d = t.died()[0]
    equal((d["pid"], d["signal"], d["oom"]), (e.p.pid, "SIGKILL", True))
    t.stop()
    run("rm", topic)


@case
def closing_is_no_death():
    topic = name()
    persistent(topic)
    t = Deaths(topic)
    sub(topic, "--quiet").kill(signal.SIGINT).ends(130)
    e = Ends("lib.shmipc_sub_close(end); os._exit(0)", topic).go()
    e.wait()
    dead = sub(topic, "--quiet")
    dead.kill().wait()
    equal([d["ends"][0]["name"] for d in t.died()], [topic])
    equal(t.died()[0]["pid"], dead.p.pid)
    t.stop()
    run("rm", topic)


@case
def exec_is_no_death():
    topic = name()
    persistent(topic)
    t = Run("trace", "--deaths", "--count", "1", topic)
    until(lambda: "watching" in t.err, "a tracer that watches")
    e = Ends("os.execl('/bin/cat', 'cat')", topic).go()
    t.ends(OK)
    how = "ran another program" if ON_DEV else "it is alive, and detached"
    check("(pid %d): %s without closing" % (e.p.pid, how) in t.out.decode(), t.out)
    e.p.stdin.close()
    e.p.wait(60)
    e.p.stdout.close()
    run("rm", topic)


@case
def a_death_in_another_pid_namespace_is_reported():
    needs_bpf()
    if subprocess.run(["unshare", "--pid", "--fork", "true"], stderr=subprocess.DEVNULL).returncode:
        raise Skip("may not make a PID namespace")
    topic = name()
    persistent(topic)
    t = Deaths(topic)
    e = Ends("os._exit(5)", topic, prefix=("unshare", "--pid", "--fork"))
    with open("/proc/%d/task/%d/children" % (e.p.pid, e.p.pid)) as f:
        inner = int(f.read())
    e.go().wait()
    d = t.died()[0]
    equal((d["pid"], d["comm"], d["exit_code"]), (inner, "python3", 5))
    t.stop()
    run("rm", topic)


def fds(pid):
    out = []
    for fd in os.listdir("/proc/%d/fd" % pid):
        with contextlib.suppress(OSError):
            out.append(os.readlink("/proc/%d/fd/%s" % (pid, fd)))
    return " ".join(out)


@case
def without_the_rights_the_tables_report_it():
    if os.getuid():
        raise Skip("needs root, to become somebody else")
    topic = name()
    run("pub", "--quiet", "--persist", "--mode", "644", "--message", "x", topic)
    os.chmod(os.environ["SHMIPC_DIR"], 0o755)
    t = Deaths(topic, prefix=("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"))
    s = sub(topic, "--quiet")
    until(lambda: "pidfd" in fds(t.p.pid), "a tracer that holds a pidfd of each process with an end")
    s.kill().wait()
    d = t.died()[0]
    equal((d["pid"], d["comm"], d["ends"][0]["name"]), (s.p.pid, "shmipc", topic))
    check("CAP_BPF" in t.err and "without eBPF" in t.err, t.err)
    # Linux 6.15 and newer tells any process how another one ended.
    check(d["signal"] in (None, "SIGKILL") and d["sender"] is None, d)
    if tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 15):
        equal((d["signal"], d["oom"]), ("SIGKILL", None))
    t.stop()
    run("rm", topic)
