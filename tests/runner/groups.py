# SPDX-License-Identifier: MIT
"""What there is to run: groups of cases, and what has to be built before.

`make check` is to be done in a quarter of an hour on two CPUs: it runs every kind of test, the
long ones for a short time. `make check-all` runs all of each, and more groups.
"""
import glob
import os
import re
import subprocess

from process import B, Case

CPUS = int(os.environ.get("CHECK_CPUS") or len(os.sched_getaffinity(0)))
QEMU = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]
ARM = "aarch64-linux-gnu-"
# Test programs that look at the kernel more closely than the emulator does.
QEMU_LACKS = {
    "wait": "qemu-user restarts no futex wait, and sleeps in the host's system calls",
    "peer": "qemu-user has no robust futexes",
    "peer_join": "qemu-user has no robust futexes",
    "mutex": "qemu-user has no robust futexes",
    "named": "qemu-user has no robust futexes",
    "cond": "qemu-user has no robust futexes",
    "rwlock": "qemu-user has no robust futexes",
    "rwlock_dies": "qemu-user has no robust futexes",
    "sem": "qemu-user has no robust futexes",
    "barrier": "qemu-user has no robust futexes",
    "edges": "qemu-user has no robust futexes",
    "lock": "qemu-user has no robust futexes",
    "segment_memory": "qemu-user does not give back memory, nor say what has some",
    "topic_trim": "qemu-user does not give back memory, nor say what has some",
    "segment_fork": "qemu-user trips over forks beside other threads",
    "segment_locked": "in qemu-user the emulator's own memory is locked, too",
    "segment_page": "qemu-user shows no page sizes in /proc/self/smaps",
}
QEMU_LACKS.update({name: "qemu-user trips over processes with threads that fork"
                   for name in ("event", "event_deaths", "event_opts", "event_kill", "deadman", "queue", "queue_deaths",
                                "queue_opts", "queue_dead", "edges_idle")})
# The log below them is tested there (tlog, tlog_model, tlog_hostile).
QEMU_LACKS.update({"topic" + part: "qemu-user trips over processes with threads that fork"
                   for part in ("", "_abort", "_any", "_fork", "_group", "_hold", "_huge", "_hugetlb", "_idle", "_kill",
                                "_many", "_memory", "_meta", "_opts", "_policy", "_pool", "_read_only", "_shape",
                                "_signals", "_start", "_thread", "_wants")})
# Data races are possible where threads or processes meet; the others run under asan, as do those
# that are about pages, with which this sanitizer is very slow.
CONCURRENT = (r"(?!topic_(?:huge|hugetlb|memory|trim)$)"
              r"(?:barrier|bcast|channel|cond|copier|deadman|discover|event|fork|mutex|named|peer|queue|rwlock|sem|spsc|"
              r"tlog|topic|wait|watch)")
# Lines are enough for a report of a sanitizer; to write more takes a quarter of a build's time.
SANITIZE = {
    # gcc 12 sees uninitialized variables in what sanitizers add.
    "asan": "-O1 -g1 -Wno-maybe-uninitialized -fsanitize=address,undefined -fno-sanitize-recover=all",
    "tsan": "-O1 -g1 -Wno-maybe-uninitialized -fsanitize=thread",
}
# They have deadlines of a second or two, and trace all there is.
ALONE = ("trace",)
# Of stress/lock in check-all: the kills take nine tenths of it, which is two minutes.
KILLS_SECONDS = 134
KERNELS = os.environ.get("KERNELS", "6.1 6.12 6.12-rt 7").split()


def make(key, *args):
    """How to build; warnings are errors here."""
    build = B if key == "gcc" else "%s/%s" % (B, key)
    return ["make", "-s", "-j%d" % CPUS, "WERROR=-Werror", "B=" + build, *args]


def sanitizer(key, targets):
    flags = SANITIZE[key]
    return make(key, "EXTRA_CFLAGS=" + flags, "EXTRA_LDFLAGS=" + re.search(r"-fsanitize=\S+", flags)[0],
                *targets)


def programs(kind, build=None):
    """What the Makefile makes of tests/KIND/*.c and tests/KIND/*/*.c: name and path."""
    found = sorted(glob.glob("tests/%s/*.c" % kind) + glob.glob("tests/%s/*/*.c" % kind))
    return [(os.path.basename(f)[:-2], os.path.join(build or B, f[:-2])) for f in found]


def concurrent(kind, build):
    return [(n, p) for n, p in programs(kind, build) if kind == "stress" or re.match(CONCURRENT, n)]


def paths(*lists):
    return [path for found in lists for _, path in found]


def builds(full):
    """All there are, by name: what is built, once, before what needs it."""
    asan, tsan, arm = B + "/asan", B + "/tsan", B + "/aarch64"
    raced = programs if full else concurrent
    # It optimizes in check-all; its warnings do not need that.
    clang = "-g0" if full else "-g0 -O0"
    table = {
        "gcc": make("gcc", "CC=gcc", "all", "tests", "examples"),
        "clang": make("clang", "CC=clang", "EXTRA_CFLAGS=" + clang, "all", "tests", "examples"),
        "asan": sanitizer("asan", ["lib"] + paths(*(programs(k, asan) for k in ("unit", "stress", "fuzz")))),
        "tsan": sanitizer("tsan", ["lib"] + paths(*(raced(k, tsan) for k in ("unit", "stress", "fuzz")))),
        "aarch64": make("aarch64", "CC=%sgcc" % ARM, "EXTRA_CFLAGS=-g0", "lib",
                        *paths(programs("unit", arm), programs("stress", arm))),
    }
    return {key: Case(key, argv, 1200, cpus=CPUS) for key, argv in table.items()}


class Groups:
    """@full: all of each, as make check-all does."""

    def __init__(self, full):
        self.full = full
        self.seconds = {"STRESS_SECONDS": "20" if full else "2"}

    def each(self, kind, found=None, prefix=(), build="gcc", **env):
        if kind != "unit":
            env = dict(self.seconds, **env)
        for name, path in found or programs(kind):
            yield Case("%s-%s" % (kind, name), list(prefix) + [path], build=build,
                       seconds=1 if kind == "unit" else float(env["STRESS_SECONDS"]), **env)

    def build(self):
        """all of it, by gcc and clang, with warnings as errors"""
        yield Case("gcc", None, build="gcc")
        yield Case("clang", None, build="clang")

    def unit(self):
        """the library's functions, one by one"""
        yield from self.each("unit")

    def probes(self):
        """the same with all probes on, as if somebody traced"""
        for case in self.each("unit", SHMIPC_TEST_PROBES="1"):
            if re.match(r"unit-(topic|channel|bcast$|peer|wait)", case.name):
                yield case
        yield from self.each("stress", [("topic", B + "/tests/stress/topic")], SHMIPC_TEST_PROBES="1")

    def stress(self):
        """many processes at random, for STRESS_SECONDS"""
        for case in self.each("stress"):
            if self.full and case.name == "stress-lock":
                case.seconds = KILLS_SECONDS
                case.env["STRESS_SECONDS"] = str(KILLS_SECONDS)
            yield case

    def fuzz(self):
        """hostile bytes, for STRESS_SECONDS, and proof that they would be found"""
        yield from self.each("fuzz")

    def clang(self):
        """the library's functions, built by clang"""
        yield from self.each("unit", programs("unit", B + "/clang"), build="clang")

    def sanitized(self, key, pick, prefix=(), **env):
        env["SHMIPC_TEST_SANITIZER"] = key
        if not self.full:
            env["SHMIPC_TEST_QUICK"] = "1"
        for kind in ("unit", "stress", "fuzz"):
            found = [(n, p) for n, p in pick(kind, "%s/%s" % (B, key)) if n != "canary"]
            if found:
                yield from self.each(kind, found, prefix, key, **env)

    def asan(self):
        """unit, stress and fuzz under AddressSanitizer and UndefinedBehaviorSanitizer"""
        yield from self.sanitized("asan", programs, ASAN_OPTIONS="detect_leaks=1",
                                  UBSAN_OPTIONS="print_stacktrace=1")

    def tsan(self):
        """unit and stress under ThreadSanitizer"""
        # Old run-time libraries do not find their shadow under strong ASLR.
        prefix = ["setarch", "-R"] if not subprocess.call(["setarch", "-R", "true"]) else []
        # Of the second that it waits at each exit for races with it, a fiftieth: each test
        # is a process, and waiting was three quarters of the group's time.
        yield from self.sanitized("tsan", programs if self.full else concurrent, prefix,
                                  TSAN_OPTIONS="halt_on_error=1 exitcode=66 die_after_fork=0 "
                                               "atexit_sleep_ms=20")

    def aarch64(self):
        """unit and stress on an emulated ARM"""
        # Tests do less there, and look less closely.
        for kind in ("unit", "stress"):
            for case in self.each(kind, programs(kind, B + "/aarch64"), QEMU, "aarch64",
                                  SHMIPC_TEST_QEMU="1"):
                why = QEMU_LACKS.get(case.name.split("-", 1)[1])
                if why:
                    case.argv = ["sh", "-c", 'echo "$1"; exit 4', "sh", why]
                # Its threads sometimes trip over a fork.
                case.excuse = r"^ERROR:\S*/(?:plugins|accel/tcg)/.*"
                yield case

    def examples(self):
        """the examples"""
        for src in sorted(glob.glob("examples/*.c")):
            yield Case(os.path.basename(src)[:-2], [os.path.join(B, src[:-2])], 60, build="gcc")

    def install(self):
        """make install, a program built against it, make uninstall"""
        yield Case("install", ["tests/install"], build="gcc", cpus=CPUS, seconds=30)

    def model(self):
        """the headers' orderings, all interleavings; larger bounds in check-all"""
        deep = {"MODEL_DEEP": "1", "MODEL_SECONDS": os.environ.get("MODEL_SECONDS", "60")} if self.full else {}
        for name in subprocess.check_output(["tests/model/run", "--list"], text=True).split():
            yield Case(name, ["tests/model/run", name], 8 * 3600 if deep else 1800, seconds=3000 if deep else 60, **deep)

    def crash(self):
        """killed at sampled instructions, asleep, and at random; at each in check-all"""
        some = {} if self.full else {"CRASH_SAMPLE": "80", "CRASH_KILLS": "300"}
        yield Case("crash", ["tests/crash/run"], 3600, build="gcc", cpus=CPUS, seconds=60, **some)
        plants = [] if self.full else ["drift"]
        yield Case("selftest", ["tests/crash/selftest", *plants], 3600, build="gcc", seconds=30, **some)

    def vm(self):
        """the module's sources, and its tests on Debian's 6.1 in an emulated machine"""
        for part in ("lint", "install", "tree") if self.full else ("lint", "install", "smoke"):
            yield Case(part, ["tests/vm/run", part], 3600, build="gcc", seconds=120)

    def kernels(self):
        """the module's, the library's and the tracer's tests on each of KERNELS"""
        for series in KERNELS:
            for part in ("module", "core", "trace"):
                yield Case("%s-%s" % (series, part), ["tests/vm/run", "-k", series, part], 2 * 3600,
                           build="gcc", seconds=300)

    def debug(self):
        """the module's tests on kernels with KASAN and KCSAN"""
        for kind in ("kasan", "kcsan"):
            yield Case(kind, ["tests/vm/run", kind], 4 * 3600, build="gcc", seconds=3600)

    def script(self, name):
        return [Case(name, ["tests/%s/run" % name], 1500, build="gcc", seconds=40, alone=name in ALONE)]


QUICK = ["build", "unit", "probes", "stress", "fuzz", "clang", "asan", "tsan", "aarch64",
         "examples", "install", "model", "crash", "vm"]
FULL = ["kernels", "debug"]


def what_a_script_does(path):
    """The first sentence of its comment."""
    with open(path) as f:
        text = f.read(2000)
    doc = re.search(r'^"""(.*?)(?:\.\s|\n\n|""")', text, re.M | re.S) or \
        re.search(r"\n#\n# (.*?)(?:\.\s|\n#?\n)", text, re.S)
    return re.sub(r"\s*\n#?\s*", " ", doc[1]).rstrip(".") if doc else ""


def groups(full):
    """name: (what it does, how to have its cases)"""
    have = Groups(full)
    names = QUICK + FULL if full else QUICK
    table = {n: (getattr(have, n).__doc__, getattr(have, n)) for n in names}
    for path in sorted(glob.glob("tests/*/run")):   # these are groups too
        name = os.path.basename(os.path.dirname(path))
        if name not in table:
            table[name] = (what_a_script_does(path), lambda name=name: have.script(name))
    return table
