# SPDX-License-Identifier: MIT
"""Checks of what calls what in the library and in the command, read from their objects."""
import os
import subprocess
import tempfile

import order

B = os.environ.get("B", "build")
INCLUDES = ["-Iinclude", "-Iinclude/uapi", "-Ilib"]


def sources(tree, top):
    return [p for p in tree.paths(".c", under=(top,)) if not p.endswith(".bpf.c")]


def changed(tree, path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read() != tree.texts[path]


def compiled(text, path, directory):
    """An object of @text, as if it were the file @path."""
    source = os.path.join(directory, os.path.basename(path))
    with open(source, "w", encoding="utf-8") as f:
        f.write(text)
    subprocess.run([os.environ.get("CC", "gcc"), "-std=c11", "-D_GNU_SOURCE", "-O1", "-w", "-pthread",
                    *INCLUDES, "-I" + os.path.dirname(path), "-c", source, "-o", source + ".o"],
                   check=True)
    return source + ".o"


def objects(tree, top, directory):
    """(source, object) of each source below @top: built, or compiled, if it has a planted fault."""
    for path in sources(tree, top):
        built = os.path.join(B, "obj", path[:-2] + ".o")
        yield path, compiled(tree.texts[path], path, directory) if changed(tree, path) else built


def symbols(tree, top):
    """{source: (defined, undefined)}, of names that other objects can see."""
    with tempfile.TemporaryDirectory() as directory:
        table = dict(objects(tree, top, directory))
        missing = [o for o in table.values() if not os.path.exists(o)]
        if missing:
            raise SystemExit("tests/tidy: %s is not built; run make" % missing[0])
        out = subprocess.check_output(["nm", "-A", "-g", *table.values()], text=True)
    source_of = {o: path for path, o in table.items()}
    found = {path: (set(), set()) for path in table}
    for line in out.splitlines():
        place, rest = line.rsplit(":", 1)
        kind, name = rest.split()[-2:]
        found[source_of[place]][kind == "U"].add(name)
    return found


def calls(tree, top="lib/"):
    """(source, symbol, where it is defined) of each use of another file's function or table."""
    found = symbols(tree, top)
    home = {name: path for path, (defined, _) in found.items() for name in defined}
    for path, (_, undefined) in sorted(found.items()):
        for name in sorted(undefined):
            if name in home:
                yield path, name, home[name]


def floors(tree):
    """No function of the library is defined above the floor of its caller."""
    for path, name, there in calls(tree):
        mine, theirs = order.floor_of(path), order.floor_of(there)
        if mine is None:
            yield "%s: tests/tidy/order.py does not know the floor of its folder" % path
        elif theirs is not None and theirs > mine:
            yield "%s, floor %d, uses %s of %s, floor %d" % (path, mine, name, there, theirs)


def room(path):
    """The folder of lib/ or tools/ that a source is in, or the source if it is in none."""
    return path.split("/")[1]


def find_circle(edges):
    """A list of folders, each of which uses the next, and the last one the first; or None."""
    state, trail = {}, []

    def visit(at):
        state[at] = "open"
        trail.append(at)
        for to in sorted(edges.get(at, ())):
            if state.get(to) == "open":
                return trail[trail.index(to):]
            if to not in state and (circle := visit(to)):
                return circle
        trail.pop()
        state[at] = "done"
        return None

    return next((c for at in sorted(edges) if at not in state and (c := visit(at))), None)


def circles_below(tree, top):
    edges, example = {}, {}
    for path, name, there in calls(tree, top):
        if room(path) != room(there):
            edges.setdefault(room(path), set()).add(room(there))
            example.setdefault((room(path), room(there)), "%s uses %s of %s" % (path, name, there))
    circle = find_circle(edges)
    if circle:
        yield "%s: %s" % (" -> ".join(circle + circle[:1]), "; ".join(
            example[pair] for pair in zip(circle, circle[1:] + circle[:1])))


def circles(tree):
    """No folders of the library, or of the command, use each other in a circle."""
    yield from circles_below(tree, "lib/")
    yield from circles_below(tree, "tools/")


CHECKS = {"calls": floors, "circles": circles}

FAULTS = [
    # Upwards, without an include that would show it.
    ("calls", "lib/base/time.c", "uint64_t shmipc_now_ns(void)",
     "int shmipc_table_none(void), shmipc_name_check(const char *, const char **);\n"
     "int shmipc_planted(void)\n{\n\treturn shmipc_name_check(0, 0);\n}\n\nuint64_t shmipc_now_ns(void)"),
    ("calls", "lib/wait/futex.c", "bool shmipc_barrier_heavy(void)\n{",
     "extern const struct shmipc_backend shmipc_mem;\nconst void *shmipc_planted = &shmipc_mem;\n\n"
     "bool shmipc_barrier_heavy(void)\n{"),
    ("calls", "lib/segment/name.c", "static bool name_byte_ok(char c)",
     "void shmipc_topic_end_close(void *);\nvoid (*shmipc_planted)(void *) = shmipc_topic_end_close;\n\n"
     "static bool name_byte_ok(char c)"),
    # A circle on one floor.
    ("circles", "lib/segment/name.c", "static bool name_byte_ok(char c)",
     "int shmipc_lock_set(int, long, short);\nint (*shmipc_planted)(int, long, short) = shmipc_lock_set;\n\n"
     "static bool name_byte_ok(char c)"),
    ("circles", "tools/util/json.c", "void json_line(",
     "const char *role_word(unsigned int);\nconst char *(*shmipc_planted)(unsigned int) = role_word;\n\n"
     "void json_line("),
]
