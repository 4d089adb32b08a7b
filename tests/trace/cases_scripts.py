# SPDX-License-Identifier: MIT
"""The scripts for bpftrace and perf, on real processes."""
import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile

from harness import OK, SHMIPC, TOP, Run, Skip, case, check, children, equal, objects, run, stopped, until
from tracing import name, needs_bpf, sub

FIRST_PID_NS = 0xeffffffc       # the kernel's PROC_PID_INIT_INO
SCRIPTS = os.path.join(TOP, "tools", "trace", "scripts")


class Script:
    """A running script of bpftrace, with its probes set."""

    def __init__(self, script):
        needs_bpf()
        if not shutil.which("bpftrace"):
            raise Skip("no bpftrace here")
        if os.stat("/proc/self/ns/pid").st_ino != FIRST_PID_NS:
            raise Skip("bpftrace tells the PIDs of the first namespace, and this is another")
        self.out_file = tempfile.TemporaryFile()
        self.p = subprocess.Popen(["bpftrace", os.path.join(SCRIPTS, script), SHMIPC],
                                  stdout=self.out_file, stderr=subprocess.STDOUT)
        children.append(self.p)
        # It prints this before its probes are set: see_it() tries until they are.
        until(lambda: "Attaching" in self.out or self.p.poll() is not None, "a script that begins")

    @property
    def out(self):
        return os.pread(self.out_file.fileno(), 1 << 20, 0).decode(errors="replace")

    def stop(self):
        self.p.send_signal(signal.SIGINT)
        equal(self.p.wait(60), 0, "exit code; it said " + self.out)
        check("Lost" not in self.out, self.out)
        return self.out


def in_kernel(script, *what):
    """A script prints its counts when it ends, so its probes are seen by their semaphores."""
    pids = [p for r in what for p in [r.p.pid]]
    until(lambda: all(listening(p) for p in pids) or script.p.poll() is not None,
          "probes that are set; it said: " + script.out)


def listening(pid):
    """Has the kernel put a trap into the process? Then its text has a page of its own."""
    with open("/proc/%d/smaps" % pid) as f:
        text = f.read()
    for m in re.finditer(r"r-xp \S+ \S+ \S+ +(\S+)\n(?:\S+: .*\n)*?Anonymous: +(\d+) kB", text):
        if os.path.realpath(m.group(1)) == os.path.realpath(SHMIPC) and int(m.group(2)):
            return True
    return False


def flood(topic, *args):
    return Run("pub", "--quiet", "--message", "x" * 200, "--repeat", "1000000000", *args, topic)


def taken(topic):
    st = objects(run("stat", "--json", topic).out)[0]
    return sum(s["received"] for s in st["subscriber"])


def more_taken(topic, n):
    was = taken(topic)
    until(lambda: taken(topic) >= was + n, "%d more messages" % n)


def end(*what):
    for r in what:
        r.kill().wait()


@case
def each_script_says_what_it_is():
    scripts = sorted(os.listdir(SCRIPTS))
    check(len(scripts) >= 7, scripts)
    for s in scripts:
        with open(os.path.join(SCRIPTS, s)) as f:
            head = f.read().splitlines()[:4]
        check(head[0].startswith("#!") and "SPDX-License-Identifier: MIT" in head[1], s)
        check(all(re.match(r"(//|#) \S", line) for line in head[2:]) and
              os.path.splitext(s)[0] in head[3], s, head)
        check(os.access(os.path.join(SCRIPTS, s), os.X_OK), s)


@case
def publish_rate_counts_messages_and_bytes():
    topic = name()
    p = flood(topic, "--rate", "1000")
    s = Script("publish-rate.bt")

    def rate():
        m = re.findall(r"@(messages|bytes)\[%s, shmipc, %d\]: (\d+)" % (topic, p.p.pid), s.out)
        return dict(m) if len(m) >= 4 else None     # of a complete second
    found = until(rate, "a rate of " + topic)
    equal(int(found["bytes"]), 200 * int(found["messages"]), "bytes")
    s.stop()
    end(p)
    run("rm", "--force", topic)


@case
def publish_to_receive_makes_a_histogram():
    topic = name()
    r = sub(topic, "--quiet")
    p = flood(topic, "--rate", "2000")
    s = Script("publish-to-receive.bt")
    in_kernel(s, r, p)
    more_taken(topic, 500)
    out = s.stop()
    check(re.search(r"@ns\[%s, shmipc, %d\]:.*\n(\[.*\n)*\[\d+\w?, \d+\w?\) +[1-9]" %
                    (topic, r.p.pid), out), out)
    end(p, r)
    run("rm", "--force", topic)


@case
def waiting_publishers_names_the_publisher_and_the_slot():
    topic = name()
    r = sub(topic, "--quiet", "--policy", "lossless")
    p = flood(topic)
    s = Script("waiting-publishers.bt")
    in_kernel(s, p)
    stopped(r)

    def waits():
        return sum(x["waits"] for x in objects(run("stat", "--json", topic).out)[0]["publisher"])
    was = waits()
    until(lambda: waits() > was + 5, "a publisher that waits")
    slot = objects(run("stat", "--json", topic).out)[0]["subscriber"][0]["slot"]
    out = s.stop()
    m = re.search(r"@ms\[%s, shmipc, %d, %d\]: (\d+)" % (topic, p.p.pid, slot), out)
    check(m and int(m.group(1)) > 0, out)
    end(p, r)
    run("rm", "--force", topic)


@case
def losses_are_reported_as_they_happen():
    topic = name()
    r = sub(topic, "--quiet")
    p = flood(topic)
    s = Script("losses.bt")
    in_kernel(s, r, p)
    stopped(r)
    until(lambda: objects(run("stat", "--json", topic).out)[0]["subscriber"][0]["lag"] > 5000,
          "a subscriber that is far behind")
    r.kill(signal.SIGCONT)
    m = until(lambda: re.search(r"gap +%s: shmipc \(%d\) lost (\d+) messages, (\d+) up to, not with, (\d+)"
                                % (topic, r.p.pid), s.out), "a gap")
    equal(int(m.group(3)) - int(m.group(2)), int(m.group(1)), "lost")
    s.stop()
    end(p, r)
    run("rm", "--force", topic)


@case
def wake_to_run_makes_a_histogram():
    topic = name()
    r = sub(topic, "--quiet", "--wait", "block")
    p = flood(topic, "--rate", "500")
    s = Script("wake-to-run.bt")
    in_kernel(s, r, p)
    more_taken(topic, 200)
    out = s.stop()
    check(re.search(r"@ns\[%s, shmipc, %d\]:" % (topic, r.p.pid), out), out)
    end(p, r)
    run("rm", "--force", topic)


@case
def perf_records_the_librarys_probes():
    needs_bpf()
    if not shutil.which("perf"):
        raise Skip("no perf here")
    topic = name()
    p = flood(topic, "--rate", "1000")

    def mem(probe):
        """When no other process on this machine uses perf in this way."""
        def once():
            r = subprocess.run([os.path.join(SCRIPTS, "perf-mem"), SHMIPC, "1", probe],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            return None if b"already" in r.stdout else r
        return until(once, "a machine without such probes")
    out = mem("publish")
    text = out.stdout.decode()
    equal(out.returncode, 0, text)
    check(re.search(r"shmipc +%d .*sdt_shmipc:publish: .*arg5=200 arg6=1" % p.p.pid, text), text[:2000])
    bad = mem("nonsense")
    equal(bad.returncode, 1)
    check(b'no probe "nonsense"' in bad.stdout, bad.stdout)
    left = subprocess.run(["perf", "probe", "-l"], stdout=subprocess.PIPE).stdout
    check(b"sdt_shmipc" not in left, left)
    end(p)
    run("rm", "--force", topic)


@case
def perf_of_the_module_needs_the_module():
    if not shutil.which("perf"):
        raise Skip("no perf here")
    script = os.path.join(SCRIPTS, "perf-dev")
    r = subprocess.run([script, "0.1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if glob.glob("/sys/kernel/tracing/events/shmipc"):
        equal(r.returncode, 0, r.stdout.decode())
    else:
        equal(r.returncode, 1)
        check(b"modprobe shmipc" in r.stdout, r.stdout)
