# SPDX-License-Identifier: MIT
"""Several users: whose segment is joined, and how a group shares one."""
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

from harness import (FAIL, OK, ON_DEV, TOP, USAGE, Run, Skip, attached, case, check, equal, nothing_left, placed,
                     run, stat, stdin_of, until)

ALICE, BOB, TEAM, ELSE = 61001, 61002, 61010, 61011
BECOME = """
import os, sys
uid, groups = int(sys.argv[1]), [int(g) for g in sys.argv[2].split(",") if g]
os.setgroups(groups), os.setresgid(uid, uid, uid), os.setresuid(uid, uid, uid)
os.execvp(sys.argv[3], sys.argv[3:])
"""
SHARED = "--mode", "660", "--chgrp", str(TEAM)


def become(uid, *groups):
    if os.getuid():
        raise Skip("only root can become somebody else")
    return [sys.executable, "-c", BECOME, str(uid), ",".join(map(str, groups))]


def users():
    """Root has made the directory."""
    alice, bob = become(ALICE, TEAM), become(BOB, TEAM)
    run("pub", "-m", "x", "first")
    return alice, bob


def says(r, *texts):
    for text in texts:
        check(text in r.err, text, r.err)


@case
def a_topic_of_a_stranger_is_not_joined():
    alice, bob = users()
    trap = Run("sub", "--mode", "666", "news", prefix=alice)
    until(lambda: placed("news"), "a subscriber", trap)
    for who in [], bob:
        says(run("pub", "-m", "secret", "news", prefix=who, code=FAIL), '"news": it belongs to user 61001; ',
             "EACCES", "--owned-by 61001", "--mode 660 --chgrp GROUP")
        says(run("sub", "news", prefix=who, code=FAIL), "EACCES", "--owned-by 61001")
    says(run("pub", "-m", "x", "--owned-by", "root", "news", prefix=bob, code=FAIL), "you asked for one of user 0")
    equal(trap.out, b"")
    # To look gives nothing away.
    equal(stat("news")["uid"], ALICE)
    run("hz", "--count", "1", "--every", "0.01", "news", prefix=bob)
    for how in "61001", "any":
        run("pub", "-m", "as wanted ", "--owned-by", how, "news", prefix=bob)
    until(lambda: trap.out == b"as wanted as wanted ", "both messages", trap)
    trap.kill(signal.SIGINT).ends(130)
    run("gc")
    nothing_left()


@case
def a_ring_of_a_stranger_is_not_joined():
    alice, bob = users()
    trap = Run("recv", "--mode", "666", "t", prefix=alice)
    attached("t", "consumer")
    for who in [], bob:
        says(run("send", "t", prefix=who, stdin=stdin_of(b"secret"), code=FAIL), '"t": it belongs to user 61001; ',
             "EACCES", "--owned-by 61001")
    run("send", "--owned-by", str(ALICE), "t", prefix=bob, stdin=stdin_of(b"as wanted"))
    equal(trap.ends(OK).out, b"as wanted")
    run("gc")       # the last one may not remove another user's file
    nothing_left()


@case
def only_what_a_user_has_created():
    alice, bob = users()
    for command in "sub", "recv", "pub", "send":
        says(run(command, "--owned-by", str(ALICE), "t", prefix=bob, code=FAIL), "ENOENT")
        nothing_left()
    run("pub", "--persist", "--mode", "644", "-m", "x", "t", prefix=alice)
    taken = "--read-only", "--from", "oldest", "--count", "1"
    equal(run("sub", *taken, "t", prefix=bob).out, b"x")
    equal(run("sub", *taken, "--owned-by", str(ALICE), "t", prefix=bob).out, b"x")
    says(run("sub", *taken, "--owned-by", "root", "t", prefix=bob, code=FAIL), "belongs to user 61001", "EACCES")
    run("rm", "t", prefix=alice)
    nothing_left()


@case
def a_group_shares_topics_and_rings():
    alice, bob = users()
    for first, second in (alice, bob), (bob, alice), ([], alice):
        s = Run("sub", *SHARED, "news", prefix=first)
        until(lambda: placed("news"), "a subscriber", s)
        equal((stat("news")["mode"], stat("news")["gid"]), ("0660", TEAM))
        run("pub", *SHARED, "-m", "to all", "news", prefix=second)
        until(lambda: s.out == b"to all", "the message", s)
        if first:       # root's would be joined
            says(run("pub", "--mode", "660", "-m", "x", "news", prefix=second, code=FAIL), "--chgrp %d" % TEAM)
        says(run("pub", "-m", "x", "news", prefix=become(61003), code=FAIL), "EACCES", "--mode 660 --chgrp GROUP")
        s.kill(signal.SIGINT).ends(130)
        r = Run("recv", *SHARED, "t", prefix=first)
        attached("t", "consumer")
        run("send", *SHARED, "t", prefix=second, stdin=stdin_of(b"to one"))
        equal(r.ends(OK).out, b"to one")
        run("gc")


@case
def a_subscriber_that_says_who_may_use_it_leaves_the_rest_to_the_publisher():
    alice, _ = users()
    s = Run("sub", *SHARED, "news", prefix=alice)
    until(lambda: placed("news"), "a subscriber", s)
    run("pub", *SHARED, "--pool", "1M", "--meta", "mono", "-m", "x", "news", prefix=alice)
    until(lambda: s.out == b"x", "the message", s)
    s.kill(signal.SIGINT).ends(130)
    nothing_left()


@case
def groups_and_users_that_do_not_fit_are_refused():
    alice, _ = users()
    says(run("pub", "--chgrp", str(ELSE), "-m", "x", "t", prefix=alice, code=FAIL), "EACCES", "member of that group")
    for option in "--chgrp", "--owned-by":
        for value in "no such", "-1", str((1 << 32) - 1):
            says(run("pub", option, value, "-m", "x", "t", code=USAGE), "--help")
    says(run("pub", "--group", "x", "t", code=USAGE), "did you mean --chgrp?")
    says(run("recv", "--owner", "x", "t", code=USAGE), "did you mean --owned-by?")
    says(run("sub", "--group", "x", "t", code=USAGE), "--chgrp")
    nothing_left()


class House:
    """A mount namespace with its own /etc, /dev/shm and users."""

    def __init__(self):
        self.etc = tempfile.mkdtemp()
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "sh", "-ec", "cp -a /etc/. %s; mount --bind %s /etc; mount -t tmpfs -o "
             "mode=1777 none /dev/shm; echo ready; exec cat" % (self.etc, self.etc)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"ready\n":
            self.close()
            raise Skip("not permitted to create a mount namespace")

    def inside(self):
        return ["nsenter", "--mount=/proc/%d/ns/mnt" % self.holder.pid, "env", "-u", "SHMIPC_DIR"]

    def root(self, script):
        subprocess.run([*self.inside(), "sh", "-ec", script], check=True)

    def user(self, name):
        return [*self.inside(), "setpriv", "--reuid", name, "--regid", name, "--init-groups"]

    def close(self):
        self.holder.stdin.close()
        self.holder.stdout.close()
        self.holder.wait()
        shutil.rmtree(self.etc)


def recipe():
    """README.md: what each user does, {user: lines}."""
    with open(os.path.join(TOP, "README.md")) as f:
        block = re.search(r"^```sh\n(# as root.*?)^```", f.read(), re.M | re.S)[1]
    parts = re.split(r"^# as (\w+).*\n", block, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


@case
def what_the_readme_says_about_users_works():
    if ON_DEV or os.getuid() or not shutil.which("usermod") or not shutil.which("nsenter"):
        raise Skip("needs files, root, and a machine with users")
    does = recipe()
    equal(sorted(does), ["alice", "bob", "carol", "root"])
    house = House()
    try:
        for name in "alice", "bob", "carol":
            house.root("id %s >/dev/null 2>&1 || useradd -U %s" % (name, name))
        house.root(does["root"])
        alice, bob, carol = (shlex.split(does[name])[1:] for name in ("alice", "bob", "carol"))
        s = Run(*alice, prefix=house.user("alice"))
        until(lambda: placed(alice[-1], prefix=house.inside()), "a subscriber", s)
        run(*bob, prefix=house.user("bob"))
        until(lambda: s.out, "a message", s)
        equal(s.out.decode().strip(), bob[bob.index("--message") + 1])
        says(run(*carol, prefix=house.user("carol"), code=FAIL), "EACCES")
        s.kill(signal.SIGINT).ends(130)
    finally:
        house.close()
