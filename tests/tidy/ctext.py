# SPDX-License-Identifier: MIT
"""Parts of C text that the checks need: comments, functions, names."""
import re

COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/|//[^\n]*', re.S)
FUNCTION = re.compile(r"^(?!#)(?P<head>[A-Za-z_][\w \t*]*?[\s*])(?P<name>shmipc_\w+)\(", re.M)

# In headers because inlines need them; neither exported nor for users.
INTERNAL = re.compile(r"shmipc_((priv|rec|cursor|racy|sub_state)_|(tlog|counts)(_|$))")
# Exported because inlines call them; not for users.
UNDOCUMENTED = re.compile(r"shmipc_(channel|pub|sub|notifier)_slow_")


def blank(match):
    """The same number of lines, without text."""
    text = match.group()
    return text if text.startswith('"') else "\n" * text.count("\n") or " "


def strip_comments(text):
    return COMMENT.sub(blank, text)


def functions(text):
    """(name, is_inline) of every function that starts a line of @text."""
    for m in FUNCTION.finditer(strip_comments(text)):
        if not m["head"].startswith(("typedef", "return", "else")):
            yield m["name"], "INLINE" in m["head"] or "SHMIPC_COLD" in m["head"]


def public_functions(texts):
    """{name: is_inline} of the functions that the headers with these @texts declare for programs."""
    return {name: is_inline for text in texts for name, is_inline in functions(text)
            if not INTERNAL.match(name)}


def bodies(text):
    """(first line, last line) of every function body, counted from 1."""
    first = 0
    for n, line in enumerate(strip_comments(text).splitlines(), 1):
        if line == "{":
            first = n
        elif line == "}" and first:
            yield first, n
            first = 0
