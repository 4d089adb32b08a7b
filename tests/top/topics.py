# SPDX-License-Identifier: MIT
"""Topics with subscribers that are behind by a known number of messages."""
import contextlib
import signal

from harness import Run, placed, run, stat, stopped, until


def slow_sub(name, *opts):
    """A subscriber that takes nothing, because it is stopped."""
    before = len(placed(name))
    r = Run("sub", "--quiet", *opts, name)
    until(lambda: len(placed(name)) > before, "a place")
    return stopped(r)


def publish(name, n, *opts):
    run("pub", "--quiet", "--message", "hello", "--repeat", str(n), *opts, name)


def ended(*subs):
    for r in subs:
        r.kill(signal.SIGKILL).wait()
        # Its locks may be released a moment later.
        until(lambda name=r.args[-1]: run("gc") and not stat(name), "an end of " + r.args[-1])


@contextlib.contextmanager
def lagging(**lags):
    """Topics by name, each with a subscriber that many messages behind."""
    subs = {name: slow_sub(name, "--policy", "lossless") for name in lags}
    for name, lag in lags.items():
        publish(name, lag)
    yield subs
    ended(*subs.values())


@contextlib.contextmanager
def full(name):
    """A topic that is full: the subscriber in the way, and the publisher that waits for it."""
    sub = slow_sub(name, "--policy", "lossless")
    pub = Run("pub", "--quiet", "--message", "hello", "--repeat", "1000000", name)
    until(lambda: any(p["waits_for"] is not None for p in stat(name)["publisher"]),
          "a publisher that waits")
    yield sub, pub
    pub.kill().wait()
    ended(sub)
