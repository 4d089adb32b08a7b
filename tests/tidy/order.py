# SPDX-License-Identifier: MIT
"""Checks of the house: floors, and the tags of memory ordering."""
import os
import re

import ctext

# The floor of a folder of lib/, and of a public header. A file includes from its own
# floor or from below.
FOLDER = {folder: floor for floor, folders in {
    0: "base", 1: "wait", 2: "segment mem dev", 3: "backends.c", 4: "open channel payload discover peer",
    5: "topic queue event deadman lock ffi.c",
}.items() for folder in folders.split()}
HEADER = {noun: floor for floor, nouns in {
    0: "inline/atomic inline/sized error",
    1: "inline/record ring spsc bcast inline/tlog inline/tlog_tx inline/tlog_rx inline/tlog_lend "
       "inline/tlog_floor inline/tlog_memory inline/tlog_trim inline/tlog_abort inline/counts",
    2: "segment", 4: "channel headers copier discover peer",
    5: "topic topic_look topic_seal topic_trim queue event deadman lock named_lock shmipc",
}.items() for noun in nouns.split()}

INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]+([<\"])([^>\"]+)[>\"]", re.M)
# A ring is pure memory: of the system it knows types, memcpy and error numbers.
PURE = {"errno.h", "stddef.h", "stdint.h", "string.h", "linux/types.h", "linux/ioctl.h"}


def floor_of(path):
    """The floor of a file, or None if the table does not know its noun."""
    if path.startswith("include/uapi/"):
        return 0
    if path.startswith("tests/"):
        return 7
    if path.startswith(("tools/", "examples/", "lib/bindings/")):
        return 6
    if path.startswith("include/shmipc/"):
        return HEADER.get(path[len("include/shmipc/"):].rsplit(".", 1)[0])
    return FOLDER.get(path.split("/")[1])


def included(tree, path, quote, name):
    """The file of ours that an include names, or None."""
    near = os.path.normpath(os.path.join(os.path.dirname(path), name))
    places = [near] if quote == '"' else []
    places += ["include/" + name, "include/uapi/" + name]
    if quote == '"':
        places += ["lib/" + name, "tests/lib/" + name]
    return next((p for p in places if p in tree.texts), None)


def floors(tree):
    """A file includes only from its own floor or from lower ones."""
    for path in tree.paths(".c", ".h", under=("include/", "lib/", "tools/", "examples/", "tests/")):
        mine = floor_of(path)
        if mine is None:
            yield "%s: tests/tidy/order.py does not know the floor of its noun" % path
            continue
        for m in INCLUDE.finditer(ctext.strip_comments(tree.texts[path])):
            target = included(tree, path, m[1], m[2])
            theirs = floor_of(target) if target else None
            if target is None:
                if m[2].startswith("shmipc"):
                    yield "%s: includes %s, which is not there" % (path, m[2])
                if path.startswith("include/") and mine <= 1 and m[2] not in PURE | {
                        "model_atomic.h"}:
                    yield "%s: floor %d includes <%s>" % (path, mine, m[2])
            elif path.startswith("lib/") and target.startswith("include/shmipc/"):
                pass        # for types and constants; what calls what is looked at below
            elif theirs is not None and theirs > mine:
                yield "%s: floor %d includes %s, floor %d" % (path, mine, target, theirs)
            elif mine == 6 and theirs and theirs < 6 and not target.startswith("include/"):
                yield "%s: includes %s; only public headers are for it" % (path, target)


def module(tree):
    """The kernel module stands on the uapi headers alone."""
    for path in tree.paths(".c", ".h", under=("kmod/",)):
        for m in INCLUDE.finditer(ctext.strip_comments(tree.texts[path])):
            if m[2].startswith(("shmipc/", "../include/shmipc/", "../lib/")):
                yield "%s: includes %s" % (path, m[2])


# Each names the algorithm that it is of, so that another's is never its partner.
TAG = re.compile(r"\b([a-z]+\.[A-Z]\d+) (->|<-) ([a-z]+\.[A-Z]\d+)\b")
NO_NOUN = re.compile(r"(?<![\w.])[A-Z]\d+ (?:->|<-) |(?:->|<-) [A-Z]\d+\b")
# What needs a tag: a call of one of these, or a mention in another macro.
ORDERED = re.compile(r"\bshmipc_(?:load_acquire|store_release|cas_acq_rel|fetch_(?:or|add)_acq_rel|"
                     r"exchange_acq_rel|fence_\w+|barrier_(?:light|heavy))\(")
TAG_LINES = 8       # a tag stands in a comment that ends at most so far above

# (file, text of the line): ordered accesses that are not an edge of their own.
UNTAGGED = {
    # The definition, and the fence that stands for it elsewhere.
    ("lib/wait/wait.h", "bool shmipc_barrier_heavy(void);"),
    ("lib/wait/futex.c", "bool shmipc_barrier_heavy(void)"),
    # Towards the kernel, which walks the list of a thread that has ended.
    ("lib/segment/keeper.c", "shmipc_barrier_light();"),
}


def ordered_files(tree):
    return [p for p in tree.paths(".c", ".h", under=("include/shmipc/", "lib/"))
            if p != "include/shmipc/inline/atomic.h"]


def comments(text):
    return (m for m in ctext.COMMENT.finditer(text) if not m.group().startswith('"'))


def tags(tree):
    """Each release names its acquire, by the noun of its algorithm, and that names it back."""
    places = {}
    for path in ordered_files(tree):
        text = tree.texts[path]
        for m in comments(text):
            for t in NO_NOUN.finditer(m.group()):
                yield "%s:%d: a tag without its noun: %s" % (
                    path, text.count("\n", 0, m.start() + t.start()) + 1, t.group())
            for t in TAG.finditer(m.group()):
                line = text.count("\n", 0, m.start() + t.start()) + 1
                places.setdefault(t.groups(), "%s:%d" % (path, line))
    for (left, arrow, right), place in sorted(places.items()):
        partner = (right, "<-" if arrow == "->" else "->", left)
        if partner not in places:
            yield "%s: \"%s %s %s\" has no partner \"%s\"" % (place, left, arrow, right,
                                                            " ".join(partner))


def tagged(tree):
    """Each ordered access has a tag right above it."""
    for path in ordered_files(tree):
        text = tree.texts[path]
        code = ctext.strip_comments(text).splitlines()
        ends = {text.count("\n", 0, m.end()) + 1 for m in comments(text) if TAG.search(m.group())}
        for n, line in enumerate(code, 1):
            if not ORDERED.search(line) or (path, line.split("\t/*")[0].strip()) in UNTAGGED:
                continue
            if not any(n - TAG_LINES <= end <= n for end in ends):
                yield "%s:%d: no ordering tag above: %s" % (path, n, line.strip())


CHECKS = {"floors": floors, "module": module, "tags": tags, "tagged": tagged}

RING = "include/shmipc/ring.h"
FAULTS = [
    ("floors", RING, "#include <shmipc/inline/record.h>", "#include <shmipc/segment.h>"),
    ("floors", RING, "#include <errno.h>", "#include <unistd.h>"),
    ("floors", "include/shmipc/segment.h", "#include <stddef.h>", "#include <shmipc/channel.h>"),
    ("floors", "lib/ffi.c", "#include <shmipc/shmipc.h>", "#include <shmipc/nothing.h>"),
    ("tags", RING, "/* ring.I1 <- ring.I0:", "/* ring.I1 <- ring.I9:"),
    ("tags", RING, "/* ring.I0 -> ring.I1:", "/* before:"),
    ("tags", RING, "/* ring.I0 -> ring.I1:", "/* spsc.I0 -> ring.I1:"),
    ("tags", RING, "/* ring.I0 -> ring.I1:", "/* I0 -> I1:"),
    ("tags", RING, "/* ring.C3 <- ring.C2:", "/* after:"),
    ("tagged", RING, "/* ring.I0 -> ring.I1:", "/* before:"),
    ("tagged", RING, "prod->tail.word = first;", "shmipc_store_release(&prod->tail.word, first);"),
]
