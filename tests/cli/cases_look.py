# SPDX-License-Identifier: MIT
"""ls, stat, rm, gc, doctor."""
import os
import re
import signal

from harness import (FAIL, MIB, OK, ON_DEV, Run, Skip, attached, bytes_of, case, check, equal, nothing_left,
                     objects, run, stat, stdin_of)


@case
def persistent_segments_stay():
    run("send", "--persist", "--no-drain", "--mode", "640", "t", stdin=stdin_of(b"abcde"))
    st = stat("t")
    equal((st["state"], st["persistent"], st["attached"], st["backlog"], st["mode"]),
          ("persistent", True, 0, 1, "0640"))
    run("gc")
    r = run("recv", "t")
    equal(r.out, b"abcde")
    equal(stat("t")["backlog"], 0)
    r = Run("recv", "t")        # a second one waits for the next sender
    attached("t", "consumer")
    run("send", "t", stdin=stdin_of(b"abcde"))
    equal(r.ends(OK).out, b"abcde")
    equal(objects(run("rm", "--json", "t").out), [{"name": "t", "removed": True, "error": None}])
    nothing_left()


@case
def rm_names_a_missing_segment():
    run("send", "--persist", "--no-drain", "other")     # so that there is a directory
    r = run("rm", "t", code=FAIL)
    check("ENOENT" in r.err and '"t"' in r.err, r.err)
    run("rm", "--force", "t")
    equal(objects(run("rm", "--json", "-f", "t").out),
          [{"name": "t", "removed": False, "error": "ENOENT"}])
    r = run("stat", "t", code=FAIL)
    check("ENOENT" in r.err and '"t"' in r.err, r.err)
    run("rm", "other")


@case
def stat_and_ls_show_segments():
    r = Run("recv", "--ring", "2M", "--page", "4k", "a/b.c-1")
    q = Run("sub", "--subscribers", "5", "zz")
    attached("a/b.c-1", "consumer")
    attached("zz", "reader")
    rows = objects(run("ls", "--json").out)
    equal([x["name"] for x in rows], ["a/b.c-1", "zz"], "names in ls")
    keys = ["name", "kind", "backend", "state", "persistent", "data_bytes", "total_bytes",
            "memory_bytes", "huge_bytes", "page_bytes", "page_asked", "attached", "slots", "mode", "uid", "gid", "user", "group"]
    equal(list(rows[0]), keys, "keys of ls")
    equal(list(rows[1]), keys + ["publishers", "subscribers", "messages", "max_lag", "lost"],
          "keys of ls of a topic")
    st = stat("a/b.c-1")
    equal(list(st), keys + ["id", "created_ns", "node_asked", "node", "align", "meta_bytes",
                            "tail_pos", "tail_seq", "head_pos", "head_seq", "used_bytes",
                            "backlog", "caps", "peers", "deaths"], "keys of stat")
    equal((st["kind"], st["data_bytes"], st["page_bytes"], st["slots"], st["uid"]),
          ("spsc", 2 * MIB, 4096, 2, os.getuid()))
    equal([(p["role"], p["state"], p["pid"], p["comm"]) for p in st["peers"]],
          [("consumer", "attached", r.p.pid, "shmipc")])
    equal((rows[1]["kind"], rows[1]["slots"]), ("topic", 69))
    text = run("ls").out.decode()
    check(re.search(r"^a/b\.c-1 +spsc +2 MiB +\S+ .iB +4 KiB +1/2 +in use +\S+ +0600$", text, re.M), text)
    check(all(x["memory_bytes"] <= x["total_bytes"] + 4096 for x in rows), rows)
    equal((rows[0]["memory_bytes"] >= 2 * MIB, rows[1]["memory_bytes"] <= 1 << 16), (True, True),
          "memory of a ring, and of an idle topic")
    text = run("stat", "zz").out.decode()
    check(re.search(r"^memory +\S+ KiB taken so far$", text, re.M), text)
    check(re.search(r"^kind +topic$", text, re.M) and
          re.search(r"attached +pid %d" % q.p.pid, text), text)
    for x in r, q:
        x.kill(signal.SIGINT).ends(130)
    nothing_left()


@case
def a_file_that_is_not_a_segment_is_shown_and_left_alone():
    if ON_DEV:
        raise Skip("the dev backend has no files")
    where = os.environ["SHMIPC_DIR"]
    os.makedirs(where, exist_ok=True)
    for size in 0, 5, 20000:
        path = os.path.join(where, "junk")
        with open(path, "wb") as f:
            f.write(bytes_of(size))
        check(re.search(r"^junk .* unreadable .* EPROTO$", run("ls").out.decode(), re.M))
        rows = objects(run("ls", "--json").out)
        equal([(x["name"], x["state"], x["error"], x["uid"]) for x in rows],
              [("junk", "unreadable", "EPROTO", os.getuid())])
        equal(run("gc").out, b"")
        r = run("recv", "junk", code=FAIL)
        check("EPROTO" in r.err, r.err)
        with open(path, "rb") as f:
            check(f.read() == bytes_of(size), "a file that is not ours was changed")
        run("rm", "junk")


@case
def doctor_reports_this_machine():
    rows = objects(run("doctor", "--json").out)
    for row in rows:
        equal(list(row), ["item", "status", "found", "advice"], "keys of doctor")
        check(row["status"] in ("ok", "info", "warn", "lack"), row)
        check(row["status"] in ("ok", "info") or row["advice"], row)
    found = {row["item"]: row for row in rows}
    equal(found["works"]["status"], "ok")
    equal(found["backend"]["found"].split()[0].rstrip(",;"), "dev" if ON_DEV else "mem")
    where = "in the kernel" if ON_DEV else os.environ["SHMIPC_DIR"]
    check(where in found["directory"]["found"], found["directory"])
    check(re.search(r"they take \S+ .*B? and can grow to \S+", found["segments"]["found"]), found["segments"])
    text = run("doctor").out.decode()
    check(all(re.search("^%s " % re.escape(i), text, re.M) for i in found), text)
    nothing_left()


@case
def doctor_names_what_is_missing():
    r = run("doctor", "--json", code=FAIL, SHMIPC_BACKEND="mem",
            SHMIPC_DIR="/proc/nothing")
    found = {row["item"]: row for row in objects(r.out)}
    for item in "works", "directory":
        equal(found[item]["status"], "lack", item)
    check("SHMIPC_DIR" in found["directory"]["advice"], found["directory"])


@case
def ls_shows_whose_a_segment_is_that_may_not_be_read():
    if ON_DEV or os.getuid():
        raise Skip("needs files, and root to become somebody else")
    run("pub", "--persist", "--mode", "640", "-m", "x", "robot/pose")
    prefix = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    row = objects(run("ls", "--json", prefix=prefix).out)[0]
    equal((row["name"], row["error"], row["mode"], row["uid"], row["user"]),
          ("robot/pose", "EACCES", "0640", 0, "root"))
    text = run("ls", prefix=prefix).out.decode()
    check(re.search(r"^robot/pose .* unreadable +root +0640 EACCES$", text, re.M), text)
    run("rm", "robot/pose")
    nothing_left()


@case
def ls_and_rm_name_what_is_not_there():
    run("pub", "--persist", "-m", "x", "camera")
    for command in "ls", "rm":
        r = run(command, "camer", code=FAIL)
        check("ENOENT" in r.err and "did you mean camera?" in r.err, r.err)
    r = run("ls", "c*", "x*")
    equal(r.err, 'shmipc: ls: no segment matches "x*"\n')
    check("camera" in r.out.decode(), r.out)
    equal(run("ls").err, "")
    run("rm", "camera")
    nothing_left()
