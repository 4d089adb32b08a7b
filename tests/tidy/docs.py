# SPDX-License-Identifier: MIT
"""Checks of the documents: their names are those of the code, and vice versa."""
import os
import re
import subprocess

import ctext

# Known to the library or the tests, but in no header.
ENVIRONMENT = {"SHMIPC_DIR", "SHMIPC_BACKEND", "SHMIPC_SEED", "SHMIPC_TERM", "SHMIPC_DIED", "SHMIPC_LEVEL",
               "SHMIPC_DELIVERIES"}
WORD = re.compile(r"\b(?:shmipc|SHMIPC)_[A-Za-z0-9_]+\b")
ERROR = re.compile(r"(?<!\w)-(E[A-Z0-9]{2,})\b")


def plain(text):
    """The text of a manual page, without escapes."""
    return text.replace("\\-", "-").replace("\\(en", "-").replace("\\&", "").replace("Fl -", "--")


def manuals(tree):
    return tree.paths(*(".%d" % n for n in range(1, 9)), under=("lib/man/", "tools/man/"))


def headers(tree):
    return tree.paths(".h", under=("include/",))


def names(tree):
    """A name in a document is in a header."""
    known = set(ENVIRONMENT)
    for path in headers(tree):
        known.update(WORD.findall(tree.texts[path]))
    known.update(os.path.basename(p).replace(".h", "") for p in headers(tree))
    known.update(os.path.basename(p).rsplit(".", 1)[0] for p in manuals(tree))
    for path in manuals(tree) + tree.paths(".md"):
        for n, line in enumerate(plain(tree.texts[path]).splitlines(), 1):
            for word in WORD.findall(line) if not line.startswith(".Dt ") else ():
                if word.rstrip("_") not in known and not word.endswith("_"):
                    yield "%s:%d: %s is in no header" % (path, n, word)


def documented(tree):
    """A public function, struct or option flag is in a manual page."""
    pages = "\n".join(plain(tree.texts[p]) for p in manuals(tree))
    words = set(WORD.findall(pages))
    texts = {p: tree.texts[p] for p in headers(tree)}
    for name in ctext.public_functions(texts.values()):
        if name not in words and not ctext.UNDOCUMENTED.match(name):
            yield "%s() is in no manual page" % name
    for path, text in texts.items():
        if path.startswith("include/uapi/"):
            continue
        code = ctext.strip_comments(text)
        found = re.findall(r"^struct (shmipc_\w+) \{", code, re.M)
        found += re.findall(r"^#define (SHMIPC_(?:PAGE|CAP|SPIN)_\w+)", code, re.M)
        found += re.findall(r"\b(SHMIPC_START_\w+)", code)
        for name in sorted(set(found)):
            if name not in words and not ctext.INTERNAL.match(name):
                yield "%s: %s is in no manual page" % (path, name)


# Within the library, never returned to a user: what a page that is not there gives, and
# errors of system calls that are told apart before they become one of the table.
INTERNAL = {"EFAULT", "ELOOP", "ENXIO", "ENODEV", "ENOTTY"}


def returned(tree):
    """{code: where}: what headers promise, and what the sources return or let through."""
    found = {}
    for path in headers(tree) + tree.paths(".c", ".h", under=("lib/",)):
        names = set(ERROR.findall(tree.texts[path]))
        if path.startswith("lib/"):
            code = re.sub(r"[!=]= -E\w+", "", ctext.strip_comments(tree.texts[path]))
            names = set(ERROR.findall(code)) - INTERNAL
        for name in names:
            found.setdefault(name, path)
    path = "lib/base/cause.c"
    passed = re.search(r"same\[\] = \{(.*?)\}", tree.texts.get(path, ""), re.S)
    for name in re.findall(r"E[A-Z0-9]+", passed[1]) if passed else ():
        found.setdefault(name, path)
    return found


def errors(tree):
    """An error code that is promised or returned has its one meaning in shmipc(7)."""
    page = plain(tree.texts.get("lib/man/shmipc.7", ""))
    table = re.findall(r"^\.It Er (E\w+)", page, re.M)
    for name in sorted({n for n in table if table.count(n) > 1}):
        yield "lib/man/shmipc.7: %s has two meanings" % name
    codes = returned(tree)
    for name, path in sorted(codes.items()):
        if name not in table:
            yield "%s: %s is not in the table of shmipc(7)" % (path, name)
    for name in table:
        if name not in codes:
            yield "lib/man/shmipc.7: nothing returns %s" % name


def references(tree):
    """A manual page that is referred to is there."""
    there = {os.path.basename(p) for p in manuals(tree)}
    for path in manuals(tree):
        for name, section in re.findall(r"^\.Xr (\S+) (\d)", tree.texts[path], re.M):
            if name.startswith("shmipc") and "%s.%s" % (name, section) not in there:
                yield "%s: refers to %s(%s), which is not there" % (path, name, section)


def lint(tree):
    """mandoc has no complaint about the manual pages."""
    for path in manuals(tree):
        # Not into one pipe: a line of one can end up in the middle of one of the other.
        out = subprocess.run(["mandoc", "-T", "lint"], stdout=subprocess.PIPE,
                             input=tree.texts[path].encode(), stderr=subprocess.PIPE)
        for line in (out.stdout + out.stderr).decode().splitlines():
            # Pages of other packages need not be installed.
            if re.search(r"\b(STYLE|WARNING|ERROR|UNSUPP|SYSERR): ", line) and \
                    not re.search("referenced manual not found|longer than 80 bytes", line):
                yield path + ": " + line


CHECKS = {"names": names, "documented": documented, "errors": errors, "references": references,
          "lint": lint}

FAULTS = [
    ("names", "README.md", "shmipc_channel_send", "shmipc_channel_sned"),
    ("names", "lib/man/shmipc.7", "SHMIPC_FOREVER", "SHMIPC_NEVER"),
    ("documented", "include/shmipc/error.h", "shmipc_error_name(", "shmipc_error_nom("),
    ("documented", "include/shmipc/ring.h", "struct shmipc_ring_opts {", "struct shmipc_ring_o {"),
    ("errors", "include/shmipc/ring.h", "-EAGAIN", "-ENOTTY"),
    ("errors", "lib/man/shmipc.7", ".It Er EPIPE", ".It Er EMFILE"),
    ("errors", "lib/man/shmipc.7", ".It Er EPIPE", ".It Er EPROTO"),
    ("errors", "lib/mem/mem_finish.c", "return -EFBIG", "return -EDOM"),
    ("errors", "lib/base/cause.c", "EROFS", "ENFILE"),
    ("references", "lib/man/shmipc.7", ".Xr shmipc_spsc 3", ".Xr shmipc_spcs 3"),
    ("lint", "lib/man/shmipc.7", ".Sh NAME", ".Sh NMAE"),
]
