# SPDX-License-Identifier: MIT
"""queue: work for one of many consumers."""
import os
import re
import signal
import subprocess

from harness import (FAIL, OK, ON_DEV, TIMEOUT, USAGE, Run, attached, case, check, equal, nothing_left, objects,
                     run, stat, stdin_of, stopped, until)


def shown(name="jobs"):
    r = Run("queue", "show", "--json", name)
    return objects(r.out)[0] if r.wait() == OK else None


def push(*args, **kw):
    return run("queue", "push", "--persist", *args, **kw)


def pop(*args, **kw):
    return run("queue", "pop", *args, **kw)


def gone():
    run("rm", "jobs")
    nothing_left()


@case
def queue_items_come_out_in_order_and_once():
    push("jobs", "a", "b b", "")
    push("--message", "c\n", "jobs")
    equal(pop("--lines", "--count", "3", "jobs").out, b"a\nb b\n\n")
    equal(pop("--format", "raw", "jobs").out, b"c\n")
    r = pop("--timeout", "0", "jobs", code=TIMEOUT)
    check("for an item (ETIMEDOUT)" in r.err and not r.out, r.err)
    equal([shown()[k] for k in ("pushed", "acked", "ready", "taken", "again")], [4, 4, 0, 0, 0])
    gone()


@case
def queue_push_cuts_its_input_as_pub_does():
    push("jobs", stdin=stdin_of(b"all of\nit"))
    push("--lines", "jobs", stdin=stdin_of(b"one\ntwo\nthree"))
    push("--size", "2", "jobs", stdin=stdin_of(b"abcde"))
    push("--lines", "--count", "1", "jobs", stdin=stdin_of(b"x\ny\n"))
    push("--message", "m", "--repeat", "2", "jobs")
    got = objects(pop("--until-empty", "--format", "json", "jobs").out)
    equal([x["payload"] for x in got], ["all of\nit", "one\n", "two\n", "three", "ab", "cd", "e", "x\n", "m", "m"])
    equal({(x["queue"], x["level"], x["deliveries"]) for x in got}, {("jobs", 0, 1)})
    r = push("jobs", stdin=stdin_of(b""))
    check("nothing was pushed" in r.err, r.err)
    equal(shown()["ready"], 0)
    big = stdin_of(bytes(5000))
    check("EMSGSIZE" in push("jobs", stdin=big, code=FAIL).err)
    check("EMSGSIZE" in push("jobs", "x" * 5000, code=FAIL).err)
    gone()


@case
def queue_levels_go_first_and_survive_json():
    push("--levels", "3", "jobs", "low")
    push("--level", "2", "jobs", "high")
    push("-L", "1", "jobs", "middle")
    equal(shown()["ready_by_level"], [1, 1, 1])
    r = pop("--until-empty", "--format", "json", "jobs")
    equal([(x["payload"], x["level"]) for x in objects(r.out)], [("high", 2), ("middle", 1), ("low", 0)])
    push("--format", "json", "jobs", stdin=stdin_of(r.out))
    text = pop("--headers", "--format", "lines", "--until-empty", "jobs").out.decode()
    check(re.match(r"# \d+  4 B  level=2  deliveries=1  from=\d+  pid=\d+\nhigh\n# ", text), text)
    check("there are 0 to 2 (EINVAL)" in push("-L", "3", "jobs", "x", code=FAIL).err)
    check("no headers" in push("-F", "json", "jobs", stdin=stdin_of(b'{"payload":"x","headers":{}}\n'), code=FAIL).err)
    gone()


@case
def queue_item_says_who_pushed_it():
    p = Run("queue", "push", "jobs", "x")
    until(lambda: (shown() or {"ready": 0})["ready"], "an item", p)
    equal(objects(pop("--format", "json", "jobs").out)[0]["pid"], p.p.pid)
    p.ends(OK)
    nothing_left()


@case
def queue_push_waits_until_its_items_are_done():
    r = Run("queue", "push", "--timeout", "0.05", "jobs", "x").ends(TIMEOUT)
    check("--persist" in r.err, r.err)
    nothing_left()
    equal(run("queue", "push", "--no-drain", "jobs", "x").err, "")
    nothing_left()
    p = Run("queue", "push", "jobs", "x", "y")
    until(lambda: (shown() or {"ready": 0})["ready"] == 2, "two items", p)
    equal(pop("-F", "raw", "jobs").out, b"x")
    check(p.p.poll() is None, "it has left an item behind")
    equal(pop("-F", "raw", "jobs").out, b"y")
    p.ends(OK)
    p = Run("queue", "push", "jobs", "x")
    until(lambda: (shown() or {"ready": 0})["ready"], "an item", p)
    p.kill(signal.SIGTERM).ends(128 + signal.SIGTERM)
    nothing_left()


@case
def queue_push_waits_for_a_place():
    push("--depth", "2", "jobs", "a", "b")
    p = Run("queue", "push", "--timeout", "0", "--lines", "jobs", stdin=stdin_of(b"c\nd\ne\n")).ends(TIMEOUT)
    check("a free place (ETIMEDOUT)" in p.err and "0 items" in p.err, p.err)   # it has the slot of the first
    p = Run("queue", "push", "--lines", "--count", "2", "jobs", stdin=stdin_of(b"c\nd\ne\n"))
    attached("jobs", "producer")
    equal(pop("-F", "raw", "-c", "2", "jobs").out, b"ab")
    p.ends(OK)
    equal(pop("-F", "raw", "-c", "2", "jobs").out, b"c\nd\n")
    gone()


@case
def queue_command_acknowledges_or_gives_back():
    push("jobs", "a", "b")
    r = pop("jobs", "--", "sh", "-c", "cat; exit 7", code=7)
    equal(r.out, b"a")
    st = shown()
    equal([st[k] for k in ("ready", "acked", "taken")], [2, 0, 0])
    r = pop("jobs", "--", "sh", "-c", 'cat; echo " $SHMIPC_LEVEL $SHMIPC_DELIVERIES"')
    equal(r.out, b"a 0 2\n", "the same again")
    equal(pop("--count", "1", "jobs", "--", "cat").out, b"b")
    equal(shown()["acked"], 2)
    push("jobs", "x")
    equal(pop("jobs", "--", "/nonexistent/x", code=127).out, b"")
    pop("--follow", "jobs", "--", "/", code=126)
    equal(objects(pop("-F", "json", "jobs").out)[0]["deliveries"], 3, "those that cannot be run give it back")
    gone()


@case
def queue_worker_goes_on_after_a_failure():
    push("--deliveries", "3", "jobs", "good", "bad", "good")
    r = pop("--until-empty", "jobs", "--", "sh", "-c", 'read x; echo $x; [ "$x" = good ]', code=FAIL)
    equal(sorted(r.out.split()), [b"bad"] * 3 + [b"good"] * 2)
    check("of 5 items, 3 were given back" in r.err, r.err)
    equal([shown()[k] for k in ("ready", "acked", "again", "expired")], [0, 2, 2, 1])
    gone()


@case
def queue_workers_share_the_items():
    n = 60
    workers = [Run("queue", "pop", "--follow", "jobs", "--", "sh", "-c", "cat; exit 0") for _ in range(3)]
    attached("jobs", "reader", 3)
    run("queue", "push", "--lines", "--depth", "64", "jobs", stdin=stdin_of(b"".join(b"%d\n" % i for i in range(n))))
    equal(sorted(int(x) for w in workers for x in w.out.split()), list(range(n)))
    for w in workers:
        w.kill(signal.SIGTERM).ends(128 + signal.SIGTERM)
    nothing_left()


@case
def queue_killed_worker_gives_its_item_back():
    push("jobs", "x")
    said, out = os.pipe()
    w = Run("queue", "pop", "jobs", "--", "sh", "-c", "echo runs; exec sleep 1000", stdout=out)
    os.close(out)
    equal(os.read(said, 10), b"runs\n")
    st = shown()
    equal([(c["pid"], c["has"], c["idle_ns"] > 0) for c in st["consumer"]], [(w.p.pid, 1, True)])
    text = run("queue", "show", "jobs").out.decode()
    check(re.search(r"consumer +attached +pid %d .*; has 1, the last for \d+\.\d s$" % w.p.pid, text, re.M), text)
    w.kill().wait()
    equal(os.read(said, 10), b"", "the command is killed, too")
    os.close(said)
    got = objects(pop("--format", "json", "jobs").out)[0]
    equal((got["payload"], got["deliveries"]), ("x", 2))
    gone()


@case
def queue_signal_ends_a_worker_and_its_command():
    push("jobs", "x")
    said, out = os.pipe()
    w = Run("queue", "pop", "--follow", "jobs", "--", "sh", "-c", "echo runs; exec sleep 1000", stdout=out)
    os.close(out)
    equal(os.read(said, 10), b"runs\n")
    w.kill(signal.SIGTERM).ends(128 + signal.SIGTERM)
    os.close(said)
    equal([shown()[k] for k in ("ready", "acked")], [1, 0])
    gone()


@case
def queue_item_is_acknowledged_after_it_is_written():
    push("jobs", "x" * 2000, "y")
    r, w = os.pipe()
    os.close(r)
    p = Run("queue", "pop", "--count", "2", "jobs", stdout=w)
    os.close(w)
    p.ends(OK)      # its reader has gone, as with head(1)
    equal([shown()[k] for k in ("ready", "acked")], [2, 0])
    with open("/dev/full", "wb") as full:
        check("ENOSPC" in pop("jobs", stdout=full, code=FAIL).err)
    equal(objects(pop("--format", "json", "jobs").out)[0]["deliveries"], 3)
    gone()


@case
def queue_pop_ends_when_its_reader_has_gone():
    p = Run("queue", "pop", "--follow", "jobs", stdout=subprocess.PIPE)
    attached("jobs", "reader")
    p.p.stdout.close()
    p.ends(OK)
    nothing_left()


@case
def queue_at_most_once_loses_what_a_dead_worker_had():
    push("--delivery", "at-most-once", "jobs", "x", "y")
    said, out = os.pipe()
    w = Run("queue", "pop", "jobs", "--", "sh", "-c", "echo runs; exec sleep 1000", stdout=out)
    os.close(out)
    equal(os.read(said, 10), b"runs\n")
    w.kill().wait()
    os.close(said)
    equal(pop("-F", "raw", "jobs").out, b"y")
    equal(shown()["lost"], 1)
    push("jobs", "z")
    check("1 were lost" in pop("--until-empty", "jobs", "--", "false", code=FAIL).err)
    equal(shown()["ready"], 0)
    gone()


@case
def queue_stopped_worker_holds_up_only_its_item():
    push("jobs", "a", "b")
    said, out = os.pipe()
    w = Run("queue", "pop", "jobs", "--", "sh", "-c", "echo runs; exec sleep 1000", stdout=out)
    os.close(out)
    equal(os.read(said, 10), b"runs\n")
    stopped(w)
    equal(pop("-F", "raw", "jobs").out, b"b")
    equal([shown()[k] for k in ("ready", "taken")], [0, 1])
    w.kill().wait()
    os.close(said)
    equal(pop("-F", "raw", "jobs").out, b"a")
    gone()


@case
def queue_options_are_checked():
    push("--levels", "2", "--item", "100", "jobs", "x")
    r = push("--levels", "3", "jobs", "x", code=FAIL)
    check("levels" in r.err and "3" in r.err and "2" in r.err, r.err)
    for args in ([], ["push"], ["psuh", "jobs"], ["ack", "jobs"], ["show", "jobs", "x"], ["push", "..", "x"],
                 ["push", "--follow", "jobs", "x"], ["pop", "--level", "1", "jobs"], ["show", "--count", "1", "jobs"],
                 ["push", "--message", "x", "jobs", "y"], ["push", "--lines", "jobs", "y"],
                 ["pop", "--follow", "--until-empty", "jobs"], ["pop", "--lines", "jobs", "--", "cat"],
                 ["push", "--format", "hex", "jobs"], ["push", "--level", "8", "jobs", "x"],
                 ["push", "--delivery", "twice", "jobs", "x"]):
        run("queue", *args, code=USAGE)
    check("did you mean push?" in run("queue", "psuh", "jobs", code=USAGE).err)
    equal(shown()["ready"], 1, "nothing was pushed by those that failed")
    run("rm", "jobs")
    run("pub", "--persist", "-m", "x", "jobs")
    check("EINVAL" in push("jobs", "x", code=FAIL).err)
    check("EINVAL" in run("queue", "show", "jobs", code=FAIL).err)
    check("ENOENT" in run("queue", "show", "no", code=FAIL).err)
    gone()


@case
def ls_stat_and_watch_know_queues():
    watch = Run("watch", "--ends", "--count", "4")
    w = Run("queue", "pop", "--follow", "jobs")
    attached("jobs", "reader")
    run("queue", "push", "jobs", "a", "b")
    until(lambda: shown()["acked"] == 2, "two items are done")
    row = objects(run("ls", "--json").out)[0]
    equal([row[k] for k in ("kind", "producers", "consumers", "ready", "taken", "pushed", "acked", "lost")],
          ["queue", 0, 1, 0, 0, 2, 2, 0])
    check(re.search(rb"^jobs +queue .* 0>1 ", run("ls").out, re.M), run("ls").out)
    st = stat("jobs")
    equal(([x["taken"] for x in st["consumer"]], st["depth"], st["item_bytes"]), ([2], 64, 4096))
    text = run("stat", "jobs").out.decode()
    check(re.search(r"^items +0 ready, 0 taken and not acknowledged$", text, re.M), text)
    check(re.search(r"^  slot \d+ +consumer +attached .* took 2, acknowledged 2, gave back 0$", text, re.M), text)
    w.kill().wait()
    lines = until(lambda: watch.p.poll() is not None and watch.out.decode().splitlines(), "four events", watch)
    check(lines[0].startswith("appeared jobs") and lines[0].endswith(" queue"), lines)
    check(any(x.startswith("joined") and " consumer " in x for x in lines[1:]), lines)
    equal(run("gc").out, b"" if ON_DEV else b"jobs: removed\n")     # the kernel has done it already
    nothing_left()


@case
def top_and_metrics_know_queues():
    push("--depth", "8", "jobs", "a", "b", "c")
    said, out = os.pipe()
    w = Run("queue", "pop", "jobs", "--", "sh", "-c", "echo runs; exec sleep 1000", stdout=out)
    os.close(out)
    equal(os.read(said, 10), b"runs\n")
    p = Run("queue", "push", "--no-drain", "--lines", "jobs", stdin=subprocess.PIPE)
    attached("jobs", "producer")
    row = objects(run("top", "--json", "--count", "1").out)[0]
    equal([row[k] for k in ("name", "kind", "messages", "received", "max_lag", "holding", "holders", "publishers",
                            "subscribers", "occupancy")], ["jobs", "queue", 3, 0, 3, 1, 1, 1, 1, 0.375])
    equal([(e["role"], e.get("holding"), e.get("sent")) for e in row["ends"]],
          [("producer", None, 3), ("consumer", 1, None)])
    equal(row["laggard"], row["ends"][1]["slot"])
    text = run("top", "--plain", "--count", "1", "--ends").out.decode()
    check(re.search(r"^jobs +queue .* 3 %d shmipc " % w.p.pid, text, re.M), text)
    check(re.search(r"consumer +pid %d .*holds 1$" % w.p.pid, text, re.M), text)
    text = run("metrics").out.decode()
    for line in ('published_messages_total{segment="jobs"} 3', 'held_messages{segment="jobs"} 1',
                 'occupancy_ratio{segment="jobs"} 0.375', 'done_items_total{segment="jobs"} 0',
                 'lost_items_total{segment="jobs"} 0'):
        check("shmipc_" + line + "\n" in text, line, text)
    check(re.search(r'^shmipc_subscriber_held_messages{segment="jobs",.*pid="%d".*} 1$' % w.p.pid, text, re.M), text)
    check('bytes_total{segment="jobs"' not in text and 'lag_messages{segment="jobs",slot' not in text, text)
    w.kill().wait()
    os.close(said)
    p.stdin.close()
    p.ends(OK)
    gone()


@case
def queue_moves_dead_letters():
    push("--deliveries", "2", "--dead", "failed", "--levels", "2", "-L", "1", "jobs", "bad")
    equal(shown()["dead_queue"], "failed")
    pop("--until-empty", "jobs", "--", "false", code=FAIL)
    pop("--timeout", "0", "jobs", code=TIMEOUT)
    equal([shown()[k] for k in ("ready", "expired", "dead", "stuck")], [0, 1, 1, 0])
    check('dead      to "failed": 1 were moved, 0 could not be yet\n' in run("queue", "show", "jobs").out.decode())
    r = pop("--format", "json", "failed", "--until-empty")
    got = objects(r.out)
    equal([(x["payload"], x["level"], x["deliveries"]) for x in got], [("bad", 1, 1)])
    d = got[0]["dead"]
    check(d.pop("at_ns") > 10**18, d)
    equal(d, {"queue": "jobs", "reason": "deliveries", "deliveries": 2, "copies": 1, "level": 1, "from": 0, "number": 0})
    push("--format", "json", "jobs", stdin=stdin_of(r.out))
    pop("--count", "2", "jobs", "--", "false", code=FAIL)
    pop("--timeout", "0", "jobs", code=TIMEOUT)
    text = pop("--headers", "-F", "lines", "failed").out.decode()
    check("  dead=jobs/2\nbad\n" in text, text)
    check("EINVAL" in push("--deliveries", "2", "--dead", "x", "x", "y", code=FAIL).err)
    check("1 to 253" in push("--dead", "failed", "x", "y", code=FAIL).err)
    run("rm", "failed")
    gone()
