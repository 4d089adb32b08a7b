# SPDX-License-Identifier: MIT
"""One case: a process group with a token, a SHMIPC_DIR and a TMPDIR of its own.

All its descendants carry the token in their environment. What carries it when the
case has ended is a stray, whatever else runs beside it.
"""
import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid

from count import Count, count_output

B = os.environ.get("B", "build")
LOGS = os.path.join(B, "check")
# A runner that is a test itself passes on the token of the outer one, too.
OUTER = os.environ.get("SHMIPC_CHECK", "")
RUN = uuid.uuid4().hex


class Case:
    """@cpus: how many it keeps busy. @alone: it measures time, nothing runs beside it.
    @build: what must have been built before. @seconds: how long it takes, roughly.
    @excuse: what is printed when not the test has failed, but what runs it."""

    def __init__(self, name, argv, timeout=600, cpus=1, alone=False, build=None, seconds=1,
                 excuse=None, **env):
        self.name, self.argv, self.env = name, argv, env
        self.timeout = float(os.environ.get("CHECK_TIMEOUT") or timeout)
        self.cpus, self.alone, self.build, self.seconds = cpus, alone, build, seconds
        self.excuse = excuse
        self.group = None


class Result:
    def __init__(self, case, count, note=(), text="", wall=0, cpu=0, log=None):
        self.case, self.count, self.note, self.text = case, count, list(note), text
        self.wall, self.cpu, self.log = wall, cpu, log


def carriers(token):
    """Living processes that carry this token, ourselves apart."""
    found = []
    for path in glob.glob("/proc/[0-9]*"):
        pid = int(path[6:])
        try:
            with open(path + "/environ", "rb") as f:
                environ = f.read()
            with open(path + "/stat") as f:
                state = f.read().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if token.encode() in environ and state not in "ZX" and pid != os.getpid():
            found.append(pid)
    return found


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass            # gone by itself


def strays(token):
    """What is still there a moment after the case has ended, and kill it."""
    left = carriers(token)
    for _ in range(40):
        if not left:
            return []
        time.sleep(0.05)    # a killed process takes a moment to go
        left = carriers(token)
    names = []
    for pid in left:
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                names.append("process %d: %s" % (pid, f.read().replace(b"\0", b" ").decode()))
        except OSError:
            pass
    kill(left)
    return names


def leftovers(*dirs):
    return ["file " + os.path.join(d, f) for d in dirs for d, _, files in os.walk(d) for f in files]


def surroundings(case, token, shm, tmp):
    env = dict(os.environ, SHMIPC_DIR=shm + "/dir", TMPDIR=tmp, B=B, LC_ALL="C.UTF-8", **case.env)
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "GROUP"):
        env.pop(name, None)
    env["SHMIPC_CHECK"] = OUTER + "/" + token
    return env


def run_to_its_end(case, token, log, env):
    """Exit code, seconds of CPU time, and whether its time was up."""
    p = subprocess.Popen(case.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                         env=env, start_new_session=True)
    late = threading.Event()

    def too_late():
        late.set()
        kill(carriers(token))

    timer = threading.Timer(case.timeout, too_late)
    timer.start()
    _, status, usage = os.wait4(p.pid, 0)
    timer.cancel()
    p.returncode = os.waitstatus_to_exitcode(status)
    return p.returncode, usage.ru_utime + usage.ru_stime, late.is_set()


def start(case, token, log_path, env):
    """Exit code, seconds of CPU time and notes."""
    note = []
    try:
        with open(log_path, "wb") as log:
            code, cpu, late = run_to_its_end(case, token, log, env)
    except OSError as e:
        return 127, 0, ["cannot start: %s" % e]
    if late:
        note.append("not done after %g s: killed" % case.timeout)
    if code < 0:
        note.append("killed by " + signal.Signals(-code).name)
    elif code not in (0, 4):
        note.append("exit code %d" % code)
    return code, cpu, note


def run_once(case):
    token = "%s.%s" % (RUN, uuid.uuid4().hex)
    log_path = os.path.join(LOGS, "%s.%s.log" % (case.group, case.name))
    shm = tempfile.mkdtemp(prefix="shmipc-check-", dir="/dev/shm")
    tmp = tempfile.mkdtemp(prefix="shmipc-check-")
    began = time.monotonic()
    try:
        os.chmod(shm, 0o755)        # some tests become another user
        code, cpu, note = start(case, token, log_path, surroundings(case, token, shm, tmp))
        with open(log_path, errors="replace") as log:
            text = log.read()
        count = count_output(text, code)
        left = strays(token) + leftovers(shm, tmp)
        count.failed += 1 if left else 0
        note += ["left behind: " + x for x in left]
    finally:
        shutil.rmtree(shm, ignore_errors=True)
        shutil.rmtree(tmp, ignore_errors=True)
    return Result(case, count, note, text, time.monotonic() - began, cpu, log_path)


def run(case):
    """Again, if there is an excuse; three times excused is skipped."""
    wall = cpu = 0
    for _ in range(3):
        result = run_once(case)
        wall, cpu = wall + result.wall, cpu + result.cpu
        result.wall, result.cpu = wall, cpu
        excuse = case.excuse and re.search(case.excuse, result.text, re.M)
        if not (result.count.failed and excuse):
            return result
    # Worded so that a search for errors in a long output does not find it.
    why = "three times the emulator itself stopped, at " + \
        re.search(r"[\w./-]+:\d+", excuse.group()).group()
    result.count = Count(skipped=1, reasons=[why])
    return result
