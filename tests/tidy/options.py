# SPDX-License-Identifier: MIT
"""Compares the command's options: --help, which comes from the tables, and the manual pages."""
import os
import re
import subprocess

HELP = re.compile(r"^  (?:-(\w), |    )--([a-z][a-z0-9-]*)(?: (\S+))?(?:  +(\S.*))?$")
DEFAULT = re.compile(r"\(default ([^)\s]+)\s*\)")
MACROS = {"Ar", "Cm", "Fl", "Ns", "Ql", "Li", "Em", "Pa", "Xr", "Ev", "No", "Pq"}
MARKS = {"Oo": "[", "Oc": "]", "\\&:": ":"}


def ask(*args):
    command = os.path.join(os.environ.get("B", "build"), "shmipc")
    return subprocess.run([command, *args], stdin=subprocess.DEVNULL, timeout=20,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode()


def commands():
    return re.findall(r"^  ([a-z]+)  ", ask("--help"), re.M)


def of_help(text):
    """{name: (letter, argument, default)} of a --help."""
    found, name = {}, None
    for line in text.split("\nExit codes")[0].splitlines():
        m = HELP.match(line)
        if m:
            letter, name, arg, words = m.groups()
            found[name] = [letter, arg, words or ""]
        elif name and line.startswith(" " * 26):
            found[name][2] += " " + line.strip()
        else:
            name = None
    for option in found.values():
        m = DEFAULT.search(option[2])
        option[2] = m and m[1]
    return {name: tuple(option) for name, option in found.items()}


def argument(text):
    """The argument of an option in .It, in the form of --help."""
    words = [MARKS.get(w, w) for w in text.split() if w not in MACROS]
    return "".join(words) or None


def flat(lines):
    return " ".join(w for line in lines for w in line.lstrip(".").split() if w not in MACROS)


def items(section):
    """(letter, name, argument, the defaults that its text names) of each option."""
    waiting, text, found = [], [], []

    def close():
        found.extend((*item, frozenset(DEFAULT.findall(flat(text)))) for item in waiting)
        waiting.clear()
        text.clear()
    for line in section.replace("\\-", "-").splitlines():
        m = re.match(r"\.It (?:Fl (\w) , )?Fl -([a-z][a-z0-9-]*) ?(.*)", line)
        if m:
            if text:
                close()
            waiting.append((m[1], m[2], argument(m[3])))
        elif waiting:
            text.append(line)
    close()
    return found


def whose(heading, page, names):
    """The commands whose options are listed below a heading."""
    words = set(re.findall(r"[a-z]+", heading))
    if heading == "Options of all commands":
        return list(names)
    if heading.startswith("shmipc ") or heading.startswith("Options of ") and words & set(names):
        return [n for n in names if n in words]
    return [n for n in names if page.endswith("/shmipc-%s.1" % n)]


def of_manual(pages, names):
    """{command: {option: [(letter, argument, defaults)]}}, and items that belong to no command."""
    found, lost = {n: {} for n in names}, []
    for path, text in pages.items():
        for part in re.split(r"^(?=\.S[hs] )", text, flags=re.M):
            heading = part.split("\n", 1)[0][4:].strip()
            listed = items(part)
            owners = whose(heading, path, names)
            if listed and not owners:
                lost.append("%s: \"%s\" has options of no command" % (path, heading))
            for letter, name, arg, defaults in listed:
                for n in owners:
                    found[n].setdefault(name, []).append((letter, arg, defaults))
    return found, lost


def differences(command, helped, manual):
    for name in sorted(set(helped) - set(manual)):
        yield "shmipc %s --%s is in no manual page" % (command, name)
    for name in sorted(set(manual) - set(helped)):
        yield "tools/man: shmipc %s --%s is not an option" % (command, name)
    for name in sorted(set(manual) & set(helped)):
        what = "shmipc %s --%s" % (command, name)
        if len(manual[name]) > 1:
            yield what + " is in the manual pages twice"
        (letter, arg, default), (man_letter, man_arg, defaults) = helped[name], manual[name][0]
        if letter != man_letter:
            yield "%s: letter %s, in the manual page %s" % (what, letter, man_letter)
        if arg != man_arg:
            yield "%s: argument %s, in the manual page %s" % (what, arg, man_arg)
        if {default} - {None} != set(defaults):
            yield "%s: default %s, in the manual page %s" % (what, default,
                                                            ", ".join(sorted(defaults)) or None)


def options(tree):
    """A command's options, with their arguments and defaults, are those of its manual page."""
    if "tools/shmipc.c" not in tree.texts:
        return
    names = commands()
    pages = {p: tree.texts[p] for p in tree.paths(".1", under=("tools/man/",))}
    manual, lost = of_manual(pages, names)
    yield from lost
    for name in names:
        yield from differences(name, of_help(ask(name, "--help")), manual[name])
    synopsis = pages.get("tools/man/shmipc.1", "").split(".Sh DESCRIPTION")[0]
    for name in names:
        if not re.search(r"^\.Cm .*\b%s\b" % name, synopsis, re.M):
            yield "tools/man/shmipc.1: shmipc %s is not in the synopsis" % name


CHECKS = {"options": options}

PAGE = "tools/man/shmipc.1"
FAULTS = [
    ("options", PAGE, "Fl -size Ar", "Fl -sise Ar"),
    ("options", PAGE, ".It Fl q , Fl -quiet\n", ""),
    ("options", PAGE, ".It Fl -mode Ar OCTAL", ".It Fl -mode Ar BITS"),
    ("options", PAGE, ".It Fl -mode Ar OCTAL", ".It Fl m , Fl -mode Ar OCTAL"),
    ("options", PAGE, "(default 600)", "(default 644)"),
    ("options", PAGE, "(default 600)", ""),
    ("options", PAGE, ".Ss shmipc gc", ".Ss shmipc cg"),
    ("options", PAGE, ".Cm ls | watch | top | metrics | trace", ".Cm ls | watch | top | metrics"),
    ("options", "tools/man/shmipc-topic.1", "lossy | lossless | evict", "lossy | lossless"),
    ("options", "tools/man/shmipc-bench.1", ".It Fl -cold", ".It Fl -warm"),
]
