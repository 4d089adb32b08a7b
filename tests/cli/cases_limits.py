# SPDX-License-Identifier: MIT
"""Limits of the process and of the file system, no /proc, control groups: what commands say."""
import contextlib
import os
import subprocess
import tempfile

from harness import (FAIL, MIB, OK, ON_DEV, Run, Skip, attached, bytes_of, case, check, equal, file_of,
                     nothing_left, objects, run)

COMMANDS = (["send", "t"], ["recv", "t"], ["pub", "--message", "hello", "t"], ["sub", "t"])


def within(setup):
    """A prefix: run it in a mount namespace of its own, after the shell commands."""
    return ["unshare", "-m", "sh", "-c", "set -e; %s; exec \"$@\"" % setup, "sh"]


def have_mounts():
    if ON_DEV:
        raise Skip("the device has no files")
    if os.getuid() or subprocess.call(within("mount -t tmpfs none /mnt") + ["true"], stderr=subprocess.DEVNULL):
        raise Skip("not permitted to mount a tmpfs")


@contextlib.contextmanager
def mounted(options):
    """A prefix and a directory that is a tmpfs of these options in it."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as where:
        yield within("mount -t tmpfs -o %s none %s" % (options, where)), where


def doctor(code, item, **kw):
    rows = {row["item"]: row for row in objects(run("doctor", "--json", code=code, **kw).out)}
    return rows[item]


@case
def limits_of_the_file_system_are_named():
    have_mounts()
    for options, words in (("nr_inodes=1", ["no inode left", "nr_inodes"]), ("ro", ["read-only", "EROFS"])):
        with mounted(options) as (prefix, where):
            for args in COMMANDS:
                r = run(*args, code=FAIL, prefix=prefix, SHMIPC_DIR=where)
                check(all(w in r.err for w in words) and "smaller" not in r.err, args, r.err)
            item = "space" if "inodes" in options else "directory"
            row = doctor(FAIL, item, prefix=prefix, SHMIPC_DIR=where)
            equal(row["status"], "lack", item)
            check(words[0] in row["found"] and row["advice"], row)


@case
def limits_of_the_process_are_named():
    if ON_DEV:
        raise Skip("they limit files")
    for limit, words in (("ulimit -f 100", ["RLIMIT_FSIZE", "EFBIG"]), ("ulimit -n 4", ["ulimit -n", "EMFILE"])):
        prefix = ["sh", "-c", limit + "; exec \"$@\"", "sh"]
        for args in (["send", "t"], ["recv", "t"], ["pub", "--pool", "16M", "--message", "hello", "t"],
                     ["sub", "--timeout", "5", "t"]):
            r = Run(*args, prefix=prefix)
            code = r.wait()
            check(code == FAIL and all(w in r.err for w in words), limit, args, code, r.err)
        nothing_left()


@case
def addresses_may_be_limited():
    if ON_DEV:
        raise Skip("a module's limit is smaller")
    prefix = ["sh", "-c", "ulimit -v 500000; exec \"$@\"", "sh"]
    r = run("send", "--ring", "1G", "t", code=FAIL, prefix=prefix)
    check("RLIMIT_AS" in r.err and "ENOMEM" in r.err, r.err)
    nothing_left()


@case
def commands_work_without_proc():
    have_mounts()
    prefix = within("mount -t tmpfs none /proc")
    data = bytes_of(2 * MIB + 1)
    with file_of(data) as name, open(name, "rb") as f:
        r = Run("recv", "t", prefix=prefix)
        attached("t", "consumer")
        run("send", "t", stdin=f, prefix=prefix)
        check(r.ends(OK).out == data, "other bytes")
    s = Run("sub", "--count", "1", "--format", "raw", "news", prefix=prefix)
    attached("news", "reader")
    run("pub", "--message", "hello", "news", prefix=prefix)
    equal(s.ends(OK).out, b"hello", "the message")
    nothing_left()
    equal(doctor(OK, "works", prefix=prefix)["status"], "ok", "works")
    row = doctor(OK, "proc", prefix=prefix)
    check(row["status"] == "warn" and "named segments work" in row["found"], row)


@case
def doctor_finds_the_limit_of_a_group_above():
    have_mounts()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as where:
        def put(name, text):
            path = os.path.join(where, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as f:
                f.write(text)
        put("proc/meminfo", "SwapFree: 0 kB\n")
        for version in 1, 2:
            put("proc/mountinfo", "25 1 0:25 / %s/cg rw - %s none rw%s\n" %
                (where, *(("cgroup2", "") if version == 2 else ("cgroup", ",memory"))))
            put("proc/cgroup", "0::/pod/box\n" if version == 2 else "4:memory:/pod/box\n")
            files = ("memory.max", "memory.current") if version == 2 else \
                ("memory.limit_in_bytes", "memory.usage_in_bytes")
            put("cg/pod/" + files[0], "33554432\n")
            put("cg/pod/" + files[1], "2097152\n")
            put("cg/pod/box/" + files[0], "max\n" if version == 2 else "9223372036854771712\n")
            prefix = within("cd %s/proc; for f in mountinfo cgroup; do mount --bind $f /proc/$$/$f; done; "
                            "mount --bind meminfo /proc/meminfo" % where)
            row = doctor(OK, "cgroup", prefix=prefix)
            equal(row["status"], "warn", "cgroup, version %d" % version)
            check("%s/cg/pod allows 32 MiB, 2.0 MiB are in use, 30 MiB" % where in row["found"].replace("32.0", "32")
                  .replace("30.0", "30").replace(" 2 MiB", " 2.0 MiB"), row)
            r = run("send", "--ring", "64M", "t", code=FAIL, prefix=prefix)
            check("memory limit of 32M of the control group %s/cg/pod" % where in r.err and "ENOSPC" in r.err, r.err)
    nothing_left()
