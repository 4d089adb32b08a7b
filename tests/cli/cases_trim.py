# SPDX-License-Identifier: MIT
"""trim: memory of topics that is given back."""
import re
import signal
import subprocess

from harness import (FAIL, MIB, OK, ON_DEV, USAGE, Run, attached, bytes_of, case, check, equal, nothing_left,
                     objects, placed, run, stat, stdin_of, until)


def subscribed(n, name="t"):
    """n subscribers that will receive the next message."""
    until(lambda: len(placed(name)) >= n, "%d subscribers of %s" % (n, name))


def memory_of(name):
    return stat(name)["memory_bytes"]


@case
def trim_gives_back_what_large_messages_took():
    s = Run("sub", "--policy", "lossless", "--count", "3", "t")
    subscribed(1)
    small = memory_of("t")
    run("pub", "--count", "2", "--size", str(7 * MIB), "t", stdin=stdin_of(bytes_of(14 * MIB)))
    until(lambda: len(s.out) == 14 * MIB, "both messages", s)
    large = memory_of("t")
    check(large > 7 * MIB, large)
    # The last one is history, and stays unless it is said to go.
    r = run("trim", "t")
    check(re.match(rb"^t: \S+( \S+)? given back\n$", r.out), r.out)
    check(memory_of("t") >= 7 * MIB, memory_of("t"))
    rows = objects(run("trim", "--json", "--keep", "0", "t").out)
    equal((list(rows[0]), rows[0]["name"], rows[0]["error"]), (["name", "bytes", "error"], "t", None))
    check(rows[0]["bytes"] >= 7 * MIB - 65536, rows)
    check(memory_of("t") <= small + 131072, memory_of("t"), small)
    run("pub", "-m", "last", "t")
    s.ends(OK)
    check(s.out.endswith(b"last"), s.out[-10:])
    nothing_left()


@case
def trim_says_why_it_cannot():
    run("pub", "--persist", "--populate", "-m", "x", "all")     # so that there is a directory
    r = run("trim", "t", "all", code=FAIL)
    check('"t"' in r.err and "ENOENT" in r.err, r.err)
    check('"all"' in r.err and "EOPNOTSUPP" in r.err, r.err)
    equal(objects(run("trim", "--json", "all", code=FAIL).out),
          [{"name": "all", "bytes": 0, "error": "EOPNOTSUPP"}])
    run("rm", "all")
    run("send", "--persist", "--no-drain", "ring")
    r = run("trim", "ring", code=FAIL)
    check('"ring"' in r.err and "EINVAL" in r.err, r.err)
    run("rm", "ring")
    run("trim", "--keep", "some", "t", code=USAGE)
    run("trim", "t", "..", code=USAGE)
    p = Run("pub", "--publishers", "1", "t", stdin=subprocess.PIPE)
    attached("t", "producer")
    r = run("trim", "t", code=FAIL)
    check("EBUSY" in r.err, r.err)
    p.stdin.close()
    p.ends(OK)
    s = Run("sub", "--mode", "644", "t")
    subscribed(1)
    run("pub", "-m", "x", "t")
    until(lambda: s.out, "the message", s)
    if not ON_DEV:
        q = Run("sub", "--read-only", "--from", "oldest", "t")
        until(lambda: q.out, "the message", q)
        r = run("trim", "t", code=FAIL)
        check("read-only subscriber" in r.err and "EBUSY" in r.err, r.err)
        q.kill(signal.SIGINT).wait()
        run("trim", "t")
    s.kill(signal.SIGINT).wait()
    nothing_left()
