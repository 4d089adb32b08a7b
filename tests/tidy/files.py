# SPDX-License-Identifier: MIT
"""Checks of single files: licence, words, length, style."""
import ast
import re

import ctext

# Lines of a file and of a function; tests have tables and long sequences of steps.
LINES = (("tests/", 700, 100), ("", 600, 70))
COLUMNS = 112       # aim at 100

UAPI = "GPL-2.0-only WITH Linux-syscall-note"
LICENSES = (("LICENSES/", None), ("include/uapi/", UAPI), ("kmod/kmod.mk", "MIT"),
            ("kmod/", "GPL-2.0-only"),
            ("Kbuild", "GPL-2.0-only"), ("dkms.conf", "GPL-2.0-only"),
            ("tests/vm/plant/", "GPL-2.0-only"), ("", "MIT"))


def spdx(tree):
    """Each file says its licence in its first lines."""
    for path, text in tree.texts.items():
        want = next(name for prefix, name in LICENSES if path.startswith(prefix))
        head = "\n".join(text.splitlines()[:3])
        got = re.search(r"SPDX-License-Identifier: (.*?)\s*(?:\*/|-->|\",)?\s*$", head, re.M)
        if want and (not got or got[1] != want):
            # eBPF code in tests and tools may have the kernel's licence.
            if got and got[1] == "GPL-2.0-only" and path.endswith(".bpf.c"):
                continue
            yield "%s: licence %s, expected %s" % (path, got[1] if got else "not there", want)


# Written so that this file does not contain them.
FORBIDDEN = [(re.compile(pattern), why) for pattern, why in (
    (r"(?<![\w})])/(?:work|farm|home|root)" + r"/", "a path of one machine"),
    (r"https?:" + r"//(?!www\.w3\.org/)", "a host"),   # but for names of formats
    (r"\bdebian\." + r"org|\bgithub\." + r"com", "a host"),
    (r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b", "unfinished"),
    (r"(?i)\b(?:clau" + r"de|chat" + r"gpt|ll" + r"m|copi" + r"lot)\b", "who wrote it"),
)]


def words(tree):
    """No paths or hosts of one machine, nothing marked as unfinished."""
    for path, text in tree.texts.items():
        if path.startswith("LICENSES/"):
            continue
        for n, line in enumerate(text.splitlines(), 1):
            for pattern, why in FORBIDDEN:
                if pattern.search(line):
                    yield "%s:%d: %s: %s" % (path, n, why, line.strip()[:80])


def length(tree):
    """A file that is too long has two nouns in it; functions are short."""
    for path, text in tree.texts.items():
        lines = text.count("\n")
        most, most_of_function = next(n for prefix, *n in LINES if path.startswith(prefix))
        if lines > most and not path.startswith("LICENSES/"):
            yield "%s: %d lines, more than %d" % (path, lines, most)
        if path.endswith((".c", ".h", ".cc", ".cpp")):
            spans = ctext.bodies(text)
        elif text.startswith("#!/usr/bin/env python3") or path.endswith(".py"):
            spans = ((f.lineno, f.end_lineno) for f in ast.walk(ast.parse(text))
                     if isinstance(f, ast.FunctionDef))
        else:
            continue
        for first, last in spans:
            if last - first - 1 > most_of_function:
                yield "%s:%d: a function of %d lines" % (path, first, last - first - 1)


STYLE = [(re.compile(pattern, re.M), why) for pattern, why in (
    (r"\btypedef\s+(?:struct|union|enum)\b", "typedef of a struct, union or enum"),
    (r"^ {8}", "indented by spaces"),
    (r"\bif\(|\bfor\(|\bwhile\(|\bswitch\(", "no space after a keyword"),
    (r"^(?!FIXTURE)[^\s#][^\n;=]*\)[ \t]*\{[ \t]*$(?<!\) = \{)", "a function's { on its first line"),
    (r"\b(?:EXPECT|ASSERT)_(?:TRUE|FALSE)\((?:strstr|strchr|getenv|memchr)\(",
     "a pointer as a truth, which clang refuses: EXPECT_NE(NULL, ...)"),
)]
# Counts handles within one process; not shared.
PRIVATE_COUNT = "&seg->mem->refs"
RAW_ATOMIC = re.compile(r"\b(?:__atomic_\w+|__sync_\w+|atomic_\w+_explicit|_Atomic|volatile)\b")
SETS_ERRNO = re.compile(r"\berrno = (?!saved;)")    # restoring it is fine


def style_of_c(path, text):
    code = ctext.strip_comments(text)
    for pattern, why in STYLE:
        for m in pattern.finditer(code):
            yield "%s:%d: %s" % (path, code.count("\n", 0, m.start()) + 1, why)
    for n, line in enumerate(text.splitlines(), 1):
        # A message stays in one piece, so that it can be found by grep.
        if len(line.expandtabs(8)) > COLUMNS and '"' not in line:
            yield "%s:%d: more than %d columns" % (path, n, COLUMNS)
    if not path.startswith(("include/shmipc/", "lib/")):
        return
    for n, line in enumerate(code.splitlines(), 1):
        if path != "include/shmipc/inline/atomic.h" and RAW_ATOMIC.search(line) and \
                PRIVATE_COUNT not in line:
            yield "%s:%d: an atomic access that does not go through atomic.h" % (path, n)
        if SETS_ERRNO.search(line):
            yield "%s:%d: sets errno" % (path, n)


# A new descriptor of the library is moved above 2 in the line that creates it.
DESCRIPTOR = re.compile(r"(?<!shmipc_fd\()(?<![\w>.])(?:open|openat|memfd_create|epoll_create1|"
                        r"timerfd_create|eventfd|inotify_init1|socket|dup|opendir)\(")


def descriptors(tree):
    """Descriptors of the library are never 0, 1 or 2."""
    for path in tree.paths(".c", under=("lib/",)):
        code = ctext.strip_comments(tree.texts[path])
        for n, line in enumerate(code.splitlines(), 1):
            if DESCRIPTOR.search(re.sub(r'"(?:\\.|[^"\\])*"', '""', line)):
                yield "%s:%d: not in shmipc_fd(): %s" % (path, n, line.strip())


def style(tree):
    """Formatting."""
    for path, text in tree.texts.items():
        if path.startswith("LICENSES/"):
            continue
        if text and not text.endswith("\n"):
            yield "%s: no newline at the end" % path
        for n, line in enumerate(text.splitlines(), 1):
            if line != line.rstrip():
                yield "%s:%d: space at the end" % (path, n)
        if path.endswith((".c", ".h")):
            yield from style_of_c(path, text)


CHECKS = {"spdx": spdx, "words": words, "length": length, "style": style,
          "descriptors": descriptors}

# (check, file, text that is there, text that is planted instead)
FAULTS = [
    ("spdx", "include/shmipc/ring.h", "Identifier: MIT", "Identifier: GPL-2.0-only"),
    ("spdx", "include/uapi/linux/shmipc_layout.h", " WITH Linux-syscall-note", ""),
    ("spdx", "tools/setup", "SPDX-License-Identifier", "licence"),
    ("words", "include/shmipc/ring.h", "shared between", "in /wor" + "k/x, shared between"),
    ("words", "tools/setup", "set -eu", "set -eu # TO" + "DO"),
    ("words", "README.md", "\n", "\nhttps:" + "//example.invalid\n"),
    ("length", "include/shmipc/ring.h", "\n", "\n" * 601),
    ("length", "include/shmipc/ring.h", "\n{\n", "\n{\n" + "\t;\n" * 71),
    ("descriptors", "lib/mem/mem.c", "shmipc_fd(open(self", "(open(self"),
    ("length", "tests/runner/count.py", "    if totals:\n",
     "    pass\n" * 101 + "    if totals:\n"),
    ("style", "include/shmipc/ring.h", "struct shmipc_ring {", "typedef struct shmipc_ring {"),
    ("style", "include/shmipc/ring.h", "\tint ret = ", "        int ret = "),
    ("style", "include/shmipc/ring.h", "if (ret)", "if(ret)"),
    ("style", "include/shmipc/ring.h", ")\n{", ") {"),
    ("style", "tests/unit/channel/channel.c", "EXPECT_NE(NULL, strstr(", "EXPECT_TRUE(strstr("),
    ("style", "include/shmipc/ring.h", "\n{\n", " \n{\n"),
    ("style", "include/shmipc/ring.h", "#endif /* SHMIPC_RING_H */\n", "#endif"),
    ("style", "include/shmipc/ring.h", "the magic", "the magic" + " longer" * 14),
    ("style", "include/shmipc/ring.h", "shmipc_load_acquire(&hdr->magic)",
     "__atomic_load_n(&hdr->magic, __ATOMIC_ACQUIRE)"),
    ("style", "include/shmipc/ring.h", "\treturn -EAGAIN;", "\terrno = EAGAIN;\n\treturn -EAGAIN;"),
]
