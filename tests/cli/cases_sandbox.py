# SPDX-License-Identifier: MIT
"""The command in a sandbox that refuses one system call."""
import errno
import os
import platform
import struct
import subprocess

from harness import OK, ON_DEV, Skip, SHMIPC, case, check, nothing_left, run

# Of x86_64. What the loader needs is among them: then it is the loader that says so. Without
# mmap it crashes, and without futex the C library ends the process, before main().
CALLS = {
    "read": 0, "fstat": 5, "poll": 7, "lseek": 8, "mprotect": 10, "munmap": 11, "brk": 12,
    "rt_sigaction": 13, "rt_sigprocmask": 14, "ioctl": 16, "pread64": 17, "pwrite64": 18, "access": 21,
    "sched_yield": 24, "mincore": 27, "madvise": 28, "nanosleep": 35, "getpid": 39, "clone": 56, "uname": 63,
    "fcntl": 72, "ftruncate": 77, "mkdir": 83, "readlink": 89, "chmod": 90, "fchmod": 91, "fchown": 93,
    "sysinfo": 99, "geteuid": 107, "statfs": 137, "fstatfs": 138, "prctl": 157, "gettid": 186,
    "sched_getaffinity": 204, "getdents64": 217, "clock_gettime": 228, "clock_nanosleep": 230, "mbind": 237,
    "get_mempolicy": 239, "openat": 257, "newfstatat": 262, "unlinkat": 263, "linkat": 265, "ppoll": 271,
    "set_robust_list": 273, "utimensat": 280, "fallocate": 285, "signalfd4": 289, "eventfd2": 290,
    "prlimit64": 302, "process_vm_readv": 310, "getrandom": 318, "memfd_create": 319, "membarrier": 324,
    "mlock2": 325, "statx": 332, "rseq": 334, "clone3": 435, "faccessat2": 439, "futex_waitv": 449,
}
COMMANDS = (["ls"], ["stat", "t"], ["pub", "-m", "x", "t"], ["doctor"],
            ["sub", "--from", "oldest", "--count", "1", "--quiet", "t"])
DEADLINE_S = 60
# In an emulated machine each run takes half a second: with EPERM only, and these.
OF_DEV = ("ioctl", "openat", "fcntl", "fstat", "newfstatat", "ppoll", "membarrier", "getrandom", "mprotect", "access")
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
RET_ALLOW, RET_ERRNO = 0x7fff0000, 0x00050000


def refusing(nr, err):
    """What the child does before it executes the command: refuse system call @nr with @err."""
    import ctypes
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    filters = b"".join(struct.pack("HBBI", *f) for f in (
        (0x20, 0, 0, 0),                # A = the number
        (0x15, 0, 1, nr),               # equal?
        (0x06, 0, 0, RET_ERRNO | err),
        (0x06, 0, 0, RET_ALLOW)))
    lines = ctypes.create_string_buffer(filters)
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(lines)))

    def install(_kept=lines):
        if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program):
            os._exit(125)
    return install


@case
def a_system_call_that_is_refused_is_done_without_or_there_is_an_error():
    if platform.machine() != "x86_64":
        raise Skip("numbers of system calls of x86_64")
    try:
        import ctypes       # pylint: disable=unused-import
    except ImportError:
        raise Skip("Python has no ctypes") from None
    run("pub", "--persist", "-m", "x", "t")
    worked = said = 0
    wrong = []
    for call in OF_DEV if ON_DEV else CALLS:
        for err in (errno.EPERM,) if ON_DEV else (errno.EPERM, errno.ENOSYS):
            filters = refusing(CALLS[call], err)
            for args in COMMANDS:
                what = "%s refused with %s: shmipc %s" % (call, errno.errorcode[err], " ".join(args))
                try:
                    p = subprocess.run([SHMIPC, *args], stdin=subprocess.DEVNULL, capture_output=True,
                                       preexec_fn=filters, timeout=DEADLINE_S, check=False)
                except subprocess.TimeoutExpired:
                    wrong.append(what + ": hangs")
                    continue
                if p.returncode == OK:
                    worked += 1
                elif 0 < p.returncode != 125 and (p.stderr or args == ["doctor"]):
                    said += 1
                else:
                    wrong.append("%s: exit code %d, %r" % (what, p.returncode, p.stderr[-200:]))
    check(not wrong, *wrong)
    check(worked > (20 if ON_DEV else 300) and said > (5 if ON_DEV else 30), worked, said)
    run("rm", "t")
    run("gc")       # the name of the segment that doctor tried, where it could not be removed
    nothing_left()
