# SPDX-License-Identifier: MIT
"""send and recv: the output is the input."""
import hashlib
import os
import random
import shutil
import subprocess
import tempfile

from harness import (MIB, OK, ON_DEV, USAGE, Run, Skip, attached, bytes_of, case, check, equal, file_of,
                     nothing_left, run, stat, stdin_of, transfer)


SIZES = [0, 1, 65535, 65536, 65537, 64 * MIB]


def add_sizes():
    for sender_first in (True, False):
        for size in SIZES:
            def fn(size=size, sender_first=sender_first):
                transfer(bytes_of(size), sender_first)
            fn.__name__ = "a_file_of_%d_bytes_%s_first" % (
                size, "sender" if sender_first else "receiver")
            case(fn)


add_sizes()


def digest(f):
    h = hashlib.sha256()
    for block in iter(lambda: f.read(MIB), b""):
        h.update(block)
    return h.hexdigest()


@case
def a_file_of_1_gib():
    if os.environ.get("SHMIPC_TEST_LARGE") != "1":
        raise Skip("SHMIPC_TEST_LARGE=1 is not set")
    block = bytes_of(MIB)
    with tempfile.TemporaryFile() as f:
        for i in range(1024):
            f.write(i.to_bytes(8, "little") + block[8:])
        f.seek(0)
        expected = digest(f)
        f.seek(0)
        s = Run("send", "t", stdin=f)
        r = Run("recv", "t", stdout=subprocess.PIPE)
        equal(digest(r.p.stdout), expected, "digest")
        s.ends(OK)
        r.ends(OK)
    nothing_left()


@case
def empty_input_arrives_as_empty_output():
    # A sender with an empty file leaves as soon as it has seen the receiver.
    for i in range(100):
        s = Run("send", "t")
        r = Run("recv", "t")
        s.ends(OK)
        r.ends(OK)
    nothing_left()


@case
def shmipc_dir_names_the_directory():
    if ON_DEV:
        raise Skip("the dev backend has no directory")
    where = os.environ["SHMIPC_DIR"] + "-elsewhere"
    try:
        transfer(bytes_of(65537), True, SHMIPC_DIR=where)
        check(os.path.isdir(where))
        with open(os.devnull) as null:
            r = Run("recv", "t", SHMIPC_DIR=where)
            attached("t", "consumer", SHMIPC_DIR=where)
            check(stat("t") is None, "the segment is in the default directory")
            Run("send", "t", stdin=null, SHMIPC_DIR=where).ends(OK)
            r.ends(OK)
    finally:
        shutil.rmtree(where, ignore_errors=True)


@case
def file_options_replace_the_standard_streams():
    data = bytes_of(3 * MIB + 5)
    with file_of(data) as name, tempfile.TemporaryDirectory() as d:
        r = Run("recv", "--file", d + "/out", "t")
        run("send", "--file", name, "t")
        r.ends(OK)
        with open(d + "/out", "rb") as f:
            check(f.read() == data)


@case
def lines_are_messages_and_come_out_unchanged():
    long_line = b"y" * 300000
    for text in (b"", b"\n", b"a", b"a\n", b"a\nb", b"\n\nab\n\n", b"a\0b\n\xff\n",
                 long_line + b"\n" + long_line, b"".join(b"%d\n" % i for i in range(200000))):
        for recv in ((), ("--lines",)):
            s, _ = transfer(text, False, ("--lines",), recv)
            n = text.count(b"\n") + (not text.endswith(b"\n") and text != b"")
            equal(s.summary["messages"], n, "messages for %r..." % text[:20])


@case
def recv_lines_keeps_messages_apart():
    r = Run("recv", "--lines", "t")
    run("send", "--size", "2", "t", stdin=stdin_of(b"abcde"))
    r.ends(OK)
    equal(r.out, b"ab\ncd\ne")


@case
def size_cuts_messages_even_from_a_slow_pipe():
    data = bytes_of(200001)
    for size in (1, 7, 4096, 32768, 50000):
        part = data[:2000 * size]
        r = Run("recv", "--json", "t")
        s = Run("send", "--json", "--size", str(size), "t", stdin=subprocess.PIPE)
        rnd = random.Random(size)
        at = 0
        while at < len(part):
            n = rnd.randrange(1, 20000)
            s.stdin.write(part[at:at + n])
            s.stdin.flush()
            at += n
        s.stdin.close()
        s.ends(OK)
        r.ends(OK)
        check(r.out == part)
        equal(r.summary["messages"], -(-len(part) // size), "messages of %d" % size)


@case
def a_line_arrives_while_the_sender_waits_for_the_next():
    r = Run("recv", "t", stdout=subprocess.PIPE)
    s = Run("send", "--lines", "t", stdin=subprocess.PIPE)
    for i in range(20):
        line = b"line %d\n" % i
        s.stdin.write(line)
        s.stdin.flush()
        equal(os.read(r.p.stdout.fileno(), 100), line)
    s.stdin.close()
    s.ends(OK)
    r.ends(OK)


@case
def all_ways_of_waiting_and_pages():
    data = bytes_of(5 * MIB + 3)
    for how in "spin", "block", "auto":
        for page in "4k", "2m", "auto":
            _, r = transfer(data, True, ("--wait", how, "--page", page, "--ring", "4M", "--align",
                                         "64"), ("--wait", how))
            check(r.summary["page_bytes"] in (4096, 2 << 20), r.summary)
            if page == "4k":
                equal(r.summary["page_bytes"], 4096)


@case
def repeat_sends_the_input_again():
    data = bytes_of(65537)
    with file_of(data) as name:
        r = Run("recv", "t")
        run("send", "--repeat", "3", "--file", name, "t")
        r.ends(OK)
        check(r.out == 3 * data)
        s = run("send", "--repeat", "3", "t", stdin=subprocess.PIPE, code=USAGE)
        check("ESPIPE" in s.err, s.err)
