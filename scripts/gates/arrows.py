#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# check.sh: any kernel
"""
Arrow gate: who may see whom.

FLOORS lists the folders from the ground up. A file may include what is in its own folder, and what the row of its
folder names; a row names only what stands before it in the list, so the arrows between folders cannot make a circle.
A provider sees core/provider.h and core/provider.hpp. Everyone sees the user interface, include/uapi/.

The kernel is seen only through the door: in C++, or in a header that C++ may read, a kernel header is included by
core/cxx/kernel.hpp and its overlay alone.

The gate reads #include lines, conditional or not; what an allowed header includes in turn is that header's affair.
"""

import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib  # noqa: E402

DOOR = "core/cxx/kernel.hpp"
BEHIND_THE_DOOR = "core/cxx/overlay/"
GENERATED = ("core/cxx/generated/", "providers/bus/generated/")
PROVIDER_INTERFACE = ("core/provider.h", "core/provider.hpp")
PARAMETERS = "core/params.h"
LANGUAGE = ["core/cxx/"]
GROUND = [*LANGUAGE, "core/trace/", "core/memory/", PARAMETERS]

# (folder, what it sees besides itself: folders, or single headers), from the ground up. The parameters are declarations
# and see nothing.
FLOORS = [
    (PARAMETERS, []),
    ("core/cxx/", []),
    ("core/trace/", LANGUAGE),
    ("core/memory/", [*LANGUAGE, "core/trace/", PARAMETERS]),
    ("fs/fs.hpp", GROUND),
    ("fs/", [*GROUND, "fs/fs.hpp"]),
    ("ram/ram.hpp", GROUND),
    ("ram/", [*GROUND, "ram/ram.hpp"]),
    ("region/region.hpp", [*GROUND, "ram/ram.hpp"]),
    ("region/", [*GROUND, "ram/ram.hpp", "region/region.hpp"]),
    ("cdev/cdev.hpp", [*GROUND, "region/region.hpp"]),
    ("cdev/", [*GROUND, "fs/fs.hpp", "ram/ram.hpp", "region/region.hpp", "cdev/cdev.hpp"]),
    ("core/", [*GROUND, "fs/fs.hpp", "ram/ram.hpp", "region/region.hpp", "cdev/cdev.hpp"]),
]
FOLDERS = ("core", "region", "fs", "ram", "cdev", "providers")


def circles(floors):
    """Rows that name something which does not stand before them."""
    for number, (floor, seen) in enumerate(floors):
        before = [name for name, _ in floors[:number]]
        for name in seen:
            if not any(name == earlier or name.startswith(earlier) and earlier.endswith("/") for earlier in before):
                yield "%s sees %s, which is not below it" % (floor, name)


def floor_of(path):
    """The row that counts for a file: the one with the longest name."""
    rows = [row for row in FLOORS if path == row[0] or row[0].endswith("/") and path.startswith(row[0])]
    return max(rows, key=lambda row: len(row[0]), default=None)


def home(path):
    """The folder that a file is at home in, as the user of this gate would say it."""
    parts = path.split("/")
    if parts[0] == "providers" and len(parts) > 2:
        return "/".join(parts[:2]) + "/"
    row = floor_of(path)
    return row[0] if row else parts[0] + "/"


def allowed(includer, included):
    """Whether a file may include another by name; both are paths in the tree."""
    if included.startswith(BEHIND_THE_DOOR):
        return includer == DOOR
    if included.startswith("include/uapi/"):
        return True
    if includer.startswith("providers/"):
        return included in PROVIDER_INTERFACE or included.startswith(home(includer))
    row = floor_of(includer)
    if row is None or included.startswith("providers/"):
        return False
    return floor_of(included) is row or any(included == name or name.endswith("/") and included.startswith(name)
                                            for name in row[1])


def includes(text):
    """[(line number, '"' or '<', name, whether only a C compiler comes there)]"""
    found = []
    conditions = []  # for each #if that is open: True if only C comes here, False if only C++, None if both
    for number, line in enumerate(text.splitlines(), 1):
        directive = re.match(r"\s*#\s*(\w+)\s*(.*)", line)
        if not directive:
            continue
        word, rest = directive[1], directive[2].strip()
        if word in ("if", "ifdef", "ifndef"):
            plain = rest.split("/*")[0].strip()
            about = {("ifdef", "__cplusplus"): False, ("ifndef", "__cplusplus"): True}
            conditions.append(about.get((word, plain)))
        elif word in ("else", "elif", "elifdef", "elifndef") and conditions:
            conditions[-1] = None if conditions[-1] is None or word != "else" else not conditions[-1]
        elif word == "endif" and conditions:
            conditions.pop()
        elif word in ("include", "include_next", "import"):
            name = re.match(r'(["<])([^">]+)[">]', rest)
            found.append((number, name[1] if name else "?", name[2] if name else rest, True in conditions))
    return found


def check(path, text, exists):
    """What is wrong with the #include lines of one file."""
    for number, how, name, only_c in includes(text):
        where = "%s:%d" % (path, number)
        if how == "?":
            yield where, "an #include that no gate can read: %s" % name
        elif how == "<":
            if path.endswith(".c") or path == DOOR or only_c and path.endswith(".h"):
                continue
            yield where, "<%s> past the door" % name
        else:
            beside = os.path.normpath(os.path.join(os.path.dirname(path), name))
            target = beside if exists(beside) else os.path.normpath(name)
            if not exists(target):
                yield where, '"%s" is no file of the tree' % name
            elif not allowed(path, target):
                yield where, '%s may not see "%s"' % (home(path), target)


PLANTED = [
    # (file, its text, whether it is refused)
    ("region/planted.cc", '#include "cdev/instance.hpp"', True),
    ("region/planted.cc", '#include "cdev/cdev.hpp"', True),
    ("ram/planted.cc", '#include "region/region.hpp"', True),
    ("cdev/planted.cc", '#include "region/internal.hpp"', True),
    ("core/planted.cc", '#include "region/internal.hpp"', True),
    ("core/planted.cc", '#include "cdev/instance.hpp"', True),
    ("cdev/cdev.hpp", '#include "cdev/instance.hpp"', True),
    ("cdev/planted.cc", '#include "region/region.hpp"\n#include "fs/fs.hpp"', False),
    ("core/planted.cc", '#include "cdev/cdev.hpp"', False),
    ("region/planted.cc", '#include "fs/daxfs.cc"', True),
    ("fs/planted.cc", '#include "region/region.hpp"', True),
    ("fs/planted.cc", '#include "../region/region.hpp"', True),
    ("fs/planted.cc", '#  include   "region/region.hpp" // why', True),
    ("ram/planted.cc", '#include "region/region.hpp"', True),
    ("region/planted.cc", '#include "ram/ram.cc"', True),
    ("core/cxx/planted.hpp", '#include "core/memory/backing.hpp"', True),
    ("core/cxx/planted.hpp", '#include "core/trace/events.hpp"', True),
    ("core/cxx/planted.hpp", '#include "core/params.h"', True),
    ("core/trace/planted.hpp", '#include "core/memory/quantity.hpp"', True),
    ("core/memory/planted.hpp", '#include "core/module.h"', True),
    ("core/memory/planted.hpp", '#include "fs/fs.hpp"', True),
    ("fs/planted.cc", '#include "core/module.h"', True),
    ("core/planted.hpp", '#include "cdev/instance.hpp"', True),
    ("providers/planted/a.cc", '#include "core/cxx/result.hpp"', True),
    ("providers/planted/a.cc", '#include "providers/hmem/hmem.h"', True),
    ("providers/planted/a.cc", '#include "../hmem/hmem.h"', True),
    ("providers/planted/a.cc", '#include "region/region.hpp"', True),
    ("cdev/planted.cc", "#include <linux/fs.h>", True),
    ("core/planted.hpp", "#include <linux/fs.h>", True),
    ("core/planted.h", "#include <linux/fs.h>", True),
    ("core/planted.h", "#ifdef __cplusplus\n#include <linux/fs.h>\n#endif", True),
    ("core/planted.h", "#ifndef __cplusplus\n#endif\n#include <linux/fs.h>", True),
    ("cdev/planted.cc", '#include "core/cxx/overlay/language.h"', True),
    ("cdev/planted.cc", "#include HEADER", True),
    ("cdev/planted.cc", '#include "core/nowhere.hpp"', True),
    ("cdev/planted.cc", '#include "cdev/instance.hpp"\n#include "core/cxx/result.hpp"', False),
    ("core/planted.c", '#include <linux/module.h>\n#include "module.h"', False),
    ("core/planted.h", "#ifdef __cplusplus\n#else\n#include <linux/types.h>\n#endif", False),
    ("providers/planted/a.cc", '#include "core/provider.hpp"', False),
    ("providers/hmem/a.cc", '#include "hmem.h"', False),
    ("cdev/planted.cc", '// #include "region/region.hpp"', False),
]


def main():
    report = gatelib.Report()
    files = arrows = 0
    for folder in FOLDERS:
        for where, _, names in os.walk(os.path.join(gatelib.ROOT, folder)):
            for name in sorted(names):
                path = os.path.relpath(os.path.join(where, name), gatelib.ROOT)
                if not re.search(r"\.(cc|hpp|h|c)$", name) or name.endswith(".mod.c") \
                        or path.startswith((BEHIND_THE_DOOR, *GENERATED)):
                    continue
                with open(os.path.join(where, name), encoding="utf-8") as f:
                    text = f.read()
                files += 1
                arrows += len(includes(text))
                for place, what in check(path, text, in_tree):
                    report.finding("%s: %s" % (place, what))
    for what in circles(FLOORS):
        report.finding("FLOORS: " + what)
    turned = [*FLOORS[:1], FLOORS[2], FLOORS[1], *FLOORS[3:]]
    report.control("a row that sees one above it", len(list(circles(turned))) == 1, str(list(circles(turned))))
    for path, text, refused in PLANTED:
        said = list(check(path, text, in_tree))
        report.control("%s: %s" % (path, text), bool(said) == refused, str(said))
    report.end("%d files with %d includes" % (files, arrows))


def in_tree(path):
    return os.path.isfile(os.path.join(gatelib.ROOT, path))


if __name__ == "__main__":
    main()
