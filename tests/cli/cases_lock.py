# SPDX-License-Identifier: MIT
"""lock: a command that runs while a lock is held."""
import os
import re
import select
import signal
import subprocess

from harness import (DEADLINE_S, FAIL, OK, PEER, SHMIPC, TIMEOUT, USAGE, Run, case, check, equal, nothing_left,
                     objects, run, until)


def shown(name="door"):
    r = Run("lock", "--show", "--json", name)
    return objects(r.out)[0] if r.wait() == OK else {"lock": "none", "held": False}


class Holder:
    """shmipc lock with a command that runs until it is told to end."""

    def __init__(self, *options):
        self.end, child = os.pipe()[::-1]
        said, out = os.pipe()
        with open(child, "rb") as stdin:
            self.r = Run("lock", *options, "door", "--", "sh", "-c", "echo runs; read x; exit 0", stdin=stdin, stdout=out)
        os.close(out)
        self.said = said
        equal(os.read(said, 10), b"runs\n")
        equal(shown()["pid"], self.r.p.pid)

    def close(self):
        os.close(self.end)
        os.close(self.said)


@case
def lock_runs_one_command_at_a_time():
    h = Holder()
    second = Run("lock", "door", "--", "sh", "-c", "echo second")
    until(lambda: shown()["waiters"], "one that waits")
    equal(second.out, b"")
    r = run("lock", "--try", "door", "--", "false", code=TIMEOUT)
    check("held by pid %d shmipc" % h.r.p.pid in r.err, r.err)
    run("lock", "--timeout", "0.01", "-E", "99", "door", "--", "false", code=99)
    os.write(h.end, b"\n")
    h.r.ends(OK)
    equal(second.ends(OK).out, b"second\n")
    h.close()
    nothing_left()


@case
def lock_protects_what_its_command_changes():
    with open(os.path.join(os.path.dirname(os.environ["SHMIPC_DIR"]), "count"), "w") as f:
        f.write("0")
    script = "n=$(cat '%s'); echo $((n + 1)) > '%s'" % (f.name, f.name)
    runs = [Run("lock", "--persist", "door", "--", "sh", "-c", script) for _ in range(20)]
    for r in runs:
        r.ends(OK)
    with open(f.name) as f:
        equal(f.read(), "20\n", "counted")
    os.remove(f.name)
    run("rm", "door")


@case
def lock_gives_the_exit_code_of_its_command():
    run("lock", "door", "--", "sh", "-c", "exit 7", code=7)
    run("lock", "door", "--", "sh", "-c", "kill -KILL $$", code=128 + signal.SIGKILL)
    run("lock", "door", "--", "/nonexistent/x", code=127)
    run("lock", "door", "--", "/", code=126)
    equal(run("lock", "door", "--", "echo", "-n", "--", "x").out, b"-- x")
    w = Run("lock", "--persist", "door", "--", "sh", "-c", "kill -STOP $$; exit 3")
    until(lambda: shown()["held"], "it is held")
    waits = Run("lock", "door", "--", "false")
    until(lambda: shown()["waiters"], "one that waits")
    waits.kill(signal.SIGTERM).ends(128 + signal.SIGTERM)
    equal(shown()["deaths_taken"], 0, "one that gives up waiting has not died")
    w.kill().wait()
    run("rm", "door")
    nothing_left()


@case
def lock_is_free_when_its_holder_is_killed():
    h = Holder()
    second = Run("lock", "door", "--", "sh", "-c", "echo $SHMIPC_DIED")
    until(lambda: shown()["waiters"], "one that waits")
    h.r.kill().wait()
    second.ends(OK)
    equal(second.out, b"%d\n" % h.r.p.pid)
    check("pid %d died holding it (EOWNERDEAD)" % h.r.p.pid in second.err, second.err)
    check(select.select([h.said], [], [], DEADLINE_S)[0], "the command still runs")
    equal(os.read(h.said, 10), b"", "the command is killed, too")
    h.close()
    nothing_left()


@case
def lock_knows_of_a_death_later_if_it_is_persistent():
    h = Holder("--persist")
    h.r.kill().wait()
    h.close()
    equal([shown()[k] for k in ("lock", "held", "pid")], ["left", False, h.r.p.pid])
    text = run("lock", "--show", "door").out.decode()
    check(text.startswith("door: left by pid %d shmipc, which died holding it" % h.r.p.pid), text)
    check(re.search(rb"^door +lock .* left +persistent", run("ls").out, re.M), run("ls").out)
    r = run("lock", "door", "--", "sh", "-c", "echo $SHMIPC_DIED")
    equal(r.out, b"%d\n" % h.r.p.pid)
    check("EOWNERDEAD" in r.err, r.err)
    r = run("lock", "door", "--", "sh", "-c", "echo .$SHMIPC_DIED", SHMIPC_DIED="7")
    equal((r.out, r.err), (b".\n", ""), "it was told once")
    equal([shown()[k] for k in ("lock", "deaths_taken", "died_pid")], ["free", 1, h.r.p.pid])
    run("rm", "door")


@case
def lock_strict_gives_up():
    h = Holder("--persist")
    h.r.kill().wait()
    h.close()
    r = run("lock", "--strict", "door", "--", "echo", "x", code=PEER)
    equal(r.out, b"")
    check("pid %d died" % h.r.p.pid in r.err and "shmipc rm door" in r.err, r.err)
    r = run("lock", "door", "--", "echo", "x", code=PEER)
    check("ENOTRECOVERABLE" in r.err and not r.out, r.err)
    equal(shown()["lock"], "given up")
    run("rm", "door")
    equal(run("lock", "door", "--", "echo", "x").out, b"x\n")


@case
def lock_show_stat_and_watch():
    r = run("lock", "--show", "door", code=FAIL)
    check("ENOENT" in r.err, r.err)
    h = Holder("--persist")
    text = run("lock", "--show", "door").out.decode()
    check(re.fullmatch(r"door: held by pid %d shmipc, since \d+-\d+-\d+ [\d:]+\n" % h.r.p.pid, text), text)
    check(re.search(rb"^door +lock .* pid %d +in use" % h.r.p.pid, run("ls").out, re.M), run("ls").out)
    row = objects(run("ls", "--json").out)[0]
    equal([row[k] for k in ("kind", "lock", "pid", "waiters")], ["lock", "held", h.r.p.pid, False])
    text = run("stat", "door").out.decode()
    check(re.search(r"^lock +held by pid %d" % h.r.p.pid, text, re.M), text)
    check(re.search(r"^  slot \d+ +peer +attached +pid %d " % h.r.p.pid, text, re.M), text)
    check(b"appeared door" in run("watch", "--count", "1").out)
    os.write(h.end, b"\n")
    h.r.ends(OK)
    h.close()
    run("rm", "door")


@case
def lock_words_are_checked():
    for args in ([], ["door"], ["--show", "door", "x"], ["--json", "door", "--", "true"], ["..", "--", "true"],
                 ["--timeout", "x", "door", "--", "true"], ["--shared", "-x", "door", "--", "true"]):
        run("lock", *args, code=USAGE)
    run("event", "notify", "--persist", "door")
    check("EINVAL" in run("lock", "door", "--", "true", code=FAIL).err)
    check("EINVAL" in run("lock", "--show", "door", code=FAIL).err)
    run("rm", "door")
    equal(subprocess.run([SHMIPC, "lock", "door", "true"], check=False).returncode, OK, "without --")


@case
def lock_shared_goes_together_but_not_with_one_that_has_it_alone():
    a = Holder("--shared")
    equal([shown()[k] for k in ("lock", "held", "readers", "pid")], ["shared", False, 1, a.r.p.pid])
    run("lock", "--shared", "--try", "door", "--", "true")
    r = run("lock", "--try", "door", "--", "false", code=TIMEOUT)
    check("shared by pid %d shmipc (ETIMEDOUT)" % a.r.p.pid in r.err, r.err)
    text = run("lock", "--show", "door").out.decode()
    check(text.startswith("door: shared by 1, of these pid %d shmipc" % a.r.p.pid), text)
    alone = Run("lock", "--exclusive", "door", "--", "sh", "-c", "echo alone")
    until(lambda: shown()["waiters"], "one that waits")
    late = Run("lock", "--shared", "--timeout", "0.01", "door", "--", "false")
    late.ends(TIMEOUT)
    # One that stops waiting for those that share it is in nobody's way.
    alone.kill(signal.SIGTERM).ends(128 + signal.SIGTERM)
    equal(alone.out, b"")
    run("lock", "--shared", "--try", "door", "--", "true")
    alone = Run("lock", "door", "--", "sh", "-c", "echo alone")
    until(lambda: shown()["waiters"], "one that waits")
    # The death of one that shared it is told to nobody, and lets the other one in.
    a.r.kill().wait()
    equal((alone.ends(OK).out, alone.err), (b"alone\n", ""))
    a.close()
    nothing_left()


@case
def lock_shared_is_told_of_the_death_of_one_that_had_it_alone():
    h = Holder("--persist")
    h.r.kill().wait()
    h.close()
    r = run("lock", "--shared", "door", "--", "sh", "-c", "echo $SHMIPC_DIED; \"$0\" lock --shared --try door -- true; "
            "echo $?", SHMIPC)
    equal(r.out, b"%d\n%d\n" % (h.r.p.pid, TIMEOUT), "it has it alone, to repair what it protects")
    check("pid %d died holding it (EOWNERDEAD)" % h.r.p.pid in r.err, r.err)
    equal(run("lock", "--shared", "door", "--", "sh", "-c", "echo .$SHMIPC_DIED").out, b".\n")
    run("rm", "door")


@case
def lock_waits_without_waking_up():
    h = Holder()
    waits = Run("lock", "door", "--", "echo", "x")
    until(lambda: shown()["waiters"], "one that waits")
    spent = [0, 0]
    for i in range(2):
        with open("/proc/%d/status" % waits.p.pid) as f:
            spent[i] = int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", f.read(), re.M).group(1))
        if not i:
            select.select([h.said], [], [], 1)
    check(spent[1] - spent[0] < 5, "a waiter slept %d times in a second" % (spent[1] - spent[0]))
    os.write(h.end, b"\n")
    h.r.ends(OK)
    waits.ends(OK)
    h.close()
    nothing_left()
