# SPDX-License-Identifier: MIT
"""metrics --textfile."""
import os
import signal
import stat
import tempfile

from harness import FAIL, Run, case, check, equal, run, until
from samples import one, parse
from topics import publish


def read(path):
    with open(path, encoding="ascii") as f:
        return parse(f.read())[0]


@case
def a_file_is_replaced_as_a_whole():
    publish("t", 4, "--persist")
    with tempfile.TemporaryDirectory() as where:
        path = os.path.join(where, "shmipc.prom")
        os.umask(0o077)
        try:
            run("metrics", "--textfile", path)
        finally:
            os.umask(0o022)
        first = os.stat(path)
        equal(oct(first.st_mode & 0o777), "0o644", "another user collects it")
        equal(one(read(path), "shmipc_published_messages_total"), 4)
        with open(path, encoding="ascii") as before:
            publish("t", 1)
            run("metrics", "--textfile", path)
            equal(one(parse(before.read())[0], "shmipc_published_messages_total"), 4,
                  "a reader that has it open reads the old one to its end")
        check(os.stat(path).st_ino != first.st_ino, "written in place")
        equal(one(read(path), "shmipc_published_messages_total"), 5)
        equal(os.listdir(where), ["shmipc.prom"], "left beside it")
    run("rm", "t")


@case
def a_file_again_and_again():
    publish("t", 1, "--persist")
    with tempfile.TemporaryDirectory() as where:
        path = os.path.join(where, "shmipc.prom")
        r = Run("metrics", "--textfile", path, "--every", "0.01")
        until(lambda: os.path.exists(path), "the file")
        publish("t", 1)
        until(lambda: one(read(path), "shmipc_published_messages_total") == 2, "a newer file")
        r.kill(signal.SIGTERM).ends(143)
        equal(os.listdir(where), ["shmipc.prom"], "left beside it")
    run("rm", "t")


@case
def a_file_that_cannot_be_written_is_reported():
    with tempfile.TemporaryDirectory() as where:
        r = run("metrics", "--textfile", os.path.join(where, "no", "x.prom"), code=FAIL)
        check("ENOENT" in r.err and "create its directory" in r.err, r.err)
        os.mkdir(os.path.join(where, "dir"))
        r = run("metrics", "--textfile", os.path.join(where, "dir"), code=FAIL)
        check("EISDIR" in r.err, r.err)
        equal(os.listdir(where), ["dir"], "left beside it")
        # As root, /dev/null would be a file from then on.
        path = os.path.join(where, "pipe")
        os.mkfifo(path)
        r = run("metrics", "--textfile", path, code=FAIL)
        check("not a regular file" in r.err, r.err)
        check(stat.S_ISFIFO(os.stat(path).st_mode), "the pipe was replaced")
