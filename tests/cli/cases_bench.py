# SPDX-License-Identifier: MIT
"""shmipc bench on topics: short runs, in which every message is checked."""
import os

from harness import FAIL, USAGE, Skip, case, check, equal, objects, run

KEYS = {"bench", "size", "msgs_per_s", "bytes_per_s", "p50_ns", "p99_ns", "min_ns", "received",
        "lost", "lost_share", "runs", "discarded", "noisy", "probe_ns", "limit",
        "ratio_to_limit", "backend", "page_bytes", "cpus", "seconds", "wait", "topic", "queue"}
TOPIC = {"publishers", "subscribers", "single", "policy", "way", "copier", "inline_bytes",
         "history", "meta", "headers", "cold"}


def bench(*args):
    if len(os.sched_getaffinity(0)) < 2:
        raise Skip("two processes that spin need two CPUs")
    found = objects(run("bench", *args, "--seconds", "0.005", "--runs", "1", "--json").out)
    for o in found:
        equal(KEYS - set(o), set(), "keys that are missing")
        equal(set(o["topic"]), TOPIC, "keys of topic")
        check(o["received"] > 0, o)
    return found


@case
def bench_topic_has_a_row_for_one_publisher_and_one_for_many():
    found = bench("topic", "--size", "64,4096")
    equal([(o["bench"], o["size"], o["topic"]["single"]) for o in found],
          [("topic-single", 64, True), ("topic-single", 4096, True),
           ("topic-many", 64, False), ("topic-many", 4096, False)])
    for o in found:
        equal(o["topic"]["policy"], "lossless")
        equal(o["lost"], None, "a lossless row has no losses")
        check(o["msgs_per_s"] > 0 and o["ratio_to_limit"] > 0, o)


@case
def bench_topic_counts_losses_in_rows_of_their_own():
    for o in bench("topic", "--size", "64", "--policy", "lossy", "--made-for", "many"):
        equal(o["topic"]["policy"], "lossy")
        check(o["lost"] is not None and 0 <= o["lost_share"] <= 1, o)


@case
def bench_topic_takes_publishers_subscribers_loans_meta_and_headers():
    o, = bench("topic", "--size", "1264", "--publishers", "3", "--subscribers", "4", "--loan",
               "--meta", "--headers")
    equal(o["topic"]["publishers"], 3)
    equal(o["topic"]["subscribers"], 4)
    equal(o["topic"]["way"], "loan")
    check(o["topic"]["meta"] and o["topic"]["headers"], o)


@case
def bench_topic_sleeps_instead_of_spinning():
    for o in bench("topic", "--size", "64", "--wait", "block"):
        equal(o["wait"], "block")


@case
def bench_topic_times_a_publication_a_loan_and_a_round_trip():
    for what, size, *more in (("topic-publish", 64), ("topic-loan", 65536),
                              ("topic-loan", 65536, "--cold"), ("topic-rtt", 64)):
        o, = bench(what, "--size", str(size), *more)
        equal((o["bench"], o["topic"]["cold"]), (what, bool(more)))
        check(o["p50_ns"] > 0 and o["p99_ns"] >= o["p50_ns"], o)


@case
def bench_topic_refuses_invalid_values():
    for option, value in (("--policy", "some"), ("--made-for", "all"), ("--publishers", "0"),
                          ("--subscribers", "x"), ("--inline", "1g"), ("--history", "-1")):
        err = run("bench", "topic", option, value, code=USAGE).err
        check(option in err and value in err and "EINVAL" in err, err)


@case
def bench_lock_compares_locks_that_are_free_handed_over_and_wanted_by_many():
    for name, tables in (("lock-mutex", 3), ("lock-read", 1), ("lock-sem-robust", 3), ("peer-futex", 3)):
        found = objects(run("bench", "lock", "--seconds", "0.002", "--runs", "1", "--processes", "3", "--wait", "spin",
                            "--lock", name, "--json").out)
        equal([o["bench"] for o in found], [name] * tables)
        for o in found:
            equal(KEYS - set(o), set(), "keys that are missing")
            check(o["received"] > 0 and o["p50_ns"] > 0 and o["ratio_to_limit"] > 0, o)
            equal(o["backend"] is not None, name.startswith("lock-"), o)
        for o in found[2:]:
            check(o["max_ns"] >= o["p99_ns"] and 0 < o["least_share"] <= 1 and o["msgs_per_s"] > 0, o)
    err = run("bench", "lock", "--lock", "none", code=USAGE).err
    check("peer-pthread" in err and "EINVAL" in err, err)
    equal(objects(run("ls", "--json").out), [], "what is left")


@case
def bench_event_compares_notifications_and_round_trips():
    found = objects(run("bench", "event", "--seconds", "0.002", "--runs", "1", "--json").out)
    equal([(o["bench"], o["wait"]) for o in found],
          [("event-notify", "spin"), ("peer-futex", "spin"), ("peer-eventfd", "spin"), ("event", "spin"),
           ("event", "block"), ("peer-futex", "block"), ("peer-eventfd", "block"), ("peer-sem", "block"),
           ("peer-pipe", "block")])
    for o in found:
        check(o["received"] > 0 and o["p50_ns"] > 0 and o["ratio_to_limit"] > 0, o)
        equal(o["backend"] is not None, o["bench"].startswith("event"), o)
    equal({o["wait"] for o in objects(run("bench", "event", "--seconds", "0.002", "--runs", "1", "--wait", "spin",
                                          "--json").out)}, {"spin"})


QUEUE = ("bench", "queue", "--seconds", "0.002", "--runs", "1", "--json")


@case
def bench_queue_measures_each_number_of_ends_and_batch():
    shapes = [(1, 1), (1, 4), (4, 1), (4, 4)]
    found = objects(run(*QUEUE, "--size", "64", "--delivery", "acknowledged", "--batch", "4").out)
    equal([(o["bench"], o["queue"]["producers"], o["queue"]["consumers"]) for o in found],
          [("queue", p, c) for p, c in shapes])
    more = objects(run(*QUEUE, "--size", "64", "--delivery", "once", "--consumers", "2").out)
    equal([(o["bench"], o["queue"]["batch"]) for o in more],
          [("queue-once", 1), ("queue-once", 16), ("peer-mq", 1), ("peer-seqpacket", 1)])
    for o in found + more:
        equal(o["queue"]["delivery"], "acknowledged" if o["bench"] == "queue" else "once")
        check(o["received"] > 0 and o["msgs_per_s"] > 0 and o["ratio_to_limit"] > 0, o)
    equal(objects(run("ls", "--json").out), [], "what is left")


@case
def bench_queue_takes_ends_delivery_batch_and_size():
    o, = objects(run(*QUEUE, "--size", "100000", "--producers", "2", "--consumers", "3", "--delivery", "acknowledged",
                     "--batch", "16", "--wait", "block").out)
    equal(o["queue"], {"producers": 2, "consumers": 3, "batch": 16, "delivery": "acknowledged"})
    equal((o["size"], o["wait"]), (100000, "block"))
    equal({o["bench"] for o in objects(run(*QUEUE, "--size", "10000", "--delivery", "once", "--consumers", "1",
                                           "--batch", "2").out)}, {"queue-once", "peer-seqpacket"})
    check("EINVAL" in run(*QUEUE, "--size", "7", code=FAIL).err)
    for option, value in (("--batch", "17"), ("--producers", "0"), ("--delivery", "twice"), ("--processes", "1")):
        err = run("bench", "queue", option, value, code=USAGE).err
        check(option in err and value in err and "EINVAL" in err, err)
