# SPDX-License-Identifier: MIT
"""top in a terminal: what it shows."""
import os
import re
import signal

from harness import Run, case, check, equal, run, stat, until
from terminal import top
from topics import ended, full, lagging, publish, slow_sub


@case
def a_screen_shows_the_process_that_lags():
    with lagging(t=100) as subs, top() as t:
        t.shows(r"^t +topic .* 100 %d shmipc" % subs["t"].p.pid)
        publish("t", 150)       # it falls further behind
        t.shows(r"^t +topic .* 250 %d shmipc" % subs["t"].p.pid)
        t.type("e")
        t.shows(r"^  slot 64 +reader +lossless pid %d +shmipc .* lag +250" % subs["t"].p.pid)


@case
def a_screen_shows_a_full_topic():
    with full("t") as (sub, pub), top("--ends") as t:
        t.shows(r"^t +topic .* ########## 100%")
        t.shows(r"^  slot 0 +producer +pid %d .* waits for slot 64" % pub.p.pid)


@case
def a_screen_shows_losses_and_deaths_in_colour():
    publish("t", 1, "--persist")
    sub = slow_sub("t")
    publish("t", 9999)
    with top("--ends", "--every", "0.1") as t:
        t.shows(r"^  slot 64 .* lag +10.0k")
        sub.kill(signal.SIGCONT)
        t.shows(r"^  slot 64 .* lost .* %d in all" % until(lambda: stat("t")["lost"], "losses"))
        sub.kill(signal.SIGKILL).wait()
        t.shows(r"^  slot 64 .* died")
        # Bold red, as escape sequences.
        until(lambda: re.search(r"31m(\x1b\[49m)? *slot 64", t.painted()), "a red line")
    run("rm", "t")


@case
def no_color_turns_colours_off():
    with full("t"), top("--ends", NO_COLOR="1") as t:
        t.shows("waits for slot 64")
        check(not re.search(r"\x1b\[[0-9;]*3[0-7]m", t.painted()), t.painted())
    with full("t"), top("--ends") as t:
        t.shows("waits for slot 64")
        until(lambda: re.search(r"\x1b\[[0-9;]*33m", t.painted()), "yellow")


@case
def segments_come_and_go():
    with top("--every", "0.05") as t:
        t.shows("no segments")
        sub = Run("sub", "--quiet", "t")
        t.shows("^t +topic")
        sub.kill(signal.SIGINT).wait()
        t.shows("no segments")


@case
def it_fits_any_terminal():
    names = {"n%02d" % i: 1 for i in range(20)}
    for name in names:
        publish(name, 1, "--persist")
    with top("--sort", "name", width=140, height=30) as t:
        t.shows("OWNER")
        until(lambda: t.rows() == sorted(names), "all rows")
        t.resize(70, 10)
        t.hides("OWNER")
        t.shows(r"^NAME +MSG/S +BYTES/S +FULL +LAG +LOST/S")
        until(lambda: t.rows() == ["n%02d" % i for i in range(6)], "six rows")
        t.type("G")
        until(lambda: t.rows() == ["n%02d" % i for i in range(14, 20)], "the last six rows")
        t.resize(8, 2)
        t.resize(3, 1)
        t.resize(140, 30)
        t.shows("OWNER")
        until(lambda: t.rows() == sorted(names), "all rows again")
        t.type("q")
        t.shows("^code=0")
    run("rm", *names)


@case
def an_unknown_terminal_is_refused():
    with top(TERM="nonesuch") as t:
        t.shows(r'unknown terminal type "nonesuch"')
        t.shows("--plain")
        t.shows("^code=1")


@case
def plain_is_text_in_a_terminal():
    publish("t", 1, "--persist")
    with top("--plain", "--count", "1", "--every", "0.01") as t:
        t.shows("^NAME +KIND")
        t.shows("^code=0")
    run("rm", "t")


def children_of(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return [int(x) for x in f.read().split()]


def has_ended(pid):
    """It may be a zombie, if its new parent has not waited for it yet."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@case
def it_ends_with_its_terminal():
    with top() as t:
        t.shows("no segments")
        found = children_of(t.pid())
        equal(len(found), 1, "processes")
        t.ask("kill-server")
        until(lambda: has_ended(found[0]), "the end of top")
