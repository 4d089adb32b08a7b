# SPDX-License-Identifier: MIT
"""metrics on standard output."""
import os
import signal

from harness import (ON_DEV, USAGE, attached, case, check, equal, nothing_left, run, stat, stdin_of,
                     stopped, until, Run)
from samples import one, parse, promtool
from topics import ended, full, lagging, publish, slow_sub


def text(*args):
    return run("metrics", *args).out.decode()


def samples(*args):
    return parse(text(*args))[0]


@case
def no_segments_is_an_empty_answer():
    found = samples()
    equal([k for k in found if any(x.startswith("segment=") for x in k)], [])
    equal(one(found, "shmipc_build_info"), 1)


@case
def values_are_those_of_stat():
    with lagging(t=100) as subs:
        publish("other", 3, "--persist")
        m, s = samples(), stat("t")
        for name, value in (("published_messages_total", s["messages"]), ("published_bytes_total", 500),
                            ("publishers", 0), ("subscribers", 1), ("max_lag_messages", 100),
                            ("aborted_messages_total", 0), ("evictions_total", 0),
                            ("waiting_publishers", 0), ("held_messages", 0),
                            ("segment_size_bytes", s["total_bytes"]),
                            ("segment_memory_bytes", s["memory_bytes"])):
            equal(one(m, "shmipc_" + name, segment="t"), value, name)
        equal(round(one(m, "shmipc_occupancy_ratio", segment="t"), 6), round(100 / s["entries"], 6))
        equal(round(one(m, "shmipc_segment_created_timestamp_seconds", segment="t"), 1),
              round(s["created_ns"] / 1e9, 1))
        for state, key in ("free", "chunks_free"), ("filling", "chunks_owned"), ("held", "chunks_held"):
            equal(one(m, "shmipc_pool_chunks", segment="t", state=state), s[key], key)
        labels = {"segment": "t", "slot": str(s["subscriber"][0]["slot"]), "comm": "shmipc",
                  "pid": str(subs["t"].p.pid), "policy": "lossless"}
        for name, key in (("received_messages_total", "received"), ("lost_messages_total", "lost"),
                          ("lag_messages", "lag"), ("held_messages", "holding"), ("cut_off", "evicted")):
            equal(one(m, "shmipc_subscriber_" + name, **labels), s["subscriber"][0][key], name)
        equal(one(m, "shmipc_segment_info", segment="t", id=s["id"], kind="topic", owner=s["user"]), 1)
        equal(one(m, "shmipc_published_messages_total", segment="other"), 3)
    run("rm", "other")


@case
def losses_and_waits_are_counted():
    with full("t") as (sub, pub):
        def waits():
            m = samples("t")
            return [k for k in m if k[0] == "shmipc_publisher_waits_for"] and m
        m = until(waits, "a publisher that waits")
        equal(one(m, "shmipc_publisher_waits_for", segment="t", slot="0", pid=str(pub.p.pid),
                  for_slot=str(stat("t")["subscriber"][0]["slot"]), for_pid=str(sub.p.pid),
                  for_comm="shmipc"), 1)
        equal(one(m, "shmipc_occupancy_ratio"), 1)
        check(one(m, "shmipc_publisher_waits_total") > 0, m)
        equal(one(m, "shmipc_publisher_sent_messages_total"), stat("t")["messages"])
    sub = slow_sub("t")
    publish("t", 10000)
    sub.kill(signal.SIGCONT)
    until(lambda: stat("t")["subscriber"][0]["lag"] == 0, "a subscriber that keeps up")
    m = samples("t")
    lost, got = (one(m, "shmipc_subscriber_%s_messages_total" % x) for x in ("lost", "received"))
    check(lost > 0, lost)
    equal(lost + got, 10000)
    ended(sub)


@case
def evictions_are_counted():
    sub = slow_sub("t", "--policy", "evict", "--evict-after", "0.001")
    publish("t", 10000)
    equal(one(samples(), "shmipc_evictions_total", segment="t"), 1)
    equal(one(samples(), "shmipc_subscriber_cut_off", segment="t"), 1)
    ended(sub)


@case
def counters_stay_when_publishers_go_and_begin_anew_with_the_topic():
    publish("t", 10, "--persist")
    publish("t", 5)
    equal(one(samples(), "shmipc_published_bytes_total"), 75)
    run("rm", "t")
    publish("t", 2, "--persist")
    equal(one(samples(), "shmipc_published_bytes_total"), 10)
    equal(one(samples(), "shmipc_published_messages_total"), 2)
    run("rm", "t")


@case
def a_ring_has_the_metrics_of_rings():
    r = Run("recv", "r")
    attached("r", "consumer")
    stopped(r)
    run("send", "--no-drain", "--size", "1000", "r", stdin=stdin_of(bytes(5000)))
    m, s = samples(), stat("r")
    equal(one(m, "shmipc_published_messages_total", segment="r"), 5)
    equal(one(m, "shmipc_published_bytes_total", segment="r"), s["tail_pos"])
    equal(one(m, "shmipc_subscriber_lag_messages", segment="r", policy="lossless"), 5)
    equal([k for k in m if k[0] == "shmipc_evictions_total"], [], "of a ring")
    r.kill().wait()
    run("gc")


@case
def promtool_accepts_the_output():
    check(promtool("shmipc_x_count 1\nshmipc_x_count 1\n"), "it finds what is wrong")
    with full("t"):
        publish("a/b.c-d", 1, "--persist")
        equal(promtool(text()), None, "promtool")
    run("rm", "a/b.c-d")


@case
def labels_are_escaped():
    """The name of a process may be anything."""
    here = os.path.join(os.environ["SHMIPC_DIR"] + "-bin")
    os.mkdir(here)
    try:
        odd = os.path.join(here, 'a"b\\c')
        os.symlink(Run.__init__.__globals__["SHMIPC"], odd)
        sub = Run("sub", "--quiet", "t", prefix=("bash", "-c", 'exec "$0" "${@:2}"', odd))
        attached("t", "reader")
        out = text()
        check('comm="a\\"b\\\\c"' in out, out)
        equal(promtool(out), None)
        sub.kill(signal.SIGINT).wait()
    finally:
        os.unlink(odd)
        os.rmdir(here)


@case
def patterns_choose():
    for name in "a/x", "a/y", "b":
        publish(name, 1, "--persist")
    m = samples("a/*", "c")
    equal([k[1] for k in m if k[0] == "shmipc_publishers"], ["segment=a/x", "segment=a/y"])
    run("rm", "a/x", "a/y", "b")


@case
def unreadable_segments_are_reported():
    if ON_DEV:
        return
    where = os.environ["SHMIPC_DIR"]
    os.makedirs(where)
    with open(os.path.join(where, "junk"), "wb") as f:
        f.write(b"junk")
    equal(one(samples(), "shmipc_segment_unreadable", segment="junk", error="EPROTO"), 1)
    run("rm", "junk")
    nothing_left()


@case
def bad_arguments_are_refused():
    for args, what in ((["--textfile", "x", "--listen", "0"], "combined"), (["--every", "1"], "--textfile"),
                       (["[x"], "no ]"), (["--json"], "--json")):
        r = run("metrics", *args, code=USAGE)
        check(what in r.err and "metrics" in r.err, r.err)
