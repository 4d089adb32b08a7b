# SPDX-License-Identifier: MIT
"""top in a terminal: its keys."""
import re

from harness import Run, case, check, equal, run, until
from terminal import top
from topics import ended, lagging, publish, slow_sub


def in_order(t, *names):
    try:
        until(lambda: t.rows() == list(names), "")
    except AssertionError:
        raise AssertionError("rows: expected %s, found:\n%s" % (names, t.text())) from None


@case
def keys_sort():
    with lagging(a=10, b=30, c=20), top() as t:
        t.shows("by rate")
        t.type("l")
        t.shows("by lag")
        in_order(t, "b", "c", "a")
        t.type("n")
        t.shows("by name")
        in_order(t, "a", "b", "c")
        t.type("o")
        t.shows("by occupancy")
        in_order(t, "b", "c", "a")


@case
def keys_sort_by_rate_bytes_and_losses():
    fast = Run("pub", "--quiet", "--message", "x", "--repeat", "1000000000", "--rate", "500", "fast")
    large = Run("pub", "--quiet", "--message", "x" * 10000, "--repeat", "1000000000", "--rate", "50",
                "large")
    lossy = slow_sub("lossy")
    publish("lossy", 10000)
    lossy.kill(18)      # SIGCONT: it finds that it lost messages
    with top("--every", "0.2") as t:
        t.type("n")
        in_order(t, "fast", "large", "lossy")
        t.type("r")
        in_order(t, "fast", "large", "lossy")
        t.type("b")
        in_order(t, "large", "fast", "lossy")
        t.type("x")
        in_order(t, "lossy", "fast", "large")
    for r in fast, large:
        r.kill().wait()
    ended(lossy)


@case
def enter_unfolds_and_folds():
    with lagging(a=1, b=2) as subs, top("--sort", "name") as t:
        in_order(t, "a", "b")
        t.type("Enter")
        t.shows("pid %d" % subs["a"].p.pid)
        check("pid %d" % subs["b"].p.pid not in t.text(), t.text())
        t.type("Enter")
        t.hides("  slot")
        t.type("Down", "e")
        t.shows("pid %d" % subs["b"].p.pid)
        check("pid %d" % subs["a"].p.pid not in t.text(), t.text())
        t.type("E")
        t.shows("pid %d" % subs["a"].p.pid)
        t.shows("pid %d" % subs["b"].p.pid)
        t.type("E")
        t.hides("  slot")


def selected(t):
    """The names in the lines that begin inverted, except the heads."""
    found, inverted = [], False
    for line in t.painted().splitlines():
        first = True
        for part in re.split(r"(\x1b\[[0-9;]*m)", line):
            if part.startswith("\x1b"):
                codes = part[2:-1].split(";")
                inverted = "7" in codes or (inverted and not {"0", "", "27"} & set(codes))
            elif part and first:
                found += part.split()[:1] if inverted else []
                first = False
    return [x for x in found if x != "NAME"]


@case
def the_selection_stays_with_its_segment():
    with lagging(a=10, b=30, c=20), top("--sort", "name", "--every", "0.05") as t:
        in_order(t, "a", "b", "c")
        t.type("j")
        until(lambda: selected(t) == ["b"], "b is selected")
        t.type("k", "k", "k")
        until(lambda: selected(t) == ["a"], "a is selected")
        t.type("G")
        until(lambda: selected(t) == ["c"], "c is selected")
        publish("0", 1, "--persist")     # a row above it
        in_order(t, "0", "a", "b", "c")
        until(lambda: selected(t) == ["c"], "c is still selected")
    run("rm", "0")


@case
def slash_filters():
    for name in "arm/left", "arm/right", "leg":
        publish(name, 1, "--persist")
    with top("--sort", "name") as t:
        in_order(t, "arm/left", "arm/right", "leg")
        t.type("/")
        t.shows("^filter: _")
        t.type("l", "e")
        in_order(t, "arm/left", "leg")
        t.type("f")
        in_order(t, "arm/left")
        t.type("BSpace", "Enter")
        t.hides("^filter: ")
        t.shows("filter: le$")
        in_order(t, "arm/left", "leg")
        t.type("Escape")
        in_order(t, "arm/left", "arm/right", "leg")
        t.type("/", "arm/*", "Enter")
        in_order(t, "arm/left", "arm/right")
        t.type("q")     # a key again, not typed into the filter
        t.shows("^code=0")
    run("rm", "arm/left", "arm/right", "leg")


@case
def a_filter_without_matches_says_so():
    publish("t", 1, "--persist")
    with top() as t:
        t.type("/", "nobody")
        t.shows("no segment matches the filter")
        t.type("Escape")
        t.shows("^t +topic")
    run("rm", "t")


@case
def keys_change_the_interval_and_pause():
    with lagging(t=1), top("--sort", "name") as t:
        t.shows("every 1 s")
        t.type("+")
        t.shows("every 2 s")
        t.type("-", "-", "-")
        t.shows("every 0.25 s")
        t.type("p")
        t.shows(r"\(paused\)")
        publish("t", 1)
        publish("other", 1, "--persist")
        t.type("h")
        t.shows("any key goes back")     # it still runs
        t.type("x")
        t.hides("any key goes back")
        check("other" not in t.rows(), t.text())
        t.type("p")
        in_order(t, "other", "t")
    run("rm", "other")


@case
def q_quits_and_leaves_the_terminal_as_it_was():
    with top() as t:
        t.shows("no segments")
        t.type("q")
        t.shows("^code=0")
        t.type("typed", "Enter")
        t.shows("^typed\ntyped")        # it echoes, and lines are lines


@case
def an_interrupt_ends_it():
    with top() as t:
        t.shows("no segments")
        t.type("C-c")
        t.shows("^code=130|^$")
        t.hides("no segments")
