# SPDX-License-Identifier: MIT
"""deadman: a role that one process holds, and that a death gives back."""
import os
import re
import select
import signal
import subprocess

from harness import (FAIL, OK, PEER, SHMIPC, TIMEOUT, USAGE, Run, attached, case, check, equal, nothing_left,
                     objects, run, stat, until)


def shown(name="leader"):
    r = Run("deadman", "show", "--json", name)
    return objects(r.out)[0] if r.wait() == OK else {"held": False, "term": 0}


def held(name="leader", pid=None):
    def look():
        is_now = shown(name)
        return is_now["held"] and (pid is None or is_now["pid"] == pid) and is_now
    return until(look, "%s is held" % name)


def hold(*args, **kw):
    h = Run("deadman", "hold", "leader", *args, **kw)
    held(pid=h.p.pid)
    return h


@case
def deadman_hold_holds_until_a_signal():
    h = hold("--persist")
    until(lambda: h.out == b"leader: held, term 1\n", "what it says", h)
    r = run("deadman", "hold", "--timeout", "0", "leader", "--", "true", code=TIMEOUT)
    check("held by pid %d shmipc" % h.p.pid in r.err, r.err)
    run("deadman", "hold", "--timeout", "0.01", "-E", "77", "leader", code=77)
    second = Run("deadman", "hold", "leader", "--", "sh", "-c", "echo $SHMIPC_TERM")
    h.kill(signal.SIGTERM).ends(128 + signal.SIGTERM)
    equal(second.ends(OK).out, b"2\n", "the next term")
    run("rm", "leader")
    nothing_left()


@case
def deadman_hold_gives_the_exit_code_of_its_command():
    run("deadman", "hold", "leader", "--", "sh", "-c", "exit 7", code=7)
    run("deadman", "hold", "leader", "--", "sh", "-c", "kill -TERM $$", code=128 + signal.SIGTERM)
    r = run("deadman", "hold", "leader", "--", "/nonexistent/x", code=127)
    check("/nonexistent/x" in r.err, r.err)
    run("deadman", "hold", "leader", "--", "/", code=126)
    # A signal goes to the command, and its exit code comes back.
    with subprocess.Popen([SHMIPC, "deadman", "hold", "leader", "--", "sh", "-c",
                           "trap 'exit 9' TERM; echo ready; while :; do read x; done"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        equal(p.stdout.readline(), b"ready\n")
        p.terminate()
        p.stdin.close()
        equal(p.wait(60), 9)
    nothing_left()


@case
def deadman_command_has_the_signals_of_its_caller():
    r = run("deadman", "hold", "leader", "--", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
    equal(r.out.split()[1::2], subprocess.run(["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"],
                                              stdout=subprocess.PIPE).stdout.split()[1::2])
    # One that is ignored, as by nohup(1), does not end the command's holder.
    h = Run("deadman", "hold", "leader", prefix=["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"])
    held(pid=h.p.pid)
    h.kill(signal.SIGHUP)
    check(shown()["held"])
    h.kill(signal.SIGTERM).ends(128 + signal.SIGTERM)


@case
def deadman_death_releases_and_ends_the_command():
    n, out = os.pipe()
    h = Run("deadman", "hold", "--persist", "leader", "--", "sh", "-c", "echo x; exec sleep 1000", stdout=out)
    os.close(out)
    equal(os.read(n, 10), b"x\n")
    held(pid=h.p.pid)
    w = Run("deadman", "wait", "leader")
    other = Run("deadman", "wait", "--taken", "other")
    h.kill().wait()
    w.ends(PEER)
    # It may have looked before or after that.
    check(re.fullmatch(rb"leader: (free; )?term 1 ended by death: shmipc\n", w.out), w.out)
    check(select.select([n], [], [], 60)[0], "the command still runs")
    equal(os.read(n, 10), b"", "the command is killed, too")
    os.close(n)
    until(lambda: stat("other"), "one that waits", other)   # it attends to signals by now
    other.kill(signal.SIGINT).ends(128 + signal.SIGINT)
    run("rm", "leader")
    nothing_left()


@case
def deadman_command_survives_if_asked():
    n, out = os.pipe()
    m, end = os.pipe()
    with open(m, "rb") as stdin:
        h = Run("deadman", "hold", "--survive", "leader", "--", "sh", "-c", "echo x; read y; echo done",
                stdout=out, stdin=stdin)
    os.close(out)
    equal(os.read(n, 10), b"x\n")
    h.kill().wait()
    os.write(end, b"\n")
    equal(os.read(n, 10), b"done\n")
    os.close(end)
    os.close(n)
    run("gc")


@case
def deadman_wait_says_how_it_ended():
    run("deadman", "wait", "leader")
    nothing_left()      # it creates nothing
    t = Run("deadman", "wait", "--taken", "--json", "leader")
    h = hold()
    equal([objects(t.ends(OK).out)[0][k] for k in ("name", "held", "term", "pid", "end")],
          ["leader", True, 1, h.p.pid, None])
    run("deadman", "wait", "--timeout", "0.01", "leader", code=TIMEOUT)
    run("deadman", "wait", "--timeout", "0", "leader", code=TIMEOUT)
    run("deadman", "wait", "--timeout", "0", "--taken", "leader")
    w = Run("deadman", "wait", "--released", "leader")
    attached("leader", "producer")
    until(lambda: w.p.poll() is not None or os.readlink("/proc/%d/exe" % w.p.pid) == SHMIPC, "it runs")
    h.kill(signal.SIGINT).wait()
    check(w.ends(OK).out in (b"leader: term 1 released: shmipc\n", b"leader: free; term 1 released: shmipc\n",
                             b"leader: free; never taken\n"), w.out)
    run("deadman", "wait", "--taken", "--released", "leader", code=USAGE)


@case
def deadman_show_ls_and_stat():
    r = run("deadman", "show", "leader", code=FAIL)
    check("ENOENT" in r.err, r.err)
    h = Run("deadman", "hold", "--persist", "leader")
    is_now = held(pid=h.p.pid)
    equal([is_now[k] for k in ("held", "term", "comm", "end")], [True, 1, "shmipc", None])
    text = run("deadman", "show", "leader").out.decode()
    check(re.fullmatch(r"leader: held by pid %d shmipc, term 1, since \d+-\d+-\d+ [\d:]+\n" % h.p.pid, text), text)
    check(re.search(rb"^leader +deadman .* pid %d +in use" % h.p.pid, run("ls").out, re.M), run("ls").out)
    row = objects(run("ls", "--json").out)[0]
    equal([row[k] for k in ("kind", "held", "term", "pid")], ["deadman", True, 1, h.p.pid])
    text = run("stat", "leader").out.decode()
    check(re.search(r"^role +held by pid %d" % h.p.pid, text, re.M), text)
    check(re.search(r"^  slot 0 +holder +attached", text, re.M), text)
    h.kill().wait()
    text = run("stat", "leader").out.decode()
    check(re.search(r"^role +free; term 1 ended by death: shmipc$", text, re.M), text)
    check(re.search(rb"^leader +deadman .* free +persistent", run("ls").out, re.M), run("ls").out)
    equal(shown()["end"], "died")
    run("deadman", "hold", "leader", "--", "true")
    equal((shown()["end"], shown()["term"]), ("released", 2))
    run("rm", "leader")


@case
def deadman_words_are_checked():
    for args in (["hold"], ["grab", "leader"], ["show", "leader", "x"], ["wait", "leader", "x"], ["show", ".."],
                 ["hold", "--taken", "leader"], ["wait", "--survive", "leader"], ["show", "--timeout", "1", "leader"]):
        run("deadman", *args, code=USAGE)
    run("event", "notify", "--persist", "door")
    check("EINVAL" in run("deadman", "hold", "door", code=FAIL).err)
    run("rm", "door")
