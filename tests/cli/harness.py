# SPDX-License-Identifier: MIT
"""Real processes of the command, and helpers of the cases."""
import contextlib
import functools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

# A shell that runs this in the background may have had interrupts ignored, and commands
# would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SHMIPC = os.path.abspath(os.path.join(TOP, os.environ.get("B", "build"), "shmipc"))
MAN = [os.path.join(TOP, "tools", "man", page) for page in ("shmipc.1", "shmipc-topic.1", "shmipc-trace.1")]
DEADLINE_S = 60
ON_DEV = os.environ.get("SHMIPC_BACKEND") == "dev"  # names in the kernel, and no files
MIB = 1 << 20
OK, FAIL, USAGE, PEER, TIMEOUT, LOST = range(6)

cases = []
children = []


class Skip(Exception):
    pass


def case(fn):
    cases.append(fn)
    return fn


def check(condition, *found):
    if not condition:
        raise AssertionError("found: " + ", ".join(map(repr, found)))


def equal(found, expected, what=""):
    if found != expected:
        raise AssertionError("%s: found %r, expected %r" % (what, found, expected))


def until(condition, what, said=None):
    """The first true value of condition(). @said: a command to quote if there is none."""
    end = time.monotonic() + DEADLINE_S
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited %d s for: %s%s" % (DEADLINE_S, what, said and "; %s said: %s" % (
                " ".join(said.args), said.err) or ""))
        time.sleep(0.003)   # only how often we look


class Run:
    """One running command. Standard error is gathered, standard output may be."""

    def __init__(self, *args, stdin=subprocess.DEVNULL, stdout=None, prefix=(), **env):
        self.args = args
        self.out_file = None
        if stdout is None:
            stdout = self.out_file = tempfile.TemporaryFile()
        self.err_file = tempfile.TemporaryFile()
        self.p = subprocess.Popen([*prefix, SHMIPC, *args], stdin=stdin, stdout=stdout,
                                  stderr=self.err_file, env=dict(os.environ, **env))
        self.stdin = self.p.stdin
        children.append(self.p)

    def read(self, f):
        # The command has the same open file: moving its position would move where it writes.
        return os.pread(f.fileno(), os.fstat(f.fileno()).st_size, 0)

    @property
    def out(self):
        return self.read(self.out_file)

    @property
    def err(self):
        return self.read(self.err_file).decode()

    @property
    def events(self):
        return objects(self.err.encode())

    @property
    def summary(self):
        return [e for e in self.events if e["event"] == "summary"][0]

    def kill(self, sig=signal.SIGKILL):
        self.p.send_signal(sig)
        return self

    def wait(self):
        try:
            return self.p.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError("shmipc %s: not done after %d s; it said: %s" %
                                 (" ".join(self.args), DEADLINE_S, self.err)) from None

    def ends(self, code):
        found = self.wait()
        if found != code:
            raise AssertionError("shmipc %s: exit code: found %d, expected %d; it said: %s" %
                                 (" ".join(self.args), found, code, self.err))
        return self


def run(*args, code=OK, **kw):
    return Run(*args, **kw).ends(code)


def objects(text):
    """Of complete lines: the last one may still be incomplete."""
    return [json.loads(line) for line in text.decode().split("\n")[:-1]]


def stat(name, **env):
    """What stat --json says, or None if there is no such segment."""
    r = Run("stat", "--json", name, **env)
    return objects(r.out)[0] if r.wait() == OK else None


def placed(name, **env):
    """The subscribers with a position: it is set after the slot, and the policy with it."""
    st = stat(name, **env) or {"subscriber": []}
    return [s for s in st["subscriber"] if s["policy"] != "unknown"]


def attached(name, role, n=1, **env):
    def look():
        st = stat(name, **env)
        return st and sum(p["role"] == role and p["state"] == "attached" for p in st["peers"]) >= n
    until(look, "%d %s at %s" % (n, role, name))


def stopped(r):
    """Stop a process, and know that it is stopped."""
    def is_stopped():
        with open("/proc/%d/stat" % r.p.pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "T"
    r.kill(signal.SIGSTOP)
    until(is_stopped, "a stopped process")
    return r


def nothing_left(**env):
    equal(run("ls", **env).out, b"", "ls")
    where = env.get("SHMIPC_DIR", os.environ["SHMIPC_DIR"])
    equal(os.listdir(where) if os.path.isdir(where) else [], [], "files in " + where)


@functools.lru_cache(maxsize=None)
def bytes_of(n):
    return random.Random(n).randbytes(n)


def stdin_of(data):
    f = tempfile.TemporaryFile()
    f.write(data)
    f.seek(0)
    return f


@contextlib.contextmanager
def file_of(data):
    with tempfile.NamedTemporaryFile() as f:
        f.write(data)
        f.flush()
        yield f.name


def transfer(data, sender_first, send=(), recv=(), **env):
    """In either order; returns the sender and the receiver, which ended with 0."""
    with file_of(data) as name, open(name, "rb") as f:
        if sender_first:
            s = Run("send", "--json", *send, "t", stdin=f, **env)
            attached("t", "producer", **env)
            r = Run("recv", "--json", *recv, "t", **env)
        else:
            r = Run("recv", "--json", *recv, "t", **env)
            attached("t", "consumer", **env)
            s = Run("send", "--json", *send, "t", stdin=f, **env)
        s.ends(OK)
        r.ends(OK)
    check(r.out == data, "other bytes", len(r.out), len(data))
    for x in s, r:
        equal(x.summary["bytes"], len(data), "bytes in the summary")
    equal(r.summary["messages"], s.summary["messages"], "messages received")
    nothing_left(**env)
    return s, r


@contextlib.contextmanager
def full_ring(*send):
    """A sender at a full ring, a stopped receiver, and what is being sent."""
    data = bytes_of(4 * MIB)
    with file_of(data) as name, open(name, "rb") as f:
        r = Run("recv", "--json", "t")
        attached("t", "consumer")
        stopped(r)
        s = Run("send", "--json", *send, "t", stdin=f)
        # 64 KiB a message: 1 MiB has no room for a 16th with its header.
        # A sender that gives up removes the name.
        until(lambda: s.p.poll() is not None or (stat("t") or {}).get("backlog", 0) == 15,
              "a ring that is full", s)
        yield s, r, data


def number(pattern, text):
    m = re.search(pattern, text)
    check(m, text)
    return int(m.group(1))


def run_case(fn):
    try:
        fn()
        result = "ok"
    except Skip as e:
        result = "skip"
        print("SKIP: %s" % e)
    except Exception as e:
        result = "not ok"
        print("# %s: %s" % (type(e).__name__, str(e)[:3000]))
    while children:
        p = children.pop()
        if p.poll() is None:
            if result == "ok":
                result = "not ok"
                print("# a process did not end: %s" % p.args)
            p.kill()
        p.wait()
    try:
        if result == "ok":
            nothing_left()
    except AssertionError as e:
        result = "not ok"
        print("# left behind: %s" % e)
    children.clear()
    if ON_DEV and result != "ok":   # for the cases after it
        for line in subprocess.run([SHMIPC, "ls", "--json"], stdout=subprocess.PIPE).stdout.splitlines():
            subprocess.run([SHMIPC, "rm", "--force", json.loads(line)["name"]])
    shutil.rmtree(os.environ["SHMIPC_DIR"], ignore_errors=True)
    print("%s %s" % ("ok" if result == "skip" else result,
                     fn.__name__.replace("_", " ") + (" # SKIP" if result == "skip" else "")))
    sys.stdout.flush()
    return result


def main(words=()):
    """Run the cases with one of the words in their names, each in its own directory."""
    count = {"ok": 0, "not ok": 0, "skip": 0}
    with tempfile.TemporaryDirectory(prefix="shmipc-cli-", dir="/dev/shm") as own:
        os.chmod(own, 0o755)        # a case becomes another user
        os.environ["SHMIPC_DIR"] = os.path.join(own, "dir")
        for fn in cases:
            if not words or any(w in fn.__name__ for w in words):
                count[run_case(fn)] += 1
    print("%d passed, %d failed, %d skipped" % (count["ok"], count["not ok"], count["skip"]))
    return 0 if count["ok"] and not count["not ok"] else 1
