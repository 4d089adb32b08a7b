# SPDX-License-Identifier: MIT
"""Prometheus' text format, read strictly."""
import re
import shutil
import subprocess

from harness import Skip, check, equal

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def family(name, types):
    """A histogram's samples have endings."""
    base = re.sub("_(bucket|sum|count)$", "", name)
    return base if types.get(base) == "histogram" else name


def parse(text):
    """{(name, label, ...): value}, labels as "key=value" in their order."""
    samples, types, helps, last, done = {}, {}, {}, None, set()
    check(text.endswith("\n"), text[-80:])
    for line in text.splitlines():
        word = line.split(" ", 3)
        if line.startswith("# HELP "):
            check(word[2] not in helps, line)
            helps[word[2]] = word[3]
        elif line.startswith("# TYPE "):
            check(word[2] not in types, line)
            types[word[2]] = word[3]
        else:
            m = SAMPLE.match(line)
            check(m, line)
            name, labels, value = m.groups()
            fam = family(name, types)
            check(fam in types and fam in helps, line)
            if fam != last:
                check(fam not in done, "samples of one metric stand apart", line)
                done.add(fam)
            last = fam
            key = (name, *("%s=%s" % pair for pair in LABEL.findall(labels or "")))
            check(key not in samples, "twice", line)
            samples[key] = float(value)
    return samples, types


def one(samples, name, **labels):
    """The value of the only sample of this name that has these labels."""
    want = {"%s=%s" % pair for pair in labels.items()}
    found = [v for k, v in samples.items() if k[0] == name and want <= set(k[1:])]
    equal(len(found), 1, "samples of %s %r" % (name, labels))
    return found[0]


def promtool(text):
    """Its complaints about @text; None: none."""
    if not shutil.which("promtool"):
        raise Skip("no promtool: apt-get install prometheus")
    r = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True,
                       check=False)
    return r.stdout + r.stderr if r.returncode else None
