# SPDX-License-Identifier: MIT
"""How sub shows messages, and which; hz and bw; ls and stat of topics."""
import base64
import os
import pty
import re
import signal
import subprocess

from harness import (DEADLINE_S, FAIL, OK, ON_DEV, SHMIPC, TIMEOUT, Run, Skip, attached, case, check,
                     children, equal, nothing_left, objects, run, stat, stdin_of, stopped, until)


def leave(*pub, stdin=b"", name="t"):
    """Messages in a persistent topic."""
    run("pub", "--quiet", "--persist", *pub, name, stdin=stdin_of(stdin))


def shown(*sub, name="t"):
    return run("sub", "--quiet", "--until-gone", "--from", "oldest", *sub, name).out


@case
def messages_as_lines():
    leave("--lines", stdin=b"one\ntwo\n\nlast")
    equal(shown("--format", "lines"), b"one\ntwo\n\nlast\n")
    equal(shown("-l"), b"one\ntwo\n\nlast\n")
    equal(shown("--format", "raw"), b"one\ntwo\n\nlast")
    equal(shown(), b"one\ntwo\n\nlast")
    run("rm", "t")


@case
def messages_as_hexadecimal_digits():
    leave("--message", "0123456789abcdef\x01z")
    leave("--message", "")
    equal(shown("--format", "hex").decode().splitlines(), [
        "# 0  18 B",
        "00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|",
        "00000010  01 7a                                             |.z|",
        "# 1  0 B"])
    run("rm", "t")


@case
def messages_as_json():
    leave("--lines", "--meta", "all", "--header", "unit=mm", "--header", "unit=cm",
          "--header", "frame=\u00e4", stdin=b"\xc3\xa4\"\\\0\n\xff\xfe\xfd\n")
    leave("--message", "")
    rows = objects(shown("--format", "json"))
    equal(list(rows[0]), ["topic", "seq", "bytes", "payload", "pub_id", "pub_seq", "mono_ns",
                          "wall_ns", "headers"], "keys of a message")
    equal((rows[0]["topic"], rows[0]["seq"], rows[0]["bytes"], rows[0]["payload"]),
          ("t", 0, 6, "\u00e4\"\\\0\n"))
    equal(rows[0]["headers"], {"unit": ["mm", "cm"], "frame": ["\u00e4"]})
    equal((base64.b64decode(rows[1]["payload_base64"]), "payload" in rows[1], rows[1]["pub_seq"]),
          (b"\xff\xfe\xfd\n", False, 1))
    check(re.match(r"^[0-9a-f]{16}$", rows[0]["pub_id"]), rows[0])
    check(rows[0]["mono_ns"] <= rows[1]["mono_ns"] and rows[0]["wall_ns"] > 1600000000 * 10**9, rows)
    equal((rows[2]["payload"], "headers" in rows[2]), ("", False))
    equal(stat("t")["meta"], ["pub-id", "pub-seq", "mono", "wall"])
    run("rm", "t")


@case
def json_without_meta_has_no_such_keys():
    leave("--message", "x")
    equal(objects(shown("--format", "json")), [{"topic": "t", "seq": 0, "bytes": 1, "payload": "x"}])
    run("rm", "t")


@case
def base64_of_all_lengths():
    for n in range(7):
        data = bytes([0xff, 0xfe, 0x80, 0, 0xc0, 0xc1, 0xf5])[:n]
        leave("--size", "8", stdin=data if n else b"")
    rows = objects(shown("--format", "json"))
    equal([base64.b64decode(x["payload_base64"]) for x in rows],
          [bytes([0xff, 0xfe, 0x80, 0, 0xc0, 0xc1, 0xf5])[:n] for n in range(1, 7)])
    run("rm", "t")


@case
def headers_are_shown_before_the_message():
    leave("--meta", "pub-seq,wall", "--header", "unit=mm", "--message", "5")
    leave("--message", "6")
    text = shown("--headers", "--lines").decode()
    check(re.match(r"^# 0  1 B  pub-seq=0  wall=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z  unit=mm\n5\n"
                   r"# 1  1 B  pub-seq=0  wall=\S+Z\n6\n$", text), text)
    run("rm", "t")


@case
def filters_leave_messages_out():
    for unit, text in ("mm", "one"), ("cm", "two"), ("m", "three"):
        leave("--header", "unit=" + unit, "--header", "unit=any", "--header", "n=" + text,
              "--message", text)
    leave("--message", "none")

    def got(*args):
        return shown("--lines", *args).decode().split()
    equal(got("--filter", "unit=?m"), ["one", "two"])
    equal(got("--filter", "unit=*"), ["one", "two", "three"])
    equal(got("--filter", "unit=m", "--filter", "n=t*"), ["three"])
    equal(got("--filter", "unit=m", "--filter", "n=o*"), [])
    equal(got("--filter", "uni=*"), [])
    equal(got("--match", "t*"), ["two", "three"])
    equal(got("--match", "*e", "--filter", "unit=any"), ["one", "three"])
    s = run("sub", "--json", "--from", "oldest", "--count", "1", "--match", "none", "t")
    equal((s.out, s.summary["messages"], s.summary["filtered"]), (b"none", 1, 3))
    leave("--lines", stdin=b"line\n")
    equal(got("--match", "line"), ["line"])
    run("rm", "t")


def on_a_terminal(*args):
    """What a command prints to a terminal."""
    leader, follower = pty.openpty()
    p = subprocess.Popen([SHMIPC, *args], stdin=subprocess.DEVNULL, stdout=follower,
                         stderr=subprocess.DEVNULL)
    children.append(p)
    os.close(follower)
    shown_text = b""
    try:
        while True:
            shown_text += os.read(leader, 4096)
    except OSError:     # EIO: the command has ended
        pass
    os.close(leader)
    equal(p.wait(DEADLINE_S), OK)
    return shown_text.replace(b"\r\n", b"\n")


@case
def a_terminal_gets_lines_and_no_control_characters():
    leave("--size", "40", stdin=b"plain \xc3\xa4\ttab")
    leave("--header", "k=\x1b[1m", "--message", "\x1b[31mred\x07\x7f\u009b")
    leave("--size", "4", stdin=b"\xff\xc3\xe2\x82")
    args = ("sub", "--until-gone", "--from", "oldest", "t")
    equal(on_a_terminal(*args).decode().splitlines(),
          ["plain \u00e4\ttab", r"\x1b[31mred\x07\x7f\xc2\x9b", r"\xff\xc3\xe2\x82"])
    check(b"k=\\x1b[1m\n" in on_a_terminal(*args[:-1], "--headers", "t"))
    equal(on_a_terminal(*args[:-1], "--format", "raw", "--count", "1", "t"),
          b"plain \xc3\xa4\ttab")
    run("rm", "t")


@case
def read_permission_is_enough_to_subscribe():
    leave("--message", "x", "--repeat", "3")
    s = Run("sub", "--read-only", "--from", "oldest", "--count", "4", "--lines", "t")
    until(lambda: s.out == b"x\n" * 3, "what was there")
    st = stat("t")
    equal((st["subscribers"], st["attached"]), (0, 0))  # it takes no slot
    leave("--message", "y")
    equal(s.ends(OK).out, b"x\nx\nx\ny\n")
    run("rm", "t")
    r = run("sub", "--read-only", "t", code=FAIL)
    check("ENOENT" in r.err, r.err)
    nothing_left()


@case
def a_read_only_file_is_enough():
    if ON_DEV or os.getuid():
        raise Skip("needs files, and root to become somebody else")
    leave("--mode", "644", "--message", "x")
    prefix = ["setpriv", "--reuid", "65534", "--clear-groups"]
    s = run("sub", "--read-only", "--until-gone", "--from", "oldest", "t", prefix=prefix)
    equal(s.out, b"x")
    s = run("sub", "t", prefix=prefix, code=FAIL)
    check("EACCES" in s.err and "--mode 660" in s.err and "--read-only" in s.err and "group" in s.err, s.err)
    equal(objects(run("hz", "--json", "--count", "1", "--every", "0.01", "t", prefix=prefix).out)[0]
          ["there"], True)
    run("rm", "t")


@case
def stat_and_ls_describe_a_topic():
    s = Run("sub", "--policy", "lossless", "--group", "3", "--history", "100", "--holds", "5",
            "--meta", "mono", "--pool", "1M", "a/t")
    attached("a/t", "reader")
    p = Run("pub", "--lines", "a/t", stdin=subprocess.PIPE)
    p.stdin.write(b"one\ntwo\n")
    p.stdin.flush()
    until(lambda: s.out == b"one\ntwo\n", "the lines")
    st = stat("a/t")
    equal((st["kind"], st["publishers"], st["subscribers"], st["messages"], st["max_lag"], st["lost"],
           st["history"], st["holds"], st["pool_bytes"], st["chunks_held"]),
          ("topic", 1, 1, 2, 0, 0, 100, 5, 1 << 20, 0))
    equal([list(x) for x in st["publisher"]],
          [["slot", "state", "pid", "comm", "id", "sent", "bytes", "waits", "waits_for", "chunks"]])
    x = st["publisher"][0]
    equal((x["state"], x["pid"], x["sent"], x["bytes"], x["waits_for"]), ("attached", p.p.pid, 2, 8, None))
    equal([list(x) for x in st["subscriber"]],
          [["slot", "state", "pid", "comm", "policy", "group", "pos", "lag", "received", "lost",
            "holding", "evicted"]])
    x = st["subscriber"][0]
    equal((x["pid"], x["policy"], x["group"], x["lag"], x["received"], x["lost"], x["evicted"]),
          (s.p.pid, "lossless", 3, 0, 2, 0, False))
    row = objects(run("ls", "--json", "a/*").out)[0]
    equal((row["publishers"], row["subscribers"], row["messages"]), (1, 1, 2))
    check(re.search(r"^a/t +topic .* 1>1 ", run("ls").out.decode(), re.M))
    text = run("stat", "a/t").out.decode()
    check(re.search(r"pid %d +shmipc +lossless group 3 lag 0, got 2, lost 0$" % s.p.pid, text, re.M)
          and re.search(r"pid %d +shmipc +sent 2, 8 B$" % p.p.pid, text, re.M), text)
    p.stdin.close()
    p.ends(OK)
    s.kill(signal.SIGINT).ends(130)
    nothing_left()


def summed(watching, key):
    return sum(x[key] for x in objects(watching.out)[-1:])


@case
def hz_and_bw_count_what_is_published():
    leave("--message", "before", "--meta", "mono")
    w = [Run(c, "--json", "--every", "0.01", "t") for c in ("hz", "bw")]
    for x in w:
        until(lambda x=x: b'"there":true' in x.out, "a look at the topic")
    leave("--message", "12345", "--repeat", "100")
    for x in w:
        until(lambda x=x: summed(x, "messages") == 100, "all messages")
    for x in w:
        x.kill(signal.SIGINT).ends(130)
    hz, bw = (objects(x.out)[-1] for x in w)
    equal(list(hz), ["topic", "there", "seconds", "hz", "bytes_per_s", "messages", "bytes", "lost",
                     "window", "min_s", "mean_s", "max_s", "stddev_s", "clock"], "keys of hz")
    equal((hz["topic"], hz["bytes"], hz["lost"], hz["window"], hz["clock"]),
          ("t", 500, 0, 99, "published"))
    check(0 < hz["min_s"] <= hz["mean_s"] <= hz["max_s"], hz)
    equal((bw["min_bytes"], bw["mean_bytes"], bw["max_bytes"], bw["stddev_bytes"], bw["window"]),
          (5, 5, 5, 0, 100))
    equal(stat("t")["peers"][0]["role"], "producer")    # no other end ever attached
    equal(len(stat("t")["peers"]), 1)
    run("rm", "t")


@case
def hz_waits_for_topics_and_follows_the_next_one_of_the_name():
    w = Run("hz", "--json", "--every", "0.01", "--window", "10", "a/**", "c")
    for _ in range(2):
        for name in "a/b", "c":
            leave("--message", "x", name=name)
        until(lambda: {x["topic"] for x in objects(w.out)[-2:] if x["there"]} == {"a/b", "c"},
              "both topics")
        leave("--message", "x", "--repeat", "20", name="c")
        until(lambda: [x for x in objects(w.out)[-2:] if x["topic"] == "c" and x["window"] == 10],
              "a full window")
        run("rm", "a/b", "c")
        until(lambda: [x["there"] for x in objects(w.out)[-2:]] == [False, False], "no topics")
    leave("--message", "x", name="c")
    until(lambda: objects(w.out)[-1]["there"], "the topic")
    stopped(w)      # so that it does not see that there was none in between
    run("rm", "c")
    leave("--message", "x", name="c")
    w.kill(signal.SIGCONT)
    seen = objects(w.out)[-1]["messages"]

    def goes_on():
        leave("--message", "x", name="c")
        return objects(w.out)[-1]["messages"] > seen + 1
    until(goes_on, "messages of the new topic")
    run("rm", "c")
    w.kill(signal.SIGTERM).ends(143)
    nothing_left()


@case
def hz_and_bw_print_tables():
    leave("--message", "x")
    for command, head in ("hz", "HZ"), ("bw", "BYTES"):
        lines = run(command, "--count", "2", "--every", "0.01", "t").out.decode().splitlines()
        equal((len(lines), lines[0].split()[:2], [x.split()[0] for x in lines[1:]]),
              (3, ["NAME", head], ["t", "t"]))
    equal(run("hz", "--json", "--timeout", "0.05", "nobody", code=TIMEOUT).out, b"")
    run("rm", "t")
    run("send", "--persist", "--no-drain", "ring")
    r = run("hz", "ring", code=FAIL)
    check("ring" in r.err and "EINVAL" in r.err, r.err)
    run("rm", "ring")
