# SPDX-License-Identifier: MIT
"""Recordings and pictures."""
import json
import os
import re
import shutil

from harness import FAIL, OK, Run, Skip, case, check, equal, objects, run
from tracing import Trace, all_of, name, publish, scratch, sub


def recorded(topic, n, *args):
    """A recording of n messages to one subscriber, and the tracer."""
    path = scratch("recording")
    s = sub(topic, "--count", str(n))
    t = Trace("--record", path, *args, topic)
    publish(topic, n, "--wait-subscribers", "1").ends(OK)
    s.ends(OK)
    return path, t, s


def lines_of(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


@case
def a_recording_is_shown_again():
    topic, n = name(), 10
    path, t, _ = recorded(topic, n, "--events", "all")
    t.until(2, "detach")
    t.stop()
    shown = objects(t.out)
    equal(lines_of(path)[0]["event"], "recording", "head")
    equal(lines_of(path)[1:], shown, "recorded and shown")
    equal(objects(run("trace", "--read", path, "--json").out), shown, "read and shown")
    equal(len(run("trace", "--read", path).out.splitlines()), len(shown), "lines of text")
    takes = objects(run("trace", "--read", path, "--json", "--events", "take").out)
    equal([o["seq"] for o in takes], list(range(n)), "only take")
    equal(run("trace", "--read", path, "not-" + topic).out, b"", "of another name")
    os.unlink(path)


@case
def recorded_events_become_histograms():
    topic, n = name(), 25
    path, t, s = recorded(topic, n, "--events", "all")
    t.until(2, "detach")
    t.stop()
    slept = [o for o in t.seen("wait_end", pid=s.p.pid) if "slept_ns" in o]
    for what, count in (("publish-to-receive", n), ("wait", len(slept))):
        r = run("trace", "--read", path, "--json", "--histogram", what)
        _, peers = all_of(r, topic)
        equal(sum(o["count"] for o in peers if o["pid"] == s.p.pid), count, what)
    takes = {o["seq"]: o["mono_ns"] for o in t.seen("take")}
    took = max(takes[o["seq"]] - o["mono_ns"] for o in t.seen("publish"))
    equal(all_of(run("trace", "--read", path, "--json", "--histogram", "publish-to-receive"),
                 topic)[0][0]["max"], took, "the longest")
    os.unlink(path)


@case
def a_recorded_histogram_is_the_same_again():
    topic, n = name(), 200
    path, t, _ = recorded(topic, n, "--histogram", "publish-to-receive", "--every", "0.05")
    t.stop()
    again = run("trace", "--read", path, "--json")
    keys = ("count", "sum", "max", "buckets", "pid", "comm", "slot", "name", "p50", "p90")
    for whole, found in zip(all_of(t, topic), all_of(again, topic)):
        equal([[o[k] for k in keys] for o in found], [[o[k] for k in keys] for o in whole], "again")
    check(all_of(again, topic)[0][0]["count"] == n)
    os.unlink(path)


@case
def a_damaged_recording_is_refused_with_its_line():
    topic = name()
    path, t, _ = recorded(topic, 5, "--events", "publish")
    t.until(5)
    t.stop()
    with open(path) as f:
        lines = f.readlines()
    for n, bad in ((3, "nonsense\n"), (2, '{"event":"publish"}\n'), (1, '{"event":"else"}\n'),
                   (4, "\n")):
        with open(path, "w") as f:
            f.writelines(lines[:n - 1] + [bad] + lines[n:])
        err = run("trace", "--read", path, "--json", code=FAIL).err
        check("line %d:" % n in err and "EINVAL" in err, n, err)
    with open(path, "w") as f:      # the recorder was killed in the middle of a line
        f.write("".join(lines)[:-20])
    r = run("trace", "--read", path, "--json")
    equal(len(objects(r.out)), 4, "whole lines")
    check("middle of a line" in r.err, r.err)
    with open(path, "w") as f:
        f.write(lines[0].replace('"version":1', '"version":2'))
    check("EPROTONOSUPPORT" in run("trace", "--read", path, code=FAIL).err)
    os.unlink(path)
    check(path in run("trace", "--read", path, code=FAIL).err)


def svg(path):
    with open(path) as f:
        text = f.read()
    os.unlink(path)
    check(text.startswith("<?xml") and text.rstrip().endswith("</svg>"), text[:200], text[-200:])
    return text


def needs_gnuplot():
    if not shutil.which("gnuplot"):
        raise Skip("gnuplot is not there (Debian: gnuplot-nox)")


def bars_are(text, counts):
    """Adjacent, and as high as the counts."""
    bars = []
    for points in re.findall(r"<polygon fill[^>]*points = '([^']*)'", text):
        x, y = zip(*((float(v) for v in p.split(",")) for p in points.split()))
        bars.append((min(x), max(x), max(y) - min(y)))
    equal(len(bars), len(counts), "bars")
    for left, right in zip(bars, bars[1:]):
        check(left[1] <= right[0] + 0.1, left, right)
    highest = max(height for _, _, height in bars)
    for (_, _, height), n in zip(bars, counts):
        check(abs(height / highest - n / max(counts)) < 0.02, height, n)


@case
def a_histogram_becomes_a_picture():
    needs_gnuplot()
    topic, picture = name(), scratch("a 'picture\"") + ".svg"
    path, t, _ = recorded(topic, 40, "--histogram", "publish-to-receive", "--plot", picture)
    t.stop()
    text = svg(picture)
    for word in (topic, "40 counted", ">p50 ", ">p99.9 ", "microseconds"):
        check(word in text, word)
    bars_are(text, [n for _, n in all_of(t, topic)[0][0]["buckets"]])
    run("trace", "--read", path, "--plot", picture)
    check(topic in svg(picture))
    os.unlink(path)


@case
def occupancy_becomes_a_picture_over_time():
    needs_gnuplot()
    topic, picture, path = name(), scratch("picture") + ".svg", scratch("recording")
    s = sub(topic, "--count", "3")
    run("trace", "--histogram", "occupancy", "--duration", "0.2", "--plot", picture, "--record",
        path, topic)
    check("messages behind" in svg(picture))
    samples = [o for o in lines_of(path) if o["event"] == "sample"]
    check(len(samples) > 1 and {o["pid"] for o in samples} == {s.p.pid}, samples[:2])
    run("trace", "--read", path, "--plot", picture)
    text = svg(picture)
    check(topic in text and "seconds" in text)
    publish(topic, 3).ends(OK)
    s.ends(OK)
    os.unlink(path)


@case
def without_gnuplot_it_says_what_to_install():
    path, picture = scratch("recording"), scratch("picture")
    with open(path, "w") as f:
        f.write('{"event":"recording","version":1,"histogram":"occupancy","wall_ns":1}\n'
                '{"event":"sample","wall_ns":2,"name":"a","id":"0011223344556677","slot":1,'
                '"pid":1,"comm":"x","behind":3}\n')
    empty = scratch("empty")
    os.mkdir(empty)
    r = Run("trace", "--read", path, "--plot", picture, PATH=empty).ends(FAIL)
    check("gnuplot-nox" in r.err and "ENOENT" in r.err, r.err)
    check(not os.path.exists(picture), "a picture of nothing")
    os.rmdir(empty)
    os.unlink(path)


@case
def without_data_there_is_no_picture():
    path, picture = scratch("recording"), scratch("picture")
    with open(path, "w") as f:
        f.write('{"event":"recording","version":1,"histogram":"wait","wall_ns":1}\n')
    check("ENODATA" in run("trace", "--read", path, "--plot", picture, code=FAIL).err)
    check("EINVAL" not in run("trace", "--read", path).err)
    with open(path, "w") as f:
        f.write('{"event":"recording","version":1,"histogram":null,"wall_ns":1}\n')
    check("--histogram" in run("trace", "--read", path, "--plot", picture, code=FAIL).err)
    os.unlink(path)
