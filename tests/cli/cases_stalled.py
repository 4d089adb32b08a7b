# SPDX-License-Identifier: MIT
"""A publisher that is stopped in the middle of publishing, as the tools show it."""
import mmap
import os
import signal
import struct
import subprocess

from harness import (OK, ON_DEV, Run, Skip, attached, case, check, equal, nothing_left, objects, run, stat,
                     stdin_of, stopped, until)

MAGIC = b"shmipcTP"         # struct shmipc_topic_hdr
PUB_OFF = 80                # in it: where struct shmipc_pub_ctl is, which begins with the tail
LINES, LINE = 192, 64       # after that: struct shmipc_pub_line, which begins with the claim


def claim_one(name, slot):
    """As if this publisher, of a topic without messages, had claimed number 0 and were stopped there."""
    with open(os.path.join(os.environ["SHMIPC_DIR"], name), "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
        hdr = m.find(MAGIC)
        ctl = hdr + struct.unpack_from("<Q", m, hdr + PUB_OFF)[0]
        struct.pack_into("<Q", m, ctl + LINES + slot * LINE, 0 << 12 | 1)
        struct.pack_into("<Q", m, ctl, 1)


def stall(*args):
    """Publishers A, which is stopped, and B, which waits for it."""
    a = Run("pub", "--publishers", "4", "--history", "8", *args, "t", stdin=subprocess.PIPE)
    attached("t", "producer")
    slot = stat("t")["publisher"][0]["slot"]
    stopped(a)
    claim_one("t", slot)
    b = Run("pub", "--lines", "t", stdin=stdin_of(b"x\n" * 1000))
    until(lambda: any(p["waits_for"] == slot for p in (stat("t") or {"publisher": []})["publisher"]),
          "a publisher that waits for another one", b)
    return a, b


def end(a, b):
    a.kill()
    a.wait()
    b.ends(OK)
    nothing_left()


def topics_of_doctor():
    return [o for o in objects(run("doctor", "--json").out) if o["item"] == "topics"][0]


@case
def who_stalls_a_topic_is_named_with_what_limits_it():
    if ON_DEV:
        raise Skip("a claim is written into a file")
    a, b = stall()
    row = topics_of_doctor()
    equal(row["status"], "warn")
    check('"t": the publisher in slot' in row["found"] and "(pid %d shmipc)" % a.p.pid in row["found"], row)
    check("kill -CONT %d" % a.p.pid in row["advice"] and "--abort-after" in row["advice"] and
          "--fence-after" in row["advice"], row)
    text = run("top", "--ends", "--count", "1").out.decode()
    check("in the middle of publishing: --abort-after, --fence-after" in text, text)
    text = run("trace", "--slow", "--source", "counters", "--duration", "1").out.decode()
    check("has begun to publish and not finished" in text and "--abort-after" in text and
          "--fence-after" in text, text)
    end(a, b)
    equal(topics_of_doctor()["found"], "no publisher waits for another one")


@case
def a_topic_with_a_limit_is_not_told_to_have_one():
    if ON_DEV:
        raise Skip("a claim is written into a file")
    a, b = stall("--abort-after", "1000")
    text = run("top", "--ends", "--count", "1").out.decode()
    check("in the middle of publishing" in text and "--abort-after" not in text, text)
    text = run("trace", "--slow", "--source", "counters", "--duration", "1").out.decode()
    check("its message is aborted after 1000 s" in text and "--abort-after" not in text, text)
    end(a, b)
