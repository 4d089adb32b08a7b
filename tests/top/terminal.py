# SPDX-License-Identifier: MIT
"""A terminal that a test types into and reads."""
import contextlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile

from harness import SHMIPC, Skip, until


class Terminal:
    """@code: the command's exit code is on the screen after its end, as "code=0"."""

    def __init__(self, where, width, height):
        self.tmux = ["tmux", "-S", os.path.join(where, "socket"), "-f", "/dev/null"]
        self.size = ["-x", str(width), "-y", str(height)]

    def ask(self, *args):
        return subprocess.run([*self.tmux, *args], check=True, capture_output=True, text=True).stdout

    def start(self, args, env):
        sets = ["%s=%s" % pair for pair in env.items()]
        command = shlex.join(["env", *sets, SHMIPC, *args])
        self.ask("new-session", "-d", *self.size, command + '; echo "code=$?"; exec cat')

    def text(self):
        return self.ask("capture-pane", "-p")

    def painted(self):
        """With colours: a word of @painted() is between escape sequences."""
        return self.ask("capture-pane", "-p", "-e")

    def lines(self):
        return self.text().splitlines()

    def type(self, *keys):
        self.ask("send-keys", *keys)

    def resize(self, width, height):
        self.ask("resize-window", "-x", str(width), "-y", str(height))

    def shows(self, pattern):
        """Wait for it; returns the match."""
        try:
            return until(lambda: re.search(pattern, self.text(), re.M), "")
        except AssertionError:
            raise AssertionError("no %r on the screen:\n%s" % (pattern, self.text())) from None

    def hides(self, pattern):
        until(lambda: not re.search(pattern, self.text(), re.M),
              "a screen without %r:\n%s" % (pattern, self.text()))

    def rows(self):
        """The names in the table, from the top to the bottom."""
        lines = self.lines()
        at = [i for i, x in enumerate(lines) if x.startswith("NAME ")]
        body = lines[at[0] + 1:-1] if at else []
        return [x.split()[0] for x in body if x and not x.startswith(" ")]

    def pid(self):
        """Of the shell around the command."""
        return int(self.ask("display-message", "-p", "#{pane_pid}"))


@contextlib.contextmanager
def top(*args, width=130, height=30, **env):
    if not shutil.which("tmux"):
        raise Skip("no tmux: apt-get install tmux")
    with tempfile.TemporaryDirectory() as where:
        t = Terminal(where, width, height)
        t.start(["top", *args], env)
        try:
            yield t
        finally:
            subprocess.run([*t.tmux, "kill-server"], check=False, capture_output=True)
