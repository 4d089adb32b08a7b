# SPDX-License-Identifier: MIT
"""--help, and what is said about options and commands that do not exist."""
import re
import signal

from harness import OK, USAGE, Run, attached, case, check, equal, nothing_left, run, stat

COMMANDS = ["send", "recv", "pub", "sub", "queue", "event", "deadman", "lock", "hz", "bw", "top", "metrics", "ls", "watch", "trace", "stat",
            "trim", "fence", "rm", "gc", "doctor", "bench", "completion"]
OPTION = re.compile(r"^  (-\w, |    )--[a-z][a-z0-9-]*( \S+)?(?P<text>  +\S.*)?$")


def help_of(command):
    return run(command, "--help").out.decode()


@case
def help_lists_the_commands():
    equal(re.findall(r"^  ([a-z]+)  +\S", run("--help").out.decode(), re.M), COMMANDS)
    check(re.search(r"^shmipc \d+\.\d+\.\d+$", run("--version").out.decode()))


@case
def help_fits_a_terminal_and_its_columns_do_not_touch():
    for command in COMMANDS:
        lines = help_of(command).splitlines()
        for line in lines:
            check(len(line) <= 80, command, line)
        options = [x for x in lines if re.match(r"^  (-\w, |    )--", x)]
        check(options, command)
        for line in options:
            m = OPTION.match(line)
            check(m, command, "an option and its text run together", line)
            # The texts stand in one column; there is none beside an option that reaches it.
            if m["text"]:
                equal(line.index(m["text"].strip(), m.start("text")), 26, command + ": " + line)
            else:
                check(lines[lines.index(line) + 1].startswith(" " * 26 + lines[lines.index(
                    line) + 1].strip()[0]), command, line)


def default(command, option):
    text = re.sub(r"\n {26}", " ", help_of(command))
    m = re.search(r"--%s \S+ .*\(default (\S+)\)$" % option, text, re.M)
    check(m, command, option)
    return m[1]


def number(text):
    return int(text[:-1]) << {"K": 10, "M": 20, "G": 30}[text[-1]] if text[-1] in "KMG" else int(text)


@case
def help_has_the_defaults_of_the_library():
    r = Run("recv", "t")
    attached("t", "consumer")
    st = stat("t")
    equal(number(default("recv", "ring")), st["data_bytes"], "--ring")
    equal(number(default("recv", "align")), st["align"], "--align")
    equal("0" + default("recv", "mode"), st["mode"], "--mode")
    r.kill(signal.SIGINT).wait()
    run("pub", "--persist", "-m", "x", "t")
    st = stat("t")
    for option, key in (("publishers", "publishers_max"), ("subscribers", "subscribers_max"),
                        ("history", "history"), ("inline", "inline_bytes"), ("holds", "holds"),
                        ("align", "align"), ("pool", "pool_bytes")):
        equal(number(default("pub", option)), st[key], "--" + option)
    equal(float(default("pub", "evict-after")) * 1e9, st["evict_ns"], "--evict-after")
    equal("0" + default("pub", "mode"), st["mode"], "--mode")
    equal((default("pub", "policies"), st["policies"]), ("all", ["lossy", "lossless", "evict"]))
    run("rm", "t")


@case
def unknown_options_and_commands_name_the_nearest_one():
    for args, near in ((["sub", "--polcy", "lossy", "t"], "--policy"),
                       (["sub", "--strcit", "t"], "--strict"), (["pub", "--msesage=x", "t"], "--message"),
                       (["ls", "--jsno"], "--json"), (["bench", "--publish-rs", "1", "rtt"], "--publishers"),
                       (["sned", "t"], "send"), (["metric"], "metrics"), (["bench", "topc"], "topic")):
        r = run(*args, code=USAGE)
        check("did you mean %s?" % near in r.err, args, r.err)
    for args in ["sub", "--frobnicate", "t"], ["xyzzy"], ["sub", "-Z", "t"]:
        r = run(*args, code=USAGE)
        check("did you mean" not in r.err, args, r.err)
    r = run("pub", "--po", "1", "t", code=USAGE)
    check("ambiguous" in r.err and "--pool" in r.err and "--policies" in r.err, r.err)
    r = run("sub", "--json=1", "t", code=USAGE)
    check("--json takes no value" in r.err, r.err)
    for args in ["pub", "--pool"], ["pub", "-s"]:
        r = run(*args, code=USAGE)
        check("BYTES is missing" in r.err, args, r.err)
    nothing_left()


@case
def wrong_values_are_named_with_what_is_expected():
    for args, found, expected in (
            (["sub", "--policy", "losy", "t"], '--policy: found "losy"', "lossy, lossless or evict"),
            (["sub", "--from", "old", "t"], '--from: found "old"', "new, oldest, newest or the number of a message"),
            (["pub", "--meta", "mono,x", "t"], '--meta: found "mono,x"', "pub-id, pub-seq, mono, wall, all"),
            (["pub", "--align", "9999", "t"], '--align: found "9999"', "from 1 to 4096"),
            (["send", "--align", "128", "t"], '--align: found "128"', "from 1 to 64"),
            (["pub", "--evict-after", "0", "t"], '--evict-after: found "0"', "more than 0"),
            (["pub", "--abort-after", "0.0001", "t"], '--abort-after: found "0.0001"', "at least 0.001"),
            (["pub", "--fence-after", "0.001", "t"], '--fence-after: found "0.001"', "at least 0.01"),
            (["pub", "--seal", "0", "t"], '--seal: found "0"', "a number"),
            (["hz", "--every", "0.0001"], '--every: found "0.0001"', "at least 0.001"),
            (["sub", "--stride", "3/3", "t"], '--stride: found "3/3"', "N/AT"),
            (["trace", "--buffer", "2G"], '--buffer: found "2G"', "to 1073741824"),
            (["send", "--mode", "888", "t"], '--mode: found "888"', "octal")):
        r = run(*args, code=USAGE)
        check(found in r.err and expected in r.err and "(EINVAL)" in r.err, args, r.err)
    nothing_left()


@case
def an_option_may_be_shortened_and_its_value_may_follow_an_equals_sign():
    run("pub", "--pers", "--mess=x", "--hist", "100", "t")
    equal(stat("t")["history"], 100)
    equal(run("sub", "--from=oldest", "-c1", "-Fraw", "-qj", "t", code=OK).out, b"x")
    run("rm", "t")
