# SPDX-License-Identifier: MIT
"""What tests need to know of C text: comments, functions, names."""
import re

COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/|//[^\n]*', re.S)
FUNCTION = re.compile(r"^(?!#)(?P<head>[A-Za-z_][\w \t*]*?[\s*])(?P<name>shmipc_\w+)\(", re.M)


def blank(match):
    """The same lines, without text."""
    text = match.group()
    return text if text.startswith('"') else re.sub(r"[^\n]", " ", text)


def strip_comments(text):
    return COMMENT.sub(blank, text)


def functions(text):
    """(name, is_inline) of every function that starts a line of @text."""
    for m in FUNCTION.finditer(strip_comments(text)):
        if not m["head"].startswith(("typedef", "return", "else")):
            yield m["name"], "inline" in m["head"] or "SHMIPC_COLD" in m["head"]


# Names that are in headers because inlines need them, and not for users.
INTERNAL = re.compile(r"shmipc_(priv|rec|cursor|racy)_")


def public_functions(paths):
    """{name: is_inline} of the functions in headers that users may call."""
    found = {}
    for path in paths:
        with open(path) as f:
            for name, is_inline in functions(f.read()):
                if not INTERNAL.match(name):
                    found[name] = is_inline
    return found
