# SPDX-License-Identifier: MIT
"""Completion: what the shells themselves offer when TAB is pressed."""
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

from harness import DEADLINE_S, SHMIPC, USAGE, Run, Skip, attached, case, check, equal, nothing_left, run
from cases_help import COMMANDS

# What bash does at TAB: the words, split at = as it does, and then the function.
BASH = """
source <("$SHMIPC" completion bash)
complete -p shmipc >/dev/null || exit 9
COMP_WORDS=("$SHMIPC" "$@")
COMP_CWORD=$(($# ? $# : 1))
_shmipc "$SHMIPC" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}" || exit 8
printf '%s\\n' "${COMPREPLY[@]}"
"""


def bash(*words, cwd=None):
    if not shutil.which("bash"):
        raise Skip("bash is not installed")
    p = subprocess.run(["bash", "--norc", "-c", BASH, "bash", *words], stdout=subprocess.PIPE, timeout=DEADLINE_S,
                       stderr=subprocess.PIPE, env=dict(os.environ, SHMIPC=SHMIPC), cwd=cwd)
    equal((p.returncode, p.stderr), (0, b""), "bash")
    return p.stdout.decode().split()


def segments():
    """A ring, a topic and another topic."""
    r = Run("recv", "ring/one")
    attached("ring/one", "consumer")
    run("pub", "--persist", "-m", "x", "robot/pose")
    run("pub", "--persist", "-m", "x", "robot/scan")
    return r


def end(r):
    r.kill(signal.SIGINT).wait()
    run("rm", "robot/pose", "robot/scan")


@case
def bash_completes_commands_and_options():
    equal(bash(""), COMMANDS + ["--help", "--version"])
    equal(bash("s"), ["send", "sub", "stat"])
    equal(bash("--v"), ["--version"])
    equal(bash("send", "--re"), ["--repeat"])
    for command in COMMANDS:
        text = run(command, "--help").out.decode()
        in_help = re.findall(r"^  (?:-\w, |    )(--[a-z][a-z0-9-]*)", text, re.M)
        equal(sorted(bash(command, "--")), sorted(in_help), "options of " + command)
    equal(bash("nonsense", ""), [])
    equal(bash("sub", "--", "--po"), [])    # an argument
    equal(bash("bench", "topic-l"), ["topic-loan", "topic-latency"])
    equal(bash("completion", ""), ["bash", "zsh"])


@case
def bash_completes_values():
    equal(bash("sub", "--policy", ""), ["lossy", "lossless", "evict"])
    equal(bash("sub", "--policy", "los"), ["lossy", "lossless"])
    equal(bash("sub", "--policy", "="), ["lossy", "lossless", "evict"])
    equal(bash("sub", "--policy", "=", "e"), ["evict"])
    equal(bash("sub", "-F", "h"), ["hex"])
    equal(bash("sub", "-jF", "h"), ["hex"])
    equal(bash("pub", "--meta", "mono,pub-"), ["mono,pub-id", "mono,pub-seq"])
    equal(bash("pub", "--history", ""), [])
    equal(bash("trace", "--events", "take,ho"), ["take,hold"])
    refused = run("trace", "--events", "x", code=USAGE).err
    equal(bash("trace", "--events", ""), re.search("expected some of (.*)", refused)[1].split(", ") + ["all"])
    with tempfile.TemporaryDirectory() as d:
        os.mkdir(os.path.join(d, "folder"))
        open(os.path.join(d, "file"), "w").close()
        equal(sorted(bash("send", "--file", "f", cwd=d)), ["file", "folder"])
        equal(sorted(bash("send", "--file", "=", cwd=d)), ["file", "folder"])
        equal(bash("trace", "--cgroup", "f", cwd=d), ["folder"])


@case
def bash_completes_names():
    equal(bash("sub", ""), [])
    r = segments()
    equal(bash("sub", ""), ["robot/pose", "robot/scan"])
    equal(bash("sub", "--policy", "lossy", "--", "robot/p"), ["robot/pose"])
    equal(bash("sub", "robot/pose", ""), [])    # there is no second one
    equal(bash("hz", "robot/pose", "robot/s"), ["robot/scan"])
    equal(bash("send", ""), ["ring/one"])
    equal(sorted(bash("stat", "r")), ["ring/one", "robot/pose", "robot/scan"])
    equal(bash("gc", ""), [])
    equal(bash("event", ""), ["notify", "wait"])
    equal(bash("deadman", "h"), ["hold"])
    equal(bash("event", "wait", ""), [])
    run("queue", "push", "--persist", "robot/jobs", "x")
    equal(bash("queue", "pop", "r"), ["robot/jobs"])
    equal(bash("queue", "pop", "robot/jobs", ""), [])
    equal(bash("queue", "p"), ["push", "pop"])
    run("rm", "robot/jobs")
    run("event", "notify", "--persist", "robot/bump")
    equal(bash("event", "wait", "--period", "1", "r"), ["robot/bump"])
    equal(bash("event", "wait", "robot/bump", ""), [])
    equal(bash("deadman", "hold", ""), [])
    equal(bash("lock", "r"), [])
    run("lock", "--persist", "robot/arm", "--", "true")
    equal(bash("lock", "-t", "1", ""), ["robot/arm"])
    equal(bash("lock", "robot/arm", ""), [])
    run("rm", "robot/arm")
    run("rm", "robot/bump")
    end(r)
    equal(bash("sub", ""), [])
    nothing_left()      # completion creates no segment


class Zsh:
    """An interactive zsh with nothing but its own completion, and ours."""

    def __init__(self, load):
        self.home = tempfile.TemporaryDirectory()
        pid, self.fd = pty.fork()
        if not pid:
            os.chdir(self.home.name)
            os.execvpe("zsh", ["zsh", "-f", "-i"], dict(
                os.environ, TERM="dumb", PS1="", ZDOTDIR=self.home.name, HOME=self.home.name, COLUMNS="200",
                PATH=os.path.dirname(SHMIPC) + ":" + os.environ["PATH"]))
        self.pid = pid
        self.send("unsetopt zle prompt_cr prompt_sp; PS1= PS2=; stty -echo; autoload -U compinit; "
                  "compinit -u -d %s/dump; LISTMAX=0; %s; print RE''ADY\n" % (self.home.name, load))
        self.until("READY")
        # ^T shows the line as the completion left it, instead of running it. What is typed before
        # the line editor has the terminal is changed by it, so the test waits for the editor.
        self.send("show-line() { print -r -- \"<$BUFFER>\"; BUFFER=; zle redisplay }; zle -N show-line; "
                  "bindkey '^T' show-line; zle-line-init() { print EDI''TOR }; zle -N zle-line-init; setopt zle\n")
        self.until("EDITOR")

    def send(self, text):
        os.write(self.fd, text.encode())

    def until(self, pattern):
        got, last = "", time.monotonic() + DEADLINE_S
        while not re.search(pattern, got):
            if time.monotonic() > last or not select.select([self.fd], [], [], DEADLINE_S)[0]:
                raise AssertionError("zsh: %r did not come; found %r" % (pattern, got))
            got += os.read(self.fd, 4096).decode(errors="replace")
        return re.search(pattern, got)

    def line(self, text):
        """What becomes of a line when TAB is pressed at its end."""
        self.send(text + "\t\x14")
        return self.until(r"<([^<>]*)>")[1].rstrip()

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)
        self.home.cleanup()


@case
def zsh_completes_commands_options_values_and_names():
    if not shutil.which("zsh"):
        raise Skip("zsh is not installed")
    r = segments()
    z = Zsh("source <(shmipc completion zsh)")
    try:
        for typed, line in (("shmipc metr", "shmipc metrics"), ("shmipc sub --strid", "shmipc sub --stride"),
                            ("shmipc sub --policy ev", "shmipc sub --policy evict"),
                            ("shmipc sub --policy=ev", "shmipc sub --policy=evict"),
                            ("shmipc sub robot/p", "shmipc sub robot/pose"),
                            ("shmipc stat ri", "shmipc stat ring/one"),
                            ("shmipc bench topic-r", "shmipc bench topic-rtt")):
            equal(z.line(typed), line, typed)
    finally:
        z.close()
    end(r)


@case
def zsh_finds_the_script_by_its_name():
    if not shutil.which("zsh"):
        raise Skip("zsh is not installed")
    with tempfile.TemporaryDirectory() as d:
        with open(os.path.join(d, "_shmipc"), "wb") as f:
            f.write(run("completion", "zsh").out)
        z = Zsh("fpath=(%s $fpath); compinit -u -d %s/dump2" % (d, d))
        try:
            equal(z.line("shmipc metr"), "shmipc metrics")
            equal(z.line("shmipc sub --strid"), "shmipc sub --stride")
        finally:
            z.close()


@case
def an_unknown_shell_is_refused():
    for args in ["fish"], ["bash", "zsh"], []:
        r = run("completion", *args, code=USAGE)
        check("usage" in r.err, r.err)
