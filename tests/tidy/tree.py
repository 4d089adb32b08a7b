# SPDX-License-Identifier: MIT
"""The files of a checkout, or of a copy of it."""
import os
import subprocess


class Tree:
    """Texts by path; a planted fault changes a text here and nowhere else."""

    def __init__(self, root):
        self.texts = {}
        for path in sorted(listed(root)):
            full = os.path.join(root, path)
            if os.path.islink(full) or not os.path.isfile(full):
                continue
            with open(full, encoding="utf-8", errors="replace") as f:
                self.texts[path] = f.read()

    def paths(self, *suffixes, under=()):
        return [p for p in self.texts
                if (not suffixes or p.endswith(suffixes)) and (not under or p.startswith(under))]

    def replace(self, path, old, new):
        """A copy in which @old, which must be there, has become @new."""
        text = self.texts.get(path, "")
        if old not in text:
            raise LookupError("no %r in %s" % (old, path))
        other = Tree.__new__(Tree)
        other.texts = dict(self.texts)
        other.texts[path] = text.replace(old, new, 1)
        return other


def listed(root):
    """What git knows or would add; without git, all but what is built."""
    try:
        out = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        return set(out.stdout.decode().splitlines())
    except (OSError, subprocess.CalledProcessError):
        pass
    found = set()
    for directory, subs, files in os.walk(root):
        subs[:] = [s for s in subs if s not in ("build", ".git", "__pycache__")]
        found.update(os.path.relpath(os.path.join(directory, f), root) for f in files)
    return found
