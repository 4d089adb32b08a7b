# SPDX-License-Identifier: MIT
"""top as text and as objects."""
import os
import signal

from harness import (ON_DEV, USAGE, Run, attached, case, check, equal, nothing_left, objects, run,
                     stat, stdin_of, stopped, until)
from topics import ended, full, lagging, publish, slow_sub

HEADS = ["NAME", "KIND", "MSG/S", "BYTES/S", "FULL", "LAG", "WHOSE", "LOST/S", "WAIT", "HOLD", "ENDS",
         "PAGE", "OWNER"]


def table(*args):
    """The lines after the heads of one table."""
    lines = run("top", "--count", "1", "--every", "0.01", *args).out.decode().splitlines()
    equal(lines[0].split(), HEADS, "heads")
    return lines[1:]


def looks(*args):
    return objects(run("top", "--json", "--count", "1", "--every", "0.01", *args).out)


@case
def no_segments_is_an_empty_table():
    equal(table(), [])
    equal(looks(), [])


@case
def a_table_each_interval():
    publish("a", 3, "--persist")
    lines = run("top", "--count", "3", "--every", "0.01").out.decode().splitlines()
    equal([x.split()[0] if x else "" for x in lines], ["NAME", "a", "", "NAME", "a", "", "NAME", "a"])
    run("rm", "a")


@case
def a_subscriber_that_lags_is_named():
    with lagging(t=100) as subs:
        row = table()[0].split()
        share = round(100 * 100 / stat("t")["entries"])
        check("%d%%" % share in row, row)
        at = row.index("%d%%" % share)
        equal(row[at + 1:at + 4], ["100", str(subs["t"].p.pid), "shmipc"], "LAG and WHOSE")
        ends = table("--ends")[1:]
        check(any("pid %d" % subs["t"].p.pid in x and "lag    100" in x and "lossless" in x
                  for x in ends), ends)


@case
def a_full_topic_says_which_publisher_waits_for_which_subscriber():
    with full("t") as (sub, pub):
        # The command wakes up now and then to check for signals.
        x = until(lambda: [x for x in looks() if x["waiters"]], "a publisher that waits")[0]
        slot = stat("t")["subscriber"][0]["slot"]
        equal((x["occupancy"], x["waiters"], x["laggard"]), (1, 1, slot))
        ends = {e["pid"]: e for e in x["ends"]}
        equal(ends[pub.p.pid]["waits_for"], slot)
        equal(ends[sub.p.pid]["lag"], stat("t")["entries"])
        check("100%" in table()[0], table())


@case
def objects_agree_with_stat():
    with lagging(t=7):
        x, s = looks()[0], stat("t")
        for key in "name", "kind", "backend", "id", "page_bytes", "total_bytes", "memory_bytes", "messages", "max_lag", "lost", "chunks":
            equal(x[key], s[key], key)
        equal([e["pid"] for e in x["ends"]], [p["pid"] for p in s["subscriber"]])
        for key in "slot", "lag", "received", "lost", "policy", "state", "pos", "holding":
            equal(x["ends"][0][key], s["subscriber"][0][key], key)
        equal(x["bytes"], 7 * len("hello"), "of a publisher that has gone")
        equal((x["new"], x["error"]), (False, None))


@case
def rates_are_what_was_published_in_between():
    """The publisher is idle between two tables: all that it sent is in one of them."""
    w = Run("top", "--json", "--every", "0.05")
    sub = slow_sub("t")
    until(lambda: w.out, "the first object")
    publish("t", 50)

    def told():
        seen = objects(w.out)
        busy = [(a, b) for a, b in zip(seen, seen[1:]) if b["messages_per_s"] > 0]
        return busy and seen[-1]["messages"] == 50 and busy
    busy = until(told, "a rate")
    for a, b in busy:
        equal(round(b["messages_per_s"] * b["seconds"], 3), b["messages"] - a["messages"])
        equal(round(b["bytes_per_s"] * b["seconds"], 3), b["bytes"] - a["bytes"])
        check(b["seconds"] > 0, b)
    w.kill(signal.SIGINT).ends(130)
    ended(sub)


@case
def losses_are_counted_while_they_happen():
    sub = slow_sub("t")
    publish("t", 10000)
    w = Run("top", "--json", "--every", "0.02")
    until(lambda: w.out, "the first object")
    sub.kill(signal.SIGCONT)
    until(lambda: any(x["lost_per_s"] > 0 for x in objects(w.out)), "losses a second")
    equal(objects(w.out)[-1]["lost"], stat("t")["lost"])
    w.kill(signal.SIGINT).ends(130)
    sub.kill(signal.SIGINT).wait()


@case
def a_segment_that_is_created_anew_is_another_one():
    publish("t", 10, "--persist")
    w = Run("top", "--json", "--every", "0.02")
    until(lambda: w.out, "the first object")
    stopped(w)      # it does not see that the segment is missing in between
    run("rm", "t")
    publish("t", 30, "--persist")
    w.kill(signal.SIGCONT)
    until(lambda: objects(w.out)[-1]["messages"] == 30, "the new one")
    w.kill(signal.SIGINT).ends(130)
    seen = objects(w.out)
    check(seen[0]["id"] != seen[-1]["id"], seen[0], seen[-1])
    first = next(x for x in seen if x["id"] == seen[-1]["id"])
    equal((first["new"], first["messages_per_s"]), (True, 0), "no rate against the old one")
    run("rm", "t")


@case
def the_occupancy_of_a_ring_is_what_is_not_received():
    r = Run("recv", "t")
    attached("t", "consumer")
    stopped(r)
    run("send", "--no-drain", "--size", "1000", "t", stdin=stdin_of(bytes(50 * 1000)))
    x, s = looks()[0], stat("t")
    equal((x["kind"], x["messages"], x["max_lag"]), ("spsc", 50, 50))
    equal(round(x["occupancy"], 6), round(s["used_bytes"] / s["data_bytes"], 6))
    equal([e["role"] for e in x["ends"]], ["consumer"])
    r.kill().wait()
    run("gc")


@case
def patterns_choose():
    for name in "a/x", "a/y", "b":
        publish(name, 1, "--persist")
    equal([x["name"] for x in looks("a/*")], ["a/x", "a/y"])
    equal([x.split()[0] for x in table("--sort", "name", "b", "a/y")], ["a/y", "b"])
    run("rm", "a/x", "a/y", "b")


@case
def sort_orders_the_rows():
    with lagging(a=10, b=30, c=20):
        equal([x["name"] for x in looks("--sort", "lag")], ["b", "c", "a"])
        equal([x["name"] for x in looks("--sort", "name")], ["a", "b", "c"])
        equal([x["name"] for x in looks("--sort", "occupancy")], ["b", "c", "a"])


@case
def unreadable_segments_are_shown():
    if ON_DEV:
        return
    where = os.environ["SHMIPC_DIR"]
    os.makedirs(where)
    with open(os.path.join(where, "junk"), "wb") as f:
        f.write(b"junk")
    equal(table()[0].split(), ["junk", "EPROTO"])
    equal([(x["name"], x["error"]) for x in looks()], [("junk", "EPROTO")])
    run("rm", "junk")
    nothing_left()


@case
def bad_arguments_are_refused():
    for args, what in ((["--sort", "size"], "expected rate, bytes"), (["--every", "0"], "0.001"),
                       (["--count", "0"], "from 1"), (["[x"], "no ]"), (["--mode", "600"], "--mode")):
        r = run("top", *args, code=USAGE)
        check(what in r.err and "top" in r.err, r.err)


@case
def it_ends_without_an_error_when_its_reader_leaves():
    publish("t", 1, "--persist")
    r, out = os.pipe()
    w = Run("top", "--every", "0.01", stdout=out)
    os.close(out)
    os.close(r)
    w.ends(0)
    check(w.err == "", w.err)
    with open("/dev/full", "w") as full:
        w = Run("top", "--every", "0.01", stdout=full)
        w.ends(1)
        check("standard output" in w.err, w.err)
    run("rm", "t")
