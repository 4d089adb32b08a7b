# SPDX-License-Identifier: MIT
"""What the cases of `shmipc trace` have in common."""
import functools
import os
import signal
import subprocess
import uuid

from harness import SHMIPC, Run, Skip, objects, placed, until

INTERRUPTED = 128 + signal.SIGINT


@functools.lru_cache(maxsize=None)
def why_no_bpf():
    """The command's message, or "" if eBPF can be used."""
    p = subprocess.run([SHMIPC, "trace", "--duration", "0.001", "nothing-of-this-name"],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = p.stdout.decode().strip()
    return said if p.returncode or "listen to the kernel module" in said else ""


def needs_bpf():
    """If it is required, its absence is a failure."""
    if why_no_bpf() and os.environ.get("SHMIPC_TEST_BPF"):
        raise AssertionError(why_no_bpf())
    if why_no_bpf():
        raise Skip(why_no_bpf())


def name():
    """The name of a topic that no other process has: probes do not know directories."""
    return "trace-test/" + uuid.uuid4().hex[:12]


def scratch(what):
    return os.path.join(os.environ["SHMIPC_TRACE_TMP"], what + "-" + uuid.uuid4().hex[:8])


class Trace(Run):
    """A tracer on its probes."""

    def __init__(self, *args, **kw):
        needs_bpf()
        super().__init__("trace", "--json", *args, **kw)
        self.ready()

    def ready(self):
        until(lambda: "listens to the probes" in self.err or self.p.poll() is not None,
              "a tracer that listens")
        if self.p.poll() is not None:
            raise AssertionError("the tracer ended at once: " + self.err)

    def seen(self, event=None, **members):
        """The matching events so far."""
        want = dict(members, **({"event": event} if event else {}))
        return [o for o in objects(self.out) if all(o.get(k) == v for k, v in want.items())]

    def until(self, n, event=None, **members):
        until(lambda: len(self.seen(event, **members)) >= n, "%d of %s %s" % (n, event, members))
        return self.seen(event, **members)

    def stop(self, code=INTERRUPTED):
        self.kill(signal.SIGINT)
        return self.ends(code)


def sub(topic, *args):
    """A subscriber that is attached."""
    r = Run("sub", "--json", *args, topic)
    attached_subs(topic, r)
    return r


def attached_subs(topic, r):
    until(lambda: r.p.pid in [s["pid"] for s in placed(topic)], "a subscriber of " + topic)


def publish(topic, n, *args):
    return Run("pub", "--json", "--message", "hello", "--repeat", str(n), *args, topic)


def all_of(trace, topic):
    """A histogram's last objects, of the whole time: the topic, and its peers."""
    rows = [o for o in objects(trace.out) if o["span"] == "all" and o["name"] == topic]
    return [o for o in rows if o["slot"] is None], [o for o in rows if o["slot"] is not None]
