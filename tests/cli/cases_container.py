# SPDX-License-Identifier: MIT
"""Processes in containers that have the same directory, as docker's --ipc makes it."""
import os
import subprocess

from harness import ON_DEV, PEER, Run, Skip, case, check, nothing_left, transfer, bytes_of, until

CONTAINER = ["unshare", "--fork", "--kill-child", "--pid", "--mount", "--mount-proc", "--ipc", "--uts"]


def have_containers():
    if ON_DEV:
        raise Skip("names on the device are separate in each IPC namespace")
    if os.getuid() or subprocess.call([*CONTAINER, "true"], stderr=subprocess.DEVNULL):
        raise Skip("not permitted to create namespaces")


@case
def a_death_is_reported_to_another_container():
    have_containers()
    for how in "block", "spin":
        r = Run("recv", "--wait", how, "t", prefix=CONTAINER)
        s = Run("send", "t", stdin=subprocess.PIPE, prefix=CONTAINER)
        s.stdin.write(b"some")
        s.stdin.flush()
        until(lambda: r.out == b"some", "the first bytes")
        s.kill().wait()
        s.stdin.close()
        r.ends(PEER)
        check("was killed" in r.err and "received 1 messages, 4 bytes" in r.err, r.err)
        nothing_left()
    transfer(bytes_of(65537), True)
