# SPDX-License-Identifier: MIT
"""Check of the wording: comments, messages and documents in plain English."""
import re

GAP = r"(?:[ \t]+|[ \t]*\n[ \t]*(?:\*|#|//)?[ \t]*)"     # a space, or a line break in a comment
# "who" is for people: not for a process, a peer or a thread that does one of these.
DEEDS = ("waits", "comes", "goes", "sleeps", "wakes", "reads", "writes", "wants", "may", "has",
         "holds", "publishes", "subscribes", "sends", "receives", "opens", "closes", "attaches",
         "leaves", "dies", "died", "lives", "begins", "stays")
# People; and "slot who", "Ar who": an argument of a probe.
PEOPLE = ("user", "users", "people", "administrators", "programmers", "root", "slot", "Ar",
          "somebody", "anybody", "everybody")

# (phrase, what to write instead); written so that this file does not contain them.
PHRASES = [(re.compile(phrase.replace(" ", GAP)), instead) for phrase, instead in (
    ("(?i)\\bwi" + "sh(?:es|ed)?\\b", "default 64; you asked for X, it was created with Y"),
    ("(?i)\\bde" + "ar(?:er|est)?\\b", "expensive"),
    ("(?i)\\bhow-?mani" + "eth\\b", "which"),
    ("(?i)\\bsays so for" + " nothing\\b", "is free to read"),
    ("(?i)(?<!there\\s)\\bis no" + "ne that\\b", "is not a ...; does not ..."),
    ("(?i)\\bthat (?:is|are) no" + "ne\\b", "not valid; unknown"),
    ("(?i)\\bfor much than for" + " little\\b", "its cost does not depend on the size"),
    ("(?i)\\bwhere there is wh" + "at\\b", "if ... is installed"),
    ("(?i)(?<!there\\s)\\bis no (?:na" + "me|pattern|option|number|segment|topic|memfd)\\b",
     "is not a valid ..."),
    ("(?i)\\bnobody wh" + "o\\b", "only ... are ..."),
    ("(?i)\\bfor ev" + "er\\b", "forever; without a limit"),
    ("(?i)\\b(?:can|may|to|cannot) be ha" + "d\\b", "is available; can be used again"),
    ("(?i)\\blet(?:s|ting)? go o" + "f\\b", "releases"),
    ("(?i)\\b(?:binds|for|tells|up|wakes) nobo" + "dy\\b", "no process; only ...; decides nothing"),
    ("(?i)\\bnobo" + "dy (?:else|is woken|is told|waits|sleeps|wakes)\\b", "other processes; there are no ..."),
    ("(?i)\\b(?:and|been|be) told s" + "o\\b", "reported as lost"),
    ("(?i)\\bone'" + "s own\\b", "the user's; its own"),
    ("(?i)\\bthe (?:dead|killed|slow|living) (?:are|is|come|comes)\\b", "dead processes; slow subscribers"),
    ("(?i)\\bwho" + "ever\\b", "any process that; even if"),
    ("".join("(?<!%s\\s)" % word for word in PEOPLE) +
     "\\b[Ww]h" + "o (?:" + "|".join(DEEDS) + ")\\b", "a waiter, a peer, a process that"),
)]


def english(tree):
    """Plain English, without the phrases that the style rules out."""
    for path, text in tree.texts.items():
        if path.startswith("LICENSES/"):
            continue
        for phrase, instead in PHRASES:
            for m in phrase.finditer(text):
                yield "%s:%d: \"%s\"; instead: %s" % (
                    path, text.count("\n", 0, m.start()) + 1, " ".join(m[0].split()), instead)


CHECKS = {"english": english}

FAULTS = [
    ("english", "README.md", "# shmipc", "# shmipc as you wi" + "sh"),
    ("english", "lib/man/shmipc.7", "A waiter spins", "Wh" + "o waits spins"),
    ("english", "include/shmipc/ring.h", "a sleeper states", "wh" + "o\n * sleeps states"),
    ("english", "include/shmipc/ring.h", "/* once */", "/* the de" + "ar half */"),
    ("english", "lib/payload/copier_mt.c", "busy forever", "busy for ev" + "er"),
    ("english", "lib/topic/pool.c", "what was released has", "what was let go o" + "f has"),
    ("english", "CHANGELOG.md", "decides nothing", "binds nobo" + "dy"),
    ("english", "lib/segment/name.c", "is not a valid segment name", "is no na" + "me"),
]
